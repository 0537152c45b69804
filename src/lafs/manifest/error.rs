//! What may be wrong with a manifest, a unit or a cap.

use crate::cbor::{CborError, CborFault};
use crate::lafs::mutable::PrefixError;
use crate::lafs::ueb::UebError;

/// Why bytes are not the manifest that a cap means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// Not the form that it must have.
    #[error("a manifest in another form than the one: {0}")]
    Cbor(#[from] CborError),
    /// A manifest of another kind of file than the cap's.
    #[error("a manifest of kind {found} for another kind of cap")]
    Kind {
        /// The kind that it says.
        found: u64,
    },
    /// A cap that has no manifest: a literal, or one that does more than verify.
    #[error("a manifest is for a verify cap")]
    Cap,
    /// The URI extension block is not the cap's.
    #[error(transparent)]
    Ueb(#[from] UebError),
    /// The signed prefix of a mutable file is none.
    #[error(transparent)]
    Prefix(#[from] PrefixError),
    /// The public key is not the one whose fingerprint is in the cap.
    #[error("the public key is not the cap's")]
    Key,
    /// The version is not signed by that key.
    #[error("the signature is not by the file's key")]
    Signature,
    /// Not k shares by ascending numbers.
    #[error("other shares are pinned than as many as are needed, by ascending numbers")]
    Pinned,
    /// Other units than were asked for.
    #[error("{count} units from {first} on, where others were asked for")]
    Units {
        /// The first of them.
        first: u64,
        /// How many there are.
        count: u64,
    },
    /// Hashes that do not lead to the cap.
    #[error("the hashes of the manifest do not lead to the cap")]
    Hashes,
}

impl ManifestError {
    /// A field without which there is no manifest.
    pub(super) fn missing() -> Self {
        Self::Cbor(CborError { offset: 0, fault: CborFault::Expected("another entry") })
    }
}

/// A unit that is not the file's: damaged, cut off, or another one. Nothing of it may be handed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unit {unit} is not the one that the cap means")]
pub struct UnitMismatch {
    /// Its number, counted from 0 in the file.
    pub unit: u64,
}

/// A cap that does not open the file which a manifest is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the cap does not read the file that the manifest is of")]
pub struct WrongCap;
