//! Where in a mutable share what is.

use super::prefix::{PrefixError, SignedPrefix};
use crate::capability::MutableFormat;
use crate::lafs::hash_tree::{HashChain, node_count};
use std::ops::Range;

/// The beginning of a share: the signed prefix, and offsets that make sense for it.
///
/// Nobody vouches for the offsets; what stands at them leads to the signature, or is refused there. Behind the prefix, all
/// integers big-endian, offsets in octets from the share's first:
///
/// | SDMF | MDMF |
/// | --- | --- |
/// | 4: signature | 8: encrypted private key |
/// | 4: share hash chain | 8: share hash chain |
/// | 4: block hash tree | 8: signature |
/// | 4: block | 8: public key |
/// | 8: encrypted private key | 8: end of the public key |
/// | 8: end | 8: blocks, each behind its salt |
/// | the public key, up to the signature | 8: block hash tree |
/// | | 8: end |
///
/// Each section ends where the next one begins, but for a gap after MDMF's public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShareLayout {
    prefix: SignedPrefix,
    public_key: Range<u64>,
    signature: Range<u64>,
    chain: Range<u64>,
    block_tree: Range<u64>,
    blocks: Range<u64>,
    end: u64,
}

impl ShareLayout {
    /// How many octets from the beginning of a share are enough to read the layout: MDMF's eight offsets are the longest.
    pub const HEADER_BYTES: usize = SignedPrefix::MDMF_BYTES + 8 * 8;
    /// Where an SDMF share's public key begins.
    pub(super) const SDMF_PUBLIC_KEY: u64 = SignedPrefix::SDMF_BYTES as u64 + 4 * 4 + 2 * 8;
    /// How many octets to ask for at first: they hold all that comes before the blocks of a share that Tahoe made. What is
    /// missing in them is asked for by its range.
    pub const FIRST_READ_BYTES: u64 = 4_096;
    /// The longest public key: one of RSA with 8,192 bits is below.
    pub const MAX_PUBLIC_KEY_BYTES: u64 = 1_200;
    /// The longest signature: of RSA with 8,192 bits.
    pub const MAX_SIGNATURE_BYTES: u64 = 1_024;
    /// An MDMF salt, before each block.
    pub const SALT_BYTES: u64 = 16;

    /// The layout of the share that begins with `header`, of which [`ShareLayout::HEADER_BYTES`] are enough.
    pub fn from_header(header: &[u8]) -> Result<Self, LayoutError> {
        let prefix = SignedPrefix::from_share(header)?;
        let mut fields = header.get(prefix.encoded_len()..).unwrap_or_default();
        let mut offset = |octets: usize| {
            let (field, rest) = fields.split_at_checked(octets).ok_or(LayoutError::CutOff { found: header.len() })?;
            fields = rest;
            Ok::<u64, LayoutError>(field.iter().fold(0, |number, octet| number << 8 | u64::from(*octet)))
        };
        let layout = match prefix.format() {
            MutableFormat::Sdmf => {
                let [signature, chain, block_tree, blocks] = [offset(4)?, offset(4)?, offset(4)?, offset(4)?];
                let (private_key, end) = (offset(8)?, offset(8)?);
                ascending(&[Self::SDMF_PUBLIC_KEY, signature, chain, block_tree, blocks, private_key, end])?;
                Self {
                    prefix,
                    public_key: Self::SDMF_PUBLIC_KEY..signature,
                    signature: signature..chain,
                    chain: chain..block_tree,
                    block_tree: block_tree..blocks,
                    blocks: blocks..private_key,
                    end,
                }
            }
            MutableFormat::Mdmf => {
                let [private_key, chain, signature, public_key] = [offset(8)?, offset(8)?, offset(8)?, offset(8)?];
                let [key_end, blocks, block_tree, end] = [offset(8)?, offset(8)?, offset(8)?, offset(8)?];
                let start = Self::HEADER_BYTES as u64;
                ascending(&[start, private_key, chain, signature, public_key, key_end, blocks, block_tree, end])?;
                Self {
                    prefix,
                    public_key: public_key..key_end,
                    signature: signature..public_key,
                    chain: chain..signature,
                    block_tree: block_tree..end,
                    blocks: blocks..block_tree,
                    end,
                }
            }
        };
        layout.sized()
    }

