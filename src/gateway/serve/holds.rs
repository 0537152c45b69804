//! What answers that are under way hold of the quotas: counted as used until it is used, or given back. Where several gateways
//! write the same books each tells the others there what it has under way, before it counts as held.

use crate::clearing::Ruled;
use crate::keys::{GridId, PublicKey};
use crate::ledger::{Ledger, LedgerError, UsageLine};
use crate::units::{Bytes, Seconds, UnixSeconds};
use futures::future::BoxFuture;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// After how long other gateways are told once more what has not changed: their books count it for five minutes.
const SAID_AGAIN: Seconds = Seconds(60);

/// All that is held.
#[derive(Debug)]
pub(super) struct Holds {
    held: Mutex<State>,
    /// The books that other gateways write too, and the key by which this one is known there; none where nobody else does.
    books: Option<(Ledger, PublicKey)>,
    /// What was said there last, and when; nothing where that is nothing.
    said: Mutex<Option<(UnixSeconds, Vec<UsageLine>)>>,
    /// One answer at a time asks whether there is more: of two that ask for the last of a quota one gets it.
    turn: tokio::sync::Mutex<()>,
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
    /// Nothing held, by the gateway with this key; others may write the same books.
    pub(super) fn new(ledger: &Ledger, gateway: PublicKey) -> Self {
        let books = ledger.is_shared().then(|| (ledger.clone(), gateway));
        Self::beside(books)
    }

    fn beside(books: Option<(Ledger, PublicKey)>) -> Self {
        let (held, turn, given_back) = (Mutex::default(), tokio::sync::Mutex::default(), Notify::new());
        Self { held, books, said: Mutex::default(), turn, given_back }
    }

    /// What other gateways that write the same books have under way.
    pub(super) async fn elsewhere(&self, now: UnixSeconds) -> Result<Vec<UsageLine>, LedgerError> {
        match &self.books {
            Some((ledger, gateway)) => ledger.under_way_elsewhere(gateway, now).await,
            None => Ok(Vec::new()),
        }
    }

