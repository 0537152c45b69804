//! A record as a holder knows it: signed by the grid or its publisher, of a known age, and otherwise closed.

use super::delegation::Delegation;
use super::error::{FieldError, RecordError};
use super::field::Field;
use super::head::{Head, MAX_RECORD_BYTES, RawAuthority};
use super::time::{CLOCK_TOLERANCE, TimeFault};
use super::weight::Weights;
use crate::keys::{GridId, PublicKey};
use crate::signed::{Envelope, Identity, ObjectType};
use crate::units::UnixSeconds;
use std::cmp::Ordering;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

pub(super) const OBJECT: &str = "record";

/// Verified bytes of a record. Cheap to clone.
///
/// Enough to keep it, to pass it on and to tell which of two is newer, also for records of a later format; what they say
/// is for [`GridRecord`](super::GridRecord). Whether it is current, [`SignedRecord::time_fault`] tells.
#[derive(Clone)]
pub struct SignedRecord(Arc<Inner>);

struct Inner {
    bytes: Box<[u8]>,
    payload: Range<usize>,
    max_bytes: usize,
    grid: GridId,
    format: u64,
    sequence: u64,
    issued_at: UnixSeconds,
    expires_at: UnixSeconds,
    withdrawn: bool,
    authority: Authority,
    identity: Identity,
}

/// In whose name a record was signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Authority {
    /// The grid key signed it itself.
    GridKey {
        /// Orders what the grid key signs: a higher one revokes what has a lower.
        serial: UnixSeconds,
    },
    /// A publisher key signed it, with the grid key's permission.
    Publisher(Box<Delegation>),
}

impl Authority {
    /// The serial: the delegation's where there is one.
    pub fn serial(&self) -> UnixSeconds {
        match self {
            Self::GridKey { serial } => *serial,
            Self::Publisher(delegation) => delegation.serial(),
        }
    }

    /// The publisher key, where one signed.
    pub fn publisher(&self) -> Option<&PublicKey> {
        self.delegation().map(Delegation::publisher)
    }

    /// The delegation, where there is one.
    pub fn delegation(&self) -> Option<&Delegation> {
        match self {
            Self::GridKey { .. } => None,
            Self::Publisher(delegation) => Some(delegation),
        }
    }
}

impl SignedRecord {
    /// The record of `grid` in `bytes`. Asks no clock: see [`SignedRecord::time_fault`].
    pub fn from_bytes(bytes: &[u8], grid: &GridId) -> Result<Self, RecordError> {
        if bytes.len() > MAX_RECORD_BYTES {
            return Err(RecordError::TooBig { found: bytes.len(), limit: MAX_RECORD_BYTES });
        }
        let envelope = Envelope::from_bytes(bytes).map_err(|error| RecordError::envelope(OBJECT, error))?;
        let base = envelope.payload_offset();
        let head = Head::read(envelope.payload()).map_err(|error| error.shifted(base))?;
        if bytes.len() > head.max_bytes() {
            return Err(RecordError::TooBig { found: bytes.len(), limit: head.max_bytes() });
        }
        let (authority, signer, by) = match head.authority {
            RawAuthority::Serial(serial) => (Authority::GridKey { serial }, *grid.key(), "the grid key"),
            RawAuthority::Delegation { bytes, offset } => {
                let delegation = Delegation::from_bytes(bytes, grid).map_err(|error| error.shifted(base + offset))?;
                delegation
                    .holds_for(head.issued_at, head.expires_at)
                    .map_err(|fault| FieldError::new(base + offset, fault).in_field(Field::Authority.name()))?;
                let publisher = *delegation.publisher();
                (Authority::Publisher(Box::new(delegation)), publisher, "the publisher that the delegation names")
            }
        };
        envelope
            .verify(ObjectType::Record, &signer)
            .map_err(|_| RecordError::BadSignature { object: OBJECT, signer: by })?;
        Ok(Self(Arc::new(Inner {
            payload: base..base + envelope.payload().len(),
            identity: Identity::of(ObjectType::Record, grid, envelope.payload()),
            bytes: bytes.into(),
            max_bytes: head.max_bytes(),
            grid: *grid,
            format: head.format,
            sequence: head.sequence,
            issued_at: head.issued_at,
            expires_at: head.expires_at,
            withdrawn: head.withdrawn,
            authority,
        })))
    }

