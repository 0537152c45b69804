//! Why the books do not take something, or cannot be read.

use crate::config::FileError;
use crate::ledger::location::Location;
use std::path::PathBuf;
use std::sync::Arc;

/// What went wrong with a ledger.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LedgerError {
    /// Another process keeps its books in this file. A second gateway of a grid needs PostgreSQL.
    #[error(
        "another process keeps its books in `{}`; two gateways of one grid share a PostgreSQL database", path.display()
    )]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// A newer program wrote it.
    #[error("the ledger {location} has version {found}, and this program knows versions up to {known}")]
    Newer {
        /// Where.
        location: Location,
        /// The version it is in.
        found: i64,
        /// The newest this program knows.
        known: i64,
    },
    /// An older program wrote it, and who only reads changes nothing.
    #[error("the ledger {location} has version {found}, and this program reads version {known}")]
    Older {
        /// Where.
        location: Location,
        /// The version it is in.
        found: i64,
        /// The version this program writes.
        known: i64,
    },
    /// There is no ledger yet.
    #[error("there is no ledger at `{}`", path.display())]
    Missing {
        /// Where it would be.
        path: PathBuf,
    },
    /// The disk takes nothing more. What was acknowledged is kept; paid octets must not be served until there is room.
    #[error("the disk under the ledger {location} is full")]
    Full {
        /// Where.
        location: Location,
        /// What the database said.
        source: Arc<sqlx::Error>,
    },
    /// The database does not answer or refuses. The act may have been booked: repeating it is harmless.
    #[error("the ledger {location} did not answer")]
    Database {
        /// Where.
        location: Location,
        /// What the database or the network said.
        source: Arc<sqlx::Error>,
    },
    /// A sum that 63 bits do not hold, as the database found when it was to add to it. Nothing was booked.
    #[error(
        "{what} would bring a sum in the ledger {location} beyond 2^63 - 1 minor units, the most that one holds, and is not booked: \
         {next}"
    )]
    Beyond {
        /// What was to be booked.
        what: String,
        /// Where.
        location: Location,
        /// What to do.
        next: &'static str,
    },
    /// A file beside the database could not be worked with.
    #[error("{0}")]
    File(#[source] Arc<FileError>),
    /// A voucher of a lane that was never opened here.
    #[error("lane {lane} is not in the ledger")]
    UnknownLane {
        /// The lane, in hexadecimal digits.
        lane: String,
    },
    /// A sum that 63 bits do not hold.
    #[error("{what} would grow beyond 2^63 - 1")]
    TooLarge {
        /// What of.
        what: &'static str,
    },
    /// An act whose entries do not sum to zero: it is booked by nobody.
    #[error("entries that sum to {sum} {asset} instead of zero are not booked")]
    Unbalanced {
        /// The asset.
        asset: &'static str,
        /// What they sum to.
        sum: i128,
    },
    /// Under this name something else is kept already.
    #[error("{what} {identity} is kept already, with other content")]
    Differs {
        /// What kind.
        what: &'static str,
        /// Its identity.
        identity: String,
    },
    /// A row that this program would not have written.
    #[error("table {table}, {row}: {what}")]
    Damaged {
        /// The table.
        table: &'static str,
        /// Which row.
        row: String,
        /// What is wrong with it.
        what: String,
    },
    /// A database is no file that could be copied.
    #[error("{location} is a PostgreSQL database: copy it with `pg_dump`")]
    NoFile {
        /// Where it is.
        location: Location,
    },
    /// The ledger was closed.
    #[error("the ledger is closed")]
    Closed,
}

impl LedgerError {
    /// Whether the disk takes nothing more, which somebody will mend.
    pub fn is_full(&self) -> bool {
        match self {
            Self::Full { .. } => true,
            Self::File(error) => error.is_full(),
            _ => false,
        }
    }

    /// What became of a statement at `location`.
    pub(super) fn of(location: &Location) -> impl Fn(sqlx::Error) -> Self {
        let location = location.clone();
        move |error| {
            let code = error.as_database_error().and_then(|error| error.code()).unwrap_or_default();
            let (full, beyond, location) = (is_full(&code), is_beyond(&code), location.clone());
            match Arc::new(error) {
                source if full => Self::Full { location, source },
                _ if beyond => {
                    Self::Beyond { what: "what was written".to_owned(), location, next: "write less at once" }
                }
                source => Self::Database { location, source },
            }
        }
    }
}

impl From<FileError> for LedgerError {
    fn from(error: FileError) -> Self {
        Self::File(Arc::new(error))
    }
}

/// SQLite: SQLITE_CONSTRAINT_DATATYPE, since a sum that overflows becomes a float, which a strict table does not take. PostgreSQL:
/// numeric_value_out_of_range.
fn is_beyond(code: &str) -> bool {
    matches!(code, "3091" | "22003")
}

/// SQLite: SQLITE_FULL, and a write, sync, truncation or enlargement that the file system refused. PostgreSQL: disk_full.
fn is_full(code: &str) -> bool {
    matches!(code, "13" | "778" | "1034" | "1546" | "4874" | "53100")
}
