//! Where a ledger is kept.

use crate::config::{Home, KeyFileError, NodeConfig, read_secret};
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

const MAX_PASSWORD_BYTES: u64 = 1_024;

/// A file of SQLite's, or a PostgreSQL database.
#[derive(Clone, PartialEq, Eq)]
pub enum Location {
    /// The file at this path, for one process at a time.
    Sqlite(PathBuf),
    /// The database at this URL, which several gateways of a grid may share.
    Postgres(String),
}

impl Location {
    /// Where a node keeps its books by its settings, with the password that lies beside them.
    pub fn of_node(home: &Home, config: &NodeConfig) -> Result<Self, KeyFileError> {
        let Some(url) = &config.ledger else { return Ok(Self::Sqlite(home.ledger())) };
        match read_secret(&home.ledger_password(), MAX_PASSWORD_BYTES) {
            Ok(password) => Ok(Self::Postgres(with_password(url.as_str(), password.trim_end_matches(['\r', '\n'])))),
            Err(KeyFileError::File(error)) if error.is_missing() => Ok(Self::Postgres(url.as_str().to_owned())),
            Err(error) => Err(error),
        }
    }

    /// The file, where there is one.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Sqlite(path) => Some(path),
            Self::Postgres(_) => None,
        }
    }

    /// What sqlx connects to.
    pub(super) fn url(&self) -> String {
        match self {
            Self::Sqlite(path) => format!("sqlite://{}", escaped(path)),
            Self::Postgres(url) => url.clone(),
        }
    }
}

impl fmt::Display for Location {
    /// Without what a URL may hold of a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "{}", path.display()),
            Self::Postgres(url) => {
                let (scheme, rest) = url.split_once("://").unwrap_or(("postgres", ""));
                let rest = rest.split(['?', '#']).next().unwrap_or_default();
                write!(f, "{scheme}://{}", rest.rsplit_once('@').map_or(rest, |(_, host)| host))
            }
        }
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that names no ledger.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a ledger is a file, or a database as in `postgres://user@host/name`; this is another kind of URL")]
pub struct LocationError;

impl FromStr for Location {
    type Err = LocationError;

    fn from_str(text: &str) -> Result<Self, LocationError> {
        match text.split_once("://") {
            Some(("postgres" | "postgresql", _)) => Ok(Self::Postgres(text.to_owned())),
            None if !text.is_empty() => Ok(Self::Sqlite(text.into())),
            _ => Err(LocationError),
        }
    }
}

/// The URL with a password in it, which whoever has it must not show.
fn with_password(url: &str, password: &str) -> String {
    let password = percent_encoding::utf8_percent_encode(password, percent_encoding::NON_ALPHANUMERIC);
    let join = if url.contains('?') { '&' } else { '?' };
    format!("{url}{join}password={password}")
}

/// The path as the part of a URL that sqlx decodes again.
fn escaped(path: &Path) -> String {
    use std::os::unix::ffi::OsStrExt;
    percent_encoding::percent_encode(path.as_os_str().as_bytes(), percent_encoding::NON_ALPHANUMERIC).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ledger_is_a_file_or_a_database() {
        assert_eq!("books.sqlite".parse(), Ok(Location::Sqlite("books.sqlite".into())));
        let url = "postgres://clear:secret@db.example/books?sslmode=disable&password=secret";
        let location: Location = url.parse().expect("a database");
        assert_eq!(location, Location::Postgres(url.into()));
        assert_eq!(location.to_string(), "postgres://db.example/books");
        assert_eq!("mysql://db.example/books".parse::<Location>(), Err(LocationError));
        let plain = "postgres://clear@db.example/books";
        assert_eq!(with_password(plain, "p@ss word/é"), format!("{plain}?password=p%40ss%20word%2F%C3%A9"));
        assert_eq!(with_password(url, "x"), format!("{url}&password=x"));
        assert_eq!("".parse::<Location>(), Err(LocationError));
    }
}
