//! The book: every record this node holds, in memory, with a cache on disk behind it.

use crate::clock::Clock;
use crate::config::Home;
use crate::keys::GridId;
use crate::record::{Evidence, GridRecord, SignedRecord, Verdict, judge, outlasts};
use crate::store::digests::Digests;
use crate::store::evidence::EvidenceFiles;
use crate::store::shelf::{Shelf, ShelfError};
use crate::units::{Bytes, Seconds, UnixSeconds};
use sha2::{Digest, Sha256};
use std::collections::{BTreeSet, HashMap, HashSet};
use tracing::info;

/// How many records a node holds: at 1.5 KB each, 150 MB.
const CAPACITY: usize = 100_000;
/// A row is kept this long after its record expired, so that a question can be answered with "expired".
const KEPT_AFTER_EXPIRY: Seconds = Seconds::days(1);
/// How often rows are looked through for what has expired.
const SWEEP_EVERY: Seconds = Seconds::minutes(10);
/// How many grids' evidence is handed to the disk at a time: a flood of updates costs one write a grid and tick.
const EVIDENCE_AT_ONCE: usize = 64;

/// What is held of one grid.
#[derive(Debug, Clone)]
pub struct Row {
    /// The newest record.
    pub record: SignedRecord,
    /// Earlier records with commitments that still bind.
    pub evidence: Evidence,
    /// When somebody last handed us this record or said that it is the newest.
    pub confirmed_at: UnixSeconds,
}

/// How much is held.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BookSize {
    /// The octets of all records.
    pub record_bytes: Bytes,
    /// How many earlier records are kept because their commitments bind.
    pub evidence: usize,
}

/// All rows.
#[derive(Debug)]
pub struct Book {
    rows: HashMap<GridId, Row>,
    /// Evidence of grids of which no record is held any more.
    orphans: HashMap<GridId, Evidence>,
    /// The same keys as `rows`, by their distance from our own place: the farthest is the first to go.
    by_distance: BTreeSet<([u8; 32], GridId)>,
    place: [u8; 32],
    own: Option<GridId>,
    capacity: usize,
    clock: Clock,
    shelf: Option<Shelf>,
    servers: Vec<Vec<u8>>,
    digests: Digests,
    dirty: HashSet<GridId>,
    swept_at: UnixSeconds,
}

impl Book {
    /// A book that forgets everything when it goes.
    pub fn in_memory(clock: Clock) -> Self {
        Self {
            rows: HashMap::new(),
            orphans: HashMap::new(),
            by_distance: BTreeSet::new(),
            place: [0; 32],
            own: None,
            capacity: CAPACITY,
            clock,
            shelf: None,
            servers: Vec::new(),
            digests: Digests::default(),
            dirty: HashSet::new(),
            swept_at: UnixSeconds(0),
        }
    }

    /// The book of a data directory, with all that it held before. `own` is never evicted.
    pub fn open(home: &Home, own: Option<GridId>, clock: Clock) -> Result<Self, ShelfError> {
        let now = clock.now();
        let files = EvidenceFiles::new(home.clone());
        let evidence = files.load();
        let (shelf, contents) = Shelf::open(&home.store(), files, now)?;
        let mut book = Self { own, servers: contents.servers, ..Self::in_memory(clock) };
        let stored = contents.rows.len();
        for (key, confirmed_at, bytes) in contents.rows {
            // What was on the disk is as little to be trusted as what comes over the wire.
            let record = GridId::from_bytes(&key).ok().and_then(|grid| SignedRecord::from_bytes(&bytes, &grid).ok());
            if let Some(record) = record.filter(|record| now < record.expires_at().plus(KEPT_AFTER_EXPIRY)) {
                book.insert(record, confirmed_at);
            }
        }
        for record in evidence {
            book.keep_evidence(record, now);
        }
        book.dirty.clear();
        if stored > 0 {
            info!(records = book.rows.len(), dropped = stored - book.rows.len(), "opened the book");
        }
        book.shelf = Some(shelf);
        Ok(book)
    }

    /// States our own peer id's bytes: records far from it are the first to go when the book is full.
    pub fn set_place(&mut self, peer_id: &[u8]) {
        self.place = Sha256::digest(peer_id).into();
        self.by_distance = self.rows.keys().map(|grid| (distance(&self.place, grid), *grid)).collect();
    }

    /// What is held of a grid, expired or not.
    pub fn row(&self, grid: &GridId) -> Option<&Row> {
        self.rows.get(grid)
    }

