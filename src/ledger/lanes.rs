//! Lanes as they stand: what a restart begins with.

use crate::keys::PublicKey;
use crate::ledger::error::LedgerError;
use crate::ledger::paper::Kept;
use crate::ledger::part::Part;
use crate::ledger::sql::{Columns, Sql, Value, column};
use crate::ledger::vouchers::public_key;
use crate::tariff::wire::{LaneId, LaneOpen, Voucher};
use crate::units::{Bytes, UnixSeconds};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// A lane and how far it has come. Read from the books and verified again.
#[derive(Debug, Clone)]
pub struct LaneState {
    /// What both sides signed.
    pub open: LaneOpen,
    /// The best voucher.
    pub voucher: Option<Voucher>,
    /// How much was sent on it, by the payee's books; at least what was vouched for.
    pub sent: Bytes,
    /// What of it was never vouched for and is written off.
    pub written_off: Bytes,
}

/// What a payee has of a payer beside what is owed.
#[derive(Debug, Clone)]
pub struct PayerState {
    /// Its lanes on which more may have been sent than was vouched for or written off.
    pub lanes: Vec<LaneState>,
    /// What it vouched for on the day that was asked for.
    pub vouched: Bytes,
    /// What was written off of it on that day.
    pub written_off: Bytes,
}

/// What was written off of a lane, and with it of its payer on one day. Numbers in all, so that it may be said again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WrittenOff {
    /// The payer.
    pub payer: PublicKey,
    /// Days since 1970.
    pub day: u64,
    /// Of the payer, on that day.
    pub of_day: Bytes,
    /// The lane.
    pub lane: LaneId,
    /// Of the lane, ever.
    pub of_lane: Bytes,
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

const LANE: &str = "SELECT lane.lane, lane.bytes, voucher.bytes, COALESCE(sent.bytes, 0), COALESCE(cum_bytes, 0), \
                    COALESCE(lane_write_off.bytes, 0) FROM lane \
                    LEFT JOIN voucher ON voucher.lane = lane.lane AND voucher.part = lane.part \
                    LEFT JOIN sent ON sent.lane = lane.lane LEFT JOIN lane_write_off ON lane_write_off.lane = lane.lane";

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

/// How many lanes are shown to a payee again, the newest first.
const SHOWN: u32 = 4_096;

/// Those of `payer` with `payee` that are open at `now`, or of which the payee has not been told everything.
pub(super) async fn lanes_to_show(
    sql: &mut Sql<'_>,
    payer: &PublicKey,
    payee: &PublicKey,
    now: UnixSeconds,
) -> Result<Vec<LaneState>, LedgerError> {
    let text = format!(
        "{LANE} LEFT JOIN told ON told.lane = lane.lane WHERE lane.part = 0 AND lane.payer = $1 AND lane.payee = $2 \
         AND (lane.not_after > $3 OR told.lane IS NULL) ORDER BY lane.not_after DESC, lane.lane LIMIT {SHOWN}"
    );
    let query = sqlx::query(sqlx::AssertSqlSafe(text)).bind(payer.as_bytes().to_vec());
    let query = query.bind(payee.as_bytes().to_vec()).bind(column("a time", now.0)?);
    let rows = sql.rows(query).await?;
    rows.iter().map(|row| read(&Columns { table: "lane", row })).collect()
}

/// Notes that the payee of these knows all of them.
pub(super) async fn told(sql: &mut Sql<'_>, lanes: &[LaneId]) -> Result<(), LedgerError> {
    let lanes: BTreeSet<[u8; 32]> = lanes.iter().map(|lane| lane.0).collect();
    let rows: Vec<_> = lanes.into_iter().map(|lane| vec![Value::Bytes(lane.to_vec())]).collect();
    sql.write("INSERT INTO told (lane)", "ON CONFLICT DO NOTHING", &rows).await
}

fn read(columns: &Columns<'_>) -> Result<LaneState, LedgerError> {
    let open = LaneOpen::from_bytes(&columns.bytes(1)?).map_err(|error| columns.damaged(1, &error))?;
    let voucher = match columns.maybe_bytes(2)? {
        bytes if bytes.is_empty() => None,
        bytes => Some(Voucher::of_lane(&bytes, &open).map_err(|error| columns.damaged(2, &error))?),
    };
    let sent = Bytes(columns.count(3)?.max(columns.count(4)?));
    Ok(LaneState { open, voucher, sent, written_off: Bytes(columns.count(5)?) })
}

