//! Lanes as they stand: what a restart begins with.

use crate::keys::PublicKey;
use crate::ledger::error::LedgerError;
use crate::ledger::paper::Kept;
use crate::ledger::part::Part;
use crate::ledger::sql::{Columns, Sql, Value, column};
use crate::ledger::vouchers::public_key;
use crate::tariff::wire::{LaneId, LaneOpen, Voucher};
use crate::units::{Bytes, UnixSeconds};
use std::collections::BTreeMap;

/// A lane and how far it has come. Read from the books and verified again.
#[derive(Debug, Clone)]
pub struct LaneState {
    /// What both sides signed.
    pub open: LaneOpen,
    /// The best voucher.
    pub voucher: Option<Voucher>,
    /// How much was sent on it, by the payee's books; at least what was vouched for.
    pub sent: Bytes,
}

pub(super) async fn open_lane(
    sql: &mut Sql<'_>,
    part: Part,
    lane: &LaneOpen,
    at: UnixSeconds,
) -> Result<Kept, LedgerError> {
    let body = lane.body();
    let text = "INSERT INTO lane (lane, part, payer, payee, destination, asset, price, not_after, at, bytes) \
                VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING";
    let query = sqlx::query(text)
        .bind(lane.identity().0.to_vec())
        .bind(part.number())
        .bind(body.payer.as_bytes().to_vec())
        .bind(body.payee.as_bytes().to_vec())
        .bind(body.destination().as_bytes().to_vec())
        .bind(body.asset.code())
        .bind(column("a price", body.price.0)?)
        .bind(column("a time", body.not_after.0)?)
        .bind(column("a time", at.0)?)
        .bind(lane.bytes().to_vec());
    Ok(if sql.run(query).await? == 0 { Kept::Already } else { Kept::New })
}

const LANE: &str = "SELECT lane.lane, lane.bytes, voucher.bytes, COALESCE(sent.bytes, 0), COALESCE(cum_bytes, 0) FROM lane \
                    LEFT JOIN voucher ON voucher.lane = lane.lane AND voucher.part = lane.part \
                    LEFT JOIN sent ON sent.lane = lane.lane";

pub(super) async fn lane(sql: &mut Sql<'_>, part: Part, lane: LaneId) -> Result<Option<LaneState>, LedgerError> {
    let text = format!("{LANE} WHERE lane.part = {} AND lane.lane IN ({{}})", part.number());
    let rows = sql.rows_of(&text, &[lane.0.to_vec()]).await?;
    rows.first().map(|row| read(&Columns { table: "lane", row })).transpose()
}

/// Those that are open at `now`.
pub(super) async fn open_lanes(sql: &mut Sql<'_>, part: Part, now: UnixSeconds) -> Result<Vec<LaneState>, LedgerError> {
    let text = format!("{LANE} WHERE lane.part = $1 AND lane.not_after > $2 ORDER BY lane.lane");
    let query = sqlx::query(sqlx::AssertSqlSafe(text)).bind(part.number()).bind(column("a time", now.0)?);
    let rows = sql.rows(query).await?;
    rows.iter().map(|row| read(&Columns { table: "lane", row })).collect()
}

fn read(columns: &Columns<'_>) -> Result<LaneState, LedgerError> {
    let open = LaneOpen::from_bytes(&columns.bytes(1)?).map_err(|error| columns.damaged(1, &error))?;
    let voucher = match columns.maybe_bytes(2)? {
        bytes if bytes.is_empty() => None,
        bytes => Some(Voucher::of_lane(&bytes, &open).map_err(|error| columns.damaged(2, &error))?),
    };
    Ok(LaneState { open, voucher, sent: Bytes(columns.count(3)?.max(columns.count(4)?)) })
}

/// What was written off this payer's unvouchered octets on one day (days since 1970), in all; never lowered.
pub(super) async fn write_off(sql: &mut Sql<'_>, payer: &PublicKey, day: u64, bytes: Bytes) -> Result<(), LedgerError> {
    let row = vec![
        Value::Bytes(payer.as_bytes().to_vec()),
        Value::Int(column("a day", day)?),
        Value::Int(column("octets", bytes.0)?),
    ];
    let higher = "ON CONFLICT (payer, day) DO UPDATE SET bytes = excluded.bytes WHERE write_off.bytes < excluded.bytes";
    sql.write("INSERT INTO write_off (payer, day, bytes)", higher, &[row]).await
}

/// Octets sent to each payer on any lane, never vouched for and not written off; payers without any are left out.
pub(super) async fn unvouchered(sql: &mut Sql<'_>) -> Result<BTreeMap<PublicKey, Bytes>, LedgerError> {
    let text = "SELECT payer, CAST(SUM(CASE WHEN sent.bytes > COALESCE(cum_bytes, 0) THEN sent.bytes - COALESCE(cum_bytes, 0) \
                ELSE 0 END) AS BIGINT), COALESCE((SELECT CAST(SUM(write_off.bytes) AS BIGINT) FROM write_off \
                WHERE write_off.payer = lane.payer), 0) FROM lane JOIN sent ON sent.lane = lane.lane \
                LEFT JOIN voucher ON voucher.lane = lane.lane AND voucher.part = lane.part \
                WHERE lane.part = 1 GROUP BY payer";
    let mut owed = BTreeMap::new();
    for row in sql.rows(sqlx::query(text)).await? {
        let columns = Columns { table: "lane", row: &row };
        let bytes = columns.count(1)?.saturating_sub(columns.count(2)?);
        if bytes > 0 {
            owed.insert(public_key(&columns, 0)?, Bytes(bytes));
        }
    }
    Ok(owed)
}
