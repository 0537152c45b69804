//! Each kind of file, in sizes about every border, and encodings that put several shares on a server.

use crate::real_client::DEFAULT_SEGMENT;
use crate::two_grids::{TwoGrids, content};
use lafs_clearinghouse::capability::Capability;

/// About the largest literal file; a segment as Tahoe-LAFS once made them and still does of MDMF files; one of today.
const SIZES: [usize; 11] = [0, 1, 55, 56, 57, 131_071, 131_072, 131_073, (1 << 20) - 1, 1 << 20, (1 << 20) + 1];
const LARGE: usize = 5_000_000;
const LARGEST: usize = 50_000_000;

pub(super) fn every_size(grids: &mut TwoGrids) {
    let mut sizes = SIZES.to_vec();
    sizes.push(LARGE);
    for (format, segment) in
        [("", 1 << 17), ("", DEFAULT_SEGMENT), ("SDMF", DEFAULT_SEGMENT), ("MDMF", DEFAULT_SEGMENT)]
    {
        grids.client.encode_in_segments(2, 3, segment);
        for &size in &sizes {
            let file = content(size, size as u32);
            let cap = grids.client.put(format, &file);
            let kind = match format {
                "" if size <= 55 => "URI:LIT:",
                "" => "URI:CHK:",
                "SDMF" => "URI:SSK:",
                _ => "URI:MDMF:",
            };
            assert!(cap.to_string().starts_with(kind), "{format} of {size}: {cap}");
            assert!(grids.get(&grids.foreign(&cap)) == file, "{format} of {size} bytes: not what was stored");
        }
    }
    let file = content(LARGEST, 50);
    let cap = grids.client.put("", &file);
    assert!(grids.get(&grids.foreign(&cap)) == file, "{LARGEST} bytes: not what was stored");
}

pub(super) fn every_encoding(grids: &mut TwoGrids) {
    for (needed, total) in [(1, 1), (2, 3), (3, 10), (7, 20)] {
        grids.client.encode(needed, total);
        for (format, size) in [("", 300_001), ("SDMF", 10_001), ("MDMF", 300_001)] {
            let file = content(size, u32::from(total));
            let cap = grids.client.put(format, &file);
            let shares = grids.shares(&cap.storage_index().expect("stored"));
            assert_eq!(shares.len(), usize::from(total), "{needed}-of-{total}: {shares:?}");
            assert!(grids.get(&grids.foreign(&cap)) == file, "{format} {needed}-of-{total}: not what was stored");
        }
    }
    grids.client.encode(2, 3);
}

/// An SDMF file is one piece, which would be held in memory whole: from 16 MiB on it is refused by name.
pub(super) fn what_is_too_large(grids: &mut TwoGrids) {
    let cap = grids.client.put("SDMF", &content(LARGEST, 51));
    let stderr = grids.get_fails(&grids.foreign(&cap), 9);
    for said in [
        "the home gateway says: `127.0.0.1:",
        "answers 403: the file is not served: a segment of 47.6 MiB where at most 16.0 MiB are read at once",
        "hint: an SDMF file is one piece: store it as MDMF, which has 8 GiB at most, or immutable",
    ] {
        assert!(stderr.contains(said), "{said:?} in {stderr}");
    }
    // Overwritten with less, it comes.
    let file = content(LARGE, 52);
    grids.client.overwrite(&cap, &file);
    assert!(grids.get(&grids.foreign(&cap)) == file);
}

/// Caps that open nothing, and files that are nowhere.
pub(super) fn what_opens_nothing(grids: &mut TwoGrids) {
    let cap = grids.client.put("", &content(1_000, 1));
    let verify = cap.verify_cap().expect("stored").to_string();
    let grid = grids.nodes.described.grid_id;
    let stderr = grids.get_fails(&verify.replacen("URI:", &format!("URI:FOREIGN:{grid}:"), 1), 2);
    assert!(stderr.contains("checks the shares of a file and opens nothing"), "{stderr}");
    // Of a file that could be written too its foreign cap is none any more.
    let write: Capability = grids.client.put("SDMF", b"x");
    let stderr = grids.get_fails(&write.to_string().replacen("URI:", &format!("URI:FOREIGN:{grid}:"), 1), 2);
    assert!(stderr.contains("write"), "{stderr}");
    for nowhere in [
        "CHK:44wphqinesnggifna54n6ccwke:gsbsu5hlwbscygephg3aqd7t47y2agatsnnt7eip37w7znx6ws3q:2:3:1000000",
        "SSK-RO:u6etxx3ptzfylhmwwguwms5zj4:2fwidhazpw3a7elhnjvld6zylyfii7taapwykujcxkh76vohzvfa",
    ] {
        let stderr = grids.get_fails(&format!("URI:FOREIGN:{grid}:{nowhere}"), 3);
        assert!(stderr.contains("none of 5 storage servers has a share of this file"), "{stderr}");
    }
    // Counts that no code has, by name; a size that nobody has is asked for as any other.
    for (counts, status) in [(":4:3:1000", 2), (":2:257:1000", 2), (":0:3:1000", 2), (":2:3:1152921504606846976", 3)] {
        let (head, _) =
            "CHK:44wphqinesnggifna54n6ccwke:gsbsu5hlwbscygephg3aqd7t47y2agatsnnt7eip37w7znx6ws3q:2:3:1000000"
                .split_once(":2:3:")
                .expect("there");
        let stderr = grids.get_fails(&format!("URI:FOREIGN:{grid}:{head}{counts}"), status);
        assert!(!stderr.is_empty(), "{counts}");
    }
    // The home grid has no storage servers at all, and that is what a bare cap is told.
    let stderr = grids.get_fails(&cap.to_string(), 8);
    assert!(stderr.contains("no storage servers"), "{stderr}");
}