/// What a payee has of `payer`; `day` in days since 1970.
pub(super) async fn payer(sql: &mut Sql<'_>, payer: &PublicKey, day: u64) -> Result<PayerState, LedgerError> {
    let text = format!(
        "{LANE} WHERE lane.part = 1 AND lane.payer = $1 AND COALESCE(sent.bytes, 0) > COALESCE(cum_bytes, 0) + \
         COALESCE(lane_write_off.bytes, 0) ORDER BY lane.lane"
    );
    let rows = sql.rows(sqlx::query(sqlx::AssertSqlSafe(text)).bind(payer.as_bytes().to_vec())).await?;
    let lanes = rows.iter().map(|row| read(&Columns { table: "lane", row })).collect::<Result<_, _>>()?;
    let vouched =
        "SELECT CAST(COALESCE(SUM(bytes), 0) AS BIGINT) FROM usage WHERE day = $1 AND part = 1 AND party = $2";
    let written_off = "SELECT COALESCE(bytes, 0) FROM write_off WHERE day = $1 AND payer = $2";
    let mut of_day = async |table, text: &'static str| {
        let query = sqlx::query(text).bind(column("a day", day)?).bind(payer.as_bytes().to_vec());
        let rows = sql.rows(query).await?;
        let bytes = rows.first().map(|row| Columns { table, row }.count(0)).transpose()?;
        Ok::<_, LedgerError>(Bytes(bytes.unwrap_or(0)))
    };
    let vouched = of_day("usage", vouched).await?;
    let written_off = of_day("write_off", written_off).await?;
    Ok(PayerState { lanes, vouched, written_off })
}

/// Nothing of a lane is under way: so much was sent on it, whatever was noted before.
pub(super) async fn at_rest(sql: &mut Sql<'_>, lane: LaneId, bytes: Bytes) -> Result<(), LedgerError> {
    let row = vec![Value::Bytes(lane.0.to_vec()), Value::Int(column("octets of a lane", bytes.0)?)];
    let set = "ON CONFLICT (lane) DO UPDATE SET bytes = excluded.bytes";
    sql.write("INSERT INTO sent (lane, bytes)", set, &[row]).await
}

/// Notes what was written off; never lowered.
pub(super) async fn write_off(sql: &mut Sql<'_>, written_off: &WrittenOff) -> Result<(), LedgerError> {
    let WrittenOff { payer, day, of_day, lane, of_lane } = written_off;
    let row = vec![
        Value::Bytes(payer.as_bytes().to_vec()),
        Value::Int(column("a day", *day)?),
        Value::Int(column("octets", of_day.0)?),
    ];
    let higher = "ON CONFLICT (payer, day) DO UPDATE SET bytes = excluded.bytes WHERE write_off.bytes < excluded.bytes";
    sql.write("INSERT INTO write_off (payer, day, bytes)", higher, &[row]).await?;
    let row = vec![Value::Bytes(lane.0.to_vec()), Value::Int(column("octets", of_lane.0)?)];
    let higher = "ON CONFLICT (lane) DO UPDATE SET bytes = excluded.bytes WHERE lane_write_off.bytes < excluded.bytes";
    sql.write("INSERT INTO lane_write_off (lane, bytes)", higher, &[row]).await
}

/// Octets sent to each payer on any lane, never vouched for and not written off; payers without any are left out.
pub(super) async fn unvouchered(sql: &mut Sql<'_>) -> Result<BTreeMap<PublicKey, Bytes>, LedgerError> {
    let text = "SELECT payer, CAST(SUM(sent.bytes - COALESCE(cum_bytes, 0) - COALESCE(lane_write_off.bytes, 0)) AS BIGINT) \
                FROM lane JOIN sent ON sent.lane = lane.lane \
                LEFT JOIN voucher ON voucher.lane = lane.lane AND voucher.part = lane.part \
                LEFT JOIN lane_write_off ON lane_write_off.lane = lane.lane \
                WHERE lane.part = 1 AND sent.bytes > COALESCE(cum_bytes, 0) + COALESCE(lane_write_off.bytes, 0) GROUP BY payer";
    let rows = sql.rows(sqlx::query(text)).await?;
    let of_row = |row| {
        let columns = Columns { table: "lane", row };
        Ok((public_key(&columns, 0)?, Bytes(columns.count(1)?)))
    };
    rows.iter().map(of_row).collect()
}

/// Octets written off of each payer from the day `from` to before `until`, days counted since 1970.
pub(super) async fn written_off(
    sql: &mut Sql<'_>,
    days: Range<u64>,
) -> Result<Vec<(PublicKey, u64, Bytes)>, LedgerError> {
    let text = "SELECT payer, day, bytes FROM write_off WHERE day >= $1 AND day < $2 ORDER BY day, payer";
    let query = sqlx::query(text).bind(column("a day", days.start)?).bind(column("a day", days.end)?);
    let of_row = |row| {
        let columns = Columns { table: "write_off", row };
        Ok((public_key(&columns, 0)?, columns.count(1)?, Bytes(columns.count(2)?)))
    };
    sql.rows(query).await?.iter().map(of_row).collect()
}
