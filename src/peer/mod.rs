//! HTTPS between machines that know each other by their keys: calling another grid's gateway, or one's home.
//!
//! A certificate is a wrapper around a key, and what is compared is the key's hash. No authority, no name and no date in a
//! certificate is looked at (`docs/spec/gateway.md`; Tahoe-LAFS `docs/specifications/url.rst`). What a gateway answers is
//! believed as far as it is signed or matches its hash.

mod backoff;
mod body;
mod buffers;
mod client;
mod connection;
mod dial;
mod error;
mod files;
#[cfg(test)]
mod fixtures;
mod heap;
mod identity;
mod payment;
mod place;
mod records;
mod refusal;
mod tls;
mod units;

pub use client::{GatewayClient, GatewayGreeting, Welcome, WelcomedAs, ask_gateway};
pub use dial::{DialError, DialGuard, Named};
pub use error::PeerError;
pub use files::{AT_MOST, PAGE_UNITS, THEN_RANGE, USUAL_UNIT, manifest_estimate, pages_of_manifest};
pub use heap::keep_heap;
pub use identity::{IdentityError, TlsIdentity};
pub use payment::{Came, FreeOnly, LANE, PaidRequest, Payer, Purchase};
pub use place::{CallerIdentity, CurrentRecord, GatewayPlace};
pub use records::{Freshness, GivenRecord};
pub use refusal::{Refusal, RefusalCode};
pub use tls::{
    CHANNEL_BINDING_BYTES, Pin, Socket, buffered, channel_binding, client_config, is_wrong_key, pinned_client_config,
    server_name, spki_hash,
};
pub use units::Units;
