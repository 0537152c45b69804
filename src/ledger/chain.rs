//! What is to be claimed, between whom there are books, and the positions of two grids one after the other.

use crate::keys::GridId;
use crate::ledger::error::LedgerError;
use crate::ledger::handle::Ledger;
use crate::ledger::paper::papers;
use crate::ledger::part::Part;
use crate::ledger::sql::{Columns, column};
use crate::ledger::vouchers::{asset, public_key};
use crate::rate::Asset;
use crate::signed::Identity;
use crate::tariff::wire::{LaneId, LaneOpen, Position, Voucher};
use crate::units::{Bytes, MinorUnits, UnixSeconds};

/// A lane whose best voucher no position has named yet.
#[derive(Debug, Clone)]
pub struct Claimable {
    /// What both sides signed.
    pub open: LaneOpen,
    /// The best voucher.
    pub voucher: Voucher,
    /// Up to where positions have named the lane.
    pub posted_bytes: Bytes,
    /// The charge up to there.
    pub posted_amount: MinorUnits,
}

/// Two grids and what one of them owes the other in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pair {
    /// The grid whose key comes first, octet by octet.
    pub first: GridId,
    /// The other one.
    pub second: GridId,
    /// In what.
    pub asset: Asset,
}

impl Pair {
    /// The two in the order of their keys.
    pub fn of(one: GridId, other: GridId, asset: Asset) -> Self {
        Self { first: one.min(other), second: one.max(other), asset }
    }

    /// Whether this grid is one of the two.
    pub fn has(&self, grid: &GridId) -> bool {
        self.first == *grid || self.second == *grid
    }

    /// The other one of the two.
    pub fn other(&self, grid: &GridId) -> GridId {
        if self.first == *grid { self.second } else { self.first }
    }
}

/// A chain of positions: who keeps it, and between whom.
pub type Chain = (GridId, Pair);

impl Ledger {
    /// Lanes under terms that end at `since` or later, by the payee's books, whose best voucher no position has named; at most
    /// `limit`, those that end first before the others.
    pub async fn claimable(&self, since: UnixSeconds, limit: u32) -> Result<Vec<Claimable>, LedgerError> {
        let text = "SELECT lane.lane, lane.bytes, voucher.bytes, COALESCE(posted.cum_bytes, 0), COALESCE(posted.cum_amount, 0) \
                    FROM lane JOIN voucher ON voucher.lane = lane.lane AND voucher.part = lane.part \
                    LEFT JOIN posted ON posted.lane = lane.lane \
                    WHERE lane.part = $1 AND lane.price > 0 AND voucher.cum_bytes > COALESCE(posted.cum_bytes, 0) \
                    AND lane.not_after >= $2 ORDER BY lane.not_after, lane.lane LIMIT $3";
        let mut reading = self.reading().await?;
        let query =
            sqlx::query(text).bind(Part::Payee.number()).bind(column("a time", since.0)?).bind(i64::from(limit));
        let rows = reading.sql().rows(query).await?;
        let mut found = Vec::with_capacity(rows.len());
        for row in &rows {
            let columns = Columns { table: "lane", row };
            let open = LaneOpen::from_bytes(&columns.bytes(1)?).map_err(|error| columns.damaged(1, &error))?;
            let voucher = Voucher::of_lane(&columns.bytes(2)?, &open).map_err(|error| columns.damaged(2, &error))?;
            let (posted_bytes, posted_amount) = (Bytes(columns.count(3)?), MinorUnits(columns.count(4)?));
            found.push(Claimable { open, voucher, posted_bytes, posted_amount });
        }
        Ok(found)
    }

    /// Between whom a clearing node has booked something, lanes and settlements alike.
    pub async fn pairs(&self) -> Result<Vec<Pair>, LedgerError> {
        let text = "SELECT DISTINCT payer, payee, asset FROM lane WHERE part = $1 \
                    UNION SELECT DISTINCT debtor, creditor, asset FROM settlement WHERE part = $1";
        let mut reading = self.reading().await?;
        let rows = reading.sql().rows(sqlx::query(text).bind(Part::Clearing.number())).await?;
        let mut pairs = Vec::with_capacity(rows.len());
        for row in &rows {
            let columns = Columns { table: "lane", row };
            let (one, other) = (GridId::new(public_key(&columns, 0)?), GridId::new(public_key(&columns, 1)?));
            pairs.push(Pair::of(one, other, asset(&columns, 2)?));
        }
        pairs.sort_unstable();
        pairs.dedup();
        Ok(pairs)
    }

    /// Whose positions are kept here, and between whom.
    pub async fn chains(&self) -> Result<Vec<Chain>, LedgerError> {
        let text =
            "SELECT DISTINCT clearing, first, second, asset FROM position ORDER BY clearing, first, second, asset";
        let mut reading = self.reading().await?;
        let rows = reading.sql().rows(sqlx::query(text)).await?;
        let mut chains = Vec::with_capacity(rows.len());
        for row in &rows {
            let columns = Columns { table: "position", row };
            let grid = |place| public_key(&columns, place).map(GridId::new);
            chains.push((grid(0)?, Pair { first: grid(1)?, second: grid(2)?, asset: asset(&columns, 3)? }));
        }
        Ok(chains)
    }

