//! A manifest checks what its cap means, and nothing else passes for it.

use crate::capability::{
    Capability, ChkVerifier, FileCap, Key, MutableFormat, MutableVerifier, ShareCounts, StorageIndex,
};
use crate::cbor::{CborFault, MapWriter};
use crate::lafs::cipher::Cipher;
use crate::lafs::hash_tree::{Hash, HashTree};
use crate::lafs::immutable::{ChkEncoding, ChkKey, encode, segment_hash};
use crate::lafs::manifest::{ChkManifest, MAX_UNITS, Manifest, ManifestError, UnitMismatch, WrongCap};
use crate::lafs::ueb::{UebError, UriExtension};
use crate::units::Bytes;
use proptest::prelude::*;
use std::ops::Range;

/// A file of eleven segments and what a gateway has of it.
struct File {
    read: Capability,
    verify: Capability,
    content: Vec<u8>,
    ciphertext: Vec<u8>,
    ueb: UriExtension,
    tree: HashTree,
}

const SEGMENT: usize = 30;
const UNITS: u64 = 11;

fn file_with(key: [u8; 16]) -> File {
    let content: Vec<u8> = (0..SEGMENT * 10 + 7).map(|i| i as u8).collect();
    let shares = ShareCounts::new(3, 10).expect("counts");
    let encoding = ChkEncoding { max_segment: Bytes(SEGMENT as u64), ..ChkEncoding::new(shares) };
    let made = encode(&content, ChkKey::Given(&Key::new(key)), encoding).expect("a file");
    let share = &made.shares[0];
    let hash = *made.cap.verifier().ueb_hash();
    let mut tails = (1..share.len()).rev().map(|start| &share[start..]);
    let ueb = tails.find(|tail| UriExtension::hash_of(tail) == hash).expect("a share ends with the block");
    let ueb = UriExtension::parse(ueb, &made.cap.verifier()).expect("the block");
    let mut ciphertext = content.clone();
    Cipher::new(made.cap.key()).apply_at(0, &mut ciphertext);
    let leaves: Vec<Hash> = ciphertext.chunks(SEGMENT).map(segment_hash).collect();
    let read = Capability::File(FileCap::ChkRead(made.cap));
    let verify = read.verify_cap().expect("a verify cap");
    File { read, verify, content, ciphertext, ueb, tree: HashTree::from_leaves(&leaves).expect("a tree") }
}

fn file() -> File {
    file_with([7; 16])
}

impl File {
    fn manifest(&self, units: Range<u64>) -> Manifest {
        let tree = self.tree.nodes().as_flattened();
        Manifest::Chk(ChkManifest::of_tree(self.ueb.clone(), tree, units).expect("a manifest"))
    }

    fn read(&self, bytes: &[u8], units: Range<u64>) -> Result<Manifest, ManifestError> {
        Manifest::from_bytes(bytes, &self.verify, units)
    }
}

#[test]
fn each_page_checks_and_decrypts_its_units_alone() {
    let file = file();
    for asked in [0..UNITS, 0..MAX_UNITS, 0..1, 3..7, 10..11, 8..MAX_UNITS] {
        let sent = file.manifest(asked.clone()).encode();
        let manifest = file.read(&sent, asked.clone()).expect("a manifest");
        assert_eq!(manifest.encode(), sent);
        assert_eq!(manifest.units(), asked.start..asked.end.min(UNITS));
        let decryptor = manifest.decryptor(&file.read).expect("the file's cap");
        for unit in 0..UNITS {
            let place = manifest.layout().unit_range(unit);
            let place = place.start as usize..place.end as usize;
            let mut bytes = file.ciphertext[place.clone()].to_vec();
            if !manifest.covers(unit) {
                assert_eq!(manifest.verify_unit(unit, &bytes), Err(UnitMismatch { unit }));
                continue;
            }
            assert_eq!(manifest.verify_unit(unit, &bytes), Ok(()));
            decryptor.decrypt(unit, &mut bytes);
            assert_eq!(bytes, file.content[place]);
        }
    }
}

#[test]
fn no_page_is_longer_than_another_page_of_its_file_says() {
    let file = file();
    let pages = [0..UNITS, 0..1, 3..7, 4..5, 10..11, 8..UNITS];
    for first in &pages {
        let first = file.manifest(first.clone());
        for page in &pages {
            let (length, count) = (file.manifest(page.clone()).encode().len() as u64, page.end - page.start);
            assert!(length <= first.at_most(count), "{length} of {page:?}");
        }
    }
    // A hash for each unit, and a little: not many times as much.
    assert!(file.manifest(0..1).at_most(MAX_UNITS) < 64 * MAX_UNITS);
}

#[test]
fn a_unit_in_anothers_place_or_of_another_length_is_none() {
    let file = file();
    let manifest = file.manifest(0..UNITS);
    let unit = |unit: u64| {
        let range = manifest.layout().unit_range(unit);
        &file.ciphertext[range.start as usize..range.end as usize]
    };
    assert_eq!(manifest.verify_unit(1, unit(2)), Err(UnitMismatch { unit: 1 }));
    assert_eq!(manifest.verify_unit(1, &unit(1)[1..]), Err(UnitMismatch { unit: 1 }));
    assert_eq!(manifest.verify_unit(10, &[unit(10), &[0; 23]].concat()), Err(UnitMismatch { unit: 10 }));
    assert_eq!(manifest.verify_unit(11, &[]), Err(UnitMismatch { unit: 11 }));
    assert_eq!(manifest.verify_unit(u64::MAX, &[]), Err(UnitMismatch { unit: u64::MAX }));
}

