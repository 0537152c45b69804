//! Deliveries as the transcript of a lane has them.

use crate::keys::SecretKey;
use crate::peer::Came;
use crate::tariff::lane::{LaneSecret, Served, ServedKind};
use crate::units::Bytes;
use sha2::{Digest, Sha256};

/// The secret under which books name files: who has neither it nor the storage index learns nothing from them.
pub(super) fn file_names(key: &SecretKey) -> LaneSecret {
    let hash = Sha256::new().chain_update(b"files in the books").chain_update(*key.seed()).finalize();
    LaneSecret::new(hash.into())
}

/// These octets of the file that the lane knows as `object`.
pub(super) fn served(object: [u8; 32], came: Came, length: Bytes) -> Served {
    let (kind, offset) = match came {
        Came::Manifest { first } => (ServedKind::Manifest, first),
        Came::Ciphertext { offset } => (ServedKind::Ciphertext, offset),
    };
    Served { kind, object, offset, length }
}
