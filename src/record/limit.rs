//! The largest credit that a gateway key may agree to.

use super::error::{Fault, FieldError, Unknown};
use crate::cbor::{FIRST_IGNORABLE_KEY, MapWriter, Reader};
use crate::rate::{Asset, AssetError, DecimalError};
use crate::units::MinorUnits;
use std::fmt;
use std::str::FromStr;

const ASSET: u64 = 0;
const AMOUNT: u64 = 1;

/// An amount of one asset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Limit {
    asset: Asset,
    amount: MinorUnits,
}

/// Why a text is no limit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LimitError {
    /// Not an amount and an asset.
    #[error("`{0}` is not an amount of an asset: write `10 USD`")]
    Form(String),
    /// Not an asset.
    #[error(transparent)]
    Asset(#[from] AssetError),
    /// Not an amount of it.
    #[error(transparent)]
    Amount(#[from] DecimalError),
    /// Above [`MinorUnits::MAX`].
    #[error("{0} is more than 2^63 - 1 minor units")]
    TooLarge(MinorUnits),
}

impl Limit {
    /// A limit of `amount` minor units, at most [`MinorUnits::MAX`].
    pub fn new(asset: Asset, amount: MinorUnits) -> Result<Self, LimitError> {
        if amount > MinorUnits::MAX { Err(LimitError::TooLarge(amount)) } else { Ok(Self { asset, amount }) }
    }

    /// What it is counted in.
    pub fn asset(&self) -> Asset {
        self.asset
    }

    /// How many minor units.
    pub fn amount(&self) -> MinorUnits {
        self.amount
    }

    /// Whether it lies within `max`: the same asset, and no more of it.
    pub(super) fn is_within(&self, max: &Self) -> bool {
        self.asset == max.asset && self.amount <= max.amount
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        MapWriter::new().text(ASSET, self.asset.code()).uint(AMOUNT, self.amount.0).finish()
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, FieldError> {
        let start = reader.offset();
        let (mut asset, mut amount) = (None, None);
        reader.map(|key, reader| {
            let start = reader.offset();
            match key {
                ASSET => asset = Some(read_asset(reader)?),
                AMOUNT => {
                    let found = reader.uint()?;
                    let max = MinorUnits::MAX.0;
                    if found > max {
                        return Err(FieldError::new(start, Fault::Range { found, min: 0, max }));
                    }
                    amount = Some(MinorUnits(found));
                }
                FIRST_IGNORABLE_KEY.. => reader.skip()?,
                _ => return Err(FieldError::unknown(start, Unknown::Key { map: "a limit", key })),
            }
            Ok(())
        })?;
        let missing = |name| move || FieldError::new(start, Fault::Missing(name));
        let asset = asset.ok_or_else(missing("the limit's asset"))?;
        Ok(Self { asset, amount: amount.ok_or_else(missing("the limit's amount"))? })
    }
}

/// An asset code that is known.
pub(super) fn read_asset(reader: &mut Reader<'_>) -> Result<Asset, FieldError> {
    let start = reader.offset();
    Asset::from_code(reader.text(5)?).map_err(|error| FieldError::asset(start, error))
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.asset.decimal(self.amount.0), self.asset)
    }
}

impl FromStr for Limit {
    type Err = LimitError;

    fn from_str(text: &str) -> Result<Self, LimitError> {
        let (amount, code) = text.split_once(' ').ok_or_else(|| LimitError::Form(text.chars().take(40).collect()))?;
        let asset = Asset::from_code(code)?;
        Self::new(asset, MinorUnits(asset.minor_units(amount)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_prints_as_it_parses() {
        for text in ["10 USD", "0.5 BTC", "0 JPY"] {
            assert_eq!(text.parse::<Limit>().expect(text).to_string(), text);
        }
        assert!(matches!("10".parse::<Limit>(), Err(LimitError::Form(_))));
        assert!(matches!("10 XAU".parse::<Limit>(), Err(LimitError::Asset(_))));
        assert!(matches!("-1 USD".parse::<Limit>(), Err(LimitError::Amount(_))));
    }

    #[test]
    fn a_limit_is_read_as_it_is_written() {
        let limit: Limit = "10 USD".parse().expect("plain");
        let bytes = limit.encode();
        assert_eq!(Limit::read(&mut Reader::new(&bytes)).expect("own form"), limit);
    }
}
