//! `delegate`: the grid key's permission for a publisher key, so that the grid key can stay in a drawer.

use crate::cli::failure::Outcome;
use crate::cli::input;
use crate::cli::table::Table;
use crate::cli::terminal::Terminal;
use crate::clock::Clock;
use crate::config::{PUBLIC_MODE, create_new};
use crate::keys::{GridId, PublicKey};
use crate::record::{Delegation, DelegationDraft, KeyDigest, Limit};
use crate::units::UnixSeconds;
use clap::Args;
use serde::Serialize;
use std::fmt;
use std::path::PathBuf;

/// Let a publisher key sign the grid's records until a date, so that the grid key can stay in a drawer
///
/// Each delegation revokes the ones before it.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  clearinghouse delegate pub-v0-… --grid-manager gm0 --until 2027-11-23")]
pub(super) struct DelegateArgs {
    /// The key that `init --grid-id` printed
    #[arg(value_name = "PUBLISHER_KEY")]
    publisher: PublicKey,
    /// The folder of the grid's manager; `-` reads its config.json from standard input
    #[arg(long, value_name = "GM")]
    grid_manager: PathBuf,
    /// Until when: 00:00 UTC of a date, at most 400 days away
    #[arg(long, value_name = "DATE")]
    until: UnixSeconds,
    /// The grid key that would follow this one
    #[arg(long, value_name = "KEY")]
    next: Option<GridId>,
    /// The most credit that the publisher may let a gateway agree to, such as "10 USD" [default: none]
    #[arg(long, value_name = "AMOUNT")]
    max_limit: Option<Limit>,
    /// The latest date that the publisher may commit a price to [default: that of --until]
    #[arg(long, value_name = "DATE")]
    committed_until: Option<UnixSeconds>,
    /// Where to write the delegation [default: GRID_ID.SERIAL.delegation]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(super) fn run(args: &DelegateArgs, terminal: &Terminal) -> Outcome<()> {
    let manager = input::grid_manager(&args.grid_manager)?;
    let draft = DelegationDraft {
        serial: Clock::system().now(),
        publisher: args.publisher,
        not_after: args.until,
        next: args.next.map(|grid| KeyDigest(grid.digest())),
        max_limit: args.max_limit,
        committed_until: args.committed_until,
    };
    let delegation = Delegation::issue(manager.key(), &draft)?;
    let default = || PathBuf::from(format!("{}.{}.delegation", manager.grid_id(), delegation.serial().0));
    let file = args.output.clone().unwrap_or_else(default);
    create_new(&file, delegation.bytes(), PUBLIC_MODE)?;
    terminal.print(&Delegated {
        file,
        grid_id: manager.grid_id(),
        publisher: args.publisher.to_string(),
        serial: delegation.serial(),
        not_after_unix_seconds: delegation.not_after(),
    })
}

#[derive(Serialize)]
struct Delegated {
    file: PathBuf,
    grid_id: GridId,
    publisher: String,
    serial: UnixSeconds,
    not_after_unix_seconds: UnixSeconds,
}

impl fmt::Display for Delegated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new();
        table.row("delegation", self.file.display());
        table.row("grid", self.grid_id);
        table.row("publisher key", &self.publisher);
        table.row("until", self.not_after_unix_seconds);
        table.fmt(f)
    }
}