    /// The bytes as signed: the record.
    pub fn bytes(&self) -> &[u8] {
        &self.0.bytes
    }

    /// The payload, and where it begins.
    pub(super) fn payload(&self) -> (&[u8], usize) {
        (&self.0.bytes[self.0.payload.clone()], self.0.payload.start)
    }

    /// How many octets each part takes.
    pub fn weights(&self) -> Weights {
        Weights::of(self.payload().0, self.bytes().len(), self.0.max_bytes)
    }

    /// Whose record it is.
    pub fn grid(&self) -> &GridId {
        &self.0.grid
    }

    /// The format: 1 today.
    pub fn format(&self) -> u64 {
        self.0.format
    }

    /// Orders the versions of a record; holds the time of issue and is not a clock.
    pub fn sequence(&self) -> u64 {
        self.0.sequence
    }

    /// When it says it was signed.
    pub fn issued_at(&self) -> UnixSeconds {
        self.0.issued_at
    }

    /// From when on it is answered and forwarded no more.
    pub fn expires_at(&self) -> UnixSeconds {
        self.0.expires_at
    }

    /// Whether the grid has taken itself off the network, for good.
    pub fn withdrawn(&self) -> bool {
        self.0.withdrawn
    }

    /// In whose name it was signed.
    pub fn authority(&self) -> &Authority {
        &self.0.authority
    }

    /// The serial of its authority.
    pub fn serial(&self) -> UnixSeconds {
        self.0.authority.serial()
    }

    /// What names it everywhere. Does not depend on the signature: two signatures of one payload are one record.
    pub fn identity(&self) -> Identity {
        self.0.identity
    }

    /// Whether this record takes the place of `other`: newer, of the same grid.
    ///
    /// Compares withdrawn, serial, sequence and payload, in this order. Of two with the same identity neither does: the one
    /// that is held stays.
    pub fn supersedes(&self, other: &Self) -> bool {
        let position = |record: &Self| (record.withdrawn(), record.serial(), record.sequence());
        let order = position(self).cmp(&position(other)).then_with(|| self.payload().0.cmp(other.payload().0));
        self.grid() == other.grid() && order == Ordering::Greater
    }

    /// Why it is not to be answered, kept or acted on at `now`; `None` if it is current.
    pub fn time_fault(&self, now: UnixSeconds) -> Option<TimeFault> {
        let latest = now.plus(CLOCK_TOLERANCE);
        let (issued_at, serial, expires_at) = (self.issued_at(), self.serial(), self.expires_at());
        if issued_at > latest {
            Some(TimeFault::IssuedInFuture { issued_at, now })
        } else if serial > latest {
            Some(TimeFault::SerialInFuture { serial, now })
        } else if expires_at <= now {
            Some(TimeFault::Expired { expires_at, now })
        } else {
            None
        }
    }

    /// The name of its file: `<grid id>.<sequence>.record`.
    pub fn file_name(&self) -> String {
        format!("{}.{}.record", self.grid(), self.sequence())
    }
}

impl PartialEq for SignedRecord {
    /// The same bytes of the same grid.
    fn eq(&self, other: &Self) -> bool {
        self.grid() == other.grid() && self.bytes() == other.bytes()
    }
}

impl Eq for SignedRecord {}

