//! One share of a mutable file: its signed head, its hashes, its blocks.

use crate::capability::{MutableFormat, MutableVerifier, StorageIndex};
use crate::gateway::shares::error::ShareFault;
use crate::gateway::shares::mutable::SaltedBlock;
use crate::gateway::shares::server::ShareServer;
use crate::grid::{MAX_READ_BYTES, ShareKind};
use crate::lafs::hash_tree::{HashChain, VerifiedLeaves};
use crate::lafs::mutable::{ShareLayout, SignedPrefix, block_hash, fingerprint, leaf_of_empty_file, verify_signature};
use hyper::body::Bytes;
use std::ops::Range;
use std::sync::Arc;
use tokio::sync::OnceCell;
use tokio::task::spawn_blocking;

/// Up to how many segments an MDMF file is read: its tree, 4 MiB, is read as a whole. 8 GiB in segments of 128 KiB.
const MAX_SEGMENTS: u64 = 1 << 16;

/// A share with its head.
pub(super) struct MutableShare {
    server: Arc<dyn ShareServer>,
    index: StorageIndex,
    number: u16,
    layout: ShareLayout,
    head: Bytes,
    public_key: Bytes,
    signature: Bytes,
    proven: OnceCell<Arc<Proven>>,
}

/// What leads from a share's blocks to what is signed.
pub(super) struct Proven {
    pub(super) chain: HashChain,
    /// The whole block hash tree, as the share has it.
    pub(super) tree: Bytes,
    /// Its leaves; `None` of an empty file.
    pub(super) leaves: Option<VerifiedLeaves>,
}

impl MutableShare {
    /// Reads the head of share `number`.
    pub(super) async fn open(
        server: Arc<dyn ShareServer>,
        index: StorageIndex,
        number: u16,
    ) -> Result<Self, ShareFault> {
        let head = server.read(ShareKind::Mutable, index, number, 0, ShareLayout::FIRST_READ_BYTES).await?;
        let layout = ShareLayout::from_header(&head)?;
        if layout.prefix().segments() > MAX_SEGMENTS {
            return Err(ShareFault::TooManySegments { found: layout.prefix().segments() });
        }
        let empty = Bytes::new();
        let (public_key, signature) = (empty.clone(), empty);
        let mut share = Self { server, index, number, layout, head, public_key, signature, proven: OnceCell::new() };
        share.public_key = share.section(share.layout.public_key()).await?;
        share.signature = share.section(share.layout.signature()).await?;
        Ok(share)
    }

    /// Refuses a head that the file's key has not signed.
    pub(super) fn verify(&self, cap: &MutableVerifier) -> Result<(), ShareFault> {
        let prefix = self.layout.prefix();
        if fingerprint(&self.public_key) != *cap.fingerprint() || prefix.format() != cap.format() {
            return Err(ShareFault::Signature);
        }
        verify_signature(&self.public_key, &prefix.to_bytes(), &self.signature).map_err(|_| ShareFault::Signature)
    }

    /// What is signed.
    pub(super) fn prefix(&self) -> &SignedPrefix {
        self.layout.prefix()
    }

    /// Its number.
    pub(super) fn number(&self) -> u16 {
        self.number
    }

    /// Who has it.
    pub(super) fn server(&self) -> Arc<dyn ShareServer> {
        Arc::clone(&self.server)
    }

    /// The public key, and the signature.
    pub(super) fn keys(&self) -> (Vec<u8>, Vec<u8>) {
        (self.public_key.to_vec(), self.signature.to_vec())
    }

    /// Its hashes, once they are known to lead to what is signed.
    pub(super) async fn proven(&self) -> Result<Arc<Proven>, ShareFault> {
        self.proven.get_or_try_init(|| self.prove()).await.cloned()
    }

    async fn prove(&self) -> Result<Arc<Proven>, ShareFault> {
        let prefix = self.layout.prefix();
        let chain = HashChain::from_bytes(&self.section(self.layout.share_hash_chain()).await?)?;
        let nodes = self.layout.tree_nodes(0, self.layout.tree_node_count()).ok_or(ShareFault::BlockTree)?;
        let tree = self.section(nodes).await?;
        let (leaf, leaves) = match prefix.segments() {
            0 => (leaf_of_empty_file(), None),
            segments => {
                let root = *tree.first_chunk().ok_or(ShareFault::BlockTree)?;
                let leaves = VerifiedLeaves::of_tree(segments, &tree, 0, segments, &root);
                (root, Some(leaves.ok_or(ShareFault::BlockTree)?))
            }
        };
        if chain.root(prefix.shares().total(), self.number, &leaf) != Some(prefix.version().root) {
            return Err(ShareFault::Proof);
        }
        Ok(Arc::new(Proven { chain, tree, leaves }))
    }

    /// The blocks of `segments`, each held against its hash.
    pub(super) async fn blocks(&self, segments: Range<u64>) -> Result<Vec<SaltedBlock>, ShareFault> {
        let proven = self.proven().await?;
        let none = ShareFault::Block { segment: segments.start };
        let place = |segment: u64| self.layout.block(segment);
        let (Some(first), Some(last)) = (place(segments.start), segments.end.checked_sub(1).and_then(place)) else {
            return Err(none);
        };
        let octets = self.section(first.start..last.end).await?;
        let (layout, start) = (self.layout.clone(), first.start);
        let verified = spawn_blocking(move || {
            let prefix = layout.prefix();
            let mut blocks = Vec::new();
            for segment in segments {
                let wrong = || ShareFault::Block { segment };
                let range = layout.block(segment).ok_or_else(wrong)?;
                let mut block = octets.slice((range.start - start) as usize..(range.end - start) as usize);
                let salt = match (prefix.format(), prefix.salt()) {
                    (MutableFormat::Sdmf, Some(salt)) => *salt,
                    _ => {
                        let salt = block.split_to(ShareLayout::SALT_BYTES as usize);
                        *salt.first_chunk().ok_or_else(wrong)?
                    }
                };
                let leaf = proven.leaves.as_ref().and_then(|leaves| leaves.get(segment));
                if leaf != Some(&block_hash(prefix.format(), &salt, &block)) {
                    return Err(wrong());
                }
                blocks.push(SaltedBlock { salt, block });
            }
            Ok(blocks)
        });
        // The program ends: nobody will look at it.
        verified.await.unwrap_or(Err(ShareFault::Slow))
    }

    /// A section, out of what was read already or out of the share.
    async fn section(&self, range: Range<u64>) -> Result<Bytes, ShareFault> {
        if range.end <= self.head.len() as u64 {
            return Ok(self.head.slice(range.start as usize..range.end as usize));
        }
        let expected = range.end - range.start;
        let length = expected.min(MAX_READ_BYTES);
        let octets = self.server.read(ShareKind::Mutable, self.index, self.number, range.start, length).await?;
        if octets.len() as u64 == expected {
            Ok(octets)
        } else {
            Err(ShareFault::CutOff { found: octets.len(), expected })
        }
    }
}