    /// What is held of a grid, if it may be given to others: nothing is after its expiry.
    pub fn current(&self, grid: &GridId) -> Option<&Row> {
        self.rows.get(grid).filter(|row| row.record.time_fault(self.clock.now()).is_none())
    }

    /// Records of a grid that prove a commitment which its current record does not keep.
    pub fn evidence(&self, grid: &GridId) -> Vec<GridRecord> {
        let now = self.clock.now();
        match (self.rows.get(grid), self.orphans.get(grid)) {
            (Some(row), _) => {
                let current = GridRecord::read(row.record.clone()).ok();
                row.evidence.against(current.as_ref(), now)
            }
            (None, Some(evidence)) => evidence.against(None, now),
            (None, None) => Vec::new(),
        }
    }

    /// All records kept as evidence about a grid, kept commitments included: what another holder needs.
    pub fn all_evidence(&self, grid: &GridId) -> Vec<GridRecord> {
        let evidence = self.rows.get(grid).map(|row| &row.evidence).or_else(|| self.orphans.get(grid));
        evidence.map(|evidence| evidence.records().to_vec()).unwrap_or_default()
    }

    /// Offers a record, from whomever, and tells what became of it.
    pub fn offer(&mut self, grid: &GridId, bytes: &[u8]) -> Verdict {
        let now = self.clock.now();
        if let Some(row) = self.rows.get_mut(grid)
            && row.record.bytes() == bytes
        {
            // The same bytes need no second verification, and are no reason to write to the disk.
            row.confirmed_at = now;
            return if row.record.expires_at() > now { Verdict::Held } else { Verdict::Expired };
        }
        let judgement = judge(self.rows.get(grid).map(|row| &row.record), bytes, grid, now);
        if let Some(record) = judgement.store {
            if !self.make_room_for(grid) {
                return Verdict::Busy;
            }
            if let Some(shelf) = &self.shelf {
                shelf.put(*grid.as_bytes(), now, record.bytes().to_vec());
            }
            // A promise beyond the record's own end must outlive it, whatever becomes of this cache.
            let outlasting = GridRecord::read(record.clone()).ok().filter(|record| outlasts_itself(record, now));
            self.insert(record, now);
            if let Some(record) = outlasting {
                self.keep_evidence(record, now);
            }
        }
        if let Some(record) = judgement.evidence {
            self.keep_evidence(record, now);
        }
        judgement.verdict
    }

    /// Takes in a record that proves a commitment, if it is one of this grid.
    pub fn offer_evidence(&mut self, grid: &GridId, bytes: &[u8]) {
        if let Ok(record) = GridRecord::from_bytes(bytes, grid) {
            self.keep_evidence(record, self.clock.now());
        }
    }

