//! What is encoded is read back, and whatever is changed on the way is refused.

use crate::capability::{Capability, ChkVerifier, FileCap, Key, ShareCounts};
use crate::lafs::erasure::ErasureCode;
use crate::lafs::hash_tree::HashChain;
use crate::lafs::immutable::{
    ChkEncoding, ChkKey, EncodeError, EncodedFile, ShareHeader, ShareHeaderError, ShareLayout, ShareLayoutError,
    ShareProof, ShareVersion, block_hash, encode,
};
use crate::lafs::manifest::{ChkManifest, Manifest};
use crate::lafs::ueb::UriExtension;
use crate::units::Bytes;
use proptest::prelude::*;
use std::ops::Range;

fn content(size: usize) -> Vec<u8> {
    (0..size).map(|i| (i * i / 7 + i) as u8).collect()
}

fn encoding(needed: u16, total: u16, max_segment: u64, version: ShareVersion) -> ChkEncoding {
    let shares = ShareCounts::new(needed, total).expect("counts");
    ChkEncoding { shares, max_segment: Bytes(max_segment), version }
}

fn encoded(size: usize, encoding: ChkEncoding) -> EncodedFile {
    encode(&content(size), ChkKey::Given(&Key::new([7; 16])), encoding).expect("a file")
}

fn at(share: &[u8], range: Range<u64>) -> Option<&[u8]> {
    share.get(usize::try_from(range.start).ok()?..usize::try_from(range.end).ok()?)
}

/// The blocks of a share, each proven, and the file's manifest: all that a reader does, in its order. `None` where anything is
/// not as the cap says.
fn read<'s>(share: &'s [u8], number: u16, cap: &ChkVerifier) -> Option<(Vec<&'s [u8]>, Manifest)> {
    let header = ShareHeader::from_bytes(share).ok()?;
    let place = header.ueb(at(share, header.ueb_length())?).ok()?;
    let ueb = UriExtension::parse(at(share, place)?, cap).ok()?;
    let layout = ShareLayout::new(header, ueb.segments(), Some(Bytes(share.len() as u64))).ok()?;
    let chain = HashChain::from_bytes(at(share, layout.share_hashes())?).ok()?;
    let proof = ShareProof::new(&ueb, number, &chain)?;
    let count = ueb.segments().count();
    let hashes = proof.blocks_of_tree(at(share, layout.block_tree())?, 0, count)?;
    let mut blocks = vec![];
    for segment in 0..count {
        let block = at(share, layout.block(segment))?;
        if block_hash(block) != *hashes.get(segment)? {
            return None;
        }
        blocks.push(block);
    }
    let manifest = ChkManifest::of_tree(ueb, at(share, layout.crypttext_tree())?, 0..count).ok()?;
    Some((blocks, Manifest::Chk(manifest)))
}

fn restored(file: &EncodedFile, numbers: &[u16]) -> Vec<u8> {
    let cap = file.cap.verifier();
    let code = ErasureCode::new(cap.shares());
    let shares: Vec<_> = numbers
        .iter()
        .map(|number| (*number, read(&file.shares[usize::from(*number)], *number, &cap).expect("a good share")))
        .collect();
    let manifest = &shares[0].1.1;
    let read_cap = Capability::File(FileCap::ChkRead(file.cap.clone()));
    let decryptor = manifest.decryptor(&read_cap).expect("the file's cap");
    let mut found = vec![];
    for unit in 0..manifest.layout().units() {
        let blocks: Vec<(u16, &[u8])> =
            shares.iter().map(|(number, (blocks, _))| (*number, blocks[unit as usize])).collect();
        let mut segment = vec![0; manifest.layout().unit_len(unit).0 as usize];
        code.decode(&blocks, &mut segment).expect("enough blocks");
        manifest.verify_unit(unit, &segment).expect("the segment");
        decryptor.decrypt(unit, &mut segment);
        found.extend(segment);
    }
    found
}

#[test]
fn a_header_is_as_of_a_real_share() {
    // Of a file of 1,000,000 octets, 2-of-3, on a real grid.
    let file = encoded(1_000_000, encoding(2, 3, 1 << 20, ShareVersion::V1));
    let words = [1, 0x7_a120, 0x7_a120, 0x24, 0x7_a144, 0x7_a164, 0x7_a184, 0x7_a1a4, 0x7_a20a_u32];
    assert_eq!(file.shares[2][..36], words.map(u32::to_be_bytes).concat());
}

