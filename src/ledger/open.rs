//! Opening a database as money needs it.

use crate::config::{FileError, SECRET_MODE};
use crate::ledger::error::LedgerError;
use crate::ledger::location::Location;
use crate::ledger::lock::FileLock;
use crate::ledger::schema::{NEWEST, migrate, version};
use sqlx::any::AnyPoolOptions;
use sqlx::{AnyPool, Executor};
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Once;
use std::time::Duration;

/// Connections for those who read beside the writer.
const READERS: u32 = 4;
/// How long one waits for a connection before it is said that the database does not answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// For the one process that writes, with its lock.
pub(super) async fn for_writing(location: &Location) -> Result<(AnyPool, Option<FileLock>), LedgerError> {
    let lock = location.path().map(FileLock::acquire).transpose()?;
    if let Some(path) = location.path() {
        // SQLite would create it with the mode of the user's mask, and it says who reads how much.
        let open = OpenOptions::new().create(true).truncate(false).write(true).mode(SECRET_MODE).open(path);
        open.map_err(FileError::at("open", path))?;
    }
    let pool = pool(location).await?;
    let mut connection = pool.acquire().await.map_err(LedgerError::of(location))?;
    migrate(&mut connection, location).await?;
    Ok((pool, lock))
}

/// Beside the process that writes, which may run.
pub(super) async fn for_reading(location: &Location) -> Result<AnyPool, LedgerError> {
    if let Some(path) = location.path().filter(|path| !path.exists()) {
        return Err(LedgerError::Missing { path: path.to_owned() });
    }
    let pool = pool(location).await?;
    let mut connection = pool.acquire().await.map_err(LedgerError::of(location))?;
    let found = version(&mut connection, location).await?;
    if found < NEWEST {
        return Err(LedgerError::Older { location: location.clone(), found, known: NEWEST });
    }
    Ok(pool)
}

async fn pool(location: &Location) -> Result<AnyPool, LedgerError> {
    static DRIVERS: Once = Once::new();
    DRIVERS.call_once(sqlx::any::install_default_drivers);
    let is_file = location.path().is_some();
    let options = AnyPoolOptions::new().max_connections(1 + READERS).acquire_timeout(PATIENCE);
    let options = options.after_connect(move |connection, _| {
        Box::pin(async move {
            if is_file {
                // FULL: a commit has reached the disk when it returns. WAL: who reads does not hold up who writes. Lanes are
                // named by hashes, so that many of them touch as many pages: 8 MiB of these are kept, and 16 MiB are written to
                // the log before they are sorted into the file.
                for pragma in [
                    "PRAGMA busy_timeout = 10000",
                    "PRAGMA journal_mode = WAL",
                    "PRAGMA synchronous = FULL",
                    "PRAGMA cache_size = -8192",
                    "PRAGMA wal_autocheckpoint = 4096",
                ] {
                    connection.execute(pragma).await?;
                }
            }
            Ok(())
        })
    });
    options.connect(&location.url()).await.map_err(LedgerError::of(location))
}
