//! Shares that were changed on the disks of real servers: what they spoil is noticed and read around, or named.

use crate::two_grids::{TwoGrids, content};
use futures::StreamExt;
use lafs_clearinghouse::capability::{Capability, StorageIndex};
use lafs_clearinghouse::clock::Clock;
use lafs_clearinghouse::gateway::{Files, ReadError};
use lafs_clearinghouse::grid::{Grid, GridSettings, ShareKind};
use lafs_clearinghouse::lafs::mutable::ShareLayout;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// A share on a disk, and what it was.
struct Share {
    number: u16,
    path: PathBuf,
    /// The file as the server keeps it.
    kept: Vec<u8>,
    /// Where the share begins in it.
    start: usize,
    /// The share's end in it.
    end: usize,
}

impl Share {
    fn octets(&self) -> &[u8] {
        &self.kept[self.start..self.end]
    }

    fn restore(&self) {
        fs::write(&self.path, &self.kept).expect("a share");
    }

    /// As it was, but for this.
    fn change(&self, change: impl FnOnce(&mut Vec<u8>)) {
        let mut share = self.octets().to_vec();
        change(&mut share);
        fs::write(&self.path, [&self.kept[..self.start], &share, &self.kept[self.end..]].concat()).expect("a share");
    }

    fn hide(&self) {
        fs::remove_file(&self.path).expect("a share");
    }
}

/// A file on the real grid as its gateway reads it, and its three shares.
struct Stored {
    cap: Capability,
    content: Vec<u8>,
    shares: Vec<Share>,
}

struct Reading {
    runtime: tokio::runtime::Runtime,
    grid: Grid,
}

impl Reading {
    fn of(grids: &TwoGrids) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("one");
        let inside = runtime.enter();
        let grid = Grid::open(GridSettings::new(&grids.nodes.described.client.dir), Clock::system());
        drop(inside);
        Self { runtime, grid: grid.expect("a node's folder") }
    }

    /// What is read of a file that nobody has open.
    fn read(&self, cap: &Capability) -> Result<Vec<u8>, ReadError> {
        self.runtime.block_on(async {
            let files = Files::of_grid(self.grid.clone());
            let file = files.open(&cap.verify_cap().expect("stored"), None).await?;
            let units = file.layout().units();
            let manifest = file.manifest(0..units).await?;
            let cipher = manifest.decryptor(&cap.read_cap().expect("a read cap")).expect("its own");
            let (mut plain, mut stream) = (Vec::new(), file.units(0..units));
            while let Some(unit) = stream.next().await {
                let unit = unit?;
                let mut octets = unit.pieces.concat();
                manifest.verify_unit(unit.index, &octets).expect("verified before it is handed on");
                cipher.decrypt(unit.index, &mut octets);
                plain.extend(octets);
            }
            Ok(plain)
        })
    }

    /// All of a share, as its server gives it.
    fn share(&self, server: &Path, kind: ShareKind, index: &StorageIndex, number: u16) -> Vec<u8> {
        let key = fs::read_to_string(server.join("node.pubkey")).expect("a key");
        let id = key.trim().trim_start_matches("pub-").parse().expect("an id");
        let servers = self.grid.servers();
        let server = servers.iter().find(|server| *server.id() == id).expect("a server");
        let read = server.read(kind, index, number, 0, 4 << 20);
        self.runtime.block_on(read).expect("a share").to_vec()
    }

    fn stored(&self, grids: &TwoGrids, format: &str, content: Vec<u8>) -> Stored {
        let cap = grids.client.put(format, &content);
        let index = cap.storage_index().expect("stored");
        let kind = if format.is_empty() { ShareKind::Immutable } else { ShareKind::Mutable };
        let shares = grids.shares(&index).into_iter().map(|(number, server, path)| {
            let share = self.share(&grids.nodes.described.servers[server].dir, kind, &index, number);
            let kept = fs::read(&path).expect("a share");
            let start = kept.windows(64).position(|window| window == &share[..64]).expect("the share's beginning");
            assert_eq!(kept[start..start + share.len()], share);
            Share { number, path, end: start + share.len(), start, kept }
        });
        let shares: Vec<Share> = shares.collect();
        assert_eq!(shares.len(), 3);
        Stored { cap, content, shares }
    }
}

/// Where the parts of a share lie: of an immutable one by its header, of a mutable one by its layout.
fn sections(format: &str, share: &[u8]) -> Vec<Range<usize>> {
    let mut borders: Vec<usize> = if format.is_empty() {
        // Version, block size, data size; then the six offsets.
        (3..9)
            .map(|field| u32::from_be_bytes(share[4 * field..4 * field + 4].try_into().expect("four")) as usize)
            .collect()
    } else {
        let layout = ShareLayout::from_header(share).expect("a share");
        let ranges = [layout.public_key(), layout.signature(), layout.share_hash_chain()];
        let blocks = (0..layout.prefix().segments()).filter_map(|segment| layout.block(segment));
        let tree = layout.tree_nodes(0, layout.tree_node_count());
        let ends = ranges.into_iter().chain(blocks).chain(tree).flat_map(|range| [range.start, range.end]);
        ends.map(|border| border as usize).collect()
    };
    borders.extend([0, share.len()]);
    borders.sort_unstable();
    borders.dedup();
    borders.windows(2).map(|pair| pair[0]..pair[1]).collect()
}

