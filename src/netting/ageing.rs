//! How long it is that statements have been due.

use crate::units::{Seconds, UnixSeconds};

/// What is not paid yet of one statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outstanding {
    /// When it is due.
    pub due: UnixSeconds,
    /// In minor units.
    pub amount: u128,
}

/// What is outstanding, by how many days it has been due. In minor units of one asset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ageing {
    /// Not due yet.
    pub not_due: u128,
    /// Due for less than 30 days.
    pub to_30_days: u128,
    /// For 30 days and less than 60.
    pub to_60_days: u128,
    /// For 60 days and less than 90.
    pub to_90_days: u128,
    /// For longer.
    pub older: u128,
    /// Since when the oldest of what is due has been due.
    pub due_since: Option<UnixSeconds>,
}

/// Sorts what is outstanding at `now` by age.
pub fn age(statements: &[Outstanding], now: UnixSeconds) -> Ageing {
    let mut ageing = Ageing::default();
    for statement in statements {
        let for_so_long = now.since(statement.due);
        let place = match for_so_long {
            _ if now < statement.due => &mut ageing.not_due,
            span if span < Seconds::days(30) => &mut ageing.to_30_days,
            span if span < Seconds::days(60) => &mut ageing.to_60_days,
            span if span < Seconds::days(90) => &mut ageing.to_90_days,
            _ => &mut ageing.older,
        };
        *place += statement.amount;
        if now >= statement.due && statement.amount > 0 {
            ageing.due_since = Some(ageing.due_since.map_or(statement.due, |since| since.min(statement.due)));
        }
    }
    ageing
}

/// Takes `paid` off the statements, the one that was due first before the others. Returns what was paid beyond all of them.
pub fn pay_oldest_first(statements: &mut Vec<Outstanding>, mut paid: u128) -> u128 {
    statements.sort_by_key(|statement| statement.due);
    for statement in &mut *statements {
        let taken = paid.min(statement.amount);
        statement.amount -= taken;
        paid -= taken;
    }
    statements.retain(|statement| statement.amount > 0);
    paid
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: UnixSeconds = UnixSeconds(1_800_000_000);

    fn due(days_ago: u64, amount: u128) -> Outstanding {
        Outstanding { due: NOW.minus(Seconds::days(days_ago)), amount }
    }

    #[test]
    fn a_statement_ages_from_the_day_it_is_due() {
        let later = Outstanding { due: NOW.plus(Seconds(1)), amount: 1 };
        let statements = [later, due(0, 2), due(29, 4), due(30, 8), due(60, 16), due(90, 32), due(4_000, 64)];
        let due_since = Some(NOW.minus(Seconds::days(4_000)));
        let expected = Ageing { not_due: 1, to_30_days: 6, to_60_days: 8, to_90_days: 16, older: 96, due_since };
        assert_eq!(age(&statements, NOW), expected);
        assert_eq!(age(&[later], NOW).due_since, None);
    }

    #[test]
    fn the_oldest_is_paid_first() {
        let mut statements = vec![due(1, 10), due(40, 5), due(70, 5)];
        assert_eq!(pay_oldest_first(&mut statements, 7), 0);
        assert_eq!(statements, [due(40, 3), due(1, 10)]);
        assert_eq!(pay_oldest_first(&mut statements, 20), 7);
        assert!(statements.is_empty());
    }

    proptest! {
        #[test]
        fn what_is_paid_and_what_is_left_make_the_whole(given in prop::collection::vec((0..200_u64, 1..1_000_u128), 0..20), paid in 0..9_000_u128) {
            let mut statements: Vec<Outstanding> = given.iter().map(|(days, amount)| due(*days, *amount)).collect();
            let before: u128 = statements.iter().map(|s| s.amount).sum();
            let beyond = pay_oldest_first(&mut statements, paid);
            let left: u128 = statements.iter().map(|s| s.amount).sum();
            prop_assert_eq!(left + paid, before + beyond);
            let ageing = age(&statements, NOW);
            prop_assert_eq!(ageing.not_due + ageing.to_30_days + ageing.to_60_days + ageing.to_90_days + ageing.older, left);
        }
    }
}
