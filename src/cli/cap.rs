//! `cap`: caps taken apart and made foreign. Needs no network.

use crate::capability::{Area, Capability, ForeignCap, ForeignCapError, MadeForeign, Power};
use crate::cli::exit::ExitCode;
use crate::cli::failure::{Failure, Outcome};
use crate::cli::home_arg::HomeArg;
use crate::cli::input;
use crate::cli::table::Table;
use crate::cli::terminal::Terminal;
use crate::keys::GridId;
use clap::{Args, Subcommand};
use serde::Serialize;
use std::fmt;

/// Take caps apart and make them foreign; needs no network
#[derive(Debug, Subcommand)]
pub(super) enum CapCommand {
    Show(ShowArgs),
    Foreign(ForeignArgs),
}

/// Show what a cap is: its kind, its grid, what it allows and what it can be diminished to
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  clearinghouse cap show URI:LIT:krugkidfnzsc4")]
pub(super) struct ShowArgs {
    /// A cap of any kind, foreign or not; `-` reads it from standard input, out of sight of `ps`
    #[arg(value_name = "CAP")]
    cap: String,
}

/// Print the foreign form of a cap, and nothing else: what a reader on another grid needs
#[derive(Debug, Args)]
#[command(after_help = "\
A foreign cap is read-only: a write cap is diminished first, and a note says so.

Example:
  clearinghouse cap foreign URI:LIT:krugkidfnzsc4 -d node")]
pub(super) struct ForeignArgs {
    /// A cap of this grid; `-` reads it from standard input, out of sight of `ps`
    #[arg(value_name = "CAP")]
    cap: String,
    /// The grid that the cap lives on [default: the grid of the data directory, or of the home that it has joined]
    #[arg(long, value_name = "ID")]
    grid: Option<GridId>,
    /// Print the form that an unmodified Tahoe-LAFS directory stores
    #[arg(long)]
    for_directory: bool,
    #[command(flatten)]
    home: HomeArg,
}

pub(super) fn run(command: &CapCommand, terminal: &Terminal) -> Outcome<()> {
    match command {
        CapCommand::Show(args) => show(args, terminal),
        CapCommand::Foreign(args) => foreign(args, terminal),
    }
}

/// A cap of one's own grid or of another.
enum AnyCap {
    Home(Capability),
    Foreign(ForeignCap),
}

fn parse(argument: &str) -> Outcome<AnyCap> {
    let text = input::argument(argument)?;
    match text.parse() {
        Ok(cap) => Ok(AnyCap::Foreign(cap)),
        Err(ForeignCapError::NoGrid) => Ok(AnyCap::Home(text.parse()?)),
        // Of a text that is no cap at all, the error of a plain cap says more.
        Err(error) if is_foreign(&text) => Err(error.into()),
        Err(_) => Ok(AnyCap::Home(text.parse()?)),
    }
}

fn is_foreign(text: &str) -> bool {
    let text = text.strip_prefix("ro.").or_else(|| text.strip_prefix("imm.")).unwrap_or(text);
    text.starts_with("URI:FOREIGN:")
}

fn show(args: &ShowArgs, terminal: &Terminal) -> Outcome<()> {
    terminal.print(&CapView::of(&parse(&args.cap)?))
}

fn foreign(args: &ForeignArgs, terminal: &Terminal) -> Outcome<()> {
    let cap = match parse(&args.cap)? {
        AnyCap::Home(cap) => {
            let grid = args.grid.map_or_else(|| args.home.home_grid(), Ok)?;
            match ForeignCap::from_home(Area::Grid(grid), &cap) {
                MadeForeign::AsGiven(cap) => cap,
                MadeForeign::Diminished(cap) => {
                    terminal.note("the cap could write; its foreign form only reads");
                    cap
                }
            }
        }
        AnyCap::Foreign(cap) => match args.grid {
            Some(grid) if cap.grid_id() != Some(grid) => {
                let message = format!("the cap is foreign already, and names `{}` and not `{grid}`", cap.area());
                return Err(Failure::new(ExitCode::Malformed, message).hint("give the cap alone"));
            }
            _ => cap,
        },
    };
    let foreign_cap = if args.for_directory { cap.for_directory() } else { cap.to_string() };
    terminal.print(&ForeignView { foreign_cap })
}

#[derive(Serialize)]
struct ForeignView {
    foreign_cap: String,
}

impl fmt::Display for ForeignView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.foreign_cap)
    }
}

/// A cap taken apart.
#[derive(Serialize)]
struct CapView {
    kind: &'static str,
    directory: bool,
    mutable: bool,
    allows: &'static str,
    area: Option<String>,
    grid_id: Option<GridId>,
    home_cap: String,
    read_cap: Option<String>,
    verify_cap: Option<String>,
    storage_index: Option<String>,
    size_bytes: Option<u64>,
    shares_needed: Option<u16>,
    shares_total: Option<u16>,
}

impl CapView {
    fn of(cap: &AnyCap) -> Self {
        let (home_cap, foreign) = match cap {
            AnyCap::Home(cap) => (cap, None),
            AnyCap::Foreign(cap) => (cap.home_cap(), Some(cap)),
        };
        Self {
            kind: home_cap.kind(),
            directory: home_cap.is_directory(),
            mutable: home_cap.is_mutable(),
            allows: match home_cap.power() {
                Power::Verify => "verify",
                Power::Read => "read",
                Power::Write => "write",
            },
            area: foreign.map(|cap| cap.area().to_string()),
            grid_id: foreign.and_then(ForeignCap::grid_id),
            home_cap: home_cap.to_string(),
            read_cap: home_cap.read_cap().map(|cap| cap.to_string()),
            verify_cap: home_cap.verify_cap().map(|cap| cap.to_string()),
            storage_index: home_cap.storage_index().map(|index| index.to_string()),
            size_bytes: home_cap.size().map(|size| size.0),
            shares_needed: home_cap.shares().map(|shares| shares.needed()),
            shares_total: home_cap.shares().map(|shares| shares.total()),
        }
    }
}

impl fmt::Display for CapView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let content = if self.directory { "directory" } else { "file" };
        let change = if self.mutable { "mutable" } else { "immutable" };
        let mut table = Table::new();
        table.row("kind", format!("{}, {change} {content}", self.kind));
        table.row("allows", self.allows);
        table.row("grid", self.area.as_deref().unwrap_or("not named"));
        table.row("home cap", &self.home_cap);
        table.optional("read cap", self.read_cap.as_ref());
        table.optional("verify cap", self.verify_cap.as_ref());
        table.optional("storage index", self.storage_index.as_ref());
        table.optional("size", self.size_bytes.map(|size| format!("{size} bytes")));
        if let (Some(needed), Some(total)) = (self.shares_needed, self.shares_total) {
            table.row("shares", format!("any {needed} of {total}"));
        }
        table.fmt(f)
    }
}
