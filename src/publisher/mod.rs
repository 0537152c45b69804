//! Keeps the grid's own record signed, current and held by those who should hold it.
//!
//! What other nodes' records need is `dht`'s business.

mod install;
mod own;
mod receipt;
mod region;
mod spread;
mod task;

pub use install::{InstallError, Installed, MAX_INSTALL_BYTES, install};
pub use own::{DelegationStanding, OwnError};
pub use receipt::{Reach, Receipt};
pub use task::{OtherNode, PublishError, Published, Publisher};
