//! What leads from a share's octets to the cap.

use crate::lafs::hash_tree::{Hash, HashChain, VerifiedLeaves};
use crate::lafs::ueb::UriExtension;
use crate::tagged::tagged_hash;

const TAG_BLOCK: &[u8] = b"allmydata_encoded_subshare_v1";
const TAG_SEGMENT: &[u8] = b"allmydata_crypttext_segment_v1";
const TAG_CRYPTTEXT: &[u8] = b"allmydata_crypttext_v1";

/// The leaf of a share's block tree that `block` makes.
pub fn block_hash(block: &[u8]) -> Hash {
    tagged_hash(TAG_BLOCK, block)
}

/// The leaf of a file's crypttext tree that a segment of its ciphertext makes, without padding.
pub fn segment_hash(segment: &[u8]) -> Hash {
    tagged_hash(TAG_SEGMENT, segment)
}

/// The hash of a file's whole ciphertext.
pub fn crypttext_hash(ciphertext: &[u8]) -> Hash {
    tagged_hash(TAG_CRYPTTEXT, ciphertext)
}

/// The root of a share's block tree that is known to be the file's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShareProof {
    number: u16,
    segments: u64,
    root: Hash,
}

impl ShareProof {
    /// What `chain`, out of share `number`, proves of a file; `None` if it does not lead to the file's root over all shares.
    pub fn new(ueb: &UriExtension, number: u16, chain: &HashChain) -> Option<Self> {
        let total = ueb.segments().shares().total();
        let root = chain.leaf(total, number).filter(|_| number < total)?;
        (chain.root(total, number, root)? == ueb.hashes().share_root).then(|| Self {
            number,
            segments: ueb.segments().count(),
            root: *root,
        })
    }

    /// The number of the share.
    pub fn number(&self) -> u16 {
        self.number
    }

    /// The root of its block tree.
    pub fn root(&self) -> &Hash {
        &self.root
    }

    /// The block hashes from `first` on, if they and their `uncles` are those of this share. A block is right if its
    /// [`block_hash`] is its leaf.
    pub fn blocks(&self, first: u64, leaves: Vec<Hash>, uncles: &[Hash]) -> Option<VerifiedLeaves> {
        VerifiedLeaves::new(self.segments, first, leaves, uncles, &self.root)
    }

    /// The same out of the share's whole block tree as it was read.
    pub fn blocks_of_tree(&self, tree: &[u8], first: u64, count: u64) -> Option<VerifiedLeaves> {
        VerifiedLeaves::of_tree(self.segments, tree, first, count, &self.root)
    }
}
