//! Rows as they lay on the disk, until each has been verified.
//!
//! A hundred thousand signatures take one core eight seconds, and a node does not wait for them: it serves at once. A row
//! that somebody asks for is verified there and then; the others are, batch by batch, by whoever has time.

use crate::keys::GridId;
use crate::record::SignedRecord;
use crate::store::shelf::StoredRow;
use crate::units::UnixSeconds;
use std::collections::HashMap;
use std::sync::Arc;

/// How many rows are handed out to be verified at a time: 5 ms of work, so that none stops late.
const BATCH: usize = 64;

/// What is still to be verified. Of each key at most one row, the one of the disk.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    rows: HashMap<[u8; 32], Stored>,
    /// The keys that were not handed out yet.
    waiting: Vec<[u8; 32]>,
}

#[derive(Debug, Clone)]
struct Stored {
    asked_at: UnixSeconds,
    bytes: Arc<[u8]>,
}

/// Rows to be verified, away from the book.
#[derive(Debug)]
pub struct Unverified(Vec<([u8; 32], Stored)>);

/// What became of a row: the record and when the network was last asked for it, or `None` if it is not worth keeping.
pub(crate) type Restored = Option<(SignedRecord, UnixSeconds)>;

/// Rows that were verified, by their keys.
#[derive(Debug)]
pub struct Verified(pub(crate) Vec<([u8; 32], Restored)>);

#[expect(clippy::len_without_is_empty, reason = "there is none without a row")]
impl Unverified {
    /// How many rows.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Verifies each row. Takes 80 µs of a core for each.
    pub fn verify(self) -> Verified {
        Verified(self.0.into_iter().map(|(key, stored)| (key, stored.verify(&key))).collect())
    }
}

impl Stored {
    fn verify(&self, key: &[u8; 32]) -> Restored {
        let grid = GridId::from_bytes(key).ok()?;
        // What was on the disk is as little to be trusted as what comes over the wire.
        Some((SignedRecord::from_bytes(&self.bytes, &grid).ok()?, self.asked_at))
    }
}

impl Backlog {
    pub(crate) fn of(rows: Vec<StoredRow>) -> Self {
        let rows =
            rows.into_iter().map(|(key, asked_at, bytes)| (key, Stored { asked_at, bytes })).collect::<HashMap<_, _>>();
        Self { waiting: rows.keys().copied().collect(), rows }
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// The record under a key, verified for this once; the row stays.
    pub(crate) fn peek(&self, grid: &GridId) -> Option<SignedRecord> {
        self.rows.get(grid.as_bytes())?.verify(grid.as_bytes()).map(|(record, _)| record)
    }

    /// Takes the row of a grid out, if it is here, and verifies it.
    pub(crate) fn settle(&mut self, grid: &GridId) -> Option<Restored> {
        Some(self.take(grid.as_bytes())?.verify(grid.as_bytes()))
    }

    /// Strikes a key out. Returns whether it was still here: if not, somebody settled it meanwhile.
    pub(crate) fn strike(&mut self, key: &[u8; 32]) -> bool {
        self.take(key).is_some()
    }

    /// Rows to be verified elsewhere, each handed out once; they stay here until they come back.
    pub(crate) fn hand_out(&mut self) -> Option<Unverified> {
        let mut batch = Vec::new();
        while batch.len() < BATCH
            && let Some(key) = self.waiting.pop()
        {
            // Settled meanwhile, if it is gone.
            batch.extend(self.rows.get(&key).map(|stored| (key, stored.clone())));
        }
        (!batch.is_empty()).then_some(Unverified(batch))
    }

    fn take(&mut self, key: &[u8; 32]) -> Option<Stored> {
        let stored = self.rows.remove(key)?;
        if self.rows.is_empty() {
            // The table of a hundred thousand rows is memory that nothing needs any more.
            *self = Self::default();
        }
        Some(stored)
    }
}
