//! What the fuzz targets share: keys, so that what is fuzzed is signed and gets past the signature, and records to
//! compare with.
//!
//! Each target's properties stand in its own file in `fuzz_targets/`; `README.md` says how to run them.

use lafs_clearinghouse::cbor::Reader;
use lafs_clearinghouse::keys::{GridId, SecretKey};
use lafs_clearinghouse::record::{Delegation, DelegationDraft, GridRecord, RecordDraft, Signer};
use lafs_clearinghouse::signed::{Envelope, ObjectType, seal};
use lafs_clearinghouse::units::{Seconds, UnixSeconds};
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// The time by which the vectors of `tests/vectors/` are judged, nearly.
pub const NOW: UnixSeconds = UnixSeconds(1_800_000_000);

/// The seeds of the keys that sign the vectors, so that these are a corpus: `tests/vectors/signed/test-keys.json`.
const GRID_SEED: [u8; 32] = [
    0xba, 0xab, 0x0f, 0xc2, 0xea, 0xc5, 0x78, 0x76, 0x63, 0x4b, 0xf9, 0x4f, 0x90, 0xf0, 0xc1, 0x48, 0x27, 0xc7, 0x8a,
    0x3e, 0x7a, 0x5a, 0xc5, 0xaa, 0x8f, 0x97, 0x8b, 0x9e, 0xa8, 0x0e, 0x77, 0x8a,
];
const PUBLISHER_SEED: [u8; 32] = [
    0x9a, 0x21, 0x90, 0x73, 0xcc, 0x0d, 0x60, 0xf2, 0xcd, 0x25, 0xb2, 0xa7, 0x97, 0xb9, 0x6c, 0xa8, 0xcb, 0x53, 0xd8,
    0xea, 0x72, 0xdf, 0x28, 0xe4, 0x81, 0x7d, 0x1b, 0x07, 0x1f, 0xd4, 0x9e, 0x94,
];

static GRID_KEY: LazyLock<SecretKey> = LazyLock::new(|| SecretKey::from_seed(&GRID_SEED));
static PUBLISHER_KEY: LazyLock<SecretKey> = LazyLock::new(|| SecretKey::from_seed(&PUBLISHER_SEED));
static GRID: LazyLock<GridId> = LazyLock::new(|| GridId::new(GRID_KEY.public()));
static OTHERS: LazyLock<Vec<GridRecord>> = LazyLock::new(others);

/// The grid key.
pub fn grid_key() -> &'static SecretKey {
    &GRID_KEY
}

/// The key that delegations name.
pub fn publisher_key() -> &'static SecretKey {
    &PUBLISHER_KEY
}

/// The grid of all fuzzed records.
pub fn grid() -> &'static GridId {
    &GRID
}

/// The bytes as they are; and what is in them, or they themselves, as a payload signed by the key that it asks for.
pub fn as_found_and_signed(data: &[u8], object: ObjectType) -> impl Iterator<Item = Vec<u8>> {
    let payload = Envelope::from_bytes(data).map_or(data, |envelope| envelope.payload());
    let signer = if object == ObjectType::Record && is_delegated(payload) { publisher_key() } else { grid_key() };
    let signed = seal(object, payload, signer);
    let found = (signed != data).then(|| data.to_vec());
    found.into_iter().chain([signed])
}

/// The bytes as they are; and what is in them, or they themselves, as a payload signed by any of the keys of the vectors.
pub fn as_found_and_signed_by_each(data: &[u8], object: ObjectType) -> impl Iterator<Item = Vec<u8>> {
    let payload = Envelope::from_bytes(data).map_or(data, |envelope| envelope.payload());
    let signed = [grid_key(), publisher_key()].map(|key| seal(object, payload, key));
    [data.to_vec()].into_iter().chain(signed)
}

/// Whether key 5 of a record's payload holds bytes: a delegation, so that the publisher signs.
fn is_delegated(payload: &[u8]) -> bool {
    let mut delegated = false;
    let _ = Reader::new(payload).map(|key, reader| {
        delegated |= key == 5 && reader.clone().bytes(usize::MAX).is_ok();
        reader.skip()
    });
    delegated
}

/// A record of the same grid to hold against a fuzzed one, chosen by its bytes.
pub fn other_than(bytes: &[u8]) -> &'static GridRecord {
    let sum = bytes.iter().fold(0_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(*byte)));
    &OTHERS[sum % OTHERS.len()]
}

