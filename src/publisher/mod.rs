//! Keeps the grid's own record signed, current and held by those who should hold it.
//!
//! What other nodes' records need is `dht`'s business.

mod own;
mod receipt;
mod region;
mod spread;
mod task;

pub use own::OwnError;
pub use receipt::{Reach, Receipt};
pub use task::{PublishError, Published, Publisher};
