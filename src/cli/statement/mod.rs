//! `statement`: what is due between grids for a period, from the positions that were held against the own books.

mod check;
mod paid;
mod period;
mod view;

pub(super) use period::Period;

use crate::cli::api::Api;
use crate::cli::exit::ExitCode;
use crate::cli::failure::{Failure, Outcome};
use crate::cli::home_arg::HomeArg;
use crate::cli::statement::view::{BillView, StatementsView};
use crate::cli::terminal::{Form, Terminal};
use crate::clock::Clock;
use crate::config::{PUBLIC_MODE, create_new, read_key};
use crate::keys::GridId;
use crate::ledger::{Dispute, Ledger};
use crate::netting::{Bill, ageing, bill};
use crate::rate::Asset;
use crate::signed::ObjectType;
use crate::tariff::statement_proof::StatementProof;
use crate::tariff::wire::{Position, Terms};
use crate::units::Seconds;
use clap::{Args, Subcommand};
use std::path::{Path, PathBuf};

/// Show what is due between this grid and others, or between the grids that it clears for
///
/// From signed positions that were held against this grid's own books, beside a node that runs. What is booked at a clearing
/// node and not fetched yet is not in it: a node fetches every minute.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Example:
  clearinghouse statement -d node --period 2027-01
  clearinghouse statement pub-v0-… -d node --csv > january.csv"
)]
pub(super) struct StatementArgs {
    /// Only with this grid
    #[arg(value_name = "GRID_ID")]
    grid: Option<GridId>,
    /// Only between that grid and this one: a node that clears for others keeps the books of several with it
    #[arg(long, value_name = "GRID_ID", requires = "grid")]
    with: Option<GridId>,
    /// Only in this asset
    #[arg(long, value_name = "ASSET")]
    asset: Option<Asset>,
    /// A month in UTC, as in 2027-01, or two dates, as in 2027-01-01..2027-01-15, the second one not included
    /// [default: this month]
    #[arg(long, value_name = "PERIOD")]
    period: Option<Period>,
    /// First have the running node claim what is owed, and fetch what was booked
    #[arg(long)]
    now: bool,
    /// Print lines for a spreadsheet, amounts in minor units: whatever was booked, and then the totals of each statement
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    /// Sign it and write it into this file, with the positions that it rests on: by whoever keeps the chain of positions, of one
    /// grid and asset, when the period is over
    #[arg(long, value_name = "FILE", requires = "grid")]
    sign: Option<PathBuf>,
    #[command(flatten)]
    home: HomeArg,
    #[command(subcommand)]
    command: Option<StatementCommand>,
}

#[derive(Debug, Subcommand)]
enum StatementCommand {
    Check(check::CheckArgs),
    Paid(paid::PaidArgs),
}

pub(super) fn run(args: &StatementArgs, terminal: &Terminal) -> Outcome<()> {
    match &args.command {
        Some(StatementCommand::Check(args)) => return check::run(args, terminal),
        Some(StatementCommand::Paid(args)) => return paid::run(args, terminal),
        None => {}
    }
    let own = args.home.grid()?;
    if args.now {
        let settled = Api::needed(&args.home.home()?)?.settle()?;
        settled.problems.iter().for_each(|problem| terminal.warn(problem));
    }
    let location = args.home.ledger()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::because(ExitCode::Failed, &error))?;
    let view = runtime.block_on(async {
        let ledger = Ledger::open_reading(location).await?;
        let view = statements(args, &own, &ledger).await;
        ledger.close().await;
        view
    })?;
    if args.csv && terminal.form() == Form::Text {
        return terminal.print(&view.csv());
    }
    terminal.print(&view)
}

async fn statements(args: &StatementArgs, own: &GridId, ledger: &Ledger) -> Outcome<StatementsView> {
    let now = Clock::system().now();
    let period = match &args.period {
        Some(period) => period.range(),
        None => Period::month_of(now).range(),
    };
    let disputes = ledger.disputes().await?;
    let (mut statements, mut ours) = (Vec::new(), Vec::new());
    for (clearing, pair) in ledger.chains().await? {
        let asked = args.grid.is_none_or(|grid| pair.has(&grid) && grid != *own || pair.has(&grid) && !pair.has(own));
        let asked = asked && args.with.is_none_or(|with| pair.has(&with) && Some(with) != args.grid);
        if !asked || args.asset.is_some_and(|asset| asset != pair.asset) {
            continue;
        }
        let chain = ledger.positions_after(&clearing, &pair, 0, u32::MAX).await?;
        let Some(bill) = bill(&chain, period.clone()) else { continue };
        // What two grids agreed on says when a charge is due.
        let terms =
            ledger.papers_of(ObjectType::Terms, Some(bill.debtor.as_bytes()), Some(bill.creditor.as_bytes())).await?;
        let settle = terms.iter().filter_map(|(_, _, bytes)| Terms::from_bytes(bytes).ok());
        let settle = settle.map(|terms| terms.body().settle).min().unwrap_or(Seconds(0));
        let ageing = ageing(&chain, &bill.debtor, settle, now);
        if clearing == *own {
            ours.push((bill.clone(), chain.clone()));
        }
        let of_bill = disputes.iter().filter(|it| is_of(it, own, &bill));
        statements.push(BillView::new(&bill, &chain, &ageing, of_bill, now));
    }
    if let Some(file) = &args.sign {
        sign(args, own, &ours, file)?;
    }
    Ok(StatementsView::new(own, &period, statements))
}

/// Whether a dispute is open and about lanes between the two of this bill.
fn is_of(dispute: &Dispute, own: &GridId, bill: &Bill) -> bool {
    let (mut two, mut of_bill) = ([*own, dispute.other()], [bill.creditor, bill.debtor]);
    two.sort_unstable();
    of_bill.sort_unstable();
    dispute.closed.is_none() && two == of_bill && dispute.found.open.body().asset == bill.asset
}

/// Signs the one bill of a chain that this grid keeps, with its gateway's key as its positions are.
fn sign(args: &StatementArgs, own: &GridId, ours: &[(Bill, Vec<Position>)], file: &Path) -> Outcome<()> {
    let [(bill, chain)] = ours else {
        let message = format!("this grid keeps {} chains of positions with that grid, and one is signed", ours.len());
        return Err(Failure::new(ExitCode::Refused, message).hint(match ours.len() {
            0 => "whoever the statement says it is booked by signs it: `GET /v1/statements/GRID` at its gateway",
            _ => "`--with GRID_ID` names the other one of the two, and `--asset` the asset",
        }));
    };
    let key = read_key(&args.home.home()?.gateway_key())?;
    let statement = bill.signed(*own, &key, Clock::system().now());
    let statement = statement.map_err(|error| Failure::because(ExitCode::Refused, &error))?;
    let proof = StatementProof::of(statement, chain);
    let proof =
        proof.map_err(|fault| Failure::because(ExitCode::Integrity, &fault).about("the positions in the books"))?;
    create_new(file, &proof.to_bytes(), PUBLIC_MODE)?;
    Ok(())
}
