//! The gateway's own HTTPS: sessions, records, manifests and ciphertext.
//!
//! Speaks of verify caps only. Specification: `docs/spec/gateway.md`.

mod access;
mod ahead;
mod allowance;
mod clearing;
mod connection;
mod files;
mod holds;
mod lanes;
mod leases;
mod listener;
mod quotes;
mod range;
mod records;
mod refresh;
mod refusal;
mod room;
mod routes;
mod rules;
mod sales;
mod sending;
mod server;
mod session;
mod shared;
mod watched;

pub(crate) use refusal::{Code, Refusal};
pub use server::{Gateway, GatewayError, GatewayParts};
pub use shared::OwnRecord;
