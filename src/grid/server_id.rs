//! The name of a storage server: its public key.

use crate::base32::{self, Base32Error};
use std::fmt;
use std::str::FromStr;

/// What a server id begins with; the key's text as Tahoe's tools write it has `pub-` before this.
const PREFIX: &str = "v0-";
/// How many characters of a key Tahoe shows where the whole is too long.
const SHORT_CHARACTERS: usize = 8;

/// The 32 octets of the Ed25519 key that a storage server signs its announcements with. No secret.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerId([u8; 32]);

impl ServerId {
    /// The server with this key.
    pub const fn new(key: [u8; 32]) -> Self {
        Self(key)
    }

    /// The first eight characters of the key, as Tahoe's welcome page shows it: for logs and tables.
    pub fn short(&self) -> String {
        let mut text = base32::encode(&self.0);
        text.truncate(SHORT_CHARACTERS);
        text
    }
}

impl fmt::Display for ServerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", base32::encode(&self.0))
    }
}

impl fmt::Debug for ServerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is no server id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ServerIdError {
    /// It begins otherwise.
    #[error("a server id begins with `{PREFIX}`")]
    Prefix,
    /// What follows is not 32 bytes of base32.
    #[error("after the prefix: {0}")]
    Encoding(#[from] Base32Error),
}

impl FromStr for ServerId {
    type Err = ServerIdError;

    fn from_str(text: &str) -> Result<Self, ServerIdError> {
        let encoded = text.strip_prefix(PREFIX).ok_or(ServerIdError::Prefix)?;
        Ok(Self(base32::decode_array(encoded)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_id_prints_as_it_parses() {
        let id = ServerId::new([7; 32]);
        let text = id.to_string();
        assert_eq!((text.len(), text.parse()), (55, Ok(id)));
        assert_eq!(id.short(), text[3..11]);
        assert_eq!(format!("pub-{text}").parse::<ServerId>(), Err(ServerIdError::Prefix));
        assert!(text[..54].parse::<ServerId>().is_err());
    }
}
