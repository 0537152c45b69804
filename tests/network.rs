//! Nodes in one process, on loopback, over the real transports: each on a /24 of its own.

mod network {
    mod federation;
    mod publish_and_resolve;
}
