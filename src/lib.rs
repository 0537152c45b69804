//! The telephone exchange between Tahoe-LAFS grids.
//!
//! A foreign cap names a file and the grid it lives on. This crate finds that grid's signed record in a DHT, and carries
//! what two grids need to serve each other's readers. `ARCHITECTURE.md` has the plan of the house; each room says in its
//! first lines what it is and what it leaves to others.
//!
//! Values, which hold, parse and print:

pub mod address;
pub mod base32;
pub mod capability;
pub mod causes;
pub mod cbor;
pub mod furl;
pub mod keys;
pub mod rate;
pub mod signed;
pub mod tagged;
pub mod units;

// Rules, which decide and compute:
pub mod lafs;
pub mod netting;
pub mod policy;
pub mod record;
pub mod session;
pub mod tariff;

// Edges, one piece of the world each:
pub mod clock;
pub mod config;
pub mod dht;
#[cfg(any(feature = "node", feature = "fuzzing"))]
pub mod grid;
#[cfg(feature = "node")]
pub mod ledger;
#[cfg(feature = "node")]
pub mod metrics;
#[cfg(feature = "node")]
pub mod peer;
pub mod store;

// Services, which ask a rule and then drive an edge:
#[cfg(feature = "node")]
pub mod clearing;
#[cfg(feature = "node")]
pub mod gateway;
#[cfg(feature = "node")]
pub mod members;
#[cfg(feature = "node")]
pub mod publisher;
#[cfg(feature = "node")]
pub mod reader;
#[cfg(feature = "node")]
pub mod resolver;

// The face:
#[cfg(feature = "node")]
pub mod http;

// The composition:
#[cfg(feature = "node")]
pub mod node;

// The program, beside `testnet/`:
#[cfg(feature = "node")]
pub mod cli;
