//! What is asked of the text of either form before it is taken apart.

/// The longest NURL or FURL, in bytes.
///
/// A NURL with the longest DNS name and swissnum takes about 450; a FURL may carry several location hints.
pub const MAX_FURL_BYTES: usize = 1024;

/// What is wrong with the text as such.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// Longer than any that is in use.
    #[error("{found} bytes where at most {MAX_FURL_BYTES} were expected")]
    TooLong {
        /// Its length.
        found: usize,
    },
    /// White space, a control character, or one outside ASCII.
    #[error("character {position} is white space or not printable ASCII")]
    Character {
        /// Where, counted in bytes from 0.
        position: usize,
    },
}

pub(super) fn printable(text: &str) -> Result<(), TextError> {
    if text.len() > MAX_FURL_BYTES {
        return Err(TextError::TooLong { found: text.len() });
    }
    match text.bytes().position(|b| !b.is_ascii_graphic()) {
        Some(position) => Err(TextError::Character { position }),
        None => Ok(()),
    }
}
