//! Double entry: every booking's entries sum to zero in each asset.

use crate::keys::PublicKey;
use crate::ledger::error::LedgerError;
use crate::ledger::known::Known;
use crate::ledger::part::Part;
use crate::ledger::sql::{Columns, Sql, Value, column};
use crate::rate::Asset;
use crate::units::{MinorUnits, UnixSeconds};
use std::collections::BTreeMap;
use std::fmt;

/// What an amount stands on. Balances above zero are what we own or have spent, below zero what we owe or have earned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Account {
    /// What this party owes us.
    OwedBy(PublicKey),
    /// What we owe this party.
    OwedTo(PublicKey),
    /// What we earned by delivering.
    Delivered,
    /// What reading cost us.
    Read,
    /// What came in out of band.
    Received,
    /// What went out out of band.
    Paid,
    /// In a clearing node's books, what the first owes the second.
    Owes(PublicKey, PublicKey),
    /// In a clearing node's books, what is owed to the first by the second.
    IsOwed(PublicKey, PublicKey),
    /// In a grid's books, what a netting moved from one counterparty to another.
    Netted,
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OwedBy(party) => write!(f, "owed-by {party}"),
            Self::OwedTo(party) => write!(f, "owed-to {party}"),
            Self::Delivered => f.write_str("delivered"),
            Self::Read => f.write_str("read"),
            Self::Received => f.write_str("received"),
            Self::Paid => f.write_str("paid"),
            Self::Owes(debtor, creditor) => write!(f, "owes {debtor} {creditor}"),
            Self::IsOwed(creditor, debtor) => write!(f, "is-owed {creditor} {debtor}"),
            Self::Netted => f.write_str("netted"),
        }
    }
}

/// What a booking is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Subject {
    /// What the vouchers of a lane came to in one hour since 1970.
    Lane([u8; 32], u64),
    /// A payment.
    Payment([u8; 32]),
    /// A netting.
    Netting([u8; 32]),
}

impl Subject {
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Lane(..) => "lane",
            Self::Payment(_) => "payment",
            Self::Netting(_) => "netting",
        }
    }

    pub(super) const fn key(&self) -> &[u8; 32] {
        match self {
            Self::Lane(key, _) | Self::Payment(key) | Self::Netting(key) => key,
        }
    }

    /// The hour of a lane's vouchers, 0 of what is booked once.
    pub(super) const fn hour(&self) -> u64 {
        match self {
            Self::Lane(_, hour) => *hour,
            Self::Payment(_) | Self::Netting(_) => 0,
        }
    }
}

/// One or more entries that sum to zero in each asset.
#[derive(Debug, Clone)]
pub(super) struct Booking {
    pub(super) subject: Subject,
    pub(super) part: Part,
    pub(super) at: UnixSeconds,
    pub(super) entries: Vec<(Account, Asset, i128)>,
    /// Whether the books have it already, and these entries are added to its own.
    pub(super) is_there: bool,
}

impl Booking {
    /// What becomes due from `payer` to `payee`, in the books of `part`.
    pub(super) fn charge(
        part: Part,
        payer: PublicKey,
        payee: PublicKey,
        asset: Asset,
        amount: MinorUnits,
    ) -> Vec<(Account, Asset, i128)> {
        let amount = i128::from(amount.0);
        let (more, less) = match part {
            Part::Payer => (Account::Read, Account::OwedTo(payee)),
            Part::Payee => (Account::OwedBy(payer), Account::Delivered),
            Part::Clearing => (Account::Owes(payer, payee), Account::IsOwed(payee, payer)),
        };
        vec![(more, asset, amount), (less, asset, -amount)]
    }

    /// What `debtor` no longer owes `creditor` because it was paid.
    pub(super) fn payment(
        part: Part,
        debtor: PublicKey,
        creditor: PublicKey,
        asset: Asset,
        amount: MinorUnits,
    ) -> Vec<(Account, Asset, i128)> {
        let amount = i128::from(amount.0);
        let (more, less) = match part {
            Part::Payer => (Account::OwedTo(creditor), Account::Paid),
            Part::Payee => (Account::Received, Account::OwedBy(debtor)),
            Part::Clearing => (Account::IsOwed(creditor, debtor), Account::Owes(debtor, creditor)),
        };
        vec![(more, asset, amount), (less, asset, -amount)]
    }
}

/// Which booking it is: the same act has the same one.
pub(super) type Name = (Subject, Part);

