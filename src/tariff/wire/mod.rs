//! The signed objects of money: decks, terms, lanes, vouchers, claims, positions, bills. Specification:
//! `docs/spec/clearing.md`.
//!
//! A type whose name ends in `Body` is what an object says; [`Signed`], [`Proposal`] and [`Agreed`] hold one whose signatures
//! were verified. Whether the keys that signed may speak for a grid is for whoever acts on an object: a record or a
//! membership gives them their roles.

mod bill;
mod both;
mod claim;
mod consent;
mod deck;
mod fields;
#[cfg(test)]
pub(crate) mod fixtures;
mod lane_open;
#[cfg(test)]
mod laws;
mod one;
mod position;
mod revoke;
mod terms;
mod voucher;

pub use bill::{Payment, PaymentBody, Statement, StatementBody};
pub use both::{Agreed, Proposal, Side, SignedByBoth};
pub use claim::{Claim, ClaimBody, ClaimLine, ClaimRefusal, MAX_CLAIM_LANES, Receipt, ReceiptBody, ReceiptLine};
pub use consent::{Consent, ConsentBody};
pub use deck::{Deck, DeckBody};
pub use fields::Carried;
pub use lane_open::{LaneId, LaneOpen, LaneOpenBody, LaneProposal};
pub use one::{Payload, Signed, SignedByOne, WireError};
pub use position::{
    ChainFault, MAX_POSITION_LINES, Party, Position, PositionBody, PositionLine, SettledBy, Settlement,
};
pub use revoke::{Revoke, RevokeBody, Revoked};
pub use terms::{Terms, TermsBody, TermsProposal};
pub use voucher::{LaneReport, LaneReportBody, Voucher, VoucherBody};
