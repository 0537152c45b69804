//! Records with live commitments, as files: what must not be lost when the cache is.

use crate::config::{FileError, Home, PUBLIC_MODE, create_private_dir, read_at_most, write_atomically};
use crate::keys::GridId;
use crate::record::{GridRecord, MAX_RECORD_BYTES, SignedRecord};
use std::path::{Path, PathBuf};
use tracing::warn;

/// The evidence on file about one grid, newest first. What does not verify is left where it is and said.
pub fn load_evidence(home: &Home, grid: &GridId) -> Vec<GridRecord> {
    let mut records: Vec<GridRecord> =
        record_files(&home.evidence_of(grid)).filter_map(|path| read(&path, grid)).collect();
    records.sort_by_key(|record| std::cmp::Reverse(record.signed().sequence()));
    records
}

/// The folder `evidence/` of a data directory: `<grid id>/<sequence>.<identity>.record`.
#[derive(Debug)]
pub(crate) struct EvidenceFiles(Home);

impl EvidenceFiles {
    pub(crate) fn new(home: Home) -> Self {
        Self(home)
    }

    /// Makes `records` the evidence on file about `grid`: writes what is missing, deletes what has ended. An error is that of
    /// the last that could not be written; nothing is deleted then.
    pub(crate) fn set(&self, grid: &GridId, records: &[GridRecord]) -> Result<(), FileError> {
        let mut outcome = Ok(());
        for record in records {
            let path = self.0.evidence_of(grid).join(file_name(record.signed()));
            if path.exists() {
                continue;
            }
            let written = create_private_dir(&self.0.evidence_of(grid))
                .and_then(|()| write_atomically(&path, record.signed().bytes(), PUBLIC_MODE));
            if let Err(error) = written {
                warn!(error = &error as &dyn std::error::Error, "evidence of a commitment could not be written");
                outcome = Err(error);
            }
        }
        outcome?;
        let kept: Vec<String> = records.iter().map(|record| file_name(record.signed())).collect();
        for path in record_files(&self.0.evidence_of(grid)) {
            if !kept.iter().any(|name| path.ends_with(name))
                && let Err(error) = std::fs::remove_file(&path)
            {
                warn!(path = %path.display(), %error, "evidence that has ended could not be deleted");
            }
        }
        Ok(())
    }

    /// All evidence in the folder, verified again. What does not verify is left where it is and said.
    pub(crate) fn load(&self) -> Vec<GridRecord> {
        let mut records = Vec::new();
        for folder in std::fs::read_dir(self.0.evidence()).into_iter().flatten().flatten() {
            let Some(grid) = folder.file_name().to_str().and_then(|name| name.parse::<GridId>().ok()) else { continue };
            records.extend(load_evidence(&self.0, &grid));
        }
        records
    }
}

fn read(path: &Path, grid: &GridId) -> Option<GridRecord> {
    match read_at_most(path, MAX_RECORD_BYTES).map(|bytes| GridRecord::from_bytes(&bytes, grid)) {
        Ok(Ok(record)) => Some(record),
        Ok(Err(error)) => {
            warn!(path = %path.display(), %error, "evidence that does not verify");
            None
        }
        Err(error) => {
            warn!(%error, "evidence that cannot be read");
            None
        }
    }
}

/// `<sequence>.<identity>.record`, of the identity its first 16 digits: two records may have one sequence.
fn file_name(record: &SignedRecord) -> String {
    format!("{}.{:.16}.record", record.sequence(), record.identity().to_string())
}

fn record_files(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|file| file.path());
    files.filter(|path| path.extension().is_some_and(|extension| extension == "record"))
}
