//! How much may be under way at once: whole units, reserved before their first octet, first come, first served.
//!
//! A unit is reserved as one piece, so that nobody holds half of one that the other side cannot acknowledge.

use crate::units::Bytes;
use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::Hash;

/// What one account may have under way of a window that several share, and what a unit may have to be one among others: a
/// quarter of it.
const SHARES: u64 = 4;
/// How many units may wait. Each belongs to a request that is held open.
const MAX_WAITING: usize = 1_024;

/// Names a unit that is under way or waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(u64);

/// What came of asking for room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// The unit is under way.
    Granted(Ticket),
    /// It waits; an [`Window::end`] of others will name it.
    Waits(Ticket),
}

/// Why a unit gets no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WindowRefusal {
    /// No wait will help.
    #[error("a unit of {unit} does not fit into the window of {window}")]
    TooLarge {
        /// The unit.
        unit: Bytes,
        /// All that may be under way.
        window: Bytes,
    },
    /// Too much was delivered before and never acknowledged; no wait in the queue will help.
    #[error("{adrift} were delivered and never acknowledged: a unit of {unit} does not fit beside them")]
    Adrift {
        /// The unit.
        unit: Bytes,
        /// What holds the window.
        adrift: Bytes,
    },
    /// Too many wait already.
    #[error("{MAX_WAITING} units wait for room already")]
    Crowded,
}

/// Octets under way, of one payer or of several accounts that share a window.
///
/// An account has a quarter of the window, or one larger unit alone. A unit on no account is the only payer's, who has the
/// whole window, and for whom a unit above a quarter of it passes when nothing else is out.
#[derive(Debug)]
pub struct Window<A> {
    whole: u64,
    out: u64,
    adrift: u64,
    of: HashMap<A, u64>,
    under_way: HashMap<Ticket, Unit<A>>,
    waiting: VecDeque<(Ticket, Unit<A>)>,
    next: u64,
}

#[derive(Debug, Clone)]
struct Unit<A> {
    accounts: Vec<A>,
    size: u64,
}

/// What is in the way of a unit.
enum Obstacle<A> {
    /// The window as a whole: everybody who comes later waits too, or a large unit would wait for ever.
    Window,
    /// These of its own accounts: units of others pass.
    Shares(Vec<A>),
}

impl<A: Clone + Eq + Hash> Window<A> {
    /// A window of so many octets, with nothing out.
    pub fn new(whole: Bytes) -> Self {
        let (of, under_way, waiting) = (HashMap::new(), HashMap::new(), VecDeque::new());
        Self { whole: whole.0, out: 0, adrift: 0, of, under_way, waiting, next: 0 }
    }

    /// All that may be under way.
    pub fn whole(&self) -> Bytes {
        Bytes(self.whole)
    }

    /// All that may be under way is so much from now on. Returns those that are under way then; what is beyond it already runs
    /// out.
    pub fn set_whole(&mut self, whole: Bytes) -> Vec<Ticket> {
        self.whole = whole.0;
        self.grant()
    }

    /// What is under way.
    pub fn out(&self) -> Bytes {
        Bytes(self.out)
    }

    /// What was delivered before and never acknowledged: it holds the window without being under way.
    pub fn adrift(&self) -> Bytes {
        Bytes(self.adrift)
    }

    /// States how much is adrift. Returns those that are under way from now on, if it is less than before.
    pub fn set_adrift(&mut self, octets: Bytes) -> Vec<Ticket> {
        let less = octets.0 < self.adrift;
        self.adrift = octets.0;
        if less { self.grant() } else { Vec::new() }
    }

    /// Whether nothing is under way and nobody waits.
    pub fn is_idle(&self) -> bool {
        self.under_way.is_empty() && self.waiting.is_empty()
    }

    /// Asks for room for a unit that is counted for `accounts`, no two of them alike.
    pub fn ask(&mut self, accounts: &[A], unit: Bytes) -> Result<Ask, WindowRefusal> {
        if unit.0 > self.whole {
            return Err(WindowRefusal::TooLarge { unit, window: self.whole() });
        }
        if unit.0.saturating_add(self.adrift) > self.whole {
            return Err(WindowRefusal::Adrift { unit, adrift: self.adrift() });
        }
        if self.waiting.len() >= MAX_WAITING {
            return Err(WindowRefusal::Crowded);
        }
        let ticket = Ticket(self.next);
        self.next += 1;
        self.waiting.push_back((ticket, Unit { accounts: accounts.to_vec(), size: unit.0 }));
        Ok(if self.grant().contains(&ticket) { Ask::Granted(ticket) } else { Ask::Waits(ticket) })
    }

    /// A unit has arrived, or is given up, waiting or not. Returns those that are under way from now on.
    pub fn end(&mut self, ticket: Ticket) -> Vec<Ticket> {
        if let Some(unit) = self.under_way.remove(&ticket) {
            self.out -= unit.size;
            for account in unit.accounts {
                if let Some(out) = self.of.get_mut(&account) {
                    *out -= unit.size;
                    if *out == 0 {
                        self.of.remove(&account);
                    }
                }
            }
        } else {
            self.waiting.retain(|(waiting, _)| *waiting != ticket);
        }
        self.grant()
    }

