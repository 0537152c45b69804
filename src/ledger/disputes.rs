//! Lanes of which two sides hold the payer's signature under different deliveries: what was found, and who has closed it.

use crate::keys::GridId;
use crate::ledger::error::LedgerError;
use crate::ledger::handle::Ledger;
use crate::ledger::paper::Kept;
use crate::ledger::part::Part;
use crate::ledger::sql::{Columns, Sql, column};
use crate::record::Nickname;
use crate::tariff::wire::{LaneId, LaneOpen, Voucher};
use crate::units::{Bytes, MinorUnits, UnixSeconds};

/// The first point of a lane at which both sides have a voucher, and not the same one.
#[derive(Debug, Clone)]
pub struct NewDispute {
    /// What both sides signed.
    pub open: LaneOpen,
    /// What the keeper of the books is to it.
    pub part: Part,
    /// Up to where both have the same transcript; 0 if there is no such point.
    pub agree_to: Bytes,
    /// Our voucher at the first point behind it at which they differ.
    pub ours: Voucher,
    /// Theirs at the same point.
    pub theirs: Voucher,
}

/// A dispute as it is kept.
#[derive(Debug, Clone)]
pub struct Dispute {
    /// What was found.
    pub found: NewDispute,
    /// When it was found first.
    pub found_at: UnixSeconds,
    /// By our books, the charge for what lies beyond the point up to which both agree.
    pub amount: MinorUnits,
    /// Who has closed it; nobody yet.
    pub closed: Option<Closed>,
}

/// The end of a dispute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closed {
    /// When.
    pub at: UnixSeconds,
    /// Who, in that person's own words.
    pub by: Nickname,
    /// With what result, in the same.
    pub reason: Nickname,
}

impl Dispute {
    /// The other side.
    pub fn other(&self) -> GridId {
        other_side(&self.found.open, self.found.part)
    }

    /// The first point at which the two differ.
    pub fn differ_at(&self) -> Bytes {
        self.found.ours.body().cum_bytes
    }
}

/// The other side of a lane in the books of `part`.
pub(super) fn other_side(open: &LaneOpen, part: Part) -> GridId {
    if part == Part::Payer { open.body().payee } else { GridId::new(open.body().payer) }
}

impl Ledger {
    /// Lanes with another grid on which something was vouched for, by the books of either side; at most `limit` of those that
    /// came into the books from `from` to before `until`, in the order of their names from the one after `after`.
    pub async fn lanes_with(
        &self,
        other: &GridId,
        (from, until): (UnixSeconds, UnixSeconds),
        after: LaneId,
        limit: u32,
    ) -> Result<Vec<(Part, LaneOpen)>, LedgerError> {
        let text = "SELECT lane.lane, lane.part, lane.bytes FROM lane \
                    JOIN voucher ON voucher.lane = lane.lane AND voucher.part = lane.part \
                    WHERE ((lane.part = 0 AND payee = $1) OR (lane.part = 1 AND payer = $1)) AND lane.at >= $2 AND lane.at < $3 \
                    AND lane.lane > $4 ORDER BY lane.lane LIMIT $5";
        let query = sqlx::query(text)
            .bind(other.as_bytes().to_vec())
            .bind(column("a time", from.0)?)
            .bind(column("a time", until.0)?)
            .bind(after.0.to_vec())
            .bind(i64::from(limit));
        let mut lanes = Vec::new();
        for row in self.reading().await?.sql().rows(query).await? {
            let columns = Columns { table: "lane", row: &row };
            let part = Part::of_number(columns.int(1)?).ok_or_else(|| columns.damaged(1, &"no part"))?;
            lanes.push((part, LaneOpen::from_bytes(&columns.bytes(2)?).map_err(|error| columns.damaged(2, &error))?));
        }
        Ok(lanes)
    }

    /// All disputes, closed ones too, the oldest first.
    pub async fn disputes(&self) -> Result<Vec<Dispute>, LedgerError> {
        disputes(&mut self.reading().await?.sql()).await
    }
}

