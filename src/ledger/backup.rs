//! A copy of the books while they are written.

use crate::config::{FileError, SECRET_MODE};
use crate::ledger::error::LedgerError;
use crate::ledger::handle::Ledger;
use crate::ledger::location::Location;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

impl Ledger {
    /// Writes a copy of one state of the books to `path`, where there must be no file yet: a SQLite file that is complete in
    /// itself, on the disk when this returns.
    ///
    /// A PostgreSQL database is copied with its own `pg_dump`: [`LedgerError::NoFile`].
    pub async fn backup(&self, path: &Path) -> Result<(), LedgerError> {
        if let Location::Postgres(_) = self.location() {
            return Err(LedgerError::NoFile { location: self.location().clone() });
        }
        // SQLite takes an empty file; this one has the right mode before there is anything in it.
        let open = OpenOptions::new().create_new(true).write(true).mode(SECRET_MODE).open(path);
        let file: File = open.map_err(FileError::at("create", path))?;
        let text = path.to_str().ok_or_else(|| {
            let source = std::io::Error::new(std::io::ErrorKind::InvalidFilename, "SQLite wants a name in UTF-8");
            FileError { action: "write", path: path.to_owned(), source }
        })?;
        let copied = {
            let mut reading = self.reading().await?;
            reading.sql().run(sqlx::query("VACUUM INTO $1").bind(text.to_owned())).await
        };
        let synced = match copied {
            Ok(_) => file.sync_all().map_err(|error| LedgerError::from(FileError::at("write", path)(error))),
            Err(error) => Err(error),
        };
        if synced.is_err() {
            // Half a copy must not be taken for one.
            let _ = std::fs::remove_file(path);
        }
        synced
    }
}
