//! Which version of a file counts.

use super::prefix::SignedPrefix;
use std::collections::BTreeMap;

/// A version that enough shares were found of to read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate<'s, S> {
    /// Its signed prefix.
    pub prefix: &'s SignedPrefix,
    /// Its shares by their numbers, at least k, each with all places where it was found.
    pub shares: BTreeMap<u16, Vec<S>>,
}

/// The versions that can be read out of the shares found, the newest first. Each share is given as its prefix, its number, and
/// whatever the caller knows it by.
///
/// Give only prefixes whose signature was verified; otherwise a liar's would be the newest. Of the newest not enough shares may
/// turn out to be whole; the next one is then the newest that there is.
pub fn candidates<'s, S>(shares: impl IntoIterator<Item = (&'s SignedPrefix, u16, S)>) -> Vec<Candidate<'s, S>> {
    let mut found: BTreeMap<&SignedPrefix, BTreeMap<u16, Vec<S>>> = BTreeMap::new();
    for (prefix, number, share) in shares {
        if number < prefix.shares().total() {
            found.entry(prefix).or_default().entry(number).or_default().push(share);
        }
    }
    let newest_first = found.into_iter().rev().map(|(prefix, shares)| Candidate { prefix, shares });
    newest_first.filter(|found| found.shares.len() >= usize::from(found.prefix.shares().needed())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capability::ShareCounts;
    use crate::lafs::mutable::prefix::MutableVersion;
    use crate::units::Bytes;

    fn prefix(sequence: u64, root: u8) -> SignedPrefix {
        let version = MutableVersion { sequence, root: [root; 32] };
        SignedPrefix::sdmf(version, [0; 16], ShareCounts::new(2, 3).expect("counts"), Bytes(5)).expect("a prefix")
    }

    fn found(shares: &[(&SignedPrefix, u16, &'static str)]) -> Vec<(u64, Vec<u16>)> {
        let candidates = candidates(shares.iter().copied());
        candidates.iter().map(|c| (c.prefix.version().sequence, c.shares.keys().copied().collect())).collect()
    }

    #[test]
    fn the_newest_with_enough_shares_comes_first() {
        let (old, new, newest) = (prefix(1, 9), prefix(2, 1), prefix(3, 1));
        let shares =
            [(&old, 0, "a"), (&newest, 1, "a"), (&old, 1, "b"), (&new, 0, "b"), (&new, 2, "c"), (&old, 2, "c")];
        assert_eq!(found(&shares), [(2, vec![0, 2]), (1, vec![0, 1, 2])]);
    }

    #[test]
    fn of_one_number_the_greater_root_comes_first() {
        let (small, great) = (prefix(2, 1), prefix(2, 2));
        let shares = [(&small, 0, "a"), (&great, 0, "b"), (&small, 1, "a"), (&great, 1, "b")];
        let candidates = candidates(shares);
        assert_eq!(candidates.iter().map(|c| c.prefix).collect::<Vec<_>>(), [&great, &small]);
    }

    #[test]
    fn one_share_twice_is_one_share() {
        let only = prefix(1, 1);
        assert_eq!(found(&[(&only, 1, "a"), (&only, 1, "b")]), []);
        let shares = [(&only, 1, "a"), (&only, 1, "b"), (&only, 0, "c")];
        assert_eq!(candidates(shares)[0].shares[&1], ["a", "b"]);
    }

    #[test]
    fn a_number_that_the_file_does_not_have_is_no_share() {
        let only = prefix(1, 1);
        assert_eq!(found(&[(&only, 0, "a"), (&only, 3, "b"), (&only, u16::MAX, "c")]), []);
    }
}
