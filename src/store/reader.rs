//! The store read by a process that starts no node: one row at a time, each verified.

use crate::config::Home;
use crate::keys::GridId;
use crate::record::{Evidence, SignedRecord};
use crate::store::book::{Row, restored};
use crate::store::evidence::load_evidence;
use crate::store::lock::DirectoryLock;
use crate::store::shelf::{self, ShelfError};
use crate::units::UnixSeconds;

/// The store of a data directory, for reading.
#[derive(Debug)]
pub struct StoreReader {
    home: Home,
    records: Option<sled::Tree>,
    // Below the tree: the store is closed before the directory is free again.
    _lock: DirectoryLock,
}

impl StoreReader {
    /// Opens the store of `home`, whose lock the caller has taken. Where there is none yet, nothing is held, and none is made.
    pub fn open(home: &Home, lock: DirectoryLock) -> Result<Self, ShelfError> {
        let path = home.store();
        let records = if path.exists() {
            let opened = shelf::records(&path);
            Some(opened.map_err(|source| ShelfError::Open { path, source })?)
        } else {
            None
        };
        Ok(Self { home: home.clone(), records, _lock: lock })
    }

    /// What is held of a grid, expired or not.
    pub fn row(&self, grid: &GridId, now: UnixSeconds) -> Option<Row> {
        let stored = self.records.as_ref()?.get(grid.as_bytes()).ok()??;
        let (_, asked_at, bytes) = shelf::stored_row(grid.as_bytes(), &stored)?;
        // What was on the disk is as little to be trusted as what comes over the wire.
        let mut row = restored(SignedRecord::from_bytes(&bytes, grid).ok()?, asked_at, now)?;
        let mut evidence = Evidence::new();
        for record in load_evidence(&self.home, grid) {
            evidence.add(record, now);
        }
        row.evidence = evidence;
        Some(row)
    }
}
