//! The signed prefix: all that the writer of a version vouches for.

use crate::capability::{MutableFormat, ShareCounts};
use crate::lafs::hash_tree::{Hash, MAX_LEAVES};
use crate::lafs::segments::MAX_SEGMENT;
use crate::units::Bytes;

/// Which version of a file: the sequence number, which the writer raises, then the root over all shares.
///
/// Of two versions the greater one counts. Two writers may use one number; the root then decides, for everybody alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MutableVersion {
    /// Raised by one with each writing.
    pub sequence: u64,
    /// The root of the tree over all shares.
    pub root: Hash,
}

/// What a version's writer signed: which version, how the file is cut, how long it is. Whether the signature is right is not
/// said here.
///
/// The octets at the beginning of an SDMF share, all integers big-endian:
///
/// | octets | what |
/// | --- | --- |
/// | 1 | 0 |
/// | 8 | sequence number |
/// | 32 | root |
/// | 16 | salt of the one segment |
/// | 1 | k |
/// | 1 | N |
/// | 8 | segment size |
/// | 8 | size of the file |
///
/// and of an MDMF share the same, beginning with 1 and without the salt.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SignedPrefix {
    version: MutableVersion,
    /// Present in SDMF alone.
    salt: Option<[u8; 16]>,
    needed: u8,
    total: u8,
    segment_size: u64,
    size: u64,
}

impl SignedPrefix {
    /// The octets of an SDMF prefix.
    pub const SDMF_BYTES: usize = Self::MDMF_BYTES + 16;
    /// The octets of an MDMF prefix.
    pub const MDMF_BYTES: usize = 1 + 8 + 32 + 1 + 1 + 8 + 8;
    /// The largest segment that is read, and so the largest SDMF file: a segment is held in memory as a whole, and its writer
    /// chooses its size.
    pub const MAX_SEGMENT: Bytes = MAX_SEGMENT;
    /// The size that Tahoe cuts MDMF files by, rounded up to a multiple of k.
    pub const MDMF_SEGMENT: Bytes = Bytes(128 << 10);

    /// The prefix of a version of a file of `size` octets in one segment.
    pub fn sdmf(
        version: MutableVersion,
        salt: [u8; 16],
        shares: ShareCounts,
        size: Bytes,
    ) -> Result<Self, PrefixError> {
        Self::cut(version, Some(salt), shares, size, size)
    }

    /// The prefix of a version of a file of `size` octets, cut into segments of `segment` octets rounded up to a multiple of k.
    pub fn mdmf(
        version: MutableVersion,
        shares: ShareCounts,
        segment: Bytes,
        size: Bytes,
    ) -> Result<Self, PrefixError> {
        Self::cut(version, None, shares, segment, size)
    }

    fn cut(
        version: MutableVersion,
        salt: Option<[u8; 16]>,
        shares: ShareCounts,
        segment: Bytes,
        size: Bytes,
    ) -> Result<Self, PrefixError> {
        let counts = (u8::try_from(shares.needed()), u8::try_from(shares.total()));
        let (Ok(needed), Ok(total)) = counts else {
            return Err(PrefixError::Shares { needed: shares.needed(), total: shares.total() });
        };
        let segment_size = segment.0.checked_next_multiple_of(needed.into());
        let segment_size = segment_size.ok_or(PrefixError::SegmentTooLarge { found: segment })?;
        Self { version, salt, needed, total, segment_size, size: size.0 }.sound()
    }

    /// The prefix at the beginning of `share`, of which [`SignedPrefix::SDMF_BYTES`] are always enough.
    pub fn from_share(share: &[u8]) -> Result<Self, PrefixError> {
        let mut fields = Fields(share);
        let [format] = fields.take()?;
        let version = MutableVersion { sequence: fields.number()?, root: fields.take()? };
        let salt = match format {
            0 => Some(fields.take()?),
            1 => None,
            found => return Err(PrefixError::Format { found }),
        };
        let [needed, total] = fields.take()?;
        Self { version, salt, needed, total, segment_size: fields.number()?, size: fields.number()? }.sound()
    }

