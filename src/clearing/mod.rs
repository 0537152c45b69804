//! Money on the way of a fetch: the till that a gateway delivers through, and the purse that a reader pays from.
//!
//! ```text
//! payer  offer → proposal judged → LaneOpen signed, kept → delivery verified → voucher signed, kept → sent
//! payee  proposal signed → LaneOpen kept → unit reserved, noted → sent → voucher checked, kept → room for the next
//! ```
//!
//! The rules are those of `tariff`; what was signed is kept by `ledger`. Specification: `docs/spec/clearing.md`.

mod agreed;
mod client_judge;
mod fresh;
mod home_judge;
mod house_rules;
mod purse;
mod purse_lane;
mod till;
mod till_account;
mod till_error;
mod till_lane;
mod transcript;
mod words;

pub use agreed::{AgreedTerms, TermsError};
pub use client_judge::ClientJudge;
pub use fresh::FreshRecords;
pub use home_judge::HomeJudge;
pub use house_rules::{Asker, Case, HouseRules, PolicyFault, RuleError, Ruled, Version, read_policy};
pub use purse::{Budget, Judge, Judged, Purse, PurseParts, Wanted};
pub use till::{Delivery, LaneUse, Sale, Till, TillParts};
pub use till_error::TillError;
pub use words::{
    CheckedOffer, LaneAgreed, LaneOffer, LaneOpened, LaneProposed, LaneStanding, MAX_ANSWER_BYTES, MAX_REQUEST_BYTES,
    Octets, lane_of_text, lane_text,
};
