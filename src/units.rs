//! Quantities with their unit in their type: octets, time, money.
//!
//! None converts from a bare integer by `into()`, so that bytes cannot become money by accident.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A number of octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Bytes(pub u64);

impl Bytes {
    /// 2^30 octets, the unit that rates are stated for.
    pub const GIB: Self = Self(1 << 30);
}

impl fmt::Display for Bytes {
    /// Binary units with one decimal from 1 KiB on: `512 B`, `1.5 MiB`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
        if self.0 < 1024 {
            return write!(f, "{} B", self.0);
        }
        let power = (self.0.ilog2() / 10).min(6);
        let tenths = (u128::from(self.0) * 10) >> (10 * power);
        write!(f, "{}.{} {}", tenths / 10, tenths % 10, UNITS[power as usize - 1])
    }
}

/// A span of time in whole seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Seconds(pub u64);

impl Seconds {
    /// `days` times 86,400 seconds.
    pub const fn days(days: u64) -> Self {
        Self(days * 86_400)
    }

    /// `hours` times 3,600 seconds.
    pub const fn hours(hours: u64) -> Self {
        Self(hours * 3_600)
    }

    /// `minutes` times 60 seconds.
    pub const fn minutes(minutes: u64) -> Self {
        Self(minutes * 60)
    }
}

impl fmt::Display for Seconds {
    /// The two largest units that are not zero: `3 d 4 h`, `90 s` as `1 min 30 s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        let mut written = 0;
        for (unit, name) in [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")] {
            let count = rest / unit;
            rest %= unit;
            if count > 0 && written < 2 {
                write!(f, "{}{count} {name}", if written > 0 { " " } else { "" })?;
                written += 1;
            }
        }
        if written == 0 { f.write_str("0 s") } else { Ok(()) }
    }
}

/// A text that is no span of time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a span of time: write 10s, 50ms, 15min, 2h or 7d")]
pub struct SpanError(String);

/// A span of time as people type it: numbers with their unit (`ms`, `s`, `min`, `h`, `d`, or `days`), larger units first;
/// spaces are allowed anywhere.
pub fn parse_span(text: &str) -> Result<Duration, SpanError> {
    const UNITS: [(&str, u64); 7] = [
        ("days", 86_400_000),
        ("day", 86_400_000),
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("min", 60_000),
        ("s", 1_000),
        ("ms", 1),
    ];
    let error = || SpanError(text.to_owned());
    let mut rest = text.trim();
    let mut milliseconds = 0_u64;
    let mut smallest = u64::MAX;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let count: u64 = rest[..digits].parse().map_err(|_| error())?;
        rest = rest[digits..].trim_start();
        let letters = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let (_, unit) = *UNITS.iter().find(|(name, _)| *name == &rest[..letters]).ok_or_else(error)?;
        rest = rest[letters..].trim_start();
        if unit >= smallest {
            return Err(error());
        }
        smallest = unit;
        milliseconds = count.checked_mul(unit).and_then(|n| n.checked_add(milliseconds)).ok_or_else(error)?;
    }
    if smallest == u64::MAX { Err(error()) } else { Ok(Duration::from_millis(milliseconds)) }
}

impl FromStr for Seconds {
    type Err = SpanError;

    /// As [`parse_span`]; what is no whole number of seconds is refused.
    fn from_str(text: &str) -> Result<Self, SpanError> {
        let span = parse_span(text)?;
        if span.subsec_millis() == 0 { Ok(Self(span.as_secs())) } else { Err(SpanError(text.to_owned())) }
    }
}

/// A point in time: seconds since 1970-01-01T00:00:00Z, leap seconds not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct UnixSeconds(pub u64);

impl UnixSeconds {
    /// The latest second that has a date of four digits: 9999-12-30T22:00:00Z, the end of `jiff`'s range.
    pub const MAX: Self = Self(253_402_207_200);

