//! Nodes in one process, on loopback, over the real transports: each on a /24 of its own.

#![cfg(feature = "node")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod network {
    mod federation;
    mod holders;
    mod publish_and_resolve;
    mod records;
    mod stranger;
    mod traps;
}
