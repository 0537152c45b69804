//! Money in what is printed: strings of digits beside asset and scale, and amounts as people write them.

use crate::rate::asset::Asset;
use crate::units::MinorUnits;
use serde::{Deserialize, Serialize};
use std::fmt;

/// An amount, or a price for each GiB.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Money {
    /// The asset's code.
    pub asset: String,
    /// How many decimal digits an amount has.
    pub scale: u32,
    /// Minor units.
    pub amount: String,
}

impl Money {
    /// So many minor units of `asset`.
    pub fn new(asset: Asset, units: MinorUnits) -> Self {
        Self { asset: asset.code().to_owned(), scale: asset.scale(), amount: units.to_string() }
    }

    /// What it says, where asset and scale are ones that this program knows.
    pub fn parsed(&self) -> Option<(Asset, MinorUnits)> {
        let asset = Asset::from_code(&self.asset).ok().filter(|asset| asset.scale() == self.scale)?;
        Some((asset, MinorUnits(self.amount.parse().ok()?)))
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
