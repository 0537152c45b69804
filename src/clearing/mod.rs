//! Money: what grids agree on, who books what they owe each other, and how it is settled.
//!
//! ```text
//! payee          best vouchers → claim → receipt
//! clearing node  claim → each lane booked up to its highest voucher → position, chained → payments, nettings → statements
//! both           position → held against what they hold themselves → kept
//! ```
//!
//! The rules are those of `tariff` and `netting`; what was signed is kept by `ledger`. Specification: `docs/spec/clearing.md`.

mod agreed;
mod bill;
mod claim_line;
mod counterparts;
mod desk;
mod desk_error;
mod dispute;
mod fresh;
mod nettings;
mod position_check;
mod settle;
mod take;

pub use agreed::{AgreedTerms, TermsError};
pub use bill::{Bill, ageing, bill};
pub use desk::{Desk, DeskParts, Fetched, Posted, Records};
pub use desk_error::DeskError;
pub use dispute::{CheckpointsDocument, CompareError, Compared};
pub use fresh::FreshRecords;
pub use nettings::{MAX_NETTING_BYTES, Netted, NettingFolder, ProposeError, netted, propose, totals};
pub use position_check::PositionFault;
pub use settle::{NETTINGS_AT_ONCE, NettingsDocument, PositionsDocument, Round, Rounded, Settler, SettlerParts};
pub use take::{MAX_TAKEN_BYTES, TakeError, Taken};
