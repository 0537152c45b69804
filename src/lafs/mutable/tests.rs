//! Whole versions: made, taken apart share by share, verified to the cap and decrypted; and what a liar may do to them.

use super::encode::{EncodedMutable, MutableEncoding, encode};
use super::layout::{LayoutError, ShareLayout};
use super::prefix::SignedPrefix;
use super::signature::FileKey;
use crate::capability::{Capability, FileCap, MutableFormat, ShareCounts};
use crate::lafs::erasure::ErasureCode;
use crate::lafs::hash_tree::HashChain;
use crate::lafs::manifest::{
    MAX_UNITS, Manifest, ManifestError, MutableClaim, MutableManifest, PinnedShare, UnitMismatch, WrongCap,
};
use crate::units::Bytes;
use std::ops::Range;
use std::sync::LazyLock;

const SEGMENT: usize = 30;
static KEY: LazyLock<FileKey> = LazyLock::new(FileKey::generate);
static OTHER: LazyLock<FileKey> = LazyLock::new(FileKey::generate);

fn content(size: usize) -> Vec<u8> {
    (0..size).map(|i| (i * 7) as u8).collect()
}

fn made_by(key: &FileKey, format: MutableFormat, size: usize, (needed, total): (u16, u16)) -> EncodedMutable {
    let shares = ShareCounts::new(needed, total).expect("counts");
    let encoding = MutableEncoding { format, shares, sequence: 5, segment: Bytes(SEGMENT as u64) };
    encode(&content(size), key, encoding).expect("a version")
}

fn made(format: MutableFormat, size: usize) -> EncodedMutable {
    made_by(&KEY, format, size, (3, 10))
}

fn part(share: &[u8], range: Range<u64>) -> &[u8] {
    &share[range.start as usize..range.end as usize]
}

fn caps(file: &EncodedMutable) -> (Capability, Capability) {
    let write = Capability::File(FileCap::MutableWrite(file.cap.clone()));
    (write.read_cap().expect("a read cap"), write.verify_cap().expect("a verify cap"))
}

fn pinned(share: &[u8], number: u16, units: Range<u64>) -> PinnedShare {
    let layout = ShareLayout::from_header(share).expect("a layout");
    let chain = HashChain::from_bytes(part(share, layout.share_hash_chain())).expect("a chain");
    let tree = part(share, layout.tree_nodes(0, layout.tree_node_count()).expect("the tree"));
    PinnedShare::of_tree(layout.prefix(), number, chain, tree, units).expect("its units")
}

/// The claim of some shares, each under the number it is given.
fn claim(file: &EncodedMutable, shares: &[(u16, &[u8])], units: Range<u64>) -> Result<MutableClaim, ManifestError> {
    let share = shares[0].1;
    let layout = ShareLayout::from_header(share).expect("a layout");
    let (public_key, signature) = (part(share, layout.public_key()), part(share, layout.signature()));
    let pins = shares.iter().map(|(number, share)| pinned(share, *number, units.clone())).collect();
    let salted = units.start..units.end.min(layout.prefix().segments());
    let salts = match layout.prefix().format() {
        MutableFormat::Sdmf => vec![],
        MutableFormat::Mdmf => salted
            .map(|unit| part(share, layout.block(unit).expect("a block"))[..16].try_into().expect("a salt"))
            .collect(),
    };
    let verifier = file.cap.read_cap().verifier();
    let prefix = layout.prefix().clone();
    MutableClaim::new(&verifier, prefix, public_key.to_vec(), signature.to_vec(), pins, units.start, salts)
}

fn manifest(file: &EncodedMutable, numbers: &[u16], units: Range<u64>) -> Manifest {
    let shares: Vec<(u16, &[u8])> = numbers.iter().map(|n| (*n, &file.shares[usize::from(*n)][..])).collect();
    Manifest::Mutable(MutableManifest::new(claim(file, &shares, units).expect("a claim")).expect("a signature"))
}

/// The ciphertext of one segment, out of the blocks of these shares.
fn ciphertext(file: &EncodedMutable, numbers: &[u16], unit: u64) -> Vec<u8> {
    let salt = if file.prefix.format() == MutableFormat::Mdmf { 16 } else { 0 };
    let blocks: Vec<(u16, &[u8])> = numbers
        .iter()
        .map(|number| {
            let share = &file.shares[usize::from(*number)];
            let layout = ShareLayout::from_header(share).expect("a layout");
            (*number, &part(share, layout.block(unit).expect("a block"))[salt..])
        })
        .collect();
    let mut segment = vec![0; file.prefix.segment_len(unit).expect("a segment")];
    ErasureCode::new(file.prefix.shares()).decode(&blocks, &mut segment).expect("k blocks");
    segment
}