    /// The prefix that these octets are, no less and no more.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, PrefixError> {
        let prefix = Self::from_share(bytes)?;
        let expected = prefix.encoded_len();
        if bytes.len() == expected { Ok(prefix) } else { Err(PrefixError::Length { expected, found: bytes.len() }) }
    }

    /// The octets that are signed.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(Self::SDMF_BYTES);
        out.push(u8::from(self.salt.is_none()));
        out.extend_from_slice(&self.version.sequence.to_be_bytes());
        out.extend_from_slice(&self.version.root);
        out.extend(self.salt.iter().flatten());
        out.extend_from_slice(&[self.needed, self.total]);
        out.extend_from_slice(&self.segment_size.to_be_bytes());
        out.extend_from_slice(&self.size.to_be_bytes());
        out
    }

    /// How many octets are signed.
    pub fn encoded_len(&self) -> usize {
        if self.salt.is_some() { Self::SDMF_BYTES } else { Self::MDMF_BYTES }
    }

    /// How the shares are laid out.
    pub fn format(&self) -> MutableFormat {
        if self.salt.is_some() { MutableFormat::Sdmf } else { MutableFormat::Mdmf }
    }

    /// Which version this is.
    pub fn version(&self) -> &MutableVersion {
        &self.version
    }

    /// The salt of the one segment of an SDMF file; `None` of an MDMF file, which has one beside each block.
    pub fn salt(&self) -> Option<&[u8; 16]> {
        self.salt.as_ref()
    }

    /// How the file is cut into shares.
    pub fn shares(&self) -> ShareCounts {
        ShareCounts::new(self.needed.into(), self.total.into()).expect("no prefix is without")
    }

    /// The size of the file.
    pub fn size(&self) -> Bytes {
        Bytes(self.size)
    }

    /// The size of all segments but the last, a multiple of k; 0 of an empty SDMF file.
    pub fn segment_size(&self) -> Bytes {
        Bytes(self.segment_size)
    }

    /// How many segments there are; none of an empty file.
    pub fn segments(&self) -> u64 {
        if self.size == 0 { 0 } else { self.size.div_ceil(self.segment_size) }
    }

    /// The size of segment `segment` in octets, without padding; `None` if there is none.
    pub fn segment_len(&self, segment: u64) -> Option<usize> {
        // Before the end of the file, so the product fits.
        let start = (segment < self.segments()).then(|| segment * self.segment_size)?;
        Some((self.size - start).min(self.segment_size) as usize)
    }

    /// The size of each share's block of segment `segment`: a k-th of the segment, rounded up; `None` if there is none.
    pub fn block_len(&self, segment: u64) -> Option<usize> {
        Some(self.segment_len(segment)?.div_ceil(self.needed.into()))
    }

    /// Refuses what no writer means and what would cost a reader memory or time.
    fn sound(self) -> Result<Self, PrefixError> {
        let Self { needed, total, segment_size, size, .. } = self;
        if needed == 0 || needed > total {
            return Err(PrefixError::Shares { needed: needed.into(), total: total.into() });
        }
        if self.salt.is_some() && size > Self::MAX_SEGMENT.0 {
            return Err(PrefixError::SegmentTooLarge { found: Bytes(size) });
        }
        // The largest one may be rounded up to a multiple of k.
        if segment_size > Self::MAX_SEGMENT.0.next_multiple_of(needed.into()) {
            return Err(PrefixError::SegmentTooLarge { found: Bytes(segment_size) });
        }
        let right = match self.salt {
            Some(_) => segment_size == size.next_multiple_of(needed.into()),
            None => segment_size > 0 && segment_size.is_multiple_of(needed.into()),
        };
        if !right {
            return Err(PrefixError::SegmentSize { found: segment_size });
        }
        if self.segments() > MAX_LEAVES {
            return Err(PrefixError::TooManySegments { found: self.segments() });
        }
        Ok(self)
    }
}

