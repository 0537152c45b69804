//! Tahoe's Merkle trees: of a file's segments, of a share's blocks, of all shares.
//!
//! Nodes are counted from the root, 0, breadth first. The leaves are padded to a power of two with hashes of their own
//! numbers; so with n leaves, rounded up to m, leaf i is node m − 1 + i. Whoever checks a few leaves is given the nodes beside
//! their way to the root, their *uncles*.

mod chain;
mod range;
mod shape;
mod tree;

pub use chain::{HashChain, HashChainError};
pub use range::{VerifiedLeaves, leaves_and_uncles, root_of_range, uncles};
pub use shape::{Hash, MAX_LEAVES, node_count, node_of_leaf};
pub use tree::HashTree;
