//! The URI extension block: what an immutable file's cap is the hash of, and what leads from there to each octet.
//!
//! Keys and values, `key:length:value,`, the keys in ascending order. The counts and the size of the *cap* hold; what the block
//! repeats of them, and what follows from them, must be the same. Format: Tahoe-LAFS `docs/specifications/URI-extension.rst`.

use crate::capability::{ChkVerifier, ShareCounts};
use crate::lafs::hash_tree::Hash;
use crate::lafs::segments::Segments;
use crate::tagged::{push_netstring, tagged_hash};
use crate::units::Bytes;

/// The size at which a block is refused unread: real ones have 305 to 330 octets, and Tahoe refuses such as well.
pub const MAX_UEB_BYTES: usize = 1_999;

const TAG: &[u8] = b"allmydata_uri_extension_v1";
const CODEC: &[u8] = b"crs";

/// A file's URI extension block that is known to be the one its cap means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UriExtension {
    cap: ChkVerifier,
    segments: Segments,
    hashes: UebHashes,
    bytes: Vec<u8>,
}

/// The three hashes of a URI extension block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UebHashes {
    /// The tagged hash of the whole ciphertext.
    pub crypttext: Hash,
    /// The root of the tree over the segments of the ciphertext.
    pub crypttext_root: Hash,
    /// The root of the tree over the roots of all shares' block trees.
    pub share_root: Hash,
}

impl UriExtension {
    /// Reads a block and holds it against `cap`.
    pub fn parse(bytes: &[u8], cap: &ChkVerifier) -> Result<Self, UebError> {
        if bytes.len() > MAX_UEB_BYTES {
            return Err(UebError::TooLong { found: bytes.len() });
        }
        if tagged_hash(TAG, bytes) != *cap.ueb_hash() {
            return Err(UebError::Hash);
        }
        let fields = Fields::parse(bytes)?;
        let shares = cap.shares();
        fields.expect("codec_name", CODEC)?;
        fields.expect_number("needed_shares", shares.needed().into())?;
        fields.expect_number("total_shares", shares.total().into())?;
        fields.expect_number("size", cap.size().0)?;
        let segment_size = fields.number("segment_size")?;
        let segments =
            Segments::new(shares, cap.size(), Bytes(segment_size)).ok_or(UebError::Segments { segment_size })?;
        fields.expect_number("num_segments", segments.count())?;
        fields.expect("codec_params", codec_params(segment_size, shares).as_bytes())?;
        fields.expect("tail_codec_params", tail_codec_params(&segments).as_bytes())?;
        let hashes = UebHashes {
            crypttext: fields.hash("crypttext_hash")?,
            crypttext_root: fields.hash("crypttext_root_hash")?,
            share_root: fields.hash("share_root_hash")?,
        };
        Ok(Self { cap: cap.clone(), segments, hashes, bytes: bytes.to_vec() })
    }

    /// The block of a file that is cut so and has these hashes.
    pub fn encode(segments: &Segments, hashes: &UebHashes) -> Vec<u8> {
        let shares = segments.shares();
        let number = |number: u64| number.to_string().into_bytes();
        let segment_size = segments.segment_size().0;
        let mut bytes = vec![];
        for (key, value) in [
            ("codec_name", CODEC.to_vec()),
            ("codec_params", codec_params(segment_size, shares).into_bytes()),
            ("crypttext_hash", hashes.crypttext.to_vec()),
            ("crypttext_root_hash", hashes.crypttext_root.to_vec()),
            ("needed_shares", number(shares.needed().into())),
            ("num_segments", number(segments.count())),
            ("segment_size", number(segment_size)),
            ("share_root_hash", hashes.share_root.to_vec()),
            ("size", number(segments.size().0)),
            ("tail_codec_params", tail_codec_params(segments).into_bytes()),
            ("total_shares", number(shares.total().into())),
        ] {
            bytes.extend_from_slice(key.as_bytes());
            bytes.push(b':');
            push_netstring(&mut bytes, &value);
        }
        bytes
    }

    /// The hash of a block, which stands in the caps of its file.
    pub fn hash_of(bytes: &[u8]) -> Hash {
        tagged_hash(TAG, bytes)
    }

    /// The cap that this was held against.
    pub fn cap(&self) -> &ChkVerifier {
        &self.cap
    }

    /// How the file is cut.
    pub fn segments(&self) -> &Segments {
        &self.segments
    }

    /// The hashes that everything else is held against.
    pub fn hashes(&self) -> &UebHashes {
        &self.hashes
    }

