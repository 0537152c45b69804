//! How much in how long: `10 GiB/day`, `5 EUR/month`.

use crate::rate::{Asset, AssetError, DecimalError};
use crate::record::{Limit, LimitError};
use crate::units::{Bytes, UnixSeconds};
use std::fmt;
use std::str::FromStr;

/// A limit for each calendar day or month, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// How much.
    pub amount: QuotaAmount,
    /// In how long.
    pub period: Period,
}

/// What a quota counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QuotaAmount {
    /// Octets fetched from other grids.
    Bytes(Bytes),
    /// Money.
    Money(Limit),
}

/// A calendar day or month, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Period {
    /// Since midnight.
    Day,
    /// Since the first of the month.
    Month,
}

/// Why a text is no quota.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QuotaError {
    /// Not an amount, a unit, a slash and a period.
    #[error("`{0}` is not a quota: write `10 GiB/day` or `5 EUR/month`")]
    Form(String),
    /// Not an asset, and no unit of octets.
    #[error(transparent)]
    Asset(#[from] AssetError),
    /// Not an amount of it.
    #[error(transparent)]
    Amount(#[from] DecimalError),
    /// Above 2^63 − 1.
    #[error(transparent)]
    Limit(#[from] LimitError),
}

const UNITS: [(&str, u32); 5] = [("B", 0), ("KiB", 10), ("MiB", 20), ("GiB", 30), ("TiB", 40)];

impl FromStr for Quota {
    type Err = QuotaError;

    fn from_str(text: &str) -> Result<Self, QuotaError> {
        let form = || QuotaError::Form(text.chars().take(40).collect());
        let (amount, period) = text.split_once('/').ok_or_else(form)?;
        let period = match period {
            "day" => Period::Day,
            "month" => Period::Month,
            _ => return Err(form()),
        };
        let (number, unit) = amount.split_once(' ').ok_or_else(form)?;
        let amount = match UNITS.iter().find(|(name, _)| *name == unit) {
            Some((_, power)) => {
                let plain = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
                let count: u64 = number.parse().ok().filter(|_| plain).ok_or_else(form)?;
                let octets =
                    count.checked_mul(1 << power).filter(|octets| *octets <= i64::MAX as u64).ok_or_else(form)?;
                QuotaAmount::Bytes(Bytes(octets))
            }
            None => {
                let asset = Asset::from_code(unit)?;
                QuotaAmount::Money(Limit::new(asset, crate::units::MinorUnits(asset.minor_units(number)?))?)
            }
        };
        Ok(Self { amount, period })
    }
}

impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.amount {
            QuotaAmount::Bytes(Bytes(octets)) => {
                let fits = |power: u32| octets != 0 && octets % (1 << power) == 0;
                let (unit, power) = UNITS.iter().rev().find(|(_, power)| fits(*power)).unwrap_or(&UNITS[0]);
                write!(f, "{} {unit}", octets >> power)?;
            }
            QuotaAmount::Money(limit) => write!(f, "{limit}")?,
        }
        write!(f, "/{}", self.period)
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Day => "day",
            Self::Month => "month",
        })
    }
}

impl Period {
    /// When the period that `now` lies in began.
    pub fn began(self, now: UnixSeconds) -> UnixSeconds {
        let day = now.0 - now.0 % 86_400;
        let first = |date: jiff::civil::Date| date.first_of_month().to_zoned(jiff::tz::TimeZone::UTC);
        match self {
            Self::Day => UnixSeconds(day),
            // Beyond the year 9999 there are no months.
            Self::Month => i64::try_from(now.0)
                .ok()
                .and_then(|seconds| jiff::Timestamp::from_second(seconds).ok())
                .and_then(|time| first(time.to_zoned(jiff::tz::TimeZone::UTC).date()).ok())
                .and_then(|zoned| u64::try_from(zoned.timestamp().as_second()).ok())
                .map_or(UnixSeconds(day), UnixSeconds),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_quota_prints_as_it_parses() {
        for text in ["10 GiB/day", "5 EUR/month", "0.5 BTC/day", "0 B/month", "1536 MiB/day"] {
            assert_eq!(text.parse::<Quota>().unwrap().to_string(), text);
        }
        for text in
            ["", "10 GiB", "10GiB/day", "10 GB/day", "-1 GiB/day", "+1 GiB/day", "1 GiB/year", "9000000000 TiB/day"]
        {
            assert!(text.parse::<Quota>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_month_begins_on_its_first_in_utc() {
        let at = |text: &str| text.parse::<UnixSeconds>().unwrap();
        assert_eq!(Period::Month.began(at("2027-02-28T23:59:59Z")), at("2027-02-01"));
        assert_eq!(Period::Month.began(at("2027-03-01")), at("2027-03-01"));
        assert_eq!(Period::Day.began(at("2027-03-01T12:00:00Z")), at("2027-03-01"));
    }

    proptest! {
        #[test]
        fn any_quota_of_octets_survives_the_way_through_its_text(octets in 0..=i64::MAX as u64, month in any::<bool>()) {
            let period = if month { Period::Month } else { Period::Day };
            let quota = Quota { amount: QuotaAmount::Bytes(Bytes(octets)), period };
            prop_assert_eq!(quota.to_string().parse(), Ok(quota));
        }

        #[test]
        fn a_period_begins_before_it_ends(now in any::<u64>()) {
            prop_assert!(Period::Month.began(UnixSeconds(now)) <= Period::Day.began(UnixSeconds(now)));
        }
    }
}
