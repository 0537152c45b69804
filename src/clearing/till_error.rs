//! Why a till refuses.

use crate::ledger::LedgerError;
use crate::tariff::WindowRefusal;
use crate::tariff::wire::WireError;
use crate::units::{Bytes, MinorUnits};

/// What is wrong with a lane, a voucher, or what is owed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum TillError {
    /// No such lane, or somebody else's.
    #[error("there is no such lane of this caller")]
    NoLane,
    /// It was another process that opened it, its time is over, or a request on it broke off.
    #[error("the lane is open no more: {0}")]
    Closed(&'static str),
    /// Two requests at once on one lane.
    #[error("another request is being served on this lane")]
    Busy,
    /// The lane is for another grid's files.
    #[error("the lane is for another grid's files")]
    OtherDestination,
    /// Not what was proposed here.
    #[error("not a lane that was proposed here: {0}")]
    NotProposed(&'static str),
    /// Not the signed object that was expected.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// More than was delivered.
    #[error("the voucher is for {claimed} octets, and {sent} were delivered on the lane")]
    MoreThanSent {
        /// What it is for.
        claimed: Bytes,
        /// What was delivered.
        sent: Bytes,
    },
    /// Other deliveries than those on the lane.
    #[error("the voucher is not for the deliveries on this lane")]
    OtherDeliveries,
    /// The payer owes as much as it may.
    #[error("{owed} of {limit} {asset} are owed and not settled, and more is not lent")]
    Credit {
        /// What is owed, this delivery included.
        owed: String,
        /// How much may be.
        limit: String,
        /// In what.
        asset: &'static str,
    },
    /// A charge beyond what amounts can say.
    #[error("the charge for it exceeds {}", MinorUnits::MAX)]
    TooDear,
    /// No room in the window.
    #[error(transparent)]
    Window(#[from] WindowRefusal),
    /// The books do not take it.
    #[error("the books cannot be written: {0}")]
    Books(#[from] LedgerError),
}
