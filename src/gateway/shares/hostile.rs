//! Shares and caps that were made to cost memory or time: what is asked for on account of them is bounded.

use super::error::ReadError;
use super::files::Files;
use super::fixtures::{Asked, Manner, MemoryServer, list, one_each};
use super::tests::{content, encoded, read, version};
use crate::capability::{Capability, ChkVerifier, FileCap, MutableFormat, ShareCounts, StorageIndex};
use crate::lafs::immutable::{ChkEncoding, ChkKey, EncodedFile, encode};
use crate::lafs::mutable::{FileKey, ShareLayout};
use crate::lafs::ueb::{MAX_UEB_BYTES, UebHashes, UriExtension};
use crate::tagged::push_netstring;
use crate::units::Bytes;
use futures::StreamExt;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What is read at most of a share that is worth nothing: its head, its hashes, the largest URI extension block, and as much
/// again for whoever looks twice.
const BOUND: Asked = Asked { reads: 12, octets: 2 << 20, longest: 1 << 20 };

/// Where an offset can lead: to the beginning, into another section, about the end of the share, about all that 32, 63 and 64
/// bits can count.
fn offsets(share: &[u8], width: usize) -> Vec<u64> {
    let end = share.len() as u64;
    let mut offsets =
        vec![0, 1, 35, 68, end / 2, end - 1, end, end + 1, 1 << 30, (1 << 31) - 1, 1 << 31, (1 << 32) - 1];
    if width == 8 {
        offsets.extend([1 << 32, 1 << 60, (1 << 63) - 1, 1 << 63, u64::MAX - 1, u64::MAX]);
    }
    offsets
}

fn with_number(share: &[u8], at: usize, width: usize, number: u64) -> Vec<u8> {
    let mut share = share.to_vec();
    share[at..at + width].copy_from_slice(&number.to_be_bytes()[8 - width..]);
    share
}

/// A hostile share 0 beside two honest ones: the file comes, and the hostile server is not asked for more than `bound`.
async fn is_read_around(hostile: Vec<u8>, shares: &[Vec<u8>], cap: &Capability, expected: &[u8], what: &str) {
    let server =
        |name, number: u16, share: Vec<u8>| MemoryServer::new(name, BTreeMap::from([(number, share)]), Manner::Honest);
    let size = hostile.len() as u64;
    let servers =
        [server("hostile", 0, hostile), server("s1", 1, shares[1].clone()), server("s2", 2, shares[2].clone())];
    let got = read(&Files::on(list(&servers)), cap).await.unwrap_or_else(|error| panic!("{what}: {error}"));
    assert!(got == expected, "{what}");
    let (asked, most) = (servers[0].asked(), Asked { octets: BOUND.octets + size, ..BOUND });
    assert!(asked.within(&most), "{what}: {asked:?} and at most {most:?}");
}

#[tokio::test]
async fn offsets_that_lead_nowhere_or_into_each_other_cost_little_and_are_read_around() {
    let (file, cap) = encoded(2, 3);
    let share = &file.shares[0];
    // Version, block size and data size; then the six offsets, and the length of the URI extension block.
    let ueb = u32::from_be_bytes(share[32..36].try_into().unwrap()) as usize;
    for at in (12..36).step_by(4).chain([ueb]) {
        for offset in offsets(share, 4) {
            let hostile = with_number(share, at, 4, offset);
            is_read_around(hostile, &file.shares, &cap, &content(40_000), &format!("{offset} at {at}")).await;
        }
    }
    // The same in the form with offsets of 64 bits.
    let mut wide = vec![0, 0, 0, 2];
    for field in 1..9 {
        let number = u32::from_be_bytes(share[4 * field..4 * field + 4].try_into().unwrap());
        wide.extend_from_slice(&(u64::from(number) + if field > 2 { 32 } else { 0 }).to_be_bytes());
    }
    wide.extend_from_slice(&share[36..ueb]);
    wide.extend_from_slice(&[0; 4]);
    wide.extend_from_slice(&share[ueb..]);
    is_read_around(wide.clone(), &file.shares, &cap, &content(40_000), "as it should be").await;
    for at in (20..68).step_by(8).chain([ueb + 32]) {
        for offset in offsets(&wide, 8) {
            let hostile = with_number(&wide, at, 8, offset);
            is_read_around(hostile, &file.shares, &cap, &content(40_000), &format!("{offset} at {at}, wide")).await;
        }
    }
}

#[tokio::test]
async fn offsets_of_mutable_shares_cost_as_little() {
    let key = FileKey::generate();
    for (format, places) in [
        (MutableFormat::Sdmf, vec![(75, 4), (79, 4), (83, 4), (87, 4), (91, 8), (99, 8)]),
        (MutableFormat::Mdmf, (0..8).map(|field| (59 + 8 * field, 8)).collect()),
    ] {
        let (shares, cap) = version(&key, format, 1, &content(9_000));
        assert!(ShareLayout::from_header(&shares[0]).is_ok());
        for (at, width) in places {
            for offset in offsets(&shares[0], width) {
                let hostile = with_number(&shares[0], at, width, offset);
                let what = format!("{format:?}: {offset} at {at}");
                is_read_around(hostile, &shares, &cap, &content(9_000), &what).await;
            }
        }
    }
}