/// Why octets are no prefix of a version that is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PrefixError {
    /// Fewer octets than a prefix has, or more.
    #[error("{found} bytes where a signed prefix has {expected}")]
    Length {
        /// How many it has.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// The first octet of neither format: of a later Tahoe-LAFS, or no share.
    #[error("format {found} is neither SDMF (0) nor MDMF (1)")]
    Format {
        /// The octet.
        found: u8,
    },
    /// Share counts that no mutable file has.
    #[error("{needed} shares needed of {total}: from 1 to 255, and no more than there are")]
    Shares {
        /// k.
        needed: u16,
        /// N.
        total: u16,
    },
    /// A segment that is larger than what is held in memory; of SDMF the file is one.
    #[error("a segment of {found} where at most {} are read at once", SignedPrefix::MAX_SEGMENT)]
    SegmentTooLarge {
        /// Its size.
        found: Bytes,
    },
    /// A segment size that does not follow from k and the file's size.
    #[error(
        "a segment size of {found} bytes, which is not that of the file in one piece or no multiple of the shares needed"
    )]
    SegmentSize {
        /// The size, in octets.
        found: u64,
    },
    /// A file cut into more segments than are read.
    #[error("{found} segments where at most {MAX_LEAVES} are read")]
    TooManySegments {
        /// How many there are.
        found: u64,
    },
}

