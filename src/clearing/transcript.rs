//! What was delivered on a lane, as one running hash on both sides: where two bills differ, it tells from which delivery on.

use crate::peer::Came;
use crate::tariff::wire::LaneId;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

const START: &[u8] = b"lafs-clearinghouse/transcript/1\0";

/// One delivery on a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Delivered {
    /// The file, by [`file_under`].
    pub(super) file: [u8; 32],
    /// What of it.
    pub(super) came: Came,
    /// How many octets.
    pub(super) octets: u64,
}

/// The running hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Transcript(pub(super) [u8; 32]);

impl Transcript {
    /// Of a lane on which nothing was delivered.
    pub(super) fn start(lane: &LaneId) -> Self {
        Self(Sha256::new().chain_update(START).chain_update(lane.0).finalize().into())
    }

    /// With one more delivery.
    pub(super) fn and(self, delivered: &Delivered) -> Self {
        let (kind, offset) = match delivered.came {
            Came::Manifest { first } => (0, first),
            Came::Ciphertext { offset } => (1, offset),
        };
        let hash = Sha256::new()
            .chain_update(self.0)
            .chain_update([kind])
            .chain_update(delivered.file)
            .chain_update(offset.to_be_bytes())
            .chain_update(delivered.octets.to_be_bytes());
        Self(hash.finalize().into())
    }
}

/// A file's name under a secret: of a lane, for its transcript; of a ledger, for its counts. Nobody learns the storage index
/// from it who does not have the secret and the index.
pub(super) fn file_under(secret: &[u8; 32], storage_index: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("a key of any length");
    mac.update(storage_index);
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signed::Identity;

    #[test]
    fn each_part_of_a_delivery_and_their_order_count() {
        let start = Transcript::start(&Identity([9; 32]));
        let one = Delivered { file: [1; 32], came: Came::Ciphertext { offset: 0 }, octets: 7 };
        let others = [
            Delivered { file: [2; 32], ..one },
            Delivered { came: Came::Manifest { first: 0 }, ..one },
            Delivered { came: Came::Ciphertext { offset: 7 }, ..one },
            Delivered { octets: 8, ..one },
        ];
        for other in others {
            assert_ne!(start.and(&one), start.and(&other), "{other:?}");
            assert_ne!(start.and(&one).and(&other), start.and(&other).and(&one));
        }
        assert_ne!(file_under(&[1; 32], b"index"), file_under(&[2; 32], b"index"));
    }
}
