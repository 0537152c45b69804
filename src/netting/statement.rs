//! From minor units to what can be paid.

use crate::rate::Asset;

/// What of an amount is paid now, and what is carried into the next statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Payable {
    /// A whole number of payable units, in minor units.
    pub due: u128,
    /// Less than one payable unit.
    pub carried: u128,
}

/// Rounds what a statement comes to, `amount` and what the one before it `carried`, down to units that can be paid: cents,
/// yen, satoshis. The one place where that is done, once for each statement and asset; nothing is lost, since the rest is
/// carried forward.
pub fn payable(asset: Asset, amount: u128, carried: u128) -> Payable {
    let unit = u128::from(asset.payable_unit());
    let whole = amount + carried;
    Payable { due: whole / unit * unit, carried: whole % unit }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn less_than_a_cent_waits_for_the_next_statement() {
        let usd = Asset::from_code("USD").expect("known");
        // A cent is 10^7 of the minor units that prices are counted in.
        assert_eq!(payable(usd, 29_999_999, 0), Payable { due: 20_000_000, carried: 9_999_999 });
        assert_eq!(payable(usd, 1, 9_999_999), Payable { due: 10_000_000, carried: 0 });
        let btc = Asset::from_code("BTC").expect("known");
        assert_eq!(payable(btc, 1_999, 0), Payable { due: 1_000, carried: 999 });
    }

    proptest! {
        #[test]
        fn over_many_statements_nothing_is_lost(amounts in prop::collection::vec(0..1_u64 << 40, 1..30)) {
            let usd = Asset::from_code("USD").expect("known");
            let (mut paid, mut carried) = (0, 0);
            for amount in &amounts {
                let statement = payable(usd, u128::from(*amount), carried);
                prop_assert_eq!(statement.due % 10_000_000, 0);
                prop_assert!(statement.carried < 10_000_000);
                paid += statement.due;
                carried = statement.carried;
            }
            prop_assert_eq!(paid + carried, amounts.iter().map(|a| u128::from(*a)).sum::<u128>());
        }
    }
}