const DISPUTES: &str = "SELECT dispute.lane, dispute.part, lane.bytes, agree_to, differ_at, ours, theirs, found_at, \
                        COALESCE(cum_amount, 0), closed_at, closed_by, reason FROM dispute \
                        LEFT JOIN lane ON lane.lane = dispute.lane AND lane.part = dispute.part \
                        LEFT JOIN voucher ON voucher.lane = dispute.lane AND voucher.part = dispute.part \
                        ORDER BY found_at, dispute.lane, dispute.part, differ_at";

async fn disputes(sql: &mut Sql<'_>) -> Result<Vec<Dispute>, LedgerError> {
    let rows = sql.rows(sqlx::query(DISPUTES)).await?;
    rows.iter().map(|row| read(&Columns { table: "dispute", row })).collect()
}

/// Verifies what is read: both vouchers are of the lane, at the point that is named, and not the same.
fn read(columns: &Columns<'_>) -> Result<Dispute, LedgerError> {
    let part = Part::of_number(columns.int(1)?).ok_or_else(|| columns.damaged(1, &"no part"))?;
    let open = LaneOpen::from_bytes(&columns.maybe_bytes(2)?).map_err(|error| columns.damaged(2, &error))?;
    let voucher =
        |place| Voucher::of_lane(&columns.bytes(place)?, &open).map_err(|error| columns.damaged(place, &error));
    let (agree_to, differ_at) = (Bytes(columns.count(3)?), Bytes(columns.count(4)?));
    let (ours, theirs) = (voucher(5)?, voucher(6)?);
    if ours.body().cum_bytes != differ_at || theirs.body().cum_bytes != differ_at || agree_to >= differ_at {
        return Err(columns.damaged(4, &"not where the two vouchers are"));
    }
    if ours.body().transcript == theirs.body().transcript {
        return Err(columns.damaged(6, &"the same as ours"));
    }
    let closed = match columns.count(9)? {
        0 => None,
        at => {
            let name = |place| Nickname::new(&columns.text(place)?).map_err(|error| columns.damaged(place, &error));
            Some(Closed { at: UnixSeconds(at), by: name(10)?, reason: name(11)? })
        }
    };
    let agreed = open.body().charge(agree_to).unwrap_or(MinorUnits(0));
    Ok(Dispute {
        amount: MinorUnits(columns.count(8)?.saturating_sub(agreed.0)),
        found: NewDispute { open, part, agree_to, ours, theirs },
        found_at: UnixSeconds(columns.count(7)?),
        closed,
    })
}

/// Keeps what was found; found again it is the same, closed or not.
pub(super) async fn dispute(sql: &mut Sql<'_>, new: &NewDispute, at: UnixSeconds) -> Result<Kept, LedgerError> {
    let text = "INSERT INTO dispute (lane, part, differ_at, agree_to, ours, theirs, found_at, closed_at, closed_by, reason) \
                VALUES ($1, $2, $3, $4, $5, $6, $7, 0, '', '') ON CONFLICT DO NOTHING";
    let query = sqlx::query(text)
        .bind(new.open.identity().0.to_vec())
        .bind(new.part.number())
        .bind(column("octets of a lane", new.ours.body().cum_bytes.0)?)
        .bind(column("octets of a lane", new.agree_to.0)?)
        .bind(new.ours.bytes().to_vec())
        .bind(new.theirs.bytes().to_vec())
        .bind(column("a time", at.0)?);
    Ok(if sql.run(query).await? == 0 { Kept::Already } else { Kept::New })
}

/// Closes what is open of a lane; [`Kept::Already`] if nothing is.
pub(super) async fn close(sql: &mut Sql<'_>, lane: LaneId, closed: &Closed) -> Result<Kept, LedgerError> {
    let text = "UPDATE dispute SET closed_at = $1, closed_by = $2, reason = $3 WHERE lane = $4 AND closed_at = 0";
    let query = sqlx::query(text)
        .bind(column("a time", closed.at.0)?)
        .bind(closed.by.to_string())
        .bind(closed.reason.to_string())
        .bind(lane.0.to_vec());
    Ok(if sql.run(query).await? == 0 { Kept::Already } else { Kept::New })
}

/// Every dispute is of a lane that is kept, and of two vouchers that its payer has signed.
pub(super) async fn check_disputes(sql: &mut Sql<'_>) -> Result<(), LedgerError> {
    disputes(sql).await.map(drop)
}
