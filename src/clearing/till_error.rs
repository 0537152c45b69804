//! Why a till refuses.

use crate::ledger::LedgerError;
use crate::tariff::WindowRefusal;
use crate::tariff::lane::{LaneRefusal, VoucherFault};
use crate::tariff::wire::WireError;

/// What is wrong with a lane, a voucher, or what is owed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum TillError {
    /// No such lane, or somebody else's.
    #[error("there is no such lane of this caller")]
    NoLane,
    /// It was another process that opened it, or its time or its terms are over.
    #[error("the lane is open no more: {0}")]
    Closed(&'static str),
    /// Nobody would book it any more.
    #[error("the lane ended longer ago than it may be vouched for")]
    Over,
    /// The lane is for another grid's files.
    #[error("the lane is for another grid's files")]
    OtherDestination,
    /// Not what was proposed here.
    #[error("not a lane that was proposed here: {0}")]
    NotProposed(&'static str),
    /// Not the signed object that was expected.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// The voucher is not for what was delivered.
    #[error("the voucher is not counted: {0}")]
    Voucher(#[from] VoucherFault),
    /// Too much waits for an acknowledgement.
    #[error(transparent)]
    Unacknowledged(LaneRefusal),
    /// The payer owes as much as it may.
    #[error("{owed} of {limit} {asset} are owed and not settled, and more with what is under way is not lent")]
    Credit {
        /// What is owed, apart from what is under way.
        owed: String,
        /// How much may be.
        limit: String,
        /// In what.
        asset: &'static str,
    },
    /// No room in the window.
    #[error(transparent)]
    Window(#[from] WindowRefusal),
    /// The books do not take it.
    #[error("the books cannot be written: {0}")]
    Books(#[from] LedgerError),
}
