//! Ed25519 keys in the text form of Tahoe's tools, and the names made from them.
//!
//! Text forms: `pub-v0-` or `priv-v0-` and 52 characters of base32 (TAHOE-LAFS `docs/managed-grid.rst`). Verification is
//! strict, so that every implementation answers alike; `docs/spec/signed-objects.md` lists what is refused.

use crate::base32::{self, Base32Error};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};
use std::fmt;
use std::str::FromStr;
use zeroize::Zeroizing;

const PUBLIC_PREFIX: &str = "pub-v0-";
const PRIVATE_PREFIX: &str = "priv-v0-";

/// Why a text or a byte string is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The text does not begin as a public key does.
    #[error("a public key begins with `pub-v0-`")]
    NotPublic,
    /// A private key where a public one was asked for: the text must not travel any further.
    #[error("this is a private key (`priv-v0-`): never hand it out; the public one begins with `pub-v0-`")]
    PrivateWherePublic,
    /// The text does not begin as a private key does.
    #[error("a private key begins with `priv-v0-`")]
    NotPrivate,
    /// What follows the prefix is not 32 bytes of base32.
    #[error("after the prefix: {0}")]
    Encoding(#[from] Base32Error),
    /// 32 bytes that are no point of the curve, or the second encoding of one (RFC 8032, 5.1.3).
    #[error("these 32 bytes are no canonical Ed25519 point")]
    NotAPoint,
    /// A point of small order: signatures under it prove nothing.
    #[error("this Ed25519 point has small order and signs nothing")]
    SmallOrder,
}

/// A signature that does not hold, for any reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signature does not verify")]
pub struct BadSignature;

/// A public Ed25519 key: a canonical point that is not of small order.
///
/// Kept as its 32 bytes: the point takes six times that, and keys are copied and compared far more often than used.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// The key with these 32 bytes.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, KeyError> {
        let key = VerifyingKey::from_bytes(bytes).map_err(|_| KeyError::NotAPoint)?;
        // A second encoding of the same point would make two keys, and so two grids, of one.
        if key.to_edwards().compress().as_bytes() != bytes {
            return Err(KeyError::NotAPoint);
        }
        if key.is_weak() {
            return Err(KeyError::SmallOrder);
        }
        Ok(Self(*bytes))
    }

    /// The 32 bytes of RFC 8032.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Checks `signature` (64 bytes) over `message` strictly: S < L, R neither of small order nor non-canonical, and the
    /// equation without the cofactor.
    pub fn verify(&self, message: &[u8], signature: &[u8; 64]) -> Result<(), BadSignature> {
        let key = VerifyingKey::from_bytes(&self.0).map_err(|_| BadSignature)?;
        key.verify_strict(message, &Signature::from_bytes(signature)).map_err(|_| BadSignature)
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PUBLIC_PREFIX}{}", base32::encode(self.as_bytes()))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for PublicKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        if text.starts_with(PRIVATE_PREFIX) {
            return Err(KeyError::PrivateWherePublic);
        }
        let encoded = text.strip_prefix(PUBLIC_PREFIX).ok_or(KeyError::NotPublic)?;
        Self::from_bytes(&base32::decode_array(encoded)?)
    }
}

/// The public half of a Tahoe Grid Manager's key: it names the grid, and signs for it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GridId(PublicKey);

impl GridId {
    /// How many characters a grid id is written with.
    pub const TEXT_LEN: usize = PUBLIC_PREFIX.len() + base32::encoded_len(32);

    /// The grid that `key` names.
    pub const fn new(key: PublicKey) -> Self {
        Self(key)
    }

    /// The grid with these 32 bytes of key.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, KeyError> {
        PublicKey::from_bytes(bytes).map(Self)
    }

    /// The 32 bytes of the key.
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// The grid key.
    pub const fn key(&self) -> &PublicKey {
        &self.0
    }

    /// SHA-256 of the 32 bytes: what a `next` field commits to.
    pub fn digest(&self) -> [u8; 32] {
        Sha256::digest(self.as_bytes()).into()
    }

    /// The grid's place in the DHT.
    pub fn record_key(&self) -> RecordKey {
        let mut text = String::with_capacity(RecordKey::TEXT_LEN);
        text.push_str(RecordKey::PREFIX);
        data_encoding::HEXLOWER.encode_append(self.as_bytes(), &mut text);
        RecordKey(text)
    }
}

impl fmt::Display for GridId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for GridId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for GridId {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        text.parse().map(Self)
    }
}

impl serde::Serialize for GridId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for GridId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Where a grid's record lives in the DHT: `/grid/` and the grid key in 64 lower-case hexadecimal digits.
///
/// Text and not raw bytes, because it is the one form that the Rust, JavaScript and Python kad-dht all carry.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordKey(String);

impl RecordKey {
    /// The namespace, which validators of other kad-dht implementations are registered under.
    pub const PREFIX: &str = "/grid/";
    /// Length in octets.
    pub const TEXT_LEN: usize = Self::PREFIX.len() + 64;

