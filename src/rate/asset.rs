//! What prices and amounts are counted in, each with its one scale.

use iso_currency::Currency;
use rust_decimal::Decimal;
use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// The decimal digits that every scale has beyond the currency's own, so that the price of one octet is not rounded away.
const EXTRA_DIGITS: u32 = 7;

/// An asset, with its scale fixed for ever: one minor unit is 10^−scale of it.
///
/// ISO 4217 currencies that have a number of decimal digits, `BTC`, `ZEC`, and `XXX` for "no currency".
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Asset(Kind);

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Free,
    Bitcoin,
    Zcash,
    Iso(Currency),
}

/// Why a text is no asset.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AssetError {
    /// Not a code at all.
    #[error("`{0}` is not an asset code: three to five capital letters, as in `USD`")]
    Form(String),
    /// In the form of a code, but not known to this program.
    #[error("asset `{0}` is not known: ISO 4217 currencies, `BTC`, `ZEC` and `XXX` (free) are")]
    Unknown(String),
    /// A code that ISO 4217 gives no decimal digits, such as `XAU`: it has no scale.
    #[error("asset `{0}` has no decimal digits in ISO 4217 and so no scale")]
    NoDigits(String),
}

impl Asset {
    /// No currency: its only price is 0, and while a line of it is in force the grid charges nobody.
    pub const FREE: Self = Self(Kind::Free);

    /// The asset with this code, in capital letters.
    pub fn from_code(code: &str) -> Result<Self, AssetError> {
        if !(3..=5).contains(&code.len()) || !code.bytes().all(|byte| byte.is_ascii_uppercase()) {
            return Err(AssetError::Form(code.chars().take(16).collect()));
        }
        match code {
            "XXX" => Ok(Self::FREE),
            "BTC" => Ok(Self(Kind::Bitcoin)),
            "ZEC" => Ok(Self(Kind::Zcash)),
            _ => match Currency::from_code(code) {
                Some(currency) if currency.exponent().is_some() => Ok(Self(Kind::Iso(currency))),
                Some(_) => Err(AssetError::NoDigits(code.to_owned())),
                None => Err(AssetError::Unknown(code.to_owned())),
            },
        }
    }

    /// The code.
    pub fn code(&self) -> &'static str {
        match self.0 {
            Kind::Free => "XXX",
            Kind::Bitcoin => "BTC",
            Kind::Zcash => "ZEC",
            Kind::Iso(currency) => currency.code(),
        }
    }

    /// How many decimal digits a minor unit stands behind the point: 9 for `USD`.
    pub fn scale(&self) -> u32 {
        match self.0 {
            Kind::Free => 0,
            Kind::Bitcoin | Kind::Zcash => 11,
            Kind::Iso(currency) => u32::from(currency.exponent().unwrap_or(0)) + EXTRA_DIGITS,
        }
    }

    /// How many minor units make the smallest amount that can be paid: a cent, a yen, a satoshi, a zatoshi.
    pub fn payable_unit(&self) -> u64 {
        match self.0 {
            Kind::Free => 1,
            Kind::Bitcoin | Kind::Zcash => 1_000, // eight digits are paid
            Kind::Iso(_) => 10_u64.pow(EXTRA_DIGITS),
        }
    }

    /// Whether this is `XXX`.
    pub fn is_free(&self) -> bool {
        *self == Self::FREE
    }

    /// The minor units that `text`, a decimal fraction without sign or exponent, stands for. Never rounds.
    pub fn minor_units(&self, text: &str) -> Result<u64, DecimalError> {
        let malformed = || DecimalError::Form(text.chars().take(40).collect());
        let (whole, fraction) = text.split_once('.').map_or((text, None), |(whole, rest)| (whole, Some(rest)));
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(whole) || !fraction.is_none_or(digits) {
            return Err(malformed());
        }
        let too_large = || DecimalError::TooLarge { asset: *self, text: text.chars().take(40).collect() };
        let too_fine = || DecimalError::TooFine {
            asset: *self,
            scale: self.scale(),
            digits: fraction.map_or(0, |digits| digits.trim_end_matches('0').len()),
        };
        let plain = if fraction.is_some() { text.trim_end_matches('0').trim_end_matches('.') } else { text };
        let decimal = Decimal::from_str_exact(plain).map_err(|error| match error {
            rust_decimal::Error::Underflow => too_fine(),
            _ => too_large(),
        })?;
        let missing = self.scale().checked_sub(decimal.scale()).ok_or_else(too_fine)?;
        let units = 10i128.checked_pow(missing).and_then(|power| decimal.mantissa().checked_mul(power));
        units.and_then(|units| i64::try_from(units).ok()).map(i64::unsigned_abs).ok_or_else(too_large)
    }

    /// `units` as a decimal fraction without trailing zeros.
    pub fn decimal(&self, units: u64) -> String {
        Decimal::from_i128_with_scale(i128::from(units), self.scale()).normalize().to_string()
    }
}

