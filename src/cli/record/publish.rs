//! `record publish`: the running node brings the record to its holders now.

use crate::cli::api::Api;
use crate::cli::failure::Outcome;
use crate::cli::home_arg::HomeArg;
use crate::cli::terminal::Terminal;
use clap::Args;

/// Publish the grid's record now, and say who holds it; the running node does so by itself every hour
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  clearinghouse record publish -d node")]
pub(in crate::cli) struct PublishArgs {
    #[command(flatten)]
    home: HomeArg,
}

pub(in crate::cli) fn run(args: &PublishArgs, terminal: &Terminal) -> Outcome<()> {
    let home = args.home.home()?;
    terminal.print(&Api::needed(&home)?.publish()?)
}
