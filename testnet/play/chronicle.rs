//! What really happened: every record that a grid of the network has signed, by which answers are judged.

use lafs_clearinghouse::keys::GridId;
use lafs_clearinghouse::record::GridRecord;
use lafs_clearinghouse::signed::Identity;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, RwLock};

/// The records of each grid, oldest first. Cheap to clone; all clones are one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Chronicle(Arc<RwLock<Told>>);

#[derive(Debug, Default)]
struct Told {
    records: HashMap<GridId, Vec<GridRecord>>,
    stolen: HashSet<Identity>,
}

impl Chronicle {
    /// Notes what a grid has signed, each record once.
    pub(crate) fn note(&self, record: GridRecord) {
        let mut told = self.0.write().expect("nothing panics while it writes");
        if told.stolen.contains(&record.signed().identity()) {
            return;
        }
        let records = told.records.entry(*record.grid()).or_default();
        if !records.iter().any(|known| known.signed().identity() == record.signed().identity()) {
            let place = records.partition_point(|known| record.signed().supersedes(known.signed()));
            records.insert(place, record);
        }
    }

    /// Notes what a thief has signed: valid as long as nobody has revoked the thief's key, and never what is wanted.
    pub(crate) fn note_stolen(&self, record: &GridRecord) {
        let mut told = self.0.write().expect("nothing panics while it writes");
        let identity = record.signed().identity();
        told.stolen.insert(identity);
        // A node takes over what it believes to be its grid's, and may have been asked before this was noted.
        if let Some(records) = told.records.get_mut(record.grid()) {
            records.retain(|known| known.signed().identity() != identity);
        }
    }

    /// The records that a grid has signed, oldest first.
    pub(crate) fn records(&self, grid: &GridId) -> Vec<GridRecord> {
        let told = self.0.read().expect("nothing panics while it writes");
        told.records.get(grid).cloned().unwrap_or_default()
    }

    /// The newest record that a grid has signed.
    pub(crate) fn newest(&self, grid: &GridId) -> Option<GridRecord> {
        let told = self.0.read().expect("nothing panics while it writes");
        told.records.get(grid)?.last().cloned()
    }

    /// Whether the grid itself has signed it.
    pub(crate) fn is_honest(&self, grid: &GridId, identity: &Identity) -> bool {
        let told = self.0.read().expect("nothing panics while it writes");
        told.records.get(grid).is_some_and(|known| known.iter().any(|known| known.signed().identity() == *identity))
    }

    /// The grids.
    pub(crate) fn grids(&self) -> Vec<GridId> {
        let told = self.0.read().expect("nothing panics while it writes");
        let mut grids: Vec<GridId> = told.records.keys().copied().collect();
        grids.sort_unstable();
        grids
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lafs_clearinghouse::keys::SecretKey;
    use lafs_clearinghouse::record::{RecordDraft, Signer};
    use lafs_clearinghouse::units::UnixSeconds;

    #[test]
    fn records_are_in_order_and_what_was_stolen_is_no_grids_word() {
        let key = SecretKey::from_seed(&[1; 32]);
        let grid = GridId::new(key.public());
        let at = |time| {
            let signer = Signer::Grid { key: &key, serial: UnixSeconds(1_800_000_000) };
            RecordDraft::new(grid).sign(signer, None, &[], UnixSeconds(time)).unwrap()
        };
        let [one, two, three] = [1_800_000_000, 1_800_000_001, 1_800_000_002].map(at);
        let chronicle = Chronicle::default();
        for record in [&two, &one, &two, &three] {
            chronicle.note(record.clone());
        }
        assert_eq!(chronicle.records(&grid), [one, two.clone(), three.clone()]);
        chronicle.note_stolen(&three);
        chronicle.note(three.clone());
        assert_eq!(chronicle.newest(&grid), Some(two));
        assert!(!chronicle.is_honest(&grid, &three.signed().identity()));
    }
}
