//! `session/1`: the claim with which a caller opens a session on one connection.
//!
//! It names the gateway, the gateway's TLS key and the connection's exporter (RFC 9266). So a hostile gateway that is given
//! one has no use for it anywhere else.

use crate::cbor::{FIRST_IGNORABLE_KEY, MapWriter};
use crate::keys::{GridId, PublicKey, SecretKey};
use crate::record::{Floor, GridRecord, MAX_RECORD_BYTES, RecordError, Roles, SignedRecord, TimeFault};
use crate::session::form::{FormError, FormFault, date, envelope, fault, grid, in_field, key, octets, required, walk};
use crate::signed::{Envelope, ObjectType, seal};
use crate::units::{Seconds, UnixSeconds};
use std::ops::Range;

/// How far the time of a claim may lie from the server's, either way.
pub const CLAIM_TOLERANCE: Seconds = Seconds(120);

/// The most octets of a claim: the largest record, 240 for the other fields, the envelope; the rest is room for new words.
pub const MAX_CLAIM_BYTES: usize = 1_536;

const SERVER: u64 = 0;
const SPKI_HASH: u64 = 1;
const EXPORTER: u64 = 2;
const GRID: u64 = 3;
const KEY: u64 = 4;
const TIME: u64 = 5;
const NONCE: u64 = 6;
const RECORD: u64 = 7;

/// A TLS connection to a gateway, by what both of its ends know of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Channel {
    /// The grid whose gateway is called.
    pub grid: GridId,
    /// The SHA-256 of the SubjectPublicKeyInfo that the gateway showed.
    pub spki_hash: [u8; 32],
    /// The exporter of this connection: label `EXPORTER-Channel-Binding`, an empty context.
    pub exporter: [u8; 32],
}

/// In whose name a claim is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claimant {
    /// In that of the key alone: a client.
    Client,
    /// In that of a grid, whose record lists the key as a gateway's that spends.
    Grid(GridRecord),
}

/// A claim that holds for one connection and for the time at which it was verified. Its nonce is still to be looked up, and
/// the record of a calling grid to be compared with what is known of that grid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionClaim {
    claimant: Claimant,
    key: PublicKey,
    time: UnixSeconds,
    nonce: [u8; 16],
}

