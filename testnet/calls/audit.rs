//! Whether the books of all who took part agree, and every octet is billed once.

use crate::calls::books::{Shelf, bill_between};
use crate::calls::grids::money;
use crate::calls::stage::CallStage;
use crate::play::AnyError;
use lafs_clearinghouse::ledger::{LaneLine, Part};
use lafs_clearinghouse::tariff::wire::LaneId;
use serde_json::Value;
use std::collections::BTreeMap;

/// What may be delivered to a grid, and to a client, and not vouched for, where nobody has agreed on less.
const PAIR_WINDOW: u64 = 256 << 20;
const CLIENT_WINDOW: u64 = 256 << 20;

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) faults: Vec<String>,
    pub(super) told: String,
}

/// A lane in the books of all that keep it: octets and amount, by part.
type Lanes<'a> = BTreeMap<LaneId, BTreeMap<&'static str, &'a LaneLine>>;

/// Looks for whatever disagrees.
pub(super) async fn audit(stage: &CallStage, shelves: &[Shelf], statements: &[Vec<Value>]) -> Result<Found, AnyError> {
    let mut found = Found::default();
    for Shelf { name, fault, entries, .. } in shelves {
        found.faults.extend(fault.iter().map(|fault| format!("the books of {name} are not what was signed: {fault}")));
        if *entries != 0 {
            found.faults.push(format!("the entries of {name} sum to {entries} and not to zero"));
        }
    }
    let lanes = lanes(shelves, &mut found);
    let is_grid = |line: &LaneLine| stage.grids.testnet.grids.iter().any(|grid| *grid.key() == line.payer);
    let (wholesale, retail): (Vec<_>, Vec<_>) =
        lanes.values().partition(|parts| parts.values().next().is_some_and(|line| is_grid(line)));
    let octets = |lanes: &[&BTreeMap<&str, &LaneLine>]| {
        lanes.iter().filter_map(|parts| parts.values().map(|line| line.bytes.0).max()).sum::<u64>()
    };
    for (id, parts) in &lanes {
        let is_wholesale = parts.values().next().is_some_and(|line| is_grid(line));
        let needed: &[&str] = if is_wholesale { &["payer", "payee", "clearing"] } else { &["payer", "payee"] };
        let of = |part: &&str| parts.get(*part).map_or((0, 0), |line| (line.bytes.0, line.amount.0));
        let all: Vec<(u64, u64)> = needed.iter().map(of).collect();
        if all.iter().any(|one| *one != all[0]) {
            let told: Vec<String> = needed
                .iter()
                .zip(&all)
                .map(|(part, (octets, amount))| format!("{part} {octets} octets for {amount}"))
                .collect();
            found.faults.push(format!("lane {id}: {}", told.join(", ")));
        }
    }
    let (bought, sold) = (octets(&wholesale), octets(&retail));
    let reading = &stage.reading;
    let most = reading.at_most;
    for (who, billed, least) in
        [("clients", sold, reading.at_least), ("grids", bought, reading.at_least.saturating_sub(reading.lost_at_most))]
    {
        if !(least..=most).contains(&billed) {
            found.faults.push(format!("{who} are billed for {billed} octets, and clients have read {least} to {most}"));
        }
    }
    found.faults.extend(dearer_lanes(stage, &wholesale));
    found.faults.extend(beyond_windows(stage, shelves));
    let billed = bills(stage, statements, &wholesale, &mut found).await?;
    found.told = format!(
        "{} files read, {} processes broken off; {sold} octets on {} lanes of clients, {bought} octets on {} lanes of grids, \
         each billed once: {}",
        reading.whole,
        reading.broken_off,
        retail.len(),
        wholesale.len(),
        money(u64::try_from(billed).unwrap_or(u64::MAX)),
    );
    Ok(found)
}

