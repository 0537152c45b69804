//! One version of a mutable file, read out of its shares: the newest that enough of them hold.

use crate::capability::{MutableFormat, MutableVerifier, ShareCounts, StorageIndex};
use crate::gateway::shares::budget::Held;
use crate::gateway::shares::candidates::Candidates;
use crate::gateway::shares::error::{ReadError, ShareFault};
use crate::gateway::shares::gather::gather;
use crate::gateway::shares::mutable_share::{MutableShare, Proven};
use crate::gateway::shares::pick::Choice;
use crate::gateway::shares::server::ShareServer;
use crate::gateway::unit::Unit;
use crate::grid::ShareKind;
use crate::lafs::erasure::ErasureCode;
use crate::lafs::manifest::{Manifest, MutableClaim, MutableManifest, PinnedShare, UnitLayout};
use crate::lafs::mutable::{ShareLayout, SignedPrefix, candidates as versions};
use futures::FutureExt;
use futures::future::BoxFuture;
use futures::stream::{self, StreamExt};
use hyper::body::Bytes;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::task::spawn_blocking;

/// How long servers may take to say which shares they have: whoever is slower may hold a newer version, and is not waited for.
const PATIENCE: Duration = Duration::from_secs(5);
/// How many shares are looked at, at once and in all.
const LOOKS: usize = 32;
const MAX_SHARES: usize = 1_024;
/// How much is read of one share at a time for the salts of a manifest.
const SALT_RUN: u64 = 8 << 20;

/// One version.
pub(super) struct MutableFile {
    cap: MutableVerifier,
    prefix: SignedPrefix,
    public_key: Vec<u8>,
    signature: Vec<u8>,
    code: ErasureCode,
    candidates: Candidates<MutableShare>,
    /// Of MDMF, the salts of the units that were read or told of already: a salt stands before its block and is verified with
    /// it, so that each costs the reading of a block.
    salts: Mutex<Vec<Option<Salt>>>,
}

type Salt = [u8; ShareLayout::SALT_BYTES as usize];

