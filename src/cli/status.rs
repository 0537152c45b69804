//! `status`: how the running node stands.

use crate::cli::api::Api;
use crate::cli::check::check;
use crate::cli::exit::ExitCode;
use crate::cli::failure::{Failure, Outcome};
use crate::cli::home_arg::HomeArg;
use crate::cli::terminal::Terminal;
use crate::cli::wait::pause;
use crate::config::Home;
use crate::http::StatusView;
use clap::Args;
use std::time::{Duration, Instant};

/// How often it is looked whether a node has come up.
const LOOK: Duration = Duration::from_millis(50);

/// Show how the running node stands: its addresses, what it does for others, who holds its record
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  clearinghouse status -d node --wait 60
  clearinghouse status -d node --check")]
pub(super) struct StatusArgs {
    /// Wait until the node serves and its record is held as widely as its network allows, at most so many seconds
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(0..=86_400))]
    wait: Option<u64>,
    /// Name each thing that is wrong and the next command to type; ends with 0 if nothing is, else with 1
    #[arg(long, conflicts_with = "wait")]
    check: bool,
    #[command(flatten)]
    home: HomeArg,
}

pub(super) fn run(args: &StatusArgs, terminal: &Terminal) -> Outcome<()> {
    if args.check {
        return check(&args.home, terminal);
    }
    let home = args.home.home()?;
    let status = match args.wait {
        Some(seconds) => once_ready(&home, Duration::from_secs(seconds))?,
        None => Api::needed(&home)?.status()?,
    };
    terminal.print(&status)
}

fn once_ready(home: &Home, wait: Duration) -> Outcome<StatusView> {
    /// The longest that one request waits; the node may be started again meanwhile.
    const STEP: Duration = Duration::from_secs(10);
    let until = Instant::now() + wait;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let status = Api::needed(home).and_then(|api| api.status_once_ready(left.min(STEP)));
        match status {
            Ok(status) if status.is_ready() => return Ok(status),
            Ok(status) if left.is_zero() => {
                let reason = status.waits_for().unwrap_or_default();
                let message = format!("not ready after {} s: {reason}", wait.as_secs());
                return Err(Failure::new(ExitCode::Unreachable, message)
                    .hint("`clearinghouse status` without `--wait` shows how it stands"));
            }
            Err(failure) if left.is_zero() || failure.exit != ExitCode::Unreachable => return Err(failure),
            // Not ready yet, or not there yet.
            _ => pause(LOOK.min(left)),
        }
    }
}
