//! Caps of mutable files, in both formats: `SSK` (SDMF) and `MDMF`.
//!
//! Each weaker secret is a hash of the stronger: write key, read key, storage index. The fingerprint of the file's
//! public key stands in all three forms.
//!
//! Early MDMF caps end in `:` and numbers, hints at how the file is cut (`:3:131073`). Tahoe reads such a cap and forgets
//! them. Here they are kept, so that the cap prints as it was written, and are no part of any cap made from it. Tahoe
//! reads anything in their place; here numbers are read and all else is refused, as something pasted on by mistake.

use crate::base32;
use crate::capability::key::{Key, StorageIndex};
use crate::capability::text::{CapError, CapFault, Field, Fields, number};
use std::fmt;
use zeroize::Zeroizing;

const TAG_READ_KEY: &str = "allmydata_mutable_writekey_to_readkey_v1";
const TAG_STORAGE_INDEX: &str = "allmydata_mutable_readkey_to_storage_index_v1";

/// How a mutable file's shares are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MutableFormat {
    /// Small distributed mutable file: one segment (`SSK`).
    Sdmf,
    /// Medium distributed mutable file: many segments (`MDMF`).
    Mdmf,
}

/// What the three forms of a mutable cap share.
#[derive(Clone, PartialEq, Eq)]
struct MutableFacts {
    format: MutableFormat,
    fingerprint: [u8; 32],
    /// Numbers separated by `:`; only ever in MDMF caps.
    hints: Option<String>,
}

impl MutableFacts {
    /// How many characters of hints are kept: Tahoe wrote two numbers.
    const MAX_HINTS: usize = 64;

    fn parse(mut fields: Fields<'_>, format: MutableFormat) -> Result<Self, CapError> {
        let fingerprint = fields.bytes(Field::Fingerprint)?;
        let hints = match (format, fields.tail()) {
            (MutableFormat::Sdmf, _) => {
                fields.end(Field::Fingerprint)?;
                None
            }
            (MutableFormat::Mdmf, None) => None,
            (MutableFormat::Mdmf, Some((hints, position))) => {
                if hints.len() > Self::MAX_HINTS {
                    let fault = CapFault::FreeLength { limit: Self::MAX_HINTS, found: hints.len() };
                    return Err(CapError { field: Field::Hints, position, fault });
                }
                let mut at = position;
                for hint in hints.split(':') {
                    number(hint, Field::Hints, at)?;
                    at += hint.len() + 1;
                }
                Some(hints.to_owned())
            }
        };
        Ok(Self { format, fingerprint, hints })
    }

    /// The same without the hints, for a cap that is made and not read.
    fn derived(&self) -> Self {
        Self { hints: None, ..self.clone() }
    }
}

impl fmt::Display for MutableFacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&base32::encode(&self.fingerprint))?;
        match &self.hints {
            Some(hints) => write!(f, ":{hints}"),
            None => Ok(()),
        }
    }
}

/// The write cap of a mutable file: whoever has it may change the file.
#[derive(Clone, PartialEq, Eq)]
pub struct MutableWrite {
    key: Key,
    facts: MutableFacts,
}

impl MutableWrite {
    /// The cap of a file with this write key and fingerprint.
    pub fn new(format: MutableFormat, write_key: Key, fingerprint: [u8; 32]) -> Self {
        Self { key: write_key, facts: MutableFacts { format, fingerprint, hints: None } }
    }

    /// How the shares are laid out.
    pub fn format(&self) -> MutableFormat {
        self.facts.format
    }

    /// The write key.
    pub fn write_key(&self) -> &Key {
        &self.key
    }

    /// The same file's read cap.
    pub fn read_cap(&self) -> MutableRead {
        MutableRead { key: Key::new(*self.key.hashed(TAG_READ_KEY)), facts: self.facts.derived() }
    }

