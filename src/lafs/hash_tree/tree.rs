//! A whole tree, for who has all leaves.

use super::range::uncles;
use super::shape::{Hash, inner, node_of_leaf, padded, padding};

/// All nodes over some leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HashTree {
    leaf_count: u64,
    nodes: Vec<Hash>,
}

impl HashTree {
    /// The tree over `leaves`; `None` over none.
    pub fn from_leaves(leaves: &[Hash]) -> Option<Self> {
        if leaves.is_empty() {
            return None;
        }
        let leaf_count = leaves.len() as u64;
        let width = padded(leaf_count) as usize;
        let mut nodes = vec![[0; 32]; 2 * width - 1];
        nodes[width - 1..width - 1 + leaves.len()].copy_from_slice(leaves);
        for leaf in leaves.len()..width {
            nodes[width - 1 + leaf] = padding(leaf as u64);
        }
        for node in (0..width - 1).rev() {
            nodes[node] = inner(&nodes[2 * node + 1], &nodes[2 * node + 2]);
        }
        Some(Self { leaf_count, nodes })
    }

    /// The node that all leaves lead to.
    pub fn root(&self) -> &Hash {
        &self.nodes[0]
    }

    /// How many leaves there are, without padding.
    pub fn leaf_count(&self) -> u64 {
        self.leaf_count
    }

    /// All nodes from the root on, breadth first, as a share holds them.
    pub fn nodes(&self) -> &[Hash] {
        &self.nodes
    }

    /// The uncles of the leaves from `first` on, in the order of [`uncles`].
    ///
    /// # Panics
    /// If the tree has no such leaves.
    pub fn uncles(&self, first: u64, count: u64) -> Vec<Hash> {
        let nodes = uncles(self.leaf_count, first, count).expect("leaves of this tree");
        nodes.into_iter().map(|node| self.nodes[node as usize]).collect()
    }

    /// The nodes beside the way of leaf `leaf` to the root, by ascending number.
    ///
    /// # Panics
    /// If the tree has no such leaf.
    pub fn beside(&self, leaf: u64) -> Vec<(u64, Hash)> {
        assert!(leaf < self.leaf_count, "no leaf {leaf}");
        let mut node = node_of_leaf(self.leaf_count, leaf);
        let mut found = vec![];
        while node > 0 {
            // Children of one node are an odd number and the even one after it.
            let sibling = if node % 2 == 1 { node + 1 } else { node - 1 };
            found.push((sibling, self.nodes[sibling as usize]));
            node = (node - 1) / 2;
        }
        found.reverse();
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tagged::{tagged_hash, tagged_pair_hash};

    #[test]
    fn the_tree_of_one_leaf_is_that_leaf() {
        let tree = HashTree::from_leaves(&[[7; 32]]).expect("a tree");
        assert_eq!((tree.root(), tree.nodes()), (&[7; 32], &[[7; 32]][..]));
        assert_eq!(tree.beside(0), []);
        assert_eq!(HashTree::from_leaves(&[]), None);
    }

    #[test]
    fn three_leaves_are_padded_by_the_hash_of_the_fourths_number() {
        let leaves = [[1; 32], [2; 32], [3; 32]];
        let tree = HashTree::from_leaves(&leaves).expect("a tree");
        let pair = |a: &Hash, b: &Hash| tagged_pair_hash(b"Merkle tree internal node", a, b);
        let fourth = tagged_hash(b"Merkle tree empty leaf", b"3");
        let (left, right) = (pair(&leaves[0], &leaves[1]), pair(&leaves[2], &fourth));
        assert_eq!(tree.nodes(), [pair(&left, &right), left, right, leaves[0], leaves[1], leaves[2], fourth]);
        assert_eq!(tree.beside(2), [(1, left), (6, fourth)]);
        assert_eq!(tree.beside(1), [(2, right), (3, leaves[0])]);
    }
}
