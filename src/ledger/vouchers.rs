//! Booking vouchers: many at once, each lane up to its highest and no octet twice.

use crate::keys::{GridId, PublicKey};
use crate::ledger::entries::{Booking, Subject, book};
use crate::ledger::error::LedgerError;
use crate::ledger::known::Known;
use crate::ledger::part::Part;
use crate::ledger::sql::{Columns, Sql, Value, column};
use crate::ledger::usage::{UsageKey, note, share};
use crate::rate::Asset;
use crate::tariff::wire::{LaneId, Voucher};
use crate::units::{Bytes, MinorUnits, UnixSeconds};
use std::collections::BTreeMap;

pub(super) const HOUR: u64 = 3_600;
const DAY: u64 = 86_400;

/// What was read of the octets that a voucher adds, for [`crate::ledger::UsageLine`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// Which client of ours read it, where that is known and not the lane's payer.
    pub client: Option<PublicKey>,
    /// Which file: an HMAC of its storage index, never the index.
    pub file: Option<[u8; 32]>,
    /// How much of it.
    pub bytes: Bytes,
}

/// What came of a voucher.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Booked {
    /// What it adds to what was booked for its lane before; nothing for one that is not higher.
    pub billed: MinorUnits,
    /// Up to where the lane is booked now.
    pub cum_bytes: Bytes,
    /// What is booked for the lane now.
    pub cum_amount: MinorUnits,
}

/// A voucher on its way into the books.
#[derive(Debug, Clone)]
pub(super) struct NewVoucher {
    pub(super) part: Part,
    pub(super) voucher: Voucher,
    pub(super) readings: Vec<Reading>,
    pub(super) at: UnixSeconds,
}

/// What is booked of a lane, and what of it matters to its vouchers.
#[derive(Clone)]
pub(super) struct Lane {
    payer: PublicKey,
    payee: PublicKey,
    destination: GridId,
    asset: Asset,
    best: Best,
    /// What is to be written.
    changed: bool,
    checkpoints: Vec<Best>,
}

#[derive(Clone, Default)]
struct Best {
    cum_bytes: u64,
    cum_amount: u64,
    at: u64,
    bytes: Vec<u8>,
}

pub(super) type Key = ([u8; 32], Part);

/// Books them in their order; the answers are in the same. One of an unknown lane fails alone.
pub(super) async fn book_vouchers(
    sql: &mut Sql<'_>,
    vouchers: &[&NewVoucher],
    known: &mut Known,
) -> Result<Vec<Result<Booked, LedgerError>>, LedgerError> {
    let mut lanes = lanes_of(sql, vouchers, known).await?;
    let (mut answers, mut bookings) = (Vec::with_capacity(vouchers.len()), Vec::new());
    let mut usage = BTreeMap::new();
    for new in vouchers {
        let body = new.voucher.body();
        let Some(lane) = lanes.get_mut(&(body.lane.0, new.part)) else {
            answers.push(Err(LedgerError::UnknownLane { lane: body.lane.to_string() }));
            continue;
        };
        // Amounts never fall as octets grow: both follow from the octets, at the lane's one price.
        let (more, billed) = match body.cum_bytes.0.checked_sub(lane.best.cum_bytes) {
            Some(more) if more > 0 => (more, body.cum_amount.0.saturating_sub(lane.best.cum_amount)),
            _ => (0, 0),
        };
        if more > 0 {
            // A clock that was set back does not reopen an hour.
            let at = new.at.0.max(lane.best.at);
            if lane.best.cum_bytes > 0 && lane.best.at / HOUR < at / HOUR {
                lane.checkpoints.push(lane.best.clone());
            }
            let is_there = lane.best.cum_bytes > 0 && lane.best.at / HOUR == at / HOUR;
            let bytes = new.voucher.bytes().to_vec();
            lane.best = Best { cum_bytes: body.cum_bytes.0, cum_amount: body.cum_amount.0, at, bytes };
            lane.changed = true;
            bookings.push(Booking {
                subject: Subject::Lane(body.lane.0, at / HOUR),
                part: new.part,
                at: UnixSeconds(at),
                entries: Booking::charge(new.part, lane.payer, lane.payee, lane.asset, MinorUnits(billed)),
                is_there,
            });
            for (reading, amount) in share(&new.readings, Bytes(more), MinorUnits(billed)) {
                let party = if new.part == Part::Payer { lane.payee } else { lane.payer };
                let (day, part, grid, asset) = (at / DAY, new.part, lane.destination, lane.asset);
                let key = UsageKey { day, part, party, grid, client: reading.client, file: reading.file, asset };
                let sum = usage.entry(key).or_insert((0, 0));
                *sum = (sum.0 + u128::from(reading.bytes.0), sum.1 + u128::from(amount.0));
            }
        }
        answers.push(Ok(Booked {
            billed: MinorUnits(billed),
            cum_bytes: Bytes(lane.best.cum_bytes),
            cum_amount: MinorUnits(lane.best.cum_amount),
        }));
    }
    write_lanes(sql, &lanes).await?;
    book(sql, &bookings, known).await?;
    note(sql, usage).await?;
    known.lanes(lanes.into_iter().map(|(key, lane)| (key, lane.written())));
    Ok(answers)
}

