//! One share of an immutable file, known to be one, and what is read of it.

use crate::capability::StorageIndex;
use crate::gateway::shares::error::ShareFault;
use crate::gateway::shares::server::ShareServer;
use crate::grid::{MAX_READ_BYTES, ShareKind};
use crate::lafs::hash_tree::{Hash, HashChain, VerifiedLeaves, node_of_leaf, uncles};
use crate::lafs::immutable::{ShareHeader, ShareLayout, ShareProof, block_hash};
use crate::lafs::segments::Segments;
use crate::lafs::ueb::{MAX_UEB_BYTES, UriExtension};
use futures::future::try_join_all;
use hyper::body::Bytes;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::OnceCell;
use tokio::task::spawn_blocking;

/// Up to how many segments the trees of a file are read and kept as a whole: 256 KiB each. Of a larger file that many leaves
/// are read at a time.
pub(super) const WHOLE_TREE_LEAVES: u64 = 4_096;
/// What is read of a share's end when it is opened: both trees of a file of that many segments, the chain and the UEB.
const TAIL_BYTES: u64 = 576 << 10;

/// A share whose header and hashes were read, of a file that is not known yet.
pub(super) struct Opening {
    source: Source,
    header: ShareHeader,
    tail_start: u64,
    tail: Bytes,
}

/// Where a share is.
#[derive(Debug, Clone)]
struct Source {
    server: Arc<dyn ShareServer>,
    index: StorageIndex,
    number: u16,
}

/// A share of a known file.
pub(super) struct OpenShare {
    source: Source,
    layout: ShareLayout,
    proof: ShareProof,
    segments: Segments,
    crypttext_root: Hash,
    tail_start: u64,
    tail: Bytes,
    /// All block hashes, of a file whose trees are kept as a whole.
    leaves: OnceCell<Arc<VerifiedLeaves>>,
    /// Those read last, of another.
    group: Mutex<Option<Arc<VerifiedLeaves>>>,
}

impl Source {
    /// All of `range`, or an error.
    async fn read(&self, range: Range<u64>) -> Result<Bytes, ShareFault> {
        let octets = self.read_some(range.clone()).await?;
        let expected = range.end - range.start;
        if octets.len() as u64 == expected {
            Ok(octets)
        } else {
            Err(ShareFault::CutOff { found: octets.len(), expected })
        }
    }

    /// What there is of `range`, which is not larger than what is read at once.
    async fn read_some(&self, range: Range<u64>) -> Result<Bytes, ShareFault> {
        let length = (range.end - range.start).min(MAX_READ_BYTES);
        Ok(self.server.read(ShareKind::Immutable, self.index, self.number, range.start, length).await?)
    }
}

impl OpenShare {
    /// Reads the header and the hashes of share `number`.
    pub(super) async fn begin(
        server: Arc<dyn ShareServer>,
        index: StorageIndex,
        number: u16,
    ) -> Result<Opening, ShareFault> {
        let source = Source { server, index, number };
        let head = source.read_some(0..ShareHeader::MAX_BYTES as u64).await?;
        let header = ShareHeader::from_bytes(&head)?;
        let end = header.ueb_length().end + MAX_UEB_BYTES as u64;
        let tail_start = header.hashes_start().max(end.saturating_sub(TAIL_BYTES));
        let tail = source.read_some(tail_start..end).await?;
        Ok(Opening { source, header, tail_start, tail })
    }

    /// The whole crypttext tree as the share has it, and its leaves, verified.
    pub(super) async fn crypttext_tree(&self) -> Result<(Bytes, VerifiedLeaves), ShareFault> {
        let tree = self.section(self.layout.crypttext_tree()).await?;
        let count = self.segments.count();
        let leaves = VerifiedLeaves::of_tree(count, &tree, 0, count, &self.crypttext_root);
        Ok((tree, leaves.ok_or(ShareFault::CrypttextTree)?))
    }

    /// The hashes of neighbouring segments and their uncles, verified, of a file whose tree is too large to be read whole.
    pub(super) async fn crypttext_hashes(
        &self,
        segments: Range<u64>,
    ) -> Result<(VerifiedLeaves, Vec<Hash>), ShareFault> {
        let (leaves, beside) = self.hashes(self.layout.crypttext_tree().start, segments.clone()).await?;
        let verified =
            VerifiedLeaves::new(self.segments.count(), segments.start, leaves, &beside, &self.crypttext_root);
        Ok((verified.ok_or(ShareFault::CrypttextTree)?, beside))
    }

