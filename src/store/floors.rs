//! The floors of a reader: below which version of a grid's record it will not go, across restarts.
//!
//! A floor must not be lost, so it is a file of its own, `floors/<grid id>`, on the disk before the answer it came with is
//! given. Several processes may work in one directory (a node, and commands beside it): each sees what the others raised,
//! and none lowers it.

use crate::config::{FileError, Home, PUBLIC_MODE, create_private_dir, read_at_most, write_atomically};
use crate::keys::GridId;
use crate::record::{Floor, FloorTextError, GridRecord};
use crate::units::UnixSeconds;
use std::collections::HashMap;
use std::fs::{File, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tracing::{info, warn};

/// More than any floor's text takes.
const MAX_FLOOR_BYTES: usize = 4 * 1024;
/// How many floors are kept in memory, 1.5 KB each. All are on the disk; with more, the memory begins anew.
const MAX_IN_MEMORY: usize = 10_000;

/// The floors in a data directory.
#[derive(Debug)]
pub struct Floors {
    folder: PathBuf,
    memory: Mutex<Memory>,
}

#[derive(Debug, Default)]
struct Memory {
    /// Floors as they stand on the disk.
    read: HashMap<GridId, (Stamp, Floor)>,
    /// Floors that rose while the disk took nothing.
    unwritten: HashMap<GridId, Floor>,
    fault: Option<String>,
}

/// What tells one version of a floor's file from the next: each is written anew and renamed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    modified: (i64, i64),
}

impl Stamp {
    fn of(file: &Metadata) -> Self {
        Self { inode: file.ino(), modified: (file.mtime(), file.mtime_nsec()) }
    }
}

impl Floors {
    /// The floors of `home`, whose folder is made where it is missing.
    pub fn open(home: &Home) -> Result<Self, FileError> {
        let folder = home.floors();
        create_private_dir(&folder)?;
        Ok(Self { folder, memory: Mutex::default() })
    }

    /// The floor of a grid; `None` if none of its records was seen for as long as a floor is kept.
    pub fn of(&self, grid: &GridId, now: UnixSeconds) -> Result<Option<Floor>, FloorFileError> {
        if let Some(floor) = self.memory().unwritten.get(grid) {
            return Ok(Some(floor.clone()));
        }
        let path = self.path(grid);
        let stamp = match std::fs::metadata(&path) {
            Ok(file) => Stamp::of(&file),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(FileError::at("read", &path)(error).into()),
        };
        let known = self.memory().read.get(grid).filter(|(read, _)| *read == stamp).map(|(_, floor)| floor.clone());
        let floor = match known {
            Some(floor) => floor,
            // One that was raised since the look at it is remembered under the older stamp, and read again next time.
            None => match self.read(grid)? {
                Some(floor) => self.remember(stamp, floor),
                None => return Ok(None),
            },
        };
        Ok(Some(floor).filter(|floor| !floor.is_over(now)))
    }

    /// Raises the floor of the record's grid to this record, where it is newer. On the disk when this returns, so that it may
    /// wait for the disk, and for another process that raises one; but for a disk that is full: then it holds in memory, and is
    /// written once there is room. An answer is worth more than the chance that somebody rolls it back after a restart.
    pub fn raise(&self, record: &GridRecord, now: UnixSeconds) -> Result<(), FloorFileError> {
        if !self.rises(record, now)? {
            return Ok(());
        }
        let outcome = self.write_raised(record, now);
        match outcome {
            Err(FloorFileError::File(error)) if error.is_full() => self.keep_unwritten(record, now, error),
            outcome => outcome,
        }
    }

    /// Writes what could not be written before. Returns why not, if not.
    pub fn catch_up(&self) -> Option<String> {
        let unwritten: Vec<Floor> = self.memory().unwritten.values().cloned().collect();
        for floor in unwritten {
            if self.write_unless_higher(&floor).is_err() {
                return self.memory().fault.clone();
            }
            let mut memory = self.memory();
            // It may have risen again meanwhile.
            if memory.unwritten.get(floor.grid()) == Some(&floor) {
                memory.unwritten.remove(floor.grid());
            }
        }
        let mut memory = self.memory();
        if memory.unwritten.is_empty() && memory.fault.take().is_some() {
            info!("floors can be written again");
        }
        memory.fault.clone()
    }

    /// Writes a floor, unless another process has raised it above that meanwhile.
    fn write_unless_higher(&self, floor: &Floor) -> Result<(), FloorFileError> {
        let _alone = self.alone()?;
        match self.read(floor.grid())? {
            Some(written) if written.is_at_least(floor) => Ok(()),
            _ => Ok(self.write(floor)?),
        }
    }

    fn write_raised(&self, record: &GridRecord, now: UnixSeconds) -> Result<(), FloorFileError> {
        let grid = record.grid();
        let _alone = self.alone()?;
        // Another process may have raised it since.
        let unwritten = self.memory().unwritten.get(grid).cloned();
        let known = match unwritten {
            Some(floor) => Some(floor),
            None => self.read(grid)?.filter(|floor| !floor.is_over(now)),
        };
        let raised = match known {
            Some(floor) => floor.raised_by(record, now),
            None => Floor::of(record, now),
        };
        if let Some(floor) = raised {
            self.write(&floor)?;
            self.memory().unwritten.remove(grid);
        }
        Ok(())
    }

