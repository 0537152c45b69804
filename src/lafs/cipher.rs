//! The encryption of files: AES-128 in counter mode, from any offset on.
//!
//! The counter is 128 bits wide, big-endian, and begins with 0 at the file's first octet; each key encrypts one file, or one
//! segment of a mutable one, and nothing else. Nothing here detects a changed ciphertext: hashes do.

use crate::capability::Key;
use aes::Aes128;
use aes::cipher::{InnerIvInit, KeyInit, StreamCipher, StreamCipherCoreWrapper, StreamCipherSeek};
use ctr::CtrCore;
use ctr::flavors::Ctr128BE;
use std::fmt;

/// A key made ready. Overwritten when dropped, and never shown by `Debug`.
#[derive(Clone)]
pub struct Cipher(Aes128);

impl Cipher {
    /// The cipher of `key`.
    pub fn new(key: &Key) -> Self {
        Self(Aes128::new(key.as_bytes().into()))
    }

    /// Encrypts or decrypts `bytes`, which lie `offset` octets behind the beginning of what the key encrypts.
    pub fn apply_at(&self, offset: u64, bytes: &mut [u8]) {
        let core = CtrCore::<_, Ctr128BE>::inner_iv_init(&self.0, &[0; 16].into());
        let mut stream = StreamCipherCoreWrapper::from_core(core);
        stream.seek(offset);
        stream.apply_keystream(bytes);
    }
}

impl fmt::Debug for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cipher(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_key_stream_begins_with_the_encrypted_zero() {
        let mut bytes = [0; 32];
        Cipher::new(&Key::new([0; 16])).apply_at(0, &mut bytes);
        // FIPS 197's zero key over the counters 0 and 1.
        let zero = [0x66, 0xe9, 0x4b, 0xd4, 0xef, 0x8a, 0x2c, 0x3b, 0x88, 0x4c, 0xfa, 0x59, 0xca, 0x34, 0x2b, 0x2e];
        let one = [0x58, 0xe2, 0xfc, 0xce, 0xfa, 0x7e, 0x30, 0x61, 0x36, 0x7f, 0x1d, 0x57, 0xa4, 0xe7, 0x45, 0x5a];
        assert_eq!(bytes, *[zero, one].concat());
    }

    #[test]
    fn debug_shows_no_key() {
        assert_eq!(format!("{:?}", Cipher::new(&Key::new([7; 16]))), "Cipher(…)");
    }

    #[test]
    fn the_end_of_the_largest_file_is_in_reach() {
        let cipher = Cipher::new(&Key::new([7; 16]));
        let mut bytes = [0; 40];
        cipher.apply_at(u64::MAX - 20, &mut bytes);
        let mut tail = [0; 20];
        cipher.apply_at(u64::MAX, &mut tail);
        assert_eq!(bytes[20..], tail);
    }

    proptest! {
        #[test]
        fn any_part_is_encrypted_as_in_the_whole(
            key in any::<[u8; 16]>(),
            plaintext in prop::collection::vec(any::<u8>(), 0..400),
            start in any::<prop::sample::Index>(),
        ) {
            let cipher = Cipher::new(&Key::new(key));
            let mut whole = plaintext.clone();
            cipher.apply_at(0, &mut whole);
            let start = start.index(plaintext.len() + 1);
            let mut part = plaintext[start..].to_vec();
            cipher.apply_at(start as u64, &mut part);
            prop_assert_eq!(&part, &whole[start..]);
            cipher.apply_at(start as u64, &mut part);
            prop_assert_eq!(&part, &plaintext[start..]);
        }
    }
}
