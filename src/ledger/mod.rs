//! The books: what was signed, what it comes to, and who owes whom, in SQL.
//!
//! SQLite in one file for one process, or PostgreSQL for several gateways of a grid: the same statements. An act that was
//! answered has survived `kill -9`; one that was not may be repeated, which changes nothing. Bookings are double entry, and
//! [`Ledger::verify`] computes all of them again from the signed vouchers. What may be owed, and when an octet may be sent, is
//! for `tariff`; who may sign for whom, for whoever calls here with what it verified.

mod act;
mod alone;
mod backup;
mod chain;
mod disputes;
mod entries;
mod error;
mod evidence;
mod export;
mod gather;
mod handle;
mod known;
mod lanes;
mod location;
mod lock;
mod open;
mod paper;
mod part;
mod schema;
mod settling;
mod sql;
mod under_way;
mod usage;
mod verify;
mod verify_lane;
mod verify_rest;
mod versions;
mod vouchers;
mod writer;

pub use alone::Alone;
pub use chain::{Chain, Claimable, Pair};
pub use disputes::{Closed, Dispute, NewDispute};
pub use entries::Account;
pub use error::LedgerError;
pub use evidence::{BundleFilter, Evidence};
pub use export::{EntryLine, LaneLine, TableCount};
pub use handle::Ledger;
pub use lanes::{LaneState, PayerState, WrittenOff};
pub use location::{Location, LocationError};
pub use paper::{Kept, Paper};
pub use part::Part;
pub use settling::Unposted;
pub use usage::UsageLine;
pub use verify::Verified;
pub use vouchers::{Booked, Reading};
