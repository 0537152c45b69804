//! What a client pays: the foreign rate, converted as the operator has written down, and the home's markup. Never guessed: an
//! asset without a conversion is refused.

use crate::keys::{GridId, PublicKey};
use crate::policy::price::Priced;
use crate::rate::Asset;
use crate::tariff::wire::DeckBody;
use crate::units::{PricePerGib, UnixSeconds};
use std::str::FromStr;

/// What one unit of another asset costs in the home's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conversion {
    /// The asset abroad.
    pub from: Asset,
    /// The home's units for one of it.
    pub factor: Factor,
}

/// A decimal fraction without sign, exact: at most 12 digits behind the point, and at most 10^12.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Factor {
    mantissa: u128,
    scale: u32,
}

/// What the home adds to the converted rate, in hundredths of a percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Markup(pub u32);

/// How the home charges its clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retail {
    /// What clients are billed in.
    pub asset: Asset,
    /// Of each asset that may be paid with, what it costs.
    pub conversions: Vec<Conversion>,
    /// What is added.
    pub markup: Markup,
}

/// Why there is no price for a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoRetail {
    /// The operator has written no conversion.
    #[error("there is no conversion from {from} to {to}")]
    NoConversion {
        /// The asset abroad.
        from: Asset,
        /// The home's.
        to: Asset,
    },
    /// More than 2^63 − 1.
    #[error("the price in {0} is more than 2^63 - 1 minor units")]
    TooLarge(Asset),
}

/// Why a text is no factor or markup.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FactorError {
    /// Not digits with at most one point, or too many of them.
    #[error("`{0}` is not a factor: digits, at most 12 of them behind one point")]
    Factor(String),
    /// Not a percentage.
    #[error("`{0}` is not a markup: write `5 %` or `2.25 %`, at most 10000 %")]
    Markup(String),
}

const MOST_DIGITS: usize = 12;

impl FromStr for Factor {
    type Err = FactorError;

    fn from_str(text: &str) -> Result<Self, FactorError> {
        let error = || FactorError::Factor(text.chars().take(40).collect());
        let (whole, fraction) = text.split_once('.').map_or((text, None), |(whole, rest)| (whole, Some(rest)));
        let digits =
            |part: &str| (1..=MOST_DIGITS).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(whole) || !fraction.is_none_or(digits) {
            return Err(error());
        }
        let fraction = fraction.unwrap_or("").trim_end_matches('0');
        let mantissa = format!("{whole}{fraction}").parse().map_err(|_| error())?;
        Ok(Self { mantissa, scale: fraction.len() as u32 })
    }
}

impl FromStr for Markup {
    type Err = FactorError;

    fn from_str(text: &str) -> Result<Self, FactorError> {
        let error = || FactorError::Markup(text.chars().take(40).collect());
        let number = text.strip_suffix('%').ok_or_else(error)?.trim_end();
        let factor: Factor = number.parse().map_err(|_| error())?;
        let power = 2_u32.checked_sub(factor.scale).ok_or_else(error)?;
        let hundredths =
            factor.mantissa.checked_mul(10_u128.pow(power)).filter(|n| *n <= 1_000_000).ok_or_else(error)?;
        Ok(Self(u32::try_from(hundredths).map_err(|_| error())?))
    }
}

impl Retail {
    /// What a client pays for what costs `price` of `asset` abroad: converted, with the markup, rounded up once.
    pub fn price(&self, asset: Asset, price: PricePerGib) -> Result<PricePerGib, NoRetail> {
        if asset.is_free() || price.0 == 0 {
            return Ok(PricePerGib(0));
        }
        let none = NoRetail::NoConversion { from: asset, to: self.asset };
        let conversion = self.conversions.iter().find(|conversion| conversion.from == asset).ok_or(none)?;
        let Factor { mantissa, scale } = conversion.factor;
        let too_large = NoRetail::TooLarge(self.asset);
        // Minor units abroad × factor × (1 + markup), brought from the one scale to the other.
        let product = u128::from(price.0).checked_mul(mantissa).ok_or(too_large)?;
        let below = asset.scale() + scale;
        let (product, divisor) = match self.asset.scale().checked_sub(below) {
            Some(power) => (product.checked_mul(10_u128.pow(power)).ok_or(too_large)?, 1),
            None => (product, 10_u128.pow(below - self.asset.scale())),
        };
        let product = product.checked_mul(u128::from(10_000 + self.markup.0)).ok_or(too_large)?;
        let exact = product.div_ceil(divisor.checked_mul(10_000).ok_or(too_large)?);
        u64::try_from(exact).ok().map(PricePerGib).filter(|price| *price <= PricePerGib::MAX).ok_or(too_large)
    }

