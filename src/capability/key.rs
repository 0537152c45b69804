//! The secret and the name at the heart of a cap: a 16-byte key, and the storage index made from it.

use crate::base32;
use crate::tagged::tagged_hash;
use std::fmt;
use zeroize::Zeroizing;

/// A 16-byte key out of a cap. Overwritten when dropped, and never shown by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(Zeroizing<[u8; 16]>);

impl Key {
    /// The key with these bytes.
    pub fn new(bytes: [u8; 16]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// The first 16 bytes of the tagged hash of this key: how Tahoe makes the weaker secret from the stronger.
    pub(super) fn hashed(&self, tag: &str) -> Zeroizing<[u8; 16]> {
        let hash = Zeroizing::new(tagged_hash(tag.as_bytes(), self.as_bytes()));
        let mut out = Zeroizing::new([0; 16]);
        out.copy_from_slice(&hash[..16]);
        out
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

/// The name under which storage servers keep the shares of a file. Known to them, and no key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StorageIndex([u8; 16]);

impl StorageIndex {
    /// The storage index with these bytes.
    pub const fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for StorageIndex {
    /// 26 characters of base32, as storage servers write it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&base32::encode(&self.0))
    }
}

impl fmt::Debug for StorageIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
