//! HTTPS between machines that know each other by their keys.
//!
//! So far the TLS of it: a certificate is a wrapper around a key, and what is compared is the key's hash. No authority, no
//! name and no date in a certificate is looked at (`docs/spec/gateway.md`; Tahoe-LAFS `docs/specifications/url.rst`).

mod identity;
mod tls;

pub use identity::{IdentityError, TlsIdentity};
pub use tls::{
    CHANNEL_BINDING_BYTES, Pin, channel_binding, client_config, is_wrong_key, pinned_client_config, server_name,
    spki_hash,
};
