//! Keys and hashes of a mutable file's segments and blocks.

use crate::capability::{Key, MutableFormat, MutableRead};
use crate::lafs::cipher::Cipher;
use crate::lafs::hash_tree::Hash;
use crate::tagged::{TaggedHasher, tagged_hash, tagged_pair_hash};
use zeroize::Zeroizing;

const TAG_FINGERPRINT: &[u8] = b"allmydata_mutable_pubkey_to_fingerprint_v1";
const TAG_DATA_KEY: &[u8] = b"allmydata_mutable_readkey_to_datakey_v1";
const TAG_BLOCK: &[u8] = b"allmydata_encoded_subshare_v1";
const TAG_EMPTY_LEAF: &[u8] = b"Merkle tree empty leaf";

/// The fingerprint in a mutable file's caps: the hash of its public key, given as a DER SubjectPublicKeyInfo.
pub fn fingerprint(public_key: &[u8]) -> Hash {
    tagged_hash(TAG_FINGERPRINT, public_key)
}

/// What encrypts the one segment with this salt.
pub fn segment_cipher(cap: &MutableRead, salt: &[u8; 16]) -> Cipher {
    let hash = Zeroizing::new(tagged_pair_hash(TAG_DATA_KEY, salt, cap.read_key().as_bytes()));
    let mut key = Zeroizing::new([0; 16]);
    key.copy_from_slice(&hash[..16]);
    Cipher::new(&Key::new(*key))
}

/// The leaf that a block is in its share's block hash tree. In MDMF the salt beside it is part of it; in SDMF it is signed.
pub fn block_hash(format: MutableFormat, salt: &[u8; 16], block: &[u8]) -> Hash {
    let mut hasher = TaggedHasher::new(TAG_BLOCK);
    if format == MutableFormat::Mdmf {
        hasher.update(salt);
    }
    hasher.update(block);
    hasher.finish()
}

/// The root of each share's block hash tree in a file that is empty: a tree of no blocks is all padding.
pub fn leaf_of_empty_file() -> Hash {
    tagged_hash(TAG_EMPTY_LEAF, b"0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_leaf_of_an_empty_file_is_that_of_a_real_one() {
        // The whole block hash tree in each share of an empty file that Tahoe-LAFS 1.20 stored.
        let real = [
            0xe0, 0x02, 0x47, 0x30, 0x18, 0x8e, 0x2d, 0xe5, 0x64, 0xa6, 0x97, 0xcc, 0x29, 0x87, 0x40, 0x7b, 0x24, 0xae,
            0x7e, 0xb6, 0xb8, 0x80, 0x19, 0x0c, 0x1a, 0x03, 0x37, 0xa5, 0x74, 0x0e, 0x52, 0x7a,
        ];
        assert_eq!(leaf_of_empty_file(), real);
    }

    #[test]
    fn a_salt_counts_in_mdmf_alone() {
        let hash = |format, salt: u8| block_hash(format, &[salt; 16], b"block");
        assert_ne!(hash(MutableFormat::Mdmf, 1), hash(MutableFormat::Mdmf, 2));
        assert_eq!(hash(MutableFormat::Sdmf, 1), hash(MutableFormat::Sdmf, 2));
    }
}