impl MutableFile {
    /// Finds the newest version of which enough shares are whole, or the one that `tag` names.
    pub(super) async fn open(
        cap: &MutableVerifier,
        tag: Option<&str>,
        servers: Vec<Arc<dyn ShareServer>>,
    ) -> Result<Self, ReadError> {
        let search: Candidates<MutableShare> = Candidates::search(ShareKind::Mutable, cap.storage_index(), servers);
        search.settle_all(PATIENCE).await;
        let found = search.all();
        if found.is_empty() {
            return Err(search.too_few(1));
        }
        let index = search.index();
        let looks: Vec<_> = found
            .into_iter()
            .take(MAX_SHARES)
            .map(|(candidate, server, number)| look(candidate, server, index, number))
            .collect();
        let mut looks = stream::iter(looks).buffer_unordered(LOOKS);
        let mut shares: Vec<Arc<MutableShare>> = Vec::new();
        // By each version, the key and the signature of the first share whose signature is right. A wrong one speaks against
        // its share alone: whoever holds one must not be able to discredit the version.
        let mut signed: BTreeMap<SignedPrefix, (Vec<u8>, Vec<u8>)> = BTreeMap::new();
        let mut not_served = None;
        while let Some((candidate, share)) = looks.next().await {
            let share = share.and_then(|share| {
                if !signed.contains_key(share.prefix()) {
                    share.verify(cap)?;
                    signed.insert(share.prefix().clone(), share.keys());
                }
                Ok(share)
            });
            match share {
                Ok(share) => shares.push(Arc::new(share)),
                Err(fault) => {
                    not_served = not_served.or_else(|| fault.not_served());
                    search.lose(candidate, &fault);
                }
            }
        }
        // Should no version have enough: how much there is of the newest, whose k is known.
        let newest = shares.iter().map(|share| share.prefix()).max_by_key(|prefix| prefix.version());
        let mut failure = match (newest, not_served) {
            (Some(newest), _) => {
                let found: HashSet<u16> =
                    shares.iter().filter(|share| share.prefix() == newest).map(|share| share.number()).collect();
                search.too_few_of(found.len(), newest.shares().needed().into())
            }
            (None, Some(what)) => ReadError::NotServed { what },
            (None, None) => search.too_few(1),
        };
        for version in versions(shares.iter().map(|share| (share.prefix(), share.number(), Arc::clone(share)))) {
            let shares: Vec<Arc<MutableShare>> = version.shares.into_values().flatten().collect();
            let prefix = version.prefix.clone();
            let Some((public_key, signature)) = signed.get(&prefix).cloned() else { continue };
            let candidates =
                Candidates::known(index, shares.into_iter().map(|share| (share.server(), share.number(), share)));
            let code = ErasureCode::new(prefix.shares());
            let salts = Mutex::default();
            let file = Self { cap: cap.clone(), prefix, public_key, signature, code, candidates, salts };
            if tag.is_some_and(|tag| tag != file.etag()) {
                failure = ReadError::OtherVersion;
                continue;
            }
            match file.proven().await {
                Ok(_) => return Ok(file),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    fn shares(&self) -> ShareCounts {
        self.prefix.shares()
    }

    /// How it is cut into units.
    pub(super) fn layout(&self) -> UnitLayout {
        let unit = match self.prefix.format() {
            MutableFormat::Sdmf => self.prefix.size(),
            MutableFormat::Mdmf => self.prefix.segment_size(),
        };
        UnitLayout { size: self.prefix.size(), unit }
    }

    /// The name of the version.
    pub(super) fn etag(&self) -> String {
        let version = self.prefix.version();
        format!("\"{}-{}\"", version.sequence, data_encoding::HEXLOWER.encode(&version.root))
    }

    /// The hashes of k shares, which lead to what is signed.
    async fn proven(&self) -> Result<BTreeMap<u16, Arc<Proven>>, ReadError> {
        let proven = gather(&self.candidates, self.shares().needed(), |choice| {
            let (_, share) = self.candidates.get(choice.candidate);
            async move { share.ok_or(ShareFault::Slow)?.proven().await }.boxed()
        });
        Ok(proven.await?.into_iter().collect())
    }

    /// What a reader checks these units by.
    pub(super) async fn manifest(&self, units: Range<u64>) -> Result<Manifest, ReadError> {
        let wrong = ReadError::Integrity { unit: units.start };
        let pinned = self.proven().await?.into_iter().map(|(number, proven)| {
            PinnedShare::of_tree(&self.prefix, number, proven.chain.clone(), &proven.tree, units.clone())
        });
        let pinned: Vec<PinnedShare> = pinned.collect::<Option<_>>().ok_or(wrong.clone())?;
        let salts = match self.prefix.format() {
            MutableFormat::Sdmf => Vec::new(),
            MutableFormat::Mdmf => self.salts(units.clone()).await?,
        };
        let (cap, prefix) = (self.cap.clone(), self.prefix.clone());
        let (key, signature) = (self.public_key.clone(), self.signature.clone());
        let claim = MutableClaim::new(&cap, prefix, key, signature, pinned, units.start, salts);
        claim.and_then(MutableManifest::new).map(Manifest::Mutable).map_err(|_| wrong)
    }

    /// The salts of these units: those that are known, and the others out of any share.
    async fn salts(&self, units: Range<u64>) -> Result<Vec<Salt>, ReadError> {
        let run = (SALT_RUN / self.prefix.block_len(0).unwrap_or(1).max(1) as u64).max(1);
        let mut salts = Vec::new();
        let mut next = units.start;
        while next < units.end {
            if let Some(salt) = self.salt(next) {
                salts.push(salt);
                next += 1;
                continue;
            }
            let until = (next..(next + run).min(units.end)).find(|unit| self.salt(*unit).is_some());
            let until = until.unwrap_or((next + run).min(units.end));
            let part = gather(&self.candidates, 1, |choice| self.part(choice, next..until).boxed()).await?;
            for block in part.into_values().flatten() {
                self.know_salt(next, block.salt);
                salts.push(block.salt);
                next += 1;
            }
            if next != until {
                return Err(ReadError::Integrity { unit: next });
            }
        }
        Ok(salts)
    }

    fn salt(&self, unit: u64) -> Option<Salt> {
        let salts = self.salts.lock().unwrap_or_else(PoisonError::into_inner);
        salts.get(usize::try_from(unit).ok()?).copied().flatten()
    }

    fn know_salt(&self, unit: u64, salt: Salt) {
        let mut salts = self.salts.lock().unwrap_or_else(PoisonError::into_inner);
        let place = usize::try_from(unit).unwrap_or(usize::MAX);
        if salts.len() <= place {
            // At most as many as a share has segments that is opened at all.
            salts.resize(place + 1, None);
        }
        salts[place] = Some(salt);
    }

    /// Blocks of neighbouring segments out of one share, verified.
    fn part(
        &self,
        choice: Choice,
        units: Range<u64>,
    ) -> impl Future<Output = Result<Vec<SaltedBlock>, ShareFault>> + Send + 'static {
        let (_, share) = self.candidates.get(choice.candidate);
        async move { share.ok_or(ShareFault::Slow)?.blocks(units).await }
    }

    /// Takes over where its shares were found just now: servers come and go while a file is open.
    pub(super) fn learn(&self, found: &Self) {
        for (_, share) in found.candidates.open() {
            self.candidates.learn(share.server(), share.number(), share);
        }
    }

    /// Reads, verifies and decodes neighbouring units. The pieces hold `held`.
    pub(super) async fn read(self: Arc<Self>, units: Range<u64>, held: Held) -> Result<Vec<Unit>, ReadError> {
        let parts =
            gather(&self.candidates, self.shares().needed(), |choice| self.part(choice, units.clone()).boxed()).await?;
        let file = Arc::clone(&self);
        let decoded = spawn_blocking(move || file.decode(units, &parts, &held)).await;
        decoded.map_err(|_| ReadError::Stopped)?
    }

    fn decode(
        &self,
        units: Range<u64>,
        parts: &HashMap<u16, Vec<SaltedBlock>>,
        held: &Held,
    ) -> Result<Vec<Unit>, ReadError> {
        let mut decoded = Vec::new();
        for (place, unit) in units.enumerate() {
            let wrong = ReadError::Integrity { unit };
            let mut segment = vec![0; self.prefix.segment_len(unit).ok_or(wrong.clone())?];
            let mut blocks = Vec::with_capacity(parts.len());
            for (number, part) in parts {
                let SaltedBlock { salt, block } = part.get(place).ok_or(wrong.clone())?;
                if self.prefix.format() == MutableFormat::Mdmf {
                    self.know_salt(unit, *salt);
                }
                blocks.push((*number, &block[..]));
            }
            self.code.decode(&blocks, &mut segment).map_err(|_| wrong)?;
            decoded.push(Unit { index: unit, pieces: vec![held.tie(Bytes::from(segment))] });
        }
        Ok(decoded)
    }
}

/// Reads the head of a share.
fn look(
    candidate: usize,
    server: Arc<dyn ShareServer>,
    index: StorageIndex,
    number: u16,
) -> BoxFuture<'static, (usize, Result<MutableShare, ShareFault>)> {
    async move { (candidate, MutableShare::open(server, index, number).await) }.boxed()
}

/// One block with its salt; of SDMF the salt is the signed one.
#[derive(Debug, Clone)]
pub(super) struct SaltedBlock {
    pub(super) salt: [u8; 16],
    pub(super) block: Bytes,
}
