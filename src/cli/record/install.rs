//! `record install`: what the grid key signed elsewhere comes to the node.

use crate::cli::directory::Directory;
use crate::cli::failure::Outcome;
use crate::cli::home_arg::HomeArg;
use crate::cli::terminal::Terminal;
use crate::clock::Clock;
use crate::config::read_at_most;
use crate::http::InstalledView;
use crate::publisher::{MAX_INSTALL_BYTES, install};
use clap::Args;
use std::path::PathBuf;

/// Take in a record or a delegation that the grid key signed; a running node publishes it at once
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  clearinghouse record install pub-v0-….1800000000000.record -d node")]
pub(in crate::cli) struct InstallArgs {
    /// What `record sign` or `delegate` wrote
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    home: HomeArg,
}

pub(in crate::cli) fn run(args: &InstallArgs, terminal: &Terminal) -> Outcome<()> {
    let (home, _) = args.home.config()?;
    let grid = args.home.grid()?;
    let bytes = read_at_most(&args.file, MAX_INSTALL_BYTES)?;
    let view = match Directory::open(&home)? {
        Directory::Running(api) => api.install(&bytes)?,
        Directory::Ours(_lock) => {
            let installed = install(&home, &grid, &bytes, Clock::system().now())?;
            terminal.note("no node is running here: it is published once `clearinghouse run` is");
            InstalledView::from(&installed)
        }
    };
    terminal.print(&view)
}
