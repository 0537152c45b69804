//! Lanes: one counter of octets between a payer and a payee, as state machines without a socket, a clock or a disk.
//!
//! What they want done they return as effects. What has to be durable before something else happens is a `Persist`, and that
//! something else comes out only when the machine is told that the disk has it. A lane at price 0 runs the same way.
//! Specification: `docs/spec/clearing.md`, "The rules of a lane".

mod account;
mod effect;
mod late;
#[cfg(test)]
mod model;
mod pair;
mod payee;
mod payer;
#[cfg(test)]
mod scenes;
#[cfg(test)]
mod several;
mod transcript;

pub use account::{Account, Counted, Limits, WriteOff};
pub use effect::{Durable, LaneRefusal, Left, PairEffect};
pub use late::{SHOWN_FOR, is_too_late};
pub use pair::Pair;
pub use payee::{LaneState, VoucherFault};
pub use payer::{MAX_ENTRIES, NoCharge, PayerEffect, PayerLane, VOUCHER_EVERY, WriteId};
pub use transcript::{LaneSecret, Served, ServedKind, Transcript};
