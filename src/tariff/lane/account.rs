//! What one counterparty may have out, and what of it is written off day by day.

use crate::units::{Bytes, MinorUnits, PricePerGib, UnixSeconds};
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

/// In what books the gateways of a grid count what is owed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counted {
    /// Each in its own, which know of its own lanes alone.
    Apart,
    /// All in the same, which know of all lanes, and not of what others have under way; at this price.
    Together(PricePerGib),
}

impl Limits {
    /// The window of a pair of grids with terms that say no other: two beats of a very fast line, so that it is the beat that makes
    /// vouchers due, and not the window.
    pub const PAIR_WINDOW: Bytes = Bytes(256 << 20);
    /// The window of a client, on its lanes.
    pub const CLIENT_WINDOW: Bytes = Bytes(256 << 20);

    /// What one of so many gateways of a grid lets be out, so that all of them together keep within these limits.
    ///
    /// Of a credit that is counted apart each has its part. One that is counted together each lends but for what the others may have
    /// under way by their parts of the window, or its part where that is more: `docs/decisions/011-a-credit-is-split-or-read-from-the-shared-books.md`.
    pub fn split(self, gateways: NonZeroU32, counted: Counted) -> Self {
        let number = u64::from(gateways.get());
        let window = self.window.map(|window| Bytes(window.0 / number));
        let credit = self.credit.map(|credit| {
            let part = credit.0 / number;
            let with_others = match (counted, window) {
                (Counted::Together(price), Some(window)) => price.charge(window),
                _ => None,
            };
            let lends = with_others.map_or(0, |others| credit.0.saturating_sub(others.0.saturating_mul(number - 1)));
            MinorUnits(part.max(lends))
        });
        let write_off = match self.write_off {
            WriteOff::Known(already) => WriteOff::Known(already.saturating_mul(gateways)),
            WriteOff::Nothing => WriteOff::Nothing,
        };
        Self { window, credit, write_off }
    }
}

impl WriteOff {
    /// Of a known party, by the only gateway of its grid.
    pub const KNOWN: Self = Self::Known(NonZeroU32::MIN);
    /// Of a known party, each day, beside the hundredth.
    pub const DAILY: Bytes = Bytes(16 << 20);
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
