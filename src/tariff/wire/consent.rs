//! `consent/1`: a grid agrees to a netting among many. It takes effect when every grid that it affects has signed.

use crate::keys::{GridId, PublicKey};
use crate::rate::Asset;
use crate::signed::ObjectType;
use crate::tariff::wire::fields::{Contradiction, fields};
use crate::tariff::wire::one::{Payload, Signed, SignedByOne};
use crate::units::{MinorUnits, UnixSeconds};

fields! {
    /// What a grid agrees to.
    pub struct ConsentBody {
        /// The grid.
        0 grid: GridId,
        /// The key that signs.
        1 signer: PublicKey,
        /// The grid of the clearing node that proposes the netting.
        2 clearing: GridId,
        /// The SHA-256 of the proposal's bytes.
        3 netting: [u8; 32],
        /// What is netted.
        4 asset: Asset,
        /// What the grid owed to the others before.
        5 owed: MinorUnits,
        /// What the others owed to it before.
        6 due: MinorUnits,
        /// What it pays instead.
        7 pays: MinorUnits,
        /// What it receives instead.
        8 receives: MinorUnits,
        /// When it was signed.
        9 time: UnixSeconds,
        /// From when on it counts no more, if the netting has not taken effect by then.
        10 not_after: UnixSeconds,
    }
}

/// A verified consent.
pub type Consent = Signed<ConsentBody>;

impl ConsentBody {
    fn contradiction(&self) -> Result<(), Contradiction> {
        let [owed, due, pays, receives] = [self.owed, self.due, self.pays, self.receives].map(|n| u128::from(n.0));
        match self {
            _ if owed + receives != due + pays => Err(("pays", "a netting changes nobody's net position")),
            _ if pays > owed || receives > due => Err(("pays", "a netting makes nobody's debt larger")),
            _ if self.not_after <= self.time => Err(("not_after", "it ends before it begins")),
            _ => Ok(()),
        }
    }
}

impl Payload for ConsentBody {
    const TYPE: ObjectType = ObjectType::Consent;
    /// 4 keys and hashes of 35, 80 for the rest, the envelope, and room for new words.
    const MAX_BYTES: usize = 512;
}

impl SignedByOne for ConsentBody {
    fn owner(&self) -> &[u8; 32] {
        self.grid.as_bytes()
    }

    fn signer(&self) -> &PublicKey {
        &self.signer
    }
}
