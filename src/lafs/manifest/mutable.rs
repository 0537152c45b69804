//! The manifest of a mutable file: the signed prefix and its signature, and k shares pinned by the hashes of their blocks.
//!
//! No hash of the ciphertext exists in such a file. So a unit is verified by making of it the blocks of k shares, and holding
//! those against the pinned hashes: k blocks say all of a segment, and no other segment has them.

use super::error::{ManifestError, UnitMismatch, WrongCap};
use super::kind::{MAX_UNITS, UnitCipher};
use super::layout::UnitLayout;
use super::wire::{MAX_UNCLES, covered, hashes};
use crate::capability::{MutableFormat, MutableRead, MutableVerifier};
use crate::cbor::{CborError, CborFault, MapWriter, Reader};
use crate::lafs::erasure::ErasureCode;
use crate::lafs::hash_tree::{Hash, HashChain, leaves_and_uncles, root_of_range};
use crate::lafs::mutable::{SignedPrefix, block_hash, fingerprint, leaf_of_empty_file};
use data_encoding::HEXLOWER;
use std::ops::Range;

/// The longest public key and signature: of RSA with 8,192 bits.
const MAX_KEY_BYTES: usize = 1_200;
const MAX_SIGNATURE_BYTES: usize = 1_024;

/// One of the k shares that units are held against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PinnedShare {
    number: u16,
    chain: HashChain,
    leaves: Vec<Hash>,
    uncles: Vec<Hash>,
}

impl PinnedShare {
    /// Share `number`, with its share hash chain, and the leaves and uncles of its block hash tree for the units meant.
    pub fn new(number: u16, chain: HashChain, leaves: Vec<Hash>, uncles: Vec<Hash>) -> Self {
        Self { number, chain, leaves, uncles }
    }

    /// Share `number`, with its share hash chain and its whole block hash tree, cut down to `units` as far as the file of
    /// `prefix` has them; `None` if the tree is too short or there are none such.
    pub fn of_tree(
        prefix: &SignedPrefix,
        number: u16,
        chain: HashChain,
        tree: &[u8],
        units: Range<u64>,
    ) -> Option<Self> {
        let segments = prefix.segments();
        if segments == 0 {
            return Some(Self::new(number, chain, vec![], vec![]));
        }
        let (leaves, uncles) = leaves_and_uncles(segments, tree, units.start, covered(&units, segments))?;
        Some(Self::new(number, chain, leaves, uncles))
    }

    /// The root over all shares that this one leads to.
    fn root(&self, prefix: &SignedPrefix, first: u64) -> Option<Hash> {
        let leaf = match prefix.segments() {
            0 => (self.leaves.is_empty() && self.uncles.is_empty()).then(leaf_of_empty_file)?,
            segments => root_of_range(segments, first, &self.leaves, &self.uncles)?,
        };
        self.chain.root(prefix.shares().total(), self.number, &leaf)
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, ManifestError> {
        let (mut number, mut chain, mut leaves, mut uncles) = (None, None, None, None);
        let start = reader.offset();
        reader.map(|key, reader| {
            match key {
                0 => number = Some(reader.uint()?),
                1 => chain = Some(reader.bytes(HashChain::MAX_ENTRIES * HashChain::ENTRY_BYTES)?),
                2 => leaves = Some(hashes(reader, MAX_UNITS as usize)?),
                3 => uncles = Some(hashes(reader, MAX_UNCLES)?),
                _ => return Err(ManifestError::from(reader.fault(CborFault::Expected("a known key")))),
            }
            Ok(())
        })?;
        let missing = CborError { offset: start, fault: CborFault::Expected("another entry") };
        let (Some(number), Some(chain), Some(leaves), Some(uncles)) = (number, chain, leaves, uncles) else {
            return Err(missing.into());
        };
        let number = u16::try_from(number).map_err(|_| ManifestError::Pinned)?;
        let chain = HashChain::from_bytes(chain).map_err(|_| ManifestError::Hashes)?;
        Ok(Self::new(number, chain, leaves.to_vec(), uncles.to_vec()))
    }

    fn encode(&self) -> Vec<u8> {
        let mut map = MapWriter::new();
        map.uint(0, self.number.into()).bytes(1, &self.chain.to_bytes());
        map.bytes(2, self.leaves.as_flattened()).bytes(3, self.uncles.as_flattened());
        map.finish()
    }
}

/// What says of itself that it is the manifest of a mutable file: all of it leads to the signed prefix, and the key is the
/// cap's. Only the signature is not verified, which wants the feature `node`: nothing may be believed by it before.
#[derive(Debug, Clone)]
pub struct MutableClaim {
    prefix: SignedPrefix,
    signature: Vec<u8>,
    public_key: Vec<u8>,
    pinned: Vec<PinnedShare>,
    first: u64,
    salts: Vec<[u8; 16]>,
    code: ErasureCode,
}

impl MutableClaim {
    /// The kind of file that key 0 says of SDMF.
    pub const SDMF_KIND: u64 = 2;
    /// The same of MDMF.
    pub const MDMF_KIND: u64 = 3;

