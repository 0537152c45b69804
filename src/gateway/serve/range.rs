//! Which units a `Range` asks for: whole ones, or nothing.

use crate::peer::THEN_RANGE;
use axum::http::{HeaderMap, header};
use std::ops::Range;

/// Why a range is not served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum RangeError {
    /// Not one range of octets.
    #[error("`Range` takes one range, `bytes=FIRST-LAST`")]
    Form,
    /// Octets that the file does not have.
    #[error("the ciphertext has {size} octets, and the range begins or ends behind them")]
    Outside {
        /// The size of the ciphertext.
        size: u64,
    },
    /// A part of a unit, which nobody could verify.
    #[error("the range begins or ends inside of a unit: units have {unit} octets, and the last one what is left")]
    Partial {
        /// The size of every unit but the last.
        unit: u64,
    },
}

/// The range of octets that the headers ask for, of `size`; all of them without a `Range`.
pub(super) fn octets(headers: &HeaderMap, size: u64) -> Result<Range<u64>, RangeError> {
    let mut values = headers.get_all(header::RANGE).iter();
    let Some(value) = values.next() else { return Ok(0..size) };
    let range = value.to_str().map_err(|_| RangeError::Form).and_then(|text| parse(text, size))?;
    if values.next().is_some() {
        return Err(RangeError::Form);
    }
    if range.start >= size || range.end > size || range.end <= range.start {
        return Err(RangeError::Outside { size });
    }
    Ok(range)
}

/// The units, among those in `covered`, that hold what is asked for next, if the headers say what: each of `unit` octets, and all
/// together `size`.
pub(super) fn next_units(headers: &HeaderMap, covered: &Range<u64>, unit: u64, size: u64) -> Option<Range<u64>> {
    let octets = parse(headers.get(THEN_RANGE)?.to_str().ok()?, size).ok()?;
    let (unit, end) = (unit.max(1), octets.end.min(size));
    if octets.start >= end {
        return None;
    }
    let units = (octets.start / unit).max(covered.start)..end.div_ceil(unit).min(covered.end);
    (units.start < units.end).then_some(units)
}

/// The octets that `bytes=FIRST-LAST` or `bytes=FIRST-` means.
fn parse(text: &str, size: u64) -> Result<Range<u64>, RangeError> {
    let (first, last) = text.strip_prefix("bytes=").and_then(|range| range.split_once('-')).ok_or(RangeError::Form)?;
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if digits { text.parse::<u64>().map_err(|_| RangeError::Outside { size }) } else { Err(RangeError::Form) }
    };
    Ok(number(first)?..if last.is_empty() { size } else { number(last)?.saturating_add(1) })
}

/// The units that `octets` are, each of `unit` octets and the last of what is left of `size`.
pub(super) fn units(octets: &Range<u64>, unit: u64, size: u64) -> Result<Range<u64>, RangeError> {
    let unit = unit.max(1);
    let whole = octets.start.is_multiple_of(unit) && (octets.end == size || octets.end.is_multiple_of(unit));
    if whole { Ok(octets.start / unit..octets.end.div_ceil(unit)) } else { Err(RangeError::Partial { unit }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(text: &str) -> Result<Range<u64>, RangeError> {
        let mut headers = HeaderMap::new();
        headers.insert(header::RANGE, text.parse().unwrap());
        octets(&headers, 100)
    }

    #[test]
    fn one_range_within_the_file_is_served() {
        assert_eq!(octets(&HeaderMap::new(), 100), Ok(0..100));
        assert_eq!(asked("bytes=0-99"), Ok(0..100));
        assert_eq!(asked("bytes=30-59"), Ok(30..60));
        assert_eq!(asked("bytes=30-"), Ok(30..100));
        for text in ["bytes=-5", "bytes=", "bytes=1", "octets=0-5", "bytes=0-5,7-9", "bytes=+1-5", "bytes=a-b"] {
            assert_eq!(asked(text), Err(RangeError::Form), "{text}");
        }
        for text in
            ["bytes=100-", "bytes=0-100", "bytes=5-4", "bytes=99999999999999999999-", "bytes=0-18446744073709551615"]
        {
            assert_eq!(asked(text), Err(RangeError::Outside { size: 100 }), "{text}");
        }
    }

    #[test]
    fn what_comes_next_is_whole_units_of_those_that_are_covered() {
        let next = |text: &str, covered| {
            let mut headers = HeaderMap::new();
            headers.insert(THEN_RANGE, text.parse().unwrap());
            next_units(&headers, &covered, 30, 100)
        };
        assert_eq!(next("bytes=0-0", 0..4), Some(0..1));
        assert_eq!(next("bytes=29-30", 0..4), Some(0..2));
        assert_eq!(next("bytes=0-18446744073709551615", 0..4), Some(0..4));
        assert_eq!(next("bytes=95-", 0..4), Some(3..4));
        assert_eq!(next("bytes=0-99", 1..3), Some(1..3));
        for (text, covered) in [("bytes=0-29", 1..4), ("bytes=100-", 0..4), ("bytes=5-4", 0..4), ("all", 0..4)] {
            assert_eq!(next(text, covered), None, "{text}");
        }
        assert_eq!(next_units(&HeaderMap::new(), &(0..4), 30, 100), None);
        assert_eq!(next("bytes=0-", 0..0), None, "an empty file has no units");
    }

    #[test]
    fn only_whole_units_are() {
        assert_eq!(units(&(0..100), 30, 100), Ok(0..4));
        assert_eq!(units(&(30..90), 30, 100), Ok(1..3));
        assert_eq!(units(&(90..100), 30, 100), Ok(3..4));
        for range in [1..30, 0..29, 90..99] {
            assert_eq!(units(&range, 30, 100), Err(RangeError::Partial { unit: 30 }));
        }
    }
}
