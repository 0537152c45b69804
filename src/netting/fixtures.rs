//! Grids and debts that the tests of this room share.

#![cfg(test)]

use crate::keys::{GridId, SecretKey};
use crate::netting::debt::Debt;
use crate::rate::Asset;
use crate::units::MinorUnits;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::LazyLock;

static GRIDS: LazyLock<Vec<GridId>> =
    LazyLock::new(|| (0..=u8::MAX).map(|n| GridId::new(SecretKey::from_seed(&[n; 32]).public())).collect());

pub(super) fn grid(n: u8) -> GridId {
    GRIDS[usize::from(n)]
}

pub(super) fn usd() -> Asset {
    Asset::from_code("USD").expect("known")
}

/// Up to sixty debts among nine grids in two assets, equal amounts among them.
pub(super) fn debts() -> impl Strategy<Value = Vec<Debt>> {
    let amount = prop_oneof![1..5_u64, 1..1_000_000_u64];
    let debt = (0..9_u8, 1..9_u8, any::<bool>(), amount).prop_map(|(debtor, further, dollars, amount)| Debt {
        asset: if dollars { usd() } else { Asset::from_code("JPY").expect("known") },
        debtor: grid(debtor),
        creditor: grid((debtor + further) % 9),
        amount: MinorUnits(amount),
    });
    prop::collection::vec(debt, 0..60)
}

/// What each grid is owed less what it owes, zeros left out.
pub(super) fn net_positions(debts: &[Debt]) -> BTreeMap<(Asset, GridId), i128> {
    let mut positions = BTreeMap::new();
    for debt in debts {
        *positions.entry((debt.asset, debt.creditor)).or_default() += i128::from(debt.amount.0);
        *positions.entry((debt.asset, debt.debtor)).or_default() -= i128::from(debt.amount.0);
    }
    positions.retain(|_, net| *net != 0);
    positions
}
