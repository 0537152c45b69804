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
#[path = "oracle/foreign/mod.rs"]
mod foreign;
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
#[cfg(feature = "node")]
#[path = "cli/place.rs"]
#[expect(dead_code, reason = "the tests of the program use more of it")]
#[expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
mod place;
#[path = "oracle/python.rs"]
mod python;
#[cfg(feature = "node")]
mod raw_client;
#[cfg(feature = "node")]
#[path = "oracle/real_client.rs"]
mod real_client;
#[cfg(feature = "node")]
#[path = "oracle/storage.rs"]
mod storage;
#[cfg(feature = "node")]
#[path = "oracle/tahoe_nodes.rs"]
mod tahoe_nodes;
#[cfg(feature = "node")]
#[path = "oracle/two_grids.rs"]
mod two_grids;
