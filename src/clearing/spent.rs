//! What a payer may spend without asking, and what of it is spent.

use crate::rate::Asset;
use crate::units::MinorUnits;

/// What a payer may spend without asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Budget {
    /// Whatever the judge agrees to.
    Open,
    /// So much in all, in this asset; of nothing else anything.
    UpTo(Asset, MinorUnits),
    /// Nothing.
    Nothing,
}

/// What was spent of a budget.
#[derive(Debug)]
pub(super) struct Spent {
    budget: Budget,
    /// For requests that are under way, at their full size.
    reserved: u64,
    /// For what was verified.
    charged: u64,
}

impl Spent {
    pub(super) fn new(budget: Budget) -> Self {
        Self { budget, reserved: 0, charged: 0 }
    }

    pub(super) fn budget(&self) -> Budget {
        self.budget
    }

    /// What may be spent still; `None` where that is not limited.
    pub(super) fn left(&self) -> Option<(Asset, MinorUnits)> {
        match self.budget {
            Budget::UpTo(asset, limit) => {
                Some((asset, MinorUnits(limit.0.saturating_sub(self.reserved).saturating_sub(self.charged))))
            }
            Budget::Open | Budget::Nothing => None,
        }
    }

    /// Reserves what a request will cost. The error is what it would come to in all, and what may be paid.
    pub(super) fn reserve(&mut self, amount: MinorUnits) -> Result<(), (Asset, MinorUnits, MinorUnits)> {
        let after = self.reserved.saturating_add(self.charged).saturating_add(amount.0);
        match self.budget {
            Budget::UpTo(asset, limit) if amount.0 > 0 && after > limit.0 => Err((asset, MinorUnits(after), limit)),
            _ => {
                self.reserved += amount.0;
                Ok(())
            }
        }
    }

    /// So much is owed now, of what `reserved` was reserved for; what is left of that.
    pub(super) fn charge(&mut self, amount: MinorUnits, reserved: MinorUnits) -> MinorUnits {
        self.charged = self.charged.saturating_add(amount.0);
        let back = amount.0.min(reserved.0);
        self.release(MinorUnits(back));
        MinorUnits(reserved.0 - back)
    }

    /// So much of what was reserved is not needed.
    pub(super) fn release(&mut self, reserved: MinorUnits) {
        self.reserved = self.reserved.saturating_sub(reserved.0);
    }
}
