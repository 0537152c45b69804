//! The book: every record this node holds, in memory, with a cache on disk behind it.

use crate::clock::Clock;
use crate::config::Home;
use crate::keys::GridId;
use crate::record::{
    Evidence, GridRecord, SignedRecord, Verdict, is_over, judge, makes_way, outlasts, outlasts_itself,
};
use crate::store::backlog::{Backlog, Restored, Unverified, Verified};
use crate::store::digests::Digests;
use crate::store::evidence::EvidenceFiles;
use crate::store::shelf::{DiskStanding, Shelf, ShelfError};
use crate::units::{Bytes, Seconds, UnixSeconds};
use sha2::{Digest, Sha256};
use std::collections::{BTreeSet, HashMap, HashSet};
use tracing::info;

/// How many records a node holds: at 1.5 KB each, 150 MB.
const CAPACITY: usize = 100_000;
/// How old the time of a confirmation may get before a new one is worth writing to the disk.
const CONFIRMED_GRAIN: Seconds = Seconds::minutes(1);
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
    /// When we last asked the network and this was the newest; 0 if others only handed it to us. Whoever hands us an old
    /// record again and again so keeps us from asking no longer.
    pub asked_at: UnixSeconds,
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
    /// Rows of the disk that are still to be verified: as good as not there, but for their number, until they are.
    backlog: Backlog,
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
            backlog: Backlog::default(),
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

    /// A book of at most so many records, that forgets everything when it goes.
    #[cfg(test)]
    pub(super) fn with_capacity(capacity: usize, own: Option<GridId>, clock: Clock) -> Self {
        Self { capacity, own, ..Self::in_memory(clock) }
    }

    /// The book of a data directory, with all that it held before. `own` is never evicted.
    ///
    /// What was on the disk is verified before it is used, each row when it is asked for; the others are to be taken
    /// through [`Book::unverified`] and brought back by [`Book::take_in`].
    pub fn open(home: &Home, own: Option<GridId>, clock: Clock) -> Result<Self, ShelfError> {
        let now = clock.now();
        let files = EvidenceFiles::new(home.clone());
        let evidence = files.load();
        let (shelf, contents) = Shelf::open(&home.store(), files, now)?;
        let backlog = Backlog::of(contents.rows);
        let mut book = Self { own, servers: contents.servers, backlog, ..Self::in_memory(clock) };
        for record in evidence {
            book.keep_evidence(record, now);
        }
        book.dirty.clear();
        if !book.is_empty() {
            info!(records = book.len(), "opened the book");
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
    pub fn row(&mut self, grid: &GridId) -> Option<&Row> {
        self.settle(grid);
        self.rows.get(grid)
    }

    /// The record held of a grid, if it may be given to others: none is after its expiry.
    pub fn current(&self, grid: &GridId) -> Option<SignedRecord> {
        let record = self.rows.get(grid).map(|row| row.record.clone()).or_else(|| self.backlog.peek(grid));
        record.filter(|record| record.time_fault(self.clock.now()).is_none())
    }

    /// Some rows of the disk that are still to be verified; `None` once all were handed out.
    pub fn unverified(&mut self) -> Option<Unverified> {
        self.backlog.hand_out()
    }

    /// Takes in rows that were verified meanwhile.
    pub fn take_in(&mut self, verified: Verified) {
        for (key, row) in verified.0 {
            if self.backlog.strike(&key) {
                self.restore(key, row);
            }
        }
    }

    /// Whether every row of the disk has been verified.
    pub fn is_settled(&self) -> bool {
        self.backlog.len() == 0
    }

    /// Records of a grid that prove a commitment which its current record does not keep.
    pub fn evidence(&self, grid: &GridId) -> Vec<GridRecord> {
        let now = self.clock.now();
        match (self.rows.get(grid), self.orphans.get(grid)) {
            // The usual case, with every question of others: nothing is promised, and the record need not be read.
            (Some(row), _) if row.evidence.records().is_empty() => Vec::new(),
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
        self.settle(grid);
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
                shelf.put(*grid.as_bytes(), UnixSeconds(0), record.bytes().to_vec());
            }
            // A promise beyond the record's own end must outlive it, whatever becomes of this cache.
            let outlasting = GridRecord::read(record.clone()).ok().filter(|record| outlasts_itself(record, now));
            self.insert(record, now, UnixSeconds(0));
            if let Some(record) = outlasting {
                self.keep_evidence(record, now);
            }
        }
        if let Some(record) = judgement.evidence {
            self.keep_evidence(record, now);
        }
        judgement.verdict
    }

    /// Notes that the network was asked just now, and that `record`, where it is the one held, was the newest.
    pub fn confirm(&mut self, record: &SignedRecord) {
        let now = self.clock.now();
        if let Some(row) = self.rows.get_mut(record.grid())
            && row.record.identity() == record.identity()
        {
            let worth_writing = now.since(row.asked_at) >= CONFIRMED_GRAIN || now < row.asked_at;
            row.confirmed_at = now;
            row.asked_at = now;
            if worth_writing && let Some(shelf) = &self.shelf {
                shelf.put(*record.grid().as_bytes(), now, row.record.bytes().to_vec());
            }
        }
    }

    /// Takes in a record that proves a commitment, if it is one of this grid.
    pub fn offer_evidence(&mut self, grid: &GridId, bytes: &[u8]) {
        if let Ok(record) = GridRecord::from_bytes(bytes, grid) {
            self.keep_evidence(record, self.clock.now());
        }
    }

    /// How many records are held.
    pub fn len(&self) -> usize {
        self.rows.len() + self.backlog.len()
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
        self.len() == 0
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

    /// How it stands with the disk; all is well where there is none.
    pub fn disk(&self) -> DiskStanding {
        self.shelf.as_ref().map(Shelf::standing).unwrap_or_default()
    }

    /// Drops what has expired and hands changed evidence to the disk. To be called every few seconds.
    pub fn sweep(&mut self) {
        let now = self.clock.now();
        if now.since(self.swept_at) >= SWEEP_EVERY || now < self.swept_at {
            self.swept_at = now;
            self.drop_expired(now);
        }
        if let Some(shelf) = self.shelf.as_ref().filter(|shelf| shelf.lacks_everything()) {
            for (grid, row) in &self.rows {
                shelf.put(*grid.as_bytes(), row.asked_at, row.record.bytes().to_vec());
            }
            shelf.put_servers(self.servers.clone());
            let evidence =
                self.rows.iter().filter(|(_, row)| !row.evidence.records().is_empty()).map(|(grid, _)| *grid);
            self.dirty.extend(evidence.chain(self.orphans.keys().copied()));
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
        let expired: Vec<GridId> =
            self.rows.iter().filter(|(_, row)| is_over(&row.record, now)).map(|(grid, _)| *grid).collect();
        for grid in expired {
            self.remove(&grid, now);
        }
        let with_evidence =
            self.rows.iter().filter(|(_, row)| !row.evidence.records().is_empty()).map(|(grid, _)| grid);
        let with_evidence: Vec<GridId> = with_evidence.chain(self.orphans.keys()).copied().collect();
        for grid in with_evidence {
            self.change_evidence(&grid, now, |evidence| evidence.prune(now));
        }
    }

    /// Verifies the row of a grid, if it still is as it lay on the disk.
    fn settle(&mut self, grid: &GridId) {
        if let Some(row) = self.backlog.settle(grid) {
            self.restore(*grid.as_bytes(), row);
        }
    }

    /// Takes in a row of the disk that was verified. What did not verify, or is long expired, goes from the disk too.
    fn restore(&mut self, key: [u8; 32], row: Restored) {
        let now = self.clock.now();
        match row.and_then(|(record, asked_at)| restored(record, asked_at, now)) {
            Some(row) => self.insert(row.record, row.confirmed_at, row.asked_at),
            None => {
                if let Some(shelf) = &self.shelf {
                    shelf.remove(key);
                }
            }
        }
    }

    fn insert(&mut self, record: SignedRecord, confirmed_at: UnixSeconds, asked_at: UnixSeconds) {
        let grid = *record.grid();
        self.by_distance.insert((distance(&self.place, &grid), grid));
        match self.rows.get_mut(&grid) {
            Some(row) => {
                row.record = record;
                row.confirmed_at = confirmed_at;
                row.asked_at = asked_at;
            }
            None => {
                let evidence = self.orphans.remove(&grid).unwrap_or_default();
                self.rows.insert(grid, Row { record, evidence, confirmed_at, asked_at });
            }
        }
        self.change_evidence(&grid, self.clock.now(), |_| {});
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
        if !self.rows.contains_key(&grid) && !self.orphans.contains_key(&grid) && self.orphans.len() >= self.capacity {
            return;
        }
        self.change_evidence(&grid, now, |evidence| evidence.add(record, now));
    }

    /// Changes the evidence about a grid, and keeps of it what the record held does not give.
    fn change_evidence(&mut self, grid: &GridId, now: UnixSeconds, change: impl FnOnce(&mut Evidence)) {
        let row = self.rows.get_mut(grid);
        let current = row.as_ref().map(|row| row.record.clone());
        let evidence = match row {
            Some(row) => &mut row.evidence,
            None => self.orphans.entry(*grid).or_default(),
        };
        let before = evidence.clone();
        change(evidence);
        if !evidence.records().is_empty() {
            let current = current.and_then(|current| GridRecord::read(current).ok());
            evidence.drop_given_by(current.as_ref(), now);
        }
        let (changed, empty) = (*evidence != before, evidence.records().is_empty());
        if empty {
            self.orphans.remove(grid);
        }
        if changed {
            self.dirty.insert(*grid);
            self.note_digest(grid);
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
        if self.rows.contains_key(grid) || self.len() < self.capacity || self.own == Some(*grid) {
            return true;
        }
        let now = self.clock.now();
        self.drop_expired(now);
        if self.len() < self.capacity {
            return true;
        }
        let farthest = self.by_distance.iter().rev().find(|(_, held)| self.own != Some(*held)).copied();
        match farthest {
            Some((held_distance, held)) if makes_way(&held_distance, &distance(&self.place, grid)) => {
                self.remove(&held, now);
                true
            }
            _ => false,
        }
    }
}

/// A row as it was before a restart, if it is still worth something.
pub(crate) fn restored(record: SignedRecord, asked_at: UnixSeconds, now: UnixSeconds) -> Option<Row> {
    if is_over(&record, now) {
        return None;
    }
    // Nobody was asked: it was the newest when it was signed, and that is all that is known.
    let confirmed_at = if asked_at.0 == 0 { record.issued_at().min(now) } else { asked_at };
    Some(Row { record, evidence: Evidence::new(), confirmed_at, asked_at })
}

fn distance(place: &[u8; 32], grid: &GridId) -> [u8; 32] {
    let point: [u8; 32] = Sha256::digest(grid.record_key().as_bytes()).into();
    std::array::from_fn(|i| place[i] ^ point[i])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::SecretKey;
    use crate::record::{RecordDraft, Signer};
    use std::sync::LazyLock;

    /// Read once, so that the records of one test are of one time.
    static NOW: LazyLock<UnixSeconds> = LazyLock::new(|| Clock::system().now());
    /// More than one batch, so that some rows are still on the disk while others are taken in.
    const ROWS: u8 = 100;
    const PLACE: &[u8] = b"a node's place";

    fn key(n: u8) -> SecretKey {
        SecretKey::from_seed(&[n; 32])
    }

    fn grid(n: u8) -> GridId {
        GridId::new(key(n).public())
    }

    fn record(n: u8, now: UnixSeconds) -> Vec<u8> {
        let signer = Signer::Grid { key: &key(n), serial: *NOW };
        RecordDraft::new(grid(n)).sign(signer, None, &[], now).unwrap().signed().bytes().to_vec()
    }

    /// A data directory whose store holds a record of each of `1..=ROWS`.
    fn stored() -> (tempfile::TempDir, Home) {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::new(dir.path());
        let mut book = Book::open(&home, None, Clock::system()).unwrap();
        for n in 1..=ROWS {
            assert!(matches!(book.offer(&grid(n), &record(n, *NOW)), Verdict::Stored));
        }
        book.close();
        (dir, home)
    }

    fn verify_all(book: &mut Book) {
        while let Some(rows) = book.unverified() {
            book.take_in(rows.verify());
        }
    }

    #[test]
    fn a_row_of_the_disk_is_there_when_it_is_asked_for_and_the_others_when_they_are_verified() {
        let (_dir, home) = stored();
        let mut book = Book::open(&home, None, Clock::system()).unwrap();
        assert_eq!((book.len(), book.is_settled()), (usize::from(ROWS), false));
        assert_eq!(book.row(&grid(9)).unwrap().record.bytes(), record(9, *NOW));
        assert_eq!(book.current(&grid(10)).unwrap().bytes(), record(10, *NOW));
        let mut whole = Book::in_memory(Clock::system());
        for n in 1..=ROWS {
            whole.offer(&grid(n), &record(n, *NOW));
        }
        verify_all(&mut book);
        assert_eq!((book.len(), book.is_settled()), (usize::from(ROWS), true));
        assert_eq!(book.digests().buckets(), whole.digests().buckets());
    }

    #[test]
    fn a_row_of_the_disk_that_is_not_verified_yet_is_not_rolled_back() {
        let (_dir, home) = stored();
        let mut book = Book::open(&home, None, Clock::system()).unwrap();
        // Handed out, and then overtaken.
        let rows = book.unverified().unwrap();
        let older = UnixSeconds(NOW.0 - 60);
        for n in 1..=ROWS {
            assert!(matches!(book.offer(&grid(n), &record(n, older)), Verdict::Stale(_)), "{n}");
        }
        let newer = UnixSeconds(NOW.0 + 60);
        for n in 1..=ROWS {
            assert!(matches!(book.offer(&grid(n), &record(n, newer)), Verdict::Stored), "{n}");
        }
        book.take_in(rows.verify());
        assert!((1..=ROWS).all(|n| book.row(&grid(n)).unwrap().record.bytes() == record(n, newer)));
    }

    #[test]
    fn what_does_not_verify_is_neither_answered_nor_kept() {
        let (_dir, home) = stored();
        let tampered = |n: u8| {
            let mut bytes = record(n, *NOW);
            *bytes.last_mut().unwrap() ^= 1;
            bytes
        };
        let (shelf, _) = Shelf::open(&home.store(), EvidenceFiles::new(home.clone()), *NOW).unwrap();
        shelf.put(*grid(1).as_bytes(), *NOW, tampered(1));
        shelf.put(*grid(2).as_bytes(), *NOW, tampered(2));
        // Somebody else's record is no better.
        shelf.put(*grid(3).as_bytes(), *NOW, record(4, *NOW));
        drop(shelf);
        let mut book = Book::open(&home, None, Clock::system()).unwrap();
        assert!(book.current(&grid(1)).is_none());
        assert!(book.row(&grid(1)).is_none());
        verify_all(&mut book);
        assert!(book.row(&grid(2)).is_none() && book.row(&grid(3)).is_none());
        assert_eq!(book.len(), usize::from(ROWS) - 3);
        book.close();
        let reopened = Book::open(&home, None, Clock::system()).unwrap();
        assert_eq!(reopened.len(), usize::from(ROWS) - 3, "and gone from the disk");
    }

    /// What is held locally was never anybody's answer, and nobody but the clock ends it.
    #[test]
    fn a_record_that_was_brought_to_nobody_ends_with_its_expiry_all_the_same() {
        let clock = Clock::adjustable();
        let mut book = Book::in_memory(clock);
        book.offer(&grid(1), &record(1, *NOW));
        let life = book.row(&grid(1)).unwrap().record.expires_at().since(*NOW);
        clock.advance(i64::try_from(life.0).unwrap() - 60);
        assert!(book.current(&grid(1)).is_some());
        clock.advance(61);
        assert!(book.current(&grid(1)).is_none() && book.row(&grid(1)).is_some());
        clock.advance(86_400);
        book.sweep();
        assert!(book.row(&grid(1)).is_none() && book.is_empty());
    }

    /// The memory and the disk are two places. What was read back from the disk is judged by the time as well: so the clock is
    /// set back here, or nothing would tell a row that was deleted from one that is only not used.
    #[test]
    fn a_row_is_deleted_from_the_disk_a_day_after_its_records_end_and_not_before() {
        let (_dir, home) = stored();
        let life = GridRecord::from_bytes(&record(1, *NOW), &grid(1)).unwrap().signed().expires_at().since(*NOW);
        let life = i64::try_from(life.0).unwrap();
        for (after, left) in [(life + 86_400 - 600, usize::from(ROWS)), (life + 86_400, 0)] {
            // Verified while they were good, and held when their time was over.
            let clock = Clock::adjustable();
            let mut book = Book::open(&home, None, clock).unwrap();
            verify_all(&mut book);
            clock.advance(after);
            book.sweep();
            assert_eq!(book.len(), left);
            book.close();
            assert_eq!(Book::open(&home, None, Clock::system()).unwrap().len(), left, "{after} s later");
        }
    }

    /// A store that refuses when it is full is closed by whoever fills it first; one that evicts the oldest, by a flood.
    #[test]
    fn in_a_full_book_the_farthest_goes_and_the_own_record_never() {
        let mut order: Vec<u8> = (1..=40).collect();
        let place_digest: [u8; 32] = Sha256::digest(PLACE).into();
        order.sort_by_key(|n| distance(&place_digest, &grid(*n)));
        let own = order[39];
        let mut book = Book { own: Some(grid(own)), capacity: 10, ..Book::in_memory(Clock::system()) };
        book.set_place(PLACE);
        for n in order.iter().rev() {
            assert!(
                matches!(book.offer(&grid(*n), &record(*n, *NOW)), Verdict::Stored),
                "each is nearer than the last"
            );
        }
        assert_eq!(book.len(), 10);
        let held: Vec<bool> = order.iter().map(|n| book.row(&grid(*n)).is_some()).collect();
        assert!(held[..9].iter().all(|held| *held) && held[39], "{held:?}");
        assert!(matches!(book.offer(&grid(order[20]), &record(order[20], *NOW)), Verdict::Busy), "too far");
        let newer = UnixSeconds(NOW.0 + 60);
        assert!(matches!(book.offer(&grid(order[3]), &record(order[3], newer)), Verdict::Stored), "no new place");
    }
}
