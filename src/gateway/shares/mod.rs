//! Reading our own grid's files out of its storage servers: the best k shares, every hash on the way to the cap, in time.
//!
//! Which server to ask is decided from how it did so far; what the octets mean is the business of `lafs`. Nothing leaves here
//! that does not lead to the cap, and whoever lied is named in the log.

mod budget;
mod candidates;
mod chk;
mod error;
mod files;
#[cfg(test)]
mod fixtures;
mod gather;
#[cfg(test)]
mod hostile;
mod mutable;
mod mutable_share;
mod open_share;
mod pick;
mod server;
mod stream;
#[cfg(test)]
mod tests;

pub use error::ReadError;
pub use files::{File, Files};
pub use server::{Servers, ShareServer};
