//! Netting among several grids, all of which agree to it.

use crate::keys::GridId;
use crate::netting::bilateral::bilateral;
use crate::netting::debt::{Debt, NettingError, debt};
use crate::netting::transfers::transfers;
use crate::rate::Asset;
use std::collections::BTreeSet;

/// What netting in one asset comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Multilateral {
    /// The asset.
    pub asset: Asset,
    /// What those who take part owed each other before: the sum of the debts that are replaced.
    pub gross: u128,
    /// What is paid instead: the sum of the transfers.
    pub net: u128,
    /// Each who takes part and had such a debt, by grid id. The nets sum to zero.
    pub positions: Vec<NetPosition>,
    /// The debts among them, netted between each two; by debtor, then creditor.
    pub pooled: Vec<Debt>,
    /// What replaces those; by debtor, then creditor.
    pub transfers: Vec<Debt>,
    /// Debts with somebody who takes no part: they stand as they were, netted between the two.
    pub standing: Vec<Debt>,
}

/// What one grid has in a netting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NetPosition {
    /// The grid.
    pub grid: GridId,
    /// What it owed the others.
    pub owed_to_others: u128,
    /// What the others owed it.
    pub owed_by_others: u128,
}

impl NetPosition {
    /// Above zero: it is paid so much in all. Below: it pays.
    pub fn net(&self) -> i128 {
        // A sum of at most 2^64 amounts below 2^63 each.
        self.owed_by_others as i128 - self.owed_to_others as i128
    }
}

impl Multilateral {
    /// What need not be paid: gross less net.
    pub fn saved(&self) -> u128 {
        self.gross - self.net
    }
}

/// Nets the debts among the `consenting`, each asset for itself, in the order of assets.
///
/// Only those who are joined by debts, directly or through others, pay each other: no grid meets a debtor of another circle.
/// For n of them with something to pay or to get there are at most n - 1 transfers.
pub fn multilateral(debts: &[Debt], consenting: &BTreeSet<GridId>) -> Result<Vec<Multilateral>, NettingError> {
    let mut nets = bilateral(debts)?;
    let mut results = Vec::new();
    while let Some(first) = nets.first() {
        let asset = first.asset;
        let end = nets.iter().position(|debt| debt.asset != asset).unwrap_or(nets.len());
        results.push(one_asset(asset, nets.drain(..end), consenting)?);
    }
    Ok(results)
}

fn one_asset(
    asset: Asset,
    debts: impl Iterator<Item = Debt>,
    consenting: &BTreeSet<GridId>,
) -> Result<Multilateral, NettingError> {
    let (pooled, standing): (Vec<Debt>, Vec<Debt>) =
        debts.partition(|debt| consenting.contains(&debt.debtor) && consenting.contains(&debt.creditor));
    // Numbers instead of keys from here on: the order of the numbers is that of the keys.
    let mut grids: Vec<GridId> = pooled.iter().flat_map(|debt| [debt.debtor, debt.creditor]).collect();
    grids.sort_unstable();
    grids.dedup();
    let number = |grid: &GridId| grids.binary_search(grid).expect("collected from these debts");
    let mut positions: Vec<NetPosition> =
        grids.iter().map(|grid| NetPosition { grid: *grid, owed_to_others: 0, owed_by_others: 0 }).collect();
    let mut circles = Circles::new(grids.len());
    let mut gross = 0;
    for debt in &pooled {
        let (debtor, creditor, amount) = (number(&debt.debtor), number(&debt.creditor), u128::from(debt.amount.0));
        positions[debtor].owed_to_others += amount;
        positions[creditor].owed_by_others += amount;
        circles.join(debtor, creditor);
        gross += amount;
    }

    let mut by_circle: Vec<(usize, usize)> = (0..grids.len()).map(|i| (circles.root(i), i)).collect();
    by_circle.sort_unstable();
    let mut paid = Vec::new();
    for circle in by_circle.chunk_by(|a, b| a.0 == b.0) {
        let nets: Vec<_> = circle.iter().map(|(_, i)| (positions[*i].grid, positions[*i].net())).collect();
        for (debtor, creditor, amount) in transfers(&nets) {
            paid.push(debt(asset, debtor, creditor, amount)?);
        }
    }
    paid.sort_unstable();
    let net = paid.iter().map(|debt| u128::from(debt.amount.0)).sum();
    Ok(Multilateral { asset, gross, net, positions, pooled, transfers: paid, standing })
}

/// Which grids are joined by debts.
struct Circles(Vec<usize>);

impl Circles {
    fn new(count: usize) -> Self {
        Self((0..count).collect())
    }

    fn root(&mut self, mut i: usize) -> usize {
        while self.0[i] != i {
            self.0[i] = self.0[self.0[i]];
            i = self.0[i];
        }
        i
    }

    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        self.0[a.max(b)] = a.min(b);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netting::fixtures::{debts, grid, net_positions, usd};
    use crate::units::MinorUnits;
    use proptest::prelude::*;

