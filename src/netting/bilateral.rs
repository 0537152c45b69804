//! Setting off what two grids owe each other.

use crate::netting::debt::{Debt, NettingError, debt};

/// Leaves at most one debt between two grids in each asset: the difference of what they owe each other.
///
/// In the order of asset, then debtor, then creditor. Pairs that owe each other nothing in the end are left out.
pub fn bilateral(debts: &[Debt]) -> Result<Vec<Debt>, NettingError> {
    // Sorting references takes 8 octets a debt, where a map of pairs would copy both keys.
    let mut sorted: Vec<&Debt> = debts.iter().collect();
    let pair = |debt: &Debt| (debt.asset, debt.debtor.min(debt.creditor), debt.debtor.max(debt.creditor));
    sorted.sort_unstable_by_key(|debt| pair(debt));
    let mut nets = Vec::new();
    for between in sorted.chunk_by(|a, b| pair(a) == pair(b)) {
        let (asset, low, high) = pair(between[0]);
        if low == high {
            return Err(NettingError::Itself(low));
        }
        // At most 2^64 debts of 2^64 each, which 128 bits hold.
        let owed_by = |grid| between.iter().filter(|d| d.debtor == grid).map(|d| u128::from(d.amount.0)).sum::<u128>();
        let (low_owes, high_owes) = (owed_by(low), owed_by(high));
        if low_owes > high_owes {
            nets.push(debt(asset, low, high, low_owes - high_owes)?);
        } else if high_owes > low_owes {
            nets.push(debt(asset, high, low, high_owes - low_owes)?);
        }
    }
    nets.sort_unstable();
    Ok(nets)
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

    #[test]
    fn two_grids_owe_each_other_the_difference() {
        let nets = bilateral(&[owes(1, 2, 5), owes(2, 1, 7), owes(1, 2, 1), owes(1, 3, 4), owes(3, 1, 4)]);
        assert_eq!(nets, Ok(vec![owes(2, 1, 1)]));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        assert_eq!(bilateral(&[owes(1, 1, 5)]), Err(NettingError::Itself(grid(1))));
        let most = MinorUnits::MAX.0;
        assert!(matches!(bilateral(&[owes(1, 2, most), owes(1, 2, 1)]), Err(NettingError::TooLarge { .. })));
        assert_eq!(bilateral(&[owes(1, 2, most), owes(1, 2, 1), owes(2, 1, 1)]), Ok(vec![owes(1, 2, most)]));
    }

    proptest! {
        #[test]
        fn nobodys_position_changes_and_the_order_of_debts_does_not_matter(given in debts()) {
            let nets = bilateral(&given).expect("small");
            prop_assert_eq!(net_positions(&nets), net_positions(&given));
            let mut reversed = given;
            reversed.reverse();
            prop_assert_eq!(bilateral(&reversed).expect("small"), nets.clone());
            for net in &nets {
                prop_assert!(net.amount.0 > 0);
                let back = nets.iter().filter(|other| other.asset == net.asset && other.debtor == net.creditor && other.creditor == net.debtor);
                prop_assert_eq!(back.count(), 0);
            }
        }
    }
}
