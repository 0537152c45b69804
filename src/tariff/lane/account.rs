//! What one counterparty may have out, and what of it is written off day by day.

use crate::units::{Bytes, MinorUnits, UnixSeconds};
use std::num::NonZeroU32;

const DAY: u64 = 86_400;

/// What one counterparty may have out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Delivered and not vouched for. `None` for strangers on free lanes, whom a pool of their own holds: what they never
    /// acknowledge is counted, and holds nothing.
    pub window: Option<Bytes>,
    /// Vouched for and not settled; `None` for clients, whose bill is between them and their grid.
    pub credit: Option<MinorUnits>,
    /// What is written off.
    pub write_off: WriteOff,
}

/// What is written off of what a counterparty never acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteOff {
    /// Of a known party (a client, a grid with terms): each day [`WriteOff::DAILY`] and a hundredth of what it vouched for on it,
    /// by so many gateways together.
    Known(NonZeroU32),
    /// Of a stranger: nothing.
    Nothing,
}

impl Limits {
    /// What one of so many gateways of a grid lets be out, so that all of them together keep within these limits. The credit is not
    /// split: it is counted in the books.
    pub fn split(self, gateways: NonZeroU32) -> Self {
        let window = self.window.map(|window| Bytes(window.0 / u64::from(gateways.get())));
        let write_off = match self.write_off {
            WriteOff::Known(already) => WriteOff::Known(already.saturating_mul(gateways)),
            WriteOff::Nothing => WriteOff::Nothing,
        };
        Self { window, write_off, ..self }
    }
}

impl WriteOff {
    /// Of a known party, by the only gateway of its grid.
    pub const KNOWN: Self = Self::Known(NonZeroU32::MIN);
    /// Of a known party, each day, beside the hundredth.
    pub const DAILY: Bytes = Bytes(16 << 20);
    /// The window of a pair of grids with terms that say no other.
    pub const PAIR_WINDOW: Bytes = Bytes(64 << 20);
    /// The window of a client.
    pub const CLIENT_WINDOW: Bytes = Bytes(16 << 20);
}

/// What the disk has of a counterparty beside its lanes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Account {
    /// What lanes that are over were vouched for.
    pub booked: MinorUnits,
    /// What of all that was vouched for is settled.
    pub settled: MinorUnits,
    /// The day, in days since 1970, that the next two are of.
    pub day: u64,
    /// What was vouched for on that day.
    pub vouched: Bytes,
    /// What was written off on that day.
    pub written_off: Bytes,
}

impl Account {
    /// The day of a time, as [`Account::day`] counts.
    pub fn day_of(now: UnixSeconds) -> u64 {
        now.0 / DAY
    }

    /// Begins the day of `now`. A clock that was set back gives nobody the day again.
    pub(super) fn turn(&mut self, now: UnixSeconds) {
        let day = Self::day_of(now);
        if day > self.day {
            *self = Self { day, vouched: Bytes(0), written_off: Bytes(0), ..*self };
        }
    }

    /// Writes off of so many octets what this day allows one of so many gateways still, and says how much that is.
    pub(super) fn write_off(&mut self, adrift: u64, gateways: NonZeroU32) -> u64 {
        let allowed = WriteOff::DAILY.0.saturating_add(self.vouched.0 / 100) / u64::from(gateways.get());
        let off = adrift.min(allowed.saturating_sub(self.written_off.0));
        self.written_off.0 += off;
        off
    }
}
