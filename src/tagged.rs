//! Netstrings and tagged hashes, the two building blocks of Tahoe-LAFS's hashes.
//!
//! A tag separates one use of SHA-256 from every other, and the hash is taken twice so that nobody can extend a message
//! whose hash they know. Byte layouts: Tahoe-LAFS `docs/specifications/file-encoding.rst`.

use sha2::{Digest, Sha256};

/// Appends `bytes` to `out` as a netstring: decimal length, `:`, the bytes, `,`.
pub fn push_netstring(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(bytes.len().to_string().as_bytes());
    out.push(b':');
    out.extend_from_slice(bytes);
    out.push(b',');
}

/// `bytes` as a netstring.
pub fn netstring(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + 8);
    push_netstring(&mut out, bytes);
    out
}

/// SHA-256d over the netstring of `tag` followed by `value`: all 32 bytes.
pub fn tagged_hash(tag: &[u8], value: &[u8]) -> [u8; 32] {
    let mut hasher = TaggedHasher::new(tag);
    hasher.update(value);
    hasher.finish()
}

/// SHA-256d over the netstrings of `tag`, `left` and `right`.
pub fn tagged_pair_hash(tag: &[u8], left: &[u8], right: &[u8]) -> [u8; 32] {
    let mut hasher = TaggedHasher::new(tag);
    hasher.update(&netstring(left));
    hasher.update(&netstring(right));
    hasher.finish()
}

/// A tagged hash fed piece by piece.
#[derive(Clone)]
pub struct TaggedHasher(Sha256);

impl TaggedHasher {
    /// Begins a hash under `tag`.
    pub fn new(tag: &[u8]) -> Self {
        let mut inner = Sha256::new();
        inner.update(netstring(tag));
        Self(inner)
    }

    /// Adds `bytes`.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The hash of all that was added.
    pub fn finish(self) -> [u8; 32] {
        Sha256::digest(self.0.finalize()).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_netstring_states_its_length() {
        assert_eq!(netstring(b"abc"), b"3:abc,");
        assert_eq!(netstring(b""), b"0:,");
    }

    #[test]
    fn pieces_hash_as_the_whole() {
        let mut hasher = TaggedHasher::new(b"tag");
        hasher.update(b"one");
        hasher.update(b"two");
        assert_eq!(hasher.finish(), tagged_hash(b"tag", b"onetwo"));
    }

    #[test]
    fn the_hash_is_double_sha256() {
        let once = Sha256::digest(b"3:tag,value");
        let twice: [u8; 32] = Sha256::digest(once).into();
        assert_eq!(tagged_hash(b"tag", b"value"), twice);
    }

    #[test]
    fn a_pair_is_two_netstrings() {
        assert_eq!(tagged_pair_hash(b"t", b"a", b"b"), tagged_hash(b"t", b"1:a,1:b,"));
    }
}
