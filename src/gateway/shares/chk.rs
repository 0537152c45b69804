//! An immutable file, read out of its shares.

use crate::capability::{ChkVerifier, ShareCounts};
use crate::gateway::shares::budget::Held;
use crate::gateway::shares::candidates::Candidates;
use crate::gateway::shares::error::{ReadError, ShareFault};
use crate::gateway::shares::gather::gather;
use crate::gateway::shares::open_share::{OpenShare, Opening, WHOLE_TREE_LEAVES};
use crate::gateway::shares::pick::Choice;
use crate::gateway::shares::server::ShareServer;
use crate::gateway::unit::Unit;
use crate::grid::ShareKind;
use crate::lafs::erasure::ErasureCode;
use crate::lafs::hash_tree::VerifiedLeaves;
use crate::lafs::immutable::segment_hash_of_pieces;
use crate::lafs::manifest::{ChkManifest, Manifest, UnitLayout};
use crate::lafs::segments::Segments;
use crate::lafs::ueb::UriExtension;
use futures::FutureExt;
use futures::stream::{FuturesUnordered, StreamExt};
use hyper::body::Bytes;
use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;
use tokio::sync::OnceCell;
use tokio::task::spawn_blocking;

/// One file, shared by all who read it.
pub(super) struct ChkFile {
    ueb: UriExtension,
    code: ErasureCode,
    candidates: Candidates<OpenShare>,
    /// The whole crypttext tree, where it is small, as a share has it; verified.
    tree: OnceCell<(Bytes, Arc<VerifiedLeaves>)>,
}

/// What one share gave.
struct Part {
    candidate: usize,
    share: Arc<OpenShare>,
    octets: Bytes,
}

impl ChkFile {
    /// Finds the file's shares and opens enough of them to know what it is.
    pub(super) async fn open(cap: &ChkVerifier, servers: Vec<Arc<dyn ShareServer>>) -> Result<Self, ReadError> {
        let needed = usize::from(cap.shares().needed());
        let candidates = Candidates::search(ShareKind::Immutable, cap.storage_index(), servers);
        candidates.settle(needed).await;
        let mut tried = HashSet::new();
        let mut ueb: Option<UriExtension> = None;
        let mut opened: Vec<(Choice, Opening)> = Vec::new();
        // As many at once as are going to be needed; the first that names the file is enough.
        while ueb.is_none() {
            let untried: Vec<Choice> = candidates
                .pick(&HashSet::new(), &[], usize::MAX, cap.shares().needed())
                .into_iter()
                .filter(|choice| tried.insert(choice.candidate))
                .take(needed)
                .collect();
            if untried.is_empty() {
                if candidates.more().await {
                    continue;
                }
                return Err(candidates.too_few(needed));
            }
            let mut opening: FuturesUnordered<_> = untried
                .into_iter()
                .map(|choice| {
                    let (server, _) = candidates.get(choice.candidate);
                    let index = candidates.index();
                    async move { (choice, OpenShare::begin(server, index, choice.number).await) }
                })
                .collect();
            while let Some((choice, begun)) = opening.next().await {
                let begun = begun.and_then(|begun| {
                    if ueb.is_none() {
                        ueb = Some(UriExtension::parse(begun.ueb()?, cap)?);
                    }
                    Ok(begun)
                });
                match begun {
                    Ok(begun) => opened.push((choice, begun)),
                    Err(fault) => candidates.lose(choice.candidate, &fault),
                }
                if ueb.is_some() {
                    // The others are opened by whoever reads them: none is waited for here.
                    while let Some(Some((choice, Ok(begun)))) = opening.next().now_or_never() {
                        opened.push((choice, begun));
                    }
                    break;
                }
            }
        }
        let ueb = ueb.ok_or_else(|| candidates.too_few(needed))?;
        for (choice, begun) in opened {
            match begun.finish(&ueb) {
                Ok(open) => candidates.opened(choice.candidate, Arc::new(open)),
                Err(fault) => candidates.lose(choice.candidate, &fault),
            }
        }
        let code = ErasureCode::new(cap.shares());
        Ok(Self { ueb, code, candidates, tree: OnceCell::new() })
    }

