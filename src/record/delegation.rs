//! The grid key's permission for a publisher key to sign records, so that the grid key can stay in a drawer.
//!
//! Who only keeps records needs the serial, the publisher key and the end of it; who acts on one needs
//! [`DelegationLimits`] as well. A higher serial revokes the lower ones.

use super::error::{DelegationBound, Fault, FieldError, RecordError, Unknown};
use super::key_digest::KeyDigest;
use super::limit::Limit;
use super::time::CLOCK_TOLERANCE;
use crate::cbor::{FIRST_IGNORABLE_KEY, MapWriter, Reader};
use crate::keys::{GridId, PublicKey, SecretKey};
use crate::signed::{Envelope, ObjectType, seal};
use crate::units::{Seconds, UnixSeconds};
use std::fmt;
use std::ops::Range;

/// The longest life of a delegation.
pub const MAX_DELEGATION: Seconds = Seconds::days(400);

/// The most octets of a delegation: what fits in a record's payload.
pub(super) const MAX_DELEGATION_BYTES: usize = 920;

const OBJECT: &str = "delegation";
const FIELD: &str = "authority";

const FORMAT: u64 = 0;
const SERIAL: u64 = 1;
const PUBLISHER: u64 = 2;
const NOT_AFTER: u64 = 3;
const NEXT: u64 = 4;
const MAX_LIMIT: u64 = 5;
const COMMITTED_UNTIL: u64 = 6;

/// A permission, signed by the grid key, for one publisher key.
#[derive(Clone, PartialEq, Eq)]
pub struct Delegation {
    bytes: Box<[u8]>,
    payload: Range<usize>,
    grid: GridId,
    serial: UnixSeconds,
    publisher: PublicKey,
    not_after: UnixSeconds,
}

/// What a publisher may promise, and which key would follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DelegationLimits {
    /// The digest of the grid key that would follow.
    pub next: Option<KeyDigest>,
    /// The most credit that a gateway may be given; none of any asset if absent.
    pub max_limit: Option<Limit>,
    /// The latest date that a rate may be committed until.
    pub committed_until: UnixSeconds,
}

/// What a delegation is to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DelegationDraft {
    /// Orders the delegations of a grid: the time of signing. A higher one revokes the lower ones.
    pub serial: UnixSeconds,
    /// The key that may sign.
    pub publisher: PublicKey,
    /// No record under it expires later; at most 400 days after the serial.
    pub not_after: UnixSeconds,
    /// The digest of the grid key that would follow.
    pub next: Option<KeyDigest>,
    /// The most credit that a gateway may be given.
    pub max_limit: Option<Limit>,
    /// The latest date that a rate may be committed until; [`DelegationDraft::not_after`] if absent.
    pub committed_until: Option<UnixSeconds>,
}

impl Delegation {
    /// The delegation in `bytes`, if `grid` signed it. Keys of a later day are passed over: see [`Delegation::limits`].
    pub fn from_bytes(bytes: &[u8], grid: &GridId) -> Result<Self, RecordError> {
        if bytes.len() > MAX_DELEGATION_BYTES {
            return Err(RecordError::TooBig { found: bytes.len(), limit: MAX_DELEGATION_BYTES });
        }
        let envelope = Envelope::from_bytes(bytes).map_err(|error| RecordError::envelope(OBJECT, error))?;
        let base = envelope.payload_offset();
        let head = Head::read(envelope.payload()).map_err(|error| error.in_field(FIELD).shifted(base))?;
        if head.publisher == *grid.key() {
            return Err(FieldError::new(base, Fault::PublisherIsGrid).in_field(FIELD));
        }
        envelope
            .verify(ObjectType::Delegation, grid.key())
            .map_err(|_| RecordError::BadSignature { object: OBJECT, signer: "the grid key" })?;
        let Head { serial, publisher, not_after } = head;
        let payload = base..base + envelope.payload().len();
        Ok(Self { bytes: bytes.into(), payload, grid: *grid, serial, publisher, not_after })
    }

    /// Signs what `draft` says with the grid key.
    pub fn issue(grid_key: &SecretKey, draft: &DelegationDraft) -> Result<Self, RecordError> {
        let mut map = MapWriter::new();
        map.uint(FORMAT, 1).uint(SERIAL, draft.serial.0).bytes(PUBLISHER, draft.publisher.as_bytes());
        map.uint(NOT_AFTER, draft.not_after.0);
        if let Some(next) = draft.next {
            map.bytes(NEXT, &next.0);
        }
        if let Some(limit) = draft.max_limit {
            map.encoded(MAX_LIMIT, &limit.encode());
        }
        if let Some(until) = draft.committed_until {
            map.uint(COMMITTED_UNTIL, until.0);
        }
        let delegation =
            Self::from_bytes(&seal(ObjectType::Delegation, &map.finish(), grid_key), &GridId::new(grid_key.public()))?;
        delegation.limits()?;
        Ok(delegation)
    }

