//! `claim/1` and `receipt/1`: the payee shows the clearing node its best voucher of each lane, and is told how far each is
//! booked.

use crate::keys::{GridId, PublicKey};
use crate::signed::{Identity, ObjectType};
use crate::tariff::wire::fields::{Carried, Contradiction, Many, codes, fields};
use crate::tariff::wire::lane_open::LaneId;
use crate::tariff::wire::one::{Payload, Signed, SignedByOne};
use crate::units::{Bytes, MinorUnits, UnixSeconds};

fields! {
    /// What a payee claims.
    pub struct ClaimBody {
        /// The payee.
        0 grid: GridId,
        /// The key that signs: the grid key, its publisher, or a gateway's with the role `serve`.
        1 signer: PublicKey,
        /// The grid of the clearing node.
        2 clearing: GridId,
        /// When it was signed.
        3 time: UnixSeconds,
        /// The lanes, no two alike.
        4 lanes: Vec<ClaimLine>,
    }
}

fields! {
    /// The best voucher of one lane, with what it stands on.
    pub struct ClaimLine {
        /// The voucher.
        0 voucher: Carried,
        /// The lane that it belongs to, signed by both; left out if the clearing node has given a receipt for it before.
        1 lane_open: Option<Carried>,
        /// The terms, signed by both; left out likewise.
        2 terms: Option<Carried>,
        /// The record or deck that gives the price; left out likewise.
        3 evidence: Option<Carried>,
    }
}

fields! {
    /// What the clearing node has booked after a claim.
    pub struct ReceiptBody {
        /// The grid of the clearing node.
        0 clearing: GridId,
        /// The key that signs.
        1 signer: PublicKey,
        /// The claim that it answers.
        2 claim: Identity,
        /// The grid that claimed.
        3 grid: GridId,
        /// When it was signed.
        4 time: UnixSeconds,
        /// How far each lane of the claim is booked now.
        5 lanes: Vec<ReceiptLine>,
    }
}

fields! {
    /// How far one lane is booked.
    pub struct ReceiptLine {
        /// The lane.
        0 lane: LaneId,
        /// The high-water mark in octets.
        1 cum_bytes: Bytes,
        /// The high-water mark in minor units: all that was ever billed for this lane.
        2 cum_amount: MinorUnits,
        /// Why the voucher raised it no further; left out if it was taken.
        3 refused: Option<ClaimRefusal>,
    }
}

codes! {
    /// Why a voucher is not booked.
    pub enum ClaimRefusal {
        /// The lane is not known, and the claim does not carry it.
        1 UnknownLane,
        /// Something that it carries does not verify.
        2 Invalid,
        /// The price is not the one that its evidence gives.
        3 WrongPrice,
        /// The terms are not known, do not name this clearing node, or have ended.
        4 NoTerms,
        /// Claimed after the dispute period.
        5 TooLate,
    }
}

/// The most lanes of a claim and of its receipt.
pub const MAX_CLAIM_LANES: usize = 128;

impl Many for ClaimLine {
    const MANY: usize = MAX_CLAIM_LANES;
}

impl Many for ReceiptLine {
    const MANY: usize = MAX_CLAIM_LANES;
}

/// A verified claim; what it carries is not.
pub type Claim = Signed<ClaimBody>;
/// A verified receipt.
pub type Receipt = Signed<ReceiptBody>;

impl Payload for ClaimBody {
    const TYPE: ObjectType = ObjectType::Claim;
    /// 128 lanes of a voucher (256), a lane (832), terms (576), a record or deck (995) and their heads, and 256 for the rest.
    const MAX_BYTES: usize = MAX_CLAIM_LANES * 2_688 + 256;
}

impl Payload for ReceiptBody {
    const TYPE: ObjectType = ObjectType::Receipt;
    /// 128 lanes of a hash (35) and three numbers, and 384 for the rest.
    const MAX_BYTES: usize = MAX_CLAIM_LANES * 64 + 384;
}

impl ClaimBody {
    fn contradiction(&self) -> Result<(), Contradiction> {
        if self.lanes.is_empty() { Err(("lanes", "a claim of nothing")) } else { Ok(()) }
    }
}

impl ClaimLine {
    fn contradiction(&self) -> Result<(), Contradiction> {
        Ok(())
    }
}

impl ReceiptLine {
    fn contradiction(&self) -> Result<(), Contradiction> {
        Ok(())
    }
}

impl ReceiptBody {
    fn contradiction(&self) -> Result<(), Contradiction> {
        let mut lanes: Vec<_> = self.lanes.iter().map(|line| line.lane).collect();
        lanes.sort_unstable();
        match lanes.windows(2).any(|pair| pair[0] == pair[1]) {
            _ if lanes.is_empty() => Err(("lanes", "a receipt for nothing")),
            true => Err(("lanes", "one lane twice")),
            false => Ok(()),
        }
    }
}

impl SignedByOne for ClaimBody {
    fn owner(&self) -> &[u8; 32] {
        self.grid.as_bytes()
    }

    fn signer(&self) -> &PublicKey {
        &self.signer
    }
}

impl SignedByOne for ReceiptBody {
    fn owner(&self) -> &[u8; 32] {
        self.clearing.as_bytes()
    }

    fn signer(&self) -> &PublicKey {
        &self.signer
    }
}
