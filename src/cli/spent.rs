//! `usage`: what was read, from whom, by whom, and what it came to.

use crate::cli::exit::ExitCode;
use crate::cli::failure::{Failure, Outcome};
use crate::cli::home_arg::HomeArg;
use crate::cli::plot;
use crate::cli::spent_months::{MonthsView, Unacknowledged};
use crate::cli::terminal::Terminal;
use crate::clock::Clock;
use crate::config::{Home, read_key};
use crate::ledger::{Ledger, Location, Part, UsageLine};
use crate::members::{Members, OPERATOR};
use crate::rate::Money;
use crate::units::{Bytes, MinorUnits, Seconds, UnixSeconds};
use clap::Args;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

const DAY: u64 = 86_400;
/// How far back is looked where nothing is said.
const DAYS: u64 = 92;

/// Show what was read and what it came to: of a client by day, grid and file, of an operator by client, grid and month
///
/// Files are named by a code that only these books know: the same file has the same code.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  clearinghouse usage -d client --plot usage.svg")]
pub(super) struct UsageArgs {
    /// From this day on, as 2027-06-01 [default: three months ago]
    #[arg(long, value_name = "DAY")]
    since: Option<UnixSeconds>,
    /// Draw the octets of each day into this file
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,
    #[command(flatten)]
    home: HomeArg,
}

pub(super) fn run(args: &UsageArgs, terminal: &Terminal) -> Outcome<()> {
    let home = args.home.home()?;
    let now = Clock::system().now();
    let since = args.since.unwrap_or(now.minus(Seconds::days(DAYS)));
    let operator = home.config().exists();
    let books = if operator { vec![args.home.ledger()?] } else { books(&home)? };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::because(ExitCode::Failed, &error).about("cannot start"))?;
    let (mut lines, mut unpaid) = (Vec::new(), Unacknowledged::default());
    for location in books {
        let read: Outcome<Vec<UsageLine>> = runtime.block_on(async {
            let ledger = Ledger::open_reading(location).await?;
            let until = now.plus(Seconds::days(1));
            let lines = ledger.usage(since, until).await;
            if operator {
                unpaid.written_off = ledger.written_off(since.0 / DAY..until.0 / DAY).await?;
                unpaid.held = ledger.unvouchered().await?;
            }
            ledger.close().await;
            Ok(lines?)
        });
        lines.extend(read?);
    }
    if let Some(file) = &args.plot {
        let title = if operator { "octets delivered each day" } else { "octets read each day" };
        let mut days: BTreeMap<u64, u64> = BTreeMap::new();
        for line in lines.iter().filter(|line| !operator || line.part == Part::Payee) {
            *days.entry(line.day.0).or_default() += line.bytes.0;
        }
        std::fs::write(file, plot::days(&days, title)).map_err(|error| {
            Failure::because(ExitCode::Failed, &error).about(format!("cannot write `{}`", file.display()))
        })?;
    }
    if operator {
        let labels = labels(&args.home, &home, now)?;
        return terminal.print(&MonthsView::new(&lines, &unpaid, &labels));
    }
    terminal.print(&DaysView::new(&lines))
}

/// The files of a client's books.
fn books(home: &Home) -> Outcome<Vec<Location>> {
    let folder = home.client_ledgers();
    let entries = match std::fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(_) => return Ok(Vec::new()),
    };
    let mut books: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    books.retain(|path| path.extension().is_some_and(|end| end == "sqlite"));
    books.sort();
    Ok(books.into_iter().map(Location::Sqlite).collect())
}

/// What the operator calls each client.
fn labels(arg: &HomeArg, home: &Home, now: UnixSeconds) -> Outcome<BTreeMap<String, String>> {
    let members = Members::open(home, arg.grid()?)?;
    let mut labels: BTreeMap<String, String> =
        members.clients(now).iter().map(|one| (one.key().to_string(), one.label().to_string())).collect();
    // Whoever works here is a client without a membership.
    if let Ok(key) = read_key(&home.accounting_key()) {
        labels.insert(key.public().to_string(), OPERATOR.to_owned());
    }
    Ok(labels)
}

#[derive(Serialize)]
struct DaysView {
    lines: Vec<DayLine>,
}

#[derive(Serialize)]
struct DayLine {
    day: String,
    grid_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    bytes: u64,
    charge: Money,
}

impl DaysView {
    fn new(lines: &[UsageLine]) -> Self {
        let mut sums = BTreeMap::new();
        for line in lines.iter().filter(|line| line.part == Part::Payer) {
            let key = (line.day.0, line.grid.to_string(), line.file, line.asset);
            let sum: &mut (u64, u64) = sums.entry(key).or_default();
            *sum = (sum.0.saturating_add(line.bytes.0), sum.1.saturating_add(line.amount.0));
        }
        let lines = sums.into_iter().map(|((day, grid_id, file, asset), (bytes, amount))| DayLine {
            day: day_text(day),
            grid_id,
            file: file.map(|file| data_encoding::HEXLOWER.encode(&file[..8])),
            bytes,
            charge: Money::new(asset, MinorUnits(amount)),
        });
        Self { lines: lines.collect() }
    }
}

impl fmt::Display for DaysView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.lines.is_empty() {
            return writeln!(f, "nothing was read");
        }
        for line in &self.lines {
            let file = line.file.as_deref().unwrap_or("-");
            writeln!(f, "{}  {}  {file:16}  {:>10}  {}", line.day, line.grid_id, Bytes(line.bytes), line.charge)?;
        }
        Ok(())
    }
}

/// A day in UTC.
pub(super) fn day_text(seconds: u64) -> String {
    UnixSeconds(seconds).to_string()[..10].to_owned()
}
