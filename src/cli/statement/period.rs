//! A period as people type it.

use crate::units::UnixSeconds;
use std::ops::Range;
use std::str::FromStr;

/// From one date to another in UTC, the second one not included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct Period(Range<UnixSeconds>);

/// A text that is no period.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a period: write a month as 2027-01, or two dates as 2027-01-01..2027-01-15")]
pub(in crate::cli) struct PeriodError(String);

impl Period {
    /// The first second, and the first after it.
    pub(in crate::cli) fn range(&self) -> Range<UnixSeconds> {
        self.0.clone()
    }

    /// The month that `now` is in.
    pub(super) fn month_of(now: UnixSeconds) -> Self {
        let text = now.to_string();
        // RFC 3339: the month is the first seven octets.
        text.get(..7).and_then(|month| month.parse().ok()).unwrap_or(Self(UnixSeconds(0)..UnixSeconds::MAX))
    }
}

impl FromStr for Period {
    type Err = PeriodError;

    fn from_str(text: &str) -> Result<Self, PeriodError> {
        let error = || PeriodError(text.chars().take(40).collect());
        let (from, until) = match text.split_once("..") {
            Some((from, until)) => (from.to_owned(), until.to_owned()),
            None => {
                let (year, month) = text.split_once('-').ok_or_else(error)?;
                let (year, month): (u16, u16) =
                    (year.parse().map_err(|_| error())?, month.parse().map_err(|_| error())?);
                let (next_year, next_month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
                (format!("{year:04}-{month:02}-01"), format!("{next_year:04}-{next_month:02}-01"))
            }
        };
        let date = |text: &str| text.parse::<UnixSeconds>().map_err(|_| error());
        let (from, until) = (date(&from)?, date(&until)?);
        if from < until { Ok(Self(from..until)) } else { Err(error()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Option<(u64, u64)> {
        text.parse::<Period>().ok().map(|period| (period.0.start.0, period.0.end.0))
    }

    #[test]
    fn a_month_and_two_dates_are_periods() {
        assert_eq!(of("2027-01"), Some((1_798_761_600, 1_801_440_000)));
        assert_eq!(of("2027-12"), of("2027-12-01..2028-01-01"));
        assert_eq!(Period::month_of(UnixSeconds(1_800_000_000)), "2027-01".parse().unwrap());
        for wrong in ["", "2027", "2027-13", "2027-00", "2027-01-02..2027-01-02", "2027-01-02..", "-1-1", "70000-01"] {
            assert_eq!(of(wrong), None, "{wrong}");
        }
    }
}
