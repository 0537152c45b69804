//! The clients of a grid: the memberships in a data directory.
//!
//! The files in `members/` are the truth, one for each key (`docs/spec/gateway.md`, "Memberships"). Whoever has a [`Members`]
//! sees a change at the next question, whichever process made it: nobody has to be told. The folder may be copied to another
//! gateway of the grid.

mod folder;
mod list;
mod signer;

pub use list::{AddError, Members, MembersError, NewClient, RemoveError};
pub use signer::{SignerError, membership_signer};

/// What whoever works in a gateway's own folder is called: a client without a membership.
pub const OPERATOR: &str = "the operator here";