    /// Has `hold` hold as much more as `wants` makes of what `decide` says, which is told what other gateways have under way; `wants`
    /// says nothing where that is too little. `false`: it holds no more, and the last decision is why.
    pub(super) async fn more<'d, D, E: From<LedgerError>>(
        &self,
        hold: &Hold,
        now: UnixSeconds,
        under_way: impl Fn() -> Vec<UsageLine>,
        decide: impl Fn(Vec<UsageLine>) -> BoxFuture<'d, Result<D, E>>,
        wants: impl Fn(&D) -> Option<u64>,
    ) -> Result<(bool, D), E> {
        let _turn = self.turn.lock().await;
        let decision = decide(self.elsewhere(now).await?).await?;
        let Some(more) = wants(&decision) else { return Ok((false, decision)) };
        let Some((ledger, gateway)) = &self.books else {
            hold.add(more);
            return Ok((true, decision));
        };
        // First it is said and then decided once more: of two gateways that are about to hold the last of a quota the one that says
        // so later is told of the other.
        hold.add(more);
        let lines = under_way();
        hold.subtract(more);
        let elsewhere = self.say_to(ledger, gateway, lines, now).await?;
        let decision = decide(elsewhere).await?;
        if let Some(again) = wants(&decision) {
            hold.add(again.min(more));
            return Ok((true, decision));
        }
        self.say_to(ledger, gateway, under_way(), now).await?;
        Ok((false, decision))
    }

    /// Tells other gateways what is under way by now, if they were told something else, or were told so a minute ago.
    pub(super) async fn say(
        &self,
        now: UnixSeconds,
        under_way: impl Fn() -> Vec<UsageLine>,
    ) -> Result<(), LedgerError> {
        let Some((ledger, gateway)) = &self.books else { return Ok(()) };
        let _turn = self.turn.lock().await;
        let lines = under_way();
        let is_said = match &*self.said() {
            Some((at, said)) => *said == lines && now < at.plus(SAID_AGAIN),
            None => lines.is_empty(),
        };
        if !is_said {
            self.say_to(ledger, gateway, lines, now).await?;
        }
        Ok(())
    }

    async fn say_to(
        &self,
        ledger: &Ledger,
        gateway: &PublicKey,
        lines: Vec<UsageLine>,
        now: UnixSeconds,
    ) -> Result<Vec<UsageLine>, LedgerError> {
        // Whatever comes of it, something may stand there.
        *self.said() = Some((UnixSeconds(0), Vec::new()));
        let elsewhere = ledger.say_under_way(*gateway, lines.clone(), now).await?;
        *self.said() = (!lines.is_empty()).then_some((now, lines));
        Ok(elsewhere)
    }

    fn said(&self) -> MutexGuard<'_, Option<(UnixSeconds, Vec<UsageLine>)>> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }

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
        self.subtract(octets);
        self.holds.given_back.notify_waiters();
    }

    fn subtract(&self, octets: u64) {
        if let Some(held) = self.holds.state().by_answer.get_mut(&self.answer) {
            held.octets = held.octets.saturating_sub(octets);
        }
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
    use crate::ledger::{Location, Part};
    use futures::FutureExt;
    use std::sync::atomic::{AtomicU64, Ordering};

    #[test]
    fn what_an_answer_held_and_did_not_send_is_given_back_when_it_breaks_off() {
        let (holds, now) = (Arc::new(Holds::beside(None)), UnixSeconds(1_800_000_000));
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

    /// What the books leave of a quota that three gateways share, beside what all of them have under way.
    fn left(quota: u64, booked: &AtomicU64, lines: impl IntoIterator<Item = UsageLine>) -> u64 {
        let lines = lines.into_iter().filter(|line| line.part == Part::Payee);
        let under_way: u64 = lines.map(|line| line.bytes.0).sum();
        quota.saturating_sub(under_way).saturating_sub(booked.load(Ordering::SeqCst))
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn gateways_that_write_the_same_books_do_not_pass_a_quota_together() {
        const QUOTA: u64 = 3_000_000;
        const UNIT: u64 = 10_000;
        let (folder, now) = (tempfile::tempdir().unwrap(), UnixSeconds(1_800_000_000));
        let ledger = Ledger::open(Location::Sqlite(folder.path().join("books")), now).await.unwrap();
        let booked = Arc::<AtomicU64>::default();
        let key = |seed| SecretKey::from_seed(&[seed; 32]).public();
        let mut tasks = tokio::task::JoinSet::new();
        for gateway in 0..3 {
            let holds = Arc::new(Holds::beside(Some((ledger.clone(), key(gateway)))));
            for _ in 0..4 {
                let (holds, booked) = (Arc::clone(&holds), Arc::clone(&booked));
                tasks.spawn(async move {
                    // Until what is left is less than a unit, by the books alone.
                    while QUOTA - booked.load(Ordering::SeqCst) >= UNIT {
                        let hold = holds.begin(key(9), GridId::new(key(8)), Ruled::at_a_unit_for_each_octet());
                        let under_way = || holds.lines(now);
                        let decide = |elsewhere: Vec<UsageLine>| {
                            let lines = under_way().into_iter().chain(elsewhere);
                            let left = left(QUOTA, &booked, lines);
                            async move { Ok::<u64, LedgerError>(left) }.boxed()
                        };
                        let wants = |left: &u64| (*left >= UNIT).then(|| (*left / 4).max(UNIT));
                        let (holds_more, _) = holds.more(&hold, now, under_way, decide, wants).await.unwrap();
                        // Half of it is read, and the rest given back.
                        let read = if holds_more { (hold.octets() / 2).max(UNIT) } else { 0 };
                        let before = booked.fetch_add(read, Ordering::SeqCst);
                        assert!(before + read <= QUOTA, "{before} and {read} of {QUOTA}");
                        hold.less(read);
                        drop(hold);
                        holds.say(now, under_way).await.unwrap();
                    }
                });
            }
        }
        while let Some(done) = tasks.join_next().await {
            done.unwrap();
        }
        assert!(booked.load(Ordering::SeqCst) > QUOTA - UNIT);
    }
}
