//! Rate lines as people write them.
//!
//! ```text
//! ( "free" / PRICE ASSET "/GiB" ) [ "from" DATE ] [ "until" DATE ] [ "then" PRICE "from" DATE ]
//! ```
//!
//! A date is `2027-06-01` (00:00 UTC) or an RFC 3339 time. What is printed reads back as the same line.

use super::asset::{Asset, AssetError, DecimalError};
use super::line::{NextPrice, RateError, RateLine};
use crate::units::{DateError, PricePerGib, Seconds, UnixSeconds};
use std::fmt;
use std::str::FromStr;

/// Why a text is no rate line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RateTextError {
    /// Not in the form of a rate.
    #[error("expected {expected} where there is {found}: write `0.02 USD/GiB until 2027-06-01` or `free`")]
    Form {
        /// What belongs there.
        expected: &'static str,
        /// What stands there.
        found: String,
    },
    /// The price is no amount of the asset.
    #[error("price: {0}")]
    Price(DecimalError),
    /// The asset is not one.
    #[error(transparent)]
    Asset(AssetError),
    /// A date is not one.
    #[error(transparent)]
    Date(DateError),
    /// The line contradicts itself.
    #[error(transparent)]
    Line(RateError),
}

impl FromStr for RateLine {
    type Err = RateTextError;

    fn from_str(text: &str) -> Result<Self, RateTextError> {
        let mut words = text.split_whitespace().peekable();
        let wrong = |expected, found: Option<&str>| RateTextError::Form {
            expected,
            found: found
                .map_or("nothing".to_owned(), |word| format!("`{}`", word.chars().take(40).collect::<String>())),
        };
        let first = words.next().ok_or_else(|| wrong("a price or `free`", None))?;
        let price_of =
            |asset: Asset, text: &str| asset.minor_units(text).map(PricePerGib).map_err(RateTextError::Price);
        let (asset, price) = if first == "free" {
            (Asset::FREE, PricePerGib(0))
        } else {
            let unit = words.next();
            let code = unit.and_then(|unit| unit.strip_suffix("/GiB")).ok_or_else(|| wrong("`USD/GiB`", unit))?;
            let asset = Asset::from_code(code).map_err(RateTextError::Asset)?;
            (asset, price_of(asset, first)?)
        };
        let date = |word: Option<&str>| {
            word.ok_or_else(|| wrong("a date", None))?.parse::<UnixSeconds>().map_err(RateTextError::Date)
        };
        let not_before = words.next_if_eq(&"from").map(|_| date(words.next())).transpose()?;
        let committed_until = words.next_if_eq(&"until").map(|_| date(words.next())).transpose()?;
        let next = if words.next_if_eq(&"then").is_some() {
            let price = price_of(asset, words.next().ok_or_else(|| wrong("the next price", None))?)?;
            match words.next() {
                Some("from") => Some(NextPrice { price, not_before: date(words.next())? }),
                other => return Err(wrong("`from` and a date", other)),
            }
        } else {
            None
        };
        match words.next() {
            None => RateLine::new(asset, price, not_before, committed_until, next).map_err(RateTextError::Line),
            other => Err(wrong("`from`, `until`, `then`, in this order, or the end", other)),
        }
    }
}

impl fmt::Display for RateLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let asset = self.asset();
        if asset.is_free() {
            f.write_str("free")?;
        } else {
            write!(f, "{} {asset}/GiB", asset.decimal(self.price().0))?;
        }
        if let Some(from) = self.not_before() {
            write!(f, " from {}", Day(from))?;
        }
        if let Some(until) = self.committed_until() {
            write!(f, " until {}", Day(until))?;
        }
        if let Some(next) = self.next() {
            write!(f, " then {} from {}", asset.decimal(next.price.0), Day(next.not_before))?;
        }
        Ok(())
    }
}

/// A time in the shortest form that reads back: the day alone where it is midnight.
struct Day(UnixSeconds);

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string();
        match text.strip_suffix("T00:00:00Z") {
            Some(day) if self.0.0 % Seconds::days(1).0 == 0 => f.write_str(day),
            _ => f.write_str(&text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lines_print_as_they_are_written() {
        for text in [
            "0.02 USD/GiB until 2027-06-01",
            "0.02 USD/GiB from 2027-01-01 until 2027-06-01 then 0.03 from 2027-06-01",
            "1 JPY/GiB then 2 from 2027-06-01T12:30:00Z",
            "0 EUR/GiB",
            "free",
            "free until 2027-06-01",
            "free from 2027-06-01 then 0 from 2027-06-02",
        ] {
            assert_eq!(text.parse::<RateLine>().expect(text).to_string(), text);
        }
        assert_eq!(" 0.020  USD/GiB ".parse::<RateLine>().expect("blanks").to_string(), "0.02 USD/GiB");
        assert_eq!("0 XXX/GiB".parse::<RateLine>(), "free".parse());
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, message) in [
            ("", "expected a price or `free` where there is nothing"),
            ("0.02", "expected `USD/GiB` where there is nothing"),
            ("0.02 USD", "expected `USD/GiB` where there is `USD`"),
            ("0.02 usd/GiB", "`usd` is not an asset code"),
            ("0.02 XAU/GiB", "asset `XAU` has no decimal digits"),
            ("0,02 USD/GiB", "price: `0,02` is not an amount"),
            ("0.0000000001 USD/GiB", "price: 10 digits behind the point, and USD has 9"),
            ("1 XXX/GiB", "digits"),
            ("0.02 USD/GiB until", "expected a date where there is nothing"),
            ("0.02 USD/GiB until soon", "`soon` is not a date"),
            ("0.02 USD/GiB until 2027-06-01 from 2027-01-01", "in this order, or the end where there is `from`"),
            ("0.02 USD/GiB until 2027-06-01 then 0.03", "expected `from` and a date where there is nothing"),
            ("0.02 USD/GiB until 2027-06-01 then 0.03 from 2027-05-31", "begins on 2027-05-31T00:00:00Z, before"),
        ] {
            let error = text.parse::<RateLine>().expect_err(text).to_string();
            assert!(error.contains(message) || message == "digits" && error.contains("free"), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn printing_is_undone_by_parsing(
            code in 0..4usize,
            prices in (0..=PricePerGib::MAX.0, 0..=PricePerGib::MAX.0),
            from in proptest::option::of(0..=UnixSeconds::MAX.0),
            until in proptest::option::of((0..=UnixSeconds::MAX.0 / 86_400).prop_map(|day| day * 86_400)),
            next in proptest::option::of(0..=UnixSeconds::MAX.0),
        ) {
            let asset = Asset::from_code(["USD", "JPY", "ZEC", "XXX"][code]).expect("known");
            let price = |price| PricePerGib(if asset.is_free() { 0 } else { price });
            let next = next.map(|at| NextPrice { price: price(prices.1), not_before: UnixSeconds(at) });
            let line = RateLine::new(asset, price(prices.0), from.map(UnixSeconds), until.map(UnixSeconds), next);
            if let Ok(line) = line {
                prop_assert_eq!(line.to_string().parse::<RateLine>(), Ok(line));
            }
        }
    }
}
