//! The books for others to read: line by line, and as evidence.

use crate::keys::{GridId, PublicKey};
use crate::ledger::error::LedgerError;
use crate::ledger::handle::Ledger;
use crate::ledger::part::Part;
use crate::ledger::sql::Columns;
use crate::ledger::vouchers::{asset, public_key};
use crate::rate::Asset;
use crate::signed::{Identity, ObjectType};
use crate::tariff::bundle::{Bundle, BundlePaper};
use crate::tariff::wire::{LaneId, LaneOpen};
use crate::units::{Bytes, MinorUnits, PricePerGib, UnixSeconds};
use std::collections::BTreeSet;

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
    /// The booking; its entries sum to zero.
    pub booking: [u8; 32],
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

/// Which lanes go into a bundle. What is left out is not asked for.
#[derive(Debug, Clone, Copy, Default)]
pub struct BundleFilter {
    /// Lanes of this payer.
    pub payer: Option<PublicKey>,
    /// Lanes to this payee.
    pub payee: Option<GridId>,
    /// Lanes in this asset.
    pub asset: Option<Asset>,
    /// Lanes opened at this time or later.
    pub from: Option<UnixSeconds>,
    /// Lanes opened before this time.
    pub until: Option<UnixSeconds>,
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
        let mut after = (Vec::new(), String::new(), String::new());
        loop {
            let query = sqlx::query(text).bind(after.0.clone()).bind(after.1.clone()).bind(after.2.clone()).bind(PAGE);
            let rows = self.reading().await?.sql().rows(query).await?;
            let Some(last) = rows.last() else { return Ok(()) };
            let columns = Columns { table: "entry", row: last };
            after = (columns.bytes(0)?, columns.text(5)?, columns.text(6)?);
            for row in &rows {
                let columns = Columns { table: "entry", row };
                each(EntryLine {
                    booking: columns.key(0)?,
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

    /// The evidence for the lanes of one part that have a voucher: what a third party needs to compute the bill.
    ///
    /// Terms, decks and records that are not kept here are not in it; whoever checks it is told which are missing. All of it is
    /// in memory at once, some 1.5 KiB for a lane.
    pub async fn bundle(&self, part: Part, filter: BundleFilter) -> Result<Bundle, LedgerError> {
        let text = "SELECT lane.lane, lane.bytes, voucher.bytes FROM lane \
                    JOIN voucher ON voucher.lane = lane.lane AND voucher.part = lane.part \
                    WHERE lane.lane > $1 AND lane.part = $2 ORDER BY lane.lane LIMIT $3";
        let (mut lanes, mut after) = (Vec::new(), Vec::new());
        let (mut named, mut parties) = (BTreeSet::new(), BTreeSet::new());
        loop {
            let query = sqlx::query(text).bind(after.clone()).bind(part.number()).bind(PAGE);
            let rows = self.reading().await?.sql().rows(query).await?;
            let Some(last) = rows.last() else { break };
            after = Columns { table: "lane", row: last }.bytes(0)?;
            for row in &rows {
                let columns = Columns { table: "lane", row };
                let bytes = columns.bytes(1)?;
                let open = LaneOpen::from_bytes(&bytes).map_err(|error| columns.damaged(1, &error))?;
                let body = open.body();
                let wanted = filter.payer.is_none_or(|payer| payer == body.payer)
                    && filter.payee.is_none_or(|payee| payee == body.payee)
                    && filter.asset.is_none_or(|asset| asset == body.asset)
                    && filter.from.is_none_or(|from| from <= body.opened_at)
                    && filter.until.is_none_or(|until| body.opened_at < until);
                if wanted {
                    named.extend(body.terms.into_iter().chain(body.evidence));
                    parties.extend([*body.payer.as_bytes(), *body.payee.as_bytes()]);
                    lanes.push((bytes, columns.bytes(2)?));
                }
            }
        }
        let named: Vec<Identity> = named.into_iter().collect();
        let mut papers: Vec<BundlePaper> = Vec::new();
        let mut reading = self.reading().await?;
        let keys: Vec<Vec<u8>> = named.iter().map(|identity| identity.0.to_vec()).collect();
        let mut rows = reading
            .sql()
            .rows_of("SELECT identity, kind, owner, bytes FROM paper WHERE identity IN ({})", &keys)
            .await?;
        let keys: Vec<Vec<u8>> = parties.into_iter().map(Vec::from).collect();
        // Their other records say whose the keys are that opened the lanes.
        let text = "SELECT identity, kind, owner, bytes FROM paper WHERE kind = 'record/1' AND owner IN ({})";
        rows.extend(reading.sql().rows_of(text, &keys).await?);
        let mut seen = BTreeSet::new();
        for row in &rows {
            let columns = Columns { table: "paper", row };
            let kind = [ObjectType::Terms, ObjectType::Deck, ObjectType::Record]
                .into_iter()
                .find(|kind| columns.text(1).is_ok_and(|text| text == kind.name()));
            if let Some(kind) = kind.filter(|_| columns.key(0).is_ok_and(|identity| seen.insert(identity))) {
                papers.push(BundlePaper { kind, grid: columns.key(2)?, bytes: columns.bytes(3)? });
            }
        }
        Ok(Bundle { papers, lanes })
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
            ("usage", "SELECT COUNT(*) FROM usage"),
            ("write_off", "SELECT COUNT(*) FROM write_off"),
            ("lane_write_off", "SELECT COUNT(*) FROM lane_write_off"),
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
