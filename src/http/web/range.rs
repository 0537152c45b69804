//! Conditions and ranges of a request, decided from its head alone (RFC 9110, 13 and 14).

use crate::reader::ByteRange;
use axum::http::{HeaderMap, HeaderName, header};
use std::ops::Range;

/// What is to be sent of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    /// All of it.
    Whole,
    /// These bytes.
    Bytes(Range<u64>),
    /// None of it is where the request says.
    Nowhere,
}

/// Whether who asks has this version already.
pub(super) fn is_had(headers: &HeaderMap, etag: &str) -> bool {
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let tags = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    tags.flat_map(|value| value.split(',')).any(|tag| tag.trim() == "*" || opaque(tag) == etag)
}

/// Which part of a file of `size` bytes in the version `etag` is asked for. Several ranges at once, and what is no range, may
/// be answered with the whole, and are.
pub(super) fn part(headers: &HeaderMap, etag: &str, size: u64) -> Part {
    let one = |name: &HeaderName| {
        let mut values = headers.get_all(name).iter();
        match (values.next(), values.next()) {
            (Some(value), None) => value.to_str().ok(),
            _ => None,
        }
    };
    if one(&header::IF_RANGE).is_some_and(|tag| tag != etag) {
        return Part::Whole;
    }
    let range = one(&header::RANGE).and_then(|range| range.strip_prefix("bytes=")?.trim().parse::<ByteRange>().ok());
    match range.map(|range| range.within(size)) {
        None => Part::Whole,
        Some(Some(range)) => Part::Bytes(range),
        Some(None) => Part::Nowhere,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(lines: &[(&'static str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in lines {
            map.append(*name, value.parse().unwrap());
        }
        map
    }

    fn of(lines: &[(&'static str, &str)]) -> Part {
        part(&head(lines), "\"v1\"", 10)
    }

    #[test]
    fn one_range_is_kept_to_and_several_are_not() {
        assert_eq!(of(&[]), Part::Whole);
        assert_eq!(of(&[("range", "bytes=2-4")]), Part::Bytes(2..5));
        assert_eq!(of(&[("range", "bytes=2-")]), Part::Bytes(2..10));
        assert_eq!(of(&[("range", "bytes=-3")]), Part::Bytes(7..10));
        assert_eq!(of(&[("range", "bytes=10-")]), Part::Nowhere);
        for range in ["bytes=0-1,4-5", "bytes=", "bytes=5-2", "units=1-2", "1-2"] {
            assert_eq!(of(&[("range", range)]), Part::Whole, "{range}");
        }
        assert_eq!(of(&[("range", "bytes=0-1"), ("range", "bytes=4-5")]), Part::Whole);
    }

    #[test]
    fn a_range_of_another_version_is_not_sent() {
        let range = ("range", "bytes=2-4");
        assert_eq!(of(&[range, ("if-range", "\"v1\"")]), Part::Bytes(2..5));
        for tag in ["\"v0\"", "W/\"v1\"", "Wed, 25 Nov 2026 00:00:00 GMT"] {
            assert_eq!(of(&[range, ("if-range", tag)]), Part::Whole, "{tag}");
        }
    }

    #[test]
    fn who_has_the_version_is_told_so() {
        for tags in ["\"v1\"", "W/\"v1\"", "\"v0\", \"v1\"", "*"] {
            assert!(is_had(&head(&[("if-none-match", tags)]), "\"v1\""), "{tags}");
        }
        assert!(!is_had(&head(&[("if-none-match", "\"v0\"")]), "\"v1\""));
        assert!(!is_had(&head(&[]), "\"v1\""));
    }
}