    /// The deck for a client: what it pays for files of `destination` while the price abroad stands.
    pub fn deck(
        &self,
        seller: GridId,
        signer: PublicKey,
        client: Option<PublicKey>,
        destination: GridId,
        abroad: &Priced,
        now: UnixSeconds,
    ) -> Result<DeckBody, NoRetail> {
        let price = self.price(abroad.asset, abroad.price)?;
        let asset = if price.0 == 0 { Asset::FREE } else { self.asset };
        Ok(DeckBody {
            seller,
            signer,
            serial: now.0.saturating_mul(1_000).max(1),
            audience: client,
            destination: Some(destination),
            asset,
            price,
            not_before: now,
            not_after: abroad.until,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn asset(code: &str) -> Asset {
        Asset::from_code(code).unwrap()
    }

    fn retail(to: &str, from: &str, factor: &str, markup: &str) -> Retail {
        let conversion = Conversion { from: asset(from), factor: factor.parse().unwrap() };
        Retail { asset: asset(to), conversions: vec![conversion], markup: markup.parse().unwrap() }
    }

    fn price(retail: &Retail, from: &str, amount: &str) -> Result<String, NoRetail> {
        let units = PricePerGib(asset(from).minor_units(amount).unwrap());
        retail.price(asset(from), units).map(|price| retail.asset.decimal(price.0))
    }

    #[test]
    fn a_price_is_converted_marked_up_and_rounded_up_once() {
        assert_eq!(price(&retail("EUR", "USD", "0.92", "5 %"), "USD", "0.02"), Ok("0.01932".into()));
        assert_eq!(price(&retail("JPY", "USD", "155.25", "0 %"), "USD", "0.02"), Ok("3.105".into()));
        assert_eq!(price(&retail("USD", "BTC", "98000", "2.25%"), "BTC", "0.000001"), Ok("0.100205".into()));
        assert_eq!(
            price(&retail("EUR", "USD", "0.000000000001", "0%"), "USD", "0.000000001"),
            Ok("0.000000001".into())
        );
        assert_eq!(price(&retail("EUR", "USD", "0", "0%"), "USD", "5"), Ok("0".into()));
    }

    #[test]
    fn what_the_operator_has_not_written_down_is_not_guessed() {
        let retail = retail("EUR", "USD", "0.92", "5 %");
        assert_eq!(price(&retail, "GBP", "1"), Err(NoRetail::NoConversion { from: asset("GBP"), to: asset("EUR") }));
        assert_eq!(retail.price(Asset::FREE, PricePerGib(0)), Ok(PricePerGib(0)));
    }

    #[test]
    fn what_is_too_large_is_refused() {
        let dear = retail("EUR", "USD", "999999999999", "10000%");
        assert_eq!(dear.price(asset("USD"), PricePerGib::MAX), Err(NoRetail::TooLarge(asset("EUR"))));
    }

    #[test]
    fn other_ways_of_writing_factors_are_refused() {
        for text in ["", ".5", "5.", "-1", "1e3", "1,5", "0.1234567890123", "1234567890123"] {
            assert!(text.parse::<Factor>().is_err(), "{text}");
        }
        for text in ["", "5", "%", "5 percent", "0.001 %", "10001 %", "-5 %"] {
            assert!(text.parse::<Markup>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_client_never_pays_less_than_the_home_does(price in 0..=1u64 << 40, mantissa in 1..1_000_000u64, markup in 0..10_000u32) {
            let factor = format!("{}.{:06}", mantissa / 1_000_000, mantissa % 1_000_000);
            let mut retail = retail("EUR", "USD", &factor, "0 %");
            let plain = retail.price(asset("USD"), PricePerGib(price)).unwrap();
            prop_assert!(u128::from(plain.0) * 1_000_000 >= u128::from(price) * u128::from(mantissa));
            prop_assert!(u128::from(plain.0) * 1_000_000 < u128::from(price) * u128::from(mantissa) + 1_000_000);
            retail.markup = Markup(markup);
            prop_assert!(retail.price(asset("USD"), PricePerGib(price)).unwrap() >= plain);
        }
    }
}