    /// This time and `span`; stays at the largest number rather than wrapping.
    pub const fn plus(self, span: Seconds) -> Self {
        Self(self.0.saturating_add(span.0))
    }

    /// This time less `span`; stays at 0 rather than wrapping.
    pub const fn minus(self, span: Seconds) -> Self {
        Self(self.0.saturating_sub(span.0))
    }

    /// The span from `earlier` to this; 0 if `earlier` is later.
    pub const fn since(self, earlier: Self) -> Seconds {
        Seconds(self.0.saturating_sub(earlier.0))
    }
}

impl fmt::Display for UnixSeconds {
    /// RFC 3339 in UTC; the bare number for what has no date of four digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match i64::try_from(self.0).ok().and_then(|seconds| jiff::Timestamp::from_second(seconds).ok()) {
            Some(timestamp) => write!(f, "{timestamp}"),
            None => write!(f, "{} s after 1970", self.0),
        }
    }
}

/// A text that is no date.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a date: write 2027-06-01 (00:00 UTC of that day) or 2027-06-01T12:00:00Z")]
pub struct DateError(String);

impl FromStr for UnixSeconds {
    type Err = DateError;

    /// A date (00:00 UTC of that day) or an RFC 3339 time with its offset.
    fn from_str(text: &str) -> Result<Self, DateError> {
        let seconds = match text.parse::<jiff::civil::Date>() {
            Ok(date) if text.len() == 10 => {
                date.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|zoned| zoned.timestamp().as_second())
            }
            _ => text.parse::<jiff::Timestamp>().ok().map(|timestamp| timestamp.as_second()),
        };
        seconds.and_then(|s| u64::try_from(s).ok()).map(Self).ok_or_else(|| DateError(text.to_owned()))
    }
}

/// An amount of money: a count of the smallest units that an asset's scale knows. Never negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct MinorUnits(pub u64);

impl MinorUnits {
    /// The largest amount on the wire, so that every language's signed 64-bit integer holds it.
    pub const MAX: Self = Self(i64::MAX as u64);
}

impl fmt::Display for MinorUnits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A price: minor units for each 2^30 octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct PricePerGib(pub u64);

impl PricePerGib {
    /// The largest price on the wire.
    pub const MAX: Self = Self(i64::MAX as u64);

    /// The charge for `octets` in all: the product divided by 2^30, rounded up. The one rounding rule of the project.
    ///
    /// Returns `None` when the charge exceeds [`MinorUnits::MAX`].
    pub fn charge(self, octets: Bytes) -> Option<MinorUnits> {
        let exact = (u128::from(self.0) * u128::from(octets.0)).div_ceil(u128::from(Bytes::GIB.0));
        u64::try_from(exact).ok().map(MinorUnits).filter(|amount| *amount <= MinorUnits::MAX)
    }
}

impl fmt::Display for PricePerGib {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_date_is_midnight_utc() {
        assert_eq!("2027-06-01".parse(), Ok(UnixSeconds(1_811_808_000)));
        assert_eq!("2027-06-01T02:00:00+02:00".parse(), Ok(UnixSeconds(1_811_808_000)));
        assert_eq!(UnixSeconds(1_811_808_000).to_string(), "2027-06-01T00:00:00Z");
    }

    #[test]
    fn a_span_reads_as_people_write_it_and_as_it_prints() {
        assert_eq!(parse_span("50ms"), Ok(Duration::from_millis(50)));
        assert_eq!(parse_span("1 min 30 s"), Ok(Duration::from_secs(90)));
        assert_eq!("7 days".parse(), Ok(Seconds::days(7)));
        for span in
            [Seconds(0), Seconds(90), Seconds::days(3).0.checked_add(7).map(Seconds).unwrap(), Seconds::hours(5)]
        {
            let printed = span.to_string();
            // Only the two largest units are printed.
            assert!(printed.parse::<Seconds>().is_ok_and(|read| span.0 - read.0 < 60), "{printed}");
        }
    }

