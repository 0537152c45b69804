//! The database that keeps a node's ledger, as its settings name it.

use std::fmt;
use std::str::FromStr;

/// What may stand behind the `?`: what else PostgreSQL knows is for people at a prompt, and a word that is not known would be
/// passed over.
const KNOWN: [&str; 8] = ["host", "port", "user", "dbname", "sslmode", "sslrootcert", "sslcert", "sslkey"];
/// How well a connection is kept from others. `allow`, which PostgreSQL has too, encrypts nothing by itself.
const SSL_MODES: [&str; 5] = ["disable", "prefer", "require", "verify-ca", "verify-full"];

/// The URL of a PostgreSQL database, without a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerUrl(String);

/// Why a text is no such URL. Nothing of the text is repeated: it may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LedgerUrlError {
    /// Another kind of URL, or none.
    #[error("a ledger is a database, as in `postgres://user@host/name`")]
    Scheme,
    /// Anybody on the machine may read the settings.
    #[error("the settings are no place for a password: write it alone into `ledger.password` beside them, mode 0600")]
    Password,
    /// A word behind the `?` that is not known, or known twice.
    #[error("behind the `?` stand {}, each once", KNOWN.join(", "))]
    Parameter,
    /// No degree of encryption.
    #[error("`sslmode` is {}", SSL_MODES.join(", "))]
    SslMode,
}

impl LedgerUrl {
    /// The URL as it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for LedgerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for LedgerUrl {
    type Err = LedgerUrlError;

    fn from_str(text: &str) -> Result<Self, LedgerUrlError> {
        let Some(("postgres" | "postgresql", rest)) = text.split_once("://") else {
            return Err(LedgerUrlError::Scheme);
        };
        if text.contains(|c: char| c == '#' || c.is_whitespace() || c.is_control()) {
            return Err(LedgerUrlError::Scheme);
        }
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        // Whatever a password is made of, it stands between a `:` and an `@`; and a `:` elsewhere has the number of a port behind it.
        let (user, host) = place.rsplit_once('@').unwrap_or(("", place));
        let port =
            host.split('/').next().unwrap_or_default().rsplit_once(':').map(|(_, port)| port.trim_end_matches(']'));
        if user.contains([':', '/']) || port.is_some_and(|port| port.contains(|c: char| !c.is_ascii_hexdigit())) {
            return Err(LedgerUrlError::Password);
        }
        let mut seen = Vec::new();
        for (key, value) in
            query.split('&').filter(|pair| !pair.is_empty()).map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        {
            match key {
                "password" => return Err(LedgerUrlError::Password),
                "sslmode" if !SSL_MODES.contains(&value) => return Err(LedgerUrlError::SslMode),
                _ if !KNOWN.contains(&key) || seen.contains(&key) => return Err(LedgerUrlError::Parameter),
                _ => seen.push(key),
            }
        }
        Ok(Self(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_is_named_without_its_password() {
        let plain = "postgres://clear@db.example:5433/books?sslmode=verify-full&sslrootcert=/etc/ca.pem";
        let url: LedgerUrl = plain.parse().unwrap();
        assert_eq!(url.to_string(), plain);
        assert!("postgres:///books".parse::<LedgerUrl>().is_ok());
    }

    #[test]
    fn what_is_refused_is_not_repeated() {
        for (text, why) in [
            ("postgres://clear:hunter2@db.example/books", LedgerUrlError::Password),
            ("postgres://clear:hunter2/a@b@db.example/books", LedgerUrlError::Password),
            ("postgres://clear:hunter2/books", LedgerUrlError::Password),
            ("postgres://clear@db.example/books?password=hunter2", LedgerUrlError::Password),
            ("postgres://clear@db.example/books?pasword=hunter2", LedgerUrlError::Parameter),
            ("postgres://clear@db.example/books?sslmode=hunter2", LedgerUrlError::SslMode),
            ("postgres://clear@db.example/books?sslmode=allow", LedgerUrlError::SslMode),
            ("postgres://clear@db.example/books?port=1&port=2", LedgerUrlError::Parameter),
            ("mysql://clear:hunter2@db.example/books", LedgerUrlError::Scheme),
            ("postgres://db.example/books#hunter2", LedgerUrlError::Scheme),
            ("ledger.sqlite", LedgerUrlError::Scheme),
        ] {
            let error = text.parse::<LedgerUrl>().unwrap_err();
            assert_eq!(error, why, "{text}");
            assert!(!error.to_string().contains("hunter2"));
        }
    }
}
