//! The fields of a cap's text, one after the other, and what can be wrong with them.

use crate::base32::{self, Base32Error};
use crate::keys::KeyError;
use std::fmt;

/// The longest text that is looked at, in bytes: room for a literal file of 4,096 bytes.
pub const MAX_CAP_BYTES: usize = 8_192;

/// Where in a cap something is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// The text as a whole.
    Text,
    /// `URI:`, or what stands before it.
    Prefix,
    /// The word that says what kind of cap it is: `CHK`, `DIR2-RO`.
    Kind,
    /// The area of a foreign cap.
    Area,
    /// The content of a literal file.
    Content,
    /// The key that opens an immutable file.
    Key,
    /// The write key of a mutable file.
    WriteKey,
    /// The read key of a mutable file.
    ReadKey,
    /// The storage index in a verify cap.
    StorageIndex,
    /// The hash of the URI extension block.
    UebHash,
    /// The fingerprint of a mutable file's public key.
    Fingerprint,
    /// How many shares are needed.
    SharesNeeded,
    /// How many shares there are in all.
    SharesTotal,
    /// The file's size.
    Size,
    /// The numbers that early MDMF caps carry at their end.
    Hints,
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "the cap",
            Self::Prefix => "the beginning",
            Self::Kind => "the kind of cap",
            Self::Area => "the area",
            Self::Content => "the content",
            Self::Key => "the key",
            Self::WriteKey => "the write key",
            Self::ReadKey => "the read key",
            Self::StorageIndex => "the storage index",
            Self::UebHash => "the hash of the URI extension block",
            Self::Fingerprint => "the fingerprint",
            Self::SharesNeeded => "the number of shares needed",
            Self::SharesTotal => "the number of shares in all",
            Self::Size => "the size",
            Self::Hints => "the hints after the fingerprint",
        })
    }
}

/// What is wrong there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CapFault {
    /// No text.
    #[error("is empty")]
    Empty,
    /// Longer than any cap.
    #[error("has {found} bytes where a cap has at most {MAX_CAP_BYTES}")]
    TooLong {
        /// Its length in bytes.
        found: usize,
    },
    /// White space or a line break, which copying out of a mail leaves behind.
    #[error("contains white space: give the cap alone, in one piece")]
    WhiteSpace,
    /// A percent sign.
    #[error("is percent-encoded: decode it first (`%3A` stands for `:`)")]
    PercentEncoded,
    /// A character that no cap has.
    #[error("contains {0:?}, which no cap does")]
    Character(char),
    /// A web address that may have a cap in it.
    #[error("is a web address: the cap is the part after `/uri/`, percent-decoded, without what follows it")]
    WebAddress,
    /// Not `URI:`.
    #[error("differs from `URI:`, with which every cap begins, in capitals")]
    NotUri,
    /// `ro.` or `imm.`, with which directories mark caps that they do not know.
    #[error("is `{0}`, a directory's mark for caps it does not know: leave it out")]
    DirectoryMark(&'static str),
    /// A foreign cap where one of the home grid was expected.
    #[error("is `FOREIGN`: this cap names a grid, where one without was expected")]
    Foreign,
    /// Another kind than `FOREIGN` where a foreign cap was expected.
    #[error("is not `FOREIGN`, where a cap that names its grid was expected")]
    NotForeign,
    /// A kind that Tahoe-LAFS 1.20 does not know.
    #[error("is none of CHK, LIT, SSK, MDMF and DIR2 and their forms (`-RO`, `-Verifier`, `DIR2-CHK` and so on)")]
    UnknownKind,
    /// Neither a grid id nor a reserved form.
    #[error("is no grid id (`pub-v0-` and 52 characters)")]
    NotAnArea,
    /// A grid id with something wrong behind its prefix.
    #[error("is no grid id: {0}")]
    GridId(KeyError),
    /// The text ends before this field.
    #[error("is missing: cut off")]
    Missing,
    /// The text goes on after the last field.
    #[error("should end here")]
    Trailing,
    /// A character that base32 does not have.
    #[error("contains {0:?}, which is not one of a-z, 2-7")]
    Base32(char),
    /// Another number of characters than the field has.
    #[error("has {found} characters where {expected} were expected")]
    Length {
        /// How many it should have.
        expected: usize,
        /// How many it has.
        found: usize,
    },
    /// No character, or more than a field of free length may have.
    #[error("has {found} characters where 1 to {limit} are allowed")]
    FreeLength {
        /// The most it may have.
        limit: usize,
        /// How many it has.
        found: usize,
    },
    /// A number of characters that no whole number of bytes has.
    #[error("has a length that no content has: cut off")]
    NoWholeBytes,
    /// A last character that says more than the field holds.
    #[error("ends in a character that cannot be its last: mistyped or cut off")]
    TrailingBits,
    /// No decimal number as a computer writes it.
    #[error("is not a plain decimal number (digits alone, no leading zero)")]
    NotANumber,
    /// A number of more than 64 bits.
    #[error("does not fit in 64 bits")]
    NumberTooLarge,
    /// More shares than the erasure code can make, or none.
    #[error("is not from 1 to 256")]
    ShareCount,
    /// More shares needed than there are.
    #[error("is less than the number of shares needed")]
    FewerThanNeeded,
    /// Content of a literal file beyond what is accepted.
    #[error("has {found} bytes where a literal file has at most {limit}")]
    ContentTooLong {
        /// Its size in bytes.
        found: usize,
        /// The most that is accepted.
        limit: usize,
    },
}

/// Why a text is no cap: which field, where it is, and what is wrong. Shows at most one character of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{field} (at character {position}) {fault}")]
pub struct CapError {
    /// The field.
    pub field: Field,
    /// The offending character, or where the field begins or should have ended: counted in bytes from 0 over the whole
    /// text.
    pub position: usize,
    /// What is wrong.
    pub fault: CapFault,
}

