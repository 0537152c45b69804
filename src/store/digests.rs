//! Digests of the book, by which two nodes find out in one round trip whether they hold the same, and in two more what
//! one of them lacks.
//!
//! SHA-256 throughout and no sum of hashes: whoever can publish records must not be able to make two different books look
//! alike.

use crate::signed::Identity;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::ops::Bound;

/// The digest of a row: of the identities of its record and of its evidence.
type RowDigest = [u8; 16];
/// The digest of a bucket: of all rows whose keys begin with one octet.
type BucketDigest = [u8; 8];

/// The digests of all rows, and those of the buckets as far as they were asked for since the last change.
#[derive(Debug)]
pub struct Digests {
    rows: BTreeMap<[u8; 32], RowDigest>,
    buckets: Box<[Option<BucketDigest>; 256]>,
}

impl Default for Digests {
    fn default() -> Self {
        Self { rows: BTreeMap::new(), buckets: Box::new([None; 256]) }
    }
}

impl Digests {
    /// Notes what is held under a key now.
    pub(crate) fn set(&mut self, key: [u8; 32], record: Identity, evidence: impl Iterator<Item = Identity>) {
        let mut evidence: Vec<Identity> = evidence.collect();
        evidence.sort_unstable();
        let mut hasher = Sha256::new();
        hasher.update(record.0);
        for identity in evidence {
            hasher.update(identity.0);
        }
        let digest: [u8; 32] = hasher.finalize().into();
        self.rows.insert(key, std::array::from_fn(|i| digest[i]));
        self.buckets[usize::from(key[0])] = None;
    }

    /// Notes that nothing is held under a key any more.
    pub(crate) fn remove(&mut self, key: &[u8; 32]) {
        self.rows.remove(key);
        self.buckets[usize::from(key[0])] = None;
    }

    /// The digest of what is held under a key.
    pub fn of(&self, key: &[u8; 32]) -> Option<&RowDigest> {
        self.rows.get(key)
    }

    /// The digests of all buckets.
    pub fn buckets(&mut self) -> Box<[BucketDigest; 256]> {
        Box::new(std::array::from_fn(|n| self.bucket(n as u8)))
    }

    /// Up to `count` rows of one bucket in the order of their keys, from the one after `after`; and whether there are more.
    pub fn page(&self, bucket: u8, after: Option<[u8; 32]>, count: usize) -> (Vec<([u8; 32], RowDigest)>, bool) {
        let mut first = [0; 32];
        first[0] = bucket;
        let from = match after {
            Some(after) if after >= first => Bound::Excluded(after),
            _ => Bound::Included(first),
        };
        let mut rest = self.rows.range((from, Bound::Unbounded)).take_while(|(key, _)| key[0] == bucket);
        let page = rest.by_ref().take(count).map(|(key, digest)| (*key, *digest)).collect();
        (page, rest.next().is_some())
    }

    fn bucket(&mut self, bucket: u8) -> BucketDigest {
        if let Some(digest) = self.buckets[usize::from(bucket)] {
            return digest;
        }
        let mut hasher = Sha256::new();
        for (key, digest) in self.page(bucket, None, usize::MAX).0 {
            hasher.update(key);
            hasher.update(digest);
        }
        let digest: [u8; 32] = hasher.finalize().into();
        let digest = std::array::from_fn(|i| digest[i]);
        self.buckets[usize::from(bucket)] = Some(digest);
        digest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(first: u8, last: u8) -> [u8; 32] {
        let mut key = [0; 32];
        key[0] = first;
        key[31] = last;
        key
    }

    fn identity(n: u8) -> Identity {
        Identity([n; 32])
    }

    #[test]
    fn equal_books_have_equal_digests_whatever_the_order() {
        let (mut one, mut two) = (Digests::default(), Digests::default());
        one.set(key(1, 1), identity(1), [identity(8), identity(9)].into_iter());
        one.set(key(1, 2), identity(2), std::iter::empty());
        two.set(key(1, 2), identity(7), std::iter::empty());
        two.buckets();
        two.set(key(1, 2), identity(2), std::iter::empty());
        two.set(key(1, 1), identity(1), [identity(9), identity(8)].into_iter());
        assert_eq!(one.buckets(), two.buckets());
    }

    #[test]
    fn a_difference_shows_in_its_bucket_alone() {
        let mut digests = Digests::default();
        digests.set(key(1, 1), identity(1), std::iter::empty());
        let before = digests.buckets();
        for change in [1, 2, 3] {
            match change {
                1 => digests.set(key(200, 1), identity(1), std::iter::empty()),
                2 => digests.set(key(200, 1), identity(1), [identity(5)].into_iter()),
                _ => digests.set(key(200, 1), identity(2), std::iter::empty()),
            }
            let after = digests.buckets();
            let differing: Vec<usize> = (0..256).filter(|n| before[*n] != after[*n]).collect();
            assert_eq!(differing, [200]);
        }
        digests.remove(&key(200, 1));
        assert_eq!(digests.buckets(), before);
    }

    #[test]
    fn pages_follow_each_other_within_one_bucket() {
        let mut digests = Digests::default();
        for last in 1..=5 {
            digests.set(key(7, last), identity(last), std::iter::empty());
            digests.set(key(8, last), identity(last), std::iter::empty());
        }
        let (first, more) = digests.page(7, None, 3);
        assert!(more && first.len() == 3);
        let (second, more) = digests.page(7, Some(first[2].0), 3);
        assert_eq!((second.len(), more), (2, false));
        assert!(second.iter().all(|(key, _)| key[0] == 7));
    }
}
