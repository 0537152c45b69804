//! Computing the books again from what was signed.

use crate::ledger::disputes::check_disputes;
use crate::ledger::entries::Booking;
use crate::ledger::error::LedgerError;
use crate::ledger::handle::Ledger;
use crate::ledger::part::Part;
use crate::ledger::sql::{Columns, Sql};
use crate::ledger::verify_lane::{Checked, LaneRows, check};
use crate::ledger::verify_rest::{
    check_balances, check_nettings, check_papers, check_positions, check_settlements, check_sums, check_usage,
};
use crate::ledger::vouchers::HOUR;
use std::collections::{BTreeMap, VecDeque};
use std::num::NonZeroUsize;
use tokio::task::JoinHandle;

/// How many lanes are read at once: some 2 MiB with their vouchers.
const PAGE: i64 = 1_000;

/// What was computed again, and agreed with the books.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Verified {
    /// Lanes, both signatures of each.
    pub lanes: u64,
    /// Vouchers: the best of each lane, and the last of each earlier hour.
    pub vouchers: u64,
    /// Other signed objects.
    pub papers: u64,
    /// Positions, each following the one before it.
    pub positions: u64,
    /// Accounts.
    pub accounts: u64,
}

impl Ledger {
    /// Computes everything again from the signed vouchers and payments, and compares: signatures, charges, the entries of
    /// each hour of each lane, that every booking sums to zero, the balances, usage, chains of positions, nettings, disputes.
    ///
    /// Reads one state of the books, beside a process that writes. [`LedgerError::Damaged`] names the first row that
    /// disagrees. Holds a few pages of lanes at a time, some 100 octets for each lane that a position names, and the sums of
    /// accounts and parties.
    pub async fn verify(&self) -> Result<Verified, LedgerError> {
        let location = self.location().clone();
        let mut reading = self.reading().await?;
        let mut transaction = reading.sql().one_state().await?;
        let mut sql = Sql::new(&mut transaction, &location);
        let mut verified = Verified::default();

        let checked = lanes(&mut sql).await?;
        (verified.lanes, verified.vouchers) = (checked.lanes, checked.vouchers);
        check_sums(&mut sql).await?;
        verified.papers = check_papers(&mut sql).await?;
        check_settlements(&mut sql).await?;
        check_nettings(&mut sql).await?;
        verified.positions = check_positions(&mut sql).await?;
        check_disputes(&mut sql).await?;
        check_usage(&mut sql, checked.read).await?;
        verified.accounts = check_balances(&mut sql).await?;
        Ok(verified)
    }
}

/// Checks all lanes, a page after the other is read while those before it are computed, one on each core.
async fn lanes(sql: &mut Sql<'_>) -> Result<Checked, LedgerError> {
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let mut pages: VecDeque<JoinHandle<Result<Checked, LedgerError>>> = VecDeque::new();
    let mut all = Checked::default();
    let mut after = (Vec::new(), -1);
    while let Some((page, last)) = page(sql, &after).await? {
        after = last;
        pages.push_back(tokio::task::spawn_blocking(move || {
            let mut checked = Checked::default();
            page.into_values().try_for_each(|rows| check(rows, &mut checked)).map(|()| checked)
        }));
        while pages.len() > cores {
            all.add(joined(pages.pop_front()).await?);
        }
    }
    while !pages.is_empty() {
        all.add(joined(pages.pop_front()).await?);
    }
    Ok(all)
}

async fn joined(page: Option<JoinHandle<Result<Checked, LedgerError>>>) -> Result<Checked, LedgerError> {
    match page {
        Some(page) => page.await.map_err(|_| LedgerError::Closed)?,
        None => Ok(Checked::default()),
    }
}

type Page = BTreeMap<(Vec<u8>, i64), LaneRows>;

