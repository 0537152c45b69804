//! The newest version of a record that a reader has seen: it goes below it never again.
//!
//! As text, a floor is one line of `name=value` words; `-` stands for nothing.

use super::grid_record::GridRecord;
use super::key_digest::KeyDigest;
use super::signed_record::SignedRecord;
use super::time::TimeFault;
use crate::keys::GridId;
use crate::signed::Identity;
use crate::units::{Seconds, UnixSeconds};
use std::fmt;
use std::str::FromStr;

/// How long a floor is kept after its record was last seen.
pub const FLOOR_KEPT: Seconds = Seconds::days(400);

/// How old `seen_at` may get before seeing the same record again is worth writing down.
const SEEN_AT_GRAIN: Seconds = Seconds::days(1);

/// How far a reader has got with one grid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Floor {
    grid: GridId,
    withdrawn: bool,
    serial: UnixSeconds,
    sequence: u64,
    identity: Identity,
    next: Option<KeyDigest>,
    contested: bool,
    seen_at: UnixSeconds,
}

impl Floor {
    /// The floor that a first `record` lays; `None` if it is dated in the future, which no floor may be.
    pub fn of(record: &GridRecord, now: UnixSeconds) -> Option<Self> {
        if is_of_the_future(record.signed(), now) {
            return None;
        }
        let signed = record.signed();
        Some(Self {
            grid: *signed.grid(),
            withdrawn: signed.withdrawn(),
            serial: signed.serial(),
            sequence: signed.sequence(),
            identity: signed.identity(),
            next: record.next(),
            contested: false,
            seen_at: now,
        })
    }

    /// Whether `record` is of this grid and not below the floor.
    pub fn admits(&self, record: &SignedRecord) -> bool {
        *record.grid() == self.grid && position(record) >= self.position()
    }

    /// The floor after seeing `record`; `None` if nothing changes that is worth writing down.
    ///
    /// Never lower than before. A `next` once seen stays, from an older record too; a second, different one contests it.
    pub fn raised_by(&self, record: &GridRecord, now: UnixSeconds) -> Option<Self> {
        if *record.grid() != self.grid || is_of_the_future(record.signed(), now) {
            return None;
        }
        let signed = record.signed();
        let mut raised = *self;
        if position(signed) > self.position() {
            raised.withdrawn = signed.withdrawn();
            raised.serial = signed.serial();
            raised.sequence = signed.sequence();
            raised.identity = signed.identity();
        }
        match (self.next, record.next()) {
            (Some(known), Some(other)) if known != other => raised.contested = true,
            (known, next) => raised.next = known.or(next),
        }
        if raised != *self || now.since(self.seen_at) >= SEEN_AT_GRAIN && self.admits(signed) {
            raised.seen_at = self.seen_at.max(now);
        }
        (raised != *self).then_some(raised)
    }

    /// Whose floor it is.
    pub fn grid(&self) -> &GridId {
        &self.grid
    }

    /// Whether the grid has withdrawn its record.
    pub fn withdrawn(&self) -> bool {
        self.withdrawn
    }

    /// The serial.
    pub fn serial(&self) -> UnixSeconds {
        self.serial
    }

    /// The sequence.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The record that laid it.
    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// The digest of the grid key that would follow: the first one seen.
    pub fn next(&self) -> Option<KeyDigest> {
        self.next
    }

    /// Whether two different `next` were seen: then no successor is followed.
    pub fn contested(&self) -> bool {
        self.contested
    }

    /// When the grid's record was last seen, to within a day.
    pub fn seen_at(&self) -> UnixSeconds {
        self.seen_at
    }

    /// Whether it has been kept for [`FLOOR_KEPT`] and may be forgotten.
    pub fn is_over(&self, now: UnixSeconds) -> bool {
        now.since(self.seen_at) > FLOOR_KEPT
    }

    fn position(&self) -> (bool, UnixSeconds, u64) {
        (self.withdrawn, self.serial, self.sequence)
    }
}

fn position(record: &SignedRecord) -> (bool, UnixSeconds, u64) {
    (record.withdrawn(), record.serial(), record.sequence())
}

/// Whether a clock is wrong, this reader's or the signer's: no reason to bar all that comes.
fn is_of_the_future(record: &SignedRecord, now: UnixSeconds) -> bool {
    matches!(record.time_fault(now), Some(TimeFault::IssuedInFuture { .. } | TimeFault::SerialInFuture { .. }))
}

impl fmt::Display for Floor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let next = self.next.map_or("-".to_owned(), |next| next.to_string());
        write!(
            f,
            "grid={} withdrawn={} serial={} sequence={} identity={} next={next} contested={} seen_at={}",
            self.grid, self.withdrawn, self.serial.0, self.sequence, self.identity, self.contested, self.seen_at.0
        )
    }
}

/// A line that is no floor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a floor: `{expected}` is missing, malformed or out of place")]
pub struct FloorTextError {
    /// The word that was expected.
    pub expected: &'static str,
}

impl FromStr for Floor {
    type Err = FloorTextError;

    fn from_str(text: &str) -> Result<Self, FloorTextError> {
        let mut words = text.split(' ');
        let mut word = |expected: &'static str| {
            let value =
                words.next().and_then(|word| word.strip_prefix(expected)).and_then(|word| word.strip_prefix('='));
            value.ok_or(FloorTextError { expected })
        };
        let floor = Self {
            grid: parsed("grid", word("grid")?)?,
            withdrawn: parsed("withdrawn", word("withdrawn")?)?,
            serial: UnixSeconds(parsed("serial", word("serial")?)?),
            sequence: parsed("sequence", word("sequence")?)?,
            identity: Identity(parsed::<KeyDigest>("identity", word("identity")?)?.0),
            next: match word("next")? {
                "-" => None,
                digest => Some(parsed("next", digest)?),
            },
            contested: parsed("contested", word("contested")?)?,
            seen_at: UnixSeconds(parsed("seen_at", word("seen_at")?)?),
        };
        match words.next() {
            None => Ok(floor),
            Some(_) => Err(FloorTextError { expected: "the end" }),
        }
    }
}

fn parsed<T: FromStr>(expected: &'static str, text: &str) -> Result<T, FloorTextError> {
    text.parse().map_err(|_| FloorTextError { expected })
}