    fn owes(debtor: u8, creditor: u8, amount: u64) -> Debt {
        Debt { asset: usd(), debtor: grid(debtor), creditor: grid(creditor), amount: MinorUnits(amount) }
    }

    fn everyone() -> BTreeSet<GridId> {
        (0..9).map(grid).collect()
    }

    #[test]
    fn a_circle_of_debts_leaves_what_it_comes_to() {
        let given = [owes(1, 2, 10), owes(2, 3, 10), owes(3, 1, 7)];
        let netted = multilateral(&given, &everyone()).expect("small").remove(0);
        assert_eq!((netted.gross, netted.net, netted.saved()), (27, 3, 24));
        assert_eq!(netted.transfers, [owes(1, 3, 3)]);
        assert!(netted.standing.is_empty());
    }

    #[test]
    fn a_debt_with_somebody_who_takes_no_part_stands() {
        let given = [owes(1, 2, 10), owes(2, 3, 10), owes(3, 1, 7)];
        let consenting = [grid(1), grid(2)].into();
        let netted = multilateral(&given, &consenting).expect("small").remove(0);
        assert_eq!(netted.transfers, [owes(1, 2, 10)]);
        let mut standing = vec![owes(2, 3, 10), owes(3, 1, 7)];
        standing.sort_unstable();
        assert_eq!(netted.standing, standing);
    }

    #[test]
    fn circles_that_have_nothing_to_do_with_each_other_do_not_pay_each_other() {
        // By amount alone, 1 would pay 4 and 3 would pay 2.
        let given = [owes(1, 2, 10), owes(5, 2, 1), owes(3, 4, 10), owes(6, 4, 2)];
        let netted = multilateral(&given, &everyone()).expect("small").remove(0);
        let circle = |grid_id: GridId| [1, 2, 5].map(grid).contains(&grid_id);
        assert!(netted.transfers.iter().all(|transfer| circle(transfer.debtor) == circle(transfer.creditor)));
    }

    #[test]
    fn equal_amounts_meet_in_one_transfer() {
        // In all 1 owes 6 and 2 owes 4; 3 is owed 4, 4 and 5 are owed 3 each. Largest against largest would take four.
        let given = [owes(1, 3, 2), owes(1, 4, 3), owes(1, 5, 1), owes(2, 3, 2), owes(2, 5, 2)];
        let netted = multilateral(&given, &everyone()).expect("small").remove(0);
        assert_eq!(netted.transfers.len(), 3, "{:?}", netted.transfers);
    }

    proptest! {
        #[test]
        fn the_laws_of_netting_hold(given in debts(), consent in any::<u16>()) {
            let consenting: BTreeSet<GridId> = (0..9).filter(|n| consent >> n & 1 == 1).map(grid).collect();
            let results = multilateral(&given, &consenting).expect("small");
            let after: Vec<Debt> = results.iter().flat_map(|r| r.transfers.iter().chain(&r.standing)).copied().collect();
            // Nobody's net position changes.
            prop_assert_eq!(net_positions(&after), net_positions(&given));
            for result in &results {
                // The nets sum to zero, and the transfers pay exactly them.
                prop_assert_eq!(result.positions.iter().map(NetPosition::net).sum::<i128>(), 0);
                let nets: std::collections::BTreeMap<_, _> = result.positions.iter().filter(|p| p.net() != 0)
                    .map(|p| ((result.asset, p.grid), p.net())).collect();
                prop_assert_eq!(net_positions(&result.transfers), nets.clone());
                // Nobody pays or is paid by somebody who does not take part.
                for transfer in &result.transfers {
                    prop_assert!(consenting.contains(&transfer.debtor) && consenting.contains(&transfer.creditor));
                    prop_assert!(transfer.amount.0 > 0);
                }
                // And what others owe or are owed is as it was between the two.
                let before: Vec<Debt> = bilateral(&given).expect("small").into_iter().filter(|debt| debt.asset == result.asset
                    && !(consenting.contains(&debt.debtor) && consenting.contains(&debt.creditor))).collect();
                prop_assert_eq!(&result.standing, &before);
                // It never costs more, takes few transfers, and nobody both pays and is paid.
                prop_assert!(result.net <= result.gross);
                prop_assert!(result.transfers.len() <= nets.len().saturating_sub(1));
                let payers: BTreeSet<_> = result.transfers.iter().map(|t| t.debtor).collect();
                prop_assert!(result.transfers.iter().all(|t| !payers.contains(&t.creditor)));
            }
        }

        #[test]
        fn all_who_compute_it_get_the_same(given in debts(), shuffle in any::<prop::sample::Index>()) {
            let mut turned = given.clone();
            if !turned.is_empty() {
                let by = shuffle.index(turned.len());
                turned.rotate_left(by);
            }
            prop_assert_eq!(multilateral(&turned, &everyone()), multilateral(&given, &everyone()));
        }
    }
}