    fn segments(&self) -> &Segments {
        self.ueb.segments()
    }

    fn shares(&self) -> ShareCounts {
        self.segments().shares()
    }

    /// How it is cut into units.
    pub(super) fn layout(&self) -> UnitLayout {
        UnitLayout { size: self.segments().size(), unit: self.segments().segment_size() }
    }

    /// The name of its one version.
    pub(super) fn etag(&self) -> String {
        format!("\"{}\"", data_encoding::HEXLOWER.encode(self.ueb.cap().ueb_hash()))
    }

    /// Where a run of units must end that begins with unit `from`, so that the hashes of its blocks are read together.
    pub(super) fn run_end(&self, from: u64) -> u64 {
        let group = WHOLE_TREE_LEAVES;
        (from / group + 1) * group
    }

    /// What a reader checks these units by.
    pub(super) async fn manifest(&self, units: Range<u64>) -> Result<Manifest, ReadError> {
        let wrong = |_| ReadError::Integrity { unit: units.start };
        if self.segments().count() <= WHOLE_TREE_LEAVES {
            let (tree, _) = self.tree().await?;
            let tree = tree.clone();
            return ChkManifest::of_tree(self.ueb.clone(), &tree, units.clone()).map(Manifest::Chk).map_err(wrong);
        }
        let (leaves, uncles) = self
            .out_of_any_share(|share| {
                let units = units.clone();
                async move { share.crypttext_hashes(units).await }.boxed()
            })
            .await?;
        ChkManifest::new(self.ueb.clone(), units.start, leaves.leaves().to_vec(), uncles)
            .map(Manifest::Chk)
            .map_err(wrong)
    }

    /// The hashes of the segments of `units`, verified.
    async fn segment_leaves(&self, units: Range<u64>) -> Result<Arc<VerifiedLeaves>, ReadError> {
        if self.segments().count() <= WHOLE_TREE_LEAVES {
            return Ok(Arc::clone(&self.tree().await?.1));
        }
        let hashes = self
            .out_of_any_share(|share| {
                let units = units.clone();
                async move { share.crypttext_hashes(units).await }.boxed()
            })
            .await?;
        Ok(Arc::new(hashes.0))
    }

    async fn tree(&self) -> Result<&(Bytes, Arc<VerifiedLeaves>), ReadError> {
        let read = || self.out_of_any_share(|share| async move { share.crypttext_tree().await }.boxed());
        let read = || async { read().await.map(|(tree, leaves)| (tree, Arc::new(leaves))) };
        self.tree.get_or_try_init(read).await
    }

    /// What the first share gives that gives it; one that gives something wrong is lost.
    async fn out_of_any_share<T>(
        &self,
        read: impl Fn(Arc<OpenShare>) -> futures::future::BoxFuture<'static, Result<T, ShareFault>>,
    ) -> Result<T, ReadError> {
        loop {
            for (candidate, share) in self.candidates.open() {
                match read(share).await {
                    Ok(found) => return Ok(found),
                    Err(fault) => self.candidates.lose(candidate, &fault),
                }
            }
            let next = self.candidates.pick(&HashSet::new(), &[], 1, self.shares().needed());
            match next.first() {
                Some(choice) => match self.open_share(*choice).await {
                    Ok(_) => {}
                    Err(fault) => self.candidates.lose(choice.candidate, &fault),
                },
                None if self.candidates.more().await => {}
                None => return Err(self.candidates.too_few(self.shares().needed().into())),
            }
        }
    }

    async fn open_share(&self, choice: Choice) -> Result<Arc<OpenShare>, ShareFault> {
        let (server, open) = self.candidates.get(choice.candidate);
        if let Some(open) = open {
            return Ok(open);
        }
        let begun = OpenShare::begin(server, self.candidates.index(), choice.number).await?;
        let open = Arc::new(begun.finish(&self.ueb)?);
        self.candidates.opened(choice.candidate, Arc::clone(&open));
        Ok(open)
    }

