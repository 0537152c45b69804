//! `testnet`: a network of nodes on this machine, with real distances between them.

mod ports;
mod relay;

fn main() {}
