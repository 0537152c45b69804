//! A Tahoe-LAFS grid as its machines show it: the files of a node, and what answers at an address.
//!
//! So far only what is needed not to publish a storage server's address by mistake. It reads; it never writes to a grid.

mod node_dir;
mod probe;

pub use node_dir::{NodeSecrets, TahoeNodeError};
pub use probe::{Answers, ProbeError, Secret, probe};
