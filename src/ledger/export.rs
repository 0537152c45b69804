//! The books for others to read, line by line.

use crate::keys::{GridId, PublicKey};
use crate::ledger::error::LedgerError;
use crate::ledger::handle::Ledger;
use crate::ledger::part::Part;
use crate::ledger::sql::Columns;
use crate::ledger::vouchers::{asset, public_key};
use crate::rate::Asset;
use crate::signed::Identity;
use crate::tariff::wire::LaneId;
use crate::units::{Bytes, MinorUnits, PricePerGib, UnixSeconds};

const PAGE: i64 = 2_000;

/// A lane and what was vouched for on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaneLine {
    /// The lane.
    pub lane: LaneId,
    /// What the keeper of the books is to it.
    pub part: Part,
    /// Who pays.
    pub payer: PublicKey,
    /// Who is paid.
    pub payee: PublicKey,
    /// Whose files.
    pub destination: GridId,
    /// What is charged in.
    pub asset: Asset,
    /// At what price.
    pub price: PricePerGib,
    /// When it came into these books.
    pub kept_at: UnixSeconds,
    /// When it ends or has ended.
    pub not_after: UnixSeconds,
    /// Octets vouched for.
    pub bytes: Bytes,
    /// The charge for them.
    pub amount: MinorUnits,
}

/// One side of a booking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryLine {
    /// The number of the booking, in these books alone; its entries sum to zero.
    pub booking: u64,
    /// What it is about: `lane`, `payment` or `netting`.
    pub kind: String,
    /// The lane, payment or netting.
    pub subject: [u8; 32],
    /// In whose part.
    pub part: Part,
    /// When; of a lane the hour's first voucher.
    pub at: UnixSeconds,
    /// The account.
    pub account: String,
    /// The asset.
    pub asset: Asset,
    /// The amount, in minor units.
    pub amount: i64,
}

/// How many rows each table has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableCount {
    /// The table.
    pub table: &'static str,
    /// Its rows.
    pub rows: u64,
}

impl Ledger {
    /// Hands every lane to `each`, in the order of their names.
    pub async fn each_lane(&self, mut each: impl FnMut(LaneLine)) -> Result<(), LedgerError> {
        let text = "SELECT lane.lane, lane.part, payer, payee, destination, asset, price, lane.at, not_after, \
                    COALESCE(cum_bytes, 0), COALESCE(cum_amount, 0) FROM lane \
                    LEFT JOIN voucher ON voucher.lane = lane.lane AND voucher.part = lane.part \
                    WHERE (lane.lane, lane.part) > ($1, $2) ORDER BY lane.lane, lane.part LIMIT $3";
        let mut after = (Vec::new(), -1);
        loop {
            let query = sqlx::query(text).bind(after.0.clone()).bind(after.1).bind(PAGE);
            let rows = self.reading().await?.sql().rows(query).await?;
            let Some(last) = rows.last() else { return Ok(()) };
            let columns = Columns { table: "lane", row: last };
            after = (columns.bytes(0)?, columns.int(1)?);
            for row in &rows {
                let columns = Columns { table: "lane", row };
                each(LaneLine {
                    lane: Identity(columns.key(0)?),
                    part: Part::of_number(columns.int(1)?).ok_or_else(|| columns.damaged(1, &"no part"))?,
                    payer: public_key(&columns, 2)?,
                    payee: public_key(&columns, 3)?,
                    destination: GridId::new(public_key(&columns, 4)?),
                    asset: asset(&columns, 5)?,
                    price: PricePerGib(columns.count(6)?),
                    kept_at: UnixSeconds(columns.count(7)?),
                    not_after: UnixSeconds(columns.count(8)?),
                    bytes: Bytes(columns.count(9)?),
                    amount: MinorUnits(columns.count(10)?),
                });
            }
        }
    }

    /// Hands every entry to `each`, in the order of bookings.
    pub async fn each_entry(&self, mut each: impl FnMut(EntryLine)) -> Result<(), LedgerError> {
        let text = "SELECT entry.booking, kind, subject, part, at, account, asset, amount FROM entry \
                    JOIN booking ON booking.booking = entry.booking WHERE (entry.booking, account, asset) > ($1, $2, $3) \
                    ORDER BY entry.booking, account, asset LIMIT $4";
        let mut after = (0, String::new(), String::new());
        loop {
            let query = sqlx::query(text).bind(after.0).bind(after.1.clone()).bind(after.2.clone()).bind(PAGE);
            let rows = self.reading().await?.sql().rows(query).await?;
            let Some(last) = rows.last() else { return Ok(()) };
            let columns = Columns { table: "entry", row: last };
            after = (columns.int(0)?, columns.text(5)?, columns.text(6)?);
            for row in &rows {
                let columns = Columns { table: "entry", row };
                each(EntryLine {
                    booking: columns.count(0)?,
                    kind: columns.text(1)?,
                    subject: columns.key(2)?,
                    part: Part::of_number(columns.int(3)?).ok_or_else(|| columns.damaged(3, &"no part"))?,
                    at: UnixSeconds(columns.count(4)?),
                    account: columns.text(5)?,
                    asset: asset(&columns, 6)?,
                    amount: columns.int(7)?,
                });
            }
        }
    }

    /// How many rows each table has, for a look at what there is.
    pub async fn counts(&self) -> Result<Vec<TableCount>, LedgerError> {
        let tables = [
            ("lane", "SELECT COUNT(*) FROM lane"),
            ("voucher", "SELECT COUNT(*) FROM voucher"),
            ("checkpoint", "SELECT COUNT(*) FROM checkpoint"),
            ("booking", "SELECT COUNT(*) FROM booking"),
            ("entry", "SELECT COUNT(*) FROM entry"),
            ("paper", "SELECT COUNT(*) FROM paper"),
            ("position", "SELECT COUNT(*) FROM position"),
            ("settlement", "SELECT COUNT(*) FROM settlement"),
            ("dispute", "SELECT COUNT(*) FROM dispute"),
            ("usage", "SELECT COUNT(*) FROM usage"),
            ("write_off", "SELECT COUNT(*) FROM write_off"),
            ("lane_write_off", "SELECT COUNT(*) FROM lane_write_off"),
            ("told", "SELECT COUNT(*) FROM told"),
            ("under_way", "SELECT COUNT(*) FROM under_way"),
            ("instance", "SELECT COUNT(*) FROM instance"),
        ];
        let mut reading = self.reading().await?;
        let mut counts = Vec::with_capacity(tables.len());
        for (table, text) in tables {
            let rows = reading.sql().rows(sqlx::query(text)).await?;
            let count = rows.first().map(|row| Columns { table, row }.count(0)).transpose()?;
            counts.push(TableCount { table, rows: count.unwrap_or(0) });
        }
        Ok(counts)
    }
}