    /// The key as octets.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// The grid whose key this is; `None` for any other text.
    pub fn grid_id(bytes: &[u8]) -> Option<GridId> {
        let digits = bytes.strip_prefix(Self::PREFIX.as_bytes())?;
        let key: [u8; 32] = data_encoding::HEXLOWER.decode(digits).ok()?.try_into().ok()?;
        GridId::from_bytes(&key).ok()
    }
}

impl fmt::Display for RecordKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A private Ed25519 key. Overwritten when dropped; prints as its public half.
#[derive(Clone)]
pub struct SecretKey(SigningKey);

impl SecretKey {
    /// A new key from the operating system's randomness.
    ///
    /// # Panics
    /// If the operating system has none to give.
    pub fn generate() -> Self {
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(seed.as_mut()).expect("the operating system gives randomness");
        Self::from_seed(&seed)
    }

    /// The key that grows from `seed` (RFC 8032, 5.1.5).
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// The seed, to be written to a key file or handed to libp2p.
    pub fn seed(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.to_bytes())
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }

    /// Signs `message` (pure Ed25519, deterministic).
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }

    /// The text that Tahoe's tools read. Only ever written to a key file.
    pub fn to_private_text(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("{PRIVATE_PREFIX}{}", base32::encode(self.seed().as_ref())))
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey of {}", self.public())
    }
}

impl FromStr for SecretKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let encoded = text.strip_prefix(PRIVATE_PREFIX).ok_or(KeyError::NotPrivate)?;
        Ok(Self::from_seed(&Zeroizing::new(base32::decode_array(encoded)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: u8) -> SecretKey {
        SecretKey::from_seed(&[n; 32])
    }

    #[test]
    fn keys_print_as_they_parse() {
        let public = key(1).public();
        assert_eq!(public.to_string().len(), GridId::TEXT_LEN);
        assert_eq!(public.to_string().parse(), Ok(public));
        let private = key(1).to_private_text();
        assert_eq!(private.parse::<SecretKey>().expect("own text").public(), public);
    }

    #[test]
    fn a_private_key_is_never_taken_for_a_public_one() {
        let private = key(1).to_private_text();
        assert_eq!(private.parse::<PublicKey>(), Err(KeyError::PrivateWherePublic));
        assert_eq!("pub-v1-aa".parse::<PublicKey>(), Err(KeyError::NotPublic));
    }

    #[test]
    fn one_wrong_character_is_found_or_makes_another_key() {
        let text = key(1).public().to_string();
        assert!(format!("{}B", &text[..text.len() - 1]).parse::<PublicKey>().is_err());
        assert!(matches!(text[..text.len() - 1].parse::<PublicKey>(), Err(KeyError::Encoding(_))));
        // The last of 52 characters carries one bit of key: anything but `a` and `q` leaves stray bits.
        assert_eq!(
            format!("{}b", &text[..text.len() - 1]).parse::<PublicKey>(),
            Err(KeyError::Encoding(Base32Error::TrailingBits))
        );
    }

    #[test]
    fn points_of_small_order_and_second_encodings_are_refused() {
        let mut identity = [0; 32];
        identity[0] = 1;
        assert_eq!(PublicKey::from_bytes(&identity), Err(KeyError::SmallOrder));
        assert_eq!(PublicKey::from_bytes(&[0; 32]), Err(KeyError::SmallOrder));
        // y = p + 1 is the identity written a second time.
        let mut second = [0xff; 32];
        second[0] = 0xee;
        second[31] = 0x7f;
        assert_eq!(PublicKey::from_bytes(&second), Err(KeyError::NotAPoint));
        assert_eq!(PublicKey::from_bytes(&[2; 32]), Err(KeyError::NotAPoint));
    }

    #[test]
    fn a_signature_with_s_plus_the_group_order_is_refused() {
        const L: [u8; 32] = [
            0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0,
            0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
        ];
        let signature = key(1).sign(b"m");
        assert_eq!(key(1).public().verify(b"m", &signature), Ok(()));
        let mut other = signature;
        let mut carry = 0u16;
        for (byte, add) in other[32..].iter_mut().zip(L) {
            let sum = u16::from(*byte) + u16::from(add) + carry;
            *byte = sum as u8;
            carry = sum >> 8;
        }
        assert_eq!(key(1).public().verify(b"m", &other), Err(BadSignature));
    }

    #[test]
    fn a_record_key_names_its_grid() {
        let grid = GridId::new(key(1).public());
        let record_key = grid.record_key();
        assert_eq!(record_key.as_bytes().len(), RecordKey::TEXT_LEN);
        assert_eq!(RecordKey::grid_id(record_key.as_bytes()), Some(grid));
        assert_eq!(RecordKey::grid_id(record_key.to_string().to_uppercase().as_bytes()), None);
        assert_eq!(RecordKey::grid_id(b"/grid/00"), None);
    }

    #[test]
    fn a_secret_key_shows_its_public_half() {
        let shown = format!("{:?}", key(1));
        assert!(shown.contains("pub-v0-") && !shown.contains("priv"), "{shown}");
    }
}
