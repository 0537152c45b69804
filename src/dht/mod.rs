//! The libp2p edge: a node among others, which holds their records and asks for those it wants.
//!
//! Kademlia (`/lafs-clearinghouse/<network>/kad/1.0.0`) is for routing and for other implementations' PUT and GET; what we
//! depend on goes through our own `/lafs-clearinghouse/<network>/record/1`, whose answers are true: `docs/spec/record-exchange.md`.
//! What a record is worth is `record`'s business, what to do with an answer that of `resolver` and `publisher`.

pub mod message;
pub mod server;
pub mod walk;

#[cfg(feature = "node")]
mod admission;
#[cfg(feature = "node")]
mod behaviour;
#[cfg(feature = "node")]
mod census;
#[cfg(feature = "node")]
mod clocks;
#[cfg(feature = "node")]
mod codec;
#[cfg(feature = "node")]
mod connections;
#[cfg(feature = "node")]
mod crowd;
#[cfg(feature = "node")]
mod dial_backs;
#[cfg(feature = "node")]
mod doubts;
#[cfg(feature = "node")]
mod driver;
#[cfg(feature = "node")]
mod gate;
#[cfg(feature = "node")]
mod give_back;
#[cfg(feature = "node")]
mod handle;
#[cfg(feature = "node")]
mod kad_store;
#[cfg(feature = "node")]
mod keep;
#[cfg(feature = "node")]
mod listen;
#[cfg(feature = "node")]
mod lookup;
#[cfg(feature = "node")]
mod peers;
#[cfg(feature = "node")]
mod remembered;
#[cfg(feature = "node")]
mod routing;
#[cfg(feature = "node")]
mod start;
#[cfg(feature = "node")]
mod stated;
#[cfg(feature = "node")]
mod turns;
#[cfg(feature = "node")]
mod vouchers;

#[cfg(feature = "node")]
pub use behaviour::{Role, kad_protocol, record_protocol};
#[cfg(feature = "node")]
pub use census::Census;
#[cfg(feature = "node")]
pub use handle::{AskError, Dht, DhtStatus, Known};
#[cfg(feature = "node")]
pub use lookup::Finding;
#[cfg(feature = "node")]
pub use start::{DhtSettings, StartError, start};
