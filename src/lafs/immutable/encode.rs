//! The making of shares: the same as Tahoe-LAFS makes of the same file.

use super::header::{ShareHeader, ShareVersion};
use super::proof::{block_hash, crypttext_hash, segment_hash};
use crate::capability::{ChkRead, Key, ShareCounts};
use crate::lafs::cipher::Cipher;
use crate::lafs::erasure::ErasureCode;
use crate::lafs::hash_tree::{Hash, HashChain, HashTree, node_of_leaf};
use crate::lafs::segments::Segments;
use crate::lafs::ueb::{UebHashes, UriExtension};
use crate::tagged::{netstring, push_netstring, tagged_hash};
use crate::units::Bytes;
use zeroize::Zeroizing;

/// The segment size that Tahoe-LAFS cuts files by since 1.19, before it is rounded up to a multiple of k.
pub const DEFAULT_MAX_SEGMENT: Bytes = Bytes(1 << 20);

const TAG_CONVERGENT_KEY: &[u8] = b"allmydata_immutable_content_to_key_with_added_secret_v1+";

/// How a file is cut and written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChkEncoding {
    /// k and N.
    pub shares: ShareCounts,
    /// The size of a segment, before it is rounded up to a multiple of k.
    pub max_segment: Bytes,
    /// The form of the shares.
    pub version: ShareVersion,
}

impl ChkEncoding {
    /// What Tahoe-LAFS does with a file that is not too large for it.
    pub fn new(shares: ShareCounts) -> Self {
        Self { shares, max_segment: DEFAULT_MAX_SEGMENT, version: ShareVersion::V1 }
    }
}

/// Where the key of a file comes from.
#[derive(Debug, Clone, Copy)]
pub enum ChkKey<'k> {
    /// From here.
    Given(&'k Key),
    /// From the content and a secret: who has the secret makes the same cap of the same file.
    Convergent(&'k [u8]),
}

/// A file as its shares.
#[derive(Debug, Clone)]
pub struct EncodedFile {
    /// The cap that opens it.
    pub cap: ChkRead,
    /// Each share, in the order of their numbers.
    pub shares: Vec<Vec<u8>>,
}

/// The shares of `plaintext`, all of them in memory: N / k times its size.
pub fn encode(plaintext: &[u8], key: ChkKey<'_>, encoding: ChkEncoding) -> Result<EncodedFile, EncodeError> {
    let size = Bytes(plaintext.len() as u64);
    let segments = Segments::with_max_segment(encoding.shares, size, encoding.max_segment)
        .ok_or(EncodeError::Segments { size, max_segment: encoding.max_segment })?;
    let key = match key {
        ChkKey::Given(key) => key.clone(),
        ChkKey::Convergent(secret) => convergent_key(plaintext, secret, &segments),
    };
    let mut ciphertext = plaintext.to_vec();
    Cipher::new(&key).apply_at(0, &mut ciphertext);

    let segment = |index: u64| {
        let range = segments.range(index);
        &ciphertext[range.start as usize..range.end as usize]
    };
    let segment_hashes: Vec<Hash> = (0..segments.count()).map(|index| segment_hash(segment(index))).collect();
    let crypttext_tree = tree(&segment_hashes);
    let code = ErasureCode::new(encoding.shares);
    let mut blocks = vec![];
    let mut block_trees = vec![];
    for number in 0..encoding.shares.total() {
        let mut share = vec![0; segments.blocks_size() as usize];
        let mut hashes = vec![];
        for index in 0..segments.count() {
            let range = segments.block_range(index);
            let block = &mut share[range.start as usize..range.end as usize];
            code.encode(segment(index), number, block).expect("a block of the segment's size");
            hashes.push(block_hash(block));
        }
        blocks.push(share);
        block_trees.push(tree(&hashes));
    }
    let roots: Vec<Hash> = block_trees.iter().map(|tree| *tree.root()).collect();
    let share_tree = tree(&roots);
    let hashes = UebHashes {
        crypttext: crypttext_hash(&ciphertext),
        crypttext_root: *crypttext_tree.root(),
        share_root: *share_tree.root(),
    };
    let ueb = UriExtension::encode(&segments, &hashes);

    let mut shares = vec![];
    for (number, (blocks, block_tree)) in blocks.into_iter().zip(&block_trees).enumerate() {
        let sections = Sections {
            blocks: &blocks,
            crypttext_tree: &crypttext_tree,
            block_tree,
            chain: &chain(&share_tree, number as u64),
            ueb: &ueb,
        };
        shares.push(sections.write(encoding.version, segments.block_len(0) as u64)?);
    }
    let cap = ChkRead::new(key, UriExtension::hash_of(&ueb), encoding.shares, size);
    Ok(EncodedFile { cap, shares })
}

fn tree(leaves: &[Hash]) -> HashTree {
    HashTree::from_leaves(leaves).expect("a file has a segment, and at least one share")
}

fn convergent_key(plaintext: &[u8], secret: &[u8], segments: &Segments) -> Key {
    let shares = segments.shares();
    let parameters = format!("{},{},{}", shares.needed(), shares.total(), segments.segment_size().0);
    let mut tag = Zeroizing::new(TAG_CONVERGENT_KEY.to_vec());
    push_netstring(&mut tag, secret);
    tag.extend_from_slice(&netstring(parameters.as_bytes()));
    let hash = Zeroizing::new(tagged_hash(&tag, plaintext));
    let mut key = Zeroizing::new([0; 16]);
    key.copy_from_slice(&hash[..16]);
    Key::new(*key)
}

/// The share hash chain of share `number`: its own leaf and what is beside its way to the root, by ascending number.
fn chain(tree: &HashTree, number: u64) -> HashChain {
    let own = node_of_leaf(tree.leaf_count(), number);
    let mut entries = tree.beside(number);
    entries.push((own, tree.nodes()[own as usize]));
    entries.sort_unstable_by_key(|(node, _)| *node);
    // The tree has at most 511 nodes.
    let entries = entries.into_iter().map(|(node, hash)| (node as u16, hash)).collect();
    HashChain::new(entries).expect("nine entries at most")
}

/// What a share is put together from.
struct Sections<'s> {
    blocks: &'s [u8],
    crypttext_tree: &'s HashTree,
    block_tree: &'s HashTree,
    chain: &'s HashChain,
    ueb: &'s [u8],
}