    /// How many records are held.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// How much is held. Looks at every row: 100,000 take some 10 ms.
    pub fn size(&self) -> BookSize {
        let record_bytes = self.rows.values().map(|row| row.record.bytes().len() as u64).sum();
        let evidence = self.rows.values().map(|row| &row.evidence).chain(self.orphans.values());
        BookSize {
            record_bytes: Bytes(record_bytes),
            evidence: evidence.map(|evidence| evidence.records().len()).sum(),
        }
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The grids of which a record is held.
    pub fn grids(&self) -> impl Iterator<Item = &GridId> {
        self.rows.keys()
    }

    /// What other books are compared by.
    pub fn digests(&mut self) -> &mut Digests {
        &mut self.digests
    }

    /// The servers that were remembered, as they were given.
    pub fn saved_servers(&self) -> &[Vec<u8>] {
        &self.servers
    }

    /// Remembers servers across restarts.
    pub fn save_servers(&mut self, servers: Vec<Vec<u8>>) {
        if let Some(shelf) = &self.shelf {
            shelf.put_servers(servers.clone());
        }
        self.servers = servers;
    }

    /// Drops what has expired and hands changed evidence to the disk. To be called every few seconds.
    pub fn sweep(&mut self) {
        let now = self.clock.now();
        if now.since(self.swept_at) >= SWEEP_EVERY || now < self.swept_at {
            self.swept_at = now;
            self.drop_expired(now);
        }
        let changed: Vec<GridId> = self.dirty.iter().take(EVIDENCE_AT_ONCE).copied().collect();
        for grid in changed {
            let evidence = self.rows.get(&grid).map(|row| &row.evidence).or_else(|| self.orphans.get(&grid));
            let records = evidence.map(|evidence| evidence.records().to_vec()).unwrap_or_default();
            if self.shelf.as_ref().is_none_or(|shelf| shelf.set_evidence(grid, records)) {
                self.dirty.remove(&grid);
            }
        }
    }

    /// Writes what is not written yet and waits for the disk.
    pub fn close(&mut self) {
        while !self.dirty.is_empty() && self.shelf.is_some() {
            let before = self.dirty.len();
            self.sweep();
            if self.dirty.len() == before {
                break;
            }
        }
        self.shelf = None;
    }

    fn drop_expired(&mut self, now: UnixSeconds) {
        let over = |row: &Row| now >= row.record.expires_at().plus(KEPT_AFTER_EXPIRY);
        let expired: Vec<GridId> = self.rows.iter().filter(|(_, row)| over(row)).map(|(grid, _)| *grid).collect();
        for grid in expired {
            self.remove(&grid, now);
        }
        for (grid, evidence) in
            self.rows.iter_mut().map(|(grid, row)| (grid, &mut row.evidence)).chain(&mut self.orphans)
        {
            let before = evidence.records().len();
            evidence.prune(now);
            if evidence.records().len() != before {
                self.dirty.insert(*grid);
            }
        }
        self.orphans.retain(|_, evidence| !evidence.records().is_empty());
    }

    fn insert(&mut self, record: SignedRecord, confirmed_at: UnixSeconds) {
        let grid = *record.grid();
        self.by_distance.insert((distance(&self.place, &grid), grid));
        match self.rows.get_mut(&grid) {
            Some(row) => {
                row.record = record;
                row.confirmed_at = confirmed_at;
            }
            None => {
                let evidence = self.orphans.remove(&grid).unwrap_or_default();
                self.rows.insert(grid, Row { record, evidence, confirmed_at });
            }
        }
        self.note_digest(&grid);
    }

    fn remove(&mut self, grid: &GridId, now: UnixSeconds) {
        self.by_distance.remove(&(distance(&self.place, grid), *grid));
        let Some(row) = self.rows.remove(grid) else { return };
        self.digests.remove(grid.as_bytes());
        if let Some(shelf) = &self.shelf {
            shelf.remove(*grid.as_bytes());
        }
        if !row.evidence.records().is_empty() {
            self.orphans.insert(*grid, row.evidence);
        }
        // What it promised beyond its expiry binds on.
        if let Ok(record) = GridRecord::read(row.record)
            && outlasts(&record, None, now)
        {
            self.keep_evidence(record, now);
        }
    }

    fn keep_evidence(&mut self, record: GridRecord, now: UnixSeconds) {
        let grid = *record.grid();
        let evidence = match self.rows.get_mut(&grid) {
            Some(row) => &mut row.evidence,
            None if self.orphans.len() < self.capacity => self.orphans.entry(grid).or_default(),
            None => return,
        };
        let before = evidence.clone();
        evidence.add(record, now);
        if *evidence != before {
            self.dirty.insert(grid);
            self.note_digest(&grid);
        }
    }

    fn note_digest(&mut self, grid: &GridId) {
        if let Some(row) = self.rows.get(grid) {
            let identities = row.evidence.records().iter().map(|record| record.signed().identity());
            self.digests.set(*grid.as_bytes(), row.record.identity(), identities);
        }
    }

    /// Makes room for a grid's record: for one that is held there is room; else the farthest from our place goes, unless
    /// the new one is farther still.
    fn make_room_for(&mut self, grid: &GridId) -> bool {
        if self.rows.contains_key(grid) || self.rows.len() < self.capacity || self.own == Some(*grid) {
            return true;
        }
        let now = self.clock.now();
        self.drop_expired(now);
        if self.rows.len() < self.capacity {
            return true;
        }
        let farthest = self.by_distance.iter().rev().find(|(_, held)| self.own != Some(*held)).copied();
        match farthest {
            Some((held_distance, held)) if distance(&self.place, grid) < held_distance => {
                self.remove(&held, now);
                true
            }
            _ => false,
        }
    }
}

/// Whether a record promises something beyond its own expiry.
fn outlasts_itself(record: &GridRecord, now: UnixSeconds) -> bool {
    outlasts(record, None, record.signed().expires_at().max(now))
}

fn distance(place: &[u8; 32], grid: &GridId) -> [u8; 32] {
    let point: [u8; 32] = Sha256::digest(grid.record_key().as_bytes()).into();
    std::array::from_fn(|i| place[i] ^ point[i])
}
