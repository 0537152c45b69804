//! The name that a grid gives itself. It is shown to people and decides nothing.

use std::fmt;
use std::str::FromStr;

/// At most 64 octets of UTF-8 that no terminal and no page is led astray by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Nickname(String);

/// Why a text is no nickname.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NicknameError {
    /// Empty, or longer than [`Nickname::MAX_BYTES`].
    #[error("a nickname has 1 to {max} octets of UTF-8, not {0}", max = Nickname::MAX_BYTES)]
    Length(usize),
    /// A control character, or one that changes the direction of the text or breaks the line.
    #[error("character U+{code:04X} is not allowed in a nickname: it controls how text is shown", code = u32::from(*.0))]
    Control(char),
    /// White space at the edge.
    #[error("a nickname neither begins nor ends with white space")]
    WhiteSpace,
}

impl Nickname {
    /// The most octets.
    pub const MAX_BYTES: usize = 64;

    /// The nickname `text`.
    pub fn new(text: &str) -> Result<Self, NicknameError> {
        if text.is_empty() || text.len() > Self::MAX_BYTES {
            return Err(NicknameError::Length(text.len()));
        }
        if let Some(character) = text.chars().find(|c| c.is_control() || is_direction_or_line_break(*c)) {
            return Err(NicknameError::Control(character));
        }
        if text.trim() != text {
            return Err(NicknameError::WhiteSpace);
        }
        Ok(Self(text.to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The bidirectional formatting characters of Unicode, and its line and paragraph separators.
fn is_direction_or_line_break(c: char) -> bool {
    matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

impl fmt::Display for Nickname {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Nickname {
    type Err = NicknameError;

    fn from_str(text: &str) -> Result<Self, NicknameError> {
        Self::new(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_people_s_grids_are_taken() {
        for text in ["a", "Grid of the Møller family", "图书馆", "שלום", &"é".repeat(32)] {
            assert_eq!(Nickname::new(text).expect(text).as_str(), text);
        }
    }

    #[test]
    fn what_misleads_the_eye_is_refused() {
        assert_eq!(Nickname::new(""), Err(NicknameError::Length(0)));
        assert_eq!(Nickname::new(&"é".repeat(33)), Err(NicknameError::Length(66)));
        for c in ['\0', '\n', '\x1b', '\x7f', '\u{9b}', '\u{61c}', '\u{200e}', '\u{202e}', '\u{2029}', '\u{2066}'] {
            assert_eq!(Nickname::new(&format!("a{c}b")), Err(NicknameError::Control(c)));
        }
        for text in [" ", "a ", " a", "\u{3000}"] {
            assert_eq!(Nickname::new(text), Err(NicknameError::WhiteSpace));
        }
    }

    #[test]
    fn the_refused_character_is_named() {
        assert!(NicknameError::Control('\u{202e}').to_string().contains("U+202E"));
    }
}
