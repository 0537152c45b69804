//! `rates`: what a grid charges, until when it is bound to that, and what it promised before.

use crate::cli::api::{Successors, about_grid};
use crate::cli::failure::Outcome;
use crate::cli::home_arg::HomeArg;
use crate::cli::network_args::NetworkArgs;
use crate::cli::resolve::ask;
use crate::cli::terminal::Terminal;
use crate::clock::Clock;
use crate::keys::GridId;
use crate::rate::Money;
use crate::record::{GridRecord, binding};
use crate::resolver::{DEFAULT_DEADLINE, Policy, Question};
use crate::units::{MinorUnits, UnixSeconds};
use clap::Args;
use serde::Serialize;
use std::fmt;

/// Show what a grid charges for downloads: now, until when it is bound to that, what follows, and what it promised before
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  clearinghouse rates pub-v0-… -d client")]
pub(super) struct RatesArgs {
    /// The grid
    #[arg(value_name = "GRID")]
    grid: GridId,
    #[command(flatten)]
    home: HomeArg,
    #[command(flatten)]
    network: NetworkArgs,
}

pub(super) fn run(args: &RatesArgs, terminal: &Terminal) -> Outcome<()> {
    let home = args.home.home()?;
    let question = Question { grid: args.grid, policy: Policy::Fast, deadline: DEFAULT_DEADLINE };
    let (answer, network) = ask(&home, &args.network, question, Successors::Followed)?;
    let answer = answer.map_err(|failure| about_grid(failure, &args.grid, &network))?;
    terminal.print(&RatesView::new(&answer.record, &answer.evidence, Clock::system().now()))
}

#[derive(Serialize)]
struct RatesView {
    grid_id: String,
    /// What is charged now, asset by asset; with `XXX` among them nothing is.
    now: Vec<NowView>,
    /// What the grid's records have said, the newest first.
    seen: Vec<LineView>,
}

#[derive(Serialize)]
struct NowView {
    price_per_gib: Money,
    committed_until_unix_seconds: UnixSeconds,
    /// The record that binds the grid to it.
    record: String,
    /// Whether that is an earlier record, which the newest one does not keep to.
    from_evidence: bool,
}

#[derive(Serialize)]
struct LineView {
    record: String,
    issued_at_unix_seconds: UnixSeconds,
    price_per_gib: Money,
    from_unix_seconds: UnixSeconds,
    committed_until_unix_seconds: UnixSeconds,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_price_per_gib: Option<Money>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_from_unix_seconds: Option<UnixSeconds>,
}

impl RatesView {
    fn new(record: &GridRecord, evidence: &[GridRecord], now: UnixSeconds) -> Self {
        let records: Vec<&GridRecord> = std::iter::once(record).chain(evidence).collect();
        let mut assets: Vec<_> = records.iter().flat_map(|record| record.rates()).map(|rate| rate.asset()).collect();
        assets.sort_unstable();
        assets.dedup();
        let in_force = assets.into_iter().filter_map(|asset| {
            let bound = binding(asset, Some(record), evidence, now).filter(|bound| bound.promise.asset == asset)?;
            Some(NowView {
                price_per_gib: Money::new(asset, MinorUnits(bound.promise.price.0)),
                committed_until_unix_seconds: bound.promise.until,
                record: bound.record.to_string(),
                from_evidence: bound.record != record.signed().identity(),
            })
        });
        let lines = records.iter().flat_map(|record| {
            record.rates().iter().map(|rate| {
                let next = rate.line().next();
                LineView {
                    record: record.signed().identity().to_string(),
                    issued_at_unix_seconds: record.signed().issued_at(),
                    price_per_gib: Money::new(rate.asset(), MinorUnits(rate.line().price().0)),
                    from_unix_seconds: rate.from(),
                    committed_until_unix_seconds: rate.until(),
                    next_price_per_gib: next.map(|next| Money::new(rate.asset(), MinorUnits(next.price.0))),
                    next_from_unix_seconds: next.map(|next| next.not_before),
                }
            })
        });
        Self { grid_id: record.grid().to_string(), now: in_force.collect(), seen: lines.collect() }
    }
}

impl fmt::Display for RatesView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.now.is_empty() {
            writeln!(f, "no price is in force: this grid serves nobody without terms of its own")?;
        }
        for line in &self.now {
            let price = per_gib(&line.price_per_gib);
            let broken = if line.from_evidence { ", by an earlier record that binds" } else { "" };
            writeln!(f, "now    {price}, committed until {}{broken}", line.committed_until_unix_seconds)?;
        }
        for line in &self.seen {
            let (price, from) = (per_gib(&line.price_per_gib), line.from_unix_seconds);
            write!(f, "seen   {price} from {from} to {}", line.committed_until_unix_seconds)?;
            if let (Some(next), Some(from)) = (&line.next_price_per_gib, line.next_from_unix_seconds) {
                write!(f, ", then {} from {from}", per_gib(next))?;
            }
            writeln!(f, ", record of {}", line.issued_at_unix_seconds)?;
        }
        Ok(())
    }
}

fn per_gib(money: &Money) -> String {
    if money.amount == "0" { "free".to_owned() } else { format!("{money} per GiB") }
}