    /// The claim made of what shares hold, for the units from `first` on; refuses what does not lead to `cap`.
    ///
    /// `pinned` are k shares by ascending numbers; `salts` are those of the units, in MDMF alone.
    pub fn new(
        cap: &MutableVerifier,
        prefix: SignedPrefix,
        public_key: Vec<u8>,
        signature: Vec<u8>,
        pinned: Vec<PinnedShare>,
        first: u64,
        salts: Vec<[u8; 16]>,
    ) -> Result<Self, ManifestError> {
        if prefix.format() != cap.format() {
            return Err(ManifestError::Kind { found: kind(prefix.format()) });
        }
        if fingerprint(&public_key) != *cap.fingerprint() {
            return Err(ManifestError::Key);
        }
        let ascending = pinned.is_sorted_by(|a, b| a.number < b.number);
        if pinned.len() != usize::from(prefix.shares().needed()) || !ascending {
            return Err(ManifestError::Pinned);
        }
        let count = pinned.first().map_or(0, |share| share.leaves.len());
        let salted = if prefix.format() == MutableFormat::Mdmf { count } else { 0 };
        if count as u64 > MAX_UNITS || salts.len() != salted {
            return Err(ManifestError::Units { first, count: count as u64 });
        }
        let root = prefix.version().root;
        if !pinned.iter().all(|share| share.leaves.len() == count && share.root(&prefix, first) == Some(root)) {
            return Err(ManifestError::Hashes);
        }
        let code = ErasureCode::new(prefix.shares());
        Ok(Self { prefix, signature, public_key, pinned, first, salts, code })
    }

    /// Reads a claim, of exactly `units` as far as the file has them.
    pub fn from_bytes(bytes: &[u8], cap: &MutableVerifier, units: Range<u64>) -> Result<Self, ManifestError> {
        let (mut prefix, mut signature, mut public_key, mut pinned) = (None, None, None, None);
        let (mut said, mut first, mut salts) = (None, None, None);
        let mdmf = cap.format() == MutableFormat::Mdmf;
        let mut reader = Reader::new(bytes);
        reader.map(|key, reader| {
            match key {
                0 => said = Some(reader.uint()?),
                1 => prefix = Some(reader.bytes(SignedPrefix::SDMF_BYTES)?),
                2 => signature = Some(reader.bytes(MAX_SIGNATURE_BYTES)?),
                3 => public_key = Some(reader.bytes(MAX_KEY_BYTES)?),
                4 => pinned = Some(reader.array(usize::from(u8::MAX), PinnedShare::read)?),
                5 if mdmf => first = Some(reader.uint()?),
                6 if mdmf => salts = Some(read_salts(reader)?),
                _ => return Err(ManifestError::from(reader.fault(CborFault::Expected("a known key")))),
            }
            Ok(())
        })?;
        reader.end()?;
        let (Some(said), Some(prefix), Some(signature), Some(public_key), Some(pinned)) =
            (said, prefix, signature, public_key, pinned)
        else {
            return Err(ManifestError::missing());
        };
        if said != kind(cap.format()) {
            return Err(ManifestError::Kind { found: said });
        }
        let (first, salts) = match (mdmf, first, salts) {
            (false, _, _) => (0, vec![]),
            (true, Some(first), Some(salts)) => (first, salts),
            _ => return Err(ManifestError::missing()),
        };
        let prefix = SignedPrefix::from_bytes(prefix)?;
        let count = pinned.first().map_or(0, |share| share.leaves.len()) as u64;
        if first != units.start || count != covered(&units, prefix.segments()) {
            return Err(ManifestError::Units { first, count });
        }
        Self::new(cap, prefix, public_key.to_vec(), signature.to_vec(), pinned, first, salts)
    }

