//! What the crate computes, held against the real Tahoe-LAFS from PyPI.
//!
//! Each module feeds a Python script of the same name, which calls `tahoe-lafs` as a library and prints what it
//! found. The Python that has it is named by `LAFS_TEST_PYTHON`; without one these tests are skipped, or fail under
//! `REQUIRE_INTEROP=1`.

#[path = "oracle/caps.rs"]
mod caps;
#[path = "oracle/erasure.rs"]
mod erasure;
#[cfg(feature = "node")]
#[path = "oracle/gateway.rs"]
mod gateway;
#[cfg(feature = "node")]
mod gateway_node;
#[path = "oracle/grid.rs"]
mod grid;
#[path = "oracle/grid_manager.rs"]
mod grid_manager;
#[path = "oracle/immutable.rs"]
mod immutable;
#[cfg(feature = "node")]
#[path = "oracle/mutable.rs"]
mod mutable;
#[path = "oracle/python.rs"]
mod python;
#[cfg(feature = "node")]
#[path = "oracle/storage.rs"]
mod storage;
#[cfg(feature = "node")]
#[path = "oracle/tahoe_nodes.rs"]
mod tahoe_nodes;