    /// The block as it was read.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// The parameters of the erasure code as text: size of what is coded, k, N.
fn codec_params(size: u64, shares: ShareCounts) -> String {
    format!("{size}-{}-{}", shares.needed(), shares.total())
}

fn tail_codec_params(segments: &Segments) -> String {
    let shares = segments.shares();
    let tail = segments.len(segments.count() - 1) as u64;
    codec_params(tail.next_multiple_of(shares.needed().into()), shares)
}

/// Keys and values in the order in which they stand. Unknown ones are let pass: early uploaders wrote hashes of the plaintext.
struct Fields<'b>(Vec<(&'b [u8], &'b [u8])>);

impl<'b> Fields<'b> {
    fn parse(bytes: &'b [u8]) -> Result<Self, UebError> {
        let mut fields: Vec<(&[u8], &[u8])> = vec![];
        let mut rest = bytes;
        while !rest.is_empty() {
            let syntax = UebError::Syntax { offset: bytes.len() - rest.len() };
            let key = until_colon(&mut rest).ok_or(syntax)?;
            let length = until_colon(&mut rest).and_then(decimal).ok_or(syntax)?;
            let length = usize::try_from(length).map_err(|_| syntax)?;
            let value = rest.split_off(..length).ok_or(syntax)?;
            if rest.split_off_first() != Some(&b',') || fields.last().is_some_and(|(last, _)| *last >= key) {
                return Err(syntax);
            }
            fields.push((key, value));
        }
        Ok(Self(fields))
    }

    fn value(&self, key: &'static str) -> Result<&'b [u8], UebError> {
        let found = self.0.iter().find(|(other, _)| *other == key.as_bytes());
        found.map(|(_, value)| *value).ok_or(UebError::Missing { key })
    }

    fn number(&self, key: &'static str) -> Result<u64, UebError> {
        decimal(self.value(key)?).ok_or(UebError::Malformed { key })
    }

    fn hash(&self, key: &'static str) -> Result<Hash, UebError> {
        self.value(key)?.try_into().map_err(|_| UebError::Malformed { key })
    }

    fn expect(&self, key: &'static str, expected: &[u8]) -> Result<(), UebError> {
        if self.value(key)? == expected { Ok(()) } else { Err(UebError::Contradiction { key }) }
    }

    fn expect_number(&self, key: &'static str, expected: u64) -> Result<(), UebError> {
        if self.number(key)? == expected { Ok(()) } else { Err(UebError::Contradiction { key }) }
    }
}

/// What stands before the next colon, which is passed over.
fn until_colon<'b>(rest: &mut &'b [u8]) -> Option<&'b [u8]> {
    let colon = rest.iter().position(|byte| *byte == b':')?;
    let found = rest.split_off(..colon)?;
    rest.split_off_first()?;
    Some(found)
}

/// A decimal number in its one form.
fn decimal(digits: &[u8]) -> Option<u64> {
    let number: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    (number.to_string().as_bytes() == digits).then_some(number)
}

