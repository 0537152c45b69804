//! `record show` and `record verify`: a record file looked at. Needs no network.

use crate::cli::exit::ExitCode;
use crate::cli::failure::{Failure, Outcome};
use crate::cli::terminal::Terminal;
use crate::clock::Clock;
use crate::config::read_at_most;
use crate::http::RecordText;
use crate::keys::GridId;
use crate::record::{GridRecord, MAX_RECORD_BYTES, RecordView};
use crate::units::UnixSeconds;
use clap::Args;
use serde::Serialize;
use std::fmt;
use std::path::{Path, PathBuf};

/// Show what a record says, and how many bytes each field takes
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  clearinghouse record show pub-v0-….1800000000000.record")]
pub(in crate::cli) struct ShowArgs {
    #[command(flatten)]
    file: FileArgs,
}

/// Verify a record as a reader does: its form, its signature, and whether it is good now
///
/// Ends with 0 if it is, 2 if it is malformed, 5 if it has expired, 6 if the grid has withdrawn, 11 if the signature is not
/// one of the grid's.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  clearinghouse record verify pub-v0-….1800000000000.record --now 2027-01-22")]
pub(in crate::cli) struct VerifyArgs {
    #[command(flatten)]
    file: FileArgs,
}

#[derive(Debug, Args)]
struct FileArgs {
    /// The record
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Whose record it is [default: as the file is named, GRID_ID.SEQUENCE.record]
    #[arg(long, value_name = "ID")]
    grid: Option<GridId>,
    /// The time to judge it at [default: now]
    #[arg(long, value_name = "DATE")]
    now: Option<UnixSeconds>,
}

impl FileArgs {
    fn read(&self) -> Outcome<GridRecord> {
        let grid = match self.grid {
            Some(grid) => grid,
            None => grid_of_name(&self.file)?,
        };
        // One octet more than a record may have, so that the error is about the record and says its size.
        let size = std::fs::metadata(&self.file).map_or(0, |metadata| metadata.len());
        if size > MAX_RECORD_BYTES as u64 {
            let message = format!("{size} bytes, and a record has at most {MAX_RECORD_BYTES}");
            return Err(Failure::new(ExitCode::Malformed, message).about(format_args!("`{}`", self.file.display())));
        }
        let bytes = read_at_most(&self.file, MAX_RECORD_BYTES)?;
        GridRecord::from_bytes(&bytes, &grid)
            .map_err(|error| Failure::from(error).about(format_args!("`{}`", self.file.display())))
    }

    fn now(&self) -> UnixSeconds {
        self.now.unwrap_or_else(|| Clock::system().now())
    }
}

/// The grid that a file is named after.
fn grid_of_name(file: &Path) -> Outcome<GridId> {
    let name = file.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    let grid = name.split('.').next().unwrap_or_default();
    grid.parse().map_err(|_| {
        Failure::new(ExitCode::Malformed, format!("`{}` is not named after its grid", file.display()))
            .hint("name the grid with `--grid ID`: a record does not say whose it is, its signature proves it")
    })
}

pub(in crate::cli) fn show(args: &ShowArgs, terminal: &Terminal) -> Outcome<()> {
    let record = args.file.read()?;
    let now = args.file.now();
    if let Some(fault) = record.signed().time_fault(now) {
        terminal.warn(fault);
    }
    let weights = record.signed().weights();
    let view = Shown {
        record: RecordView::new(&record, &[], None, now),
        fields: weights.parts().iter().map(|(name, bytes)| FieldWeight { name, size_bytes: *bytes }).collect(),
        left_bytes: weights.left(),
    };
    terminal.print(&view)
}

pub(in crate::cli) fn verify(args: &VerifyArgs, terminal: &Terminal) -> Outcome<()> {
    let record = args.file.read()?;
    let now = args.file.now();
    let signed = record.signed();
    if signed.withdrawn() {
        return Err(Failure::new(ExitCode::Withdrawn, format!("the grid {} has withdrawn", record.grid())));
    }
    if let Some(fault) = signed.time_fault(now) {
        return Err(Failure::from(fault).about(format_args!("`{}`", args.file.file.display())));
    }
    terminal.print(&Verified {
        grid_id: *record.grid(),
        sequence: signed.sequence(),
        identity: signed.identity().to_string(),
        expires_at_unix_seconds: signed.expires_at(),
        size_bytes: signed.bytes().len(),
    })
}

#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    record: RecordView,
    fields: Vec<FieldWeight>,
    left_bytes: usize,
}

#[derive(Serialize)]
struct FieldWeight {
    name: &'static str,
    size_bytes: usize,
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        RecordText(&self.record).fmt(f)?;
        writeln!(f, "\n{} bytes used, {} left:", self.record.size_bytes, self.left_bytes)?;
        self.fields.iter().try_for_each(|field| writeln!(f, "{:>5}  {}", field.size_bytes, field.name))
    }
}

#[derive(Serialize)]
struct Verified {
    grid_id: GridId,
    sequence: u64,
    identity: String,
    expires_at_unix_seconds: UnixSeconds,
    size_bytes: usize,
}

impl fmt::Display for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { grid_id, sequence, expires_at_unix_seconds, .. } = self;
        write!(f, "a good record of {grid_id}: sequence {sequence}, until {expires_at_unix_seconds}")
    }
}
