//! Which nodes are meant: the words by which commands and scenario files name them.
//!
//! `node-03`, `03` or `3`; a range, `node-03..node-09`, both ends included; `all`, `rest`; in scenario files also `30%`,
//! `alive`, `dead`, `paused` and `publishers`. Several stand one after the other, with spaces or commas between them.

use std::collections::BTreeSet;

/// Why a text names no nodes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SelectError {
    /// No node has that name.
    #[error("`{word}` is no node of this testnet: it has {first} to {last}")]
    Unknown {
        /// What was written.
        word: String,
        /// The name of the first node.
        first: String,
        /// The name of the last node.
        last: String,
    },
    /// A range that ends before it begins.
    #[error("the range `{0}` ends before it begins")]
    Backwards(String),
    /// A share that is none.
    #[error("`{0}` is no share: write 1% to 100%")]
    Share(String),
    /// Nothing was named.
    #[error("no nodes are named")]
    Nothing,
    /// A node in two groups of a partition.
    #[error("{0} is in two groups of the partition")]
    Twice(String),
    /// One group of a partition and nobody else.
    #[error("a partition needs nodes on both sides")]
    OneSide,
}

/// The nodes that a text may name, by their numbers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cast {
    pub(crate) names: Vec<String>,
    /// The nodes that are not dead.
    pub(crate) alive: BTreeSet<usize>,
    /// The nodes whose relay lets nothing through.
    pub(crate) paused: BTreeSet<usize>,
    /// The nodes that speak for a grid.
    pub(crate) publishers: BTreeSet<usize>,
}

impl Cast {
    /// The nodes named in `text`, in ascending order. `taken` are those that `rest` and shares leave out; `draw` gives a
    /// number below the one it is given, by which shares are chosen.
    pub(crate) fn select(
        &self,
        text: &str,
        taken: &BTreeSet<usize>,
        draw: &mut impl FnMut(usize) -> usize,
    ) -> Result<BTreeSet<usize>, SelectError> {
        let mut chosen = BTreeSet::new();
        for word in text.split([' ', ',']).filter(|word| !word.is_empty()) {
            let all = 0..self.names.len();
            match word {
                "all" => chosen.extend(all),
                "rest" => {
                    let rest: Vec<usize> = all.filter(|node| !taken.contains(node) && !chosen.contains(node)).collect();
                    chosen.extend(rest);
                }
                "alive" => chosen.extend(&self.alive),
                "dead" => chosen.extend(all.filter(|node| !self.alive.contains(node))),
                "paused" => chosen.extend(&self.paused),
                "publishers" => chosen.extend(&self.publishers),
                _ => match word.strip_suffix('%') {
                    Some(share) => {
                        let share = self.share(word, share, taken, &chosen, draw)?;
                        chosen.extend(share);
                    }
                    None => chosen.extend(self.named(word)?),
                },
            }
        }
        if chosen.is_empty() { Err(SelectError::Nothing) } else { Ok(chosen) }
    }

    /// The groups of a partition, each named by one text. A single one is cut off from all others.
    pub(crate) fn groups(
        &self,
        texts: &[String],
        draw: &mut impl FnMut(usize) -> usize,
    ) -> Result<Vec<BTreeSet<usize>>, SelectError> {
        let mut groups: Vec<BTreeSet<usize>> = Vec::new();
        let mut taken = BTreeSet::new();
        for text in texts {
            let group = self.select(text, &taken, draw)?;
            if let Some(twice) = group.intersection(&taken).next() {
                return Err(SelectError::Twice(self.names[*twice].clone()));
            }
            taken.extend(&group);
            groups.push(group);
        }
        if groups.len() == 1 {
            groups.push((0..self.names.len()).filter(|node| !taken.contains(node)).collect());
        }
        if groups.len() < 2 || groups.iter().any(BTreeSet::is_empty) { Err(SelectError::OneSide) } else { Ok(groups) }
    }

    /// So many per cent of all nodes, rounded, chosen among those that live and are not taken.
    fn share(
        &self,
        word: &str,
        share: &str,
        taken: &BTreeSet<usize>,
        chosen: &BTreeSet<usize>,
        draw: &mut impl FnMut(usize) -> usize,
    ) -> Result<Vec<usize>, SelectError> {
        let share: usize =
            share.parse().ok().filter(|n| (1..=100).contains(n)).ok_or(SelectError::Share(word.into()))?;
        let free = self.alive.iter().filter(|node| !taken.contains(node) && !chosen.contains(node));
        let mut free: Vec<usize> = free.copied().collect();
        let count = ((self.names.len() * share + 50) / 100).min(free.len());
        Ok((0..count).map(|_| free.swap_remove(draw(free.len()))).collect())
    }

