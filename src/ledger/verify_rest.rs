//! What is not of one lane: sums, payments, chains of positions, usage, balances.

use crate::keys::{GridId, PublicKey};
use crate::ledger::entries::{Booking, Subject};
use crate::ledger::error::LedgerError;
use crate::ledger::part::Part;
use crate::ledger::settling::netting_entries;
use crate::ledger::sql::{Columns, Sql};
use crate::ledger::verify::{damaged, expected};
use crate::ledger::vouchers::{asset, public_key};
use crate::netting::Proposal;
use crate::rate::Asset;
use crate::record::SignedRecord;
use crate::signed::{Identity, ObjectType};
use crate::tariff::wire::{Claim, Consent, Deck, Payment, Position, Receipt, Revoke, Statement, Terms, WireError};
use crate::units::UnixSeconds;
use std::collections::BTreeMap;

const PAGE: i64 = 500;

/// Account, asset and amount of each.
type Entries = Vec<(String, String, i128)>;

/// Every booking sums to zero in each asset, and no row hangs in the air.
pub(super) async fn check_sums(sql: &mut Sql<'_>) -> Result<(), LedgerError> {
    let faults = [
        (
            "entry",
            "SELECT booking FROM entry GROUP BY booking, asset HAVING SUM(amount) <> 0 LIMIT 1",
            "its entries do not sum to zero",
        ),
        (
            "entry",
            "SELECT booking FROM entry WHERE NOT EXISTS (SELECT 1 FROM booking WHERE booking.booking = entry.booking) LIMIT 1",
            "of no booking",
        ),
        (
            "voucher",
            "SELECT lane FROM voucher WHERE NOT EXISTS (SELECT 1 FROM lane WHERE lane.lane = voucher.lane AND lane.part = voucher.part) LIMIT 1",
            "of no lane",
        ),
        (
            "checkpoint",
            "SELECT lane FROM checkpoint WHERE NOT EXISTS (SELECT 1 FROM voucher WHERE voucher.lane = checkpoint.lane AND voucher.part = checkpoint.part) LIMIT 1",
            "of no lane that has a later voucher",
        ),
        (
            "booking",
            "SELECT booking FROM booking WHERE kind = 'lane' AND NOT EXISTS (SELECT 1 FROM lane WHERE lane.lane = booking.subject AND lane.part = booking.part) LIMIT 1",
            "of no lane",
        ),
    ];
    for (table, text, what) in faults {
        if let Some(row) = sql.rows(sqlx::query(text)).await?.first() {
            let row = Columns { table, row }.name();
            return Err(LedgerError::Damaged { table, row, what: what.to_owned() });
        }
    }
    Ok(())
}

/// Every paper is what its identity names, and its signatures hold. Returns how many there are.
pub(super) async fn check_papers(sql: &mut Sql<'_>) -> Result<u64, LedgerError> {
    let text = "SELECT identity, kind, bytes, owner FROM paper WHERE identity > $1 ORDER BY identity LIMIT $2";
    let (mut count, mut after) = (0, Vec::new());
    loop {
        let rows = sql.rows(sqlx::query(text).bind(after.clone()).bind(PAGE)).await?;
        if rows.is_empty() {
            return Ok(count);
        }
        for row in &rows {
            let columns = Columns { table: "paper", row };
            let (kind, bytes, owner) = (columns.text(1)?, columns.bytes(2)?, columns.key(3)?);
            let found = identity_of(&kind, &bytes, &owner)
                .map_err(|what| damaged("paper", columns.bytes(0).unwrap_or_default(), what))?;
            if found.0 != columns.key(0)? {
                return Err(damaged("paper", columns.bytes(0)?, format!("what was signed is {found}")));
            }
            count += 1;
            after = columns.bytes(0)?;
        }
    }
}

fn identity_of(kind: &str, bytes: &[u8], owner: &[u8; 32]) -> Result<Identity, String> {
    let told = |error: WireError| error.to_string();
    match kind {
        _ if kind == ObjectType::Terms.name() => Terms::from_bytes(bytes).map(|it| it.identity()).map_err(told),
        _ if kind == ObjectType::Deck.name() => Deck::from_bytes(bytes).map(|it| it.identity()).map_err(told),
        _ if kind == ObjectType::Claim.name() => Claim::from_bytes(bytes).map(|it| it.identity()).map_err(told),
        _ if kind == ObjectType::Receipt.name() => Receipt::from_bytes(bytes).map(|it| it.identity()).map_err(told),
        _ if kind == ObjectType::Consent.name() => Consent::from_bytes(bytes).map(|it| it.identity()).map_err(told),
        _ if kind == ObjectType::Statement.name() => Statement::from_bytes(bytes).map(|it| it.identity()).map_err(told),
        _ if kind == ObjectType::Payment.name() => Payment::from_bytes(bytes).map(|it| it.identity()).map_err(told),
        _ if kind == ObjectType::Position.name() => Position::from_bytes(bytes).map(|it| it.identity()).map_err(told),
        _ if kind == ObjectType::Revoke.name() => Revoke::from_bytes(bytes).map(|it| it.identity()).map_err(told),
        _ if kind == ObjectType::Record.name() => {
            let grid = GridId::from_bytes(owner).map_err(|error| error.to_string())?;
            SignedRecord::from_bytes(bytes, &grid).map(|it| it.identity()).map_err(|error| error.to_string())
        }
        other => Err(format!("`{other}` is no kind that is kept")),
    }
}

