//! Shares of immutable files: what a storage server may answer, and a URI extension block that its own hash vouches for.
#![no_main]

use lafs_clearinghouse::capability::{ChkVerifier, ShareCounts, StorageIndex};
use lafs_clearinghouse::lafs::hash_tree::HashChain;
use lafs_clearinghouse::lafs::immutable::{ShareHeader, ShareLayout, ShareProof};
use lafs_clearinghouse::lafs::ueb::{MAX_UEB_BYTES, UriExtension};
use lafs_clearinghouse::units::Bytes;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    // The counts and the size that the cap says; the share.
    let Some((cap, share)) = data.split_first_chunk::<12>() else { return };
    let [needed, total] = [[cap[0], cap[1]], [cap[2], cap[3]]].map(u16::from_be_bytes);
    let Some(counts) = ShareCounts::new(needed, total) else { return };
    let size = Bytes(cap[4..].iter().fold(0, |size, octet| size << 8 | u64::from(*octet)));
    read(share, counts, size);
});

fn read(share: &[u8], counts: ShareCounts, size: Bytes) -> Option<()> {
    let at = |range: std::ops::Range<u64>| {
        assert!(range.start <= range.end);
        share.get(usize::try_from(range.start).ok()?..usize::try_from(range.end).ok()?)
    };
    let header = ShareHeader::from_bytes(share).ok()?;
    let block = at(header.ueb(at(header.ueb_length())?).ok()?)?;
    assert!(block.len() <= MAX_UEB_BYTES);
    let cap = ChkVerifier::new(StorageIndex::new([0; 16]), UriExtension::hash_of(block), counts, size);
    let ueb = UriExtension::parse(block, &cap).ok()?;
    let segments = ueb.segments();
    assert_eq!((segments.shares(), segments.size()), (counts, size));
    // What is known is written as it stands there; what is not known is let pass.
    let again = UriExtension::encode(segments, ueb.hashes());
    assert!(again.len() <= block.len() && (again.len() < block.len() || again == block));

    let layout = ShareLayout::new(header, segments, Some(Bytes(share.len() as u64))).ok()?;
    let count = segments.count();
    assert_eq!(segments.range(count - 1).end, size.0);
    assert!(layout.block(count - 1).end <= layout.crypttext_tree().start);
    assert!(layout.crypttext_tree().end <= layout.block_tree().start);
    assert!(layout.block_tree().end <= layout.share_hashes().start);
    let chain = HashChain::from_bytes(at(layout.share_hashes())?).ok()?;
    assert_eq!(Some(&chain.to_bytes()[..]), at(layout.share_hashes()));
    for number in [0, counts.total() - 1, counts.total()] {
        let Some(proof) = ShareProof::new(&ueb, number, &chain) else { continue };
        assert!(number < counts.total());
        let _ = proof.blocks_of_tree(at(layout.block_tree())?, 0, count);
    }
    Some(())
}