    fn named(&self, word: &str) -> Result<std::ops::RangeInclusive<usize>, SelectError> {
        let Some((from, to)) = word.split_once("..") else {
            return self.one(word).map(|node| node..=node);
        };
        let (from, to) = (self.one(from)?, self.one(to)?);
        if from <= to { Ok(from..=to) } else { Err(SelectError::Backwards(word.to_owned())) }
    }

    fn one(&self, word: &str) -> Result<usize, SelectError> {
        let number = word.strip_prefix("node-").unwrap_or(word);
        let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        let known = |node: &usize| *node < self.names.len();
        number.parse().ok().filter(|_| digits).filter(known).ok_or_else(|| SelectError::Unknown {
            word: word.to_owned(),
            first: self.names.first().cloned().unwrap_or_default(),
            last: self.names.last().cloned().unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cast(nodes: usize, dead: &[usize]) -> Cast {
        Cast {
            names: (0..nodes).map(|n| format!("node-{n:02}")).collect(),
            alive: (0..nodes).filter(|node| !dead.contains(node)).collect(),
            paused: BTreeSet::new(),
            publishers: [0, 1].into(),
        }
    }

    fn select(text: &str) -> Result<Vec<usize>, SelectError> {
        cast(10, &[9]).select(text, &BTreeSet::new(), &mut |_| 0).map(|chosen| chosen.into_iter().collect())
    }

    #[test]
    fn nodes_are_named_by_name_number_and_range() {
        assert_eq!(select("node-03"), Ok(vec![3]));
        assert_eq!(select("3, 07"), Ok(vec![3, 7]));
        assert_eq!(select("node-02..node-04 9"), Ok(vec![2, 3, 4, 9]));
        assert_eq!(select("publishers dead"), Ok(vec![0, 1, 9]));
        assert_eq!(select("all").map(|all| all.len()), Ok(10));
    }

    #[test]
    fn what_is_no_node_is_told_with_the_nodes_there_are() {
        let error = select("node-10").unwrap_err().to_string();
        assert_eq!(error, "`node-10` is no node of this testnet: it has node-00 to node-09");
        assert!(matches!(select("x"), Err(SelectError::Unknown { .. })));
        assert!(matches!(select("+3"), Err(SelectError::Unknown { .. })));
        assert!(matches!(select("4..2"), Err(SelectError::Backwards(_))));
        assert!(matches!(select("0%"), Err(SelectError::Share(_))));
        assert_eq!(select(" , "), Err(SelectError::Nothing));
    }

    #[test]
    fn a_share_counts_all_nodes_and_takes_living_ones() {
        let chosen = cast(10, &[0, 1]).select("70%", &BTreeSet::new(), &mut |n| n - 1).unwrap();
        assert_eq!(chosen.len(), 7);
        assert!(!chosen.contains(&0) && !chosen.contains(&1));
        let all_there_are = cast(10, &[0, 1]).select("100%", &BTreeSet::new(), &mut |_| 0).unwrap();
        assert_eq!(all_there_are.len(), 8);
    }

    #[test]
    fn the_groups_of_a_partition_share_no_node_and_have_two_sides() {
        let cast = cast(6, &[]);
        let groups = |texts: &[&str]| {
            let texts: Vec<String> = texts.iter().map(|&text| text.to_owned()).collect();
            cast.groups(&texts, &mut |_| 0)
        };
        assert_eq!(groups(&["0..1", "rest"]), Ok(vec![[0, 1].into(), [2, 3, 4, 5].into()]));
        assert_eq!(groups(&["5"]), Ok(vec![[5].into(), [0, 1, 2, 3, 4].into()]), "one is cut off from all others");
        assert_eq!(groups(&["0", "1"]), Ok(vec![[0].into(), [1].into()]), "the others speak with both");
        assert_eq!(groups(&["0..2", "2..3"]), Err(SelectError::Twice("node-02".to_owned())));
        assert_eq!(groups(&["all"]), Err(SelectError::OneSide));
    }
}