    /// The signed bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether `grid` signed it.
    pub fn is_of(&self, grid: &GridId) -> bool {
        self.grid == *grid
    }

    /// The serial: read as a time, when it was signed.
    pub fn serial(&self) -> UnixSeconds {
        self.serial
    }

    /// The key that may sign.
    pub fn publisher(&self) -> &PublicKey {
        &self.publisher
    }

    /// No record under it expires later.
    pub fn not_after(&self) -> UnixSeconds {
        self.not_after
    }

    /// What the publisher may promise; an error if that takes a newer version of this program to read.
    pub fn limits(&self) -> Result<DelegationLimits, RecordError> {
        self.read_limits().map_err(|error| error.in_field(FIELD))
    }

    /// As [`Delegation::limits`]; offsets count from the delegation's first byte.
    pub(super) fn read_limits(&self) -> Result<DelegationLimits, FieldError> {
        let mut limits = DelegationLimits { next: None, max_limit: None, committed_until: self.not_after };
        let read = Reader::new(&self.bytes[self.payload.clone()]).map(|key, reader| {
            let start = reader.offset();
            match key {
                FORMAT => match reader.uint()? {
                    1 => {}
                    format => return Err(FieldError::unknown(start, Unknown::Format { object: OBJECT, format })),
                },
                SERIAL..=NOT_AFTER => reader.skip()?,
                NEXT => limits.next = Some(KeyDigest(reader.array_of()?)),
                MAX_LIMIT => limits.max_limit = Some(Limit::read(reader)?),
                COMMITTED_UNTIL => limits.committed_until = date(reader)?,
                FIRST_IGNORABLE_KEY.. => reader.skip()?,
                _ => return Err(FieldError::unknown(start, Unknown::Key { map: OBJECT, key })),
            }
            Ok(())
        });
        read.map_err(|error: FieldError| error.shifted(self.payload.start))?;
        Ok(limits)
    }

    /// Refuses a record of these dates.
    pub(super) fn holds_for(&self, issued_at: UnixSeconds, expires_at: UnixSeconds) -> Result<(), Fault> {
        let from = self.serial.minus(CLOCK_TOLERANCE);
        if issued_at < from {
            return Err(Fault::OutsideDelegation { found: issued_at, holds: DelegationBound::From(from) });
        }
        if expires_at > self.not_after {
            return Err(Fault::OutsideDelegation { found: expires_at, holds: DelegationBound::Until(self.not_after) });
        }
        Ok(())
    }
}

impl fmt::Debug for Delegation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Delegation {} to {} until {}", self.serial.0, self.publisher, self.not_after)
    }
}

/// The keys that every format has.
struct Head {
    serial: UnixSeconds,
    publisher: PublicKey,
    not_after: UnixSeconds,
}

impl Head {
    fn read(payload: &[u8]) -> Result<Self, FieldError> {
        let (mut format, mut serial, mut publisher, mut not_after) = (None, None, None, None);
        let mut reader = Reader::new(payload);
        reader.map(|key, reader| {
            let start = reader.offset();
            match key {
                FORMAT => match reader.uint()? {
                    0 => return Err(FieldError::new(start, Fault::Range { found: 0, min: 1, max: u64::MAX })),
                    known => format = Some(known),
                },
                SERIAL => serial = Some(date(reader)?),
                PUBLISHER => {
                    let key = PublicKey::from_bytes(&reader.array_of()?);
                    publisher = Some(key.map_err(|error| FieldError::new(start, error))?);
                }
                NOT_AFTER => not_after = Some((start, date(reader)?)),
                _ => reader.skip()?,
            }
            Ok(())
        })?;
        reader.end()?;
        let missing = |name| move || FieldError::new(0, Fault::Missing(name));
        format.ok_or_else(missing("the delegation's format"))?;
        let serial = serial.ok_or_else(missing("the delegation's serial"))?;
        let publisher = publisher.ok_or_else(missing("the publisher key"))?;
        let (start, not_after) = not_after.ok_or_else(missing("the delegation's end"))?;
        let (found, min, max) = (not_after.0, serial.0 + 1, serial.plus(MAX_DELEGATION).0);
        if !(min..=max).contains(&found) {
            return Err(FieldError::new(start, Fault::Range { found, min, max }));
        }
        Ok(Self { serial, publisher, not_after })
    }
}

