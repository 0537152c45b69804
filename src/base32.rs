//! Tahoe's base32: the alphabet of RFC 4648 in lower case, without padding, unused trailing bits zero.
//!
//! The one form in which Tahoe writes keys, storage indexes, hashes and swissnums. Decoding is exact: upper case, padding
//! and stray trailing bits are refused, so that equal bytes have one text.

use data_encoding::{BASE32_NOPAD, DecodeKind, Encoding, Specification};
use std::sync::LazyLock;

static LOWER: LazyLock<Encoding> = LazyLock::new(|| {
    let mut specification: Specification = BASE32_NOPAD.specification();
    specification.symbols.make_ascii_lowercase();
    specification.encoding().expect("the lower-case alphabet is a valid one")
});

/// Why a text is not Tahoe's base32 of the expected size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Base32Error {
    /// A character outside `a`–`z`, `2`–`7`.
    #[error("character {position} is not one of a-z, 2-7")]
    Symbol {
        /// Where, counted from 0 in the encoded text.
        position: usize,
    },
    /// The number of characters does not belong to the expected number of bytes.
    #[error("{found} base32 characters where {expected} were expected")]
    Length {
        /// The characters that the expected bytes take.
        expected: usize,
        /// The characters there were.
        found: usize,
    },
    /// The last character has bits that belong to no byte.
    #[error("the last character carries bits that must be zero: mistyped or cut off")]
    TrailingBits,
}

/// How many characters `bytes` bytes take.
pub const fn encoded_len(bytes: usize) -> usize {
    (bytes * 8).div_ceil(5)
}

/// The text of `bytes`.
pub fn encode(bytes: &[u8]) -> String {
    LOWER.encode(bytes)
}

/// Exactly `N` bytes from `text`.
pub fn decode_array<const N: usize>(text: &str) -> Result<[u8; N], Base32Error> {
    let expected = encoded_len(N);
    if text.len() != expected {
        return Err(Base32Error::Length { expected, found: text.len() });
    }
    let bytes = decode(text)?;
    bytes.try_into().map_err(|_| Base32Error::Length { expected, found: text.len() })
}

/// Any number of bytes from `text`; a length that no whole number of bytes has is refused.
pub fn decode(text: &str) -> Result<Vec<u8>, Base32Error> {
    LOWER.decode(text.as_bytes()).map_err(|error| match error.kind {
        DecodeKind::Symbol => Base32Error::Symbol { position: error.position },
        DecodeKind::Trailing => Base32Error::TrailingBits,
        DecodeKind::Length | DecodeKind::Padding => {
            Base32Error::Length { expected: encoded_len(text.len() * 5 / 8), found: text.len() }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodes_as_rfc_4648_in_lower_case_without_padding() {
        assert_eq!(encode(b"fooba"), "mzxw6ytb");
        assert_eq!(encode(b"foob"), "mzxw6yq");
        assert_eq!(encode(b""), "");
    }

    #[test]
    fn decoding_undoes_encoding() {
        let bytes: [u8; 32] = std::array::from_fn(|i| (i * 7) as u8);
        assert_eq!(decode_array::<32>(&encode(&bytes)), Ok(bytes));
    }

    #[test]
    fn upper_case_padding_and_stray_bits_are_refused() {
        assert_eq!(decode("MZXW6YQ"), Err(Base32Error::Symbol { position: 0 }));
        assert_eq!(decode("mzxw6y1"), Err(Base32Error::Symbol { position: 6 }));
        assert_eq!(decode("mzxw6yr"), Err(Base32Error::TrailingBits));
        assert_eq!(decode_array::<4>("mzxw6yq="), Err(Base32Error::Length { expected: 7, found: 8 }));
        assert_eq!(decode("a"), Err(Base32Error::Length { expected: 0, found: 1 }));
    }
}
