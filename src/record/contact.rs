//! Where the people who run a grid can be reached. Shown to people; no policy looks at it.

use std::fmt;
use std::str::FromStr;

/// A URI of an allow-listed scheme, so that showing it as a link does no harm.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ContactUri(String);

/// Why a text is no contact address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ContactError {
    /// Longer than [`ContactUri::MAX_BYTES`].
    #[error("a contact address has at most {max} octets, not {0}", max = ContactUri::MAX_BYTES)]
    TooLong(usize),
    /// Another scheme, or none.
    #[error("a contact address begins with one of {schemes}", schemes = ContactUri::SCHEMES.join(" "))]
    Scheme,
    /// Nothing behind the scheme.
    #[error("nothing follows the scheme")]
    Bare,
    /// A character that no URI has, or one that ends a link.
    #[error("character {0} is not allowed in a contact address: printable ASCII without space, `<`, `>`, `\"`")]
    Character(usize),
}

impl ContactUri {
    /// The most octets.
    pub const MAX_BYTES: usize = 128;
    /// The schemes allowed.
    pub const SCHEMES: [&str; 5] = ["mailto:", "https:", "xmpp:", "matrix:", "tel:"];

    /// The address `text`.
    pub fn new(text: &str) -> Result<Self, ContactError> {
        if text.len() > Self::MAX_BYTES {
            return Err(ContactError::TooLong(text.len()));
        }
        let rest = Self::SCHEMES.iter().find_map(|scheme| text.strip_prefix(scheme)).ok_or(ContactError::Scheme)?;
        if rest.is_empty() {
            return Err(ContactError::Bare);
        }
        match text.bytes().position(|byte| !byte.is_ascii_graphic() || matches!(byte, b'<' | b'>' | b'"')) {
            Some(position) => Err(ContactError::Character(position)),
            None => Ok(Self(text.to_owned())),
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ContactUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ContactUri {
    type Err = ContactError;

    fn from_str(text: &str) -> Result<Self, ContactError> {
        Self::new(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_allowed_scheme_is_taken() {
        for text in ["mailto:a@example.org", "https://example.org/?q=1#x", "xmpp:a@b", "matrix:u/a:b", "tel:+4930"] {
            assert_eq!(ContactUri::new(text).expect(text).as_str(), text);
        }
    }

    #[test]
    fn what_a_link_must_not_be_is_refused() {
        for text in ["javascript:alert(1)", "http://example.org", "HTTPS://example.org", "a@example.org", ""] {
            assert_eq!(ContactUri::new(text), Err(ContactError::Scheme), "{text}");
        }
        assert_eq!(ContactUri::new("mailto:"), Err(ContactError::Bare));
        assert_eq!(ContactUri::new("mailto:a b"), Err(ContactError::Character(8)));
        assert_eq!(ContactUri::new("https://x/\">"), Err(ContactError::Character(10)));
        assert_eq!(ContactUri::new("https://é"), Err(ContactError::Character(8)));
        assert_eq!(ContactUri::new(&format!("tel:{}", "1".repeat(125))), Err(ContactError::TooLong(129)));
    }
}
