//! Money in what is printed: strings of digits beside asset and scale, and amounts as people write them.

use crate::rate::Asset;
use crate::units::MinorUnits;
use serde::{Deserialize, Serialize};
use std::fmt;

/// An amount, or a price for each GiB.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Money {
    /// The asset's code.
    pub(super) asset: String,
    /// How many decimal digits an amount has.
    pub(super) scale: u32,
    /// Minor units.
    pub(super) amount: String,
}

impl Money {
    pub(super) fn new(asset: Asset, units: MinorUnits) -> Self {
        Self { asset: asset.code().to_owned(), scale: asset.scale(), amount: units.to_string() }
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (Asset::from_code(&self.asset), self.amount.parse()) {
            (Ok(asset), _) if asset.is_free() => f.write_str("free"),
            (Ok(asset), Ok(units)) => write!(f, "{} {}", asset.decimal(units), asset.code()),
            _ => write!(f, "{} of 10^-{} {}", self.amount, self.scale, self.asset),
        }
    }
}
