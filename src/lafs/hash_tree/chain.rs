//! The share hash chain: the nodes by which one share's leaf leads to the root over all shares.

use super::shape::{Hash, inner, node_of_leaf};

/// Nodes of a tree with their numbers, as a share holds them: two octets of number, big-endian, and 32 of hash each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HashChain(Vec<(u16, Hash)>);

impl HashChain {
    /// The octets of one entry.
    pub const ENTRY_BYTES: usize = 2 + 32;
    /// The most entries: the own leaf among 256 shares, and eight beside its way.
    pub const MAX_ENTRIES: usize = 9;

    /// The chain with these entries, at most [`HashChain::MAX_ENTRIES`], each node once.
    pub fn new(entries: Vec<(u16, Hash)>) -> Result<Self, HashChainError> {
        if entries.len() > Self::MAX_ENTRIES {
            return Err(HashChainError::TooLong { found: entries.len() });
        }
        for (i, (node, _)) in entries.iter().enumerate() {
            if entries[..i].iter().any(|(other, _)| other == node) {
                return Err(HashChainError::Twice { node: *node });
            }
        }
        Ok(Self(entries))
    }

    /// The chain in a share's section.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, HashChainError> {
        let (entries, rest) = bytes.as_chunks::<{ Self::ENTRY_BYTES }>();
        if !rest.is_empty() {
            return Err(HashChainError::Length { found: bytes.len() });
        }
        if entries.len() > Self::MAX_ENTRIES {
            return Err(HashChainError::TooLong { found: entries.len() });
        }
        let entry = |[high, low, hash @ ..]: &[u8; Self::ENTRY_BYTES]| (u16::from_be_bytes([*high, *low]), *hash);
        Self::new(entries.iter().map(entry).collect())
    }

    /// The chain as a share's section.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.iter().flat_map(|(node, hash)| [&node.to_be_bytes()[..], hash].concat()).collect()
    }

    /// The entries in their order.
    pub fn entries(&self) -> &[(u16, Hash)] {
        &self.0
    }

    /// Node `node`; `None` if it is not among these.
    pub fn get(&self, node: u64) -> Option<&Hash> {
        self.0.iter().find(|(other, _)| u64::from(*other) == node).map(|(_, hash)| hash)
    }

    /// The leaf of share `number` of `total`, where the chain holds it, as an immutable file's does.
    pub fn leaf(&self, total: u16, number: u16) -> Option<&Hash> {
        self.get(node_of_leaf(total.into(), number.into()))
    }

    /// The root that `leaf`, of share `number` of `total`, leads to by these entries.
    ///
    /// `None` if there is no such share, a node on the way is missing or is another one than is stated here, or an entry has
    /// nothing to do with the way: so that each octet of a chain counts.
    pub fn root(&self, total: u16, number: u16, leaf: &Hash) -> Option<Hash> {
        if number >= total {
            return None;
        }
        let mut node = node_of_leaf(total.into(), number.into());
        let mut hash = *leaf;
        let mut used = 0;
        loop {
            if let Some(stated) = self.get(node) {
                if *stated != hash {
                    return None;
                }
                used += 1;
            }
            if node == 0 {
                return (used == self.0.len()).then_some(hash);
            }
            // Children of one node are an odd number and the even one after it.
            let is_left = node % 2 == 1;
            let sibling = self.get(if is_left { node + 1 } else { node - 1 })?;
            used += 1;
            hash = if is_left { inner(&hash, sibling) } else { inner(sibling, &hash) };
            node = (node - 1) / 2;
        }
    }
}

/// Why bytes are no share hash chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HashChainError {
    /// No whole number of entries.
    #[error("{found} bytes are no whole number of entries of {}", HashChain::ENTRY_BYTES)]
    Length {
        /// The size in bytes.
        found: usize,
    },
    /// More entries than any share needs.
    #[error("{found} entries where at most {} are needed", HashChain::MAX_ENTRIES)]
    TooLong {
        /// How many there are.
        found: usize,
    },
    /// A node more than once.
    #[error("node {node} stands there twice")]
    Twice {
        /// Its number.
        node: u16,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lafs::hash_tree::HashTree;
    use proptest::prelude::*;

    /// The chains of all shares over `leaves`: without the own leaf, as of mutable files, and with it.
    fn chains(leaves: &[Hash], number: u16) -> (HashTree, HashChain, HashChain) {
        let tree = HashTree::from_leaves(leaves).expect("a tree");
        let beside: Vec<(u16, Hash)> =
            tree.beside(number.into()).into_iter().map(|(node, hash)| (node as u16, hash)).collect();
        let own = (node_of_leaf(leaves.len() as u64, number.into()) as u16, leaves[usize::from(number)]);
        let with = [&beside[..], &[own]].concat();
        (tree, HashChain::new(beside).expect("a chain"), HashChain::new(with).expect("a chain"))
    }

    #[test]
    fn the_chain_of_a_lone_share_may_be_empty_or_its_leaf() {
        let (tree, without, with) = chains(&[[5; 32]], 0);
        assert_eq!(with.entries(), [(0, [5; 32])]);
        for chain in [without, with] {
            assert_eq!(chain.root(1, 0, &[5; 32]).as_ref(), Some(tree.root()));
            assert_eq!(chain.root(1, 1, &[5; 32]), None);
        }
    }

    #[test]
    fn what_is_no_chain_is_named() {
        assert_eq!(HashChain::from_bytes(&[0; 33]), Err(HashChainError::Length { found: 33 }));
        assert_eq!(HashChain::from_bytes(&[0; 68]), Err(HashChainError::Twice { node: 0 }));
        assert_eq!(HashChain::from_bytes(&[0; 340]), Err(HashChainError::TooLong { found: 10 }));
    }

    proptest! {
        #[test]
        fn each_share_leads_to_the_root_and_each_octet_counts(
            total in 1..=256_u16,
            number in any::<prop::sample::Index>(),
            flipped in any::<prop::sample::Index>(),
            bit in 0..8_u8,
        ) {
            let leaves: Vec<Hash> = (0..total).map(|i| [i as u8; 32]).collect();
            let number = number.index(total.into()) as u16;
            let leaf = leaves[usize::from(number)];
            let (tree, without, with) = chains(&leaves, number);
            prop_assert_eq!(with.leaf(total, number), Some(&leaf));
            for chain in [without, with] {
                prop_assert_eq!(chain.root(total, number, &leaf), Some(*tree.root()));
                prop_assert_ne!(chain.root(total, number, &[!leaf[0]; 32]), Some(*tree.root()));
                let mut bytes = chain.to_bytes();
                prop_assert_eq!(HashChain::from_bytes(&bytes), Ok(chain));
                if !bytes.is_empty() {
                    let place = flipped.index(bytes.len());
                    bytes[place] ^= 1 << bit;
                    let root = HashChain::from_bytes(&bytes).ok().and_then(|chain| chain.root(total, number, &leaf));
                    prop_assert_ne!(root, Some(*tree.root()));
                }
            }
        }
    }
}
