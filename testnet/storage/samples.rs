//! The files that a testnet's grids begin with, as shares on the shelves of their servers.

use super::shelf::{ShareKind, Shelf};
use axum::body::Bytes;
use lafs_clearinghouse::capability::{Area, Capability, FileCap, ForeignCap, ShareCounts};
use lafs_clearinghouse::keys::GridId;
use lafs_clearinghouse::lafs::directory::{Child, ChildError, Directory, DirectoryError, DirectoryKind};
use lafs_clearinghouse::lafs::immutable::{ChkEncoding, ChkKey, EncodeError, encode};

/// How many storage servers a grid has.
pub(crate) const SERVERS: usize = 3;

/// The octets of the larger file: a few segments.
const LARGE_BYTES: usize = 3_000_000;

/// Why the files could not be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SampleError {
    /// A file could not be cut into shares.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// An entry of the directory could not be made.
    #[error(transparent)]
    Child(#[from] ChildError),
    /// The directory could not be made.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
}

/// A file or directory that somebody on another grid can be sent.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    /// What it is called in the directory; the directory itself is the last.
    pub(crate) name: &'static str,
    /// The cap that opens it from anywhere.
    pub(crate) cap: ForeignCap,
}

/// Puts a letter, a larger file and the directory of both on the shelves of a grid's servers.
///
/// `secret` makes the keys: the same for the same text.
pub(crate) fn stock(grid: GridId, secret: &[u8]) -> Result<(Vec<Shelf>, Vec<Sample>), SampleError> {
    let mut shelves: Vec<Shelf> = (0..SERVERS).map(|_| Shelf::default()).collect();
    let letter = store(&mut shelves, &letter(grid), secret, shared(2, 3))?;
    // More shares than servers, so that each holds several; any three of the ten are enough.
    let large = store(&mut shelves, &large(), secret, shared(3, 10))?;
    let entry = |name, cap: &FileCap| {
        Child::new(DirectoryKind::Immutable, name, &Capability::File(cap.clone()).to_string(), "{}")
    };
    let children = vec![entry("letter.txt", &letter)?, entry("large.bin", &large)?];
    let list = Directory::new(DirectoryKind::Immutable, children)?.to_bytes();
    let directory = store(&mut shelves, &list, secret, shared(2, 3))?;
    let samples = [
        ("letter.txt", Capability::File(letter)),
        ("large.bin", Capability::File(large)),
        ("directory", Capability::Directory(directory)),
    ];
    let samples =
        samples.map(|(name, cap)| Sample { name, cap: ForeignCap::from_home(Area::Grid(grid), &cap).into_cap() });
    Ok((shelves, samples.into()))
}

/// What is in the letter of a grid.
pub(crate) fn letter(grid: GridId) -> Vec<u8> {
    format!("This letter lies on the grid {grid}.\nWhoever has its foreign cap reads it from any grid.\n").into_bytes()
}

/// What is in the larger file.
pub(crate) fn large() -> Vec<u8> {
    (0..LARGE_BYTES).map(|place| (place / 3 % 251) as u8).collect()
}

/// Of `total` shares any `needed` give the file.
fn shared(needed: u16, total: u16) -> ChkEncoding {
    ChkEncoding::new(ShareCounts::new(needed, total).expect("k and N in order"))
}

/// Cuts `content` into shares as `encoding` says, and puts them on the shelves by turns.
pub(crate) fn store(
    shelves: &mut [Shelf],
    content: &[u8],
    secret: &[u8],
    encoding: ChkEncoding,
) -> Result<FileCap, SampleError> {
    let file = encode(content, ChkKey::Convergent(secret), encoding)?;
    let index = file.cap.verifier().storage_index();
    for (number, share) in (0..).zip(file.shares) {
        let server = usize::from(number) % shelves.len();
        shelves[server].put(ShareKind::Immutable, index, number, Bytes::from(share));
    }
    Ok(FileCap::ChkRead(file.cap))
}

#[cfg(test)]
mod tests {
    use super::*;
    use lafs_clearinghouse::keys::SecretKey;

    #[test]
    fn every_server_holds_a_share_of_every_sample() {
        let grid = GridId::new(SecretKey::from_seed(&[1; 32]).public());
        let (shelves, samples) = stock(grid, b"for tests alone").unwrap();
        assert_eq!(
            samples.iter().map(|sample| sample.name).collect::<Vec<_>>(),
            ["letter.txt", "large.bin", "directory"]
        );
        for sample in &samples {
            let index = sample.cap.home_cap().storage_index().unwrap().to_string();
            let counts: Vec<_> =
                shelves.iter().map(|shelf| shelf.numbers(ShareKind::Immutable, &index).len()).collect();
            assert_eq!(counts.iter().sum::<usize>(), if sample.name == "large.bin" { 10 } else { 3 });
            assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
            assert_eq!(sample.cap.grid_id(), Some(grid));
        }
        let (_, again) = stock(grid, b"for tests alone").unwrap();
        assert_eq!(again[2].cap, samples[2].cap);
    }
}