impl Sections<'_> {
    fn write(&self, version: ShareVersion, block_size: u64) -> Result<Vec<u8>, EncodeError> {
        let tree = self.crypttext_tree.nodes().as_flattened();
        let chain = self.chain.to_bytes();
        let blocks = version.header_bytes() as u64;
        let plaintext_tree = blocks + self.blocks.len() as u64;
        let crypttext_tree = plaintext_tree + tree.len() as u64;
        let block_tree = crypttext_tree + tree.len() as u64;
        let share_hashes = block_tree + tree.len() as u64;
        let ueb = share_hashes + chain.len() as u64;
        if version == ShareVersion::V1 && u32::try_from(ueb).is_err() {
            return Err(EncodeError::TooLargeForV1);
        }
        let header = ShareHeader { version, blocks, plaintext_tree, crypttext_tree, block_tree, share_hashes, ueb };
        let mut share = header.to_bytes(block_size, self.blocks.len() as u64);
        share.reserve_exact((ueb - blocks) as usize + version.word_bytes() + self.ueb.len());
        share.extend_from_slice(self.blocks);
        // The tree of the plaintext, which is no longer made: it would help who guesses the content.
        share.resize(share.len() + tree.len(), 0);
        share.extend_from_slice(tree);
        share.extend_from_slice(self.block_tree.nodes().as_flattened());
        share.extend_from_slice(&chain);
        share.extend_from_slice(&(self.ueb.len() as u64).to_be_bytes()[8 - version.word_bytes()..]);
        share.extend_from_slice(self.ueb);
        Ok(share)
    }
}

/// Why a file does not become shares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// Nothing, which is a literal cap's, or segments larger or more than are read.
    #[error("{size} cannot be cut into segments of {max_segment}")]
    Segments {
        /// The size of the content.
        size: Bytes,
        /// The size of a segment that was asked for.
        max_segment: Bytes,
    },
    /// Offsets that need 64 bits.
    #[error("the shares are too large for offsets of 32 bits")]
    TooLargeForV1,
}
