//! `dispute`: where two sides' books of a lane part.

use crate::cli::api::Api;
use crate::cli::exit::ExitCode;
use crate::cli::failure::{Failure, Outcome};
use crate::cli::home_arg::HomeArg;
use crate::cli::terminal::Terminal;
use clap::{Args, Subcommand};

/// Find where the books of two grids part
#[derive(Debug, Subcommand)]
pub(super) enum DisputeCommand {
    Open(OpenArgs),
}

/// Compare a lane's acknowledgements with those that the other side holds
///
/// Both keep the payer's last signature of every hour. The first point at which the two have signed accounts of other deliveries
/// is named; what is before it is agreed, and what is behind it is to be talked about. Changes nothing.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  clearinghouse dispute open 5be0…64 digits…19 -d node")]
pub(super) struct OpenArgs {
    /// The lane, 64 hexadecimal digits, as `statement --json` shows it
    #[arg(value_name = "LANE")]
    lane: String,
    #[command(flatten)]
    home: HomeArg,
}

pub(super) fn run(command: &DisputeCommand, terminal: &Terminal) -> Outcome<()> {
    let DisputeCommand::Open(args) = command;
    let is_lane = args.lane.len() == 64 && args.lane.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !is_lane {
        return Err(Failure::new(ExitCode::Malformed, "a lane is named by 64 hexadecimal digits")
            .hint("`clearinghouse statement --json` shows those of a period"));
    }
    terminal.print(&Api::needed(&args.home.home()?)?.compare_lane(&args.lane.to_ascii_lowercase())?)
}
