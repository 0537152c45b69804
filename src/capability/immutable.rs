//! Caps of immutable files: literal (`LIT`) and content-hash-keyed (`CHK`).

use crate::base32;
use crate::capability::key::{Key, StorageIndex};
use crate::capability::text::{CapError, CapFault, Field, Fields};
use crate::units::Bytes;
use std::fmt;
use zeroize::Zeroizing;

const TAG_STORAGE_INDEX: &str = "allmydata_immutable_key_to_storage_index_v1";

/// A file small enough to be its own cap: there is nothing to fetch.
#[derive(Clone, PartialEq, Eq)]
pub struct Literal(Zeroizing<Vec<u8>>);

impl Literal {
    /// The largest content that a new literal is made of, in bytes: Tahoe's limit.
    pub const MAX_MADE: usize = 55;
    /// The largest content that is read, in bytes. Tahoe reads any.
    pub const MAX_READ: usize = 4_096;

    /// The literal of `content`.
    pub fn new(content: &[u8]) -> Result<Self, LiteralTooLong> {
        if content.len() > Self::MAX_MADE {
            return Err(LiteralTooLong { found: content.len() });
        }
        Ok(Self(Zeroizing::new(content.to_vec())))
    }

    /// The content of the file.
    pub fn content(&self) -> &[u8] {
        &self.0
    }

    pub(super) fn parse(mut fields: Fields<'_>) -> Result<Self, CapError> {
        let (content, position) = fields.any_bytes(Field::Content)?;
        let content = Zeroizing::new(content);
        fields.end(Field::Content)?;
        if content.len() > Self::MAX_READ {
            let fault = CapFault::ContentTooLong { found: content.len(), limit: Self::MAX_READ };
            return Err(CapError { field: Field::Content, position, fault });
        }
        Ok(Self(content))
    }

    pub(super) fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&Zeroizing::new(base32::encode(&self.0)))
    }
}

impl fmt::Debug for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Literal").finish_non_exhaustive()
    }
}

/// Content beyond the size that a literal cap is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{found} bytes do not fit in a literal cap of at most {}", Literal::MAX_MADE)]
pub struct LiteralTooLong {
    /// The size of the content in bytes.
    pub found: usize,
}

/// How a file is cut into shares: `needed` of `total` restore it; 1 ≤ needed ≤ total ≤ 256.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ShareCounts {
    needed: u16,
    total: u16,
}

impl ShareCounts {
    /// The most shares that the erasure code can make.
    pub const MAX_TOTAL: u16 = 256;

    /// These counts; `None` outside their bounds.
    pub fn new(needed: u16, total: u16) -> Option<Self> {
        (1 <= needed && needed <= total && total <= Self::MAX_TOTAL).then_some(Self { needed, total })
    }

    /// How many different shares restore the file (k).
    pub fn needed(self) -> u16 {
        self.needed
    }

    /// How many shares were made (N).
    pub fn total(self) -> u16 {
        self.total
    }
}

/// What the two forms of a CHK cap share.
#[derive(Clone, PartialEq, Eq)]
struct ChkFacts {
    ueb_hash: [u8; 32],
    shares: ShareCounts,
    size: Bytes,
}

impl ChkFacts {
    fn parse(mut fields: Fields<'_>) -> Result<Self, CapError> {
        let ueb_hash = fields.bytes(Field::UebHash)?;
        let (needed, _) = count(&mut fields, Field::SharesNeeded)?;
        let (total, position) = count(&mut fields, Field::SharesTotal)?;
        let fault = CapError { field: Field::SharesTotal, position, fault: CapFault::FewerThanNeeded };
        let shares = ShareCounts::new(needed, total).ok_or(fault)?;
        let (size, _) = fields.number(Field::Size)?;
        fields.end(Field::Size)?;
        Ok(Self { ueb_hash, shares, size: Bytes(size) })
    }
}

fn count(fields: &mut Fields<'_>, field: Field) -> Result<(u16, usize), CapError> {
    let (number, position) = fields.number(field)?;
    match u16::try_from(number) {
        Ok(number @ 1..=ShareCounts::MAX_TOTAL) => Ok((number, position)),
        _ => Err(CapError { field, position, fault: CapFault::ShareCount }),
    }
}

impl fmt::Display for ChkFacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { ueb_hash, shares, size } = self;
        write!(f, "{}:{}:{}:{}", base32::encode(ueb_hash), shares.needed, shares.total, size.0)
    }
}

/// The read cap of an immutable file: opens and verifies it.
#[derive(Clone, PartialEq, Eq)]
pub struct ChkRead {
    key: Key,
    facts: ChkFacts,
}

impl ChkRead {
    /// The cap of a file with this key, hash of the URI extension block, share counts and size.
    pub fn new(key: Key, ueb_hash: [u8; 32], shares: ShareCounts, size: Bytes) -> Self {
        Self { key, facts: ChkFacts { ueb_hash, shares, size } }
    }

    /// The key that decrypts the file.
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// What can be handed to who may check the ciphertext and not read it.
    pub fn verifier(&self) -> ChkVerifier {
        let storage_index = StorageIndex::new(*self.key.hashed(TAG_STORAGE_INDEX));
        ChkVerifier { storage_index, facts: self.facts.clone() }
    }

    pub(super) fn parse(mut fields: Fields<'_>) -> Result<Self, CapError> {
        let key = Key::new(fields.bytes(Field::Key)?);
        Ok(Self { key, facts: ChkFacts::parse(fields)? })
    }

    pub(super) fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", *Zeroizing::new(base32::encode(self.key.as_bytes())), self.facts)
    }
}

impl fmt::Debug for ChkRead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChkRead").field("storage_index", &self.verifier().storage_index).finish_non_exhaustive()
    }
}

/// The verify cap of an immutable file: finds its shares and checks every byte of ciphertext, and opens nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct ChkVerifier {
    storage_index: StorageIndex,
    facts: ChkFacts,
}

impl ChkVerifier {
    /// The cap of a file with this storage index, hash of the URI extension block, share counts and size.
    pub fn new(storage_index: StorageIndex, ueb_hash: [u8; 32], shares: ShareCounts, size: Bytes) -> Self {
        Self { storage_index, facts: ChkFacts { ueb_hash, shares, size } }
    }

    /// Where the shares are.
    pub fn storage_index(&self) -> StorageIndex {
        self.storage_index
    }

    /// The hash of the URI extension block, to which every other hash of the file leads.
    pub fn ueb_hash(&self) -> &[u8; 32] {
        &self.facts.ueb_hash
    }

    /// How the file is cut into shares.
    pub fn shares(&self) -> ShareCounts {
        self.facts.shares
    }

    /// The size of the file.
    pub fn size(&self) -> Bytes {
        self.facts.size
    }

    pub(super) fn parse(mut fields: Fields<'_>) -> Result<Self, CapError> {
        let storage_index = StorageIndex::new(fields.bytes(Field::StorageIndex)?);
        Ok(Self { storage_index, facts: ChkFacts::parse(fields)? })
    }

    pub(super) fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.storage_index, self.facts)
    }
}

impl fmt::Debug for ChkVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChkVerifier").field("storage_index", &self.storage_index).finish_non_exhaustive()
    }
}
