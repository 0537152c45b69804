//! The book on disk: a cache in sled that may be lost, because the network has it all again.
//!
//! Writes go to a thread of their own and are acknowledged by nobody: sled 0.34 writes every half second, and what a crash
//! takes is fetched again. A store that will not open is set aside under another name, never deleted.

use crate::keys::GridId;
use crate::record::GridRecord;
use crate::store::evidence::EvidenceFiles;
use crate::units::UnixSeconds;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use tracing::warn;

/// Writes that may wait for the disk: a whole network's records at once.
const QUEUE: usize = 4_096;
/// sled's page cache. Rows are read once, at the start, so it only holds what is being written.
const CACHE_BYTES: u64 = 4 * 1024 * 1024;

const RECORDS: &str = "records";
const SERVERS: &str = "servers";

/// One row as it was written: the key's 32 octets, when it was last confirmed, the record. Not verified.
pub(crate) type StoredRow = ([u8; 32], UnixSeconds, Vec<u8>);

/// A handle of the thread that writes.
#[derive(Debug)]
pub(crate) struct Shelf {
    writes: Option<SyncSender<Write>>,
    writer: Option<JoinHandle<()>>,
    path: PathBuf,
}

enum Write {
    Put { grid: [u8; 32], confirmed_at: UnixSeconds, record: Vec<u8> },
    Remove { grid: [u8; 32] },
    Servers(Vec<Vec<u8>>),
    Evidence { grid: GridId, records: Vec<GridRecord> },
}

/// What a store held when it was opened.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    pub(crate) rows: Vec<StoredRow>,
    pub(crate) servers: Vec<Vec<u8>>,
}

impl Shelf {
    /// Opens the store at `path`, or makes it. One that is damaged is set aside first, which `now` gives a name to.
    pub(crate) fn open(path: &Path, evidence: EvidenceFiles, now: UnixSeconds) -> Result<(Self, Contents), ShelfError> {
        let (db, contents) = match open_and_read(path) {
            Ok(opened) => opened,
            // In use is not damaged.
            Err(source) if is_locked(&source) => return Err(ShelfError::Open { path: path.into(), source }),
            Err(error) => {
                let aside = path.with_extension(format!("damaged-{}", now.0));
                warn!(%error, store = %path.display(), set_aside = %aside.display(), "the store does not open and is rebuilt");
                std::fs::rename(path, &aside).map_err(|source| ShelfError::SetAside { path: path.into(), source })?;
                open_and_read(path).map_err(|source| ShelfError::Open { path: path.into(), source })?
            }
        };
        let (writes, receiver) = sync_channel(QUEUE);
        let writer = std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || write_all(&db, &evidence, &receiver))
            .map_err(|source| ShelfError::SetAside { path: path.into(), source })?;
        Ok((Self { writes: Some(writes), writer: Some(writer), path: path.into() }, contents))
    }

    pub(crate) fn put(&self, grid: [u8; 32], confirmed_at: UnixSeconds, record: Vec<u8>) {
        self.send(Write::Put { grid, confirmed_at, record });
    }

    pub(crate) fn remove(&self, grid: [u8; 32]) {
        self.send(Write::Remove { grid });
    }

    pub(crate) fn put_servers(&self, servers: Vec<Vec<u8>>) {
        self.send(Write::Servers(servers));
    }

    /// Makes `records` the evidence on file about `grid`. Returns whether the disk has room in its queue: if not, the
    /// caller comes again, since evidence is no cache.
    pub(crate) fn set_evidence(&self, grid: GridId, records: Vec<GridRecord>) -> bool {
        self.send(Write::Evidence { grid, records })
    }

    /// A full queue means a stalled disk: the cache loses the row, the network keeps it.
    fn send(&self, write: Write) -> bool {
        self.writes.as_ref().is_some_and(|writes| writes.try_send(write).is_ok())
    }
}

impl Drop for Shelf {
    /// Waits until everything is written.
    fn drop(&mut self) {
        drop(self.writes.take());
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
        // sled lets go of its lock a moment after the store is dropped, and this process may open it again.
        if let Ok(file) = File::open(self.path.join("db")) {
            let _ = file.lock();
        }
    }
}

/// Whether the store is open elsewhere. sled tells so in words alone.
fn is_locked(error: &sled::Error) -> bool {
    matches!(error, sled::Error::Io(error) if error.to_string().contains("could not acquire lock"))
}