/// Why bytes are not the URI extension block that a cap means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UebError {
    /// Longer than any real one.
    #[error("a URI extension block of {found} bytes; at most {MAX_UEB_BYTES} are read")]
    TooLong {
        /// Its size in bytes.
        found: usize,
    },
    /// Another block than the cap's: damaged, or of another file.
    #[error("the URI extension block is not the one that the cap names")]
    Hash,
    /// Not a sequence of keys and values in ascending order.
    #[error("byte {offset} of the URI extension block: no key and value, or out of order")]
    Syntax {
        /// Where the entry begins.
        offset: usize,
    },
    /// A key that every block has.
    #[error("the URI extension block has no `{key}`")]
    Missing {
        /// The key.
        key: &'static str,
    },
    /// A value that is no number or no hash.
    #[error("`{key}` of the URI extension block is malformed")]
    Malformed {
        /// Its key.
        key: &'static str,
    },
    /// A value that the cap, or another value, says otherwise.
    #[error("`{key}` of the URI extension block is not what the cap implies")]
    Contradiction {
        /// Its key.
        key: &'static str,
    },
    /// Segments that are larger or more than are read, or that no uploader makes.
    #[error("the file cannot be read in segments of {segment_size} bytes")]
    Segments {
        /// The size that is stated, in bytes.
        segment_size: u64,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capability::StorageIndex;
    use proptest::prelude::*;

    const HASHES: UebHashes = UebHashes { crypttext: [1; 32], crypttext_root: [2; 32], share_root: [3; 32] };

    fn segments() -> Segments {
        let shares = ShareCounts::new(3, 10).expect("counts");
        Segments::with_max_segment(shares, Bytes(1_000), Bytes(300)).expect("a cut")
    }

    fn cap(bytes: &[u8]) -> ChkVerifier {
        let segments = segments();
        let hash = UriExtension::hash_of(bytes);
        ChkVerifier::new(StorageIndex::new([0; 16]), hash, segments.shares(), segments.size())
    }

    /// What is said of the block with `old` replaced, by who is told that the cap means it.
    fn with(old: &str, new: &str) -> Result<UriExtension, UebError> {
        let bytes = UriExtension::encode(&segments(), &HASHES);
        // Hashes here are no text, yet each octet of them is a character.
        let text: String = bytes.iter().map(|byte| char::from(*byte)).collect();
        assert!(text.contains(old), "{text}");
        let bytes: Vec<u8> = text.replacen(old, new, 1).chars().map(|c| c as u8).collect();
        UriExtension::parse(&bytes, &cap(&bytes))
    }

    #[test]
    fn what_is_encoded_parses() {
        let ueb = with("", "").expect("a block");
        assert_eq!((ueb.segments(), ueb.hashes()), (&segments(), &HASHES));
        assert_eq!(ueb.bytes(), UriExtension::encode(&segments(), &HASHES));
        assert!(ueb.bytes().starts_with(b"codec_name:3:crs,codec_params:8:300-3-10,crypttext_hash:32:\x01"));
        assert!(ueb.bytes().ends_with(b"size:4:1000,tail_codec_params:8:102-3-10,total_shares:2:10,"));
    }

    #[test]
    fn a_key_that_is_not_known_is_let_pass_in_its_place() {
        assert!(with("needed_", "more:3:a,b,needed_").is_ok());
        assert_eq!(with("needed_", "a:1:b,needed_"), Err(UebError::Syntax { offset: 148 }));
    }

    #[test]
    fn what_contradicts_the_cap_is_named() {
        let contradiction = |key| Err(UebError::Contradiction { key });
        for (old, new, expected) in [
            ("3:crs,", "3:rsc,", contradiction("codec_name")),
            ("300-3-10", "300-3-11", contradiction("codec_params")),
            ("102-3-10", "100-3-10", contradiction("tail_codec_params")),
            ("needed_shares:1:3", "needed_shares:1:2", contradiction("needed_shares")),
            ("total_shares:2:10", "total_shares:2:11", contradiction("total_shares")),
            ("size:4:1000", "size:4:1001", contradiction("size")),
            ("num_segments:1:4", "num_segments:1:3", contradiction("num_segments")),
            ("segment_size:3:300", "segment_size:3:301", Err(UebError::Segments { segment_size: 301 })),
            ("segment_size:3:300", "segment_size:1:0", Err(UebError::Segments { segment_size: 0 })),
            ("segment_size:3:300", "segment_size:4:1005", Err(UebError::Segments { segment_size: 1005 })),
            ("segment_size:3:300", "segment_size:4:0300", Err(UebError::Malformed { key: "segment_size" })),
            ("segment_size:3:300", "segment_size:2:+3", Err(UebError::Malformed { key: "segment_size" })),
            ("crypttext_hash:32:\x01", "crypttext_hash:31:", Err(UebError::Malformed { key: "crypttext_hash" })),
            ("total_shares:", "total_sharks:", Err(UebError::Missing { key: "total_shares" })),
            ("3:crs,", "3:crs", Err(UebError::Syntax { offset: 0 })),
            ("3:crs,", "99999999999999999999:crs,", Err(UebError::Syntax { offset: 0 })),
            ("3:crs,", "18446744073709551615:crs,", Err(UebError::Syntax { offset: 0 })),
        ] {
            assert_eq!(with(old, new), expected, "{old} {new}");
        }
    }

    #[test]
    fn a_long_block_is_not_read() {
        let bytes = vec![b'a'; MAX_UEB_BYTES + 1];
        assert_eq!(UriExtension::parse(&bytes, &cap(&bytes)), Err(UebError::TooLong { found: MAX_UEB_BYTES + 1 }));
    }

    proptest! {
        #[test]
        fn another_octet_makes_another_block(place in any::<prop::sample::Index>(), bit in 0..8_u8) {
            let mut bytes = UriExtension::encode(&segments(), &HASHES);
            let cap = cap(&bytes);
            let place = place.index(bytes.len());
            bytes[place] ^= 1 << bit;
            prop_assert_eq!(UriExtension::parse(&bytes, &cap), Err(UebError::Hash));
        }
    }
}
