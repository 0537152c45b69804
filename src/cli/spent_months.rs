//! What `usage` shows an operator: by month, grid and client, with what nobody has acknowledged.

use crate::cli::spent::day_text;
use crate::keys::PublicKey;
use crate::ledger::{Part, UsageLine};
use crate::rate::Money;
use crate::units::{Bytes, MinorUnits};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

const DAY: u64 = 86_400;

/// What was sent and never vouched for.
#[derive(Debug, Default)]
pub(super) struct Unacknowledged {
    /// Whose it was, on which day since 1970 it was written off, and how much.
    pub(super) written_off: Vec<(PublicKey, u64, Bytes)>,
    /// What is not written off, by whose it is.
    pub(super) held: BTreeMap<PublicKey, Bytes>,
}

#[derive(Serialize)]
pub(super) struct MonthsView {
    lines: Vec<MonthLine>,
    written_off: Vec<WrittenOffLine>,
    not_acknowledged: Vec<UnacknowledgedLine>,
}

/// What was never vouched for and is written off.
#[derive(Serialize)]
struct WrittenOffLine {
    month: String,
    /// A client's key or a grid's id.
    party: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<String>,
    bytes: u64,
}

/// What was sent, is not vouched for by now, and holds the window of whoever it was sent to.
#[derive(Serialize)]
struct UnacknowledgedLine {
    /// A client's key or a grid's id.
    party: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<String>,
    bytes: u64,
}

#[derive(Serialize)]
struct MonthLine {
    month: String,
    /// `to_client`, `to_grid` or `from_grid`.
    direction: &'static str,
    /// A client's key or a grid's id.
    party: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<String>,
    /// Whose files.
    grid_id: String,
    bytes: u64,
    charge: Money,
}

impl MonthsView {
    pub(super) fn new(lines: &[UsageLine], unpaid: &Unacknowledged, labels: &BTreeMap<String, String>) -> Self {
        let mut sums = BTreeMap::new();
        for line in lines {
            let party = line.party.to_string();
            let direction = match line.part {
                Part::Payer => "from_grid",
                Part::Payee if labels.contains_key(&party) => "to_client",
                Part::Payee => "to_grid",
                Part::Clearing => continue,
            };
            let month = day_text(line.day.0)[..7].to_owned();
            let key = (month, direction, party, line.grid.to_string(), line.asset);
            let sum: &mut (u64, u64) = sums.entry(key).or_default();
            *sum = (sum.0.saturating_add(line.bytes.0), sum.1.saturating_add(line.amount.0));
        }
        let lines = sums.into_iter().map(|((month, direction, party, grid_id, asset), (bytes, amount))| MonthLine {
            month,
            direction,
            label: labels.get(&party).cloned(),
            party,
            grid_id,
            bytes,
            charge: Money::new(asset, MinorUnits(amount)),
        });
        let label = |party: &String| labels.get(party).cloned();
        let mut months: BTreeMap<(String, String), u64> = BTreeMap::new();
        for (payer, day, bytes) in &unpaid.written_off {
            let month = day_text(day.saturating_mul(DAY))[..7].to_owned();
            let sum = months.entry((month, payer.to_string())).or_default();
            *sum = sum.saturating_add(bytes.0);
        }
        let written_off = months.into_iter().map(|((month, party), bytes)| WrittenOffLine {
            month,
            label: label(&party),
            party,
            bytes,
        });
        let held = unpaid.held.iter().map(|(payer, bytes)| {
            let party = payer.to_string();
            UnacknowledgedLine { label: label(&party), party, bytes: bytes.0 }
        });
        Self { lines: lines.collect(), written_off: written_off.collect(), not_acknowledged: held.collect() }
    }
}

impl fmt::Display for MonthsView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.lines.is_empty() && self.written_off.is_empty() && self.not_acknowledged.is_empty() {
            return writeln!(f, "nothing was read");
        }
        for line in &self.lines {
            let who = line.label.as_deref().unwrap_or(&line.party);
            let direction = line.direction.replace('_', " ");
            let of = if line.grid_id == line.party { String::new() } else { format!("  files of {}", line.grid_id) };
            writeln!(f, "{}  {direction} {who}  {}  {}{of}", line.month, Bytes(line.bytes), line.charge)?;
        }
        for WrittenOffLine { month, party, label, bytes } in &self.written_off {
            let who = label.as_ref().unwrap_or(party);
            writeln!(f, "{month}  written off, never acknowledged by {who}  {}", Bytes(*bytes))?;
        }
        for UnacknowledgedLine { party, label, bytes } in &self.not_acknowledged {
            let who = label.as_ref().unwrap_or(party);
            writeln!(f, "now      not acknowledged by {who}  {}", Bytes(*bytes))?;
        }
        Ok(())
    }
}
