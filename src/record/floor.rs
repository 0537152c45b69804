//! The newest version of a record that a reader has seen: it goes below it never again.
//!
//! As text, a floor is one line of `name=value` words; `-` stands for nothing. The last word, `payload`, came later: a line
//! without it is a floor too, which cannot tell which of two records of its rank is the newer until it has seen its own again.

use super::grid_record::GridRecord;
use super::head::MAX_RECORD_BYTES;
use super::key_digest::KeyDigest;
use super::signed_record::SignedRecord;
use super::time::TimeFault;
use crate::keys::GridId;
use crate::signed::Identity;
use crate::units::{Seconds, UnixSeconds};
use data_encoding::BASE64URL_NOPAD;
use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// How long a floor is kept after its record was last seen.
pub const FLOOR_KEPT: Seconds = Seconds::days(400);

/// How old `seen_at` may get before seeing the same record again is worth writing down.
const SEEN_AT_GRAIN: Seconds = Seconds::days(1);

/// How far a reader has got with one grid. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Floor {
    grid: GridId,
    withdrawn: bool,
    serial: UnixSeconds,
    sequence: u64,
    identity: Identity,
    /// The payload of the record that laid it, which orders records of one rank; `None` in a floor of the older form.
    payload: Option<Arc<[u8]>>,
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
            payload: Some(signed.payload().0.into()),
            next: record.next(),
            contested: false,
            seen_at: now,
        })
    }

    /// Whether `record` is of this grid and not below the floor.
    pub fn admits(&self, record: &SignedRecord) -> bool {
        // Of a floor of the older form: which of two of one rank is the newer is not known, and one of them is.
        *record.grid() == self.grid && self.compare(record).is_none_or(Ordering::is_ge)
    }

    /// The floor after seeing `record`; `None` if nothing changes that is worth writing down.
    ///
    /// Never lower than before. A `next` once seen stays, from an older record too; a second, different one contests it.
    pub fn raised_by(&self, record: &GridRecord, now: UnixSeconds) -> Option<Self> {
        if *record.grid() != self.grid || is_of_the_future(record.signed(), now) {
            return None;
        }
        let signed = record.signed();
        let mut raised = self.clone();
        match self.compare(signed) {
            Some(Ordering::Greater) => {
                raised.withdrawn = signed.withdrawn();
                raised.serial = signed.serial();
                raised.sequence = signed.sequence();
                raised.identity = signed.identity();
                raised.payload = Some(signed.payload().0.into());
            }
            Some(Ordering::Equal) if self.payload.is_none() => raised.payload = Some(signed.payload().0.into()),
            _ => {}
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

    /// Whether nothing that `other` bars is admitted by this one.
    pub fn is_at_least(&self, other: &Self) -> bool {
        let position = |floor: &Self| (floor.withdrawn, floor.serial, floor.sequence, floor.payload.clone());
        self.grid == other.grid && position(self) >= position(other)
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

    /// How `record` compares with the one that laid the floor; `None` where the payload that would tell was not kept.
    fn compare(&self, record: &SignedRecord) -> Option<Ordering> {
        let rank = (record.withdrawn(), record.serial(), record.sequence());
        match rank.cmp(&(self.withdrawn, self.serial, self.sequence)) {
            Ordering::Equal if record.identity() == self.identity => Some(Ordering::Equal),
            Ordering::Equal => self.payload.as_ref().map(|payload| record.payload().0.cmp(payload)),
            other => Some(other),
        }
    }
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
        )?;
        match &self.payload {
            Some(payload) => write!(f, " payload={}", BASE64URL_NOPAD.encode(payload)),
            None => Ok(()),
        }
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
        let mut floor = Self {
            payload: None,
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
        if let Some(payload) = words.next() {
            let digits = payload.strip_prefix("payload=").ok_or(FloorTextError { expected: "payload" })?;
            let payload = BASE64URL_NOPAD.decode(digits.as_bytes());
            let payload = payload.ok().filter(|payload| payload.len() <= MAX_RECORD_BYTES);
            floor.payload = Some(payload.ok_or(FloorTextError { expected: "payload" })?.into());
        }
        match words.next() {
            None => Ok(floor),
            Some(_) => Err(FloorTextError { expected: "the end" }),
        }
    }
}

fn parsed<T: FromStr>(expected: &'static str, text: &str) -> Result<T, FloorTextError> {
    text.parse().map_err(|_| FloorTextError { expected })
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{DAY, NOW, grid, grid_key, key, other_grid};
    use super::super::{RecordDraft, Signer};
    use super::*;
    use proptest::prelude::*;

    fn record(serial: u64, at: u64, next: Option<u8>, withdrawn: bool) -> GridRecord {
        let draft = RecordDraft { next: next.map(|n| KeyDigest([n; 32])), withdrawn, ..RecordDraft::new(grid()) };
        let signer = Signer::Grid { key: &grid_key(), serial: UnixSeconds(NOW.0 + serial) };
        draft.sign(signer, None, &[], UnixSeconds(NOW.0 + at)).expect("signed")
    }

    fn floor(record: &GridRecord) -> Floor {
        Floor::of(record, NOW).expect("not of the future")
    }

    #[test]
    fn what_is_below_is_not_admitted() {
        let low = record(0, 0, None, false);
        let high = floor(&record(0, 1, None, false));
        assert!(!high.admits(low.signed()));
        assert!(high.admits(record(0, 1, None, false).signed()));
        assert!(high.admits(record(1, 0, None, false).signed()), "a higher serial goes before");
        assert!(high.admits(record(0, 0, None, true).signed()), "withdrawn goes before all");
        let foreign = RecordDraft::new(other_grid(9));
        let foreign =
            foreign.sign(Signer::Grid { key: &key(9), serial: NOW }, None, &[], NOW.plus(DAY)).expect("signed");
        assert!(!high.admits(foreign.signed()));
        assert_eq!(high.raised_by(&foreign, NOW.plus(DAY)), None);
    }

    /// Two records of one rank, the newer one last: an operator signed twice in a second, on two machines.
    fn twins() -> [GridRecord; 2] {
        let mut twins = [record(0, 0, Some(1), false), record(0, 0, Some(2), false)];
        twins.sort_by_key(|record| record.signed().payload().0.to_vec());
        assert!(twins[1].signed().supersedes(twins[0].signed()));
        twins
    }

    #[test]
    fn of_two_records_of_one_rank_the_floor_keeps_to_the_newer() {
        let [older, newer] = twins();
        let high = floor(&newer);
        assert!(!high.admits(older.signed()));
        assert!(high.admits(newer.signed()));
        let raised = floor(&older).raised_by(&newer, NOW).expect("higher");
        assert_eq!(raised.identity(), newer.signed().identity());
        assert!(!raised.admits(older.signed()));
        let again: Floor = raised.to_string().parse().expect("as it was printed");
        assert!(!again.admits(older.signed()), "after a restart");
    }

    #[test]
    fn a_floor_of_the_older_form_learns_its_payload_and_never_sinks() {
        let [older, newer] = twins();
        let text = floor(&newer).to_string();
        let old_form: Floor = text.split_once(" payload=").expect("it is there").0.parse().expect("a floor");
        assert!(old_form.admits(older.signed()) && old_form.admits(newer.signed()));
        let after_older = old_form.raised_by(&older, NOW).unwrap_or(old_form.clone());
        assert_eq!(after_older.identity(), newer.signed().identity(), "what cannot be told is left");
        let learnt = old_form.raised_by(&newer, NOW).expect("the payload");
        assert!(!learnt.admits(older.signed()));
    }

    #[test]
    fn the_future_lays_no_floor() {
        let early = record(0, 0, None, false);
        let late = record(0, 86_400, None, false);
        assert_eq!(Floor::of(&late, NOW), None);
        assert_eq!(floor(&early).raised_by(&late, NOW), None);
        assert!(floor(&early).raised_by(&late, NOW.plus(DAY)).is_some());
    }

    #[test]
    fn an_announced_key_stays_and_a_second_one_contests_it() {
        let none = floor(&record(0, 0, None, false));
        let one = none.raised_by(&record(0, 1, Some(1), false), NOW).expect("news");
        assert_eq!((one.next(), one.contested()), (Some(KeyDigest([1; 32])), false));
        let kept = one.raised_by(&record(0, 2, None, false), NOW).expect("higher");
        assert_eq!((kept.next(), kept.contested()), (Some(KeyDigest([1; 32])), false));
        let contested = kept.raised_by(&record(0, 0, Some(2), false), NOW).expect("even from an older record");
        assert_eq!((contested.next(), contested.contested()), (Some(KeyDigest([1; 32])), true));
        assert_eq!(contested.sequence(), kept.sequence());
    }

    #[test]
    fn seeing_the_same_again_is_written_once_a_day() {
        let first = record(0, 0, None, false);
        let floor = floor(&first);
        assert_eq!(floor.raised_by(&first, NOW.plus(Seconds(3600))), None);
        let later = floor.raised_by(&first, NOW.plus(DAY)).expect("a day later");
        assert_eq!(later, Floor { seen_at: NOW.plus(DAY), ..floor.clone() });
        assert!(!later.is_over(NOW.plus(DAY).plus(FLOOR_KEPT)));
        assert!(later.is_over(NOW.plus(DAY).plus(FLOOR_KEPT).plus(Seconds(1))));
    }

    #[test]
    fn a_floor_prints_as_it_parses() {
        for next in [None, Some(3)] {
            let floor = floor(&record(0, 0, next, false));
            assert_eq!(floor.to_string().parse(), Ok(floor.clone()));
        }
        let text = floor(&record(0, 0, None, false)).to_string();
        assert_eq!(text.replace("sequence=", "seq=").parse::<Floor>(), Err(FloorTextError { expected: "sequence" }));
        assert_eq!(format!("{text} x").parse::<Floor>(), Err(FloorTextError { expected: "the end" }));
        let (old_form, _) = text.split_once(" payload=").expect("it is there");
        assert_eq!(old_form.parse::<Floor>().map(|floor| floor.to_string()), Ok(old_form.to_owned()));
        for payload in ["payload", "payload=+", "payload=A", "load=AA"] {
            let text = format!("{old_form} {payload}");
            assert_eq!(text.parse::<Floor>(), Err(FloorTextError { expected: "payload" }), "{payload}");
        }
        assert_eq!("".parse::<Floor>(), Err(FloorTextError { expected: "grid" }));
    }

    proptest! {
        #[test]
        fn a_floor_never_sinks(
            seen in proptest::collection::vec((0..3u64, 0..5u64, proptest::option::of(0..2u8), any::<bool>(), 0..3u64), 1..8)
        ) {
            let mut seen = seen.into_iter();
            let (serial, at, next, withdrawn, _) = seen.next().expect("at least one");
            let mut floor = floor(&record(serial, at, next, withdrawn));
            for (serial, at, next, withdrawn, days) in seen {
                let record = record(serial, at, next, withdrawn);
                let admitted = floor.admits(record.signed());
                if let Some(raised) = floor.raised_by(&record, NOW.plus(Seconds::days(days))) {
                    let position = |floor: &Floor| {
                        (floor.withdrawn, floor.serial, floor.sequence, floor.payload.clone())
                    };
                    prop_assert!(position(&raised) >= position(&floor));
                    prop_assert!(raised.seen_at >= floor.seen_at);
                    prop_assert!(floor.next.is_none() || raised.next == floor.next);
                    prop_assert!(raised.contested || !floor.contested);
                    floor = raised;
                }
                prop_assert_eq!(floor.admits(record.signed()), admitted);
            }
        }
    }
}