/// Why a claim opens no session.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClaimError {
    /// Not a claim.
    #[error("the claim: {0}")]
    Form(#[from] FormError),
    /// The key in it did not sign it.
    #[error("the signature on the claim is not one of the key that it names")]
    BadSignature,
    /// Made for the gateway of another grid.
    #[error("the claim is made for a gateway of {found}")]
    OtherGrid {
        /// That grid.
        found: GridId,
    },
    /// Made for a gateway with another TLS key.
    #[error("the claim is made for a gateway with another TLS key")]
    OtherServer,
    /// Made for another connection: carried on by somebody in between.
    #[error("the claim is made for another connection")]
    OtherConnection,
    /// Made too long ago, or in the future.
    #[error("the claim is of {time}, and it is {now}: clocks may differ by {CLAIM_TOLERANCE}")]
    Time {
        /// When it says it was made.
        time: UnixSeconds,
        /// When it was looked at.
        now: UnixSeconds,
    },
    /// The attached record does not verify.
    #[error("the calling grid's record")]
    Record(#[from] RecordError),
    /// The attached record is not current.
    #[error("the calling grid's record")]
    RecordTime(#[from] TimeFault),
    /// The calling grid has withdrawn.
    #[error("the calling grid has withdrawn")]
    Withdrawn,
    /// The record gives the key no right to call in its grid's name.
    #[error("the calling grid's record lists no gateway with the key {key} and the role `spend`")]
    NotListed {
        /// The key that signed the claim.
        key: PublicKey,
    },
    /// An older record than one that was seen.
    #[error("the calling grid's record is older than one seen before (sequence {floor})")]
    BelowFloor {
        /// The sequence of the newest seen.
        floor: u64,
    },
}

impl SessionClaim {
    /// The signed claim of `signer` for `channel`; in the name of a grid if its `record` is given.
    pub fn sign(
        channel: &Channel,
        signer: &SecretKey,
        record: Option<&SignedRecord>,
        time: UnixSeconds,
        nonce: [u8; 16],
    ) -> Vec<u8> {
        let mut map = MapWriter::new();
        map.bytes(SERVER, channel.grid.as_bytes());
        map.bytes(SPKI_HASH, &channel.spki_hash).bytes(EXPORTER, &channel.exporter);
        if let Some(record) = record {
            map.bytes(GRID, record.grid().as_bytes());
        }
        map.bytes(KEY, signer.public().as_bytes()).uint(TIME, time.0).bytes(NONCE, &nonce);
        if let Some(record) = record {
            map.bytes(RECORD, record.bytes());
        }
        seal(ObjectType::Session, &map.finish(), signer)
    }

    /// The claim in `bytes`, if it was made for this `channel` and at this time.
    pub fn from_bytes(bytes: &[u8], channel: &Channel, now: UnixSeconds) -> Result<Self, ClaimError> {
        let envelope = envelope(bytes, MAX_CLAIM_BYTES)?;
        let fields = Fields::read(&envelope).map_err(ClaimError::Form)?;
        envelope.verify(ObjectType::Session, &fields.key).map_err(|_| ClaimError::BadSignature)?;
        if fields.server != channel.grid {
            return Err(ClaimError::OtherGrid { found: fields.server });
        }
        if fields.spki_hash != channel.spki_hash {
            return Err(ClaimError::OtherServer);
        }
        // Both ends of the connection know the exporter: nothing is learnt from how long a comparison takes.
        if fields.exporter != channel.exporter {
            return Err(ClaimError::OtherConnection);
        }
        let Fields { key, time, nonce, .. } = fields;
        if time > now.plus(CLAIM_TOLERANCE) || now > time.plus(CLAIM_TOLERANCE) {
            return Err(ClaimError::Time { time, now });
        }
        let claimant = match fields.grid {
            None => Claimant::Client,
            Some((grid, record)) => {
                let record = GridRecord::from_bytes(&envelope.payload()[record], &grid)?;
                if record.signed().withdrawn() {
                    return Err(ClaimError::Withdrawn);
                }
                match record.signed().time_fault(now) {
                    Some(fault) => return Err(fault.into()),
                    None if !may_spend(&record, &key) => return Err(ClaimError::NotListed { key }),
                    None => Claimant::Grid(record),
                }
            }
        };
        Ok(Self { claimant, key, time, nonce })
    }

    /// Refuses a claim whose record is below what was seen of the calling grid. A client's stands on nothing.
    pub fn is_above(&self, floor: Option<&Floor>) -> Result<(), ClaimError> {
        match (&self.claimant, floor) {
            (Claimant::Grid(record), Some(floor)) if !floor.admits(record.signed()) => Err(if floor.withdrawn() {
                ClaimError::Withdrawn
            } else {
                ClaimError::BelowFloor { floor: floor.sequence() }
            }),
            _ => Ok(()),
        }
    }

    /// In whose name it is made.
    pub fn claimant(&self) -> &Claimant {
        &self.claimant
    }

    /// The key that signed it: a client's accounting key, or a gateway's.
    pub fn key(&self) -> &PublicKey {
        &self.key
    }

    /// When it was made.
    pub fn time(&self) -> UnixSeconds {
        self.time
    }

    /// What makes it good for one time only.
    pub fn nonce(&self) -> [u8; 16] {
        self.nonce
    }
}

/// Whether `record` lets `key` call and pay in its grid's name.
pub fn may_spend(record: &GridRecord, key: &PublicKey) -> bool {
    record.gateways().iter().any(|gateway| gateway.key() == Some(key) && gateway.roles().any_of(Roles::SPEND))
}

struct Fields {
    server: GridId,
    spki_hash: [u8; 32],
    exporter: [u8; 32],
    /// The calling grid, and where in the payload its record stands.
    grid: Option<(GridId, Range<usize>)>,
    key: PublicKey,
    time: UnixSeconds,
    nonce: [u8; 16],
}

impl Fields {
    fn read(envelope: &Envelope<'_>) -> Result<Self, FormError> {
        let (mut server, mut spki_hash, mut exporter, mut caller) = (None, None, None, None);
        let (mut signer, mut time, mut nonce, mut record) = (None, None, None, None);
        walk(envelope, |number, reader| {
            let start = reader.offset();
            match number {
                SERVER => server = Some(grid("server", reader)?),
                SPKI_HASH => spki_hash = Some(octets("spki_hash", reader)?),
                EXPORTER => exporter = Some(octets("exporter", reader)?),
                GRID => caller = Some((start, grid("grid", reader)?)),
                KEY => signer = Some(key("key", reader)?),
                TIME => time = Some(date("time", reader)?),
                NONCE => nonce = Some(octets("nonce", reader)?),
                RECORD => {
                    let bytes = reader.bytes(MAX_RECORD_BYTES).map_err(|error| in_field("record", error))?;
                    record = Some((start, reader.offset() - bytes.len()..reader.offset()));
                }
                FIRST_IGNORABLE_KEY.. => reader.skip()?,
                key => return Err(FormError::Upgrade { offset: start, key }),
            }
            Ok(())
        })?;
        let base = envelope.payload_offset();
        let missing = |error: FormError| error.shifted(base);
        let grid = match (caller, record) {
            (None, None) => None,
            (Some((_, grid)), Some((_, record))) => Some((grid, record)),
            (Some((start, _)), None) => return Err(fault("grid", base + start, FormFault::GridWithoutRecord)),
            (None, Some((start, _))) => return Err(fault("record", base + start, FormFault::GridWithoutRecord)),
        };
        Ok(Self {
            server: required("server", server).map_err(missing)?,
            spki_hash: required("spki_hash", spki_hash).map_err(missing)?,
            exporter: required("exporter", exporter).map_err(missing)?,
            grid,
            key: required("key", signer).map_err(missing)?,
            time: required("time", time).map_err(missing)?,
            nonce: required("nonce", nonce).map_err(missing)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Gateway, RecordDraft, Signer};
    use proptest::prelude::*;

    const NOW: UnixSeconds = UnixSeconds(1_800_000_000);
    const NONCE_A: [u8; 16] = [5; 16];

    fn secret(n: u8) -> SecretKey {
        SecretKey::from_seed(&[n; 32])
    }

    fn channel() -> Channel {
        Channel { grid: GridId::new(secret(1).public()), spki_hash: [2; 32], exporter: [3; 32] }
    }

    /// The record of the grid of key 7, whose gateway has key 8, issued at this time.
    fn record(roles: &str, at: UnixSeconds) -> GridRecord {
        let gateway = Gateway::new(None, Some(secret(8).public()), roles.parse().unwrap(), None).unwrap();
        let draft = RecordDraft { gateways: vec![gateway], ..RecordDraft::new(GridId::new(secret(7).public())) };
        let serial = UnixSeconds(NOW.0 - 9 * 86_400);
        draft.sign(Signer::Grid { key: &secret(7), serial }, None, &[], at).unwrap()
    }

    fn opened(bytes: &[u8]) -> Result<SessionClaim, ClaimError> {
        SessionClaim::from_bytes(bytes, &channel(), NOW)
    }

    fn sealed(build: impl FnOnce(&mut MapWriter) -> &mut MapWriter) -> Vec<u8> {
        let mut map = MapWriter::new();
        build(&mut map);
        seal(ObjectType::Session, &map.finish(), &secret(8))
    }

    /// Keys 0 to 2 for the channel.
    fn head(map: &mut MapWriter) -> &mut MapWriter {
        map.bytes(0, channel().grid.as_bytes()).bytes(1, &[2; 32]).bytes(2, &[3; 32])
    }

    fn class(bytes: &[u8]) -> &'static str {
        match opened(bytes) {
            Err(ClaimError::Form(error)) => error.class(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_client_opens_a_session_with_its_key_alone() {
        let claim = opened(&SessionClaim::sign(&channel(), &secret(9), None, NOW, NONCE_A)).unwrap();
        assert_eq!((claim.key(), claim.nonce(), claim.time()), (&secret(9).public(), NONCE_A, NOW));
        assert_eq!(claim.claimant(), &Claimant::Client);
        assert_eq!(claim.is_above(None), Ok(()));
    }

    #[test]
    fn a_grid_opens_one_with_a_key_that_its_record_lets_spend() {
        let record = record("spend+terms", NOW);
        let claim = SessionClaim::sign(&channel(), &secret(8), Some(record.signed()), NOW, NONCE_A);
        assert!(claim.len() <= MAX_CLAIM_BYTES);
        assert_eq!(opened(&claim).unwrap().claimant(), &Claimant::Grid(record.clone()));
        let other_key = SessionClaim::sign(&channel(), &secret(9), Some(record.signed()), NOW, NONCE_A);
        assert_eq!(opened(&other_key), Err(ClaimError::NotListed { key: secret(9).public() }));
        let only_terms = self::record("terms", NOW);
        let claim = SessionClaim::sign(&channel(), &secret(8), Some(only_terms.signed()), NOW, NONCE_A);
        assert_eq!(opened(&claim), Err(ClaimError::NotListed { key: secret(8).public() }));
    }

    #[test]
    fn a_record_that_is_not_current_or_below_the_floor_gives_no_right() {
        let old = record("spend", UnixSeconds(NOW.0 - 8 * 86_400));
        let claim = SessionClaim::sign(&channel(), &secret(8), Some(old.signed()), NOW, NONCE_A);
        assert!(matches!(opened(&claim), Err(ClaimError::RecordTime(TimeFault::Expired { .. }))));
        let gone = RecordDraft::withdrawal(*old.grid());
        let gone = gone.sign(Signer::Grid { key: &secret(7), serial: NOW }, None, &[], NOW).unwrap();
        let claim = SessionClaim::sign(&channel(), &secret(8), Some(gone.signed()), NOW, NONCE_A);
        assert_eq!(opened(&claim), Err(ClaimError::Withdrawn));

        let current = record("spend", UnixSeconds(NOW.0 - 5));
        let claim = SessionClaim::sign(&channel(), &secret(8), Some(current.signed()), NOW, NONCE_A);
        let claim = opened(&claim).unwrap();
        let floor = |record: &GridRecord| Floor::of(record, NOW).unwrap();
        assert_eq!(claim.is_above(Some(&floor(&current))), Ok(()));
        let newer = record("spend", NOW);
        let refused = ClaimError::BelowFloor { floor: newer.signed().sequence() };
        assert_eq!(claim.is_above(Some(&floor(&newer))), Err(refused));
        assert_eq!(claim.is_above(Some(&floor(&gone))), Err(ClaimError::Withdrawn));
    }

    #[test]
    fn a_claim_holds_for_one_gateway_and_one_connection() {
        let claim = SessionClaim::sign(&channel(), &secret(9), None, NOW, NONCE_A);
        let at = |change: &dyn Fn(&mut Channel)| {
            let mut other = channel();
            change(&mut other);
            SessionClaim::from_bytes(&claim, &other, NOW)
        };
        let grid = channel().grid;
        assert_eq!(at(&|c| c.grid = GridId::new(secret(2).public())), Err(ClaimError::OtherGrid { found: grid }));
        assert_eq!(at(&|c| c.spki_hash[31] ^= 1), Err(ClaimError::OtherServer));
        assert_eq!(at(&|c| c.exporter[0] ^= 1), Err(ClaimError::OtherConnection));
        assert!(at(&|_| {}).is_ok());
    }

    #[test]
    fn a_claim_holds_for_two_minutes_on_either_side() {
        let claim = SessionClaim::sign(&channel(), &secret(9), None, NOW, NONCE_A);
        let at = |now| SessionClaim::from_bytes(&claim, &channel(), UnixSeconds(now));
        assert!(at(NOW.0 - 120).is_ok() && at(NOW.0 + 120).is_ok());
        for now in [NOW.0 - 121, NOW.0 + 121] {
            assert_eq!(at(now), Err(ClaimError::Time { time: NOW, now: UnixSeconds(now) }));
        }
    }

    #[test]
    fn every_flipped_byte_is_refused() {
        let claim = SessionClaim::sign(&channel(), &secret(8), Some(record("spend", NOW).signed()), NOW, NONCE_A);
        for i in 0..claim.len() {
            let mut bytes = claim.clone();
            bytes[i] ^= 1;
            assert!(opened(&bytes).is_err(), "byte {i}");
        }
    }

    #[test]
    fn a_signature_of_another_type_opens_nothing() {
        let claim = SessionClaim::sign(&channel(), &secret(9), None, NOW, NONCE_A);
        let payload = Envelope::from_bytes(&claim).unwrap().payload().to_vec();
        let as_record = seal(ObjectType::Record, &payload, &secret(9));
        assert_eq!(opened(&as_record), Err(ClaimError::BadSignature));
    }

    #[test]
    fn what_is_no_claim_is_refused_by_class() {
        let key = secret(8).public();
        let tail = |map: &mut MapWriter| {
            map.bytes(4, key.as_bytes()).uint(5, NOW.0).bytes(6, &NONCE_A);
        };
        assert!(
            opened(&sealed(|map| {
                tail(head(map));
                map.uint(64, 1)
            }))
            .is_ok(),
            "keys from 64 on are passed over"
        );
        assert_eq!(class(&[]), "empty");
        assert_eq!(class(&[0; MAX_CLAIM_BYTES + 1]), "too-big");
        assert_eq!(class(&[0x84]), "envelope");
        assert_eq!(
            class(&sealed(|map| {
                tail(head(map));
                map.uint(8, 1)
            })),
            "upgrade"
        );
        assert_eq!(class(&sealed(|map| map.bytes(0, &[0; 32]))), "key");
        assert_eq!(class(&sealed(|map| map.bytes(1, &[0; 31]))), "field");
        assert_eq!(class(&sealed(|map| head(map).bytes(4, key.as_bytes()).uint(5, NOW.0))), "field");
        assert_eq!(class(&sealed(|map| head(map).bytes(4, key.as_bytes()).uint(5, 0))), "field");
        let lonely = |number: u64| {
            sealed(move |map| {
                head(map);
                if number == 3 {
                    map.bytes(3, key.as_bytes());
                }
                map.bytes(4, key.as_bytes()).uint(5, NOW.0).bytes(6, &NONCE_A);
                if number == 7 {
                    map.bytes(7, &[1, 2, 3]);
                }
                map
            })
        };
        assert_eq!((class(&lonely(3)), class(&lonely(7))), ("field", "field"));
    }

    proptest! {
        #[test]
        fn what_is_signed_is_what_is_read(
            seed in any::<[u8; 32]>(), exporter in any::<[u8; 32]>(), spki_hash in any::<[u8; 32]>(), nonce in any::<[u8; 16]>(),
            time in 1..UnixSeconds::MAX.0 - 240, of_grid in any::<bool>(), late in 0..=120u64,
        ) {
            let channel = Channel { grid: GridId::new(secret(1).public()), spki_hash, exporter };
            let (time, now) = (UnixSeconds(time), UnixSeconds(time + late));
            let (signer, record) = match of_grid {
                true => (secret(8), Some(record("spend", NOW))),
                false => (SecretKey::from_seed(&seed), None),
            };
            let bytes = SessionClaim::sign(&channel, &signer, record.as_ref().map(GridRecord::signed), time, nonce);
            match SessionClaim::from_bytes(&bytes, &channel, now) {
                Ok(claim) => {
                    prop_assert_eq!((claim.key(), claim.time(), claim.nonce()), (&signer.public(), time, nonce));
                    prop_assert_eq!(matches!(claim.claimant(), Claimant::Grid(_)), of_grid);
                }
                // The record is of another time than the claim.
                Err(error) => prop_assert!(of_grid && matches!(error, ClaimError::RecordTime(_)), "{}", error),
            }
        }

        #[test]
        fn no_bytes_make_it_panic(payload in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = opened(&payload);
            let _ = opened(&seal(ObjectType::Session, &payload, &secret(8)));
        }
    }
}
