//! The floors of a reader: below which version of a grid's record it will not go, across restarts.
//!
//! A floor must not be lost, so it is a file of its own, `floors/<grid id>`, on the disk before the answer it came with is
//! given.

use crate::config::{FileError, Home, PUBLIC_MODE, create_private_dir, read_at_most, write_atomically};
use crate::keys::GridId;
use crate::record::{Floor, FloorTextError, GridRecord};
use crate::units::UnixSeconds;
use std::collections::HashMap;
use std::path::PathBuf;
use tracing::{info, warn};

/// More than any floor's text takes.
const MAX_FLOOR_BYTES: usize = 4 * 1024;

/// The floors in a data directory. Read when first asked for, written when they rise.
#[derive(Debug)]
pub struct Floors {
    folder: PathBuf,
    known: HashMap<GridId, Option<Floor>>,
    /// Floors that rose while the disk took nothing.
    unwritten: HashMap<GridId, Floor>,
    fault: Option<String>,
}

impl Floors {
    /// The floors of `home`, whose folder is made where it is missing.
    pub fn open(home: &Home) -> Result<Self, FileError> {
        let folder = home.floors();
        create_private_dir(&folder)?;
        Ok(Self { folder, known: HashMap::new(), unwritten: HashMap::new(), fault: None })
    }

    /// The floor of a grid; `None` if none of its records was ever seen.
    pub fn of(&mut self, grid: &GridId) -> Result<Option<&Floor>, FloorFileError> {
        if !self.known.contains_key(grid) {
            let floor = self.read(grid)?;
            self.known.insert(*grid, floor);
        }
        Ok(self.known.get(grid).and_then(Option::as_ref))
    }

    /// Raises the floor of the record's grid to this record, where it is newer. On the disk when this returns, but for a
    /// disk that is full: then it holds in memory, and is written once there is room. An answer is worth more than the chance
    /// that somebody rolls it back after a restart on a full disk.
    pub fn raise(&mut self, record: &GridRecord, now: UnixSeconds) -> Result<(), FloorFileError> {
        let grid = *record.signed().grid();
        let raised = match self.of(&grid)? {
            Some(floor) => floor.raised_by(record, now),
            None => Floor::of(record, now),
        };
        if let Some(floor) = raised {
            if let Err(error) = self.write(&grid, &floor) {
                if !error.is_full() {
                    return Err(error.into());
                }
                if self.fault.is_none() {
                    warn!(error = %error.source, "floors cannot be written: they hold in memory until they can");
                }
                self.fault = Some(format!("{error}: {}", error.source));
                self.unwritten.insert(grid, floor);
            }
            self.known.insert(grid, Some(floor));
        }
        Ok(())
    }

    /// Writes what could not be written before. Returns why not, if not.
    pub fn catch_up(&mut self) -> Option<&str> {
        for (grid, floor) in self.unwritten.clone() {
            if self.write(&grid, &floor).is_err() {
                return self.fault.as_deref();
            }
            self.unwritten.remove(&grid);
        }
        if self.fault.take().is_some() {
            info!("floors can be written again");
        }
        None
    }

    fn write(&self, grid: &GridId, floor: &Floor) -> Result<(), FileError> {
        write_atomically(&self.path(grid), format!("{floor}\n").as_bytes(), PUBLIC_MODE)
    }

    fn read(&self, grid: &GridId) -> Result<Option<Floor>, FloorFileError> {
        let path = self.path(grid);
        let bytes = match read_at_most(&path, MAX_FLOOR_BYTES) {
            Ok(bytes) => bytes,
            Err(error) if error.is_missing() => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let text = String::from_utf8_lossy(&bytes);
        let floor = text.trim_end().parse().map_err(|source| FloorFileError::Damaged { path, source })?;
        Ok(Some(floor))
    }

    fn path(&self, grid: &GridId) -> PathBuf {
        self.folder.join(grid.to_string())
    }
}

/// Why a floor is not known, or could not be raised: no answer may be given then, since it could be a rolled-back one.
#[derive(Debug, thiserror::Error)]
pub enum FloorFileError {
    /// The file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file is there and is no floor.
    #[error("the floor in `{}` is damaged", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: FloorTextError,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::SecretKey;
    use crate::record::{RecordDraft, Signer};

    const NOW: UnixSeconds = UnixSeconds(1_800_000_000);

    fn record(previous: Option<&GridRecord>, now: UnixSeconds) -> GridRecord {
        let key = SecretKey::from_seed(&[5; 32]);
        let signer = Signer::Grid { key: &key, serial: NOW };
        RecordDraft::new(GridId::new(key.public())).sign(signer, previous, &[], now).unwrap()
    }

    #[test]
    fn a_floor_outlives_the_process_and_never_sinks() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::new(dir.path());
        let old = record(None, NOW);
        let new = record(Some(&old), NOW.plus(crate::units::Seconds(5)));
        let mut floors = Floors::open(&home).unwrap();
        assert_eq!(floors.of(old.grid()).unwrap(), None);
        floors.raise(&new, NOW).unwrap();
        floors.raise(&old, NOW).unwrap();
        let mut reopened = Floors::open(&home).unwrap();
        let floor = reopened.of(old.grid()).unwrap().unwrap();
        assert!(floor.admits(new.signed()) && !floor.admits(old.signed()));
    }

    #[test]
    fn a_damaged_floor_is_an_error_and_not_an_absent_one() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::new(dir.path());
        let seen = record(None, NOW);
        Floors::open(&home).unwrap().raise(&seen, NOW).unwrap();
        std::fs::write(home.floors().join(seen.grid().to_string()), "grid=").unwrap();
        let error = Floors::open(&home).unwrap().of(seen.grid()).unwrap_err();
        assert!(matches!(error, FloorFileError::Damaged { .. }), "{error}");
    }
}
