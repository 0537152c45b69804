//! Tahoe-LAFS caps and foreign caps as text and as values.
//!
//! A [`Capability`] is any cap of one grid; a [`ForeignCap`] is one with the grid it lives on. Both parse from one
//! text and print it again, exactly: nothing else is accepted. Nothing here fetches, decodes or decrypts.
//!
//! A cap is a secret. `Debug` shows its kind and storage index and no more, an error shows at most one character of
//! it, and keys are overwritten when dropped. `Display` prints the whole cap: never into a log.
//!
//! Formats: Tahoe-LAFS `docs/specifications/uri.rst` and `docs/specifications/mutable.rst`; `docs/spec/foreign-cap.md`.

mod area;
mod cap;
mod foreign;
mod immutable;
mod key;
mod mutable;
#[cfg(test)]
mod samples;
mod text;

pub use area::{Area, ReservedArea, ShortCode};
pub use cap::{Capability, FileCap, Power};
pub use foreign::{ForeignCap, ForeignCapError, GridOrCap, GridOrCapError, MadeForeign};
pub use immutable::{ChkRead, ChkVerifier, Literal, LiteralTooLong, ShareCounts};
pub use key::{Key, StorageIndex};
pub use mutable::{MutableFormat, MutableRead, MutableVerifier, MutableWrite};
pub use text::{CapError, CapFault, Field, MAX_CAP_BYTES};