/// The URI extension block of a file that says so of itself, and a share with nothing else in it.
fn bomb(needed: u64, total: u64, size: u64, segment: u64, segments: u64) -> (Vec<u8>, Vec<u8>) {
    let tail = size.checked_rem(segment).filter(|tail| *tail > 0).unwrap_or(segment);
    let tail = tail.checked_next_multiple_of(needed.max(1)).unwrap_or(tail);
    let mut ueb = Vec::new();
    for (key, value) in [
        ("codec_name", b"crs".to_vec()),
        ("codec_params", format!("{segment}-{needed}-{total}").into_bytes()),
        ("crypttext_hash", vec![1; 32]),
        ("crypttext_root_hash", vec![2; 32]),
        ("needed_shares", needed.to_string().into_bytes()),
        ("num_segments", segments.to_string().into_bytes()),
        ("segment_size", segment.to_string().into_bytes()),
        ("share_root_hash", vec![3; 32]),
        ("size", size.to_string().into_bytes()),
        ("tail_codec_params", format!("{tail}-{needed}-{total}").into_bytes()),
        ("total_shares", total.to_string().into_bytes()),
    ] {
        ueb.extend_from_slice(key.as_bytes());
        ueb.push(b':');
        push_netstring(&mut ueb, &value);
    }
    let share = share_of(&ueb);
    (ueb, share)
}

/// A share in which all sections before the URI extension block are empty.
fn share_of(ueb: &[u8]) -> Vec<u8> {
    let mut share = Vec::new();
    for word in [1_u32, 0, 0, 36, 36, 36, 36, 36, 36, ueb.len() as u32] {
        share.extend_from_slice(&word.to_be_bytes());
    }
    share.extend_from_slice(ueb);
    share
}

/// What comes of a file whose shares are all of this kind, its cap by the same hand; and what was asked for.
async fn opened(share: Vec<u8>, ueb: &[u8], shares: ShareCounts, size: u64) -> (Result<Vec<u8>, ReadError>, Asked) {
    let cap = ChkVerifier::new(StorageIndex::new([7; 16]), UriExtension::hash_of(ueb), shares, Bytes(size));
    let cap = Capability::File(FileCap::ChkVerifier(cap));
    let servers: Vec<Arc<MemoryServer>> = (0..3)
        .map(|number| MemoryServer::new("hostile", BTreeMap::from([(number, share.clone())]), Manner::Honest))
        .collect();
    let files = Files::on(list(&servers));
    let outcome = async {
        let file = files.open(&cap, None).await?;
        let units = file.layout().units().min(4_096);
        file.manifest(0..units).await?;
        Ok(Vec::new())
    };
    let outcome = outcome.await;
    let asked = servers.iter().map(|server| server.asked()).fold(Asked::default(), |one, other| Asked {
        reads: one.reads + other.reads,
        octets: one.octets + other.octets,
        longest: one.longest.max(other.longest),
    });
    (outcome, asked)
}

#[tokio::test]
async fn a_file_that_says_it_is_enormous_costs_its_head() {
    let shares = ShareCounts::new(2, 3).unwrap();
    const MEGA: u64 = 1 << 20;
    for (what, size, segment, segments) in [
        ("a segment of a gigabyte", 1 << 30, 1 << 30, 1),
        ("a segment of all that can be counted", u64::MAX - 1, u64::MAX - 1, 1),
        ("2^60 octets in small segments", 1 << 60, 1 << 17, 1 << 43),
        ("2^60 octets in the largest segments", 1 << 60, 16 * MEGA, 1 << 36),
        ("2^60 octets, and few segments", 1 << 60, MEGA, 7),
        ("a segment of nothing", 1000, 0, 1),
        ("a segment that k does not divide", 1001, 1001, 1),
        ("segments of one octet for each share", 1 << 40, 2, 1 << 39),
    ] {
        let (ueb, share) = bomb(2, 3, size, segment, segments);
        let (outcome, asked) = opened(share, &ueb, shares, size).await;
        let Err(ReadError::TooFewShares { found: 0, needed: 2, faults }) = &outcome else {
            panic!("{what}: {outcome:?}")
        };
        assert!(faults.len() == 3 && faults[0].starts_with("share "), "{what}: {faults:?}");
        // By what the block says, before anything is looked for on account of it.
        assert!(faults[0].contains("segment"), "{what}: {faults:?}");
        let most = Asked { reads: 3 * BOUND.reads, octets: 3 * BOUND.octets, longest: BOUND.longest };
        assert!(asked.within(&most), "{what}: {asked:?}");
    }
    // The largest that is read at all: its hashes are not there, and are asked for a page at a time.
    let largest = 16 * MEGA * MEGA;
    let (ueb, share) = bomb(2, 3, largest, 16 * MEGA, MEGA);
    let (outcome, asked) = opened(share, &ueb, shares, largest).await;
    assert!(matches!(outcome, Err(ReadError::TooFewShares { .. })), "{outcome:?}");
    assert!(asked.within(&Asked { reads: 200, octets: 8 << 20, longest: 1 << 20 }), "{asked:?}");
}

