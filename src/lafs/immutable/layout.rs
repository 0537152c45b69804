//! Where everything lies in a share of a known file.

use super::header::{ShareHeader, ShareHeaderError};
use crate::lafs::hash_tree::node_count;
use crate::lafs::segments::Segments;
use crate::units::Bytes;
use std::ops::Range;

/// The size of a node of a hash tree in octets.
const NODE: u64 = 32;

/// The sections of a share, each as long as its file asks for and none over another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShareLayout {
    header: ShareHeader,
    segments: Segments,
}

impl ShareLayout {
    /// The layout of a share with this header, of a file that is cut so; `share` is its size where that is known.
    pub fn new(header: ShareHeader, segments: &Segments, share: Option<Bytes>) -> Result<Self, ShareLayoutError> {
        let tree = node_count(segments.count()) * NODE;
        // The unused tree may be left out. No sum overflows: a share has less than 2^45 octets, an offset less than 2^63.
        for (section, start, size, end) in [
            ("blocks", header.blocks, segments.blocks_size(), header.plaintext_tree),
            ("crypttext hash tree", header.crypttext_tree, tree, header.block_tree),
            ("block hash tree", header.block_tree, tree, header.share_hashes),
        ] {
            if start + size > end {
                return Err(ShareLayoutError::Short { section, expected: size, found: end - start });
            }
        }
        header.share_hashes()?;
        match share {
            Some(Bytes(size)) if header.ueb_length().end > size => {
                Err(ShareLayoutError::PastTheEnd { end: header.ueb_length().end, size })
            }
            _ => Ok(Self { header, segments: *segments }),
        }
    }

    /// Where the block of segment `segment` stands; an empty range behind the last.
    pub fn block(&self, segment: u64) -> Range<u64> {
        let range = self.segments.block_range(segment);
        self.header.blocks + range.start..self.header.blocks + range.end
    }

    /// Where the blocks of neighbouring segments stand.
    pub fn blocks(&self, segments: Range<u64>) -> Range<u64> {
        let start = self.block(segments.start).start;
        start..self.block(segments.end).start.max(start)
    }

    /// Where the tree over the segments of the ciphertext stands, breadth first from the root.
    pub fn crypttext_tree(&self) -> Range<u64> {
        self.tree(self.header.crypttext_tree)
    }

    /// Where the tree over the blocks stands, breadth first from the root.
    pub fn block_tree(&self) -> Range<u64> {
        self.tree(self.header.block_tree)
    }

    /// Where the share hash chain stands.
    pub fn share_hashes(&self) -> Range<u64> {
        self.header.share_hashes..self.header.ueb
    }

    /// How many nodes each of the two trees has.
    pub fn node_count(&self) -> u64 {
        node_count(self.segments.count())
    }

    fn tree(&self, start: u64) -> Range<u64> {
        start..start + self.node_count() * NODE
    }
}

/// Why a share cannot be one of its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ShareLayoutError {
    /// Less room for a section than the file's has.
    #[error("{found} bytes for the {section}, which has {expected}")]
    Short {
        /// Which one.
        section: &'static str,
        /// Its size in a share of this file, in bytes.
        expected: u64,
        /// From its beginning to that of the next, in bytes.
        found: u64,
    },
    /// A section that begins or ends behind the share's end.
    #[error("a section ends at byte {end} of a share of {size}")]
    PastTheEnd {
        /// Where it ends.
        end: u64,
        /// The size of the share in bytes.
        size: u64,
    },
    /// The share hash chain cannot be read.
    #[error(transparent)]
    Header(#[from] ShareHeaderError),
}
