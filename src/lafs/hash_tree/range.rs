//! Neighbouring leaves proven by their uncles.

use super::shape::{Hash, MAX_LEAVES, inner, node_of_leaf, padded};

/// One level of a tree: the nodes that are known there, and which of their neighbours the next level needs.
struct Level {
    /// The number of the level's leftmost node.
    base: u64,
    /// The first known one, counted within the level.
    first: u64,
    /// The one behind the last known.
    end: u64,
}

impl Level {
    /// The leaves; `None` if `leaf_count` leaves have no such range.
    fn of_leaves(leaf_count: u64, first: u64, count: u64) -> Option<Self> {
        let end = first.checked_add(count).filter(|end| *end <= leaf_count && leaf_count <= MAX_LEAVES)?;
        (count > 0).then(|| Self { base: padded(leaf_count) - 1, first, end })
    }

    /// The node left of the known ones, where it is needed.
    fn left(&self) -> Option<u64> {
        (self.base > 0 && self.first % 2 == 1).then(|| self.base + self.first - 1)
    }

    /// The node right of the known ones, where it is needed.
    fn right(&self) -> Option<u64> {
        (self.base > 0 && self.end % 2 == 1).then_some(self.base + self.end)
    }

    /// The level above; `None` above the root.
    fn above(&self) -> Option<Self> {
        (self.base > 0).then(|| Self { base: self.base / 2, first: self.first / 2, end: self.end.div_ceil(2) })
    }
}

/// The numbers of the nodes that are needed beside `count` leaves from `first` on to compute the root, in the order in which
/// [`root_of_range`] takes them: from the leaves up, on each level the one to the left, then the one to the right.
///
/// Nodes over nothing but padding are among them, so that nobody computes a million hashes to check one. `None` if a tree of
/// `leaf_count` leaves has no such leaves, or there are more than [`MAX_LEAVES`] or none.
pub fn uncles(leaf_count: u64, first: u64, count: u64) -> Option<Vec<u64>> {
    let mut next = Some(Level::of_leaves(leaf_count, first, count)?);
    let mut found = vec![];
    while let Some(level) = next {
        found.extend(level.left().into_iter().chain(level.right()));
        next = level.above();
    }
    Some(found)
}

/// The root that `leaves` and their `uncles` lead to, `leaves` being those from `first` on of `leaf_count`.
///
/// `None` if a tree of that size has no such leaves, or there are fewer or more uncles than [`uncles`] says.
pub fn root_of_range(leaf_count: u64, first: u64, leaves: &[Hash], uncles: &[Hash]) -> Option<Hash> {
    let mut next = Some(Level::of_leaves(leaf_count, first, leaves.len() as u64)?);
    let mut known = leaves.to_vec();
    let mut uncles = uncles.iter();
    while let Some(level) = next {
        if level.left().is_some() {
            known.insert(0, *uncles.next()?);
        }
        if level.right().is_some() {
            known.push(*uncles.next()?);
        }
        next = level.above();
        if next.is_some() {
            known = known.chunks_exact(2).map(|pair| inner(&pair[0], &pair[1])).collect();
        }
    }
    uncles.next().is_none().then_some(known[0])
}

/// `count` leaves from `first` on and their uncles, out of a whole tree as a share holds it: breadth first from the root.
///
/// Nothing of it is proven yet. `None` if there are no such leaves or `tree` is too short.
pub fn leaves_and_uncles(leaf_count: u64, tree: &[u8], first: u64, count: u64) -> Option<(Vec<Hash>, Vec<Hash>)> {
    let wanted = uncles(leaf_count, first, count)?;
    let (nodes, _) = tree.as_chunks::<32>();
    let node = |node: u64| nodes.get(usize::try_from(node).ok()?).copied();
    let first = usize::try_from(node_of_leaf(leaf_count, first)).ok()?;
    // Not more than the leaves, of which there are not too many.
    let leaves = nodes.get(first..first + count as usize)?.to_vec();
    Some((leaves, wanted.into_iter().map(node).collect::<Option<_>>()?))
}

/// Neighbouring leaves of a tree that are known to lead to its root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedLeaves {
    first: u64,
    leaves: Vec<Hash>,
}

impl VerifiedLeaves {
    /// `leaves`, from `first` on of `leaf_count`, if they and `uncles` lead to `root`; `None` otherwise.
    pub fn new(leaf_count: u64, first: u64, leaves: Vec<Hash>, uncles: &[Hash], root: &Hash) -> Option<Self> {
        (root_of_range(leaf_count, first, &leaves, uncles)? == *root).then_some(Self { first, leaves })
    }

