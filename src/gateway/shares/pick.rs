//! Which shares are read: k different ones, from different servers where there are enough.

use std::collections::HashSet;

/// A share that could be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Choice {
    /// Its place among the candidates.
    pub(super) candidate: usize,
    /// Its number.
    pub(super) number: u16,
    /// Which server has it.
    pub(super) server: usize,
    /// The server's rank, the best being 0.
    pub(super) rank: usize,
    /// How often it was too slow for somebody who read this file.
    pub(super) slow: u32,
}

/// Up to `wanted` of `choices`, none with a number in `taken`. `busy` are the servers that are asked already.
///
/// What was slow comes last; then who is asked for least; then, as it saves decoding, the first k numbers; then the better
/// server.
pub(super) fn pick(
    choices: &[Choice],
    taken: &HashSet<u16>,
    busy: &[usize],
    wanted: usize,
    needed: u16,
) -> Vec<Choice> {
    let mut taken = taken.clone();
    let mut busy = busy.to_vec();
    let mut picked = Vec::new();
    while picked.len() < wanted {
        let load = |server: usize| busy.iter().filter(|other| **other == server).count();
        let free = choices.iter().filter(|choice| !taken.contains(&choice.number));
        let best = free.min_by_key(|choice| {
            (choice.slow, load(choice.server), choice.number >= needed, choice.rank, choice.number)
        });
        let Some(best) = best else { break };
        taken.insert(best.number);
        busy.push(best.server);
        picked.push(*best);
    }
    picked
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn choice(candidate: usize, number: u16, server: usize) -> Choice {
        Choice { candidate, number, server, rank: server, slow: 0 }
    }

    fn numbers(picked: &[Choice]) -> Vec<u16> {
        picked.iter().map(|choice| choice.number).collect()
    }

    #[test]
    fn different_servers_come_before_everything_but_slowness() {
        let choices = [choice(0, 0, 0), choice(1, 1, 0), choice(2, 2, 1)];
        assert_eq!(numbers(&pick(&choices, &HashSet::new(), &[], 2, 2)), [0, 2]);
        let slow = [choice(0, 0, 0), choice(1, 1, 0), Choice { slow: 1, ..choice(2, 2, 1) }];
        assert_eq!(numbers(&pick(&slow, &HashSet::new(), &[], 2, 2)), [0, 1]);
        assert_eq!(numbers(&pick(&choices, &HashSet::new(), &[0], 1, 2)), [2]);
    }

    #[test]
    fn what_needs_no_decoding_comes_first() {
        let choices = [choice(0, 7, 0), choice(1, 1, 1), choice(2, 0, 2)];
        assert_eq!(numbers(&pick(&choices, &HashSet::new(), &[], 2, 2)), [1, 0]);
    }

    proptest! {
        #[test]
        fn as_many_different_shares_as_there_are_and_none_that_is_taken(
            shares in proptest::collection::vec((0_u16..8, 0_usize..4, 0_u32..2), 0..20),
            taken in proptest::collection::hash_set(0_u16..8, 0..4),
            wanted in 0_usize..8,
        ) {
            let choices: Vec<Choice> = shares
                .iter()
                .enumerate()
                .map(|(candidate, (number, server, slow))| Choice { slow: *slow, ..choice(candidate, *number, *server) })
                .collect();
            let picked = numbers(&pick(&choices, &taken, &[], wanted, 3));
            let different: HashSet<u16> = picked.iter().copied().collect();
            prop_assert_eq!(different.len(), picked.len());
            prop_assert!(different.is_disjoint(&taken));
            let there: HashSet<u16> = shares.iter().map(|(number, ..)| *number).filter(|n| !taken.contains(n)).collect();
            prop_assert_eq!(picked.len(), wanted.min(there.len()));
        }
    }
}