/// The first octet of a section, the last, and one that is drawn.
fn drawn(section: &Range<usize>) -> [usize; 3] {
    let inside = section.start + (section.len() * 7_919 / 10_007).min(section.len() - 1);
    [section.start, inside, section.end - 1]
}

pub(super) fn on_the_disks(grids: &mut TwoGrids) {
    let reading = Reading::of(grids);
    grids.client.encode_in_segments(2, 3, 1 << 17);
    for (format, size) in [("", 300_000), ("SDMF", 5_000), ("MDMF", 300_000)] {
        let other = reading.stored(grids, format, content(size, 41));
        let stored = reading.stored(grids, format, content(size, 40));
        let [first, second, third] = &stored.shares[..] else { unreachable!("three") };
        let sections = sections(format, first.octets());
        assert!(sections.len() >= 6, "{format}: {sections:?}");
        let mut counted = 0;
        for at in sections.iter().flat_map(drawn) {
            first.change(|share| share[at] ^= 0x10);
            stored.comes(&reading, &format!("{format}: octet {at} of {sections:?}"));
            third.hide();
            counted += usize::from(stored.comes_or_names(&reading, first.number));
            third.restore();
        }
        first.restore();
        // Some octets are of no use to a reader: an encrypted private key, plaintext hashes that nobody makes any more.
        assert!(counted > sections.len(), "{format}: {counted} of {sections:?}");
        // Cut off in each section, and at its beginning.
        for section in &sections {
            for at in [section.start, section.start + section.len() / 2] {
                first.change(|share| share.truncate(at));
                stored.comes(&reading, &format!("{format}: cut off at {at}"));
            }
        }
        first.restore();
        // Another file's share in its place; two shares in each other's.
        first.change(|share| *share = other.shares[0].octets().to_vec());
        stored.comes(&reading, "another file's share");
        third.hide();
        assert!(stored.comes_or_names(&reading, first.number));
        third.restore();
        first.restore();
        first.change(|share| *share = second.octets().to_vec());
        second.change(|share| *share = first.octets().to_vec());
        match reading.read(&stored.cap) {
            Err(ReadError::TooFewShares { found: 1, needed: 2, faults }) => assert_eq!(faults.len(), 2, "{faults:?}"),
            other => panic!("{format}: swapped: {:?}", other.map(|read| read.len())),
        }
        first.restore();
        second.restore();
        stored.comes(&reading, "all as it was");
    }
}

impl Stored {
    #[track_caller]
    fn comes(&self, reading: &Reading, what: &str) {
        let read = reading.read(&self.cap).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert!(read == self.content, "{what}: something else came");
    }

    /// Whether the share of that number is named as what is wrong; otherwise the file came all the same, as it was.
    #[track_caller]
    fn comes_or_names(&self, reading: &Reading, number: u16) -> bool {
        match reading.read(&self.cap) {
            Ok(read) => {
                assert!(read == self.content, "something else came");
                false
            }
            Err(ReadError::TooFewShares { found: 1, needed: 2, faults }) => {
                let named = format!("share {number} on server ");
                assert!(faults.iter().any(|fault| fault.starts_with(&named)), "{faults:?}");
                true
            }
            Err(error) => panic!("{error}"),
        }
    }
}

/// The same as somebody meets it who fetches with the program.
pub(super) fn as_the_reader_is_told(grids: &mut TwoGrids) {
    let reading = Reading::of(grids);
    let stored = reading.stored(grids, "", content(300_000, 42));
    let foreign = grids.foreign(&stored.cap);
    let [first, _, third] = &stored.shares[..] else { unreachable!("three") };
    first.change(|share| share[100_000] ^= 1);
    assert!(grids.get(&foreign) == stored.content);
    third.hide();
    let stderr = grids.get_fails(&foreign, 10);
    let server = first.path.ancestors().find(|dir| dir.join("node.pubkey").exists()).expect("a server's folder");
    let key = fs::read_to_string(server.join("node.pubkey")).expect("a key");
    // By the beginning of its key, as Tahoe-LAFS shows it.
    let named = format!("share {} on server {} ", first.number, &key.trim()["pub-v0-".len()..][..8]);
    assert!(stderr.contains("1 of the 2 shares that are needed can be read") && stderr.contains(&named), "{stderr}");
    third.restore();
    assert!(grids.get(&foreign) == stored.content);

    // All servers go back to an older version that the file's key once signed.
    for format in ["SDMF", "MDMF"] {
        let old = reading.stored(grids, format, content(5_000, 43));
        let foreign = grids.foreign(&old.cap);
        assert!(grids.get(&foreign) == old.content);
        let new = content(6_000, 44);
        grids.client.overwrite(&old.cap, &new);
        // One server was away meanwhile.
        old.shares[0].restore();
        assert!(grids.get(&foreign) == new, "{format}: the newest that enough servers have");
        old.shares.iter().for_each(Share::restore);
        let stderr = grids.get_fails(&foreign, 11);
        assert!(stderr.contains("version 1 is offered, and version 2 was read before"), "{stderr}");
        // Nor is it read in part, listed or shown.
        assert_eq!(grids.reader(&["get", &foreign, "-o", "-", "--range", "0-1"]).stdout, "", "{format}");
    }
}
