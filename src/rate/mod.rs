//! What a grid charges: assets and their scales, prices as people write them, the rate line and the interval it binds for.
//!
//! Prices are integers inside and decimal fractions at the edge: `0.02 USD/GiB until 2027-06-01`. Nothing here rounds; the
//! one rounding rule is [`PricePerGib::charge`](crate::units::PricePerGib::charge). Specification: `docs/spec/record.md`.

mod asset;
mod line;
mod money;
mod parse;

pub use asset::{Asset, AssetError, DecimalError};
pub use line::{Commitment, DatedRate, MAX_COMMITMENT, NextPrice, RateError, RateLine};
pub use money::Money;
pub use parse::RateTextError;
