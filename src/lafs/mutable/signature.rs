//! The signature of a version: RSA-PSS over SHA-256, with a salt of 32 octets.

use super::segment::fingerprint;
use crate::capability::{Key, MutableFormat, MutableWrite};
use crate::tagged::tagged_hash;
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PSS_2048_8192_SHA256, RSA_PSS_SHA256, UnparsedPublicKey};
use std::fmt;
use zeroize::Zeroizing;

const TAG_WRITE_KEY: &[u8] = b"allmydata_mutable_privkey_to_writekey_v1";

/// Verifies `signature` over a prefix's octets by a public key, given as a DER SubjectPublicKeyInfo of RSA with 2,048 to 8,192
/// bits.
///
/// That the key is the file's is for its fingerprint to say.
pub fn verify_signature(public_key: &[u8], prefix: &[u8], signature: &[u8]) -> Result<(), BadSignature> {
    UnparsedPublicKey::new(&RSA_PSS_2048_8192_SHA256, public_key).verify(prefix, signature).map_err(|_| BadSignature)
}

/// A signature that the key did not make, or a key that is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signature of this version is not by the file's key")]
pub struct BadSignature;

/// The key pair of a mutable file, which signs its versions: for making files.
pub struct FileKey {
    pair: KeyPair,
    public_key: Vec<u8>,
    private_key: Zeroizing<Vec<u8>>,
}

impl FileKey {
    /// A new key of 2,048 bits, as Tahoe makes them.
    ///
    /// # Panics
    /// If the operating system gives no randomness.
    pub fn generate() -> Self {
        let pair = KeyPair::generate(KeySize::Rsa2048).expect("the operating system gives randomness");
        Self::of(pair).expect("a fresh key has its encodings")
    }

    /// The key in a PKCS #8 document.
    pub fn from_pkcs8(document: &[u8]) -> Result<Self, BadFileKey> {
        Self::of(KeyPair::from_pkcs8(document).map_err(|_| BadFileKey)?).ok_or(BadFileKey)
    }

    fn of(pair: KeyPair) -> Option<Self> {
        let public_key = pair.public_key().as_der().ok()?.as_ref().to_vec();
        let document: Pkcs8V1Der<'_> = pair.as_der().ok()?;
        let private_key = Zeroizing::new(document.as_ref().to_vec());
        Some(Self { pair, public_key, private_key })
    }

    /// The public key, a DER SubjectPublicKeyInfo.
    pub fn public_key(&self) -> &[u8] {
        &self.public_key
    }

    /// The private key, a PKCS #8 document.
    pub fn private_key(&self) -> &[u8] {
        &self.private_key
    }

    /// The write cap of the file that this key signs.
    pub fn write_cap(&self, format: MutableFormat) -> MutableWrite {
        let hash = Zeroizing::new(tagged_hash(TAG_WRITE_KEY, &self.private_key));
        let mut key = Zeroizing::new([0; 16]);
        key.copy_from_slice(&hash[..16]);
        MutableWrite::new(format, Key::new(*key), fingerprint(&self.public_key))
    }

    /// The signature over `prefix`, a prefix's octets.
    pub fn sign(&self, prefix: &[u8]) -> Vec<u8> {
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair.sign(&RSA_PSS_SHA256, &SystemRandom::new(), prefix, &mut signature).expect("a key that is one signs");
        signature
    }
}

impl fmt::Debug for FileKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FileKey(…)")
    }
}

/// Octets that are no RSA key in PKCS #8.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no RSA key of 2,048 to 8,192 bits in PKCS #8")]
pub struct BadFileKey;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_by_one_key_over_one_prefix() {
        let (key, other) = (FileKey::generate(), FileKey::generate());
        let mut signature = key.sign(b"prefix");
        assert_eq!(verify_signature(key.public_key(), b"prefix", &signature), Ok(()));
        assert_eq!(verify_signature(key.public_key(), b"prefiy", &signature), Err(BadSignature));
        assert_eq!(verify_signature(other.public_key(), b"prefix", &signature), Err(BadSignature));
        assert_eq!(verify_signature(b"no key", b"prefix", &signature), Err(BadSignature));
        assert_eq!(verify_signature(key.public_key(), b"prefix", &signature[1..]), Err(BadSignature));
        signature[7] ^= 1;
        assert_eq!(verify_signature(key.public_key(), b"prefix", &signature), Err(BadSignature));
    }

    #[test]
    fn a_key_is_read_back_from_its_document() {
        let key = FileKey::generate();
        let read = FileKey::from_pkcs8(key.private_key()).expect("a key");
        assert_eq!(read.write_cap(MutableFormat::Mdmf), key.write_cap(MutableFormat::Mdmf));
        assert_eq!(FileKey::from_pkcs8(b"none").map(drop), Err(BadFileKey));
        assert_eq!(format!("{key:?}"), "FileKey(…)");
    }
}
