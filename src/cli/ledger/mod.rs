//! `ledger`: the books, for operators and auditors. Reads beside a node that writes; changes nothing.

mod bundle;
mod export;
mod show;

use crate::cli::exit::ExitCode;
use crate::cli::failure::{Failure, Outcome};
use crate::cli::home_arg::HomeArg;
use crate::cli::terminal::Terminal;
use crate::ledger::{Ledger, Location};
use clap::{Args, Subcommand};
use std::fmt;
use std::path::PathBuf;

/// Verify, inspect, export and copy the books: who delivered how much to whom, and who owes what
///
/// Every command reads one state of the books, beside a node that writes them.
#[derive(Debug, Subcommand)]
pub(super) enum LedgerCommand {
    Verify(VerifyArgs),
    Inspect(show::InspectArgs),
    Export(export::ExportArgs),
    CheckBundle(bundle::CheckArgs),
    Backup(BackupArgs),
}

/// Which books.
#[derive(Debug, Clone, Args)]
pub(super) struct LedgerArg {
    /// The ledger: a file, or a database as in `postgres://user@host/name` [default: that of the node in the data directory]
    #[arg(long, value_name = "FILE|URL")]
    ledger: Option<Location>,
    #[command(flatten)]
    home: HomeArg,
}

/// Compute all of it again from what was signed, and compare
///
/// Signatures, charges, the entries of each hour, sums, balances, usage and the chains of positions. The first row that
/// disagrees is named, with exit code 11.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  clearinghouse ledger verify -d node")]
pub(super) struct VerifyArgs {
    #[command(flatten)]
    ledger: LedgerArg,
}

/// Write a copy of the books to a new file, while they are written
///
/// The copy is complete in itself and of one moment. PostgreSQL databases are copied with `pg_dump`.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  clearinghouse ledger backup ledger-2027-06-01.sqlite -d node")]
pub(super) struct BackupArgs {
    /// Where there is no file yet
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    ledger: LedgerArg,
}

pub(super) fn run(command: &LedgerCommand, terminal: &Terminal) -> Outcome<()> {
    match command {
        LedgerCommand::Verify(args) => args.ledger.reading(async |ledger| {
            let location = ledger.location().to_string();
            let it = ledger.verify().await?;
            terminal.print(&VerifiedView {
                ledger: location,
                lanes: it.lanes,
                vouchers: it.vouchers,
                papers: it.papers,
                positions: it.positions,
                accounts: it.accounts,
            })
        }),
        LedgerCommand::Inspect(args) => show::run(args, terminal),
        LedgerCommand::Export(args) => export::run(args, terminal),
        LedgerCommand::CheckBundle(args) => bundle::check(args, terminal),
        LedgerCommand::Backup(args) => args.ledger.reading(async |ledger| {
            ledger.backup(&args.file).await?;
            terminal.print(&BackupView { file: args.file.display().to_string() })
        }),
    }
}

impl LedgerArg {
    fn location(&self) -> Outcome<Location> {
        match &self.ledger {
            Some(location) => Ok(location.clone()),
            None => self.home.ledger(),
        }
    }

    /// Does `work` with the books, open for reading.
    pub(super) fn reading<T>(&self, work: impl AsyncFnOnce(&Ledger) -> Outcome<T>) -> Outcome<T> {
        let location = self.location()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Failure::because(ExitCode::Failed, &error))?;
        runtime.block_on(async {
            let ledger = Ledger::open_reading(location).await?;
            let outcome = work(&ledger).await;
            ledger.close().await;
            outcome
        })
    }
}

#[derive(serde::Serialize)]
struct VerifiedView {
    ledger: String,
    lanes: u64,
    vouchers: u64,
    papers: u64,
    positions: u64,
    accounts: u64,
}

impl fmt::Display for VerifiedView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { lanes, vouchers, papers, positions, accounts, .. } = self;
        writeln!(
            f,
            "The books agree with what was signed: {vouchers} vouchers of {lanes} lanes, {papers} other signed objects, \
             {positions} positions; {accounts} accounts."
        )
    }
}

#[derive(serde::Serialize)]
struct BackupView {
    file: String,
}

impl fmt::Display for BackupView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Copied to {}.", self.file)
    }
}
