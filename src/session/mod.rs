//! Who is calling: the signed claim that opens a session, and the membership that makes a caller a client of a grid.
//!
//! Rules only: the time, the server's own names and the TLS exporter are arguments. A session is a property of one
//! connection: there is no token that could be carried to another. Specification: `docs/spec/gateway.md`, "Sessions" and
//! "Memberships".

mod caller;
mod claim;
pub(crate) mod form;
mod group;
mod membership;
mod no_client;
mod nonces;

pub use caller::Caller;
pub use claim::{CLAIM_TOLERANCE, Channel, ClaimError, Claimant, MAX_CLAIM_BYTES, SessionClaim, may_spend};
pub use form::{FormError, FormFault};
pub use group::{Group, GroupError};
pub use membership::{
    MAX_GROUPS, MAX_MEMBERSHIP_BYTES, MAX_SERVERS, Membership, MembershipDraft, MembershipError, Standing,
};
pub use no_client::NoClient;
pub use nonces::{MAX_NONCES, NONCE_KEPT, Nonces, Replayed};