/// All lanes by their names; one that stands twice in the same part is a fault.
fn lanes<'a>(shelves: &'a [Shelf], found: &mut Found) -> Lanes<'a> {
    let mut lanes = Lanes::new();
    for shelf in shelves {
        for line in &shelf.lanes {
            let part = match line.part {
                Part::Payer => "payer",
                Part::Payee => "payee",
                Part::Clearing => "clearing",
            };
            if lanes.entry(line.lane).or_default().insert(part, line).is_some() {
                found.faults.push(format!("lane {} stands twice in books of its {part}", line.lane));
            }
        }
    }
    lanes
}

/// Lanes at a price above what their seller has promised.
fn dearer_lanes(stage: &CallStage, wholesale: &[&BTreeMap<&'static str, &LaneLine>]) -> Vec<String> {
    let lanes = wholesale.iter().filter_map(|parts| parts.values().next());
    let dearer = lanes.filter(|line| {
        let payee = stage.grids.numbers().find(|grid| *stage.grids.id(*grid).key() == line.payee);
        payee.is_none_or(|payee| line.price > stage.grids.rate(payee).price())
    });
    dearer.map(|line| format!("lane {} is dearer than its seller has promised", line.lane)).collect()
}

/// Payers that were sent more than their window without having vouched for it.
fn beyond_windows(stage: &CallStage, shelves: &[Shelf]) -> Vec<String> {
    let mut faults = Vec::new();
    for shelf in shelves {
        for (payer, octets) in &shelf.unvouchered {
            let is_grid = stage.grids.testnet.grids.iter().any(|grid| grid.key() == payer);
            let window = if is_grid { PAIR_WINDOW } else { CLIENT_WINDOW };
            if *octets > window {
                faults.push(format!("{} has sent {payer} {octets} octets that nobody vouches for", shelf.name));
            }
        }
    }
    faults
}

/// Whether the statements of the two and of the clearing node are the same, and come to what the lanes do; what all come to.
async fn bills(
    stage: &CallStage,
    statements: &[Vec<Value>],
    wholesale: &[&BTreeMap<&'static str, &LaneLine>],
    found: &mut Found,
) -> Result<u128, AnyError> {
    let mut all = 0_u128;
    for one in stage.grids.numbers() {
        for other in one + 1..stage.grids.numbers().end {
            let (id, other_id) = (stage.grids.id(one).to_string(), stage.grids.id(other).to_string());
            let told: Vec<Option<&Value>> =
                [one, other, 0].iter().map(|grid| bill_between(&statements[*grid], &id, &other_id)).collect();
            if told.iter().any(|bill| *bill != told[0]) {
                found
                    .faults
                    .push(format!("grids {one} and {other} are told other statements than each other: {told:?}"));
                continue;
            }
            // What each owes the other by the lanes, and what the two statements have charged.
            for (debtor, creditor) in [(one, other), (other, one)] {
                let of_lanes: u128 = wholesale
                    .iter()
                    .filter_map(|parts| parts.values().next())
                    .filter(|line| {
                        line.payer == *stage.grids.id(debtor).key() && line.payee == *stage.grids.id(creditor).key()
                    })
                    .map(|line| u128::from(line.amount.0))
                    .sum();
                let lines = told[0].and_then(|bill| bill["lines"].as_array());
                let billed: u128 = lines
                    .into_iter()
                    .flatten()
                    .filter(|line| {
                        line["kind"] == "lane" && line["debtor"] == stage.grids.id(debtor).to_string().as_str()
                    })
                    .filter_map(|line| line["amount"].as_str()?.parse::<u128>().ok())
                    .sum();
                if of_lanes != billed {
                    found.faults.push(format!(
                        "grid {debtor} has read for {of_lanes} from grid {creditor}, and the statement charges {billed}"
                    ));
                }
                all += billed;
                let owed = [
                    stage.owed(debtor, Part::Payer, debtor, creditor).await?,
                    stage.owed(creditor, Part::Payee, debtor, creditor).await?,
                    stage.owed(0, Part::Clearing, debtor, creditor).await?,
                ];
                if owed.iter().any(|by| *by != owed[0]) {
                    found.faults.push(format!(
                        "grid {debtor} owes grid {creditor} {} by its own books, {} by the other's, {} by the clearing node's",
                        owed[0], owed[1], owed[2]
                    ));
                }
            }
        }
    }
    Ok(all)
}
