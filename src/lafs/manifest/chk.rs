//! The manifest of an immutable file: its URI extension block, and the hashes of neighbouring segments with their uncles.

use super::error::{ManifestError, UnitMismatch, WrongCap};
use super::kind::{MAX_UNITS, UnitCipher};
use super::layout::UnitLayout;
use super::wire::{MAX_UNCLES, covered, hashes};
use crate::capability::{ChkRead, ChkVerifier};
use crate::cbor::{CborFault, MapWriter, Reader};
use crate::lafs::cipher::Cipher;
use crate::lafs::hash_tree::{Hash, VerifiedLeaves, leaves_and_uncles};
use crate::lafs::immutable::segment_hash;
use crate::lafs::ueb::{MAX_UEB_BYTES, UriExtension};
use data_encoding::HEXLOWER;
use std::ops::Range;

/// What checks segments of an immutable file, whose URI extension block and hashes lead to the cap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChkManifest {
    ueb: UriExtension,
    leaves: VerifiedLeaves,
    uncles: Vec<Hash>,
}

impl ChkManifest {
    /// The kind of file that key 0 says.
    pub const KIND: u64 = 1;

    /// The manifest of the segments from `first` on whose hashes are `leaves`; refuses what does not lead to the cap that `ueb`
    /// was held against.
    pub fn new(ueb: UriExtension, first: u64, leaves: Vec<Hash>, uncles: Vec<Hash>) -> Result<Self, ManifestError> {
        let count = leaves.len() as u64;
        if count > MAX_UNITS {
            return Err(ManifestError::Units { first, count });
        }
        let (segments, root) = (ueb.segments().count(), &ueb.hashes().crypttext_root);
        let leaves = VerifiedLeaves::new(segments, first, leaves, &uncles, root).ok_or(ManifestError::Hashes)?;
        Ok(Self { ueb, leaves, uncles })
    }

    /// The manifest of `units`, as far as the file has them, out of the whole crypttext tree of a share.
    pub fn of_tree(ueb: UriExtension, tree: &[u8], units: Range<u64>) -> Result<Self, ManifestError> {
        let segments = ueb.segments().count();
        let (first, count) = (units.start, covered(&units, segments));
        let (leaves, uncles) =
            leaves_and_uncles(segments, tree, first, count).ok_or(ManifestError::Units { first, count })?;
        Self::new(ueb, first, leaves, uncles)
    }

    /// The URI extension block.
    pub fn ueb(&self) -> &UriExtension {
        &self.ueb
    }

    pub(super) fn from_bytes(bytes: &[u8], cap: &ChkVerifier, units: Range<u64>) -> Result<Self, ManifestError> {
        let (mut ueb, mut first, mut leaves, mut uncles) = (None, None, None, None);
        let mut reader = Reader::new(bytes);
        reader.map(|key, reader| {
            match key {
                0 => drop(reader.uint()?),
                1 => ueb = Some(reader.bytes(MAX_UEB_BYTES)?),
                2 => first = Some(reader.uint()?),
                3 => leaves = Some(hashes(reader, MAX_UNITS as usize)?),
                4 => uncles = Some(hashes(reader, MAX_UNCLES)?),
                _ => return Err(ManifestError::from(reader.fault(CborFault::Expected("a known key")))),
            }
            Ok(())
        })?;
        reader.end()?;
        let (Some(ueb), Some(first), Some(leaves), Some(uncles)) = (ueb, first, leaves, uncles) else {
            return Err(ManifestError::missing());
        };
        let ueb = UriExtension::parse(ueb, cap)?;
        let count = leaves.len() as u64;
        if first != units.start || count != covered(&units, ueb.segments().count()) {
            return Err(ManifestError::Units { first, count });
        }
        Self::new(ueb, first, leaves.to_vec(), uncles.to_vec())
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut map = MapWriter::new();
        map.uint(0, Self::KIND).bytes(1, self.ueb.bytes()).uint(2, self.leaves.first());
        map.bytes(3, self.leaves.leaves().as_flattened()).bytes(4, self.uncles.as_flattened());
        map.finish()
    }

    pub(super) fn layout(&self) -> UnitLayout {
        let segments = self.ueb.segments();
        UnitLayout { size: segments.size(), unit: segments.segment_size() }
    }

    pub(super) fn units(&self) -> Range<u64> {
        self.leaves.first()..self.leaves.first() + self.leaves.leaves().len() as u64
    }

    pub(super) fn etag(&self) -> String {
        format!("\"{}\"", HEXLOWER.encode(self.ueb.cap().ueb_hash()))
    }

    pub(super) fn verify_unit(&self, unit: u64, bytes: &[u8]) -> Result<(), UnitMismatch> {
        // The length is in the leaf as well; this refuses a long one without hashing it.
        let right = bytes.len() == self.ueb.segments().len(unit);
        match self.leaves.get(unit) {
            Some(leaf) if right && segment_hash(bytes) == *leaf => Ok(()),
            _ => Err(UnitMismatch { unit }),
        }
    }

    pub(super) fn decryptor(&self, cap: &ChkRead) -> Result<UnitCipher, WrongCap> {
        if cap.verifier() != *self.ueb.cap() {
            return Err(WrongCap);
        }
        Ok(UnitCipher::Whole { cipher: Cipher::new(cap.key()), layout: self.layout() })
    }
}
