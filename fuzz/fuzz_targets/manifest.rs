//! Manifests: what a gateway may answer, for a cap that its own URI extension block gives.
#![no_main]

use lafs_clearinghouse::capability::{Capability, ChkVerifier, FileCap, ShareCounts, StorageIndex};
use lafs_clearinghouse::cbor::Reader;
use lafs_clearinghouse::lafs::manifest::{MAX_UNITS, Manifest};
use lafs_clearinghouse::lafs::ueb::{MAX_UEB_BYTES, UriExtension};
use lafs_clearinghouse::units::Bytes;
use lafs_clearinghouse_fuzz::has_one_form;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    // The counts and the size that the cap says; the manifest.
    let Some((cap, bytes)) = data.split_first_chunk::<12>() else { return };
    let [needed, total] = [[cap[0], cap[1]], [cap[2], cap[3]]].map(u16::from_be_bytes);
    let Some(counts) = ShareCounts::new(needed, total) else { return };
    let size = Bytes(cap[4..].iter().fold(0, |size, octet| size << 8 | u64::from(*octet)));
    let (hash, first) = stated(bytes);
    let cap = ChkVerifier::new(StorageIndex::new([0; 16]), hash, counts, size);
    let cap = Capability::File(FileCap::ChkVerifier(cap));
    let Ok(manifest) = Manifest::from_bytes(bytes, &cap, first..first.saturating_add(MAX_UNITS)) else { return };
    has_one_form(bytes);
    assert_eq!(manifest.encode(), bytes);
    let units = manifest.units();
    assert!(units.start == first && !units.is_empty() && units.end - units.start <= MAX_UNITS);
    assert!(units.end <= manifest.layout().units());
    assert_eq!(manifest.layout().size, size);
    assert!(manifest.verify_unit(units.end, &[]).is_err());
});

/// The hash of the block in key 1 and the number in key 2.
fn stated(bytes: &[u8]) -> ([u8; 32], u64) {
    let (mut hash, mut first) = ([0; 32], 0);
    let _ = Reader::new(bytes).map(|key, reader| {
        let mut look = reader.clone();
        match key {
            1 => hash = look.bytes(MAX_UEB_BYTES).map(UriExtension::hash_of)?,
            2 => first = look.uint()?,
            _ => {}
        }
        reader.skip()
    });
    (hash, first)
}
