//! Mutable files: how their shares are laid out, what is signed, which version counts, and how one is made.
//!
//! Each version of a file is a signed prefix, whose root leads to every block of every share. SDMF keeps the file in one
//! segment, MDMF in segments of 128 KiB, each with a salt of its own. Nothing here decides whom to ask, or writes to a grid.
//! Signatures want the feature `node`, and so does what signs; all else is here without it. Format: Tahoe-LAFS
//! `docs/specifications/mutable.rst`.

#[cfg(feature = "node")]
mod encode;
mod layout;
mod prefix;
mod segment;
#[cfg(feature = "node")]
mod signature;
#[cfg(all(test, feature = "node"))]
mod tests;
mod version;

#[cfg(feature = "node")]
pub use encode::{EncodedMutable, MutableEncoding, encode};
pub use layout::{LayoutError, Section, ShareLayout};
pub use prefix::{MutableVersion, PrefixError, SignedPrefix};
pub use segment::{block_hash, fingerprint, leaf_of_empty_file, segment_cipher};
#[cfg(feature = "node")]
pub use signature::{BadFileKey, BadSignature, FileKey, verify_signature};
pub use version::{Candidate, candidates};