/// Records of one grid that differ in what decides which is newer, and in what they promise.
fn others() -> Vec<GridRecord> {
    let by_grid = |serial| Signer::Grid { key: grid_key(), serial: UnixSeconds(serial) };
    let with_rates = |lines: &[&str]| {
        let rates = lines.iter().map(|line| line.parse().expect("a rate")).collect();
        RecordDraft { rates, ..RecordDraft::new(*grid()) }
    };
    let delegation = Delegation::issue(
        grid_key(),
        &DelegationDraft {
            serial: NOW,
            publisher: publisher_key().public(),
            not_after: NOW.plus(Seconds::days(300)),
            next: Some(lafs_clearinghouse::record::KeyDigest([7; 32])),
            max_limit: None,
            committed_until: None,
        },
    )
    .expect("a delegation");
    let publisher = Signer::Publisher { key: publisher_key(), delegation: &delegation };
    let at = |seconds| UnixSeconds(NOW.0 + seconds);
    let signed = [
        with_rates(&["free"]).sign(by_grid(NOW.0), None, &[], NOW),
        with_rates(&["0.02 USD/GiB until 2027-06-01", "1 EUR/GiB"]).sign(by_grid(NOW.0 - 900), None, &[], NOW),
        with_rates(&["0.03 USD/GiB until 2027-02-01"]).sign(by_grid(NOW.0), None, &[], at(60)),
        with_rates(&["free until 2027-03-01"]).sign(publisher, None, &[], at(30)),
        RecordDraft::new(*grid()).sign(by_grid(1), None, &[], at(3600)),
        RecordDraft::withdrawal(*grid()).sign(by_grid(2), None, &[], NOW),
    ];
    signed.into_iter().map(|record| record.expect("a record")).collect()
}

/// Fails if `shown`, an error or a debug print, repeats a long word of `secret`.
pub fn keeps_quiet(secret: &str, shown: &str) {
    /// Longer than any word of our own messages, shorter than any key.
    const LONG: usize = 20;
    let words = shown.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| word.len() >= LONG);
    for word in words {
        assert!(!secret.contains(word), "`{word}` is repeated in: {shown}");
    }
}

/// Fails unless `bytes` are one item in deterministic CBOR, by a reading of its own: what the crate takes has one form.
pub fn has_one_form(bytes: &[u8]) {
    let mut rest = bytes;
    let again = reencoded(&mut rest, 0);
    assert_eq!(again.as_deref(), Some(bytes), "there is a shorter or another form");
    assert!(rest.is_empty(), "{} bytes are left", rest.len());
}

/// The shortest form of the item that `rest` begins with, whatever form that is in; map keys ascending and once.
fn reencoded(rest: &mut &[u8], depth: usize) -> Option<Vec<u8>> {
    let (major, value) = read_head(rest)?;
    let mut out = written_head(major, value);
    match major {
        0 => {}
        2 | 3 => {
            let content = rest.split_off(..usize::try_from(value).ok()?)?;
            assert!(major == 2 || std::str::from_utf8(content).is_ok(), "text that is none");
            out.extend_from_slice(content);
        }
        4 if depth < 4 => {
            for _ in 0..value {
                out.extend(reencoded(rest, depth + 1)?);
            }
        }
        5 if depth < 4 => {
            let mut entries = BTreeMap::new();
            for _ in 0..value {
                let (0, key) = read_head(rest)? else { return None };
                assert!(entries.insert(key, reencoded(rest, depth + 1)?).is_none(), "key {key} twice");
            }
            for (key, item) in entries {
                out.extend(written_head(0, key));
                out.extend(item);
            }
        }
        7 if value == 20 || value == 21 => {}
        _ => return None,
    }
    Some(out)
}

fn read_head(rest: &mut &[u8]) -> Option<(u8, u64)> {
    let first = *rest.split_off_first()?;
    let length = match first & 0x1f {
        short @ 0..=23 => return Some((first >> 5, u64::from(short))),
        long @ 24..=27 => 1 << (long - 24),
        _ => return None,
    };
    let octets = rest.split_off(..length)?;
    Some((first >> 5, octets.iter().fold(0, |value, octet| value << 8 | u64::from(*octet))))
}

fn written_head(major: u8, value: u64) -> Vec<u8> {
    let octets = value.to_be_bytes();
    let (low, from) = match value {
        0..=23 => return vec![major << 5 | octets[7]],
        24..=0xff => (24, 7),
        0x100..=0xffff => (25, 6),
        0x1_0000..=0xffff_ffff => (26, 4),
        _ => (27, 0),
    };
    [&[major << 5 | low], &octets[from..]].concat()
}