/// Every payment has the entries that its paper gives it.
pub(super) async fn check_settlements(sql: &mut Sql<'_>) -> Result<(), LedgerError> {
    let text = "SELECT booking.booking, subject, booking.part, paper.bytes, account, asset, amount, hour FROM booking \
                JOIN entry ON entry.booking = booking.booking LEFT JOIN paper ON paper.identity = booking.subject \
                WHERE booking.kind = 'payment' ORDER BY booking.booking, account, asset";
    let mut last: Option<PaymentRows> = None;
    sql.each(sqlx::query(text), |row| {
        let columns = Columns { table: "booking", row };
        let name = columns.int(0)?;
        if last.as_ref().is_some_and(|rows| rows.name != name) {
            last.take().map_or(Ok(()), PaymentRows::check)?;
        }
        let (subject, part, paper) = (columns.key(1)?, columns.int(2)?, columns.maybe_bytes(3)?);
        if columns.int(7)? != 0 {
            return Err(columns.damaged(7, &"a payment is of no hour"));
        }
        let of = last.get_or_insert_with(|| PaymentRows { name, subject, part, paper, entries: Vec::new() });
        of.entries.push((columns.text(4)?, columns.text(5)?, i128::from(columns.int(6)?)));
        Ok(())
    })
    .await?;
    last.map_or(Ok(()), PaymentRows::check)
}

/// All that the tables have of the booking of a payment.
struct PaymentRows {
    name: i64,
    subject: [u8; 32],
    part: i64,
    paper: Vec<u8>,
    entries: Entries,
}

impl PaymentRows {
    fn check(mut self) -> Result<(), LedgerError> {
        let part = Part::of_number(self.part).ok_or_else(|| damaged("booking", self.subject, "no part"))?;
        let payment =
            Payment::from_bytes(&self.paper).map_err(|error| damaged("booking", self.subject, error.to_string()))?;
        let body = payment.body();
        let entries = Booking::payment(part, *body.debtor.key(), *body.creditor.key(), body.asset, body.amount);
        let booking =
            Booking { subject: Subject::Payment(self.subject), part, at: UnixSeconds(0), entries, is_there: true };
        self.entries.sort();
        if self.entries != expected(&booking) {
            let what = format!("payment {}: not what was signed", payment.identity());
            return Err(LedgerError::Damaged { table: "entry", row: self.name.to_string(), what });
        }
        Ok(())
    }
}

/// Every netting has the entries that follow from what was agreed on.
pub(super) async fn check_nettings(sql: &mut Sql<'_>) -> Result<(), LedgerError> {
    let mut bookings: BTreeMap<([u8; 32], i64), Entries> = BTreeMap::new();
    let text = "SELECT subject, part, account, asset, amount FROM booking JOIN entry ON entry.booking = booking.booking \
                WHERE booking.kind = 'netting'";
    for row in sql.rows(sqlx::query(text)).await? {
        let columns = Columns { table: "entry", row: &row };
        let entry = (columns.text(2)?, columns.text(3)?, i128::from(columns.int(4)?));
        bookings.entry((columns.key(0)?, columns.int(1)?)).or_default().push(entry);
    }
    for row in sql.rows(sqlx::query("SELECT netting, part, us, bytes FROM netting")).await? {
        let columns = Columns { table: "netting", row: &row };
        let (name, part) = (columns.key(0)?, columns.int(1)?);
        let netting =
            Proposal::from_bytes(&columns.bytes(3)?).map_err(|error| damaged("netting", name, error.to_string()))?;
        if netting.hash() != name {
            return Err(damaged("netting", name, "its bytes have another hash"));
        }
        let us = if columns.bytes(2)?.is_empty() { None } else { Some(GridId::new(public_key(&columns, 2)?)) };
        let mut sums: BTreeMap<(String, String), i128> = BTreeMap::new();
        for (account, asset, amount) in netting_entries(us, &netting) {
            *sums.entry((account.to_string(), asset.code().to_owned())).or_default() += amount;
        }
        let sums: Vec<_> = sums
            .into_iter()
            .filter(|(_, sum)| *sum != 0)
            .map(|((account, asset), sum)| (account, asset, sum))
            .collect();
        let mut found = bookings.remove(&(name, part)).unwrap_or_default();
        found.retain(|(_, _, amount)| *amount != 0);
        found.sort();
        if found != sums {
            return Err(damaged("entry", name, format!("netting {}: not what was agreed on", Identity(name))));
        }
    }
    match bookings.first_key_value() {
        Some(((netting, _), _)) => Err(damaged("booking", netting, "of no netting that is kept")),
        None => Ok(()),
    }
}

