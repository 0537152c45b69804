//! The grid's own newest record: on the disk before anybody sees it, so that no sequence is ever used twice.

use crate::config::{FileError, Home, PUBLIC_MODE, read_at_most, write_atomically};
use crate::keys::GridId;
use crate::record::{GridRecord, MAX_RECORD_BYTES, RecordError};
use std::path::PathBuf;

/// The record in a data directory's `own.record`; `None` where there is none yet.
pub fn load_own_record(home: &Home, grid: &GridId) -> Result<Option<GridRecord>, OwnRecordError> {
    let path = home.own_record();
    match read_at_most(&path, MAX_RECORD_BYTES) {
        Ok(bytes) => match GridRecord::from_bytes(&bytes, grid) {
            Ok(record) => Ok(Some(record)),
            Err(source) => Err(OwnRecordError::Damaged { path, source }),
        },
        Err(error) if error.is_missing() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Puts `record` in the place of the own record, unless that one is newer or the same. Returns whether it is there now.
pub fn save_own_record(home: &Home, record: &GridRecord) -> Result<bool, OwnRecordError> {
    if let Some(held) = load_own_record(home, record.signed().grid())?
        && !record.signed().supersedes(held.signed())
    {
        return Ok(held.signed().identity() == record.signed().identity());
    }
    write_atomically(&home.own_record(), record.signed().bytes(), PUBLIC_MODE)?;
    Ok(true)
}

/// Why the own record cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum OwnRecordError {
    /// The file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file is there and is no record of this grid.
    #[error("`{}` is no record of this grid", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: RecordError,
    },
}
