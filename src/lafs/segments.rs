//! How a file is cut: into segments, and each segment into blocks.

use crate::capability::ShareCounts;
use crate::lafs::hash_tree::MAX_LEAVES;
use crate::units::Bytes;
use std::ops::Range;

/// The largest segment that is read, before it is rounded up to a multiple of k. A reader holds a few of them in memory, and
/// the uploader chooses the size: Tahoe's own is 1 MiB, and was 128 KiB.
pub const MAX_SEGMENT: Bytes = Bytes(16 << 20);

/// The segments of a file of known size. Every offset in it fits in 64 bits, with room to spare in a share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segments {
    shares: ShareCounts,
    size: u64,
    segment: u64,
    count: u64,
}

impl Segments {
    /// The cut of `size` octets, at least one, into segments of `segment` octets, of which the last may be shorter.
    ///
    /// `None` unless `segment` is a multiple of k, at most [`MAX_SEGMENT`] and `size` when those are rounded up to one, and
    /// makes at most 2^20 segments.
    pub fn new(shares: ShareCounts, size: Bytes, segment: Bytes) -> Option<Self> {
        let needed = u64::from(shares.needed());
        let largest = MAX_SEGMENT.0.min(size.0).next_multiple_of(needed);
        if segment.0 == 0 || segment.0 > largest || !segment.0.is_multiple_of(needed) {
            return None;
        }
        let count = size.0.div_ceil(segment.0);
        (count <= MAX_LEAVES).then_some(Self { shares, size: size.0, segment: segment.0, count })
    }

    /// The cut that an uploader makes whose segments are `max_segment` octets at most, as Tahoe does. `None` where none of its
    /// kind is read.
    pub fn with_max_segment(shares: ShareCounts, size: Bytes, max_segment: Bytes) -> Option<Self> {
        // Above the limit there is no use for the exact number, which might not fit.
        let segment = max_segment.0.min(size.0).min(MAX_SEGMENT.0 + 1).next_multiple_of(shares.needed().into());
        Self::new(shares, size, Bytes(segment))
    }

    /// How many blocks restore a segment, and how many there are.
    pub fn shares(&self) -> ShareCounts {
        self.shares
    }

    /// The size of the file.
    pub fn size(&self) -> Bytes {
        Bytes(self.size)
    }

    /// The size of every segment but the last.
    pub fn segment_size(&self) -> Bytes {
        Bytes(self.segment)
    }

    /// How many segments there are, at least one.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The octets of the file that are in segment `segment`; an empty range behind the last.
    pub fn range(&self, segment: u64) -> Range<u64> {
        let start = segment.saturating_mul(self.segment).min(self.size);
        start..start.saturating_add(self.segment).min(self.size)
    }

    /// The size of segment `segment`, without padding.
    pub fn len(&self, segment: u64) -> usize {
        let range = self.range(segment);
        // Not above 16 MiB and 255.
        (range.end - range.start) as usize
    }

    /// The size of each block of segment `segment`.
    pub fn block_len(&self, segment: u64) -> usize {
        self.len(segment).div_ceil(self.shares.needed().into())
    }

    /// Where the block of segment `segment` lies among a share's blocks.
    pub fn block_range(&self, segment: u64) -> Range<u64> {
        let start = segment.min(self.count) * self.block_len(0) as u64;
        let start = start.min(self.blocks_size());
        start..start + self.block_len(segment) as u64
    }

    /// The size of all blocks of a share.
    pub fn blocks_size(&self) -> u64 {
        let last = self.count - 1;
        last * self.block_len(0) as u64 + self.block_len(last) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(needed: u16, total: u16) -> ShareCounts {
        ShareCounts::new(needed, total).expect("counts")
    }

    #[test]
    fn the_last_segment_has_what_is_left() {
        let cut = Segments::with_max_segment(counts(3, 10), Bytes(100), Bytes(31)).expect("a cut");
        assert_eq!((cut.segment_size(), cut.count()), (Bytes(33), 4));
        assert_eq!([0, 3, 4].map(|segment| cut.range(segment)), [0..33, 99..100, 100..100]);
        assert_eq!([0, 3, 4].map(|segment| cut.block_range(segment)), [0..11, 33..34, 34..34]);
        assert_eq!(cut.blocks_size(), 34);
        assert_eq!(cut.range(u64::MAX), 100..100);
        assert_eq!(cut.block_range(u64::MAX), 34..34);
    }

    #[test]
    fn a_small_file_is_one_segment_as_large_as_needed() {
        let cut = Segments::with_max_segment(counts(3, 10), Bytes(56), Bytes(1 << 20)).expect("a cut");
        assert_eq!((cut.segment_size(), cut.count(), cut.block_len(0)), (Bytes(57), 1, 19));
    }

    #[test]
    fn what_no_uploader_makes_or_nobody_could_hold_is_no_cut() {
        let cut = |size, segment| Segments::new(counts(3, 10), Bytes(size), Bytes(segment));
        assert_eq!([(0, 3), (1, 0), (100, 31), (100, 105)].map(|(size, segment)| cut(size, segment)), [None; 4]);
        assert!(cut(100, 102).is_some());
        let largest = MAX_SEGMENT.0.next_multiple_of(3);
        assert!(cut(u64::from(u32::MAX), largest).is_some());
        assert_eq!(cut(u64::from(u32::MAX), largest + 3), None);
        assert!(cut(3 << 20, 3).is_some());
        assert_eq!(cut((3 << 20) + 1, 3), None);
        assert_eq!(cut(u64::MAX, largest), None);
        assert_eq!(Segments::with_max_segment(counts(3, 10), Bytes(u64::MAX), Bytes(u64::MAX)), None);
    }
}
