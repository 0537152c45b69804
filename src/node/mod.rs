//! The composition: builds the parts from the settings, runs them, and takes them down in the right order.

mod client;
mod error;
mod gateway;
mod paying;
mod reload;
mod rounds;
mod running;

pub use client::{Client, ClientSettings};
pub use error::{NodeError, ReloadError};
pub use reload::Reloaded;
pub use running::{Node, run};