#[test]
fn any_k_shares_give_the_content_back_verified_by_any_other_k() {
    for format in [MutableFormat::Sdmf, MutableFormat::Mdmf] {
        for size in [0, 1, 2, 3, SEGMENT - 1, SEGMENT, SEGMENT + 1, 10 * SEGMENT + 7] {
            let file = made(format, size);
            let (read, verify) = caps(&file);
            let sent = manifest(&file, &[2, 7, 9], 0..MAX_UNITS).encode();
            let manifest = Manifest::from_bytes(&sent, &verify, 0..MAX_UNITS).expect("a manifest");
            assert_eq!(manifest.encode(), sent);
            assert_eq!(manifest.layout().units(), file.prefix.segments());
            let decryptor = manifest.decryptor(&read).expect("the file's cap");
            let mut whole = vec![];
            for unit in 0..file.prefix.segments() {
                let mut segment = ciphertext(&file, &[9, 0, 4], unit);
                assert_eq!(manifest.verify_unit(unit, &segment), Ok(()), "{format:?} {size} {unit}");
                decryptor.decrypt(unit, &mut segment);
                whole.extend(segment);
            }
            assert_eq!(whole, content(size));
            assert!(manifest.etag().starts_with("\"5-"));
        }
    }
}

#[test]
fn a_page_verifies_its_units_and_no_other() {
    let file = made(MutableFormat::Mdmf, 10 * SEGMENT + 7);
    let (read, verify) = caps(&file);
    let sent = manifest(&file, &[0, 1, 2], 3..7).encode();
    let page = Manifest::from_bytes(&sent, &verify, 3..7).expect("a manifest");
    for unit in 0..11 {
        let mut segment = ciphertext(&file, &[0, 1, 2], unit);
        assert_eq!(page.verify_unit(unit, &segment).is_ok(), (3..7).contains(&unit));
        page.decryptor(&read).expect("the file's cap").decrypt(unit, &mut segment);
        let plain = &content(10 * SEGMENT + 7)[page.layout().unit_range(unit).start as usize..][..segment.len()];
        assert_eq!(segment == plain, (3..7).contains(&unit));
    }
    for asked in [0..7, 3..6, 3..8, 4..8] {
        let error = Manifest::from_bytes(&sent, &verify, asked);
        assert_eq!(error, Err(ManifestError::Units { first: 3, count: 4 }));
    }
}

#[test]
fn a_changed_unit_is_refused() {
    for format in [MutableFormat::Sdmf, MutableFormat::Mdmf] {
        let file = made(format, 2 * SEGMENT);
        let manifest = manifest(&file, &[1, 2, 3], 0..MAX_UNITS);
        let segment = ciphertext(&file, &[0, 1, 2], 0);
        for place in 0..segment.len() {
            let mut changed = segment.clone();
            changed[place] ^= 1;
            assert_eq!(manifest.verify_unit(0, &changed), Err(UnitMismatch { unit: 0 }));
        }
        assert!(manifest.verify_unit(0, &segment[1..]).is_err());
        assert!(manifest.verify_unit(0, &[&segment[..], &[0]].concat()).is_err());
        assert!(manifest.verify_unit(u64::MAX, &segment).is_err());
    }
    let file = made(MutableFormat::Mdmf, 2 * SEGMENT);
    assert!(manifest(&file, &[1, 2, 3], 0..2).verify_unit(1, &ciphertext(&file, &[0, 1, 2], 0)).is_err());
}

#[test]
fn no_octet_of_a_manifest_can_be_changed() {
    for format in [MutableFormat::Sdmf, MutableFormat::Mdmf] {
        let file = made(format, 3 * SEGMENT);
        let (_, verify) = caps(&file);
        let units = file.prefix.segments();
        let sent = manifest(&file, &[0, 5, 9], 0..units).encode();
        let whole = ciphertext(&file, &[0, 1, 2], 0);
        for place in 0..sent.len() {
            let mut changed = sent.clone();
            changed[place] ^= 1 << (place % 8);
            // A salt is part of the block's hash, so that the unit is refused and not the manifest.
            let read = Manifest::from_bytes(&changed, &verify, 0..units);
            let salted = format == MutableFormat::Mdmf && place >= sent.len() - 16 * units as usize;
            if let Ok(read) = &read {
                let refused =
                    (0..units).any(|unit| read.verify_unit(unit, &ciphertext(&file, &[0, 1, 2], unit)).is_err());
                assert!(salted && refused, "octet {place}");
            }
        }
        assert!(Manifest::from_bytes(&sent, &verify, 0..units).expect("unchanged").verify_unit(0, &whole).is_ok());
    }
}