    /// Lets those through who have waited longest, until nobody else fits: who asks next then finds that the others wait still.
    fn grant(&mut self) -> Vec<Ticket> {
        let mut granted = Vec::new();
        loop {
            // What one pass grants may fill a share that holds up a unit which was in everybody's way in that pass.
            let more = self.pass();
            if more.is_empty() {
                return granted;
            }
            granted.extend(more);
        }
    }

    fn pass(&mut self) -> Vec<Ticket> {
        let mut granted = Vec::new();
        let mut held_up: HashSet<A> = HashSet::new();
        let mut still = VecDeque::with_capacity(self.waiting.len());
        while let Some((ticket, unit)) = self.waiting.pop_front() {
            // Nobody is overtaken by a later unit of an account that he waits for.
            let behind = unit.accounts.iter().any(|account| held_up.contains(account));
            let obstacle = if behind { Some(Obstacle::Shares(Vec::new())) } else { self.obstacle(&unit) };
            match obstacle {
                None => {
                    self.out += unit.size;
                    for account in &unit.accounts {
                        *self.of.entry(account.clone()).or_default() += unit.size;
                    }
                    self.under_way.insert(ticket, unit);
                    granted.push(ticket);
                }
                Some(Obstacle::Shares(full)) => {
                    held_up.extend(full);
                    still.push_back((ticket, unit));
                }
                Some(Obstacle::Window) => {
                    still.push_back((ticket, unit));
                    still.append(&mut self.waiting);
                }
            }
        }
        self.waiting = still;
        granted
    }