#[test]
fn the_entity_tag_is_the_hash_in_the_cap() {
    let file = file();
    let FileCap::ChkVerifier(cap) = file.verify.file() else { panic!("a verify cap") };
    let tag = file.manifest(3..4).etag();
    assert_eq!(tag, format!("\"{}\"", data_encoding::HEXLOWER.encode(cap.ueb_hash())));
    assert_eq!(tag.len(), 66);
}

#[test]
fn other_units_than_those_asked_for_are_refused() {
    let file = file();
    let sent = file.manifest(3..7).encode();
    for asked in [0..7, 3..6, 3..8, 4..8, 7..11, 3..3, 3..MAX_UNITS] {
        assert_eq!(file.read(&sent, asked.clone()), Err(ManifestError::Units { first: 3, count: 4 }), "{asked:?}");
    }
    let tree = file.tree.nodes().as_flattened();
    for (asked, count) in [(11..12, 0), (UNITS..MAX_UNITS, 0), (5..5, 0)] {
        let none = ChkManifest::of_tree(file.ueb.clone(), tree, asked.clone());
        assert_eq!(none, Err(ManifestError::Units { first: asked.start, count }));
    }
}

#[test]
fn another_cap_refuses_it_and_does_not_decrypt_it() {
    let (file, other) = (file(), file_with([8; 16]));
    let manifest = file.manifest(0..UNITS);
    let sent = manifest.encode();
    assert_eq!(other.read(&sent, 0..UNITS), Err(UebError::Hash.into()));
    assert_eq!(Manifest::from_bytes(&sent, &file.read, 0..UNITS), Err(ManifestError::Cap));
    assert_eq!(Manifest::from_bytes(&sent, &"URI:LIT:".parse().expect("a cap"), 0..UNITS), Err(ManifestError::Cap));
    let FileCap::ChkVerifier(cap) = file.verify.file() else { panic!("a verify cap") };
    let longer = ChkVerifier::new(cap.storage_index(), *cap.ueb_hash(), cap.shares(), Bytes(cap.size().0 + 1));
    let longer = Capability::File(FileCap::ChkVerifier(longer));
    let error = Manifest::from_bytes(&sent, &longer, 0..UNITS);
    assert_eq!(error, Err(UebError::Contradiction { key: "size" }.into()));
    for cap in [&other.read, &file.verify] {
        assert_eq!(manifest.decryptor(cap).map(drop), Err(WrongCap));
    }
}

#[test]
fn a_directory_is_checked_as_the_file_beneath() {
    let file = file();
    let directory = Capability::Directory(file.verify.file().clone());
    let sent = file.manifest(0..UNITS).encode();
    assert!(Manifest::from_bytes(&sent, &directory, 0..UNITS).is_ok());
    assert!(file.manifest(0..UNITS).decryptor(&Capability::Directory(file.read.file().clone())).is_ok());
}

#[test]
fn a_kind_that_is_not_the_caps_is_named() {
    let file = file();
    let mutable = MutableVerifier::new(MutableFormat::Sdmf, StorageIndex::new([0; 16]), [0; 32]);
    let mutable = Capability::File(FileCap::MutableVerifier(mutable));
    let sent = file.manifest(0..UNITS).encode();
    assert_eq!(Manifest::from_bytes(&sent, &mutable, 0..UNITS), Err(ManifestError::Kind { found: 1 }));
    assert_eq!(file.read(&MapWriter::new().uint(0, 9).finish(), 0..1), Err(ManifestError::Kind { found: 9 }));
}

#[test]
fn another_form_is_refused() {
    let file = file();
    let sent = file.manifest(0..UNITS).encode();
    let fault = |bytes: &[u8]| match file.read(bytes, 0..UNITS) {
        Err(ManifestError::Cbor(error)) => error.fault,
        other => panic!("{other:?}"),
    };
    assert_eq!(fault(&[]), CborFault::CutOff);
    assert_eq!(fault(&[0xa0]), CborFault::Expected("another entry"));
    assert_eq!(fault(&sent[..sent.len() - 1]), CborFault::CutOff);
    assert_eq!(fault(&[&sent[..], &[0]].concat()), CborFault::Trailing(1));
    assert_eq!(fault(&MapWriter::new().uint(0, 1).uint(5, 1).finish()), CborFault::Expected("a known key"));
    assert_eq!(fault(&MapWriter::new().uint(0, 1).bytes(3, &[0; 33]).finish()), CborFault::Expected("whole hashes"));
    let many = vec![0; 32 * (MAX_UNITS as usize + 1)];
    assert!(matches!(fault(&MapWriter::new().uint(0, 1).bytes(3, &many).finish()), CborFault::TooMany { .. }));
    assert!(matches!(fault(&MapWriter::new().uint(0, 1).bytes(1, &[0; 2000]).finish()), CborFault::TooMany { .. }));
}

proptest! {
    #[test]
    fn a_flipped_bit_is_refused(
        start in 0..UNITS, count in 1..=UNITS, place in any::<prop::sample::Index>(), bit in 0..8_u8,
    ) {
        let (file, units) = (file(), start..start + count);
        let mut sent = file.manifest(units.clone()).encode();
        let place = place.index(sent.len());
        sent[place] ^= 1 << bit;
        prop_assert!(file.read(&sent, units).is_err());
    }

    #[test]
    fn a_flipped_bit_makes_no_unit(place in any::<prop::sample::Index>(), bit in 0..8_u8) {
        let mut file = file();
        let place = place.index(file.ciphertext.len());
        file.ciphertext[place] ^= 1 << bit;
        let manifest = file.manifest(0..UNITS);
        for unit in 0..UNITS {
            let range = manifest.layout().unit_range(unit);
            let right = manifest.verify_unit(unit, &file.ciphertext[range.start as usize..range.end as usize]).is_ok();
            prop_assert_eq!(right, !range.contains(&(place as u64)));
        }
    }
}