#[tokio::test]
async fn a_block_of_keys_without_end_is_not_read() {
    let shares = ShareCounts::new(2, 3).unwrap();
    for (what, ueb) in [
        ("many keys", (0..100_000).map(|n| format!("k{n:06}:1:x,")).collect::<String>().into_bytes()),
        ("a long value", [b"a:1999999:".to_vec(), vec![b'x'; 1_999_999], b",".to_vec()].concat()),
        ("a length that nobody has", b"a:18446744073709551615:x,".to_vec()),
        ("just too long", vec![b'a'; MAX_UEB_BYTES + 1]),
    ] {
        let (outcome, asked) = opened(share_of(&ueb), &ueb, shares, 1000).await;
        assert!(matches!(outcome, Err(ReadError::TooFewShares { found: 0, .. })), "{what}: {outcome:?}");
        // Nor is more asked for than the longest block has.
        assert!(asked.octets <= 3 * (MAX_UEB_BYTES as u64 + 200), "{what}: {asked:?}");
    }
    // Counts that the cap does not have.
    for (needed, total) in [(4, 3), (2, 257), (0, 3), (2, 4), (1 << 40, 1 << 41)] {
        let (ueb, share) = bomb(needed, total, 1000, 1000, 1);
        let (outcome, _) = opened(share, &ueb, shares, 1000).await;
        assert!(matches!(outcome, Err(ReadError::TooFewShares { found: 0, .. })), "{needed}-of-{total}: {outcome:?}");
    }
}

#[tokio::test]
async fn a_server_that_says_it_has_every_share_is_not_asked_for_each() {
    let (file, cap) = encoded(2, 3);
    let all: BTreeMap<u16, Vec<u8>> = (0..256).map(|number| (number, vec![0; 100])).collect();
    let hostile = MemoryServer::new("hostile", all, Manner::Honest);
    let honest =
        [1, 2].map(|n| MemoryServer::new("s", BTreeMap::from([(n, file.shares[n as usize].clone())]), Manner::Honest));
    let servers = [vec![hostile.clone()], honest.to_vec()].concat();
    assert!(read(&Files::on(list(&servers)), &cap).await.unwrap() == content(40_000));
    assert!(hostile.asked().reads <= 300, "{:?}", hostile.asked());
    assert!(hostile.asked().octets <= 256 << 10, "{:?}", hostile.asked());
}

/// Whoever stores a file can give it another file's crypttext tree: every block is right, and what they make is not what the cap
/// means. Nothing of it is handed on, and no server is blamed.
#[tokio::test]
async fn whole_shares_that_make_something_else_than_the_cap_names_are_told_apart() {
    let number = |share: &[u8], at: usize| u32::from_be_bytes(share[at..at + 4].try_into().unwrap()) as usize;
    let (file, _) = encoded(2, 3);
    let encoding = ChkEncoding { max_segment: Bytes(4_096), ..ChkEncoding::new(file.cap.verifier().shares()) };
    let other: Vec<u8> = content(40_000).into_iter().map(|octet| !octet).collect();
    let other = encode(&other, ChkKey::Convergent(b"secret"), encoding).unwrap();
    let ueb_of = |file: &EncodedFile| {
        let share = &file.shares[0];
        UriExtension::parse(&share[number(share, 32) + 4..], &file.cap.verifier()).unwrap()
    };
    let (of_file, of_other) = (ueb_of(&file), ueb_of(&other));
    let hashes = UebHashes { share_root: of_file.hashes().share_root, ..of_other.hashes().clone() };
    let ueb = UriExtension::encode(of_file.segments(), &hashes);
    assert_eq!(ueb.len(), of_file.bytes().len());
    let mixed = file.shares.iter().zip(&other.shares).map(|(share, other)| {
        let mut share = share.clone();
        let (tree, end, block) = (number(&share, 20), number(&share, 24), number(&share, 32) + 4);
        share[tree..end].copy_from_slice(&other[tree..end]);
        share[block..].copy_from_slice(&ueb);
        share
    });
    let servers = one_each(&mixed.collect::<Vec<_>>(), &[Manner::Honest; 3]);
    let verifier = file.cap.verifier();
    let cap =
        ChkVerifier::new(verifier.storage_index(), UriExtension::hash_of(&ueb), verifier.shares(), verifier.size());
    let files = Files::on(list(&servers));
    let opened = files.open(&Capability::File(FileCap::ChkVerifier(cap)), None).await.unwrap();
    let came: Vec<_> = opened.units(0..opened.layout().units()).collect().await;
    assert!(matches!(came[..], [Err(ReadError::Integrity { unit: 0 })]), "{came:?}");
    assert!(servers.iter().all(|server| server.blamed() == 0));
}
