//! `terms/1`: what two grids agree on before one of them pays the other. No price: that is in the seller's record or deck.

use crate::keys::{GridId, PublicKey};
use crate::rate::Asset;
use crate::signed::ObjectType;
use crate::tariff::wire::both::{Agreed, Proposal, Side, SignedByBoth};
use crate::tariff::wire::fields::{Contradiction, fields};
use crate::tariff::wire::one::Payload;
use crate::units::{Bytes, MinorUnits, Seconds, UnixSeconds};

fields! {
    /// What terms say. They are for one direction; two grids that read from each other have two of them.
    pub struct TermsBody {
        /// The grid that reads and pays.
        0 payer: GridId,
        /// The key that signs for it: the grid key, its publisher, or a gateway's with the role `terms` and a limit.
        1 payer_key: PublicKey,
        /// The grid that delivers and is paid.
        2 payee: GridId,
        /// The key that signs for it.
        3 payee_key: PublicKey,
        /// The grid whose node books it; left out: the two settle between themselves.
        4 clearing: Option<GridId>,
        /// What amounts are counted in.
        5 asset: Asset,
        /// The most that may be vouched for and not settled.
        6 credit_limit: MinorUnits,
        /// The most that may be delivered and not vouched for, over all lanes together.
        7 window: Bytes,
        /// How often is settled, at the latest.
        8 settle: Seconds,
        /// For how long after its end a period may be disputed, and a claim be late.
        9 dispute: Seconds,
        /// The first second that they cover.
        10 not_before: UnixSeconds,
        /// The first second that they no longer cover.
        11 not_after: UnixSeconds,
        /// So that no two agreements are one.
        12 nonce: [u8; 16],
    }
}

/// Terms that one side has signed.
pub type TermsProposal = Proposal<TermsBody>;
/// Terms that both sides have signed.
pub type Terms = Agreed<TermsBody>;

impl TermsBody {
    /// The smallest window: a unit of the segment size that Tahoe-LAFS has by default fits eight times.
    pub const MIN_WINDOW: Bytes = Bytes(1 << 20);
    /// The largest: 1 TiB.
    pub const MAX_WINDOW: Bytes = Bytes(1 << 40);

    /// Whether they are in force at `now`.
    pub fn is_current(&self, now: UnixSeconds) -> bool {
        (self.not_before..self.not_after).contains(&now)
    }

    fn contradiction(&self) -> Result<(), Contradiction> {
        match self {
            _ if self.payer == self.payee => Err(("payee", "a grid has no terms with itself")),
            _ if self.payer_key == self.payee_key => Err(("payee_key", "both sides sign with one key")),
            _ if !(Self::MIN_WINDOW..=Self::MAX_WINDOW).contains(&self.window) => {
                Err(("window", "a window is 1 MiB to 1 TiB"))
            }
            _ if self.settle.0 == 0 => Err(("settle", "settled never")),
            _ if self.not_after <= self.not_before => Err(("not_after", "they end before they begin")),
            _ => Ok(()),
        }
    }
}

impl Payload for TermsBody {
    const TYPE: ObjectType = ObjectType::Terms;
    /// 5 keys of 35, a nonce of 18, 85 for the rest, the envelope, and room for new words. The second signature is not counted.
    const MAX_BYTES: usize = 512;
}

impl SignedByBoth for TermsBody {
    fn key(&self, side: Side) -> &PublicKey {
        match side {
            Side::Payer => &self.payer_key,
            Side::Payee => &self.payee_key,
        }
    }
}
