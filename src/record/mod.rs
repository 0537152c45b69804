//! The grid record: what a grid signs about itself, what supersedes what, what binds, what to keep.
//!
//! Rules only: no clock, no file, no network; the time is an argument. A *holder* keeps records and understands
//! [`SignedRecord`]; a *reader* acts on them and needs a [`GridRecord`]. Specification: `docs/spec/record.md`.

mod broken;
mod contact;
mod delegation;
mod draft;
mod draft_toml;
mod error;
mod evidence;
mod field;
#[cfg(test)]
mod fixtures;
mod floor;
mod gateway;
mod grid_record;
mod head;
mod judge;
mod keeping;
mod key_digest;
mod limit;
mod nickname;
mod node_entry;
mod rates;
mod sign;
mod signed_record;
mod successor;
mod time;
mod view;
mod weight;

pub use broken::{BreachView, BrokenView, PromiseView, ProofView};
pub use contact::{ContactError, ContactUri};
pub use delegation::{Delegation, DelegationDraft, DelegationLimits, MAX_DELEGATION};
pub use draft::RecordDraft;
pub use draft_toml::{DraftFile, DraftFileError};
pub use error::{DelegationBound, Fault, RecordError, Unknown};
pub use evidence::{
    Binding, Breach, Broken, Evidence, binding, binding_price, breaches, live_commitments, outlasts, outlasts_itself,
};
pub use floor::{FLOOR_KEPT, Floor, FloorTextError};
pub use gateway::{Gateway, GatewayAddress, GatewayAddressError, GatewayError, Roles};
pub use grid_record::{GridRecord, MAX_CLEARING, MAX_CONTACTS, MAX_GATEWAYS, MAX_NODES};
pub use head::{MAX_FINAL_BYTES, MAX_RECORD_BYTES};
pub use judge::{Judgement, Verdict, judge};
pub use keeping::{HOLDERS, KEPT_AFTER_EXPIRY, Want, falls_to, is_over, makes_way, want};
pub use key_digest::{KeyDigest, KeyDigestError};
pub use limit::{Limit, LimitError};
pub use nickname::{Nickname, NicknameError};
pub use node_entry::{MAX_NODE_ADDRS, NodeEntry, NodeError};
pub use rates::MAX_RATES;
pub use sign::{SignError, Signer};
pub use signed_record::{Authority, SignedRecord};
pub use successor::{MoveFault, heir_of, moved_to};
pub use time::{CLOCK_TOLERANCE, DEFAULT_LIFETIME, MAX_FINAL_LIFETIME, MAX_LIFETIME, TimeFault};
pub use view::{AuthorityView, GatewayView, LimitView, NextPriceView, NodeView, RateView, RecordView};
pub use weight::Weights;