/// Books all of them: the one way into the table of entries.
pub(super) async fn book(sql: &mut Sql<'_>, bookings: &[Booking], known: &mut Known) -> Result<(), LedgerError> {
    let (mut heads, mut entries, mut balances) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    for booking in bookings {
        let mut sums: BTreeMap<Asset, i128> = BTreeMap::new();
        for (_, asset, amount) in &booking.entries {
            *sums.entry(*asset).or_default() += amount;
        }
        if let Some((asset, sum)) = sums.into_iter().find(|(_, sum)| *sum != 0) {
            return Err(LedgerError::Unbalanced { asset: asset.code(), sum });
        }
        let name = (booking.subject, booking.part);
        // One that is there and costs nothing needs no number: nothing is added to it.
        if !booking.is_there || booking.entries.iter().any(|(_, _, amount)| *amount != 0) {
            heads.entry(name).or_insert(booking.at);
        }
        for (account, asset, amount) in booking.entries.iter().filter(|(_, _, amount)| *amount != 0) {
            *entries.entry((name, account.to_string(), *asset)).or_insert(0_i128) += amount;
            *balances.entry((account.to_string(), *asset)).or_insert(0_i128) += amount;
        }
    }
    let amount = |amount: i128| i64::try_from(amount).map_err(|_| LedgerError::TooLarge { what: "an account" });

    let numbers = number(sql, &heads, known).await?;
    let mut rows = Vec::with_capacity(entries.len());
    for ((name, account, asset), sum) in entries {
        let number = numbers.get(&name).copied().unwrap_or_default();
        let asset = Value::Text(asset.code().to_owned());
        rows.push(vec![Value::Int(number), Value::Text(account), asset, Value::Int(amount(sum)?)]);
    }
    let add = "ON CONFLICT (booking, account, asset) DO UPDATE SET amount = entry.amount + excluded.amount";
    sql.write("INSERT INTO entry (booking, account, asset, amount)", add, &rows).await?;

    let mut rows = Vec::with_capacity(balances.len());
    for ((account, asset), sum) in balances {
        rows.push(vec![Value::Text(account), Value::Text(asset.code().to_owned()), Value::Int(amount(sum)?)]);
    }
    let add = "ON CONFLICT (account, asset) DO UPDATE SET amount = balance.amount + excluded.amount";
    sql.write("INSERT INTO balance (account, asset, amount)", add, &rows).await
}

/// The number of each booking; those that are new get the next ones, so that what is booked together lies together.
async fn number(
    sql: &mut Sql<'_>,
    heads: &BTreeMap<Name, UnixSeconds>,
    known: &mut Known,
) -> Result<BTreeMap<Name, i64>, LedgerError> {
    let of_known = heads.keys().filter_map(|name| known.number(name).map(|number| (*name, number)));
    let mut numbers: BTreeMap<Name, i64> = of_known.collect();
    // Only a lane's hour is added to; whatever else there is, is booked once.
    let is_hour = |(subject, _): &&Name| matches!(subject, Subject::Lane(..));
    let hours = || heads.keys().filter(is_hour).filter(|name| known.number(name).is_none());
    if let Some(first) = hours().map(|(subject, _)| subject.hour()).min() {
        let mut lanes: Vec<Vec<u8>> = hours().map(|(subject, _)| subject.key().to_vec()).collect();
        lanes.dedup();
        let text = format!(
            "SELECT booking, subject, part, hour FROM booking WHERE kind = 'lane' AND hour >= {first} AND subject IN ({{}})"
        );
        for row in sql.rows_of(&text, &lanes).await? {
            let columns = Columns { table: "booking", row: &row };
            let part = Part::of_number(columns.int(2)?).ok_or_else(|| columns.damaged(2, &"no part"))?;
            numbers.insert((Subject::Lane(columns.key(1)?, columns.count(3)?), part), columns.int(0)?);
        }
    }
    if heads.keys().all(|name| numbers.contains_key(name)) {
        known.numbers(numbers.clone());
        return Ok(numbers);
    }
    // Whoever writes is alone: in SQLite one transaction does at a time, in PostgreSQL the writers take turns.
    let last = sql.rows(sqlx::query("SELECT COALESCE(MAX(booking), 0) FROM booking")).await?;
    let mut last = last.first().map_or(Ok(0), |row| Columns { table: "booking", row }.int(0))?;
    let mut rows = Vec::new();
    for (name, at) in heads {
        if numbers.contains_key(name) {
            continue;
        }
        last = last.checked_add(1).ok_or(LedgerError::TooLarge { what: "the number of a booking" })?;
        numbers.insert(*name, last);
        let (subject, part) = name;
        rows.push(vec![
            Value::Int(last),
            Value::Text(subject.kind().to_owned()),
            Value::Bytes(subject.key().to_vec()),
            Value::Int(part.number()),
            Value::Int(column("an hour", subject.hour())?),
            Value::Int(column("a time", at.0)?),
        ]);
    }
    sql.write("INSERT INTO booking (booking, kind, subject, part, hour, at)", "", &rows).await?;
    known.numbers(numbers.iter().filter(|(name, _)| is_hour(name)).map(|(name, number)| (*name, *number)));
    Ok(numbers)
}
