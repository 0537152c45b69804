//! `record sign`: a draft becomes a record, where the grid key is.

use crate::cli::failure::{Failure, Outcome};
use crate::cli::input;
use crate::cli::table::Table;
use crate::cli::terminal::Terminal;
use crate::clock::Clock;
use crate::config::{PUBLIC_MODE, create_new, read_at_most};
use crate::keys::GridId;
use crate::record::{DraftFile, MAX_RECORD_BYTES, Signer};
use crate::units::UnixSeconds;
use clap::Args;
use serde::Serialize;
use std::fmt;
use std::path::PathBuf;

/// A draft with eight pieces of evidence takes about 14 kB.
const MAX_DRAFT_BYTES: usize = 1 << 17;

/// Sign a draft with the grid key; breaks no promise that the draft knows of
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  clearinghouse record sign draft.toml --grid-manager gm0")]
pub(in crate::cli) struct SignArgs {
    /// The draft, as `record draft` writes it
    #[arg(value_name = "DRAFT")]
    draft: PathBuf,
    /// The folder of the grid's manager; `-` reads its config.json from standard input
    #[arg(long, value_name = "GM")]
    grid_manager: PathBuf,
    /// Revoke every delegation given so far; a record that withdraws or names a successor always does
    #[arg(long)]
    revoke: bool,
    /// Where to write the record [default: GRID_ID.SEQUENCE.record]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(in crate::cli) fn run(args: &SignArgs, terminal: &Terminal) -> Outcome<()> {
    let text = read_at_most(&args.draft, MAX_DRAFT_BYTES)?;
    let in_draft = |error| Failure::from(error).about(format_args!("`{}`", args.draft.display()));
    let file: DraftFile = String::from_utf8_lossy(&text).parse().map_err(in_draft)?;
    let manager = input::grid_manager(&args.grid_manager)?;
    let now = Clock::system().now();
    // A new serial revokes delegations; the one before keeps them. Without a record before, only a new one is sure to count,
    // and no publisher is to sign on after a last word.
    let last_word = file.draft.withdrawn || file.draft.successor.is_some();
    let serial = match &file.previous {
        Some(previous) if !args.revoke && !last_word => previous.signed().serial(),
        _ => now,
    };
    let signer = Signer::Grid { key: manager.key(), serial };
    let record = file.draft.sign(signer, file.previous.as_ref(), &file.evidence, now)?;
    let signed = record.signed();
    let path = args.output.clone().unwrap_or_else(|| PathBuf::from(signed.file_name()));
    create_new(&path, signed.bytes(), PUBLIC_MODE)?;
    terminal.print(&Signed {
        file: path,
        grid_id: *record.grid(),
        sequence: signed.sequence(),
        expires_at_unix_seconds: signed.expires_at(),
        size_bytes: signed.bytes().len(),
        left_bytes: MAX_RECORD_BYTES.saturating_sub(signed.bytes().len()),
    })
}

#[derive(Serialize)]
struct Signed {
    file: PathBuf,
    grid_id: GridId,
    sequence: u64,
    expires_at_unix_seconds: UnixSeconds,
    size_bytes: usize,
    left_bytes: usize,
}

impl fmt::Display for Signed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new();
        table.row("record", self.file.display());
        table.row("grid", self.grid_id);
        table.row("sequence", self.sequence);
        table.row("expires", self.expires_at_unix_seconds);
        table.row("size", format!("{} bytes, {} left", self.size_bytes, self.left_bytes));
        table.fmt(f)
    }
}
