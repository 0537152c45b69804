//! `testnet`: a network of nodes on this machine, with real distances between them.

#![expect(dead_code, reason = "the commands that use these parts come with the node")]

mod grid_manager;
mod layout;
mod leash;
mod ports;
mod relay;
mod supervise;

fn main() {}
