//! Where nodes stand and how one is made of two.

use crate::tagged::{tagged_hash, tagged_pair_hash};

/// A node of a tree, and whatever is hashed to become a leaf.
pub type Hash = [u8; 32];

/// The most leaves that a tree is read with, and so the most segments of a file: with 1 MiB to a segment, 1 TiB.
///
/// It bounds what a hostile uploader makes others read; a tree of that size has 64 MiB.
pub const MAX_LEAVES: u64 = 1 << 20;

const TAG_INNER: &[u8] = b"Merkle tree internal node";
const TAG_PADDING: &[u8] = b"Merkle tree empty leaf";

/// How many leaves there are after padding.
pub(super) fn padded(leaf_count: u64) -> u64 {
    leaf_count.next_power_of_two()
}

/// How many nodes a tree of `leaf_count` leaves has, padding included. `leaf_count` is 1 to [`MAX_LEAVES`].
pub fn node_count(leaf_count: u64) -> u64 {
    2 * padded(leaf_count) - 1
}

/// The node that leaf `leaf` is, in a tree of `leaf_count` leaves. `leaf_count` is 1 to [`MAX_LEAVES`].
pub fn node_of_leaf(leaf_count: u64, leaf: u64) -> u64 {
    padded(leaf_count) - 1 + leaf
}

/// The node above two.
pub(super) fn inner(left: &Hash, right: &Hash) -> Hash {
    tagged_pair_hash(TAG_INNER, left, right)
}

/// What stands in for leaf `leaf`, which there is none of.
pub(super) fn padding(leaf: u64) -> Hash {
    tagged_hash(TAG_PADDING, leaf.to_string().as_bytes())
}