    fn obstacle(&self, unit: &Unit<A>) -> Option<Obstacle<A>> {
        let share = self.whole / SHARES;
        let is_full = |account: &&A| {
            let out = self.of.get(*account).copied().unwrap_or(0);
            out > 0 && out + unit.size > share
        };
        let full: Vec<A> = unit.accounts.iter().filter(is_full).cloned().collect();
        if !full.is_empty() {
            return Some(Obstacle::Shares(full));
        }
        // It was asked for when the window was larger: nobody else would ever come through behind it.
        if unit.size > self.whole && self.out == 0 && self.adrift == 0 {
            return None;
        }
        let alone = unit.accounts.is_empty() && unit.size > share && self.out > 0;
        let held = self.out.saturating_add(self.adrift);
        (alone || held.saturating_add(unit.size) > self.whole).then_some(Obstacle::Window)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const WHOLE: Bytes = Bytes(1_000);

    fn granted(ask: Result<Ask, WindowRefusal>) -> Ticket {
        match ask {
            Ok(Ask::Granted(ticket)) => ticket,
            other => panic!("{other:?}"),
        }
    }

    fn waits(ask: Result<Ask, WindowRefusal>) -> Ticket {
        match ask {
            Ok(Ask::Waits(ticket)) => ticket,
            other => panic!("{other:?}"),
        }
    }

    /// The last one was under way as soon as somebody else asked, and nobody had been told.
    #[test]
    fn who_asks_sets_nobody_else_under_way() {
        let mut window = Window::new(WHOLE);
        let alone = granted(window.ask(&["a"], WHOLE));
        let first = [("x", 250), ("p", 250), ("q", 250), ("r", 1)];
        let mut expected = first.map(|(account, size)| waits(window.ask(&[account], Bytes(size)))).to_vec();
        waits(window.ask(&["x", "y"], Bytes(200)));
        expected.push(waits(window.ask(&["y"], Bytes(100))));
        // Too large for what is left, until the one before it waits for its share too.
        waits(window.ask(&["y"], Bytes(150)));
        expected.push(waits(window.ask(&["s"], Bytes(10))));
        assert_eq!(window.end(alone), expected);
        granted(window.ask(&["t"], Bytes(1)));
        assert_eq!(window.out(), Bytes(862));
    }

    #[test]
    fn one_payer_fills_the_window_with_small_units() {
        let mut window: Window<u8> = Window::new(WHOLE);
        let first = granted(window.ask(&[], Bytes(250)));
        for _ in 0..3 {
            granted(window.ask(&[], Bytes(250)));
        }
        let next = waits(window.ask(&[], Bytes(1)));
        assert_eq!(window.out(), WHOLE);
        assert_eq!(window.end(first), [next]);
    }

    #[test]
    fn a_unit_above_a_quarter_passes_when_nothing_else_is_out() {
        let mut window: Window<u8> = Window::new(WHOLE);
        let small = granted(window.ask(&[], Bytes(1)));
        let large = waits(window.ask(&[], Bytes(251)));
        // Who comes later does not keep it waiting for ever.
        let later = waits(window.ask(&[], Bytes(1)));
        assert_eq!(window.end(small), [large, later]);
        assert_eq!(window.ask(&[], Bytes(1_001)), Err(WindowRefusal::TooLarge { unit: Bytes(1_001), window: WHOLE }));
    }

    #[test]
    fn an_account_has_a_quarter_and_the_others_pass_it() {
        let mut window = Window::new(WHOLE);
        let first = granted(window.ask(&["a"], Bytes(200)));
        let second = waits(window.ask(&["a"], Bytes(60)));
        let overtaking = waits(window.ask(&["a"], Bytes(10)));
        granted(window.ask(&["b", "n"], Bytes(250)));
        let neighbour = waits(window.ask(&["c", "n"], Bytes(1)));
        assert_eq!(window.end(first), [second, overtaking]);
        // Who gives up waiting is out of the way.
        assert_eq!(window.end(neighbour), []);
        granted(window.ask(&["c"], Bytes(900 - 250 - 70)));
    }

    #[test]
    fn what_is_adrift_holds_the_window_until_it_is_less() {
        let mut window: Window<u8> = Window::new(WHOLE);
        assert_eq!(window.set_adrift(Bytes(800)), []);
        granted(window.ask(&[], Bytes(150)));
        let next = waits(window.ask(&[], Bytes(100)));
        let refused = WindowRefusal::Adrift { unit: Bytes(201), adrift: Bytes(800) };
        assert_eq!(window.ask(&[], Bytes(201)), Err(refused));
        assert_eq!(window.set_adrift(Bytes(750)), [next]);
        assert_eq!((window.out(), window.adrift()), (Bytes(250), Bytes(750)));
    }

    #[test]
    fn what_waits_while_the_window_shrinks_below_it_passes_alone() {
        let mut window: Window<u8> = Window::new(WHOLE);
        let small = granted(window.ask(&[], Bytes(1)));
        let large = waits(window.ask(&[], Bytes(600)));
        let later = waits(window.ask(&[], Bytes(1)));
        assert_eq!(window.set_whole(Bytes(250)), []);
        assert_eq!(window.end(small), [large]);
        assert_eq!(window.end(large), [later]);
    }

    #[test]
    fn so_many_wait_and_no_more() {
        let mut window = Window::new(WHOLE);
        granted(window.ask(&["a"], WHOLE));
        for _ in 0..MAX_WAITING {
            waits(window.ask(&["a"], Bytes(1)));
        }
        assert_eq!(window.ask(&["b"], Bytes(1)), Err(WindowRefusal::Crowded));
    }

    proptest! {
        #[test]
        fn nothing_passes_the_window_or_a_share_and_nobody_waits_for_ever(
            steps in proptest::collection::vec((0_u8..4, 0_u8..3, 0_u64..1_200, any::<prop::sample::Index>()), 1..120),
        ) {
            let mut window = Window::new(WHOLE);
            let mut live: Vec<(Ticket, Vec<u8>, u64)> = Vec::new();
            let mut waiting: Vec<(Ticket, Vec<u8>, u64)> = Vec::new();
            let start = |tickets: Vec<Ticket>, live: &mut Vec<_>, waiting: &mut Vec<(Ticket, Vec<u8>, u64)>| {
                for ticket in tickets {
                    let at = waiting.iter().position(|(t, ..)| *t == ticket).expect("one that waits");
                    live.push(waiting.remove(at));
                }
            };
            for (action, account, size, which) in steps {
                if action == 0 && !live.is_empty() {
                    let (ticket, ..) = live.remove(which.index(live.len()));
                    let tickets = window.end(ticket);
                    start(tickets, &mut live, &mut waiting);
                } else {
                    let accounts = if account == 2 { vec![] } else { vec![account, 10] };
                    match window.ask(&accounts, Bytes(size)) {
                        Ok(Ask::Granted(ticket)) => live.push((ticket, accounts, size)),
                        Ok(Ask::Waits(ticket)) => waiting.push((ticket, accounts, size)),
                        Err(refusal) => {
                            let too_large = WindowRefusal::TooLarge { unit: Bytes(size), window: WHOLE };
                            prop_assert_eq!(refusal, too_large);
                        }
                    }
                }
                let out: u64 = live.iter().map(|(.., size)| size).sum();
                prop_assert_eq!(window.out(), Bytes(out));
                prop_assert!(out <= WHOLE.0);
                for account in [0, 1, 10] {
                    let of: Vec<u64> =
                        live.iter().filter(|(_, accounts, _)| accounts.contains(&account)).map(|(.., size)| *size).collect();
                    let big = of.iter().filter(|size| **size > 0).count();
                    prop_assert!(of.iter().sum::<u64>() <= 250 || big == 1);
                }
            }
            while let Some((ticket, ..)) = live.pop() {
                let tickets = window.end(ticket);
                start(tickets, &mut live, &mut waiting);
            }
            prop_assert!(waiting.is_empty());
            prop_assert_eq!(window.out(), Bytes(0));
            prop_assert!(window.of.is_empty() && window.under_way.is_empty());
        }
    }
}
