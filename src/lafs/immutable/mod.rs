//! Immutable files: where things lie in a share, how each is held against the cap, and the making of shares.
//!
//! A share is read from its header on: [`ShareHeader`] says where the URI extension block is, that block and the header give
//! the [`ShareLayout`], the share hash chain proves the share's [`ShareProof`], and that proves blocks. Format: Tahoe-LAFS
//! `docs/specifications/file-encoding.rst`.

mod encode;
mod header;
mod layout;
mod proof;
#[cfg(test)]
mod tests;

pub use encode::{ChkEncoding, ChkKey, DEFAULT_MAX_SEGMENT, EncodeError, EncodedFile, encode};
pub use header::{ShareHeader, ShareHeaderError, ShareVersion};
pub use layout::{ShareLayout, ShareLayoutError};
pub use proof::{ShareProof, block_hash, crypttext_hash, segment_hash};