    pub(super) fn parse(mut fields: Fields<'_>, format: MutableFormat) -> Result<Self, CapError> {
        let key = Key::new(fields.bytes(Field::WriteKey)?);
        Ok(Self { key, facts: MutableFacts::parse(fields, format)? })
    }

    pub(super) fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", *Zeroizing::new(base32::encode(self.key.as_bytes())), self.facts)
    }
}

impl fmt::Debug for MutableWrite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        debug(f, "MutableWrite", self.facts.format, self.read_cap().verifier().storage_index)
    }
}

/// The read cap of a mutable file: opens and verifies it.
#[derive(Clone, PartialEq, Eq)]
pub struct MutableRead {
    key: Key,
    facts: MutableFacts,
}

impl MutableRead {
    /// The cap of a file with this read key and fingerprint.
    pub fn new(format: MutableFormat, read_key: Key, fingerprint: [u8; 32]) -> Self {
        Self { key: read_key, facts: MutableFacts { format, fingerprint, hints: None } }
    }

    /// How the shares are laid out.
    pub fn format(&self) -> MutableFormat {
        self.facts.format
    }

    /// The read key.
    pub fn read_key(&self) -> &Key {
        &self.key
    }

    /// What can be handed to who may check the ciphertext and not read it.
    pub fn verifier(&self) -> MutableVerifier {
        let storage_index = StorageIndex::new(*self.key.hashed(TAG_STORAGE_INDEX));
        MutableVerifier { storage_index, facts: self.facts.derived() }
    }

    /// The same without the hints of an early MDMF cap.
    pub(super) fn plain(&self) -> Self {
        Self { facts: self.facts.derived(), ..self.clone() }
    }

    pub(super) fn parse(mut fields: Fields<'_>, format: MutableFormat) -> Result<Self, CapError> {
        let key = Key::new(fields.bytes(Field::ReadKey)?);
        Ok(Self { key, facts: MutableFacts::parse(fields, format)? })
    }

    pub(super) fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", *Zeroizing::new(base32::encode(self.key.as_bytes())), self.facts)
    }
}

impl fmt::Debug for MutableRead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        debug(f, "MutableRead", self.facts.format, self.verifier().storage_index)
    }
}

/// The verify cap of a mutable file: finds its shares and checks their signature and hashes, and opens nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct MutableVerifier {
    storage_index: StorageIndex,
    facts: MutableFacts,
}

impl MutableVerifier {
    /// The cap of a file with this storage index and fingerprint.
    pub fn new(format: MutableFormat, storage_index: StorageIndex, fingerprint: [u8; 32]) -> Self {
        Self { storage_index, facts: MutableFacts { format, fingerprint, hints: None } }
    }

    /// How the shares are laid out.
    pub fn format(&self) -> MutableFormat {
        self.facts.format
    }

    /// Where the shares are.
    pub fn storage_index(&self) -> StorageIndex {
        self.storage_index
    }

    /// The tagged hash of the file's public key, which signs every version.
    pub fn fingerprint(&self) -> &[u8; 32] {
        &self.facts.fingerprint
    }

    /// The same without the hints of an early MDMF cap.
    pub(super) fn plain(&self) -> Self {
        Self { facts: self.facts.derived(), ..self.clone() }
    }

    pub(super) fn parse(mut fields: Fields<'_>, format: MutableFormat) -> Result<Self, CapError> {
        let storage_index = StorageIndex::new(fields.bytes(Field::StorageIndex)?);
        Ok(Self { storage_index, facts: MutableFacts::parse(fields, format)? })
    }

    pub(super) fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.storage_index, self.facts)
    }
}

impl fmt::Debug for MutableVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        debug(f, "MutableVerifier", self.facts.format, self.storage_index)
    }
}

fn debug(f: &mut fmt::Formatter<'_>, name: &str, format: MutableFormat, storage_index: StorageIndex) -> fmt::Result {
    f.debug_struct(name).field("format", &format).field("storage_index", &storage_index).finish_non_exhaustive()
}
