//! `testnet`: a network of nodes on this machine, with real distances between them.

mod bench;
mod cli;
mod grid_manager;
mod layout;
mod leash;
mod member;
mod ports;
mod relay;
mod report;
mod supervise;
mod up;

fn main() -> std::process::ExitCode {
    cli::run()
}
