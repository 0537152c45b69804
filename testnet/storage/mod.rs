//! Storage servers of a testnet's grids: they serve shares over GBS, as Tahoe-LAFS's own do, and take none.
//!
//! The shares are made by `lafs`' encoders when the testnet is raised, and live in this process's memory. The protocol is
//! Tahoe-LAFS's, `docs/specifications/http-storage-node-protocol.rst`.

mod node_dir;
pub(crate) mod samples;
mod server;
mod shelf;

pub(crate) use node_dir::write_node_dir;
pub(crate) use samples::{Sample, SampleError, large, letter, stock};
pub(crate) use server::{StorageServer, StorageServerError};
pub(crate) use shelf::{ShareKind, Shelf};
