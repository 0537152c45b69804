//! `lane-open/1`: what payer and payee agree on for one counter of octets, before the first of them.

use crate::keys::{GridId, PublicKey};
use crate::rate::Asset;
use crate::signed::{Identity, ObjectType};
use crate::tariff::wire::both::{Agreed, Proposal, Side, SignedByBoth};
use crate::tariff::wire::fields::{Contradiction, fields};
use crate::tariff::wire::one::Payload;
use crate::units::{Bytes, MinorUnits, PricePerGib, Seconds, UnixSeconds};

/// Names a lane: the identity of what both sides signed to open it.
pub type LaneId = Identity;

fields! {
    /// What a lane is opened with.
    pub struct LaneOpenBody {
        /// Who pays: a grid, or a client by its accounting key.
        0 payer: PublicKey,
        /// The key that signs for the payer: a client's own, or a gateway's that the grid's record lists with the role `spend`.
        1 payer_key: PublicKey,
        /// The grid that delivers and is paid.
        2 payee: GridId,
        /// The key that signs for the payee: a gateway's that the grid's record lists with the role `serve`.
        3 payee_key: PublicKey,
        /// The grid whose files are read, where it is not the payee.
        4 destination: Option<GridId>,
        /// What amounts are counted in.
        5 asset: Asset,
        /// Minor units per 2^30 octets.
        6 price: PricePerGib,
        /// The record or deck that gives this price; may be left out at price 0.
        7 evidence: Option<Identity>,
        /// The terms that it is under; left out: none.
        8 terms: Option<Identity>,
        /// The grant or membership that it is under; left out: none.
        9 grant: Option<Identity>,
        /// The last position of the clearing node that the payer holds for the two; left out: none.
        10 position: Option<Identity>,
        /// Which process the payer is: no two share a counter.
        11 payer_instance: [u8; 16],
        /// Which process the payee is.
        12 payee_instance: [u8; 16],
        /// The key that signs vouchers.
        13 payer_session: PublicKey,
        /// The key that signs reports.
        14 payee_session: PublicKey,
        /// The payer's part in the lane's name.
        15 payer_nonce: [u8; 16],
        /// The payee's.
        16 payee_nonce: [u8; 16],
        /// The SHA-256 of the lane's secret, under which storage indexes enter the transcript.
        17 secret_hash: [u8; 32],
        /// When it was opened.
        18 opened_at: UnixSeconds,
        /// The first second at which nothing more is delivered on it.
        19 not_after: UnixSeconds,
    }
}

/// A lane that one side has signed.
pub type LaneProposal = Proposal<LaneOpenBody>;
/// A lane that both sides have signed. Its identity is its [`LaneId`].
pub type LaneOpen = Agreed<LaneOpenBody>;

impl LaneOpenBody {
    /// How long a lane is open at most.
    pub const MAX_LIFETIME: Seconds = Seconds::hours(24);

    /// The charge for `octets` in all on this lane, by [`PricePerGib::charge`].
    pub fn charge(&self, octets: Bytes) -> Option<MinorUnits> {
        self.price.charge(octets)
    }

    /// The grid whose files are read.
    pub fn destination(&self) -> GridId {
        self.destination.unwrap_or(self.payee)
    }

    fn contradiction(&self) -> Result<(), Contradiction> {
        match self {
            _ if self.payer == *self.payee.key() => Err(("payee", "nobody pays himself")),
            _ if self.payer_key == self.payee_key => Err(("payee_key", "both sides sign with one key")),
            _ if self.payer_session == self.payee_session => Err(("payee_session", "one key signs both counters")),
            _ if self.destination == Some(self.payee) => Err(("destination", "left out where it is the payee")),
            _ if self.asset.is_free() && self.price.0 != 0 => Err(("price", "asset XXX means free: its price is 0")),
            _ if self.price.0 != 0 && self.evidence.is_none() => Err(("evidence", "a price has evidence")),
            _ if self.not_after <= self.opened_at => Err(("not_after", "it ends before it begins")),
            _ if self.not_after > self.opened_at.plus(Self::MAX_LIFETIME) => {
                Err(("not_after", "a lane is open for 24 hours at most"))
            }
            _ => Ok(()),
        }
    }
}

impl Payload for LaneOpenBody {
    const TYPE: ObjectType = ObjectType::LaneOpen;
    /// 12 keys and hashes of 35, 4 of 16 with 18, 40 for the rest, the envelope, and room for new words. The second signature
    /// is not counted.
    const MAX_BYTES: usize = 768;
}

impl SignedByBoth for LaneOpenBody {
    fn key(&self, side: Side) -> &PublicKey {
        match side {
            Side::Payer => &self.payer_key,
            Side::Payee => &self.payee_key,
        }
    }
}