/// Every chain of positions is whole, and what is noted of lanes is what the positions say. Returns how many there are.
pub(super) async fn check_positions(sql: &mut Sql<'_>) -> Result<u64, LedgerError> {
    let text = "SELECT position.identity, paper.bytes FROM position LEFT JOIN paper ON paper.identity = position.identity \
                ORDER BY clearing, first, second, asset, number";
    let (mut count, mut last, mut posted): (u64, Option<Position>, BTreeMap<[u8; 32], [u64; 2]>) =
        (0, None, BTreeMap::new());
    sql.each(sqlx::query(text), |row| {
        let columns = Columns { table: "position", row };
        let name = columns.key(0)?;
        let position = Position::from_bytes(&columns.maybe_bytes(1)?)
            .map_err(|error| damaged("position", name, error.to_string()))?;
        let body = position.body();
        let before = if body.number == 1 { None } else { last.as_ref() };
        if body.number > 1 && before.is_none() {
            return Err(damaged("position", name, "the chain begins with it, and it is not the first"));
        }
        body.follows(before).map_err(|error| damaged("position", name, error.to_string()))?;
        for line in &body.lanes {
            posted.insert(line.lane.0, [line.to_bytes.0, line.to_amount.0]);
        }
        count += 1;
        last = Some(position);
        Ok(())
    })
    .await?;
    sql.each(sqlx::query("SELECT lane, cum_bytes, cum_amount FROM posted"), |row| {
        let columns = Columns { table: "posted", row };
        let found = [columns.count(1)?, columns.count(2)?];
        if posted.remove(&columns.key(0)?) != Some(found) {
            return Err(damaged("posted", columns.key(0)?, "no position says so"));
        }
        Ok(())
    })
    .await?;
    match posted.first_key_value() {
        Some((lane, _)) => Err(damaged("posted", lane, "a position names this lane, and it is missing")),
        None => Ok(count),
    }
}

/// Usage sums to what was vouched for, with each party in each asset.
pub(super) async fn check_usage(
    sql: &mut Sql<'_>,
    mut read: BTreeMap<(Part, PublicKey, Asset), (u128, u128)>,
) -> Result<(), LedgerError> {
    let text = "SELECT party, part, asset, CAST(SUM(bytes) AS BIGINT), CAST(SUM(amount) AS BIGINT) FROM usage \
                GROUP BY party, part, asset";
    for row in sql.rows(sqlx::query(text)).await? {
        let columns = Columns { table: "usage", row: &row };
        let part = Part::of_number(columns.int(1)?).ok_or_else(|| columns.damaged(1, &"no part"))?;
        let (party, found) = (public_key(&columns, 0)?, (columns.count(3)?.into(), columns.count(4)?.into()));
        let vouched = read.remove(&(part, party, asset(&columns, 2)?)).unwrap_or_default();
        if vouched != found {
            return Err(damaged(
                "usage",
                party.as_bytes(),
                format!("sums to {found:?}, and vouched for is {vouched:?}"),
            ));
        }
    }
    match read.first_key_value() {
        Some(((_, party, _), _)) => Err(damaged("usage", party.as_bytes(), "missing, and vouched for")),
        None => Ok(()),
    }
}

/// Balances are the sums of entries. Returns how many there are.
pub(super) async fn check_balances(sql: &mut Sql<'_>) -> Result<u64, LedgerError> {
    let text = "SELECT account, asset, CAST(SUM(amount) AS BIGINT) FROM entry GROUP BY account, asset";
    let mut sums = BTreeMap::new();
    for row in sql.rows(sqlx::query(text)).await? {
        let columns = Columns { table: "entry", row: &row };
        sums.insert((columns.text(0)?, columns.text(1)?), columns.int(2)?);
    }
    let count = sums.len() as u64;
    let complain = |account: String, what: String| LedgerError::Damaged { table: "balance", row: account, what };
    for row in sql.rows(sqlx::query("SELECT account, asset, amount FROM balance")).await? {
        let columns = Columns { table: "balance", row: &row };
        let (account, asset, found) = (columns.text(0)?, columns.text(1)?, columns.int(2)?);
        let sum = sums.remove(&(account.clone(), asset)).unwrap_or(0);
        if sum != found {
            return Err(complain(account, format!("{found}, and its entries sum to {sum}")));
        }
    }
    match sums.into_iter().next() {
        Some(((account, _), _)) => Err(complain(account, "missing, and it has entries".to_owned())),
        None => Ok(count),
    }
}
