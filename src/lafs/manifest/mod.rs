//! Manifests: what a reader needs beside a cap to check ciphertext unit by unit, in any order, without a share.
//!
//! A *unit* is what is verified and delivered as a whole: a segment, or an SDMF file. A manifest is for one version of one
//! file and a run of its units, and is known to lead to the file's verify cap. On the wire it is a map of deterministic CBOR
//! whose key 0 says the kind of file; `docs/spec/gateway.md`.

mod chk;
mod error;
mod kind;
mod layout;
mod mutable;
mod wire;

pub use chk::ChkManifest;
pub use error::{ManifestError, UnitMismatch, WrongCap};
pub use kind::{MAX_UNITS, Manifest, UnitCipher};
pub use layout::UnitLayout;
#[cfg(feature = "node")]
pub use mutable::MutableManifest;
pub use mutable::{MutableClaim, PinnedShare};
