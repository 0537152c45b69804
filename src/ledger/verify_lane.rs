//! One lane, computed again from its vouchers.

use crate::keys::PublicKey;
use crate::ledger::entries::{Booking, Subject};
use crate::ledger::error::LedgerError;
use crate::ledger::part::Part;
use crate::ledger::verify::{damaged, expected};
use crate::rate::Asset;
use crate::tariff::wire::{LaneOpen, Voucher};
use crate::units::{MinorUnits, UnixSeconds};
use std::collections::BTreeMap;

/// All that the tables have of a lane.
pub(super) struct LaneRows {
    pub(super) lane: [u8; 32],
    pub(super) part: Part,
    pub(super) bytes: Vec<u8>,
    /// Payer, payee, destination.
    pub(super) keys: [[u8; 32]; 3],
    pub(super) asset: String,
    /// Price and end.
    pub(super) numbers: [u64; 2],
    /// In the order of hours: the hour, octets and charge, the signed bytes. The last one is the best.
    pub(super) vouchers: Vec<(u64, [u64; 2], Vec<u8>)>,
    /// By hour.
    pub(super) entries: BTreeMap<u64, Vec<(String, String, i128)>>,
}

/// What was checked, and what usage must sum to.
#[derive(Default)]
pub(super) struct Checked {
    pub(super) lanes: u64,
    pub(super) vouchers: u64,
    /// Octets and charge with each party in each asset.
    pub(super) read: BTreeMap<(Part, PublicKey, Asset), (u128, u128)>,
}

impl Checked {
    pub(super) fn add(&mut self, other: Self) {
        self.lanes += other.lanes;
        self.vouchers += other.vouchers;
        for (key, (bytes, amount)) in other.read {
            let sum = self.read.entry(key).or_default();
            *sum = (sum.0 + bytes, sum.1 + amount);
        }
    }
}

pub(super) fn check(mut rows: LaneRows, checked: &mut Checked) -> Result<(), LedgerError> {
    let open = LaneOpen::from_bytes(&rows.bytes).map_err(|error| damaged("lane", rows.lane, error.to_string()))?;
    let body = open.body();
    let signed = [body.payer.as_bytes(), body.payee.as_bytes(), body.destination().as_bytes()].map(|key| *key);
    if open.identity().0 != rows.lane {
        return Err(damaged("lane", rows.lane, format!("what was signed is lane {}", open.identity())));
    }
    if signed != rows.keys || body.asset.code() != rows.asset || [body.price.0, body.not_after.0] != rows.numbers {
        return Err(damaged("lane", rows.lane, "the columns are not what was signed"));
    }
    checked.lanes += 1;

    let mut before = [0, 0];
    let count = rows.vouchers.len();
    for (place, (hour, columns, bytes)) in rows.vouchers.iter().enumerate() {
        let table = if place + 1 == count { "voucher" } else { "checkpoint" };
        let voucher = Voucher::of_lane(bytes, &open).map_err(|error| damaged(table, rows.lane, error.to_string()))?;
        let signed = [voucher.body().cum_bytes.0, voucher.body().cum_amount.0];
        if signed != *columns {
            return Err(damaged(table, rows.lane, format!("it says {columns:?}, and {signed:?} was signed")));
        }
        if signed[0] <= before[0] {
            return Err(damaged(table, rows.lane, "not higher than the one of the hour before"));
        }
        let booking = Booking {
            subject: Subject::Lane(rows.lane, *hour),
            part: rows.part,
            at: UnixSeconds(0),
            entries: Booking::charge(
                rows.part,
                body.payer,
                *body.payee.key(),
                body.asset,
                MinorUnits(signed[1] - before[1]),
            ),
            is_there: true,
        };
        let mut found = rows.entries.remove(hour).unwrap_or_default();
        found.sort();
        if found != expected(&booking) {
            let what = format!("hour {hour} of this lane has {found:?}, and vouched for is {:?}", expected(&booking));
            return Err(damaged("entry", rows.lane, what));
        }
        before = signed;
        checked.vouchers += 1;
    }
    if let Some((hour, _)) = rows.entries.first_key_value() {
        return Err(damaged("booking", rows.lane, format!("this lane has no voucher of hour {hour}")));
    }
    let party = if rows.part == Part::Payer { *body.payee.key() } else { body.payer };
    if before[0] > 0 {
        let sum = checked.read.entry((rows.part, party, body.asset)).or_default();
        *sum = (sum.0 + u128::from(before[0]), sum.1 + u128::from(before[1]));
    }
    Ok(())
}
