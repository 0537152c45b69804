//! Which bytes of a file are wanted, as HTTP says it (RFC 9110, 14.1.2).

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

/// A range of bytes of a file whose size is not known yet. Offsets count from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByteRange {
    /// `A-B`: both included, A ≤ B.
    Between(u64, u64),
    /// `A-`: to the end.
    From(u64),
    /// `-N`: the last N bytes, N > 0, or all where there are fewer.
    Last(u64),
}

impl ByteRange {
    /// The bytes that are meant of a file of `size` bytes; `None` if it has none of them.
    pub fn within(self, size: u64) -> Option<Range<u64>> {
        let range = match self {
            Self::Between(first, last) => first..last.saturating_add(1).min(size),
            Self::From(first) => first..size,
            Self::Last(count) => size.saturating_sub(count)..size,
        };
        (range.start < range.end).then_some(range)
    }
}

/// A text that is no range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no range of bytes: write A-B, both included and counted from 0; A- to the end; or -N for the last N")]
pub struct ByteRangeError;

impl FromStr for ByteRange {
    type Err = ByteRangeError;

    fn from_str(text: &str) -> Result<Self, ByteRangeError> {
        let (first, last) = text.split_once('-').ok_or(ByteRangeError)?;
        let number = |text: &str| match text.bytes().all(|digit| digit.is_ascii_digit()) {
            true => text.parse::<u64>().map_err(|_| ByteRangeError),
            false => Err(ByteRangeError),
        };
        match (first, last) {
            ("", "") => Err(ByteRangeError),
            ("", count) => match number(count)? {
                0 => Err(ByteRangeError),
                count => Ok(Self::Last(count)),
            },
            (first, "") => Ok(Self::From(number(first)?)),
            (first, last) => match (number(first)?, number(last)?) {
                (first, last) if first <= last => Ok(Self::Between(first, last)),
                _ => Err(ByteRangeError),
            },
        }
    }
}

impl fmt::Display for ByteRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Between(first, last) => write!(f, "{first}-{last}"),
            Self::From(first) => write!(f, "{first}-"),
            Self::Last(count) => write!(f, "-{count}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn within(text: &str, size: u64) -> Option<Range<u64>> {
        text.parse::<ByteRange>().expect(text).within(size)
    }

    #[test]
    fn both_ends_are_included_and_what_is_not_there_is_left_out() {
        assert_eq!(within("0-0", 10), Some(0..1));
        assert_eq!(within("3-20", 10), Some(3..10));
        assert_eq!(within("9-", 10), Some(9..10));
        assert_eq!(within("-4", 10), Some(6..10));
        assert_eq!(within("-40", 10), Some(0..10));
        assert_eq!(within(&format!("0-{}", u64::MAX), u64::MAX), Some(0..u64::MAX));
    }

    #[test]
    fn a_range_behind_the_end_has_nothing() {
        for (text, size) in [("10-", 10), ("10-12", 10), ("0-", 0), ("-1", 0), ("0-0", 0)] {
            assert_eq!(within(text, size), None, "{text}");
        }
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for text in ["", "-", "-0", "5", "5-3", "+1-2", "1-2,4-5", " 1-2", "a-b", "1--2", "99999999999999999999-"] {
            assert_eq!(text.parse::<ByteRange>(), Err(ByteRangeError), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_range_prints_as_it_parses(first: u64, more: u64, kind in 0..3) {
            let range = match kind {
                0 => ByteRange::Between(first, first.saturating_add(more)),
                1 => ByteRange::From(first),
                _ => ByteRange::Last(first.max(1)),
            };
            prop_assert_eq!(range.to_string().parse(), Ok(range));
        }

        #[test]
        fn what_is_meant_lies_in_the_file(first: u64, last: u64, size: u64) {
            for range in [ByteRange::Between(first, last.max(first)), ByteRange::From(first), ByteRange::Last(last)] {
                if let Some(Range { start, end }) = range.within(size) {
                    prop_assert!(start < end && end <= size);
                }
            }
        }
    }
}
