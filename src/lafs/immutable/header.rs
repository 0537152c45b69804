//! The first octets of a share: where each of its sections begins.

use crate::lafs::hash_tree::HashChain;
use crate::lafs::ueb::MAX_UEB_BYTES;
use std::ops::Range;

/// The two forms of a share, told apart by the first four octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShareVersion {
    /// Offsets of 32 bits.
    V1,
    /// Offsets of 64 bits, for large files.
    V2,
}

impl ShareVersion {
    /// The size of an offset, and of the length before the URI extension block, in octets.
    pub fn word_bytes(self) -> usize {
        match self {
            Self::V1 => 4,
            Self::V2 => 8,
        }
    }

    /// The size of the header in octets: the version, then eight words.
    pub fn header_bytes(self) -> usize {
        4 + 8 * self.word_bytes()
    }

    fn number(self) -> u32 {
        match self {
            Self::V1 => 1,
            Self::V2 => 2,
        }
    }
}

/// Where a share's sections begin, in the order in which they stand. Whether each is as long as the file's must be, only
/// [`super::ShareLayout`] knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShareHeader {
    pub(super) version: ShareVersion,
    /// The blocks.
    pub(super) blocks: u64,
    /// A tree that is no longer filled.
    pub(super) plaintext_tree: u64,
    /// The tree over the segments of the ciphertext.
    pub(super) crypttext_tree: u64,
    /// The tree over the share's blocks.
    pub(super) block_tree: u64,
    /// The share hash chain.
    pub(super) share_hashes: u64,
    /// The length of the URI extension block, and the block.
    pub(super) ueb: u64,
}

impl ShareHeader {
    /// How many octets of a share are enough to read the header of either form.
    pub const MAX_BYTES: usize = 4 + 8 * 8;

    /// The header that `share` begins with. [`ShareHeader::MAX_BYTES`] octets are enough, and what follows is not looked at.
    pub fn from_bytes(share: &[u8]) -> Result<Self, ShareHeaderError> {
        let cut_off = ShareHeaderError::CutOff { found: share.len() };
        let (version, words) = share.split_first_chunk().ok_or(cut_off)?;
        let version = match u32::from_be_bytes(*version) {
            1 => ShareVersion::V1,
            2 => ShareVersion::V2,
            found => return Err(ShareHeaderError::Version { found }),
        };
        let words = words.get(..8 * version.word_bytes()).ok_or(cut_off)?;
        let word = |bytes: &[u8]| bytes.iter().fold(0, |value, byte| value << 8 | u64::from(*byte));
        let mut words = words.chunks_exact(version.word_bytes()).map(word);
        // The sizes of a block and of all blocks: what the cap says holds.
        let mut next = || words.next().ok_or(cut_off);
        next()?;
        next()?;
        let header = Self {
            version,
            blocks: next()?,
            plaintext_tree: next()?,
            crypttext_tree: next()?,
            block_tree: next()?,
            share_hashes: next()?,
            ueb: next()?,
        };
        header.in_order().then_some(header).ok_or(ShareHeaderError::Order)
    }

    /// Whether the sections follow each other, and end where 64 bits can still count.
    fn in_order(&self) -> bool {
        let begins = [
            self.version.header_bytes() as u64,
            self.blocks,
            self.plaintext_tree,
            self.crypttext_tree,
            self.block_tree,
            self.share_hashes,
            self.ueb,
        ];
        begins.is_sorted() && self.ueb <= u64::MAX / 2
    }

    /// The header as a share begins with it.
    pub(super) fn to_bytes(self, block_size: u64, blocks_size: u64) -> Vec<u8> {
        let Self { version, blocks, plaintext_tree, crypttext_tree, block_tree, share_hashes, ueb } = self;
        let mut bytes = version.number().to_be_bytes().to_vec();
        for word in [block_size, blocks_size, blocks, plaintext_tree, crypttext_tree, block_tree, share_hashes, ueb] {
            bytes.extend_from_slice(&word.to_be_bytes()[8 - version.word_bytes()..]);
        }
        bytes
    }

    /// The form of the share.
    pub fn version(&self) -> ShareVersion {
        self.version
    }

    /// Where the length of the URI extension block stands.
    pub fn ueb_length(&self) -> Range<u64> {
        self.ueb..self.ueb + self.version.word_bytes() as u64
    }

    /// Where the URI extension block stands, by what was read at [`ShareHeader::ueb_length`].
    pub fn ueb(&self, length: &[u8]) -> Result<Range<u64>, ShareHeaderError> {
        if length.len() != self.version.word_bytes() {
            return Err(ShareHeaderError::CutOff { found: length.len() });
        }
        let found = length.iter().fold(0, |value, byte| value << 8 | u64::from(*byte));
        if found > MAX_UEB_BYTES as u64 {
            return Err(ShareHeaderError::UebTooLong { found });
        }
        let start = self.ueb_length().end;
        Ok(start..start + found)
    }

    /// Where the share hash chain stands: it reaches up to the length of the URI extension block.
    pub fn share_hashes(&self) -> Result<Range<u64>, ShareHeaderError> {
        let found = self.ueb - self.share_hashes;
        if found > (HashChain::MAX_ENTRIES * HashChain::ENTRY_BYTES) as u64 {
            return Err(ShareHeaderError::ChainTooLong { found });
        }
        Ok(self.share_hashes..self.ueb)
    }
}

/// Why a share's first octets are no header, or lead to nothing that could be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ShareHeaderError {
    /// The share, or what was read of it, ends too early.
    #[error("cut off after {found} bytes")]
    CutOff {
        /// How many there are.
        found: usize,
    },
    /// A form of share that Tahoe-LAFS does not know, or no share of an immutable file.
    #[error("version {found} of an immutable share is not known")]
    Version {
        /// The number.
        found: u32,
    },
    /// Sections that overlap or are out of order.
    #[error("the sections of the share overlap or are out of order")]
    Order,
    /// A URI extension block larger than any is read.
    #[error("a URI extension block of {found} bytes; at most {MAX_UEB_BYTES} are read")]
    UebTooLong {
        /// The size that is stated, in bytes.
        found: u64,
    },
    /// A share hash chain longer than any share needs.
    #[error("a share hash chain of {found} bytes")]
    ChainTooLong {
        /// Its size in bytes.
        found: u64,
    },
}
