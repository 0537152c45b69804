//! `deck/1`: what a seller asks of an audience for files of a grid, beside or below what its record says to everybody.
//!
//! A home's price for its own clients is a deck, and so is what a grid grants one other grid.

use crate::keys::{GridId, PublicKey};
use crate::rate::Asset;
use crate::signed::ObjectType;
use crate::tariff::wire::fields::{Contradiction, fields};
use crate::tariff::wire::one::{Payload, Signed, SignedByOne};
use crate::units::{PricePerGib, UnixSeconds};

fields! {
    /// What a deck says.
    pub struct DeckBody {
        /// Whose price it is.
        0 seller: GridId,
        /// The key that signs: the grid key, its publisher, or a gateway's with the role `serve`.
        1 signer: PublicKey,
        /// Of two decks of one seller, audience, destination and asset the one with the greater serial counts: Unix
        /// milliseconds, or one more than the one before.
        2 serial: u64,
        /// The one client (its accounting key) or grid (its grid key) that it is for; left out: everybody.
        3 audience: Option<PublicKey>,
        /// The grid whose files it is for; left out: every grid's.
        4 destination: Option<GridId>,
        /// What the price is counted in.
        5 asset: Asset,
        /// Minor units per 2^30 octets.
        6 price: PricePerGib,
        /// The first second that it covers.
        7 not_before: UnixSeconds,
        /// The first second that it no longer covers.
        8 not_after: UnixSeconds,
    }
}

/// A verified deck.
pub type Deck = Signed<DeckBody>;

impl DeckBody {
    fn contradiction(&self) -> Result<(), Contradiction> {
        match self {
            _ if self.not_after <= self.not_before => Err(("not_after", "it ends before it begins")),
            _ if self.asset.is_free() && self.price.0 != 0 => Err(("price", "asset XXX means free: its price is 0")),
            _ => Ok(()),
        }
    }

    /// Whether it is in force at `now`, for this payer and for files of this grid.
    pub fn covers(&self, payer: &PublicKey, destination: &GridId, now: UnixSeconds) -> bool {
        (self.not_before..self.not_after).contains(&now)
            && self.audience.is_none_or(|audience| audience == *payer)
            && self.destination.is_none_or(|named| named == *destination)
    }
}

impl Payload for DeckBody {
    const TYPE: ObjectType = ObjectType::Deck;
    /// 4 keys of 34 with their own octet, 60 for the rest, the envelope, and room for new words.
    const MAX_BYTES: usize = 512;
}

impl SignedByOne for DeckBody {
    fn owner(&self) -> &[u8; 32] {
        self.seller.as_bytes()
    }

    fn signer(&self) -> &PublicKey {
        &self.signer
    }
}