/// Refuses what no cap can be, before it is taken apart.
pub(super) fn one_piece(text: &str) -> Result<(), CapError> {
    let fault = |position, fault| Err(CapError { field: Field::Text, position, fault });
    if text.is_empty() {
        return fault(0, CapFault::Empty);
    }
    if text.len() > MAX_CAP_BYTES {
        return fault(0, CapFault::TooLong { found: text.len() });
    }
    if text.starts_with("http://") || text.starts_with("https://") {
        return fault(0, CapFault::WebAddress);
    }
    match text.char_indices().find(|(_, c)| !c.is_ascii_graphic() || *c == '%') {
        None => Ok(()),
        Some((position, '%')) => fault(position, CapFault::PercentEncoded),
        Some((position, c)) if c.is_whitespace() => fault(position, CapFault::WhiteSpace),
        Some((position, c)) => fault(position, CapFault::Character(c)),
    }
}

/// The rest of a text, its fields separated by `:`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields<'t> {
    /// `None` after the last field.
    rest: Option<&'t str>,
    /// Where the rest begins in the whole text.
    position: usize,
}

impl<'t> Fields<'t> {
    /// The fields of `text`, which begins at `position` of the whole. It must start with `URI:`, which is taken off.
    pub(super) fn after_uri(text: &'t str, position: usize) -> Result<Self, CapError> {
        const URI: &str = "URI:";
        if let Some(rest) = text.strip_prefix(URI) {
            return Ok(Self { rest: Some(rest), position: position + URI.len() });
        }
        for mark in ["ro.", "imm."] {
            if text.starts_with(mark) {
                return Err(CapError { field: Field::Prefix, position, fault: CapFault::DirectoryMark(mark) });
            }
        }
        let same = text.bytes().zip(URI.bytes()).take_while(|(a, b)| a == b).count();
        Err(CapError { field: Field::Prefix, position: position + same, fault: CapFault::NotUri })
    }

    /// The next field's text and place.
    pub(super) fn next(&mut self, field: Field) -> Result<(&'t str, usize), CapError> {
        let position = self.position;
        let rest = self.rest.ok_or(CapError { field, position, fault: CapFault::Missing })?;
        let (text, rest) = match rest.split_once(':') {
            Some((text, rest)) => (text, Some(rest)),
            None => (rest, None),
        };
        self.rest = rest;
        self.position += text.len() + usize::from(rest.is_some());
        Ok((text, position))
    }

    /// `N` bytes of base32.
    pub(super) fn bytes<const N: usize>(&mut self, field: Field) -> Result<[u8; N], CapError> {
        let (text, position) = self.next(field)?;
        base32::decode_array(text).map_err(|error| base32_error(field, text, position, error))
    }

    /// Bytes of base32 to the end of the field.
    pub(super) fn any_bytes(&mut self, field: Field) -> Result<(Vec<u8>, usize), CapError> {
        let (text, position) = self.next(field)?;
        let bytes = base32::decode(text).map_err(|error| match base32_error(field, text, position, error) {
            CapError { fault: CapFault::Length { .. }, .. } => {
                CapError { field, position, fault: CapFault::NoWholeBytes }
            }
            error => error,
        })?;
        Ok((bytes, position))
    }

    /// A decimal number.
    pub(super) fn number(&mut self, field: Field) -> Result<(u64, usize), CapError> {
        let (text, position) = self.next(field)?;
        Ok((number(text, field, position)?, position))
    }

    /// What follows the last field that was read, with its `:`; empty at the end.
    pub(super) fn tail(self) -> Option<(&'t str, usize)> {
        self.rest.map(|rest| (rest, self.position))
    }

    /// Nothing may follow `last`.
    pub(super) fn end(self, last: Field) -> Result<(), CapError> {
        match self.rest {
            None => Ok(()),
            Some(_) => Err(CapError { field: last, position: self.position - 1, fault: CapFault::Trailing }),
        }
    }
}

/// `text` as the one decimal form of a number.
pub(super) fn number(text: &str, field: Field, position: usize) -> Result<u64, CapError> {
    let leading_zero = text.len() > 1 && text.starts_with('0');
    if text.is_empty() || leading_zero || !text.bytes().all(|b| b.is_ascii_digit()) {
        let wrong = if leading_zero { 0 } else { text.find(|c: char| !c.is_ascii_digit()).unwrap_or(0) };
        return Err(CapError { field, position: position + wrong, fault: CapFault::NotANumber });
    }
    text.parse().map_err(|_| CapError { field, position, fault: CapFault::NumberTooLarge })
}

/// The fault of one field in terms of the whole text.
pub(super) fn base32_error(field: Field, text: &str, position: usize, error: Base32Error) -> CapError {
    match error {
        Base32Error::Symbol { position: inner } => {
            let found = text[inner..].chars().next().unwrap_or_default();
            CapError { field, position: position + inner, fault: CapFault::Base32(found) }
        }
        Base32Error::Length { expected, found } => {
            // A wrong character says more than the wrong length that came of it, unless it belongs to the next field
            // and the `:` between them is what is wrong.
            match text.find(|c: char| !matches!(c, 'a'..='z' | '2'..='7')).filter(|inner| *inner <= expected) {
                Some(inner) => base32_error(field, text, position, Base32Error::Symbol { position: inner }),
                None => {
                    let place = if found > expected { expected } else { 0 };
                    CapError { field, position: position + place, fault: CapFault::Length { expected, found } }
                }
            }
        }
        Base32Error::TrailingBits => {
            CapError { field, position: position + text.len().saturating_sub(1), fault: CapFault::TrailingBits }
        }
    }
}