fn open_and_read(path: &Path) -> Result<(sled::Db, Contents), sled::Error> {
    let db = sled::Config::new().path(path).cache_capacity(CACHE_BYTES).open()?;
    let mut contents = Contents::default();
    for row in db.open_tree(RECORDS)?.iter() {
        let (key, value) = row?;
        if let (Ok(grid), Some((time, record))) = (key.as_ref().try_into(), value.split_first_chunk::<8>()) {
            contents.rows.push((grid, UnixSeconds(u64::from_be_bytes(*time)), record.to_vec()));
        }
    }
    for row in db.open_tree(SERVERS)?.iter() {
        contents.servers.push(row?.1.to_vec());
    }
    Ok((db, contents))
}

fn write_all(db: &sled::Db, evidence: &EvidenceFiles, writes: &Receiver<Write>) {
    let mut broken = false;
    for write in writes {
        let written = match write {
            Write::Evidence { grid, records } => {
                evidence.set(&grid, &records);
                continue;
            }
            _ if broken => continue,
            write => write_row(db, write),
        };
        if let Err(error) = written {
            // A full disk, mostly. The node goes on from memory; the rows come back from the network after a restart.
            warn!(%error, "the store cannot be written any more: records are kept in memory only");
            broken = true;
        }
    }
    if let Err(error) = db.flush() {
        warn!(%error, "the store could not be written to its end");
    }
}

fn write_row(db: &sled::Db, write: Write) -> Result<(), sled::Error> {
    let (records, servers) = (db.open_tree(RECORDS)?, db.open_tree(SERVERS)?);
    match write {
        Write::Put { grid, confirmed_at, record } => {
            records.insert(grid, [&confirmed_at.0.to_be_bytes()[..], &record].concat())?;
        }
        Write::Remove { grid } => {
            records.remove(grid)?;
        }
        Write::Servers(list) => {
            servers.clear()?;
            for (place, server) in list.into_iter().enumerate() {
                servers.insert((place as u32).to_be_bytes(), server)?;
            }
        }
        Write::Evidence { .. } => {}
    }
    Ok(())
}

/// Why there is no store.
#[derive(Debug, thiserror::Error)]
pub enum ShelfError {
    /// A damaged store could not be renamed.
    #[error("cannot set the damaged store `{}` aside", path.display())]
    SetAside {
        /// Where it is.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// It is open elsewhere, or not even a new one could be made there.
    #[error("cannot open or make a store at `{}`", path.display())]
    Open {
        /// Where it should be.
        path: PathBuf,
        /// What sled said.
        source: sled::Error,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Home;

    const NOW: UnixSeconds = UnixSeconds(1_800_000_000);

    #[test]
    fn what_was_put_is_there_after_reopening() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("store");
        let (shelf, contents) = Shelf::open(&path, EvidenceFiles::new(Home::new(dir.path())), NOW).unwrap();
        assert!(contents.rows.is_empty());
        shelf.put([1; 32], NOW, b"one".to_vec());
        shelf.put([2; 32], NOW, b"two".to_vec());
        shelf.remove([1; 32]);
        shelf.put_servers(vec![b"a".to_vec(), b"b".to_vec()]);
        drop(shelf);
        let (_shelf, contents) = Shelf::open(&path, EvidenceFiles::new(Home::new(dir.path())), NOW).unwrap();
        assert_eq!(contents.rows, [([2; 32], NOW, b"two".to_vec())]);
        assert_eq!(contents.servers, [b"a".to_vec(), b"b".to_vec()]);
    }

    #[test]
    fn a_store_that_does_not_open_is_set_aside_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("store");
        std::fs::create_dir(&path).unwrap();
        std::fs::write(path.join("conf"), b"no sled configuration").unwrap();
        let (_shelf, contents) = Shelf::open(&path, EvidenceFiles::new(Home::new(dir.path())), NOW).unwrap();
        assert!(contents.rows.is_empty());
        let aside = dir.path().join("store.damaged-1800000000").join("conf");
        assert_eq!(std::fs::read(aside).unwrap(), b"no sled configuration");
    }

    /// A store that was still open once counted as damaged: it was set aside, and the book of a node that came back at once
    /// was empty.
    #[test]
    fn a_store_in_use_is_no_damaged_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("store");
        let open = || Shelf::open(&path, EvidenceFiles::new(Home::new(dir.path())), NOW);
        let (shelf, _) = open().unwrap();
        shelf.put([1; 32], NOW, b"one".to_vec());
        assert!(matches!(open(), Err(ShelfError::Open { .. })));
        drop(shelf);
        for _ in 0..50 {
            assert_eq!(open().unwrap().1.rows, [([1; 32], NOW, b"one".to_vec())]);
        }
    }
}
