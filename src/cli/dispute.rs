//! `dispute`: where two sides' books of lanes part, kept until somebody closes it.

use crate::cli::api::Api;
use crate::cli::dispute_views::{DisputeView, DisputesView};
use crate::cli::exit::ExitCode;
use crate::cli::failure::{Failure, Outcome};
use crate::cli::home_arg::HomeArg;
use crate::cli::statement::Period;
use crate::cli::terminal::Terminal;
use crate::http::ComparedLanesView;
use crate::keys::GridId;
use crate::ledger::{Dispute, Ledger};
use crate::record::Nickname;
use clap::{Args, Subcommand};
use std::str::FromStr;

/// Find where the books of two grids part, and keep what was found until somebody closes it
#[derive(Debug, Subcommand)]
pub(super) enum DisputeCommand {
    Open(OpenArgs),
    List(ListArgs),
    Show(ShowArgs),
    Close(CloseArgs),
}

/// Compare acknowledgements with those that the other side holds: of a lane, or of all lanes with a grid
///
/// Both keep the payer's last signature of every hour. The first point of a lane at which the two have signed accounts of other
/// deliveries is named, and kept with both signatures; what is before it is agreed, and what is behind it is to be talked about.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  clearinghouse dispute open pub-v0-… --period 2027-01 -d node
  clearinghouse dispute open 5be0…64 digits…19 -d node")]
pub(super) struct OpenArgs {
    /// A lane, 64 hexadecimal digits, as `statement --json` shows it; or the other grid
    #[arg(value_name = "LANE|GRID_ID")]
    about: About,
    /// Of a grid's lanes those that were opened in this month in UTC, as in 2027-01, or from one date to another, as in
    /// 2027-01-01..2027-01-15 [default: all]
    #[arg(long, value_name = "PERIOD")]
    period: Option<Period>,
    #[command(flatten)]
    home: HomeArg,
}

/// List what is in dispute
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  clearinghouse dispute list --all -d node")]
pub(super) struct ListArgs {
    /// Only with this grid
    #[arg(value_name = "GRID_ID")]
    grid: Option<GridId>,
    /// What was closed, too
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    home: HomeArg,
}

/// Show what is or was in dispute of a lane, with what either side holds
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  clearinghouse dispute show 5be0…64 digits…19 --json -d node")]
pub(super) struct ShowArgs {
    /// The lane, or the first digits of its name
    #[arg(value_name = "LANE")]
    lane: String,
    #[command(flatten)]
    home: HomeArg,
}

/// Close what is in dispute of a lane: it stays in the books, and in no statement any more
///
/// Nothing is booked by it. What the two have agreed on is settled as they like, with `statement paid` or a lane that is not paid.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  clearinghouse dispute close 5be0…64 digits…19 --by Ada --reason \"theirs holds, see mail of 3 May\" -d node")]
pub(super) struct CloseArgs {
    /// The lane, or the first digits of its name
    #[arg(value_name = "LANE")]
    lane: String,
    /// Who closes it, at most 64 bytes
    #[arg(long, value_name = "NAME")]
    by: Nickname,
    /// With what result, at most 64 bytes
    #[arg(long, value_name = "TEXT")]
    reason: Nickname,
    #[command(flatten)]
    home: HomeArg,
}

/// What is compared.
#[derive(Debug, Clone)]
enum About {
    Lane(String),
    Grid(GridId),
}

impl FromStr for About {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Ok(Self::Lane(text.to_ascii_lowercase()));
        }
        let neither = "neither a lane, which is named by 64 hexadecimal digits (`clearinghouse statement --json` shows those of a \
                       period), nor a grid id";
        text.parse().map(Self::Grid).map_err(|_| neither.to_owned())
    }
}

pub(super) fn run(command: &DisputeCommand, terminal: &Terminal) -> Outcome<()> {
    match command {
        DisputeCommand::Open(args) => terminal.print(&open(args)?),
        DisputeCommand::List(args) => {
            let mut found = disputes(&args.home)?;
            found.retain(|it| (args.all || it.closed.is_none()) && args.grid.is_none_or(|grid| it.other() == grid));
            terminal.print(&DisputesView::new(&found))
        }
        DisputeCommand::Show(args) => {
            let lane = named(&args.lane, &disputes(&args.home)?)?;
            let of_lane = disputes(&args.home)?.into_iter().filter(|it| it.found.open.identity().to_string() == lane);
            terminal.print(&DisputesView::new(&of_lane.collect::<Vec<_>>()))
        }
        DisputeCommand::Close(args) => {
            let lane = named(&args.lane, &disputes(&args.home)?)?;
            terminal.print(&Api::needed(&args.home.home()?)?.close_dispute(&lane, &args.by, &args.reason)?)
        }
    }
}

/// Has the node compare, as many lanes at a time as it does.
fn open(args: &OpenArgs) -> Outcome<ComparedLanesView> {
    let api = Api::needed(&args.home.home()?)?;
    let grid = match &args.about {
        About::Lane(lane) => return api.compare_lanes(&format!("lane={lane}")),
        About::Grid(grid) => grid,
    };
    let period = args.period.as_ref().map(Period::range);
    let period = period.map_or_else(String::new, |it| format!("&from={}&until={}", it.start.0, it.end.0));
    let mut all = api.compare_lanes(&format!("grid={grid}{period}"))?;
    while let Some(next) = all.next.take() {
        let more = api.compare_lanes(&format!("grid={grid}{period}&after={next}"))?;
        all.compared += more.compared;
        all.lanes.extend(more.lanes);
        all.not_shown.extend(more.not_shown);
        all.next = more.next;
    }
    Ok(all)
}

/// What is kept, beside a node that runs.
fn disputes(home: &HomeArg) -> Outcome<Vec<Dispute>> {
    let location = home.ledger()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::because(ExitCode::Failed, &error))?;
    Ok(runtime.block_on(async {
        let ledger = Ledger::open_reading(location).await?;
        let found = ledger.disputes().await;
        ledger.close().await;
        found
    })?)
}

/// The one lane in dispute whose name begins so.
fn named(lane: &str, disputes: &[Dispute]) -> Outcome<String> {
    let mut found: Vec<String> = disputes.iter().map(|it| it.found.open.identity().to_string()).collect();
    found.retain(|name| name.starts_with(&lane.to_ascii_lowercase()));
    found.sort_unstable();
    found.dedup();
    match found.len() {
        1 => Ok(found.remove(0)),
        0 => Err(Failure::new(ExitCode::NotFound, format!("no lane `{lane}` is or was in dispute"))
            .hint("`clearinghouse dispute list --all` shows what is kept")),
        count => Err(Failure::new(ExitCode::Malformed, format!("{count} lanes in dispute begin with `{lane}`"))
            .hint("type more digits")),
    }
}

impl DisputesView {
    fn new(disputes: &[Dispute]) -> Self {
        Self { disputes: disputes.iter().map(DisputeView::new).collect() }
    }
}