    #[test]
    fn what_is_no_span_is_refused() {
        for text in [
            "",
            "10",
            "s",
            "-1s",
            "1.5h",
            "1s 1s",
            "1s 1h",
            "1 fortnight",
            "99999999999999999999s",
            "18446744073709551615d",
        ] {
            assert_eq!(parse_span(text), Err(SpanError(text.to_owned())), "{text}");
        }
        assert!("1500ms".parse::<Seconds>().is_err());
    }

    #[test]
    fn what_is_no_date_is_named() {
        for text in ["", "tomorrow", "2027-13-01", "2027-06-01T00:00:00", "1960-01-01"] {
            assert!(text.parse::<UnixSeconds>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_largest_time_has_a_date() {
        assert!(UnixSeconds::MAX.to_string().starts_with("9999-12-30"));
        assert_eq!(UnixSeconds(u64::MAX).to_string(), "18446744073709551615 s after 1970");
    }

    #[test]
    fn a_charge_is_rounded_up_once() {
        assert_eq!(PricePerGib(1).charge(Bytes(1)), Some(MinorUnits(1)));
        assert_eq!(PricePerGib(20_000_000).charge(Bytes::GIB), Some(MinorUnits(20_000_000)));
        assert_eq!(PricePerGib(3).charge(Bytes((1 << 30) + 1)), Some(MinorUnits(4)));
        assert_eq!(PricePerGib(0).charge(Bytes(u64::MAX)), Some(MinorUnits(0)));
        assert_eq!(PricePerGib::MAX.charge(Bytes(u64::MAX)), None);
    }

    proptest! {
        #[test]
        fn a_charge_grows_with_what_it_is_for_and_is_rounded_by_less_than_one(
            price in 0..=i64::MAX as u64, octets in any::<u64>(), more in any::<u64>(),
        ) {
            let price = PricePerGib(price);
            let product = u128::from(price.0) * u128::from(octets);
            match price.charge(Bytes(octets)) {
                Some(charge) => {
                    let whole = u128::from(charge.0) << 30;
                    prop_assert!(whole >= product && whole - product < 1 << 30);
                    prop_assert!(charge <= MinorUnits::MAX);
                    let larger = price.charge(Bytes(octets.saturating_add(more)));
                    prop_assert!(larger.is_none_or(|larger| larger >= charge));
                }
                None => prop_assert!(product > u128::from(MinorUnits::MAX.0) << 30),
            }
        }

        /// On the cumulative count it does not matter in how many pieces something came.
        #[test]
        fn a_charge_does_not_drift_with_the_number_of_pieces(
            price in 0..1_u64 << 40, pieces in proptest::collection::vec(0..1_u64 << 22, 1..50),
        ) {
            let price = PricePerGib(price);
            let all = price.charge(Bytes(pieces.iter().sum())).unwrap();
            let (mut octets, mut paid) = (0, 0);
            for piece in &pieces {
                octets += piece;
                paid += price.charge(Bytes(octets)).unwrap().0 - paid;
            }
            prop_assert_eq!(paid, all.0);
            let apart: u64 = pieces.iter().map(|piece| price.charge(Bytes(*piece)).unwrap().0).sum();
            prop_assert!(apart >= all.0 && apart - all.0 <= pieces.len() as u64);
        }
    }

    #[test]
    fn quantities_print_as_people_write_them() {
        assert_eq!(Bytes(512).to_string(), "512 B");
        assert_eq!(Bytes(1_572_864).to_string(), "1.5 MiB");
        assert_eq!(Bytes(u64::MAX).to_string(), "15.9 EiB");
        assert_eq!(Seconds(90).to_string(), "1 min 30 s");
        assert_eq!(Seconds::days(3).to_string(), "3 d");
        assert_eq!(Seconds(0).to_string(), "0 s");
    }
}