/// A time, as every field of a record or a delegation has it: from 1 second to the last that has a date of four digits.
pub(super) fn date(reader: &mut Reader<'_>) -> Result<UnixSeconds, FieldError> {
    let start = reader.offset();
    let found = reader.uint()?;
    let (min, max) = (1, UnixSeconds::MAX.0);
    if (min..=max).contains(&found) {
        Ok(UnixSeconds(found))
    } else {
        Err(FieldError::new(start, Fault::Range { found, min, max }))
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{DAY, NOW, delegation_draft, grid, grid_key, other_grid, publisher_key};
    use super::*;

    fn sealed(build: impl FnOnce(&mut MapWriter) -> &mut MapWriter) -> Vec<u8> {
        let mut map = MapWriter::new();
        build(&mut map);
        seal(ObjectType::Delegation, &map.finish(), &grid_key())
    }

    fn error(bytes: &[u8]) -> String {
        Delegation::from_bytes(bytes, &grid()).expect_err("refused").to_string()
    }

    #[test]
    fn what_is_issued_is_what_is_read() {
        let draft = DelegationDraft {
            next: Some(KeyDigest([6; 32])),
            committed_until: Some(NOW.plus(Seconds::days(90))),
            ..delegation_draft()
        };
        let delegation = Delegation::issue(&grid_key(), &draft).expect("issued");
        assert_eq!(Delegation::from_bytes(delegation.bytes(), &grid()), Ok(delegation.clone()));
        assert_eq!((delegation.serial(), delegation.not_after()), (draft.serial, draft.not_after));
        assert_eq!(delegation.publisher(), &draft.publisher);
        assert!(delegation.is_of(&grid()) && !delegation.is_of(&other_grid(9)));
        let limits = delegation.limits().expect("known words");
        assert_eq!((limits.next, limits.max_limit), (draft.next, draft.max_limit));
        assert_eq!(Some(limits.committed_until), draft.committed_until);
        let plain = Delegation::issue(&grid_key(), &delegation_draft()).expect("issued");
        assert_eq!(plain.limits().expect("known words").committed_until, plain.not_after());
    }

    #[test]
    fn what_makes_no_delegation_is_refused() {
        let issue = |change: &dyn Fn(&mut DelegationDraft)| {
            let mut draft = delegation_draft();
            change(&mut draft);
            Delegation::issue(&grid_key(), &draft).expect_err("refused").to_string()
        };
        assert!(issue(&|draft| draft.publisher = grid_key().public()).contains("the grid key itself"));
        assert!(issue(&|draft| draft.not_after = draft.serial).contains("is not within"));
        assert!(
            issue(&|draft| draft.not_after = draft.serial.plus(MAX_DELEGATION).plus(DAY)).contains("is not within")
        );
        assert!(error(&[]).contains("the delegation is empty"));
        assert!(error(&sealed(|map| map.uint(0, 1).uint(1, 5).uint(3, 9))).contains("the publisher key is missing"));
        assert!(error(&sealed(|map| map.uint(0, 0))).contains("authority, byte 9: 0 is not within"));
        assert!(error(&sealed(|map| map.uint(0, 1).uint(1, 5).bytes(2, &[0; 32]))).contains("small order"));
        let record = seal(ObjectType::Record, &MapWriter::new().uint(0, 1).finish(), &grid_key());
        assert!(error(&record).contains("is missing"));
    }

    #[test]
    fn a_delegation_holds_for_the_grid_that_signed_it() {
        let delegation = Delegation::issue(&grid_key(), &delegation_draft()).expect("issued");
        assert_eq!(
            Delegation::from_bytes(delegation.bytes(), &other_grid(9)),
            Err(RecordError::BadSignature { object: "delegation", signer: "the grid key" })
        );
    }

    fn head(format: u64, map: &mut MapWriter) -> &mut MapWriter {
        map.uint(0, format).uint(1, NOW.0).bytes(2, publisher_key().public().as_bytes()).uint(3, NOW.0 + 9)
    }

    #[test]
    fn a_holder_tolerates_what_a_reader_does_not() {
        let later = |build: &dyn Fn(&mut MapWriter) -> &mut MapWriter| {
            let bytes = sealed(|map| build(map));
            Delegation::from_bytes(&bytes, &grid()).expect("kept").limits().map(drop)
        };
        assert!(later(&|map| head(2, map)).expect_err("a later format").is_upgrade());
        assert!(later(&|map| head(1, map).uint(7, 0)).expect_err("a later key").is_upgrade());
        assert_eq!(later(&|map| head(1, map).uint(64, 0)), Ok(()));
        assert!(!later(&|map| head(1, map).uint(4, 0)).expect_err("no digest").is_upgrade());
    }
}