/// The rest of some octets.
struct Fields<'b>(&'b [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], PrefixError> {
        let short = PrefixError::Length { expected: SignedPrefix::SDMF_BYTES, found: self.0.len() };
        let (field, rest) = self.0.split_first_chunk().ok_or(short)?;
        self.0 = rest;
        Ok(*field)
    }

    fn number(&mut self) -> Result<u64, PrefixError> {
        self.take().map(u64::from_be_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const VERSION: MutableVersion = MutableVersion { sequence: 7, root: [9; 32] };

    fn counts(needed: u16, total: u16) -> ShareCounts {
        ShareCounts::new(needed, total).expect("counts")
    }

    fn raw(format: u8, needed: u8, total: u8, segment_size: u64, size: u64) -> Vec<u8> {
        let salt: &[u8] = if format == 0 { &[3; 16] } else { &[] };
        let numbers = [segment_size.to_be_bytes(), size.to_be_bytes()].concat();
        [&[format][..], &7_u64.to_be_bytes(), &[9; 32], salt, &[needed, total], &numbers].concat()
    }

    #[test]
    fn a_prefix_prints_as_it_was_read() {
        for bytes in [raw(0, 2, 3, 100_002, 100_001), raw(0, 3, 10, 0, 0), raw(1, 3, 10, 131_073, 700_001)] {
            let prefix = SignedPrefix::from_bytes(&bytes).expect("a prefix");
            assert_eq!((prefix.to_bytes(), *prefix.version()), (bytes.clone(), VERSION));
            assert_eq!(SignedPrefix::from_share(&[&bytes[..], &[1; 60]].concat()), Ok(prefix));
            for length in 0..bytes.len() {
                assert!(SignedPrefix::from_bytes(&bytes[..length]).is_err());
            }
            let longer = SignedPrefix::from_bytes(&[&bytes[..], &[0]].concat());
            assert!(matches!(longer, Err(PrefixError::Length { .. })));
        }
    }

    #[test]
    fn segments_are_cut_as_the_prefix_says() {
        let prefix =
            SignedPrefix::mdmf(VERSION, counts(3, 10), SignedPrefix::MDMF_SEGMENT, Bytes(131_074)).expect("one");
        assert_eq!((prefix.segment_size(), prefix.segments()), (Bytes(131_073), 2));
        assert_eq!([0, 1, 2].map(|i| prefix.segment_len(i)), [Some(131_073), Some(1), None]);
        assert_eq!([0, 1, 2].map(|i| prefix.block_len(i)), [Some(43_691), Some(1), None]);
        let prefix = SignedPrefix::sdmf(VERSION, [3; 16], counts(2, 3), Bytes(5)).expect("one");
        assert_eq!((prefix.segments(), prefix.segment_len(0), prefix.block_len(0)), (1, Some(5), Some(3)));
        let empty = SignedPrefix::sdmf(VERSION, [3; 16], counts(2, 3), Bytes(0)).expect("one");
        assert_eq!((empty.segments(), empty.segment_len(0)), (0, None));
    }

    #[test]
    fn what_would_cost_memory_or_time_is_refused_by_name() {
        use PrefixError::{Format, SegmentSize, SegmentTooLarge, Shares, TooManySegments};
        let large = 1 << 60;
        let limit = SignedPrefix::MAX_SEGMENT.0;
        for (bytes, error) in [
            (raw(2, 2, 3, 2, 2), Format { found: 2 }),
            (raw(0, 0, 3, 3, 3), Shares { needed: 0, total: 3 }),
            (raw(0, 4, 3, 4, 3), Shares { needed: 4, total: 3 }),
            (raw(1, 0, 0, 3, 3), Shares { needed: 0, total: 0 }),
            (raw(0, 2, 3, limit + 2, limit + 1), SegmentTooLarge { found: Bytes(limit + 1) }),
            (raw(0, 2, 3, u64::MAX, u64::MAX), SegmentTooLarge { found: Bytes(u64::MAX) }),
            (raw(1, 2, 3, large, 5), SegmentTooLarge { found: Bytes(large) }),
            (raw(1, 2, 3, u64::MAX, u64::MAX), SegmentTooLarge { found: Bytes(u64::MAX) }),
            (raw(0, 2, 3, 4, 2), SegmentSize { found: 4 }),
            (raw(0, 2, 3, 0, 2), SegmentSize { found: 0 }),
            (raw(1, 2, 3, 0, 2), SegmentSize { found: 0 }),
            (raw(1, 2, 3, 0, 0), SegmentSize { found: 0 }),
            (raw(1, 2, 3, 3, 2), SegmentSize { found: 3 }),
            (raw(1, 2, 3, 2, large), TooManySegments { found: large / 2 }),
            (raw(1, 1, 3, 131_072, u64::MAX), TooManySegments { found: 1 << 47 }),
        ] {
            assert_eq!(SignedPrefix::from_bytes(&bytes), Err(error));
        }
        assert!(SignedPrefix::from_bytes(&raw(0, 255, 255, limit.next_multiple_of(255), limit)).is_ok());
    }

    #[test]
    fn a_mutable_file_has_at_most_255_shares() {
        let error = PrefixError::Shares { needed: 1, total: 256 };
        assert_eq!(SignedPrefix::sdmf(VERSION, [3; 16], counts(1, 256), Bytes(5)), Err(error));
    }

    #[test]
    fn the_greater_number_counts_and_then_the_greater_root() {
        let version = |sequence, root| MutableVersion { sequence, root: [root; 32] };
        assert!(version(2, 1) > version(1, 9) && version(2, 2) > version(2, 1));
    }

    proptest! {
        #[test]
        fn arbitrary_octets_make_a_prefix_or_an_error(
            mut bytes in prop::collection::vec(any::<u8>(), 0..80), format in 0..3_u8, small in any::<bool>(),
        ) {
            if let Some(first) = bytes.first_mut() {
                *first = format;
            }
            if small && bytes.len() > 74 {
                bytes[43..49].fill(0);
                bytes[51..57].fill(0);
            }
            if let Ok(prefix) = SignedPrefix::from_share(&bytes) {
                prop_assert_eq!(&prefix.to_bytes()[..], &bytes[..prefix.encoded_len()]);
                let last = prefix.segments().checked_sub(1);
                prop_assert!(last.is_none_or(|last| prefix.segment_len(last).is_some_and(|length| length > 0)));
            }
        }
    }
}
