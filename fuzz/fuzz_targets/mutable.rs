//! Shares of mutable files as servers hand them out, and manifests of them: without their signatures, which fuzzing could not
//! make.
#![no_main]

use lafs_clearinghouse::capability::{MutableFormat, MutableVerifier, StorageIndex};
use lafs_clearinghouse::lafs::hash_tree::HashChain;
use lafs_clearinghouse::lafs::manifest::{MAX_UNITS, MutableClaim, PinnedShare};
use lafs_clearinghouse::lafs::mutable::{ShareLayout, SignedPrefix, fingerprint};
use lafs_clearinghouse_fuzz::has_one_form;
use libfuzzer_sys::fuzz_target;
use std::ops::Range;

fuzz_target!(|data: &[u8]| {
    if let Ok(prefix) = SignedPrefix::from_share(data) {
        assert_eq!(prefix.to_bytes(), data[..prefix.encoded_len()]);
        assert!(prefix.segment_size().0 <= SignedPrefix::MAX_SEGMENT.0 + 255);
    }
    match ShareLayout::from_header(data) {
        Ok(layout) => share(data, &layout),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    for format in [MutableFormat::Sdmf, MutableFormat::Mdmf] {
        // The key that a claim brings, whatever it is, as it is held against the cap before all else.
        let cap = verifier(format, key_of(data).unwrap_or_default());
        if let Ok(claim) = MutableClaim::from_bytes(data, &cap, 0..MAX_UNITS) {
            has_one_form(data);
            used(&claim, &cap);
            assert_eq!(claim.encode(), data);
        }
    }
});

/// Each part of a share that is all there: each lies within it, and together they make a claim or an error.
fn share(data: &[u8], layout: &ShareLayout) {
    let prefix = layout.prefix();
    let part = |range: Range<u64>| {
        assert!(range.start <= range.end && range.end <= layout.end());
        data.get(usize::try_from(range.start).ok()?..usize::try_from(range.end).ok()?)
    };
    for unit in [0, 1, prefix.segments() / 2, prefix.segments().saturating_sub(1)] {
        let block = layout.block(unit);
        assert_eq!(block.is_some(), unit < prefix.segments());
        block.and_then(part);
    }
    assert_eq!(layout.block(prefix.segments()), None);
    let found = (part(layout.public_key()), part(layout.signature()), part(layout.share_hash_chain()));
    let (Some(public_key), Some(signature), Some(chain)) = found else { return };
    let (Ok(chain), Some(tree)) =
        (HashChain::from_bytes(chain), layout.tree_nodes(0, layout.tree_node_count()).and_then(part))
    else {
        return;
    };
    let pinned = (0..prefix.shares().needed())
        .filter_map(|number| PinnedShare::of_tree(prefix, number, chain.clone(), tree, 0..MAX_UNITS));
    let cap = verifier(prefix.format(), public_key);
    let (key, signature) = (public_key.to_vec(), signature.to_vec());
    let salts = match prefix.format() {
        MutableFormat::Sdmf => vec![],
        MutableFormat::Mdmf => vec![[0; 16]; prefix.segments().min(MAX_UNITS) as usize],
    };
    if let Ok(claim) = MutableClaim::new(&cap, prefix.clone(), key, signature, pinned.collect(), 0, salts) {
        used(&claim, &cap);
    }
}

/// What leads to its own root says the same when it is read back, and takes nothing for a unit that is none.
fn used(claim: &MutableClaim, cap: &MutableVerifier) {
    let again = MutableClaim::from_bytes(&claim.encode(), cap, 0..MAX_UNITS).expect("own words");
    assert_eq!((again.units(), again.etag(), again.layout()), (claim.units(), claim.etag(), claim.layout()));
    assert!(claim.verify_unit(claim.units().end, &[]).is_err());
    if claim.layout().unit.0 < 4_096 {
        let unit = vec![0; claim.layout().unit_len(0).0 as usize];
        let _ = claim.verify_unit(0, &unit);
    }
}

fn verifier(format: MutableFormat, public_key: &[u8]) -> MutableVerifier {
    MutableVerifier::new(format, StorageIndex::new([0; 16]), fingerprint(public_key))
}

/// Key 3 of a map.
fn key_of(data: &[u8]) -> Option<&[u8]> {
    let mut found = None;
    let _ = lafs_clearinghouse::cbor::Reader::new(data).map(|key, reader| {
        if key == 3 {
            found = reader.clone().bytes(usize::MAX).ok();
        }
        reader.skip()
    });
    found
}
