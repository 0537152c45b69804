//! The highest sequence number that was seen of each mutable file, across restarts.
//!
//! A gateway could serve an older version, which is signed as well as the newer one was. One file for each,
//! `mutable-floors/<digest>`; several processes may work in one directory, and none lowers what another raised.

use crate::config::{FileError, SECRET_MODE, create_private_dir, read_at_most, write_atomically};
use crate::reader::target::Target;
use std::collections::HashMap;
use std::fs::File;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tracing::warn;

/// More digits than a number of 64 bits has.
const MAX_FLOOR_BYTES: usize = 32;
/// How many floors are held while the disk takes nothing, 100 bytes each.
const MAX_IN_MEMORY: usize = 10_000;

/// The floors in one folder.
#[derive(Debug)]
pub(super) struct MutableFloors {
    folder: PathBuf,
    /// Floors that rose while the disk took nothing.
    unwritten: Mutex<HashMap<String, u64>>,
}

/// Why a version of a mutable file is not read.
#[derive(Debug, thiserror::Error)]
pub enum FloorError {
    /// An older version than one that was seen.
    #[error("version {found} is offered, and version {floor} was read before: somebody withholds the newer one")]
    RolledBack {
        /// The sequence number offered.
        found: u64,
        /// The highest seen.
        floor: u64,
    },
    /// A floor's file has something else in it.
    #[error("`{}` is damaged", .0.display())]
    Damaged(PathBuf),
    /// A floor's file cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
}

impl MutableFloors {
    /// The floors in `folder`, which is made when the first is written.
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder, unwritten: Mutex::default() }
    }

    /// Refuses `sequence` if a higher one was seen of `target`, and remembers it if it is the highest. On the disk when this
    /// returns, but for a disk that is full: then it holds in memory.
    pub(super) fn raise(&self, target: &Target, sequence: u64) -> Result<(), FloorError> {
        let name = target.digest();
        if let Some(&floor) = self.unwritten().get(&name)
            && sequence < floor
        {
            return Err(FloorError::RolledBack { found: sequence, floor });
        }
        // Most readings raise nothing, and need no lock.
        if self.compare(&name, sequence)? == Some(sequence) {
            return Ok(());
        }
        match self.write(&name, sequence) {
            Err(FloorError::File(error)) if error.is_full() => {
                let mut unwritten = self.unwritten();
                if unwritten.len() >= MAX_IN_MEMORY {
                    return Err(error.into());
                }
                warn!(error = %error.source, "which version of a file was seen cannot be written: it holds in memory");
                unwritten.insert(name, sequence);
                Ok(())
            }
            outcome => outcome,
        }
    }

    fn write(&self, name: &str, sequence: u64) -> Result<(), FloorError> {
        create_private_dir(&self.folder)?;
        let lock = self.folder.join("lock");
        let failed = |error| FileError::at("lock", &lock)(error);
        let file = File::create(&lock).map_err(failed)?;
        // Let go of when the file is dropped.
        file.lock().map_err(failed)?;
        // Another process may have raised it since.
        if self.compare(name, sequence)? != Some(sequence) {
            write_atomically(&self.folder.join(name), format!("{sequence}\n").as_bytes(), SECRET_MODE)?;
        }
        self.unwritten().remove(name);
        Ok(())
    }

    /// What is written, if `sequence` is not below it.
    fn compare(&self, name: &str, sequence: u64) -> Result<Option<u64>, FloorError> {
        let path = self.folder.join(name);
        let bytes = match read_at_most(&path, MAX_FLOOR_BYTES) {
            Ok(bytes) => bytes,
            Err(error) if error.is_missing() => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let text = std::str::from_utf8(&bytes).ok().and_then(|text| text.strip_suffix('\n'));
        let floor = text.and_then(|text| text.parse::<u64>().ok()).ok_or(FloorError::Damaged(path))?;
        if sequence < floor { Err(FloorError::RolledBack { found: sequence, floor }) } else { Ok(Some(floor)) }
    }

    fn unwritten(&self) -> MutexGuard<'_, HashMap<String, u64>> {
        // Whoever panicked with the lock left whole entries.
        self.unwritten.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::{GridId, SecretKey};

    fn target(seed: u8) -> Target {
        let cap = "URI:SSK-RO:u6etxx3ptzfylhmwwguwms5zj4:2fwidhazpw3a7elhnjvld6zylyfii7taapwykujcxkh76vohzvfa";
        Target::new(GridId::new(SecretKey::from_seed(&[seed; 32]).public()), &cap.parse().unwrap()).unwrap()
    }

    #[test]
    fn an_older_version_is_refused_also_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let open = || MutableFloors::new(folder.path().join("mutable-floors"));
        let floors = open();
        for sequence in [3, 3, 7] {
            floors.raise(&target(1), sequence).unwrap();
        }
        for floors in [floors, open()] {
            let error = floors.raise(&target(1), 6).unwrap_err();
            assert!(matches!(error, FloorError::RolledBack { found: 6, floor: 7 }));
            floors.raise(&target(1), 7).unwrap();
            // The file of the same cap on another grid may be a copy of its own.
            floors.raise(&target(2), 1).unwrap();
        }
    }

    #[test]
    fn a_floor_says_nothing_of_what_was_read_and_is_nobody_elses() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let floors = MutableFloors::new(folder.path().join("f"));
        floors.raise(&target(1), 1).unwrap();
        let index = target(1).cap().storage_index().unwrap().to_string();
        for entry in std::fs::read_dir(folder.path().join("f")).unwrap() {
            let entry = entry.unwrap();
            assert!(!entry.file_name().to_str().unwrap().contains(&index));
            assert!(!String::from_utf8(std::fs::read(entry.path()).unwrap()).unwrap().contains(&index));
        }
        assert_eq!(std::fs::metadata(folder.path().join("f")).unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn a_damaged_floor_is_not_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let floors = MutableFloors::new(folder.path().to_owned());
        std::fs::write(folder.path().join(target(1).digest()), "seven\n").unwrap();
        assert!(matches!(floors.raise(&target(1), 9), Err(FloorError::Damaged(_))));
    }

    #[test]
    fn a_full_disk_costs_the_memory_of_it_and_not_the_answer() {
        let folder = tempfile::tempdir().unwrap();
        let floors = MutableFloors::new(folder.path().to_owned());
        floors.unwritten().insert(target(1).digest(), 5);
        assert!(matches!(floors.raise(&target(1), 4), Err(FloorError::RolledBack { found: 4, floor: 5 })));
        floors.raise(&target(1), 5).unwrap();
        assert!(floors.unwritten().is_empty());
    }
}
