//! Nodes in one process, on loopback, over the real transports: each on a /24 of its own.

#![cfg(feature = "node")]

mod network {
    mod federation;
    mod publish_and_resolve;
}
