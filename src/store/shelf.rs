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
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tracing::{info, warn};

/// Writes that may wait for the disk: a whole network's records at once.
const QUEUE: usize = 4_096;
/// sled's page cache. Rows are read once, at the start, so it only holds what is being written.
const CACHE_BYTES: u64 = 4 * 1024 * 1024;

const RECORDS: &str = "records";
const SERVERS: &str = "servers";

/// One row as it was written: the key's 32 octets, when the network was last asked for it (0: never), the record. Not verified.
pub(crate) type StoredRow = ([u8; 32], UnixSeconds, Arc<[u8]>);

/// How often a disk that took nothing is tried again: long enough to cost nothing, short enough to lose little.
const TRY_AGAIN: Duration = Duration::from_secs(5);

/// How it stands with the disk behind a book.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DiskStanding {
    /// Why nothing can be written, since the last time that something could.
    pub unwritten: Option<String>,
    /// Where a damaged store was put, when this process set one aside.
    pub set_aside: Option<PathBuf>,
}

/// A handle of the thread that writes.
#[derive(Debug)]
pub(crate) struct Shelf {
    writes: Option<SyncSender<Write>>,
    writer: Option<JoinHandle<()>>,
    path: PathBuf,
    fault: Arc<Fault>,
    set_aside: Option<PathBuf>,
}

/// What went wrong with writing, as the writer tells it to whoever holds the book.
#[derive(Debug, Default)]
struct Fault {
    why: Mutex<Option<String>>,
    /// The store was opened again and lacks what was lost meanwhile: whoever holds the book is to write it all.
    lacks: AtomicBool,
}

impl Fault {
    fn set(&self, why: Option<String>) {
        *self.why.lock().unwrap_or_else(PoisonError::into_inner) = why;
    }
}