#[test]
fn shares_of_another_file_or_another_version_do_not_mix() {
    let (file, again, other) = (
        made(MutableFormat::Mdmf, 100),
        made(MutableFormat::Mdmf, 100),
        made_by(&OTHER, MutableFormat::Mdmf, 100, (3, 10)),
    );
    let share = |file: &EncodedMutable, number: usize| file.shares[number].clone();
    let units = 0..file.prefix.segments();
    for strange in [share(&again, 1), share(&other, 1), share(&file, 2)] {
        let (first, last) = (share(&file, 0), share(&file, 9));
        let mixed = claim(&file, &[(0, &first), (1, &strange), (9, &last)], units.clone());
        assert_eq!(mixed.map(drop), Err(ManifestError::Hashes));
    }
    let shares: Vec<(u16, &[u8])> = (0..3).map(|number| (number, &other.shares[usize::from(number)][..])).collect();
    assert_eq!(claim(&file, &shares, units).map(drop), Err(ManifestError::Key));
    let theirs = manifest(&other, &[0, 1, 2], 0..1).encode();
    assert_eq!(Manifest::from_bytes(&theirs, &caps(&file).1, 0..1), Err(ManifestError::Key));
    let mine = manifest(&file, &[0, 1, 2], 0..1);
    assert_eq!(mine.decryptor(&caps(&other).0).map(drop), Err(WrongCap));
}

#[test]
fn other_shares_than_k_by_ascending_numbers_are_refused() {
    let file = made(MutableFormat::Sdmf, 100);
    let numbered = |numbers: &[u16]| {
        let shares: Vec<(u16, &[u8])> =
            numbers.iter().map(|n| (*n, &file.shares[usize::from(*n).min(9)][..])).collect();
        claim(&file, &shares, 0..1).map(drop)
    };
    for numbers in [&[0, 1][..], &[0, 1, 2, 3], &[0, 0, 1], &[1, 0, 2]] {
        assert_eq!(numbered(numbers), Err(ManifestError::Pinned), "{numbers:?}");
    }
    for numbers in [[0, 1, 10], [0, 1, 255], [0, 1, u16::MAX]] {
        assert_eq!(numbered(&numbers), Err(ManifestError::Hashes), "{numbers:?}");
    }
}

#[test]
fn what_the_key_did_not_sign_is_refused() {
    let file = made(MutableFormat::Sdmf, 100);
    let (_, verify) = caps(&file);
    let mut shares = file.shares.clone();
    // A later sequence number, which no hash covers.
    shares.iter_mut().for_each(|share| share[8] = 6);
    let shares: Vec<(u16, &[u8])> = (0..3).map(|number| (number, &shares[usize::from(number)][..])).collect();
    let forged = claim(&file, &shares, 0..1).expect("all but the signature is right");
    assert_eq!(MutableManifest::new(forged.clone()).map(drop), Err(ManifestError::Signature));
    assert_eq!(Manifest::from_bytes(&forged.encode(), &verify, 0..1), Err(ManifestError::Signature));
}

#[test]
fn the_other_format_is_no_kind_of_this_cap() {
    let (sdmf, mdmf) = (made(MutableFormat::Sdmf, 10), made(MutableFormat::Mdmf, 10));
    let error = Manifest::from_bytes(&manifest(&sdmf, &[0, 1, 2], 0..1).encode(), &caps(&mdmf).1, 0..1);
    assert!(error.is_err());
    let share: Vec<(u16, &[u8])> = (0..3).map(|n| (n, &sdmf.shares[usize::from(n)][..])).collect();
    assert_eq!(claim(&mdmf, &share, 0..1).map(drop), Err(ManifestError::Kind { found: 2 }));
}

#[test]
fn a_share_cut_off_anywhere_in_its_header_has_no_layout() {
    let file = made(MutableFormat::Mdmf, 100);
    for length in 0..ShareLayout::HEADER_BYTES {
        let cut = ShareLayout::from_header(&file.shares[0][..length]);
        assert!(matches!(cut, Err(LayoutError::Prefix(_) | LayoutError::CutOff { .. })), "{length}");
    }
    assert_eq!(ShareLayout::from_header(&file.shares[0]).map(|layout| layout.end()), Ok(file.shares[0].len() as u64));
    assert_eq!(SignedPrefix::from_share(&file.shares[3]), Ok(file.prefix));
}

#[test]
fn a_large_number_of_shares_is_made_and_read() {
    let file = made_by(&KEY, MutableFormat::Sdmf, 1_000, (101, 255));
    let numbers: Vec<u16> = (154..255).collect();
    let unit = ciphertext(&file, &numbers, 0);
    assert_eq!(manifest(&file, &(0..101).collect::<Vec<_>>(), 0..1).verify_unit(0, &unit), Ok(()));
}