    /// The signed prefix.
    pub fn prefix(&self) -> &SignedPrefix {
        &self.prefix
    }

    /// The public key, a DER SubjectPublicKeyInfo: 1 to [`ShareLayout::MAX_PUBLIC_KEY_BYTES`] octets.
    pub fn public_key(&self) -> Range<u64> {
        self.public_key.clone()
    }

    /// The signature: 1 to [`ShareLayout::MAX_SIGNATURE_BYTES`] octets.
    pub fn signature(&self) -> Range<u64> {
        self.signature.clone()
    }

    /// The share hash chain: at most [`HashChain::MAX_ENTRIES`] of its entries.
    pub fn share_hash_chain(&self) -> Range<u64> {
        self.chain.clone()
    }

    /// Node `node` of the block hash tree and the `count` − 1 after it; `None` if there are none such.
    pub fn tree_nodes(&self, node: u64, count: u64) -> Option<Range<u64>> {
        let end = node.checked_add(count).filter(|end| *end <= self.tree_node_count())?;
        Some(self.block_tree.start + 32 * node..self.block_tree.start + 32 * end)
    }

    /// How many nodes the block hash tree has; 1 in an empty file.
    pub fn tree_node_count(&self) -> u64 {
        node_count(self.prefix.segments().max(1))
    }

    /// The block of segment `segment`, in MDMF with its salt before it; `None` if there is none.
    pub fn block(&self, segment: u64) -> Option<Range<u64>> {
        let salt = self.salt_len();
        let length = self.prefix.block_len(segment)? as u64 + salt;
        let full = self.prefix.segment_size().0 / u64::from(self.prefix.shares().needed()) + salt;
        // At most 2^20 segments of 16 MiB, from an offset that lies within the share.
        let start = self.blocks.start.checked_add(segment * full)?;
        Some(start..start.checked_add(length)?)
    }

    /// The size of the share.
    pub fn end(&self) -> u64 {
        self.end
    }

    fn salt_len(&self) -> u64 {
        match self.prefix.format() {
            MutableFormat::Sdmf => 0,
            MutableFormat::Mdmf => Self::SALT_BYTES,
        }
    }

    /// The layout if each section has the size that is due to it.
    fn sized(self) -> Result<Self, LayoutError> {
        use Section::{BlockTree, Blocks, Chain, PublicKey, Signature};
        let blocks = match self.prefix.segments().checked_sub(1) {
            None => 0,
            Some(last) => self.block(last).map_or(u64::MAX, |block| block.end - self.blocks.start),
        };
        let tree = 32 * self.tree_node_count();
        let chain = (HashChain::ENTRY_BYTES * HashChain::MAX_ENTRIES) as u64;
        for (section, range, sizes) in [
            (PublicKey, &self.public_key, 1..=Self::MAX_PUBLIC_KEY_BYTES),
            (Signature, &self.signature, 1..=Self::MAX_SIGNATURE_BYTES),
            (Chain, &self.chain, 0..=chain),
            (BlockTree, &self.block_tree, tree..=tree),
            (Blocks, &self.blocks, blocks..=blocks),
        ] {
            let found = range.end - range.start;
            if !sizes.contains(&found) {
                return Err(LayoutError::Size { section, found });
            }
        }
        Ok(self)
    }
}

/// Refuses offsets that overlap or run backwards.
fn ascending(offsets: &[u64]) -> Result<(), LayoutError> {
    match offsets.windows(2).find(|pair| pair[0] > pair[1]) {
        None => Ok(()),
        Some(pair) => Err(LayoutError::Order { before: pair[0], offset: pair[1] }),
    }
}