#[test]
fn large_offsets_change_the_header_and_nothing_else() {
    let [first, second] = [ShareVersion::V1, ShareVersion::V2].map(|version| encoded(100, encoding(2, 3, 30, version)));
    assert_eq!(first.cap, second.cap);
    let length = first.shares[0].len() - 36;
    assert_eq!(first.shares[0][36..36 + length / 2], second.shares[0][68..68 + length / 2]);
    assert_eq!(restored(&second, &[2, 0]), content(100));
}

#[test]
fn a_convergent_key_depends_on_content_secret_and_cut() {
    let cap = |content: &[u8], secret: &[u8], encoding| {
        encode(content, ChkKey::Convergent(secret), encoding).expect("a file").cap.key().clone()
    };
    let usual = encoding(2, 3, 30, ShareVersion::V1);
    let key = cap(b"content", b"secret", usual);
    assert_eq!(key, cap(b"content", b"secret", usual));
    for other in [
        cap(b"contents", b"secret", usual),
        cap(b"content", b"secrets", usual),
        cap(b"content", b"secret", encoding(2, 4, 30, ShareVersion::V1)),
        cap(b"content", b"secret", encoding(2, 3, 4, ShareVersion::V1)),
    ] {
        assert_ne!(key, other);
    }
}

#[test]
fn nothing_is_no_file_of_shares() {
    let encoding = encoding(2, 3, 30, ShareVersion::V1);
    let error = encode(b"", ChkKey::Convergent(b""), encoding).map(|file| file.cap);
    assert_eq!(error, Err(EncodeError::Segments { size: Bytes(0), max_segment: Bytes(30) }));
}

#[test]
fn a_share_of_another_number_or_file_is_refused() {
    let (file, other) =
        (encoded(100, encoding(2, 3, 30, ShareVersion::V1)), encoded(101, encoding(2, 3, 30, ShareVersion::V1)));
    let cap = file.cap.verifier();
    assert!(read(&file.shares[1], 1, &cap).is_some());
    for number in [0, 2, 3, 256] {
        assert!(read(&file.shares[1], number, &cap).is_none(), "{number}");
    }
    assert!(read(&other.shares[1], 1, &cap).is_none());
}

#[test]
fn a_header_that_leads_nowhere_is_named() {
    let share = &encoded(100, encoding(2, 3, 30, ShareVersion::V1)).shares[0];
    let header = |word: usize, value: u32| {
        let mut bytes = share.clone();
        bytes[4 * word..4 * word + 4].copy_from_slice(&value.to_be_bytes());
        ShareHeader::from_bytes(&bytes)
    };
    assert_eq!(header(0, 3), Err(ShareHeaderError::Version { found: 3 }));
    assert_eq!(header(0, 2), Err(ShareHeaderError::Order), "offsets of 64 bits");
    assert_eq!(header(3, 35), Err(ShareHeaderError::Order), "blocks in the header");
    assert_eq!(header(6, u32::MAX), Err(ShareHeaderError::Order));
    assert_eq!(ShareHeader::from_bytes(&share[..35]), Err(ShareHeaderError::CutOff { found: 35 }));
    assert_eq!(ShareHeader::from_bytes(&share[..3]), Err(ShareHeaderError::CutOff { found: 3 }));

    let good = ShareHeader::from_bytes(share).expect("a header");
    assert_eq!(good.ueb(&2000_u32.to_be_bytes()), Err(ShareHeaderError::UebTooLong { found: 2000 }));
    assert_eq!(good.ueb(&[0; 8]), Err(ShareHeaderError::CutOff { found: 8 }));
    let far = header(8, u32::MAX).expect("a header").share_hashes();
    assert!(matches!(far, Err(ShareHeaderError::ChainTooLong { .. })), "{far:?}");
}