    /// `count` leaves from `first` on out of a whole tree as a share holds it, breadth first from the root, if they lead to
    /// `root`; `None` otherwise. What is not on their way is not looked at.
    pub fn of_tree(leaf_count: u64, tree: &[u8], first: u64, count: u64, root: &Hash) -> Option<Self> {
        let (leaves, uncles) = leaves_and_uncles(leaf_count, tree, first, count)?;
        Self::new(leaf_count, first, leaves, &uncles, root)
    }

    /// Leaf `leaf`; `None` if it is not among these.
    pub fn get(&self, leaf: u64) -> Option<&Hash> {
        self.leaves.get(usize::try_from(leaf.checked_sub(self.first)?).ok()?)
    }

    /// The first of them.
    pub fn first(&self) -> u64 {
        self.first
    }

    /// All of them, from the first on.
    pub fn leaves(&self) -> &[Hash] {
        &self.leaves
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lafs::hash_tree::HashTree;
    use proptest::prelude::*;

    #[test]
    fn the_order_of_uncles_is_from_the_leaves_up_and_left_before_right() {
        // Eleven leaves, padded to sixteen: leaf i is node 15 + i.
        assert_eq!(uncles(11, 3, 4), Some(vec![17, 22, 7, 2]));
        // Those over nothing but padding are there too: 26 is one, 6 is of the leaves 12 to 15 alone.
        assert_eq!(uncles(11, 0, 11), Some(vec![26, 6]));
        assert_eq!(uncles(16, 0, 16), Some(vec![]));
        assert_eq!(uncles(1, 0, 1), Some(vec![]));
        assert_eq!(uncles(2, 1, 1), Some(vec![1]));
    }

    #[test]
    fn leaves_that_a_tree_does_not_have_are_none() {
        for (leaf_count, first, count) in [
            (3, 0, 0),
            (3, 3, 1),
            (3, 0, 4),
            (0, 0, 0),
            (0, 0, 1),
            (3, u64::MAX, 2),
            (MAX_LEAVES + 1, 0, 1),
            (u64::MAX, 0, 1),
        ] {
            assert_eq!(uncles(leaf_count, first, count), None);
            assert_eq!(root_of_range(leaf_count, first, &vec![[0; 32]; count as usize], &[]), None);
        }
    }

    #[test]
    fn the_largest_tree_costs_a_few_hashes() {
        let nodes = uncles(MAX_LEAVES - 1, 5, 2).expect("uncles");
        assert_eq!(nodes.len(), 20);
        assert!(root_of_range(MAX_LEAVES - 1, 5, &[[1; 32]; 2], &[[2; 32]; 20]).is_some());
    }

    proptest! {
        #[test]
        fn any_range_leads_to_the_root_and_nothing_else_does(
            leaves in prop::collection::vec(any::<[u8; 32]>(), 1..40),
            start in any::<prop::sample::Index>(),
            end in any::<prop::sample::Index>(),
            changed in any::<prop::sample::Index>(),
        ) {
            let tree = HashTree::from_leaves(&leaves).expect("a tree");
            let n = leaves.len() as u64;
            let first = start.index(leaves.len());
            let range = first..first + 1 + end.index(leaves.len() - first);
            let uncles = tree.uncles(first as u64, range.len() as u64);
            let root = |leaves: &[Hash], uncles: &[Hash]| root_of_range(n, first as u64, leaves, uncles);
            prop_assert_eq!(root(&leaves[range.clone()], &uncles), Some(*tree.root()));

            // One bit in any of them makes another root.
            let mut leaves = leaves[range].to_vec();
            let mut others = uncles.clone();
            match changed.index(leaves.len() + uncles.len()) {
                i if i < leaves.len() => leaves[i][0] ^= 1,
                i => others[i - leaves.len()][31] ^= 0x80,
            }
            prop_assert_ne!(root(&leaves, &others), Some(*tree.root()));

            // One uncle fewer or more is refused.
            prop_assert_eq!(root(&leaves, &[&uncles[..], &[[0; 32]]].concat()), None);
            if let Some((_, fewer)) = uncles.split_last() {
                prop_assert_eq!(root(&leaves, fewer), None);
            }
        }
    }
}