    /// The positions of a chain after the one with this number, in their order; at most `limit`.
    pub async fn positions_after(
        &self,
        clearing: &GridId,
        pair: &Pair,
        number: u64,
        limit: u32,
    ) -> Result<Vec<Position>, LedgerError> {
        let text = "SELECT identity FROM position WHERE clearing = $1 AND first = $2 AND second = $3 AND asset = $4 \
                    AND number > $5 ORDER BY number LIMIT $6";
        let query = sqlx::query(text)
            .bind(clearing.as_bytes().to_vec())
            .bind(pair.first.as_bytes().to_vec())
            .bind(pair.second.as_bytes().to_vec())
            .bind(pair.asset.code())
            .bind(column("a position's number", number)?)
            .bind(i64::from(limit));
        let mut reading = self.reading().await?;
        let mut sql = reading.sql();
        let mut positions = Vec::new();
        for row in sql.rows(query).await? {
            let identity = Identity(Columns { table: "position", row: &row }.key(0)?);
            let damaged = |what: String| LedgerError::Damaged { table: "paper", row: identity.to_string(), what };
            let found = papers(&mut sql, &[identity]).await?;
            let (_, _, bytes) = found.first().ok_or_else(|| damaged("it is missing".to_owned()))?;
            positions.push(Position::from_bytes(bytes).map_err(|error| damaged(error.to_string()))?);
        }
        Ok(positions)
    }

    /// Up to where positions have named a lane.
    pub async fn posted(&self, lane: LaneId) -> Result<(Bytes, MinorUnits), LedgerError> {
        let query = sqlx::query("SELECT cum_bytes, cum_amount FROM posted WHERE lane = $1").bind(lane.0.to_vec());
        let mut reading = self.reading().await?;
        let rows = reading.sql().rows(query).await?;
        let Some(row) = rows.first() else { return Ok((Bytes(0), MinorUnits(0))) };
        let columns = Columns { table: "posted", row };
        Ok((Bytes(columns.count(0)?), MinorUnits(columns.count(1)?)))
    }

    /// Payments to us that no position has named yet.
    pub async fn payments_unposted(&self) -> Result<Vec<Identity>, LedgerError> {
        let text = "SELECT proof FROM settlement WHERE part = $1 AND kind = 'payment' AND length(posted) = 0 ORDER BY at, proof";
        let mut reading = self.reading().await?;
        let rows = reading.sql().rows(sqlx::query(text).bind(Part::Payee.number())).await?;
        rows.iter().map(|row| Columns { table: "settlement", row }.key(0).map(Identity)).collect()
    }

    /// Whether this debt is settled by that proof in our own books, in this very amount.
    pub async fn has_settled(
        &self,
        proof: Identity,
        debtor: &GridId,
        creditor: &GridId,
        asset: Asset,
        amount: MinorUnits,
    ) -> Result<bool, LedgerError> {
        let text = "SELECT 1 FROM settlement WHERE proof = $1 AND debtor = $2 AND creditor = $3 AND asset = $4 AND amount = $5 \
                    AND part <> $6";
        let query = sqlx::query(text)
            .bind(proof.0.to_vec())
            .bind(debtor.as_bytes().to_vec())
            .bind(creditor.as_bytes().to_vec())
            .bind(asset.code())
            .bind(column("what is settled", amount.0)?)
            .bind(Part::Clearing.number());
        let mut reading = self.reading().await?;
        Ok(!reading.sql().rows(query).await?.is_empty())
    }

    /// When a netting was booked in this part of the books: a clearing node's, or the payer's, which is that of a grid itself.
    pub async fn netted_at(&self, part: Part, netting: &[u8; 32]) -> Result<Option<UnixSeconds>, LedgerError> {
        let text =
            "SELECT MIN(at) FROM settlement WHERE proof = $1 AND part = $2 AND kind = 'netting' HAVING COUNT(*) > 0";
        let query = sqlx::query(text).bind(netting.to_vec()).bind(part.number());
        let mut reading = self.reading().await?;
        let rows = reading.sql().rows(query).await?;
        rows.first().map(|row| Columns { table: "settlement", row }.count(0).map(UnixSeconds)).transpose()
    }

    /// The last voucher of each hour of a lane, and the best one, in the order of their octets.
    pub async fn checkpoints(&self, part: Part, lane: &LaneOpen) -> Result<Vec<Voucher>, LedgerError> {
        let text = "SELECT lane, bytes FROM checkpoint WHERE lane = $1 AND part = $2 \
                    UNION SELECT lane, bytes FROM voucher WHERE lane = $1 AND part = $2";
        let query = sqlx::query(text).bind(lane.identity().0.to_vec()).bind(part.number());
        let mut reading = self.reading().await?;
        let mut vouchers = Vec::new();
        for row in reading.sql().rows(query).await? {
            let columns = Columns { table: "checkpoint", row: &row };
            vouchers.push(Voucher::of_lane(&columns.bytes(1)?, lane).map_err(|error| columns.damaged(1, &error))?);
        }
        vouchers.sort_by_key(|voucher| voucher.body().cum_bytes);
        Ok(vouchers)
    }
}