    /// The claim as it is sent.
    pub fn encode(&self) -> Vec<u8> {
        let mut map = MapWriter::new();
        map.uint(0, kind(self.prefix.format())).bytes(1, &self.prefix.to_bytes()).bytes(2, &self.signature);
        map.bytes(3, &self.public_key).array(4, &self.pinned.iter().map(PinnedShare::encode).collect::<Vec<_>>());
        if self.prefix.format() == MutableFormat::Mdmf {
            map.uint(5, self.first).bytes(6, self.salts.as_flattened());
        }
        map.finish()
    }

    /// What is signed.
    pub fn prefix(&self) -> &SignedPrefix {
        &self.prefix
    }

    /// How the whole file is cut.
    pub fn layout(&self) -> UnitLayout {
        let unit = match self.prefix.format() {
            MutableFormat::Sdmf => self.prefix.size(),
            MutableFormat::Mdmf => self.prefix.segment_size(),
        };
        UnitLayout { size: self.prefix.size(), unit }
    }

    /// The units that can be verified by it.
    pub fn units(&self) -> Range<u64> {
        self.first..self.first + self.pinned.first().map_or(0, |share| share.leaves.len()) as u64
    }

    /// The name of this version, as an HTTP entity tag: its quotes included.
    pub fn etag(&self) -> String {
        let version = self.prefix.version();
        format!("\"{}-{}\"", version.sequence, HEXLOWER.encode(&version.root))
    }

    /// Whether `bytes` are the ciphertext of unit `unit`.
    pub fn verify_unit(&self, unit: u64, bytes: &[u8]) -> Result<(), UnitMismatch> {
        let mismatch = UnitMismatch { unit };
        if !self.units().contains(&unit) || Some(bytes.len()) != self.prefix.segment_len(unit) {
            return Err(mismatch);
        }
        let place = (unit - self.first) as usize;
        let salt = self.salts.get(place).or(self.prefix.salt()).ok_or(mismatch)?;
        let mut block = vec![0; self.code.block_len(bytes.len())];
        for share in &self.pinned {
            self.code.encode(bytes, share.number, &mut block).map_err(|_| mismatch)?;
            if block_hash(self.prefix.format(), salt, &block) != share.leaves[place] {
                return Err(mismatch);
            }
        }
        Ok(())
    }

    /// What decrypts the units, if `cap` is the file's.
    pub fn decryptor(&self, cap: &MutableRead) -> Result<UnitCipher, WrongCap> {
        if *cap.verifier().fingerprint() != fingerprint(&self.public_key) || cap.format() != self.prefix.format() {
            return Err(WrongCap);
        }
        let salts = match self.prefix.salt() {
            Some(salt) => vec![*salt],
            None => self.salts.clone(),
        };
        Ok(UnitCipher::Salted { cap: cap.clone(), first: self.first, salts })
    }
}

/// The manifest of a version of a mutable file, signed by the key whose fingerprint is in the file's caps.
#[cfg(feature = "node")]
#[derive(Debug, Clone)]
pub struct MutableManifest(MutableClaim);

#[cfg(feature = "node")]
impl MutableManifest {
    /// The manifest, if the claim's signature is right.
    pub fn new(claim: MutableClaim) -> Result<Self, ManifestError> {
        crate::lafs::mutable::verify_signature(&claim.public_key, &claim.prefix.to_bytes(), &claim.signature)
            .map_err(|_| ManifestError::Signature)?;
        Ok(Self(claim))
    }

    /// What is known to be signed.
    pub fn claim(&self) -> &MutableClaim {
        &self.0
    }
}

#[cfg(feature = "node")]
impl PartialEq for MutableManifest {
    fn eq(&self, other: &Self) -> bool {
        self.0.encode() == other.0.encode()
    }
}

#[cfg(feature = "node")]
impl Eq for MutableManifest {}

fn kind(format: MutableFormat) -> u64 {
    match format {
        MutableFormat::Sdmf => MutableClaim::SDMF_KIND,
        MutableFormat::Mdmf => MutableClaim::MDMF_KIND,
    }
}

fn read_salts(reader: &mut Reader<'_>) -> Result<Vec<[u8; 16]>, ManifestError> {
    let before = reader.clone();
    let (salts, rest) = reader.bytes(MAX_UNITS as usize * 16)?.as_chunks();
    if !rest.is_empty() {
        return Err(before.fault(CborFault::Expected("whole salts")).into());
    }
    Ok(salts.to_vec())
}
