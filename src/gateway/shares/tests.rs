//! Whole files, out of servers that serve, lie, stall and die.

use super::error::ReadError;
use super::files::Files;
use super::fixtures::{Manner, MemoryServer, list, one_each};
use super::server::Servers;
use crate::capability::{Capability, FileCap, MutableFormat, ShareCounts};
use crate::lafs::immutable::{ChkEncoding, ChkKey, EncodedFile, encode};
use crate::lafs::mutable::{self, FileKey, MutableEncoding};
use crate::units::Bytes;
use futures::StreamExt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use Manner::{CutsOff, DiesAfter, Flips, Honest, StallsAfter};

const SIZE: usize = 40_000;
const SEGMENT: Bytes = Bytes(4_096);

pub(super) fn content(size: usize) -> Vec<u8> {
    (0..size).map(|i| (i as u32).wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect()
}

pub(super) fn encoded(needed: u16, total: u16) -> (EncodedFile, Capability) {
    let shares = ShareCounts::new(needed, total).unwrap();
    let encoding = ChkEncoding { max_segment: SEGMENT, ..ChkEncoding::new(shares) };
    let file = encode(&content(SIZE), ChkKey::Convergent(b"secret"), encoding).unwrap();
    let cap = Capability::File(FileCap::ChkRead(file.cap.clone()));
    (file, cap)
}

/// The plaintext of a file, as whoever has the read cap gets it: by the manifest, unit by unit.
pub(super) async fn read(files: &Files, cap: &Capability) -> Result<Vec<u8>, ReadError> {
    let verify = cap.verify_cap().unwrap();
    let file = files.open(&verify, None).await?;
    let units = file.layout().units();
    let manifest = file.manifest(0..units).await?;
    let cipher = manifest.decryptor(cap).unwrap();
    let mut plaintext = Vec::new();
    let mut stream = file.units(0..units);
    while let Some(unit) = stream.next().await {
        let unit = unit?;
        let mut octets = unit.pieces.concat();
        manifest.verify_unit(unit.index, &octets).unwrap();
        cipher.decrypt(unit.index, &mut octets);
        plaintext.extend(octets);
    }
    Ok(plaintext)
}

async fn read_from(servers: &[Arc<MemoryServer>], cap: &Capability) -> Result<Vec<u8>, ReadError> {
    read(&Files::on(list(servers)), cap).await
}

#[tokio::test]
async fn any_k_shares_give_the_file() {
    let (file, cap) = encoded(3, 10);
    for first in 0..8 {
        let servers = one_each(&file.shares, &[Honest; 10]);
        assert!(read_from(&servers[first..first + 3], &cap).await.unwrap() == content(SIZE), "shares from {first}");
    }
}

#[tokio::test]
async fn one_server_with_all_shares_is_enough() {
    let (file, cap) = encoded(2, 3);
    let shares = file.shares.iter().enumerate().map(|(number, share)| (number as u16, share.clone()));
    let server = MemoryServer::new("all", shares.collect(), Honest);
    assert!(read_from(&[server], &cap).await.unwrap() == content(SIZE));
}

#[tokio::test]
async fn a_flipped_octet_anywhere_is_noticed_and_read_around() {
    let (file, cap) = encoded(2, 3);
    let size = file.shares[0].len();
    // A step that meets every section and falls on other places in each node of a tree.
    for at in (0..size).step_by(211).chain((size - 400..size).step_by(3)) {
        let servers = one_each(&file.shares, &[Flips { at }, Honest, Honest]);
        assert!(read_from(&servers, &cap).await.unwrap() == content(SIZE), "octet {at}");
        // With nothing to read around with there is the file, where that octet does not count, or an error with a name.
        match read_from(&servers[..2], &cap).await {
            Ok(read) => assert!(read == content(SIZE), "octet {at}"),
            Err(ReadError::TooFewShares { found: 1, needed: 2, faults }) => {
                assert!(faults[0].starts_with("share 0 on server s0: "), "{faults:?}");
            }
            Err(error) => panic!("octet {at}: {error}"),
        }
    }
}

#[tokio::test]
async fn a_block_that_lies_costs_its_server_its_name() {
    let (file, cap) = encoded(2, 3);
    let servers = one_each(&file.shares, &[Flips { at: 100 }, Honest, Honest]);
    read_from(&servers, &cap).await.unwrap();
    assert_eq!((servers[0].blamed(), servers[1].blamed()), (1, 0));
}

#[tokio::test]
async fn a_share_that_is_cut_off_or_another_files_is_left() {
    let (file, cap) = encoded(2, 3);
    for at in [0, 3, 35, 68, 5_000, file.shares[0].len() - 1] {
        let servers = one_each(&file.shares, &[CutsOff { at }, Honest, Honest]);
        assert!(read_from(&servers, &cap).await.unwrap() == content(SIZE), "cut off at {at}");
    }
    let other = encode(&content(SIZE + 1), ChkKey::Convergent(b"x"), ChkEncoding::new(file.cap.verifier().shares()));
    let mut shares = file.shares.clone();
    shares[0] = other.unwrap().shares.remove(0);
    assert!(read_from(&one_each(&shares, &[Honest; 3]), &cap).await.unwrap() == content(SIZE));
    // Two shares in each other's place.
    let mut swapped = file.shares.clone();
    swapped.swap(0, 1);
    assert!(matches!(
        read_from(&one_each(&swapped, &[Honest; 3]), &cap).await,
        Err(ReadError::TooFewShares { found: 1, .. })
    ));
}

#[tokio::test]
async fn a_server_that_stalls_or_dies_in_mid_file_is_replaced_unnoticed() {
    let shares = ShareCounts::new(2, 3).unwrap();
    let encoding = ChkEncoding { max_segment: Bytes(1 << 18), ..ChkEncoding::new(shares) };
    let plain = content(9 << 18);
    let file = encode(&plain, ChkKey::Convergent(b"secret"), encoding).unwrap();
    let cap = Capability::File(FileCap::ChkRead(file.cap.clone()));
    // Two reads open a share; two runs follow.
    for reads in 0..4 {
        for manner in [StallsAfter { reads }, DiesAfter { reads }] {
            let servers = one_each(&file.shares, &[manner, Honest, Honest]);
            assert!(read_from(&servers, &cap).await.unwrap() == plain, "{manner:?}");
            assert!(servers[2].reads() > 0, "{manner:?}: the third server took over");
        }
    }
}

/// A gateway keeps a file open for minutes: what was lost in it because a server was away came back with no server.
#[tokio::test]
async fn a_server_that_was_away_and_came_back_is_asked_again() {
    let key = FileKey::generate();
    let (chk, chk_cap) = encoded(2, 3);
    let (sdmf, sdmf_cap) = version(&key, MutableFormat::Sdmf, 1, &content(SIZE));
    for (shares, cap) in [(chk.shares, chk_cap), (sdmf, sdmf_cap)] {
        let servers = one_each(&shares, &[Honest; 3]);
        let files = Files::on(list(&servers));
        let verify = cap.verify_cap().unwrap();
        let tag = files.open(&verify, None).await.unwrap().etag();
        for away in [0, 1, 2, 0] {
            for manner in [DiesAfter { reads: 0 }, StallsAfter { reads: 0 }] {
                servers[away].behave(manner);
                // By the name of its version, so that it is the one that is open.
                let file = files.open(&verify, Some(tag.clone())).await.unwrap();
                let came = file.units(0..file.layout().units()).map(|unit| unit.map(drop)).collect::<Vec<_>>().await;
                assert!(came.iter().all(Result::is_ok), "without s{away}, {manner:?}: {came:?}");
                servers[away].behave(Honest);
            }
        }
    }
}

/// Servers that can be exchanged, and how often they were asked for.
fn exchangeable(servers: &[Arc<MemoryServer>]) -> (Files, Arc<Mutex<(Servers, usize)>>) {
    let there = Arc::new(Mutex::new((list(servers), 0)));
    let listed = Arc::clone(&there);
    let files = Files::on(Arc::new(move || {
        let mut listed = listed.lock().unwrap();
        listed.1 += 1;
        (listed.0)()
    }));
    (files, there)
}

/// All servers that a file was found on go away while it is read or kept open, and others have come that hold its shares: the
/// reader must not be told that there are too few, which it was.
#[tokio::test]
async fn before_there_are_too_few_shares_all_servers_are_asked_anew() {
    let plain = content(9 << 18);
    let encoding = ChkEncoding { max_segment: Bytes(1 << 18), ..ChkEncoding::new(ShareCounts::new(2, 3).unwrap()) };
    let chk = encode(&plain, ChkKey::Convergent(b"secret"), encoding).unwrap();
    let chk_cap = Capability::File(FileCap::ChkRead(chk.cap.clone()));
    let (mdmf, mdmf_cap) = version_in(&FileKey::generate(), MutableFormat::Mdmf, 1, &plain, Bytes(1 << 18));
    for (shares, cap) in [(chk.shares, chk_cap), (mdmf, mdmf_cap)] {
        let verify = cap.verify_cap().unwrap();
        // In mid-file: how many reads come before depends on the kind of file, and each count is a case.
        let mut mended = 0;
        for reads in 0..8 {
            let servers = one_each(&shares, &[Honest; 3]);
            let (files, there) = exchangeable(&servers);
            let tag = files.open(&verify, None).await.unwrap().etag();
            let file = files.open(&verify, Some(tag)).await.unwrap();
            servers.iter().for_each(|server| server.behave(DiesAfter { reads }));
            there.lock().unwrap().0 = list(&one_each(&shares, &[Honest; 3])[1..]);
            let mut stream = file.units(0..file.layout().units());
            let mut came = 0;
            while let Some(unit) = stream.next().await {
                let unit = unit.unwrap_or_else(|error| panic!("{}, after {reads} reads: {error}", cap.kind()));
                assert_eq!(unit.index, came);
                came += 1;
            }
            assert_eq!(came, 9);
            mended += usize::from(there.lock().unwrap().1 > 1);
        }
        assert!(mended > 0, "{}: the servers were never needed", cap.kind());
        // Between two questions: by the name of the version, so that it is the one that is open.
        let servers = one_each(&shares, &[Honest; 3]);
        let (files, there) = exchangeable(&servers);
        let tag = files.open(&verify, None).await.unwrap().etag();
        servers.iter().for_each(|server| server.behave(DiesAfter { reads: 0 }));
        there.lock().unwrap().0 = list(&one_each(&shares, &[Honest; 3]));
        let file = files.open(&verify, Some(tag.clone())).await.unwrap();
        let manifest = file.manifest(0..9).await.unwrap();
        assert_eq!(manifest.etag(), tag);
        // Where nobody has them, that is the answer after one more question.
        let servers = one_each(&shares, &[Honest; 3]);
        let (files, there) = exchangeable(&servers);
        files.open(&verify, None).await.unwrap();
        let file = files.open(&verify, Some(tag)).await.unwrap();
        assert_eq!(there.lock().unwrap().1, 1);
        servers.iter().for_each(|server| server.behave(DiesAfter { reads: 0 }));
        let came = file.units(0..9).map(|unit| unit.map(drop)).collect::<Vec<_>>().await;
        assert!(matches!(came[..], [Err(ReadError::TooFewShares { .. })]), "{}: {came:?}", cap.kind());
        assert_eq!(there.lock().unwrap().1, 2, "{}", cap.kind());
    }
}

/// A server that was stopped and had just gone on did not answer in time, and without it there were too few.
#[tokio::test]
async fn who_fails_while_a_mutable_file_is_opened_is_asked_once_more() {
    let (shares, cap) = version(&FileKey::generate(), MutableFormat::Mdmf, 1, &content(9_000));
    let dead = DiesAfter { reads: 0 };
    let [first, then] = [[Honest, dead, dead], [Honest; 3]].map(|manners| list(&one_each(&shares, &manners)));
    let asked = AtomicUsize::new(0);
    let files = Files::on(Arc::new(move || if asked.fetch_add(1, Ordering::Relaxed) == 0 { first() } else { then() }));
    assert!(read(&files, &cap).await.unwrap() == content(9_000));
}

/// A reader asks for the newest version, and then for its content by the name that it has: the servers that were found for the
/// first question are those that answer the second.
#[tokio::test]
async fn what_was_found_last_is_what_is_read() {
    let key = FileKey::generate();
    let (shares, cap) = version(&key, MutableFormat::Mdmf, 1, &content(9_000));
    let servers = one_each(&shares, &[Honest; 3]);
    let (files, there) = exchangeable(&servers[..2]);
    assert!(read(&files, &cap).await.unwrap() == content(9_000));
    servers[0].behave(DiesAfter { reads: 0 });
    there.lock().unwrap().0 = list(&servers[1..]);
    let verify = cap.verify_cap().unwrap();
    let tag = files.open(&verify, None).await.unwrap().etag();
    let file = files.open(&verify, Some(tag)).await.unwrap();
    let came = file.units(0..file.layout().units()).map(|unit| unit.map(drop)).collect::<Vec<_>>().await;
    assert!(came.iter().all(Result::is_ok), "{came:?}");
}

/// Which server has what is told while another one stalls: the file comes without waiting for that one's deadline.
#[tokio::test]
async fn a_server_that_answers_late_takes_the_place_of_one_that_stalls() {
    let (file, cap) = encoded(2, 3);
    let servers = one_each(&file.shares, &[StallsAfter { reads: 1 }, Honest, Honest]);
    servers[2].answer_after(Duration::from_millis(100));
    assert!(read_from(&servers, &cap).await.unwrap() == content(SIZE));
}

#[tokio::test]
async fn what_is_nowhere_is_not_found_and_what_is_not_enough_is_counted() {
    let (file, cap) = encoded(2, 3);
    assert!(matches!(read_from(&[], &cap).await, Err(ReadError::NoServers)));
    let empty = MemoryServer::new("empty", [].into(), Honest);
    assert!(matches!(read_from(&[empty], &cap).await, Err(ReadError::NotFound { servers: 1 })));
    let one = one_each(&file.shares[..1], &[Honest]);
    assert!(matches!(read_from(&one, &cap).await, Err(ReadError::TooFewShares { found: 1, needed: 2, .. })));
}

pub(super) fn version(
    key: &FileKey,
    format: MutableFormat,
    sequence: u64,
    content: &[u8],
) -> (Vec<Vec<u8>>, Capability) {
    version_in(key, format, sequence, content, SEGMENT)
}

fn version_in(
    key: &FileKey,
    format: MutableFormat,
    sequence: u64,
    content: &[u8],
    segment: Bytes,
) -> (Vec<Vec<u8>>, Capability) {
    let shares = ShareCounts::new(2, 3).unwrap();
    let made = mutable::encode(content, key, MutableEncoding { format, shares, sequence, segment }).unwrap();
    let cap = Capability::File(FileCap::MutableWrite(made.cap));
    (made.shares, cap.read_cap().unwrap())
}

#[tokio::test]
async fn the_newest_version_that_enough_shares_hold_is_read() {
    let key = FileKey::generate();
    for format in [MutableFormat::Sdmf, MutableFormat::Mdmf] {
        let (old, cap) = version(&key, format, 1, &content(9_000));
        let (new, _) = version(&key, format, 2, &content(10_000));
        let honest = [Honest; 3];
        assert!(read_from(&one_each(&new, &honest), &cap).await.unwrap() == content(10_000));
        // One server was away when the file was written.
        let mixed = [new[0].clone(), old[1].clone(), new[2].clone()];
        assert!(read_from(&one_each(&mixed, &honest), &cap).await.unwrap() == content(10_000));
        // And two were: of the new version there is too little.
        let mixed = [old[0].clone(), old[1].clone(), new[2].clone()];
        let servers = one_each(&mixed, &honest);
        assert!(read_from(&servers, &cap).await.unwrap() == content(9_000));
        // A version that is asked for by name is that one or none.
        let files = Files::on(list(&servers));
        let verify = cap.verify_cap().unwrap();
        let tag = files.open(&verify, None).await.unwrap().etag();
        assert!(tag.starts_with("\"1-"));
        assert!(files.open(&verify, Some(tag)).await.is_ok());
        let other = files.open(&verify, Some("\"2-00\"".to_owned())).await;
        assert!(matches!(other, Err(ReadError::OtherVersion)));
    }
}

#[tokio::test]
async fn of_a_mutable_file_too_every_octet_counts_or_does_no_harm() {
    let key = FileKey::generate();
    for format in [MutableFormat::Sdmf, MutableFormat::Mdmf] {
        let (shares, cap) = version(&key, format, 1, &content(9_000));
        for at in (0..shares[0].len()).step_by(97) {
            let servers = one_each(&shares, &[Flips { at }, Honest, Honest]);
            assert!(read_from(&servers, &cap).await.unwrap() == content(9_000), "{format:?}, octet {at}");
            // With nothing to read around with: how many shares are needed is known from the one that is left.
            match read_from(&servers[..2], &cap).await {
                Ok(read) => assert!(read == content(9_000), "{format:?}, octet {at}"),
                Err(ReadError::TooFewShares { found: 1, needed: 2, faults }) => {
                    assert!(faults[0].starts_with("share 0 on server s0: "), "{faults:?}");
                }
                Err(error) => panic!("{format:?}, octet {at}: {error}"),
            }
        }
    }
}

#[tokio::test]
async fn an_empty_mutable_file_has_a_manifest_and_no_units() {
    let key = FileKey::generate();
    for format in [MutableFormat::Sdmf, MutableFormat::Mdmf] {
        let (shares, cap) = version(&key, format, 1, b"");
        assert!(read_from(&one_each(&shares, &[Honest; 3]), &cap).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_mutable_file_in_too_large_a_piece_is_refused_by_name() {
    let key = FileKey::generate();
    let (mut shares, cap) = version(&key, MutableFormat::Sdmf, 1, &content(9_000));
    for share in &mut shares {
        // The size of the segment, and that of the file.
        share[59..67].copy_from_slice(&50_000_000_u64.to_be_bytes());
        share[67..75].copy_from_slice(&50_000_000_u64.to_be_bytes());
    }
    let error = read_from(&one_each(&shares, &[Honest; 3]), &cap).await.unwrap_err();
    assert!(matches!(error, ReadError::NotServed { .. }), "{error}");
    assert_eq!(
        error.to_string(),
        "the file is not served: a segment of 47.6 MiB where at most 16.0 MiB are read at once"
    );
    assert_eq!(error.refusal().status(), axum::http::StatusCode::FORBIDDEN);
    // As long as there is a version that is served, that one is.
    let (whole, _) = version(&key, MutableFormat::Sdmf, 1, &content(9_000));
    let mixed = [shares[0].clone(), whole[1].clone(), whole[2].clone()];
    assert!(read_from(&one_each(&mixed, &[Honest; 3]), &cap).await.unwrap() == content(9_000));
}

#[tokio::test]
async fn salts_that_are_known_are_not_read_again() {
    let (shares, cap) = version(&FileKey::generate(), MutableFormat::Mdmf, 1, &content(9_000));
    let servers = one_each(&shares, &[Honest; 3]);
    let files = Files::on(list(&servers));
    let file = files.open(&cap.verify_cap().unwrap(), None).await.unwrap();
    let reads = || servers.iter().map(|server| server.reads()).sum::<usize>();
    let first = file.manifest(0..2).await.unwrap();
    let before = reads();
    assert_eq!(file.manifest(0..2).await.unwrap(), first);
    assert_eq!(reads(), before);
    file.manifest(0..3).await.unwrap();
    assert_eq!(reads(), before + 1, "the last one alone");
    // Whoever opens the same version again finds them.
    let again = files.open(&cap.verify_cap().unwrap(), None).await.unwrap();
    let before = reads();
    again.manifest(0..3).await.unwrap();
    assert_eq!(reads(), before);
}
