//! One process per data directory.

use crate::config::{FileError, Home};
use crate::store::format::{FormatError, stamp_format};
use std::fs::{File, OpenOptions, TryLockError};
use std::path::PathBuf;

/// Held as long as a process works in a data directory; the operating system lets go of it when the process ends, however
/// it ends.
#[derive(Debug)]
pub struct DirectoryLock(#[expect(dead_code, reason = "the open file is the lock")] File);

impl DirectoryLock {
    /// Takes the directory for this process.
    pub fn acquire(home: &Home) -> Result<Self, LockError> {
        let path = home.lock();
        let open = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let file = open.map_err(FileError::at("open", &path))?;
        match file.try_lock() {
            Ok(()) => {
                stamp_format(home)?;
                Ok(Self(file))
            }
            Err(TryLockError::WouldBlock) => Err(LockError::InUse { directory: home.path().to_owned() }),
            Err(TryLockError::Error(error)) => Err(FileError::at("lock", &path)(error).into()),
        }
    }
}

/// Why a data directory could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process works in it.
    #[error("another process is using `{}`", directory.display())]
    InUse {
        /// The directory.
        directory: PathBuf,
    },
    /// A newer program has worked in it.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// The lock file could not be opened.
    #[error(transparent)]
    File(#[from] FileError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_taken_once_and_free_again_afterwards() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::new(dir.path());
        let lock = DirectoryLock::acquire(&home).unwrap();
        assert!(matches!(DirectoryLock::acquire(&home), Err(LockError::InUse { .. })));
        drop(lock);
        DirectoryLock::acquire(&home).unwrap();
    }
}