#[test]
fn sections_that_are_too_short_or_past_the_end_are_named() {
    let file = encoded(100, encoding(2, 3, 30, ShareVersion::V1));
    let share = &file.shares[0];
    let good = ShareHeader::from_bytes(share).expect("a header");
    let place = good.ueb(at(share, good.ueb_length()).expect("a length")).expect("a block");
    let ueb = UriExtension::parse(at(share, place).expect("a block"), &file.cap.verifier()).expect("the block");
    let layout = |word: usize, value: u32, size: u64| {
        let mut bytes = share.clone();
        bytes[4 * word..4 * word + 4].copy_from_slice(&value.to_be_bytes());
        ShareLayout::new(ShareHeader::from_bytes(&bytes).expect("a header"), ueb.segments(), Some(Bytes(size)))
            .map(drop)
    };
    let size = share.len() as u64;
    let word = |word: usize| u32::from_be_bytes(share[4 * word..4 * word + 4].try_into().expect("four octets"));
    assert_eq!(layout(1, 0, size), Ok(()), "the size of a block is not looked at");
    let short = |section, expected, found| Err(ShareLayoutError::Short { section, expected, found });
    assert_eq!(layout(4, word(4) - 1, size), short("blocks", 50, 49));
    assert_eq!(layout(6, word(6) - 1, size), short("crypttext hash tree", 224, 223));
    assert_eq!(layout(7, word(7) - 1, size), short("block hash tree", 224, 223));
    let end = u64::from(word(8)) + 4;
    assert_eq!(layout(1, 0, end - 1), Err(ShareLayoutError::PastTheEnd { end, size: end - 1 }));
}

prop_compose! {
    fn any_file()(
        total in 1..=12_u16,
    )(
        needed in 1..=total, total in Just(total), size in 1..300_usize, max_segment in 1..120_u64, large in any::<bool>(),
    ) -> (usize, ChkEncoding) {
        let version = if large { ShareVersion::V2 } else { ShareVersion::V1 };
        (size, encoding(needed, total, max_segment, version))
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_k_shares_give_the_content_back((size, encoding) in any_file(), skipped in any::<prop::sample::Index>()) {
        let file = encoded(size, encoding);
        let (needed, total) = (encoding.shares.needed(), encoding.shares.total());
        let start = skipped.index(usize::from(total)) as u16;
        let mut numbers: Vec<u16> = (0..needed).map(|i| (start + i) % total).collect();
        numbers.reverse();
        prop_assert_eq!(restored(&file, &numbers), content(size));
    }

    #[test]
    fn a_flipped_bit_is_refused_or_was_of_no_use(
        (size, encoding) in any_file(),
        number in any::<prop::sample::Index>(),
        place in any::<prop::sample::Index>(),
        bit in 0..8_u8,
    ) {
        let file = encoded(size, encoding);
        let number = number.index(file.shares.len());
        let mut share = file.shares[number].clone();
        let cap = file.cap.verifier();
        let (blocks, manifest) = read(&file.shares[number], number as u16, &cap).expect("a good share");
        let place = place.index(share.len());
        share[place] ^= 1 << bit;
        if let Some((found, other)) = read(&share, number as u16, &cap) {
            prop_assert_eq!(found, blocks);
            prop_assert_eq!(other, manifest);
            // Of no use are the sizes in the header, the tree of the plaintext, and what lies above all leaves in the others.
            let header = ShareHeader::from_bytes(&share).expect("a header");
            let end = header.share_hashes().expect("a chain").start as usize;
            prop_assert!(place < end, "byte {} of a share whose chain begins at {}", place, end);
        }
    }

    #[test]
    fn the_share_of_anybody_else_does_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..200), version in 1..3_u8) {
        let bytes = [&[0, 0, 0, version][..], &bytes].concat();
        if let Ok(header) = ShareHeader::from_bytes(&bytes) {
            let _ = header.share_hashes();
            let segments = encoding(2, 3, 30, ShareVersion::V1);
            let segments = crate::lafs::segments::Segments::with_max_segment(segments.shares, Bytes(100), Bytes(30));
            if let Ok(layout) = ShareLayout::new(header, &segments.expect("a cut"), None) {
                prop_assert!(layout.block(3).end <= layout.crypttext_tree().start);
                prop_assert!(layout.crypttext_tree().end <= layout.block_tree().start);
                prop_assert!(layout.block_tree().end <= layout.share_hashes().start);
            }
        }
    }
}
