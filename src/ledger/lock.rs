//! One process per file.

use crate::config::{FileError, SECRET_MODE};
use crate::ledger::error::LedgerError;
use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Held as long as a process keeps its books in a file; the operating system lets go of it when the process ends.
#[derive(Debug)]
pub(super) struct FileLock(#[expect(dead_code, reason = "the open file is the lock")] File);

impl FileLock {
    /// Takes the ledger at `path` for this process. SQLite's own locks would let two of them take turns.
    pub(super) fn acquire(path: &Path) -> Result<Self, LedgerError> {
        let mut lock = path.as_os_str().to_owned();
        lock.push(".lock");
        let lock = Path::new(&lock);
        let open = OpenOptions::new().create(true).truncate(false).write(true).mode(SECRET_MODE).open(lock);
        let file = open.map_err(FileError::at("open", lock))?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => Err(LedgerError::InUse { path: path.to_owned() }),
            Err(TryLockError::Error(error)) => Err(FileError::at("lock", lock)(error).into()),
        }
    }
}
