//! What names the grid in a foreign cap, as an area code does in a telephone number.

use crate::base32;
use crate::capability::text::{CapError, CapFault, Field, base32_error};
use crate::keys::{GridId, KeyError};
use std::fmt;

/// The grid on which a foreign cap is to be looked up.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Area {
    /// The grid with this id.
    Grid(GridId),
    /// `+` and digits: reserved, not in use.
    ShortCode(ShortCode),
    /// `*`, a table of all files: reserved, not in use.
    GreatTable,
}

impl Area {
    /// The grid that the area names; an error for the reserved forms, which name none yet.
    pub fn grid(&self) -> Result<GridId, ReservedArea> {
        match self {
            Self::Grid(grid) => Ok(*grid),
            Self::ShortCode(_) => Err(ReservedArea::ShortCode),
            Self::GreatTable => Err(ReservedArea::GreatTable),
        }
    }

    pub(super) fn parse(text: &str, position: usize) -> Result<Self, CapError> {
        if text == "*" {
            return Ok(Self::GreatTable);
        }
        if let Some(code) = text.strip_prefix('+') {
            return ShortCode::parse(code, position + 1).map(Self::ShortCode);
        }
        let fault = |position, fault| Err(CapError { field: Field::Area, position, fault });
        match text.parse() {
            Ok(grid) => Ok(Self::Grid(grid)),
            Err(KeyError::Encoding(error)) => {
                let encoded = GridId::TEXT_LEN - base32::encoded_len(32);
                Err(base32_error(Field::Area, &text[encoded..], position + encoded, error))
            }
            Err(KeyError::NotPublic) => {
                let same = text.bytes().zip("pub-v0-".bytes()).take_while(|(a, b)| a == b).count();
                fault(position + same, CapFault::NotAnArea)
            }
            Err(error) => fault(position, CapFault::GridId(error)),
        }
    }
}

impl fmt::Display for Area {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Grid(grid) => grid.fmt(f),
            Self::ShortCode(code) => code.fmt(f),
            Self::GreatTable => f.write_str("*"),
        }
    }
}

/// A short number for a grid, with or without a fingerprint of its key: `+` digits, or `+` digits `-` fingerprint.
///
/// Nobody gives such numbers out yet; the form is kept free for whoever will.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShortCode {
    digits: String,
    fingerprint: Option<String>,
}

impl ShortCode {
    /// The most digits, as many as a telephone number has.
    pub const MAX_DIGITS: usize = 15;
    /// The most characters of fingerprint: those of a whole SHA-256.
    pub const MAX_FINGERPRINT: usize = base32::encoded_len(32);

    /// The digits, leading zeros included.
    pub fn digits(&self) -> &str {
        &self.digits
    }

    /// The fingerprint, in characters of base32.
    pub fn fingerprint(&self) -> Option<&str> {
        self.fingerprint.as_deref()
    }

    /// What follows the `+`.
    fn parse(text: &str, position: usize) -> Result<Self, CapError> {
        let fault = |position, fault| Err(CapError { field: Field::Area, position, fault });
        let (digits, fingerprint) = match text.split_once('-') {
            Some((digits, fingerprint)) => (digits, Some(fingerprint)),
            None => (text, None),
        };
        if let Some(wrong) = digits.find(|c: char| !c.is_ascii_digit()) {
            return fault(position + wrong, CapFault::NotANumber);
        }
        if digits.is_empty() || digits.len() > Self::MAX_DIGITS {
            return fault(position, CapFault::FreeLength { limit: Self::MAX_DIGITS, found: digits.len() });
        }
        if let Some(text) = fingerprint {
            let position = position + digits.len() + 1;
            if let Some(wrong) = text.find(|c: char| !matches!(c, 'a'..='z' | '2'..='7')) {
                let found = text[wrong..].chars().next().unwrap_or_default();
                return fault(position + wrong, CapFault::Base32(found));
            }
            if text.is_empty() || text.len() > Self::MAX_FINGERPRINT {
                return fault(position, CapFault::FreeLength { limit: Self::MAX_FINGERPRINT, found: text.len() });
            }
        }
        Ok(Self { digits: digits.to_owned(), fingerprint: fingerprint.map(str::to_owned) })
    }
}

impl fmt::Display for ShortCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "+{}", self.digits)?;
        match &self.fingerprint {
            Some(fingerprint) => write!(f, "-{fingerprint}"),
            None => Ok(()),
        }
    }
}

/// A form of area that names no grid yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReservedArea {
    /// `+` and digits.
    #[error("short codes (`+` and digits) are reserved and not yet in use: ask for the cap with the grid id")]
    ShortCode,
    /// `*`.
    #[error("the great table (`*`) is reserved and not yet in use: ask for the cap with the grid id")]
    GreatTable,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::SecretKey;

    fn error(text: &str) -> (usize, CapFault) {
        let CapError { field, position, fault } = Area::parse(text, 100).expect_err(text);
        assert_eq!(field, Field::Area);
        (position - 100, fault)
    }

    #[test]
    fn areas_print_as_they_parse() {
        let grid = SecretKey::from_seed(&[1; 32]).public().to_string();
        for text in [grid.as_str(), "*", "+1", "+0049301", "+49-mzxw6ytb"] {
            assert_eq!(Area::parse(text, 0).expect(text).to_string(), text);
        }
    }

    #[test]
    fn reserved_areas_name_no_grid() {
        let grid = |text: &str| Area::parse(text, 0).expect(text).grid();
        assert_eq!(grid("*"), Err(ReservedArea::GreatTable));
        assert_eq!(grid("+49-mzxw6ytb"), Err(ReservedArea::ShortCode));
        let key = SecretKey::from_seed(&[1; 32]).public();
        assert_eq!(grid(&key.to_string()), Ok(GridId::new(key)));
    }

    #[test]
    fn a_wrong_character_is_named_with_its_place() {
        let grid = SecretKey::from_seed(&[1; 32]).public().to_string();
        let key_text = SecretKey::from_seed(&[1; 32]).to_private_text();
        for (text, expected) in [
            (String::new(), (0, CapFault::NotAnArea)),
            (grid.replace("pub-v0", "pub-v1"), (5, CapFault::NotAnArea)),
            (grid.to_uppercase(), (0, CapFault::NotAnArea)),
            (format!("{}1{}", &grid[..20], &grid[21..]), (20, CapFault::Base32('1'))),
            (grid[..58].to_owned(), (7, CapFault::Length { expected: 52, found: 51 })),
            (format!("{}b", &grid[..58]), (58, CapFault::TrailingBits)),
            (key_text.to_string(), (0, CapFault::GridId(KeyError::PrivateWherePublic))),
            (format!("pub-v0-{}", "a".repeat(52)), (0, CapFault::GridId(KeyError::SmallOrder))),
            ("+".to_owned(), (1, CapFault::FreeLength { limit: 15, found: 0 })),
            ("+1234567890123456".to_owned(), (1, CapFault::FreeLength { limit: 15, found: 16 })),
            ("+12a".to_owned(), (3, CapFault::NotANumber)),
            ("+12-".to_owned(), (4, CapFault::FreeLength { limit: 52, found: 0 })),
            ("+12-mz-".to_owned(), (6, CapFault::Base32('-'))),
            (format!("+12-{}", "a".repeat(53)), (4, CapFault::FreeLength { limit: 52, found: 53 })),
            ("**".to_owned(), (0, CapFault::NotAnArea)),
        ] {
            assert_eq!(error(&text), expected, "{text}");
        }
    }
}