    /// Reads, decodes and verifies neighbouring units, all within one run (see [`ChkFile::run_end`]). The pieces hold `held`.
    ///
    /// What is right by the cap needs no other proof: blocks are held against their own hashes only to tell which of them made
    /// a segment wrong.
    pub(super) async fn read(self: Arc<Self>, units: Range<u64>, held: Held) -> Result<Vec<Unit>, ReadError> {
        let leaves = self.segment_leaves(units.clone()).await?;
        let mut rounds = self.shares().total();
        loop {
            let parts = gather(&self.candidates, self.shares().needed(), |choice| {
                let (file, units) = (Arc::clone(&self), units.clone());
                async move { file.part(choice, units).await }.boxed()
            })
            .await?;
            let parts = Arc::new(parts);
            let decoded = {
                let (file, parts, leaves) = (Arc::clone(&self), Arc::clone(&parts), Arc::clone(&leaves));
                let (units, held) = (units.clone(), held.clone());
                spawn_blocking(move || file.decode(units, &parts, &leaves, &held)).await
            };
            let wrong = match decoded.map_err(|_| ReadError::Stopped)? {
                Err(error @ ReadError::Integrity { .. }) => error,
                decoded => return decoded,
            };
            // Each round loses a share. A server that gives wrong blocks and then keeps their hashes back could be asked for ever.
            if rounds == 0 || !self.lose_wrong(&units, &parts).await {
                return Err(wrong);
            }
            rounds -= 1;
        }
    }

    /// The blocks of neighbouring segments out of one share, as they came.
    async fn part(&self, choice: Choice, units: Range<u64>) -> Result<Part, ShareFault> {
        let share = self.open_share(choice).await?;
        let octets = share.blocks(units).await?;
        Ok(Part { candidate: choice.candidate, share, octets })
    }

    /// Gives up the shares out of which a block is not the one that was stored. Whether there are any.
    async fn lose_wrong(&self, units: &Range<u64>, parts: &HashMap<u16, Part>) -> bool {
        let mut lost = false;
        for part in parts.values() {
            if let Err(fault) = part.share.verify(units.clone(), part.octets.clone()).await {
                self.candidates.lose(part.candidate, &fault);
                lost = true;
            }
        }
        lost
    }

    /// Makes segments of blocks, and holds each against the cap.
    fn decode(
        &self,
        units: Range<u64>,
        parts: &HashMap<u16, Part>,
        leaves: &VerifiedLeaves,
        held: &Held,
    ) -> Result<Vec<Unit>, ReadError> {
        let segments = self.segments();
        let start = segments.block_range(units.start).start;
        let needed = self.shares().needed();
        let mut decoded = Vec::with_capacity(units.clone().count());
        for unit in units {
            let range = segments.block_range(unit);
            let within = (range.start - start) as usize..(range.end - start) as usize;
            let mut left = segments.len(unit);
            let primaries: Option<Vec<Bytes>> = (0..needed)
                .map(|number| {
                    let block = parts.get(&number)?.octets.slice(within.clone());
                    let octets = block.slice(..block.len().min(left));
                    left -= octets.len();
                    Some(octets)
                })
                .collect();
            let pieces = match primaries {
                Some(pieces) => pieces,
                None => {
                    let mut segment = vec![0; segments.len(unit)];
                    let blocks: Vec<(u16, &[u8])> =
                        parts.iter().map(|(number, part)| (*number, &part.octets[within.clone()])).collect();
                    self.code.decode(&blocks, &mut segment).map_err(|_| ReadError::Integrity { unit })?;
                    vec![Bytes::from(segment)]
                }
            };
            if leaves.get(unit) != Some(&segment_hash_of_pieces(pieces.iter().map(|piece| &piece[..]))) {
                return Err(ReadError::Integrity { unit });
            }
            let pieces = pieces.into_iter().filter(|piece| !piece.is_empty()).map(|piece| held.tie(piece)).collect();
            decoded.push(Unit { index: unit, pieces });
        }
        Ok(decoded)
    }
}
