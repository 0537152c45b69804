//! What the one writer of a file has read or written before, and need not read again: a voucher of such a lane is booked in one
//! trip to the database.
//!
//! Nobody else writes that file while its lock is held. Of a transaction that failed nothing is known any more.

use crate::ledger::entries::Name;
use crate::ledger::vouchers::{Key, Lane};
use std::collections::BTreeMap;

/// How many lanes are known at most, and how many bookings of hours. When there are more, all are forgotten.
const MOST: usize = 1_024;

/// Rows as the file has them.
#[derive(Default)]
pub(super) struct Known {
    lanes: BTreeMap<Key, Lane>,
    numbers: BTreeMap<Name, i64>,
}

impl Known {
    /// The lane of vouchers, as it was when the last one was booked.
    pub(super) fn lane(&self, key: &Key) -> Option<&Lane> {
        self.lanes.get(key)
    }

    /// The number of the booking of a lane's hour.
    pub(super) fn number(&self, name: &Name) -> Option<i64> {
        self.numbers.get(name).copied()
    }

    /// These lanes are in the file like this.
    pub(super) fn lanes(&mut self, lanes: impl IntoIterator<Item = (Key, Lane)>) {
        keep(&mut self.lanes, lanes);
    }

    /// These bookings are in the file.
    pub(super) fn numbers(&mut self, numbers: impl IntoIterator<Item = (Name, i64)>) {
        keep(&mut self.numbers, numbers);
    }
}

fn keep<K: Ord, V>(kept: &mut BTreeMap<K, V>, more: impl IntoIterator<Item = (K, V)>) {
    kept.extend(more);
    if kept.len() > MOST {
        kept.clear();
    }
}
