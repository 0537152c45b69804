//! `testnet`: a network of nodes on this machine, with real distances between them.

mod bench;
mod calls;
mod cli;
mod commands;
mod control;
mod faults;
mod files;
mod grid_manager;
mod layout;
mod leash;
mod liar;
mod member;
mod play;
mod ports;
mod relay;
mod report;
mod select;
mod status;
mod storage;
mod supervise;
mod tahoe;
mod up;

fn main() -> std::process::ExitCode {
    cli::run()
}
