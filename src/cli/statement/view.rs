//! Statements as JSON, as text and as lines for a spreadsheet, from one value.

use crate::cli::table::Table;
use crate::keys::GridId;
use crate::ledger::Dispute;
use crate::netting::Ageing;
use crate::netting::Bill;
use crate::rate::Asset;
use crate::tariff::wire::{Position, SettledBy};
use crate::units::UnixSeconds;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::ops::Range;

/// All statements of a period.
#[derive(Debug, Serialize)]
pub(super) struct StatementsView {
    grid_id: String,
    from_unix_seconds: UnixSeconds,
    until_unix_seconds: UnixSeconds,
    statements: Vec<BillView>,
}

/// One statement. Amounts are strings of digits in minor units of the asset.
#[derive(Debug, Serialize)]
pub(super) struct BillView {
    #[serde(skip)]
    asset_itself: Asset,
    creditor: String,
    debtor: String,
    clearing: String,
    asset: String,
    scale: u32,
    brought_forward: String,
    charged: String,
    set_off: String,
    settled: String,
    payable: String,
    carried: String,
    position: String,
    ageing: AgeingView,
    /// What of the lanes between the two is in dispute, by our books: whenever it was delivered.
    in_dispute: String,
    /// These lanes.
    disputed_lanes: Vec<String>,
    lines: Vec<LineView>,
}

/// How long what is due has been due.
#[derive(Debug, Serialize)]
struct AgeingView {
    not_due: String,
    to_30_days: String,
    to_60_days: String,
    to_90_days: String,
    older: String,
    /// For how many whole days the oldest of it has been due.
    #[serde(skip_serializing_if = "Option::is_none")]
    overdue_days: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    due_since_unix_seconds: Option<UnixSeconds>,
}

/// What was booked in the period.
#[derive(Debug, Serialize)]
struct LineView {
    booked_at_unix_seconds: UnixSeconds,
    /// `lane`, `payment` or `netting`.
    kind: &'static str,
    /// The lane, or what proves that a debt is settled.
    identity: String,
    debtor: String,
    bytes: u64,
    amount: String,
}

impl StatementsView {
    pub(super) fn new(grid: &GridId, period: &Range<UnixSeconds>, statements: Vec<BillView>) -> Self {
        Self { grid_id: grid.to_string(), from_unix_seconds: period.start, until_unix_seconds: period.end, statements }
    }

    /// A header, one line for whatever was booked, and after those of each statement its totals, which have no time.
    pub(super) fn csv(&self) -> Csv {
        let mut text = "booked_at,creditor,debtor,clearing,kind,identity,bytes,asset,scale,amount\n".to_owned();
        for bill in &self.statements {
            for line in &bill.lines {
                let LineView { booked_at_unix_seconds: at, kind, identity, debtor, bytes, amount } = line;
                let creditor = if *debtor == bill.debtor { &bill.creditor } else { &bill.debtor };
                let BillView { clearing, asset, scale, .. } = bill;
                // Of all these none has a comma or a quote in it.
                let _ = writeln!(
                    text,
                    "{at},{creditor},{debtor},{clearing},{kind},{identity},{bytes},{asset},{scale},{amount}"
                );
            }
            let BillView { creditor, debtor, clearing, position, asset, scale, .. } = bill;
            for (name, amount) in bill.totals() {
                let _ = writeln!(text, ",{creditor},{debtor},{clearing},{name},{position},,{asset},{scale},{amount}");
            }
        }
        Csv(text)
    }
}

/// Lines for a spreadsheet.
#[derive(Debug, Serialize)]
pub(super) struct Csv(String);

