//! What the payee's machine wants done, and why it refuses.

use crate::tariff::lane::payer::WriteId;
use crate::tariff::window::{Ticket, WindowRefusal};
use crate::tariff::wire::{LaneId, VoucherBody};
use crate::units::{Bytes, MinorUnits, UnixSeconds};

/// How many deliveries may be out and not acknowledged, however small: each is remembered.
pub(super) const MAX_DELIVERIES: usize = 16_384;

/// What the payee's side wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PairEffect {
    /// Write this durably, and then say [`Pair::persisted`](super::Pair::persisted).
    Persist(WriteId, Durable),
    /// The delivery may leave.
    Start(Ticket),
    /// The delivery is not made: its lane was closed, its connection is gone, or the disk does not take what has to be written
    /// before it leaves. It is as if it had not been asked for.
    Refuse(Ticket),
    /// Tell the payer the highest voucher of the lane that counts; the disk has it.
    Acknowledge(VoucherBody),
    /// More than half of the credit is used: time to settle.
    Settle,
}

/// What is to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Durable {
    /// So much of a lane may have been sent.
    Sent(LaneId, Bytes),
    /// Nothing of a lane is under way: so much of it was sent and no more, whatever was written before. Nothing waits for it.
    AtRest(LaneId, Bytes),
    /// The highest voucher of a lane.
    Voucher(VoucherBody),
    /// So much of a lane is written off in all. Nothing waits for it.
    WrittenOff(LaneId, Bytes),
}

/// Why a delivery is refused before its first octet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LaneRefusal {
    /// No such lane, or it is closed.
    #[error("no such lane is open: open one")]
    NoLane,
    /// The lane has ended.
    #[error("the lane ended on {0}: open another one")]
    Ended(UnixSeconds),
    /// The window.
    #[error(transparent)]
    Window(#[from] WindowRefusal),
    /// Too many deliveries wait for an acknowledgement.
    #[error("{MAX_DELIVERIES} deliveries are not acknowledged yet: acknowledge some of them first")]
    Unacknowledged,
    /// The credit limit.
    #[error("what is owed and not settled would exceed the credit limit of {limit} minor units: settle first")]
    Credit {
        /// The limit.
        limit: MinorUnits,
    },
}

/// Whether octets of a delivery have left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// Not one.
    Nothing,
    /// Some or all.
    Some,
}