enum Write {
    Put { grid: [u8; 32], asked_at: UnixSeconds, record: Vec<u8> },
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
        let fault = Arc::new(Fault::default());
        let mut set_aside = None;
        let (db, contents) = match open_and_read(path) {
            Ok((db, contents)) => (Some(db), contents),
            // In use is not damaged.
            Err(source) if is_locked(&source) => return Err(ShelfError::Open { path: path.into(), source }),
            Err(error) if is_of_the_disk(&error) => {
                warn!(%error, store = %path.display(), "the store cannot be opened: records are kept in memory until it can");
                fault.set(Some(error.to_string()));
                (None, Contents::default())
            }
            Err(error) => {
                let aside = path.with_extension(format!("damaged-{}", now.0));
                warn!(%error, store = %path.display(), set_aside = %aside.display(), "the store does not open and is rebuilt");
                std::fs::rename(path, &aside).map_err(|source| ShelfError::SetAside { path: path.into(), source })?;
                set_aside = Some(aside);
                let (db, contents) =
                    open_and_read(path).map_err(|source| ShelfError::Open { path: path.into(), source })?;
                (Some(db), contents)
            }
        };
        let (writes, receiver) = sync_channel(QUEUE);
        let mut writer = Writer {
            path: path.to_owned(),
            db,
            evidence,
            fault: fault.clone(),
            tried: Instant::now(),
            owes_evidence: false,
        };
        let writer = std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || writer.run(&receiver))
            .map_err(|source| ShelfError::SetAside { path: path.into(), source })?;
        Ok((Self { writes: Some(writes), writer: Some(writer), fault, set_aside, path: path.into() }, contents))
    }

    /// How it stands with the disk.
    pub(crate) fn standing(&self) -> DiskStanding {
        let unwritten = self.fault.why.lock().unwrap_or_else(PoisonError::into_inner).clone();
        DiskStanding { unwritten, set_aside: self.set_aside.clone() }
    }

    /// Whether the disk takes writes again and lacks what could not be written: the caller writes everything. Says so once.
    pub(crate) fn lacks_everything(&self) -> bool {
        self.fault.lacks.swap(false, Ordering::Relaxed)
    }

    pub(crate) fn put(&self, grid: [u8; 32], asked_at: UnixSeconds, record: Vec<u8>) {
        self.send(Write::Put { grid, asked_at, record });
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

/// The rows of the store at `path`, to be looked up one by one.
pub(crate) fn records(path: &Path) -> Result<sled::Tree, sled::Error> {
    open(path)?.open_tree(RECORDS)
}

/// A row as it was written under `key`; `None` if it was not written by this program.
pub(crate) fn stored_row(key: &[u8], value: &[u8]) -> Option<StoredRow> {
    let (time, record) = value.split_first_chunk::<8>()?;
    Some((key.try_into().ok()?, UnixSeconds(u64::from_be_bytes(*time)), record.into()))
}

fn open(path: &Path) -> Result<sled::Db, sled::Error> {
    sled::Config::new().path(path).cache_capacity(CACHE_BYTES).open()
}

fn open_and_read(path: &Path) -> Result<(sled::Db, Contents), sled::Error> {
    let db = open(path)?;
    let mut contents = Contents::default();
    for row in db.open_tree(RECORDS)?.iter() {
        let (key, value) = row?;
        contents.rows.extend(stored_row(&key, &value));
    }
    for row in db.open_tree(SERVERS)?.iter() {
        contents.servers.push(row?.1.to_vec());
    }
    Ok((db, contents))
}

/// An error of the disk, which more space or another mount mends, and not of what is written there.
fn is_of_the_disk(error: &sled::Error) -> bool {
    use std::io::ErrorKind::{FileTooLarge, PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    match error {
        sled::Error::Io(error) => {
            matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge | ReadOnlyFilesystem | PermissionDenied)
        }
        _ => false,
    }
}

/// The thread that writes.
struct Writer {
    path: PathBuf,
    /// `None` while the disk takes nothing: a sled that failed once fails for ever, and is opened anew.
    db: Option<sled::Db>,
    evidence: EvidenceFiles,
    fault: Arc<Fault>,
    tried: Instant,
    /// Evidence could not be written, and is no cache.
    owes_evidence: bool,
}

impl Writer {
    fn run(&mut self, writes: &Receiver<Write>) {
        loop {
            match writes.recv_timeout(TRY_AGAIN) {
                Ok(Write::Evidence { grid, records }) => {
                    if let Err(error) = self.evidence.set(&grid, &records) {
                        self.fault.set(Some(error.to_string()));
                        self.owes_evidence = true;
                    }
                }
                Ok(write) => self.write(write),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            self.mend();
        }
        if let Some(db) = &self.db
            && let Err(error) = db.flush()
        {
            warn!(%error, "the store could not be written to its end");
        }
    }

    fn write(&mut self, write: Write) {
        let Some(db) = &self.db else { return };
        if let Err(error) = write_row(db, write) {
            self.gave_out(&error);
        }
    }

    /// A full disk, mostly. The node goes on from memory.
    fn gave_out(&mut self, error: &sled::Error) {
        warn!(%error, "the store cannot be written: records are kept in memory until it can");
        self.fault.set(Some(error.to_string()));
        self.db = None;
        self.tried = Instant::now();
    }

    /// Finds out whether the disk still takes what it was given, and opens the store again where it did not.
    fn mend(&mut self) {
        if self.tried.elapsed() < TRY_AGAIN {
            return;
        }
        self.tried = Instant::now();
        match &self.db {
            // sled writes in the background, and tells of a failure when it is asked next.
            Some(db) => {
                if let Err(error) = db.flush() {
                    self.gave_out(&error);
                } else if std::mem::take(&mut self.owes_evidence) {
                    // It comes again, and says so again if it is in vain.
                    self.fault.set(None);
                    self.fault.lacks.store(true, Ordering::Relaxed);
                }
            }
            None => match open_and_read(&self.path).and_then(|(db, _)| db.flush().map(|_| db)) {
                Ok(db) => {
                    info!("the store can be written again");
                    self.db = Some(db);
                    self.fault.set(None);
                    self.fault.lacks.store(true, Ordering::Relaxed);
                }
                Err(error) => self.fault.set(Some(error.to_string())),
            },
        }
    }
}

fn write_row(db: &sled::Db, write: Write) -> Result<(), sled::Error> {
    let (records, servers) = (db.open_tree(RECORDS)?, db.open_tree(SERVERS)?);
    match write {
        Write::Put { grid, asked_at, record } => {
            records.insert(grid, [&asked_at.0.to_be_bytes()[..], &record].concat())?;
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
        assert_eq!(contents.rows, [([2; 32], NOW, b"two"[..].into())]);
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
            assert_eq!(open().unwrap().1.rows, [([1; 32], NOW, b"one"[..].into())]);
        }
    }
}