impl fmt::Display for Csv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl BillView {
    pub(super) fn new<'d>(
        bill: &Bill,
        chain: &[Position],
        ageing: &Ageing,
        disputes: impl Iterator<Item = &'d Dispute>,
        now: UnixSeconds,
    ) -> Self {
        // A lane may differ at more than one point: what lies beyond the first has the others in it.
        let mut disputed: BTreeMap<String, u128> = BTreeMap::new();
        for dispute in disputes {
            let amount = disputed.entry(dispute.found.open.identity().to_string()).or_default();
            *amount = (*amount).max(dispute.amount.0.into());
        }
        let mut lines = Vec::new();
        for position in chain.iter().map(Position::body).filter(|body| bill.period.contains(&body.time)) {
            let grid =
                |party| if party == crate::tariff::wire::Party::First { position.first } else { position.second };
            for line in &position.lanes {
                lines.push(LineView {
                    booked_at_unix_seconds: position.time,
                    kind: "lane",
                    identity: line.lane.to_string(),
                    debtor: grid(line.debtor).to_string(),
                    bytes: line.to_bytes.0 - line.from_bytes.0,
                    amount: (line.to_amount.0 - line.from_amount.0).to_string(),
                });
            }
            for line in &position.settled {
                lines.push(LineView {
                    booked_at_unix_seconds: position.time,
                    kind: if line.by == SettledBy::Payment { "payment" } else { "netting" },
                    identity: line.proof.to_string(),
                    debtor: grid(line.debtor).to_string(),
                    bytes: 0,
                    amount: line.amount.0.to_string(),
                });
            }
        }
        Self {
            asset_itself: bill.asset,
            creditor: bill.creditor.to_string(),
            debtor: bill.debtor.to_string(),
            clearing: bill.clearing.to_string(),
            asset: bill.asset.code().to_owned(),
            scale: bill.asset.scale(),
            brought_forward: bill.brought_forward.to_string(),
            charged: bill.charged.to_string(),
            set_off: bill.set_off.to_string(),
            settled: bill.settled.to_string(),
            payable: bill.payable.to_string(),
            carried: bill.carried.to_string(),
            position: bill.position.to_string(),
            ageing: AgeingView {
                not_due: ageing.not_due.to_string(),
                to_30_days: ageing.to_30_days.to_string(),
                to_60_days: ageing.to_60_days.to_string(),
                to_90_days: ageing.to_90_days.to_string(),
                older: ageing.older.to_string(),
                overdue_days: ageing.due_since.map(|since| now.since(since).0 / 86_400),
                due_since_unix_seconds: ageing.due_since,
            },
            in_dispute: disputed.values().sum::<u128>().to_string(),
            disputed_lanes: disputed.into_keys().collect(),
            lines,
        }
    }

    /// The figures of the statement, as `statement/1` names them.
    fn totals(&self) -> [(&'static str, &str); 6] {
        [
            ("brought_forward", &self.brought_forward),
            ("charged", &self.charged),
            ("set_off", &self.set_off),
            ("settled", &self.settled),
            ("payable", &self.payable),
            ("carried", &self.carried),
        ]
    }

    /// Minor units as people write amounts.
    fn amount(&self, digits: &str) -> String {
        match digits.parse() {
            Ok(units) => format!("{} {}", self.asset_itself.decimal(units), self.asset),
            Err(_) => format!("{digits} minor units of {}", self.asset),
        }
    }
}

impl fmt::Display for StatementsView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "From {} to {}", self.from_unix_seconds, self.until_unix_seconds)?;
        if self.statements.is_empty() {
            writeln!(
                f,
                "\nNothing was booked: what is free is on no bill. `clearinghouse usage` says who has read how much."
            )?;
        }
        for bill in &self.statements {
            let mut table = Table::new();
            table.row("owed by", &bill.debtor);
            table.row("owed to", &bill.creditor);
            let clears = if bill.clearing == bill.creditor { "the creditor itself" } else { &bill.clearing };
            table.row("booked by", clears);
            let mut lane_bytes = 0_u64;
            bill.lines.iter().for_each(|line| lane_bytes = lane_bytes.saturating_add(line.bytes));
            table.row("delivered", crate::units::Bytes(lane_bytes));
            for (name, digits) in [
                ("brought forward", &bill.brought_forward),
                ("charged", &bill.charged),
                ("set off", &bill.set_off),
                ("paid or netted", &bill.settled),
                ("payable", &bill.payable),
                ("carried over", &bill.carried),
            ] {
                table.row(name, bill.amount(digits));
            }
            for (name, digits) in [
                ("not due yet", &bill.ageing.not_due),
                ("due to 30 days", &bill.ageing.to_30_days),
                ("due to 60 days", &bill.ageing.to_60_days),
                ("due to 90 days", &bill.ageing.to_90_days),
                ("due longer", &bill.ageing.older),
            ] {
                if digits != "0" {
                    table.row(name, bill.amount(digits));
                }
            }
            if let (Some(days), Some(since)) = (bill.ageing.overdue_days, bill.ageing.due_since_unix_seconds) {
                let for_so_long = if days == 1 { "1 day".to_owned() } else { format!("{days} days") };
                table.row("overdue", format!("for {for_so_long}, since {since}"));
            }
            if !bill.disputed_lanes.is_empty() {
                let (lanes, amount) = (bill.disputed_lanes.len(), bill.amount(&bill.in_dispute));
                table.row("in dispute", format!("{amount} on {lanes} of the lanes: `clearinghouse dispute list`"));
            }
            table.row("last position", &bill.position);
            write!(f, "\n{table}")?;
        }
        Ok(())
    }
}