impl FromStr for Asset {
    type Err = AssetError;

    fn from_str(text: &str) -> Result<Self, AssetError> {
        Self::from_code(text)
    }
}

impl fmt::Display for Asset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Debug for Asset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl Ord for Asset {
    /// By code, as the lines of a record are ordered.
    fn cmp(&self, other: &Self) -> Ordering {
        self.code().cmp(other.code())
    }
}

impl PartialOrd for Asset {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Why a text is no amount of an asset.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecimalError {
    /// Not digits with at most one point.
    #[error("`{0}` is not an amount: digits, and at most one point between digits")]
    Form(String),
    /// More digits behind the point than the asset has.
    #[error("{digits} digits behind the point, and {asset} has {scale}")]
    TooFine {
        /// The asset.
        asset: Asset,
        /// Its scale.
        scale: u32,
        /// The digits there were.
        digits: usize,
    },
    /// More than 2^63 − 1 minor units.
    #[error("{text} {asset} is more than 2^63 - 1 of its minor units")]
    TooLarge {
        /// The asset.
        asset: Asset,
        /// The amount.
        text: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn asset(code: &str) -> Asset {
        code.parse().expect("known")
    }

    #[test]
    fn scales_are_the_currency_digits_and_seven() {
        for (code, scale) in [("USD", 9), ("JPY", 7), ("BHD", 10), ("BTC", 11), ("ZEC", 11), ("XXX", 0)] {
            assert_eq!(asset(code).scale(), scale, "{code}");
            assert_eq!(asset(code).to_string(), code);
        }
    }

    #[test]
    fn what_has_no_scale_is_no_asset() {
        assert_eq!(Asset::from_code("XAU"), Err(AssetError::NoDigits("XAU".into())));
        assert_eq!(Asset::from_code("QQQ"), Err(AssetError::Unknown("QQQ".into())));
        assert_eq!(Asset::from_code("DOGES"), Err(AssetError::Unknown("DOGES".into())));
        for text in ["", "US", "usd", "USDOLL", "US1", "€€€"] {
            assert_eq!(Asset::from_code(text), Err(AssetError::Form(text.into())));
        }
    }

    #[test]
    fn decimals_are_exact() {
        let usd = asset("USD");
        assert_eq!(usd.minor_units("0.02"), Ok(20_000_000));
        assert_eq!(usd.minor_units("0.020000000000000"), Ok(20_000_000));
        assert_eq!(usd.minor_units("007"), Ok(7_000_000_000));
        assert_eq!(usd.minor_units("0.000000001"), Ok(1));
        assert_eq!(usd.minor_units("9223372036.854775807"), Ok(i64::MAX as u64));
        assert_eq!(usd.decimal(i64::MAX as u64), "9223372036.854775807");
        assert_eq!(usd.decimal(0), "0");
        assert_eq!(Asset::FREE.minor_units("0"), Ok(0));
    }

    #[test]
    fn too_many_digits_name_the_scale() {
        let error = asset("USD").minor_units("0.0000000001").expect_err("ten digits");
        assert_eq!(error.to_string(), "10 digits behind the point, and USD has 9");
        let fine = format!("0.{}1", "0".repeat(60));
        assert!(matches!(asset("USD").minor_units(&fine), Err(DecimalError::TooFine { digits: 61, .. })));
    }

    #[test]
    fn amounts_beyond_63_bits_are_refused() {
        for text in ["9223372036.854775808", "99999999999999999999999999999999999999", "79228162514264337593543950335"]
        {
            assert!(matches!(asset("USD").minor_units(text), Err(DecimalError::TooLarge { .. })), "{text}");
        }
    }

    #[test]
    fn other_ways_of_writing_numbers_are_refused() {
        for text in ["", ".", ".5", "5.", "-1", "+1", "1e3", "1_000", "1,5", " 1", "0x1", "1.2.3"] {
            assert!(matches!(asset("USD").minor_units(text), Err(DecimalError::Form(_))), "{text}");
        }
    }

    proptest! {
        #[test]
        fn printing_is_undone_by_parsing(units in 0..=i64::MAX as u64, which in 0..5usize) {
            let asset = asset(["USD", "JPY", "BTC", "XXX", "BHD"][which]);
            prop_assert_eq!(asset.minor_units(&asset.decimal(units)), Ok(units));
        }
    }
}
