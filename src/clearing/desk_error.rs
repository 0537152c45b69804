//! Why a clearing node refuses.

use crate::keys::{GridId, PublicKey};
use crate::ledger::LedgerError;
use crate::netting::NotSigned;
use crate::resolver::ResolveError;
use crate::tariff::wire::WireError;
use crate::units::UnixSeconds;

/// What is wrong with what a grid sent to the node that clears for it.
#[derive(Debug, thiserror::Error)]
pub enum DeskError {
    /// Not the signed object that was expected.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// Sent to another grid than the one it names.
    #[error("it is for the clearing node of {0}, and this is another one")]
    OtherClearing(GridId),
    /// Sent by another grid than the one it belongs to.
    #[error("it belongs to {0}, and another grid has sent it")]
    OtherGrid(GridId),
    /// The key may not sign this for its grid.
    #[error("the record of {grid} gives {key} no right to sign a {object}")]
    NoAuthority {
        /// The grid.
        grid: GridId,
        /// The key.
        key: PublicKey,
        /// What was signed.
        object: &'static str,
    },
    /// Nothing was ever booked between the two in this asset.
    #[error("nothing is booked here between these two grids in this asset")]
    NoBooks,
    /// A statement that is not signed, or not yet.
    #[error(transparent)]
    NotSigned(#[from] NotSigned),
    /// A netting that is not proposed, or not any more.
    #[error("no such netting is proposed here: {0}")]
    NoNetting(&'static str),
    /// A consent that comes too late to be taken back.
    #[error("the netting has taken effect on {0}: a consent to it cannot be taken back any more")]
    InForce(UnixSeconds),
    /// The record that says who may sign is not found.
    #[error("the record that says who may sign for {grid} is not found")]
    Record {
        /// The grid.
        grid: GridId,
        /// Why.
        source: ResolveError,
    },
    /// The books do not take it.
    #[error("the books cannot be kept")]
    Books(#[from] LedgerError),
}
