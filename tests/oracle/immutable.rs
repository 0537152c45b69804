//! Immutable files: of the same content and secret Tahoe makes the cap that we make, and the same shares.

use crate::python;
use data_encoding::HEXLOWER;
use lafs_clearinghouse::capability::{Capability, FileCap, ShareCounts};
use lafs_clearinghouse::lafs::hash_tree::HashChain;
use lafs_clearinghouse::lafs::immutable::{ChkEncoding, ChkKey, ShareHeader, encode};
use lafs_clearinghouse::units::Bytes;
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// The size of a file, k, N, and the largest segment.
const FILES: [(usize, u16, u16, u64); 8] = [
    (56, 3, 10, 1 << 20),
    (10_000, 2, 3, 1 << 20),
    (10_001, 1, 1, 128),
    (10_001, 3, 10, 1_000),
    (70_000, 7, 20, 4_096),
    (101, 25, 100, 1 << 20),
    (30_000, 101, 256, 10_000),
    (1_200_000, 3, 10, 1 << 20),
];

/// Before the share in a storage server's file: version, size, number of leases.
const CONTAINER_BYTES: usize = 12;
/// After it: each lease.
const LEASE_BYTES: usize = 72;

#[derive(Deserialize)]
struct Stored {
    cap: String,
    secret: String,
}

fn content(size: usize) -> Vec<u8> {
    (0..size as u64).map(|i| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect()
}

/// The shares of a file on all servers: number and content of each.
fn shares(grid: &Path, index: &str) -> Vec<(usize, Vec<u8>)> {
    let folders = (0..3).map(|n| grid.join(format!("server{n}/storage/shares")).join(&index[..2]).join(index));
    let files = folders.filter_map(|folder| std::fs::read_dir(folder).ok()).flatten();
    let read = |path: PathBuf| {
        let number = path.file_name().and_then(|name| name.to_str()).expect("a name").parse().expect("a number");
        (number, std::fs::read(path).expect("a share"))
    };
    files.map(|entry| read(entry.expect("an entry").path())).collect()
}

/// A share with the entries of its hash chain by their numbers: Tahoe writes them in the order that a Python set has.
fn in_order(share: &[u8]) -> Vec<u8> {
    let place = ShareHeader::from_bytes(share).and_then(|header| header.share_hashes()).expect("a header");
    let place = place.start as usize..place.end as usize;
    let mut entries = HashChain::from_bytes(&share[place.clone()]).expect("a chain").entries().to_vec();
    entries.sort_unstable();
    let chain = HashChain::new(entries).expect("a chain").to_bytes();
    [&share[..place.start], &chain, &share[place.end..]].concat()
}

#[test]
fn tahoe_makes_the_same_cap_and_the_same_shares() {
    let temp = tempfile::tempdir().expect("a folder");
    let grid = temp.path().join("grid");
    let mut arguments = vec![grid.to_str().expect("UTF-8").to_owned()];
    for (i, (size, needed, total, max_segment)) in FILES.iter().enumerate() {
        let path = temp.path().join(format!("file{i}"));
        std::fs::write(&path, content(*size)).expect("a file");
        arguments.push(format!("{},{needed},{total},{max_segment}", path.to_str().expect("UTF-8")));
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let Some(output) = python::run("immutable.py", &arguments, "") else { return };

    let stored: Vec<Stored> = output.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    assert_eq!(stored.len(), FILES.len());
    for ((size, needed, total, max_segment), stored) in FILES.into_iter().zip(stored) {
        let secret = HEXLOWER.decode(stored.secret.as_bytes()).expect("hexadecimal digits");
        let counts = ShareCounts::new(needed, total).expect("counts");
        let encoding = ChkEncoding { max_segment: Bytes(max_segment), ..ChkEncoding::new(counts) };
        let ours = encode(&content(size), ChkKey::Convergent(&secret), encoding).expect("a file");
        let cap = Capability::File(FileCap::ChkRead(ours.cap));
        assert_eq!(cap.to_string(), stored.cap, "{size} octets, {needed}-of-{total}, {max_segment}");

        let index = cap.storage_index().expect("a stored file").to_string();
        let theirs = shares(&grid, &index);
        assert_eq!(theirs.len(), usize::from(total), "{size} octets, {needed}-of-{total}");
        for (number, file) in theirs {
            let leases = u32::from_be_bytes(file[8..12].try_into().expect("four octets")) as usize;
            let share = &file[CONTAINER_BYTES..file.len() - leases * LEASE_BYTES];
            let same = in_order(share) == in_order(&ours.shares[number]);
            assert!(same, "share {number} of {size} octets, {needed}-of-{total}, differs");
        }
    }
}
