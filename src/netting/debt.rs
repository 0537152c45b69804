//! One debt, and what may be wrong with many.

use crate::keys::GridId;
use crate::rate::Asset;
use crate::units::MinorUnits;

/// What one grid owes another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Debt {
    /// In what it is owed.
    pub asset: Asset,
    /// Who owes.
    pub debtor: GridId,
    /// Who is owed.
    pub creditor: GridId,
    /// How much. Never zero in a result.
    pub amount: MinorUnits,
}

/// Why debts cannot be netted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NettingError {
    /// A grid that owes itself: the entry is wrong.
    #[error("{0} owes itself")]
    Itself(GridId),
    /// More than an amount can say: settle before it grows further.
    #[error("{debtor} would owe {creditor} more than 2^63 - 1 minor units of {asset}")]
    TooLarge {
        /// In what.
        asset: Asset,
        /// Who would owe.
        debtor: GridId,
        /// Whom.
        creditor: GridId,
    },
}

/// The debt of this many minor units, or the reason why there can be none.
pub(super) fn debt(asset: Asset, debtor: GridId, creditor: GridId, amount: u128) -> Result<Debt, NettingError> {
    match u64::try_from(amount).map(MinorUnits) {
        Ok(amount) if amount <= MinorUnits::MAX => Ok(Debt { asset, debtor, creditor, amount }),
        _ => Err(NettingError::TooLarge { asset, debtor, creditor }),
    }
}
