//! The shares of a new version of a file: for test networks, and to hold the reading against.

use super::layout::ShareLayout;
use super::prefix::{MutableVersion, PrefixError, SignedPrefix};
use super::segment::{block_hash, leaf_of_empty_file, segment_cipher};
use super::signature::FileKey;
use crate::capability::{MutableFormat, MutableWrite, ShareCounts};
use crate::lafs::cipher::Cipher;
use crate::lafs::erasure::ErasureCode;
use crate::lafs::hash_tree::{Hash, HashTree};
use crate::units::Bytes;

/// How a version is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MutableEncoding {
    /// How the shares are laid out.
    pub format: MutableFormat,
    /// How many there are; at most 255.
    pub shares: ShareCounts,
    /// The sequence number; Tahoe begins with 1.
    pub sequence: u64,
    /// The size of MDMF's segments, rounded up to a multiple of k. Tahoe's client takes [`SignedPrefix::MDMF_SEGMENT`].
    pub segment: Bytes,
}

/// A version made.
#[derive(Debug, Clone)]
pub struct EncodedMutable {
    /// The cap that writes the file.
    pub cap: MutableWrite,
    /// What was signed.
    pub prefix: SignedPrefix,
    /// All shares, by their numbers.
    pub shares: Vec<Vec<u8>>,
}

/// One share in the making.
struct Share {
    blocks: Vec<u8>,
    tree: HashTree,
}

/// The version of the file of `key` that has this content. Its salts are random.
///
/// # Panics
/// If the operating system gives no randomness.
pub fn encode(content: &[u8], key: &FileKey, encoding: MutableEncoding) -> Result<EncodedMutable, PrefixError> {
    let cap = key.write_cap(encoding.format);
    let salt = random_salt();
    let prefix = |root| {
        let version = MutableVersion { sequence: encoding.sequence, root };
        let size = Bytes(content.len() as u64);
        match encoding.format {
            MutableFormat::Sdmf => SignedPrefix::sdmf(version, salt, encoding.shares, size),
            MutableFormat::Mdmf => SignedPrefix::mdmf(version, encoding.shares, encoding.segment, size),
        }
    };
    let unsigned = prefix([0; 32])?;
    let salts: Vec<[u8; 16]> = match encoding.format {
        MutableFormat::Sdmf => vec![salt],
        MutableFormat::Mdmf => (0..unsigned.segments()).map(|_| random_salt()).collect(),
    };
    let mut ciphertext = content.to_vec();
    let segment_size = (unsigned.segment_size().0 as usize).max(1);
    for (segment, salt) in ciphertext.chunks_mut(segment_size).zip(&salts) {
        segment_cipher(&cap.read_cap(), salt).apply_at(0, segment);
    }
    let code = ErasureCode::new(encoding.shares);
    let segments: Vec<(&[u8], &[u8; 16])> = ciphertext.chunks(segment_size).zip(&salts).collect();
    let made: Vec<Share> =
        (0..encoding.shares.total()).map(|number| share(&code, number, encoding.format, &segments)).collect();
    let leaves: Vec<Hash> = made.iter().map(|share| *share.tree.root()).collect();
    let tree = HashTree::from_leaves(&leaves).expect("at least one share");
    let prefix = prefix(*tree.root())?;

    let signature = key.sign(&prefix.to_bytes());
    let mut private_key = key.private_key().to_vec();
    Cipher::new(cap.write_key()).apply_at(0, &mut private_key);
    let lay_out = |(number, share): (usize, &Share)| {
        let chain = tree.beside(number as u64).into_iter();
        // Of at most 511 nodes.
        let chain: Vec<u8> =
            chain.flat_map(|(node, hash)| [&(node as u16).to_be_bytes()[..], &hash].concat()).collect();
        laid_out(&prefix, &signature, key.public_key(), &private_key, &chain, share)
    };
    let shares = made.iter().enumerate().map(lay_out).collect();
    Ok(EncodedMutable { cap, prefix, shares })
}

fn share(code: &ErasureCode, number: u16, format: MutableFormat, segments: &[(&[u8], &[u8; 16])]) -> Share {
    let (mut blocks, mut leaves) = (vec![], vec![]);
    for (segment, salt) in segments {
        let mut block = vec![0; code.block_len(segment.len())];
        code.encode(segment, number, &mut block).expect("a block of the code's own size");
        leaves.push(block_hash(format, salt, &block));
        if format == MutableFormat::Mdmf {
            blocks.extend_from_slice(*salt);
        }
        blocks.extend_from_slice(&block);
    }
    if leaves.is_empty() {
        leaves.push(leaf_of_empty_file());
    }
    Share { blocks, tree: HashTree::from_leaves(&leaves).expect("at least one leaf") }
}

fn laid_out(
    prefix: &SignedPrefix,
    signature: &[u8],
    public_key: &[u8],
    private_key: &[u8],
    chain: &[u8],
    share: &Share,
) -> Vec<u8> {
    let tree = share.tree.nodes().as_flattened();
    let mut out = prefix.to_bytes();
    match prefix.format() {
        MutableFormat::Sdmf => {
            let sections = [public_key, signature, chain, tree, &share.blocks, private_key];
            let ends = ends(ShareLayout::SDMF_PUBLIC_KEY, &sections);
            for end in &ends[..4] {
                // All before the private key is at most 16 MiB and a little.
                out.extend_from_slice(&(*end as u32).to_be_bytes());
            }
            ends[4..].iter().for_each(|end| out.extend_from_slice(&end.to_be_bytes()));
            out.extend(sections.concat());
        }
        MutableFormat::Mdmf => {
            let sections = [private_key, chain, signature, public_key, &share.blocks, tree];
            let start = ShareLayout::HEADER_BYTES as u64;
            let [chain, signature, public_key, key_end, tree, end] = ends(start, &sections);
            for offset in [start, chain, signature, public_key, key_end, key_end, tree, end] {
                out.extend_from_slice(&offset.to_be_bytes());
            }
            out.extend(sections.concat());
        }
    }
    out
}

/// Where each section ends, the first of them beginning at `start`.
fn ends(start: u64, sections: &[&[u8]; 6]) -> [u64; 6] {
    let mut end = start;
    sections.map(|section| {
        end += section.len() as u64;
        end
    })
}

fn random_salt() -> [u8; 16] {
    let mut salt = [0; 16];
    getrandom::fill(&mut salt).expect("the operating system gives randomness");
    salt
}
