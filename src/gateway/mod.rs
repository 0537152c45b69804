//! The gateway of a grid: it serves the grid's files to other grids and to its own clients, and fetches other grids' files for
//! these.
//!
//! It speaks of verify caps only and never has a key that opens a file. What it hands on was held against the cap before its
//! first octet went out. Specification: `docs/spec/gateway.md`.

mod away;
mod file;
mod identity;
mod refusals;
mod serve;
mod sessions;
mod shares;
mod traffic;
mod unit;

pub use away::{Away, AwayParts};
pub use identity::{GatewayIdentity, GatewayIdentityError, OwnEntryError};
pub use serve::{Gateway, GatewayError, GatewayParts, OwnRecord};
pub use shares::{File, Files, ReadError, Servers, ShareServer};
pub use traffic::{Counterparty, Exchanged, Traffic, Way};
pub use unit::Unit;
