//! Money: lanes and vouchers on the way of a fetch, what grids agree on, who books what they owe each other, and how it is settled.
//!
//! ```text
//! payer          offer → proposal judged → lane signed, kept → delivery verified → voucher signed, kept → sent
//! payee          proposal signed → lane kept → unit reserved, noted → sent → voucher checked, kept → room for the next
//!                best vouchers → claim → receipt
//! clearing node  claim → each lane booked up to its highest voucher → position, chained → payments, nettings → statements
//! both           position → held against what they hold themselves → kept
//! ```
//!
//! The rules are those of `tariff`, `policy` and `netting`; what was signed is kept by `ledger`. Specification:
//! `docs/spec/clearing.md`.

mod agreed_terms;
mod claim_line;
mod client_books;
mod client_judge;
mod consents;
mod counterparts;
mod desk;
mod desk_error;
mod dispute;
mod fresh_records;
mod home_judge;
mod house_rules;
mod lane_documents;
mod lane_use;
mod late;
mod nettings;
mod position_check;
mod purse;
mod purse_lane;
mod purse_open;
mod purse_price;
mod purse_resume;
mod quote;
mod settle;
mod settle_chains;
mod settle_claim;
mod settle_documents;
mod settle_fetch;
mod spent;
mod take;
mod till;
mod till_account;
mod till_error;
mod till_lane;
mod till_open;
mod till_shown;
#[cfg(test)]
mod till_tests;
mod transcript;
mod withdrawal;

pub use agreed_terms::{AgreedTerms, TermsError};
pub use client_books::client_books;
pub use client_judge::ClientJudge;
pub use consents::Consents;
pub use desk::{Desk, DeskParts, Fetched, Posted, Records};
pub use desk_error::DeskError;
pub use dispute::{CheckpointsDocument, CompareError, Compared, ComparedLanes};
pub use fresh_records::{FreshRecords, speaks_for};
pub use home_judge::HomeJudge;
pub use house_rules::{Asker, Case, HouseRules, PolicyFault, RuleError, Ruled, Version, read_policy};
pub use lane_documents::{
    CheckedOffer, LaneAgreed, LaneOffer, LaneOpened, LaneProposed, LaneShown, LaneStanding, LaneTaken, LanesShown,
    LanesTaken, MAX_ANSWER_BYTES, MAX_REQUEST_BYTES, MAX_SHOWN, MAX_SHOWN_BYTES, MAX_VOUCHER_BYTES, NotTaken, Octets,
    VoucherSent, lane_of_text, lane_text,
};
pub use lane_use::{Delivery, LaneUse};
pub use nettings::{MAX_NETTING_BYTES, Netted, NettingFolder, ProposeError, netted, propose, totals};
pub use position_check::PositionFault;
pub use purse::{Judge, Judged, Purse, PurseParts, ReadOn, Wanted, read_on};
pub use quote::{Quote, QuoteError, at_most};
pub use settle::{Disagreement, Round, Rounded, Settler, SettlerParts};
pub use settle_documents::{NETTINGS_AT_ONCE, NettingsDocument, PositionsDocument};
pub use spent::Budget;
pub use take::{MAX_TAKEN_BYTES, TakeError, Taken};
pub use till::{Till, TillParts};
pub use till_error::TillError;
pub use till_open::Sale;