    /// The hashes of the blocks of `segments`, verified, perhaps with others around them.
    async fn block_leaves(&self, segments: Range<u64>) -> Result<Arc<VerifiedLeaves>, ShareFault> {
        let count = self.segments.count();
        if count <= WHOLE_TREE_LEAVES {
            let read = || async {
                let tree = self.section(self.layout.block_tree()).await?;
                self.proof.blocks_of_tree(&tree, 0, count).map(Arc::new).ok_or(ShareFault::BlockTree)
            };
            return self.leaves.get_or_try_init(read).await.cloned();
        }
        let first = segments.start / WHOLE_TREE_LEAVES * WHOLE_TREE_LEAVES;
        let kept = self.group.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(kept) = kept.filter(|kept| kept.first() == first) {
            return Ok(kept);
        }
        let group = first..(first + WHOLE_TREE_LEAVES).min(count);
        let (leaves, beside) = self.hashes(self.layout.block_tree().start, group).await?;
        let leaves = Arc::new(self.proof.blocks(first, leaves, &beside).ok_or(ShareFault::BlockTree)?);
        *self.group.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&leaves));
        Ok(leaves)
    }

    /// The blocks of `segments`, as they come.
    pub(super) async fn blocks(&self, segments: Range<u64>) -> Result<Bytes, ShareFault> {
        self.source.read(self.layout.blocks(segments)).await
    }

    /// Holds each of the blocks of `segments` against its hash.
    pub(super) async fn verify(&self, segments: Range<u64>, blocks: Bytes) -> Result<(), ShareFault> {
        let leaves = self.block_leaves(segments.clone()).await?;
        let cut = self.segments;
        let verified = spawn_blocking(move || {
            let start = cut.block_range(segments.start).start;
            for segment in segments {
                let range = cut.block_range(segment);
                let block = &blocks[(range.start - start) as usize..(range.end - start) as usize];
                if leaves.get(segment) != Some(&block_hash(block)) {
                    return Err(ShareFault::Block { segment });
                }
            }
            Ok(())
        });
        // The program ends: nobody will look at it.
        verified.await.unwrap_or(Err(ShareFault::Slow))
    }

    /// Leaves of the tree that begins at `tree`, and their uncles, unverified.
    async fn hashes(&self, tree: u64, leaves: Range<u64>) -> Result<(Vec<Hash>, Vec<Hash>), ShareFault> {
        let count = self.segments.count();
        let node = |node: u64| tree + node * size_of::<Hash>() as u64;
        let first = node(node_of_leaf(count, leaves.start));
        let length = (leaves.end - leaves.start) * size_of::<Hash>() as u64;
        let beside = uncles(count, leaves.start, leaves.end - leaves.start).ok_or(ShareFault::BlockTree)?;
        let beside = beside.into_iter().map(|uncle| self.section(node(uncle)..node(uncle + 1)));
        let (leaves, beside) =
            futures::future::try_join(self.section(first..first + length), try_join_all(beside)).await?;
        Ok((leaves.as_chunks().0.to_vec(), beside.iter().map(|uncle| uncle.as_chunks().0[0]).collect()))
    }

    /// A section, out of what was read already or out of the share.
    async fn section(&self, range: Range<u64>) -> Result<Bytes, ShareFault> {
        match within(self.tail_start, &self.tail, &range) {
            Some(octets) => Ok(octets),
            None => self.source.read(range).await,
        }
    }
}

impl Opening {
    /// The URI extension block in it.
    pub(super) fn ueb(&self) -> Result<&[u8], ShareFault> {
        let cut_off =
            |range: Range<u64>| ShareFault::CutOff { found: self.tail.len(), expected: range.end - self.tail_start };
        let place = |range: &Range<u64>| {
            let start = usize::try_from(range.start.checked_sub(self.tail_start)?).ok()?;
            self.tail.get(start..start + (range.end - range.start) as usize)
        };
        let length = self.header.ueb_length();
        let length = place(&length).ok_or_else(|| cut_off(length.clone()))?;
        let ueb = self.header.ueb(length)?;
        place(&ueb).ok_or_else(|| cut_off(ueb.clone()))
    }

    /// The share, if it is one of the file that `ueb` describes.
    pub(super) fn finish(self, ueb: &UriExtension) -> Result<OpenShare, ShareFault> {
        let layout = ShareLayout::new(self.header, ueb.segments(), None)?;
        let chain = layout.share_hashes();
        let octets = within(self.tail_start, &self.tail, &chain)
            .ok_or(ShareFault::CutOff { found: self.tail.len(), expected: chain.end - self.tail_start })?;
        let chain = HashChain::from_bytes(&octets)?;
        let proof = ShareProof::new(ueb, self.source.number, &chain).ok_or(ShareFault::Proof)?;
        Ok(OpenShare {
            source: self.source,
            layout,
            proof,
            segments: *ueb.segments(),
            crypttext_root: ueb.hashes().crypttext_root,
            tail_start: self.tail_start,
            tail: self.tail,
            leaves: OnceCell::new(),
            group: Mutex::default(),
        })
    }
}

/// The octets of `range`, if they are among `octets`, which begin at `start`.
fn within(start: u64, octets: &Bytes, range: &Range<u64>) -> Option<Bytes> {
    let from = usize::try_from(range.start.checked_sub(start)?).ok()?;
    let to = usize::try_from(range.end.checked_sub(start)?).ok()?;
    (from <= to && to <= octets.len()).then(|| octets.slice(from..to))
}