/// The next lanes in the order of their names, with all that is written of each.
async fn page(sql: &mut Sql<'_>, after: &(Vec<u8>, i64)) -> Result<Option<(Page, (Vec<u8>, i64))>, LedgerError> {
    let text = "SELECT lane, part, bytes, payer, payee, destination, asset, price, not_after FROM lane \
                WHERE (lane, part) > ($1, $2) ORDER BY lane, part LIMIT $3";
    let mut page = Page::new();
    for row in sql.rows(sqlx::query(text).bind(after.0.clone()).bind(after.1).bind(PAGE)).await? {
        let columns = Columns { table: "lane", row: &row };
        let part = Part::of_number(columns.int(1)?).ok_or_else(|| columns.damaged(1, &"no part"))?;
        let rows = LaneRows {
            lane: columns.key(0)?,
            part,
            bytes: columns.bytes(2)?,
            keys: [columns.key(3)?, columns.key(4)?, columns.key(5)?],
            asset: columns.text(6)?,
            numbers: [columns.count(7)?, columns.count(8)?],
            vouchers: Vec::new(),
            entries: BTreeMap::new(),
        };
        page.insert((columns.bytes(0)?, columns.int(1)?), rows);
    }
    let Some(((last, last_part), _)) = page.last_key_value() else { return Ok(None) };
    let (last, last_part) = (last.clone(), *last_part);
    let first = page.first_key_value().map(|((lane, _), _)| lane.clone()).unwrap_or_default();
    let between = |text: &'static str| sqlx::query(text).bind(first.clone()).bind(last.clone());

    // Rows of a part whose lane is on another page are passed over here and found there.
    let text = "SELECT lane, part, hour, cum_bytes, cum_amount, bytes FROM checkpoint WHERE lane >= $1 AND lane <= $2 \
                ORDER BY lane, part, hour";
    for row in sql.rows(between(text)).await? {
        let columns = Columns { table: "checkpoint", row: &row };
        if let Some(rows) = page.get_mut(&(columns.bytes(0)?, columns.int(1)?)) {
            rows.vouchers.push((columns.count(2)?, [columns.count(3)?, columns.count(4)?], columns.bytes(5)?));
        }
    }
    let text = "SELECT lane, part, at, cum_bytes, cum_amount, bytes FROM voucher WHERE lane >= $1 AND lane <= $2";
    for row in sql.rows(between(text)).await? {
        let columns = Columns { table: "voucher", row: &row };
        if let Some(rows) = page.get_mut(&(columns.bytes(0)?, columns.int(1)?)) {
            let hour = columns.count(2)? / HOUR;
            rows.vouchers.push((hour, [columns.count(3)?, columns.count(4)?], columns.bytes(5)?));
        }
    }
    let text = "SELECT subject, part, hour, account, asset, amount FROM booking \
                JOIN entry ON entry.booking = booking.booking \
                WHERE kind = 'lane' AND subject >= $1 AND subject <= $2";
    for row in sql.rows(between(text)).await? {
        let columns = Columns { table: "entry", row: &row };
        if let Some(rows) = page.get_mut(&(columns.bytes(0)?, columns.int(1)?)) {
            let entry = (columns.text(3)?, columns.text(4)?, i128::from(columns.int(5)?));
            rows.entries.entry(columns.count(2)?).or_default().push(entry);
        }
    }
    Ok(Some((page, (last, last_part))))
}

/// The entries that a booking must have, in their order.
pub(super) fn expected(booking: &Booking) -> Vec<(String, String, i128)> {
    let mut entries: Vec<_> = booking
        .entries
        .iter()
        .filter(|(_, _, amount)| *amount != 0)
        .map(|(account, asset, amount)| (account.to_string(), asset.code().to_owned(), *amount))
        .collect();
    entries.sort();
    entries
}

/// The complaint about a row.
pub(super) fn damaged(table: &'static str, row: impl AsRef<[u8]>, what: impl Into<String>) -> LedgerError {
    LedgerError::Damaged { table, row: data_encoding::HEXLOWER.encode(row.as_ref()), what: what.into() }
}
