//! What answers that are under way hold of the quotas: counted as used until it is used, or given back.

use crate::clearing::Ruled;
use crate::keys::{GridId, PublicKey};
use crate::ledger::UsageLine;
use crate::units::{Bytes, UnixSeconds};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// All that is held.
#[derive(Debug, Default)]
pub(super) struct Holds {
    held: Mutex<State>,
    /// One answer at a time asks whether there is more: of two that ask for the last of a quota one gets it.
    pub(super) turn: tokio::sync::Mutex<()>,
    /// Something was given back.
    pub(super) given_back: Notify,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    by_answer: HashMap<u64, Held>,
}

#[derive(Debug)]
struct Held {
    client: PublicKey,
    grid: GridId,
    /// By which prices it counts.
    ruled: Ruled,
    octets: u64,
}

/// What one answer holds. Given back when dropped.
#[derive(Debug)]
pub(super) struct Hold {
    holds: Arc<Holds>,
    answer: u64,
}

impl Holds {
    /// Nothing yet, for what `client` reads of `grid`.
    pub(super) fn begin(self: &Arc<Self>, client: PublicKey, grid: GridId, ruled: Ruled) -> Hold {
        let mut state = self.state();
        state.next += 1;
        let answer = state.next;
        state.by_answer.insert(answer, Held { client, grid, ruled, octets: 0 });
        Hold { holds: Arc::clone(self), answer }
    }

    /// All that is held, as lines that the books do not have.
    pub(super) fn lines(&self, now: UnixSeconds) -> Vec<UsageLine> {
        let state = self.state();
        let held = state.by_answer.values().filter(|held| held.octets > 0);
        held.flat_map(|held| held.ruled.lines(&held.client, &held.grid, Bytes(held.octets), now)).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that is done under this lock can panic.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Hold {
    /// How much it is.
    pub(super) fn octets(&self) -> u64 {
        self.holds.state().by_answer.get(&self.answer).map_or(0, |held| held.octets)
    }

    /// So much more.
    pub(super) fn add(&self, octets: u64) {
        if let Some(held) = self.holds.state().by_answer.get_mut(&self.answer) {
            held.octets = held.octets.saturating_add(octets);
        }
    }

    /// So much less: it went out, and counts elsewhere from now on.
    pub(super) fn less(&self, octets: u64) {
        if let Some(held) = self.holds.state().by_answer.get_mut(&self.answer) {
            held.octets = held.octets.saturating_sub(octets);
        }
        self.holds.given_back.notify_waiters();
    }

    /// It counts by these prices from now on.
    pub(super) fn by(&self, ruled: Ruled) {
        if let Some(held) = self.holds.state().by_answer.get_mut(&self.answer) {
            held.ruled = ruled;
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.holds.state().by_answer.remove(&self.answer);
        self.holds.given_back.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::SecretKey;
    use crate::ledger::Part;

    #[test]
    fn what_an_answer_held_and_did_not_send_is_given_back_when_it_breaks_off() {
        let (holds, now) = (Arc::<Holds>::default(), UnixSeconds(1_800_000_000));
        let (client, grid) = (SecretKey::from_seed(&[1; 32]).public(), SecretKey::from_seed(&[2; 32]).public());
        let hold = || holds.begin(client, GridId::new(grid), Ruled::at_a_unit_for_each_octet());
        let used = |part| {
            let lines = holds.lines(now).into_iter().filter(|line| line.part == part);
            lines.map(|line| (line.party, line.bytes.0, line.amount.0)).collect::<Vec<_>>()
        };
        let (first, second) = (hold(), hold());
        assert!(used(Part::Payee).is_empty(), "nothing is held yet");
        first.add(1_000);
        second.add(30);
        let mut both = used(Part::Payee);
        both.sort_unstable_by_key(|(_, bytes, _)| *bytes);
        assert_eq!(both, [(client, 30, 30), (client, 1_000, 1_000)]);
        // Part of it went out, and counts on its lane.
        first.less(400);
        drop(second);
        assert_eq!(used(Part::Payee), [(client, 600, 600)]);
        assert_eq!(used(Part::Payer), [(grid, 600, 600)]);
        drop(first);
        assert!(holds.lines(now).is_empty());
    }
}
