//! `record install`: what the grid key signed elsewhere comes to the node.

use crate::cli::api::Api;
use crate::cli::failure::Outcome;
use crate::cli::home_arg::HomeArg;
use crate::cli::terminal::Terminal;
use crate::clock::Clock;
use crate::config::read_at_most;
use crate::http::InstalledView;
use crate::publisher::{MAX_INSTALL_BYTES, install};
use crate::store::DirectoryLock;
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
    let view = match Api::of_running_node(&home)? {
        Some(api) => api.install(&bytes)?,
        None => {
            let _lock = DirectoryLock::acquire(&home)?;
            let installed = install(&home, &grid, &bytes, Clock::system().now())?;
            terminal.note("no node is running here: it is published once `clearinghouse run` is");
            InstalledView::from(&installed)
        }
    };
    terminal.print(&view)
}