    fn write(&self, floor: &Floor) -> Result<(), FileError> {
        let path = self.path(floor.grid());
        write_atomically(&path, format!("{floor}\n").as_bytes(), PUBLIC_MODE)?;
        if let Ok(file) = std::fs::metadata(&path) {
            self.remember(Stamp::of(&file), floor.clone());
        }
        Ok(())
    }

    fn keep_unwritten(&self, record: &GridRecord, now: UnixSeconds, error: FileError) -> Result<(), FloorFileError> {
        let raised = match self.of(record.grid(), now)? {
            Some(floor) => floor.raised_by(record, now),
            None => Floor::of(record, now),
        };
        let mut memory = self.memory();
        if memory.unwritten.len() >= MAX_IN_MEMORY {
            return Err(error.into());
        }
        if memory.fault.is_none() {
            warn!(error = %error.source, "floors cannot be written: they hold in memory until they can");
        }
        memory.fault = Some(format!("{error}: {}", error.source));
        memory.unwritten.extend(raised.map(|floor| (*floor.grid(), floor)));
        Ok(())
    }

    /// Whether [`Floors::raise`] would write anything.
    pub fn rises(&self, record: &GridRecord, now: UnixSeconds) -> Result<bool, FloorFileError> {
        Ok(match self.of(record.grid(), now)? {
            Some(floor) => floor.raised_by(record, now).is_some(),
            None => Floor::of(record, now).is_some(),
        })
    }

    /// Held while a floor is read and written again.
    fn alone(&self) -> Result<File, FileError> {
        let path = self.folder.join("lock");
        let file = File::options().create(true).truncate(false).write(true).open(&path);
        let file = file.map_err(FileError::at("open", &path))?;
        file.lock().map_err(FileError::at("lock", &path))?;
        Ok(file)
    }

    fn read(&self, grid: &GridId) -> Result<Option<Floor>, FloorFileError> {
        let path = self.path(grid);
        let bytes = match read_at_most(&path, MAX_FLOOR_BYTES) {
            Ok(bytes) => bytes,
            Err(error) if error.is_missing() => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let text = String::from_utf8_lossy(&bytes);
        match text.trim_end().parse::<Floor>() {
            Ok(floor) if floor.grid() == grid => Ok(Some(floor)),
            Ok(_) => Err(FloorFileError::Damaged { path, source: FloorTextError { expected: "grid" } }),
            Err(source) => Err(FloorFileError::Damaged { path, source }),
        }
    }

    fn remember(&self, stamp: Stamp, floor: Floor) -> Floor {
        let read = &mut self.memory().read;
        if read.len() >= MAX_IN_MEMORY {
            read.clear();
        }
        read.insert(*floor.grid(), (stamp, floor.clone()));
        floor
    }

    /// Nothing that is done under this lock can panic.
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
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
    use crate::record::{FLOOR_KEPT, RecordDraft, Signer};
    use crate::units::Seconds;

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
        let new = record(Some(&old), NOW.plus(Seconds(5)));
        let floors = Floors::open(&home).unwrap();
        assert_eq!(floors.of(old.grid(), NOW).unwrap(), None);
        floors.raise(&new, NOW).unwrap();
        floors.raise(&old, NOW).unwrap();
        let reopened = Floors::open(&home).unwrap();
        let floor = reopened.of(old.grid(), NOW).unwrap().unwrap();
        assert!(floor.admits(new.signed()) && !floor.admits(old.signed()));
        assert_eq!(reopened.of(old.grid(), NOW.plus(FLOOR_KEPT).plus(Seconds(1))).unwrap(), None, "kept 400 days");
    }

    #[test]
    fn what_one_process_raised_another_does_not_lower() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::new(dir.path());
        let first = record(None, NOW);
        let second = record(Some(&first), NOW.plus(Seconds(5)));
        let third = record(Some(&second), NOW.plus(Seconds(9)));
        let (node, command) = (Floors::open(&home).unwrap(), Floors::open(&home).unwrap());
        node.raise(&first, NOW).unwrap();
        command.raise(&third, NOW).unwrap();
        node.raise(&second, NOW).unwrap();
        for floors in [node, command, Floors::open(&home).unwrap()] {
            assert!(!floors.of(first.grid(), NOW).unwrap().unwrap().admits(second.signed()));
        }
    }

    #[test]
    fn a_damaged_floor_is_an_error_and_not_an_absent_one() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::new(dir.path());
        let seen = record(None, NOW);
        Floors::open(&home).unwrap().raise(&seen, NOW).unwrap();
        std::fs::write(home.floors().join(seen.grid().to_string()), "grid=").unwrap();
        let error = Floors::open(&home).unwrap().of(seen.grid(), NOW).unwrap_err();
        assert!(matches!(error, FloorFileError::Damaged { .. }), "{error}");
    }
}