/// A part of a share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    /// The public key.
    PublicKey,
    /// The signature.
    Signature,
    /// The share hash chain.
    Chain,
    /// The block hash tree.
    BlockTree,
    /// The blocks.
    Blocks,
}

/// Why a share has no layout that could be right. The share is to be left and another one taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    /// The prefix is none.
    #[error(transparent)]
    Prefix(#[from] PrefixError),
    /// The share ends within its header.
    #[error("cut off after {found} bytes, within the header")]
    CutOff {
        /// How many octets there are.
        found: usize,
    },
    /// An offset before the one it should not be before.
    #[error("a section begins at byte {offset}, before the one at byte {before} that it follows")]
    Order {
        /// The section before it, or the end of the header.
        before: u64,
        /// The offset.
        offset: u64,
    },
    /// A section whose size does not follow from the prefix or passes its bound.
    #[error("the section {section:?} has {found} bytes, which it cannot have")]
    Size {
        /// Which.
        section: Section,
        /// Its size in octets.
        found: u64,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capability::ShareCounts;
    use crate::lafs::mutable::prefix::MutableVersion;
    use crate::units::Bytes;
    use proptest::prelude::*;

    const VERSION: MutableVersion = MutableVersion { sequence: 7, root: [9; 32] };

    fn counts() -> ShareCounts {
        ShareCounts::new(3, 10).expect("counts")
    }

    /// As Tahoe-LAFS 1.20 laid out the last share of a file of 100,001 octets in 3-of-10.
    fn sdmf() -> (SignedPrefix, Vec<u64>) {
        let prefix = SignedPrefix::sdmf(VERSION, [1; 16], counts(), Bytes(100_001)).expect("a prefix");
        (prefix, vec![401, 657, 793, 825, 34_159, 35_374])
    }

    /// The same of one of 131,074 octets.
    fn mdmf() -> (SignedPrefix, Vec<u64>) {
        let segment = SignedPrefix::MDMF_SEGMENT;
        let prefix = SignedPrefix::mdmf(VERSION, counts(), segment, Bytes(131_074)).expect("a prefix");
        (prefix, vec![123, 1_341, 1_477, 1_733, 2_027, 2_167, 45_891, 45_987])
    }

    fn header(prefix: &SignedPrefix, offsets: &[u64]) -> Vec<u8> {
        let mut bytes = prefix.to_bytes();
        for (place, offset) in offsets.iter().enumerate() {
            let octets = offset.to_be_bytes();
            let short = prefix.format() == MutableFormat::Sdmf && place < 4;
            bytes.extend_from_slice(&octets[if short { 4 } else { 0 }..]);
        }
        bytes
    }

    #[test]
    fn the_layout_of_real_shares_is_found() {
        let (prefix, offsets) = sdmf();
        let layout = ShareLayout::from_header(&header(&prefix, &offsets)).expect("a layout");
        assert_eq!(
            (layout.public_key(), layout.signature(), layout.share_hash_chain()),
            (107..401, 401..657, 657..793)
        );
        assert_eq!((layout.tree_nodes(0, 1), layout.tree_nodes(0, 2)), (Some(793..825), None));
        assert_eq!((layout.block(0), layout.block(1), layout.end()), (Some(825..34_159), None, 35_374));

        let (prefix, offsets) = mdmf();
        let layout = ShareLayout::from_header(&header(&prefix, &offsets)).expect("a layout");
        assert_eq!((layout.share_hash_chain(), layout.signature()), (1_341..1_477, 1_477..1_733));
        assert_eq!((layout.public_key(), layout.tree_node_count()), (1_733..2_027, 3));
        assert_eq!((layout.tree_nodes(1, 2), layout.tree_nodes(2, u64::MAX)), (Some(45_923..45_987), None));
        let blocks = [0, 1, 2].map(|segment| layout.block(segment));
        assert_eq!(blocks, [Some(2_167..45_874), Some(45_874..45_891), None]);
    }

    #[test]
    fn a_cut_off_header_is_refused() {
        for (prefix, offsets) in [sdmf(), mdmf()] {
            let bytes = header(&prefix, &offsets);
            assert!(bytes.len() <= ShareLayout::HEADER_BYTES);
            for length in 0..bytes.len() {
                assert!(ShareLayout::from_header(&bytes[..length]).is_err(), "{length}");
            }
        }
    }

    #[test]
    fn offsets_that_overlap_run_backwards_or_leave_the_share_are_refused() {
        for (prefix, offsets) in [sdmf(), mdmf()] {
            let sdmf = prefix.format() == MutableFormat::Sdmf;
            let largest = if sdmf { u64::from(u32::MAX) } else { u64::MAX };
            for place in 0..offsets.len() {
                for wrong in [0, 1, 106, 1 << 31, largest] {
                    let mut offsets = offsets.clone();
                    offsets[place] = wrong;
                    // Only SDMF's end may lie anywhere: before it is the private key, which nobody here reads.
                    let is_end = sdmf && place + 1 == offsets.len() && wrong > 35_000;
                    let refused = ShareLayout::from_header(&header(&prefix, &offsets)).is_err();
                    assert_eq!(refused, !is_end, "{:?} {place} {wrong}", prefix.format());
                }
            }
            for place in 1..offsets.len() {
                let mut offsets = offsets.clone();
                offsets.swap(place - 1, place);
                let error = ShareLayout::from_header(&header(&prefix, &offsets));
                assert!(matches!(error, Err(LayoutError::Order { .. })), "{place}: {error:?}");
            }
        }
    }

    #[test]
    fn sections_beyond_their_bounds_are_refused_by_name() {
        let (prefix, _) = mdmf();
        let with = |lengths: [u64; 7]| {
            let mut offsets = vec![123];
            for length in lengths {
                offsets.push(offsets[offsets.len() - 1] + length);
            }
            ShareLayout::from_header(&header(&prefix, &offsets))
        };
        // Private key, chain, signature, public key, gap, blocks, block tree.
        let right = [1_218, 136, 256, 294, 140, 43_724, 96];
        assert!(with(right).is_ok());
        for (place, found, section) in [
            (1, 9 * 34 + 1, Section::Chain),
            (2, 1_025, Section::Signature),
            (2, 0, Section::Signature),
            (3, 1_201, Section::PublicKey),
            (3, 0, Section::PublicKey),
            (5, 43_725, Section::Blocks),
            (5, 1 << 60, Section::Blocks),
            (6, 64, Section::BlockTree),
            (6, 1 << 60, Section::BlockTree),
        ] {
            let mut lengths = right;
            lengths[place] = found;
            assert_eq!(with(lengths), Err(LayoutError::Size { section, found }));
        }
    }

    proptest! {
        #[test]
        fn what_is_read_lies_within_the_share(
            places in prop::collection::vec((0..8_usize, any::<u64>()), 0..4),
            small in any::<bool>(),
            is_sdmf in any::<bool>(),
        ) {
            let (prefix, mut offsets) = if is_sdmf { sdmf() } else { mdmf() };
            for (place, offset) in places {
                if let Some(changed) = offsets.get_mut(place) {
                    *changed = if small { *changed ^ (offset % 300) } else { offset };
                }
            }
            if let Ok(layout) = ShareLayout::from_header(&header(&prefix, &offsets)) {
                let blocks = (0..prefix.segments()).filter_map(|segment| layout.block(segment));
                let nodes = layout.tree_nodes(0, layout.tree_node_count());
                let sections = [layout.public_key(), layout.signature(), layout.share_hash_chain()];
                for range in sections.into_iter().chain(blocks).chain(nodes) {
                    prop_assert!(range.start <= range.end && range.end <= layout.end());
                }
            }
        }
    }
}