impl fmt::Debug for SignedRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "record {} of {}, {}", self.sequence(), self.grid(), self.identity())
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{
        DAY, NOW, by_grid, delegation, delegation_draft, grid, grid_key, hand_made, key, other_grid, publisher_key,
        realistic,
    };
    use super::super::{Delegation, DelegationDraft, GridRecord, RecordDraft, Signer};
    use super::*;
    use crate::cbor::MapWriter;
    use crate::signed::seal;
    use crate::units::Seconds;
    use proptest::prelude::*;

    fn from_bytes(bytes: &[u8]) -> Result<SignedRecord, RecordError> {
        SignedRecord::from_bytes(bytes, &grid())
    }

    fn error(bytes: &[u8]) -> String {
        from_bytes(bytes).expect_err("refused").to_string()
    }

    /// A record with these entries in keys 0 to 5, issued by whom `authority` says and signed by `signer`.
    fn head(signer: &crate::keys::SecretKey, build: impl FnOnce(&mut MapWriter) -> &mut MapWriter) -> Vec<u8> {
        let mut map = MapWriter::new();
        build(&mut map);
        seal(ObjectType::Record, &map.finish(), signer)
    }

    fn delegated(
        delegation: &Delegation,
        at: UnixSeconds,
        until: UnixSeconds,
        more: &dyn Fn(&mut MapWriter) -> &mut MapWriter,
    ) -> Vec<u8> {
        head(&publisher_key(), |map| {
            map.uint(0, 1)
                .uint(1, at.0 * 1000)
                .uint(2, at.0)
                .uint(3, until.0)
                .bool(4, false)
                .bytes(5, delegation.bytes());
            more(map)
        })
    }

    #[test]
    fn a_holder_keeps_what_later_versions_say() {
        let record = from_bytes(&hand_made(|map| map.uint(6, 7).uint(20, 1).text(70, "later"))).expect("kept");
        assert_eq!((record.format(), record.sequence()), (1, NOW.0 * 1000));
        let later = head(&grid_key(), |map| {
            map.uint(0, 2).uint(1, NOW.0 * 1000 + 5).uint(2, NOW.0).uint(3, NOW.0 + 9).bool(4, false).uint(5, 3);
            map.array(6, &[vec![0x80]])
        });
        let later = from_bytes(&later).expect("kept");
        assert!(!later.supersedes(&record), "a lower serial");
        assert!(GridRecord::read(later).expect_err("not read").is_upgrade());
    }

    #[test]
    fn a_missing_or_malformed_head_is_named() {
        assert!(error(&head(&grid_key(), |map| map.uint(0, 1))).starts_with("sequence, byte "));
        let with = |issued: u64, sequence: u64, expires: u64| {
            error(&head(&grid_key(), |map| {
                map.uint(0, 1).uint(1, sequence).uint(2, issued).uint(3, expires).bool(4, false).uint(5, 1)
            }))
        };
        assert!(with(5, 6000, 9).contains("6000 is not the time of issue, 5"));
        assert!(with(5, 5000, 5).contains("expires_at, byte 17: lives 0 s"), "{}", with(5, 5000, 5));
        assert!(with(5, 5000, 4).contains("lives 0 s"));
        assert!(with(5, 5999, 6 + Seconds::days(30).0).contains("at most 30 d"));
        assert!(with(0, 0, 9).contains("issued_at, byte 13: 0 is not within 1"), "{}", with(0, 0, 9));
    }

    #[test]
    fn sizes_are_refused_by_name() {
        assert_eq!(from_bytes(&[]), Err(RecordError::Empty { object: "record" }));
        let fat = hand_made(|map| map.bytes(64, &[0; 900]));
        assert_eq!(from_bytes(&fat), Err(RecordError::TooBig { found: fat.len(), limit: MAX_RECORD_BYTES }));
        let final_one = |size: usize| {
            head(&grid_key(), |map| {
                map.uint(0, 1).uint(1, NOW.0 * 1000).uint(2, NOW.0).uint(3, NOW.0 + 9).bool(4, true).uint(5, 3);
                map.bytes(64, &vec![0; size])
            })
        };
        let most = 256 - final_one(100).len() + 100;
        assert!(from_bytes(&final_one(most)).is_ok());
        assert_eq!(from_bytes(&final_one(most + 1)), Err(RecordError::TooBig { found: 257, limit: 256 }));
        let moved = hand_made(|map| map.bytes(14, &[0; 200]));
        assert_eq!(from_bytes(&moved), Err(RecordError::TooBig { found: moved.len(), limit: 256 }));
    }

    #[test]
    fn a_record_holds_for_its_own_grid_and_signer() {
        let bytes = hand_made(|map| map);
        assert_eq!(
            SignedRecord::from_bytes(&bytes, &other_grid(9)),
            Err(RecordError::BadSignature { object: "record", signer: "the grid key" })
        );
        let bytes = delegated(&delegation(), NOW, NOW.plus(DAY), &|map| map);
        assert!(from_bytes(&bytes).is_ok());
        assert_eq!(
            SignedRecord::from_bytes(&bytes, &other_grid(9)),
            Err(RecordError::BadSignature { object: "delegation", signer: "the grid key" })
        );
        let stolen = head(&key(9), |map| {
            map.uint(0, 1).uint(1, NOW.0 * 1000).uint(2, NOW.0).uint(3, NOW.0 + 9).bool(4, false);
            map.bytes(5, delegation().bytes())
        });
        assert!(error(&stolen).contains("the publisher that the delegation names"));
    }

    #[test]
    fn a_publisher_may_not_do_what_is_the_grid_s() {
        let delegation = delegation();
        let refused =
            |more: &dyn Fn(&mut MapWriter) -> &mut MapWriter| error(&delegated(&delegation, NOW, NOW.plus(DAY), more));
        assert!(refused(&|map| map.bytes(13, &[1; 32])).contains("only the grid key may sign `next`"));
        assert!(refused(&|map| map.bytes(14, &[1; 32])).contains("only the grid key may sign `successor`"));
        let gone = head(&publisher_key(), |map| {
            map.uint(0, 1).uint(1, NOW.0 * 1000).uint(2, NOW.0).uint(3, NOW.0 + 9).bool(4, true);
            map.bytes(5, delegation.bytes())
        });
        assert!(error(&gone).contains("only the grid key may sign `withdrawn`"));
    }

    #[test]
    fn a_delegation_bounds_its_records_in_time() {
        let short = DelegationDraft { not_after: NOW.plus(DAY), ..delegation_draft() };
        let short = Delegation::issue(&grid_key(), &short).expect("a delegation");
        let tolerated = NOW.minus(CLOCK_TOLERANCE);
        assert!(from_bytes(&delegated(&short, tolerated, NOW.plus(DAY), &|map| map)).is_ok());
        let early = error(&delegated(&short, tolerated.minus(Seconds(1)), NOW.plus(DAY), &|map| map));
        assert!(early.contains("and the delegation holds from "), "{early}");
        let late = error(&delegated(&short, NOW, NOW.plus(DAY).plus(Seconds(1)), &|map| map));
        assert!(late.contains("and the delegation holds until "), "{late}");
    }

    #[test]
    fn time_is_judged_against_the_clock_given() {
        let record = from_bytes(&hand_made(|map| map)).expect("a record");
        assert_eq!(record.time_fault(NOW), None);
        assert_eq!(record.time_fault(NOW.minus(CLOCK_TOLERANCE)), None);
        assert!(matches!(
            record.time_fault(NOW.minus(CLOCK_TOLERANCE).minus(Seconds(1))),
            Some(TimeFault::IssuedInFuture { .. })
        ));
        assert_eq!(record.time_fault(NOW.plus(DAY).minus(Seconds(1))), None);
        assert!(matches!(record.time_fault(NOW.plus(DAY)), Some(TimeFault::Expired { .. })));
        let later =
            realistic().sign(Signer::Grid { key: &grid_key(), serial: NOW }, None, &[], NOW.minus(CLOCK_TOLERANCE));
        let later = later.expect("signed");
        let now = NOW.minus(CLOCK_TOLERANCE).minus(Seconds(1));
        assert!(matches!(later.signed().time_fault(now), Some(TimeFault::SerialInFuture { .. })));
    }

    #[test]
    fn a_file_name_says_grid_and_sequence() {
        let record = from_bytes(&hand_made(|map| map)).expect("a record");
        assert_eq!(record.file_name(), format!("{}.{}.record", grid(), NOW.0 * 1000));
    }

    #[test]
    fn every_flipped_byte_of_a_record_is_refused() {
        let key = publisher_key();
        let delegation = delegation();
        let signer = Signer::Publisher { key: &key, delegation: &delegation };
        for signer in [signer, by_grid(&grid_key())] {
            let record = realistic().sign(signer, None, &[], NOW).expect("signed");
            let bytes = record.signed().bytes();
            for i in 0..bytes.len() {
                let mut flipped = bytes.to_vec();
                flipped[i] ^= 1;
                assert!(from_bytes(&flipped).is_err(), "byte {i}");
                assert!(from_bytes(&bytes[..i]).is_err(), "cut at {i}");
            }
        }
    }

    /// Records that differ in few places, so that their order is decided at every level.
    fn any_record() -> impl Strategy<Value = SignedRecord> {
        (any::<bool>(), 1..4u64, 0..3u64, 0..3u64).prop_map(|(withdrawn, serial, sequence, filler)| {
            let bytes = head(&grid_key(), |map| {
                map.uint(0, 1).uint(1, NOW.0 * 1000 + sequence).uint(2, NOW.0).uint(3, NOW.0 + 9).bool(4, withdrawn);
                map.uint(5, serial).uint(64, filler)
            });
            from_bytes(&bytes).expect("a record")
        })
    }

    proptest! {
        #[test]
        fn supersedes_is_a_strict_total_order(a in any_record(), b in any_record(), c in any_record()) {
            if a.identity() == b.identity() {
                prop_assert!(!a.supersedes(&b) && !b.supersedes(&a));
            } else {
                prop_assert!(a.supersedes(&b) != b.supersedes(&a));
            }
            if a.supersedes(&b) && b.supersedes(&c) {
                prop_assert!(a.supersedes(&c));
            }
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(from_bytes(&bytes).is_err());
            let signed = seal(ObjectType::Record, &bytes, &grid_key());
            let _ = GridRecord::from_bytes(&signed, &grid());
        }

        /// Signed, canonical and mostly nonsense: what random bytes never reach.
        #[test]
        fn no_signed_fields_make_it_panic(field in 0..20u64, value in nonsense(3)) {
            let bytes = hand_made(|map| {
                if field > 5 { map.encoded(field, &value) } else { map }
            });
            if let Ok(record) = GridRecord::from_bytes(&bytes, &grid()) {
                let _ = (RecordDraft::from_record(&record), record.commitments().count());
            }
        }
    }

    fn nonsense(depth: u32) -> impl Strategy<Value = Vec<u8>> {
        let encoded = |build: &dyn Fn(&mut MapWriter) -> &mut MapWriter| {
            let mut map = MapWriter::new();
            build(&mut map);
            map.finish()[2..].to_vec()
        };
        let sizes = prop_oneof![Just(4usize), Just(16), Just(32), Just(38), 0..45usize];
        let leaf = prop_oneof![
            prop_oneof![0..70u64, Just(NOW.0 + 5), any::<u64>()].prop_map(move |n| encoded(&|map| map.uint(0, n))),
            (sizes, any::<u8>()).prop_map(move |(size, byte)| encoded(&|map| map.bytes(0, &vec![byte; size]))),
            prop_oneof![Just("USD"), Just("XXX"), Just("https://a.b"), Just("a.b")]
                .prop_map(move |text| encoded(&|map| map.text(0, text))),
        ];
        leaf.prop_recursive(depth, 24, 5, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 1..4)
                    .prop_map(|items| MapWriter::new().array(0, &items).finish()[2..].to_vec()),
                proptest::collection::btree_map(0..8u64, inner, 0..6).prop_map(|entries| {
                    let mut map = MapWriter::new();
                    for (key, value) in entries {
                        map.encoded(key, &value);
                    }
                    map.finish()
                }),
            ]
        })
    }
}