impl Lane {
    /// All that changed is written.
    fn written(self) -> Self {
        Self { changed: false, checkpoints: Vec::new(), ..self }
    }
}

async fn lanes_of(
    sql: &mut Sql<'_>,
    vouchers: &[&NewVoucher],
    known: &Known,
) -> Result<BTreeMap<Key, Lane>, LedgerError> {
    let (mut lanes, mut keys) = (BTreeMap::new(), Vec::new());
    for new in vouchers {
        let key = (new.voucher.body().lane.0, new.part);
        match known.lane(&key) {
            Some(lane) => drop(lanes.entry(key).or_insert_with(|| lane.clone())),
            None => keys.push(key.0.to_vec()),
        }
    }
    keys.sort_unstable();
    keys.dedup();
    let found = "SELECT lane.lane, lane.part, payer, payee, destination, asset, COALESCE(cum_bytes, 0), \
                 COALESCE(cum_amount, 0), COALESCE(voucher.at, 0), voucher.bytes FROM lane \
                 LEFT JOIN voucher ON voucher.lane = lane.lane AND voucher.part = lane.part WHERE lane.lane IN ({})";
    for row in sql.rows_of(found, &keys).await? {
        let columns = Columns { table: "lane", row: &row };
        let part = Part::of_number(columns.int(1)?).ok_or_else(|| columns.damaged(1, &"no part"))?;
        let lane = Lane {
            payer: public_key(&columns, 2)?,
            payee: public_key(&columns, 3)?,
            destination: GridId::new(public_key(&columns, 4)?),
            asset: asset(&columns, 5)?,
            best: Best {
                cum_bytes: columns.count(6)?,
                cum_amount: columns.count(7)?,
                at: columns.count(8)?,
                bytes: columns.maybe_bytes(9)?,
            },
            changed: false,
            checkpoints: Vec::new(),
        };
        lanes.insert((columns.key(0)?, part), lane);
    }
    Ok(lanes)
}

async fn write_lanes(sql: &mut Sql<'_>, lanes: &BTreeMap<Key, Lane>) -> Result<(), LedgerError> {
    let (mut vouchers, mut checkpoints) = (Vec::new(), Vec::new());
    for ((lane, part), of_lane) in lanes.iter().filter(|(_, lane)| lane.changed) {
        let best = &of_lane.best;
        vouchers.push(vec![
            Value::Bytes(lane.to_vec()),
            Value::Int(part.number()),
            Value::Int(column("octets of a lane", best.cum_bytes)?),
            Value::Int(column("the charge of a lane", best.cum_amount)?),
            Value::Int(column("a time", best.at)?),
            Value::Bytes(best.bytes.clone()),
        ]);
        for last in &of_lane.checkpoints {
            checkpoints.push(vec![
                Value::Bytes(lane.to_vec()),
                Value::Int(part.number()),
                Value::Int(column("an hour", last.at / HOUR)?),
                Value::Int(column("octets of a lane", last.cum_bytes)?),
                Value::Int(column("the charge of a lane", last.cum_amount)?),
                Value::Bytes(last.bytes.clone()),
            ]);
        }
    }
    let higher = "ON CONFLICT (lane, part) DO UPDATE SET cum_bytes = excluded.cum_bytes, cum_amount = excluded.cum_amount, \
                  at = excluded.at, bytes = excluded.bytes WHERE voucher.cum_bytes < excluded.cum_bytes";
    sql.write("INSERT INTO voucher (lane, part, cum_bytes, cum_amount, at, bytes)", higher, &vouchers).await?;
    let once = "ON CONFLICT DO NOTHING";
    sql.write("INSERT INTO checkpoint (lane, part, hour, cum_bytes, cum_amount, bytes)", once, &checkpoints).await
}

/// Notes that so much was sent on each lane, which is not less than before.
pub(super) async fn note_sent(sql: &mut Sql<'_>, sent: &[(LaneId, Bytes)]) -> Result<(), LedgerError> {
    let mut most: BTreeMap<[u8; 32], u64> = BTreeMap::new();
    for (lane, bytes) in sent {
        let of_lane = most.entry(lane.0).or_default();
        *of_lane = bytes.0.max(*of_lane);
    }
    let mut rows = Vec::with_capacity(most.len());
    for (lane, bytes) in most {
        rows.push(vec![Value::Bytes(lane.to_vec()), Value::Int(column("octets of a lane", bytes)?)]);
    }
    let higher = "ON CONFLICT (lane) DO UPDATE SET bytes = excluded.bytes WHERE sent.bytes < excluded.bytes";
    sql.write("INSERT INTO sent (lane, bytes)", higher, &rows).await
}

pub(super) fn public_key(columns: &Columns<'_>, place: usize) -> Result<PublicKey, LedgerError> {
    PublicKey::from_bytes(&columns.key(place)?).map_err(|error| columns.damaged(place, &error))
}

pub(super) fn asset(columns: &Columns<'_>, place: usize) -> Result<Asset, LedgerError> {
    Asset::from_code(&columns.text(place)?).map_err(|error| columns.damaged(place, &error))
}
