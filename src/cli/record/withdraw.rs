//! `record withdraw`: the grid takes itself off the network, for good.

use crate::cli::directory::Directory;
use crate::cli::exit::ExitCode;
use crate::cli::failure::{Failure, Outcome};
use crate::cli::home_arg::HomeArg;
use crate::cli::input;
use crate::cli::table::Table;
use crate::cli::terminal::Terminal;
use crate::clock::Clock;
use crate::config::{GridManager, PUBLIC_MODE, create_new};
use crate::keys::GridId;
use crate::publisher::install;
use crate::record::{GridRecord, RecordDraft, Signer};
use crate::store::load_own_record;
use crate::units::UnixSeconds;
use clap::Args;
use serde::Serialize;
use std::fmt;
use std::path::{Path, PathBuf};

/// Take the grid off the network, for good: nothing ever takes the place of this record
///
/// Whoever asks for the grid is told that it has withdrawn, for ten years. What was promised is broken by nobody: to serve no
/// more is no breach. A grid that lives on under another key moves instead: `clearinghouse record rotate`.
///
/// The grid key is needed. Where the node has it, or with `--grid-manager`, this is one step; where it lies elsewhere, `-o`
/// writes the record to a file there, and `record install` takes it in at the node.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  clearinghouse record withdraw -d node

Example, where the grid key is away from the node:
  clearinghouse record withdraw --grid-manager gm0 -o last.record
  clearinghouse record install last.record -d node")]
pub(in crate::cli) struct WithdrawArgs {
    /// The folder of the grid's manager; `-` reads its config.json from standard input [default: that of the node's settings]
    #[arg(long, value_name = "GM")]
    grid_manager: Option<PathBuf>,
    /// Write the record to a file for `record install`, and change nothing here
    #[arg(short, long, value_name = "FILE", requires = "grid_manager")]
    output: Option<PathBuf>,
    /// Do not ask: withdraw
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    home: HomeArg,
}

pub(in crate::cli) fn run(args: &WithdrawArgs, terminal: &Terminal) -> Outcome<()> {
    match (&args.output, &args.grid_manager) {
        (Some(output), Some(path)) => write(args, path, output, terminal),
        _ => withdraw(args, terminal),
    }
}

/// Where the grid key is, and the node is not.
fn write(args: &WithdrawArgs, manager: &Path, output: &Path, terminal: &Terminal) -> Outcome<()> {
    let manager = input::grid_manager(manager)?;
    ask(args, manager.grid_id(), terminal)?;
    let record = sign(&manager, None)?;
    create_new(output, record.signed().bytes(), PUBLIC_MODE)?;
    let next = format!("at the node: clearinghouse record install {} -d DIR", output.display());
    terminal.print(&Withdrawn::of(&record, Some(output), None, next))
}

/// At the node, with the grid key.
fn withdraw(args: &WithdrawArgs, terminal: &Terminal) -> Outcome<()> {
    let (home, config) = args.home.config()?;
    let grid = args.home.grid()?;
    let dir = home.path().display();
    let path = args.grid_manager.as_ref().or(config.grid_manager.as_ref()).ok_or_else(|| {
        Failure::new(
            ExitCode::Refused,
            format!("only the grid key may withdraw, and the settings of `{dir}` name no `grid-manager`"),
        )
        .hint(format!(
            "where the grid key is: `clearinghouse record withdraw --grid-manager GM -o last.record`; then here: \
                 `clearinghouse record install last.record -d {dir}`"
        ))
    })?;
    let manager = input::grid_manager(path)?;
    if manager.grid_id() != grid {
        let message =
            format!("the key in `{}` is that of {}, and the node speaks for {grid}", path.display(), manager.grid_id());
        return Err(
            Failure::new(ExitCode::Malformed, message).hint("is `--grid-manager` the folder of this grid's manager?")
        );
    }
    let held = load_own_record(&home, &grid)?;
    if held.as_ref().is_some_and(|held| held.signed().withdrawn()) {
        return Err(Failure::new(ExitCode::Withdrawn, format!("the grid {grid} has withdrawn already")));
    }
    ask(args, grid, terminal)?;
    let record = sign(&manager, held.as_ref())?;
    let (holders, next) = match Directory::open(&home)? {
        Directory::Running(api) => {
            api.install(record.signed().bytes())?;
            let receipt = api.publish()?;
            (
                Some(receipt.holders),
                format!(
                    "let the node run a while, then stop it; whoever holds the record keeps it: clearinghouse status -d {dir}"
                ),
            )
        }
        Directory::Ours(_lock) => {
            install(&home, &grid, record.signed().bytes(), Clock::system().now())?;
            (None, format!("nobody has heard of it yet: clearinghouse run -d {dir}"))
        }
    };
    terminal.print(&Withdrawn::of(&record, None, holders, next))
}

/// The last record: a new serial, so that no publisher signs on after it.
fn sign(manager: &GridManager, previous: Option<&GridRecord>) -> Outcome<GridRecord> {
    let now = Clock::system().now();
    let serial = previous.map_or(now, |previous| previous.signed().serial().max(now));
    let signer = Signer::Grid { key: manager.key(), serial };
    Ok(RecordDraft::withdrawal(manager.grid_id()).sign(signer, previous, &[], now)?)
}

fn ask(args: &WithdrawArgs, grid: GridId, terminal: &Terminal) -> Outcome<()> {
    if args.yes {
        return Ok(());
    }
    terminal.confirm(&format!("{grid} leaves the network for good; nothing can take this back"), "withdraw")
}

#[derive(Serialize)]
struct Withdrawn {
    grid_id: GridId,
    sequence: u64,
    expires_at_unix_seconds: UnixSeconds,
    file: Option<PathBuf>,
    holders: Option<usize>,
    next: String,
}

impl Withdrawn {
    fn of(record: &GridRecord, file: Option<&Path>, holders: Option<usize>, next: String) -> Self {
        let signed = record.signed();
        Self {
            grid_id: *record.grid(),
            sequence: signed.sequence(),
            expires_at_unix_seconds: signed.expires_at(),
            file: file.map(Path::to_owned),
            holders,
            next,
        }
    }
}

impl fmt::Display for Withdrawn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new();
        table.row("withdrawn", self.grid_id);
        table.row("sequence", self.sequence);
        table.row("said until", self.expires_at_unix_seconds);
        table.optional("record", self.file.as_ref().map(|file| file.display()));
        table.optional("held by", self.holders.map(|holders| format!("{holders} other servers")));
        write!(f, "{table}\nNext, {}\n", self.next)
    }
}
