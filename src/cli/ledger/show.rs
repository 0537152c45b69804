//! `ledger inspect`: what the books hold, at a glance or of one lane.

use crate::cli::exit::ExitCode;
use crate::cli::failure::{Failure, Outcome};
use crate::cli::ledger::LedgerArg;
use crate::cli::table::Table;
use crate::cli::terminal::Terminal;
use crate::ledger::{LaneState, Ledger, Part};
use crate::signed::Identity;
use clap::Args;
use serde::Serialize;
use std::fmt;

/// Show what the books hold: balances, what was never vouched for, how much of everything; or one lane
///
/// A balance above zero is what is owed to this grid or was spent, one below zero what it owes or has earned.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  clearinghouse ledger inspect -d node")]
pub(in crate::cli) struct InspectArgs {
    /// The lane to show, 64 hexadecimal digits as `ledger export lanes` lists them
    #[arg(value_name = "LANE", value_parser = lane_id)]
    lane: Option<Identity>,
    #[command(flatten)]
    ledger: LedgerArg,
}

fn lane_id(text: &str) -> Result<Identity, String> {
    let bytes = data_encoding::HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok();
    bytes
        .and_then(|bytes| bytes.try_into().ok())
        .map(Identity)
        .ok_or_else(|| "64 hexadecimal digits name a lane".to_owned())
}

pub(super) fn run(args: &InspectArgs, terminal: &Terminal) -> Outcome<()> {
    args.ledger.reading(async |ledger| match args.lane {
        Some(lane) => terminal.print(&lanes(ledger, lane).await?),
        None => terminal.print(&books(ledger).await?),
    })
}

async fn books(ledger: &Ledger) -> Outcome<BooksView> {
    let balances = ledger.balances().await?.into_iter().map(|(account, asset, amount)| BalanceView {
        account,
        amount: amount.to_string(),
        asset: asset.code(),
        scale: asset.scale(),
        shown: format!("{}{} {asset}", if amount < 0 { "-" } else { "" }, asset.decimal(amount.unsigned_abs())),
    });
    let balances = balances.collect();
    let unvouchered = ledger.unvouchered().await?.into_iter();
    let unvouchered =
        unvouchered.map(|(payer, bytes)| UnvoucheredView { payer: payer.to_string(), bytes: bytes.0 }).collect();
    let tables = ledger.counts().await?.into_iter().map(|count| (count.table, count.rows)).collect();
    Ok(BooksView { ledger: ledger.location().to_string(), balances, unvouchered, tables })
}

async fn lanes(ledger: &Ledger, lane: Identity) -> Outcome<LaneViews> {
    let mut found = Vec::new();
    for part in Part::ALL {
        if let Some(state) = ledger.lane(part, lane).await? {
            found.push(LaneView::of(part, &state));
        }
    }
    if found.is_empty() {
        return Err(Failure::new(
            ExitCode::NotFound,
            format!("lane {lane} is not in the ledger {}", ledger.location()),
        ));
    }
    Ok(LaneViews { lanes: found })
}

#[derive(Serialize)]
struct BalanceView {
    account: String,
    /// Minor units, perhaps negative.
    amount: String,
    asset: &'static str,
    scale: u32,
    #[serde(skip)]
    shown: String,
}

#[derive(Serialize)]
struct UnvoucheredView {
    payer: String,
    bytes: u64,
}

#[derive(Serialize)]
struct BooksView {
    ledger: String,
    balances: Vec<BalanceView>,
    unvouchered: Vec<UnvoucheredView>,
    tables: std::collections::BTreeMap<&'static str, u64>,
}

impl fmt::Display for BooksView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new();
        table.row("ledger", &self.ledger);
        for balance in &self.balances {
            table.row(&balance.account, &balance.shown);
        }
        for owed in &self.unvouchered {
            table.row(format!("never vouched for by {}", owed.payer), crate::units::Bytes(owed.bytes));
        }
        let counts: Vec<String> = self.tables.iter().map(|(table, rows)| format!("{table} {rows}")).collect();
        table.row("rows", counts.join(", "));
        table.fmt(f)
    }
}

#[derive(Serialize)]
struct LaneView {
    lane: String,
    part: String,
    payer: String,
    payee: String,
    destination: String,
    asset: &'static str,
    scale: u32,
    price_per_gib_minor_units: String,
    opened_at_unix_seconds: u64,
    not_after_unix_seconds: u64,
    sent_bytes: u64,
    vouchered_bytes: u64,
    amount: String,
    terms: Option<String>,
    evidence: Option<String>,
}

impl LaneView {
    fn of(part: Part, state: &LaneState) -> Self {
        let body = state.open.body();
        let voucher = state.voucher.as_ref().map(|voucher| voucher.body());
        Self {
            lane: state.open.identity().to_string(),
            part: part.to_string(),
            payer: body.payer.to_string(),
            payee: body.payee.to_string(),
            destination: body.destination().to_string(),
            asset: body.asset.code(),
            scale: body.asset.scale(),
            price_per_gib_minor_units: body.price.to_string(),
            opened_at_unix_seconds: body.opened_at.0,
            not_after_unix_seconds: body.not_after.0,
            sent_bytes: state.sent.0,
            vouchered_bytes: voucher.map_or(0, |voucher| voucher.cum_bytes.0),
            amount: voucher.map_or(0, |voucher| voucher.cum_amount.0).to_string(),
            terms: body.terms.map(|identity| identity.to_string()),
            evidence: body.evidence.map(|identity| identity.to_string()),
        }
    }
}

#[derive(Serialize)]
struct LaneViews {
    lanes: Vec<LaneView>,
}

impl fmt::Display for LaneViews {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for lane in &self.lanes {
            let mut table = Table::new();
            table.row("lane", &lane.lane);
            table.row("in the part of", &lane.part);
            table.row("payer", &lane.payer);
            table.row("payee", &lane.payee);
            table.row("files of", &lane.destination);
            table.row("opened", crate::units::UnixSeconds(lane.opened_at_unix_seconds));
            table.row("ends", crate::units::UnixSeconds(lane.not_after_unix_seconds));
            table.row("sent", crate::units::Bytes(lane.sent_bytes));
            table.row("vouched for", crate::units::Bytes(lane.vouchered_bytes));
            table.row("charge", format!("{} minor units of {} (scale {})", lane.amount, lane.asset, lane.scale));
            table.optional("terms", lane.terms.as_ref());
            table.optional("price by", lane.evidence.as_ref());
            table.fmt(f)?;
        }
        Ok(())
    }
}
