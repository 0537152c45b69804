//! How much is given for nothing in a day, and to whom how much of it.

use crate::units::{Bytes, Seconds, UnixSeconds};
use std::collections::HashMap;
use std::hash::Hash;

/// What one account may have of the day: a quarter.
const SHARES: u64 = 4;
/// How many accounts are counted in a day, at some 80 octets each. Further ones get nothing on that day.
const MAX_ACCOUNTS: usize = 65_536;
const DAY: u64 = 86_400;

/// All that is given in a day has been, or an account's share of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("today's allowance is used up")]
pub struct Spent {
    /// The next day, in UTC, begins in so long.
    pub retry_after: Seconds,
}

/// Octets given since midnight UTC.
#[derive(Debug)]
pub struct Allowance<A> {
    whole: u64,
    day: u64,
    given: u64,
    to: HashMap<A, u64>,
}

impl<A: Clone + Eq + Hash> Allowance<A> {
    /// So many octets a day.
    pub fn new(whole: Bytes) -> Self {
        Self { whole: whole.0, day: 0, given: 0, to: HashMap::new() }
    }

    /// So many octets a day from now on; what was given today stays given.
    pub fn set_whole(&mut self, whole: Bytes) {
        self.whole = whole.0;
    }

    /// Takes `unit` for each of `accounts`, all of it or nothing.
    pub fn take(&mut self, accounts: &[A], unit: Bytes, now: UnixSeconds) -> Result<(), Spent> {
        self.turn(now);
        let share = self.whole / SHARES;
        let room = |given: u64, limit: u64| given.checked_add(unit.0).is_some_and(|sum| sum <= limit);
        let fits = |account: &A| match self.to.get(account) {
            Some(given) => room(*given, share),
            None => self.to.len() + accounts.len() <= MAX_ACCOUNTS && room(0, share),
        };
        if !room(self.given, self.whole) || !accounts.iter().all(fits) {
            return Err(Spent { retry_after: Seconds(DAY - now.0 % DAY) });
        }
        self.note(accounts, unit, now);
        Ok(())
    }

    /// Counts what was given before, as a restart remembers it.
    pub fn note(&mut self, accounts: &[A], given: Bytes, now: UnixSeconds) {
        self.turn(now);
        self.given = self.given.saturating_add(given.0);
        for account in accounts {
            let sum = self.to.entry(account.clone()).or_default();
            *sum = sum.saturating_add(given.0);
        }
    }

    /// Takes back what was taken on this day and not sent.
    pub fn give_back(&mut self, accounts: &[A], unit: Bytes, taken: UnixSeconds) {
        if taken.0 / DAY != self.day {
            return;
        }
        self.given = self.given.saturating_sub(unit.0);
        for account in accounts {
            if let Some(sum) = self.to.get_mut(account) {
                *sum = sum.saturating_sub(unit.0);
            }
        }
    }

    /// What was given today.
    pub fn given(&self) -> Bytes {
        Bytes(self.given)
    }

    fn turn(&mut self, now: UnixSeconds) {
        let day = now.0 / DAY;
        // A clock that was set back gives nobody the day again.
        if day > self.day {
            *self = Self { day, ..Self::new(Bytes(self.whole)) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOON: UnixSeconds = UnixSeconds(1_800_000_000 / DAY * DAY + DAY / 2);

    #[test]
    fn an_account_has_a_quarter_of_the_day_and_all_together_have_the_day() {
        let mut day = Allowance::new(Bytes(1_000));
        assert_eq!(day.take(&["a", "n"], Bytes(250), NOON), Ok(()));
        let spent = Err(Spent { retry_after: Seconds(DAY / 2) });
        assert_eq!(day.take(&["a"], Bytes(1), NOON), spent);
        assert_eq!(day.take(&["b", "n"], Bytes(1), NOON), spent);
        for account in ["b", "c", "d"] {
            assert_eq!(day.take(&[account], Bytes(250), NOON), Ok(()));
        }
        assert_eq!(day.take(&["e"], Bytes(1), NOON), spent);
        let midnight = NOON.plus(Seconds(DAY / 2));
        assert_eq!(day.take(&["e"], Bytes(1), midnight), Ok(()));
        assert_eq!(day.given(), Bytes(1));
        // Noon again: the clock was set back.
        assert_eq!(day.take(&["e"], Bytes(250), NOON), spent);
    }

    #[test]
    fn what_was_not_sent_is_given_back_on_its_own_day_only() {
        let mut day = Allowance::new(Bytes(1_000));
        day.take(&["a"], Bytes(250), NOON).unwrap();
        day.give_back(&["a"], Bytes(200), NOON);
        assert_eq!(day.take(&["a"], Bytes(200), NOON), Ok(()));
        let tomorrow = NOON.plus(Seconds::days(1));
        day.take(&["a"], Bytes(250), tomorrow).unwrap();
        day.give_back(&["a"], Bytes(250), NOON);
        assert_eq!(day.given(), Bytes(250));
    }

    #[test]
    fn a_restart_remembers_the_day() {
        let mut day = Allowance::new(Bytes(1_000));
        day.note(&["a"], Bytes(240), NOON);
        assert!(day.take(&["a"], Bytes(11), NOON).is_err());
        assert!(day.take(&["a"], Bytes(10), NOON).is_ok());
    }

    proptest! {
        #[test]
        fn no_day_gives_more_than_the_day(takes in proptest::collection::vec((0_u8..6, 0_u64..400, 0_u64..40_000), 1..100)) {
            let mut day = Allowance::new(Bytes(1_000));
            let (mut now, mut given) = (NOON.0, std::collections::BTreeMap::<(u64, Option<u8>), u64>::new());
            for (account, unit, wait) in takes {
                now += wait;
                if day.take(&[account], Bytes(unit), UnixSeconds(now)).is_ok() {
                    *given.entry((now / DAY, None)).or_default() += unit;
                    *given.entry((now / DAY, Some(account))).or_default() += unit;
                }
            }
            for ((_, account), sum) in given {
                let limit = if account.is_some() { 250 } else { 1_000 };
                prop_assert!(sum <= limit);
            }
        }
    }
}
