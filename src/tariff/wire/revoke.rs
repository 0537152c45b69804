//! `revoke/1`: the end of something that was signed before. It counts at once, and for what comes after it alone.

use crate::keys::{GridId, PublicKey};
use crate::record::Nickname;
use crate::signed::{Identity, ObjectType};
use crate::tariff::wire::fields::{Contradiction, codes, fields};
use crate::tariff::wire::one::{Payload, Signed, SignedByOne};
use crate::units::UnixSeconds;

fields! {
    /// What is ended.
    pub struct RevokeBody {
        /// Whose word it is: a party to what is ended.
        0 issuer: GridId,
        /// The key that signs.
        1 signer: PublicKey,
        /// What kind of thing is ended.
        2 kind: Revoked,
        /// Its identity; of consents the hash of the netting.
        3 target: Identity,
        /// When it was signed, in Unix milliseconds or one more than the one before.
        4 serial: u64,
        /// From when on it counts.
        5 time: UnixSeconds,
        /// Why, for people.
        6 reason: Option<Nickname>,
    }
}

codes! {
    /// What can be ended.
    pub enum Revoked {
        /// Terms: no lane is opened under them, and those that are open end within a window.
        1 Terms,
        /// A lane.
        2 Lane,
        /// A deck: no lane is opened at its price.
        3 Deck,
        /// The issuer's consents to a netting that are not signed later than this: they are taken back.
        4 Consent,
    }
}

/// A verified revocation.
pub type Revoke = Signed<RevokeBody>;

impl RevokeBody {
    fn contradiction(&self) -> Result<(), Contradiction> {
        Ok(())
    }
}

impl Payload for RevokeBody {
    const TYPE: ObjectType = ObjectType::Revoke;
    /// 3 keys and hashes of 35, a reason of 67, 25 for the rest, the envelope, and room for new words.
    const MAX_BYTES: usize = 384;
}

impl SignedByOne for RevokeBody {
    fn owner(&self) -> &[u8; 32] {
        self.issuer.as_bytes()
    }

    fn signer(&self) -> &PublicKey {
        &self.signer
    }
}
