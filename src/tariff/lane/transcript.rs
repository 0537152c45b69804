//! What was delivered on a lane, as one running hash: both sides can find the first point at which they differ, and nobody
//! else learns what was read.

use crate::tariff::wire::LaneId;
use crate::units::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use std::fmt;
use zeroize::Zeroizing;

const START: &[u8] = b"lafs-clearinghouse/transcript/1\0";

/// What the payer makes and tells the payee alone: under it storage indexes enter the transcript.
#[derive(Clone)]
pub struct LaneSecret(Zeroizing<[u8; 32]>);

impl LaneSecret {
    /// The secret with these octets.
    pub fn new(octets: [u8; 32]) -> Self {
        Self(Zeroizing::new(octets))
    }

    /// The octets, for the payee and for the disk.
    pub fn octets(&self) -> &[u8; 32] {
        &self.0
    }

    /// What the lane is opened with: SHA-256 of the secret. Who shows the secret in a dispute shows which files were read.
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(&self.0[..]).into()
    }

    /// How a storage index stands in the transcript: HMAC-SHA-256 under the secret.
    pub fn object(&self, storage_index: &[u8; 16]) -> [u8; 32] {
        let mut hmac = Hmac::<Sha256>::new_from_slice(&self.0[..]).expect("HMAC takes a key of any size");
        hmac.update(storage_index);
        hmac.finalize().into_bytes().into()
    }
}

impl fmt::Debug for LaneSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LaneSecret")
    }
}

/// What kind of octets were delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ServedKind {
    /// A manifest; its offset is the number of its first unit.
    Manifest,
    /// Ciphertext of whole units.
    Ciphertext,
}

/// One delivery: the smallest thing that is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Served {
    /// What kind of octets.
    pub kind: ServedKind,
    /// The file, as [`LaneSecret::object`] has it.
    pub object: [u8; 32],
    /// Where they begin.
    pub offset: u64,
    /// How many they are.
    pub length: Bytes,
}

impl Served {
    /// The octets of one delivery.
    pub const BYTES: usize = 49;

    /// As it stands in the transcript and beside vouchers: the kind (0 manifest, 1 ciphertext), the object, offset and length with
    /// 8 octets each, big-endian.
    pub fn to_bytes(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[0] = u8::from(self.kind == ServedKind::Ciphertext);
        bytes[1..33].copy_from_slice(&self.object);
        bytes[33..41].copy_from_slice(&self.offset.to_be_bytes());
        bytes[41..].copy_from_slice(&self.length.0.to_be_bytes());
        bytes
    }

    /// The delivery that these octets are; `None` if its kind is none.
    pub fn from_bytes(bytes: &[u8; Self::BYTES]) -> Option<Self> {
        let kind = match bytes[0] {
            0 => ServedKind::Manifest,
            1 => ServedKind::Ciphertext,
            _ => return None,
        };
        let (object, rest) = bytes[1..].split_first_chunk()?;
        let (offset, length) = rest.split_first_chunk()?;
        let length = Bytes(u64::from_be_bytes(length.try_into().ok()?));
        Some(Self { kind, object: *object, offset: u64::from_be_bytes(*offset), length })
    }
}

/// The running hash after some deliveries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transcript(pub [u8; 32]);

impl Transcript {
    /// That of a lane on which nothing was delivered.
    pub fn start(lane: &LaneId) -> Self {
        Self(Sha256::new().chain_update(START).chain_update(lane.0).finalize().into())
    }

    /// That after one more delivery: SHA-256 of the one before and the delivery's octets.
    #[must_use]
    pub fn and(self, served: &Served) -> Self {
        Self(Sha256::new().chain_update(self.0).chain_update(served.to_bytes()).finalize().into())
    }
}
