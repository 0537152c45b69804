//! The manifest of any kind of file.

use super::chk::ChkManifest;
use super::error::{ManifestError, UnitMismatch, WrongCap};
use super::layout::UnitLayout;
#[cfg(feature = "node")]
use super::mutable::{MutableClaim, MutableManifest};
use super::wire::MAX_UNCLES;
use crate::capability::{Capability, FileCap, MutableRead};
use crate::cbor::Reader;
use crate::lafs::cipher::Cipher;
use crate::lafs::mutable::segment_cipher;
use std::ops::Range;

/// The most units that one manifest is of: of a CHK file, 128 KiB of hashes. Who wants more asks for the next ones.
pub const MAX_UNITS: u64 = 4_096;

/// What checks the units of one version of a file. It is known to lead to the file's verify cap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Manifest {
    /// Of an immutable file: kind 1.
    Chk(ChkManifest),
    /// Of a mutable file: kinds 2 and 3. Without the feature `node` no signature is verified, and so there is none.
    #[cfg(feature = "node")]
    Mutable(MutableManifest),
}

const HASH_BYTES: u64 = 32;
const SALT_BYTES: u64 = 16;
/// What the lengths of lists take in all that is said of a share.
const LENGTHS: u64 = 32;

impl Manifest {
    /// Reads a manifest and verifies all of it to `cap`, a verify cap.
    ///
    /// `units` are those that were asked for, at most [`MAX_UNITS`]. The manifest is of exactly these, as far as the file has
    /// them.
    pub fn from_bytes(bytes: &[u8], cap: &Capability, units: Range<u64>) -> Result<Self, ManifestError> {
        let found = kind(bytes)?;
        match (cap.file(), found) {
            (FileCap::ChkVerifier(cap), ChkManifest::KIND) => ChkManifest::from_bytes(bytes, cap, units).map(Self::Chk),
            #[cfg(feature = "node")]
            (FileCap::MutableVerifier(cap), MutableClaim::SDMF_KIND | MutableClaim::MDMF_KIND) => {
                MutableManifest::new(MutableClaim::from_bytes(bytes, cap, units)?).map(Self::Mutable)
            }
            (FileCap::ChkVerifier(_) | FileCap::MutableVerifier(_), found) => Err(ManifestError::Kind { found }),
            _ => Err(ManifestError::Cap),
        }
    }

    /// The manifest as it is sent.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Chk(manifest) => manifest.encode(),
            #[cfg(feature = "node")]
            Self::Mutable(manifest) => manifest.claim().encode(),
        }
    }

    /// How many octets one of `count` other units of the same file has at most.
    pub fn at_most(&self, count: u64) -> u64 {
        let shares = match self {
            Self::Chk(_) => 1,
            #[cfg(feature = "node")]
            Self::Mutable(manifest) => u64::from(manifest.claim().prefix().shares().needed()),
        };
        // Beside what this one has: a hash for each share and a salt of each unit that it is not of, and for each share uncles and
        // longer lengths.
        let more = count.saturating_sub(self.units().end - self.units().start);
        let of_units = more.saturating_mul(HASH_BYTES * shares + SALT_BYTES);
        (self.encode().len() as u64)
            .saturating_add(of_units)
            .saturating_add(shares * (HASH_BYTES * MAX_UNCLES as u64 + LENGTHS))
    }

    /// How the whole file is cut.
    pub fn layout(&self) -> UnitLayout {
        match self {
            Self::Chk(manifest) => manifest.layout(),
            #[cfg(feature = "node")]
            Self::Mutable(manifest) => manifest.claim().layout(),
        }
    }

    /// The units that can be verified by it.
    pub fn units(&self) -> Range<u64> {
        match self {
            Self::Chk(manifest) => manifest.units(),
            #[cfg(feature = "node")]
            Self::Mutable(manifest) => manifest.claim().units(),
        }
    }

    /// Whether unit `unit` can be verified by it.
    pub fn covers(&self, unit: u64) -> bool {
        self.units().contains(&unit)
    }

    /// The name of this version of the file, as an HTTP entity tag: its quotes included.
    pub fn etag(&self) -> String {
        match self {
            Self::Chk(manifest) => manifest.etag(),
            #[cfg(feature = "node")]
            Self::Mutable(manifest) => manifest.claim().etag(),
        }
    }

    /// Whether `bytes` are the ciphertext of unit `unit`. One that the manifest does not cover is none.
    pub fn verify_unit(&self, unit: u64, bytes: &[u8]) -> Result<(), UnitMismatch> {
        match self {
            Self::Chk(manifest) => manifest.verify_unit(unit, bytes),
            #[cfg(feature = "node")]
            Self::Mutable(manifest) => manifest.claim().verify_unit(unit, bytes),
        }
    }

    /// What decrypts the units of this version, by the file's read cap.
    pub fn decryptor(&self, cap: &Capability) -> Result<UnitCipher, WrongCap> {
        match (self, cap.file()) {
            (Self::Chk(manifest), FileCap::ChkRead(cap)) => manifest.decryptor(cap),
            #[cfg(feature = "node")]
            (Self::Mutable(manifest), FileCap::MutableRead(cap)) => manifest.claim().decryptor(cap),
            _ => Err(WrongCap),
        }
    }
}

/// Key 0 of the map, whatever else it holds.
fn kind(bytes: &[u8]) -> Result<u64, ManifestError> {
    let mut kind = None;
    Reader::new(bytes).map(|key, reader| {
        if key == 0 {
            kind = Some(reader.uint()?);
            return Ok(());
        }
        reader.skip().map_err(ManifestError::from)
    })?;
    kind.ok_or(ManifestError::missing())
}

/// What decrypts the units of one version of a file.
#[derive(Debug, Clone)]
pub enum UnitCipher {
    /// One key for the whole file.
    Whole {
        /// The file's key, made ready.
        cipher: Box<Cipher>,
        /// How the file is cut.
        layout: UnitLayout,
    },
    /// A key for each unit of a mutable file, made of the file's and the unit's salt.
    Salted {
        /// The file's cap.
        cap: MutableRead,
        /// The unit of the first salt.
        first: u64,
        /// The salts, one for each unit that the manifest covers.
        salts: Vec<[u8; 16]>,
    },
}

impl UnitCipher {
    /// Decrypts unit `unit`, which was verified before, in its place.
    pub fn decrypt(&self, unit: u64, bytes: &mut [u8]) {
        match self {
            Self::Whole { cipher, layout } => cipher.apply_at(layout.unit_range(unit).start, bytes),
            Self::Salted { cap, first, salts } => {
                let place = unit.checked_sub(*first).and_then(|place| usize::try_from(place).ok());
                match place.and_then(|place| salts.get(place)) {
                    Some(salt) => segment_cipher(cap, salt).apply_at(0, bytes),
                    // It cannot have been verified. Nobody shall take the ciphertext for the content.
                    None => bytes.fill(0),
                }
            }
        }
    }
}
