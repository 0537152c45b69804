//! What one storage server holds.

use axum::body::Bytes;
use lafs_clearinghouse::capability::StorageIndex;
use std::collections::{BTreeMap, HashMap};

/// Which of the two protocols a share is read by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum ShareKind {
    Immutable,
    Mutable,
}

impl ShareKind {
    /// The word in a path.
    pub(crate) fn from_word(word: &str) -> Option<Self> {
        match word {
            "immutable" => Some(Self::Immutable),
            "mutable" => Some(Self::Mutable),
            _ => None,
        }
    }
}

/// Shares by kind and storage index, each file's by number. Filled before it is served, and never changed after that.
#[derive(Debug, Default)]
pub(crate) struct Shelf(HashMap<(ShareKind, String), BTreeMap<u16, Bytes>>);

impl Shelf {
    /// Puts one share on the shelf.
    pub(crate) fn put(&mut self, kind: ShareKind, index: StorageIndex, number: u16, share: Bytes) {
        self.0.entry((kind, index.to_string())).or_default().insert(number, share);
    }

    /// The numbers of the shares under `index`, ascending; none for one that is not known.
    pub(crate) fn numbers(&self, kind: ShareKind, index: &str) -> impl ExactSizeIterator<Item = u16> {
        let shares = self.0.get(&(kind, index.to_owned()));
        shares.map(|shares| shares.keys().copied().collect::<Vec<_>>()).unwrap_or_default().into_iter()
    }

    /// One share.
    pub(crate) fn share(&self, kind: ShareKind, index: &str, number: u16) -> Option<&Bytes> {
        self.0.get(&(kind, index.to_owned()))?.get(&number)
    }
}
