//! Whose turn it is where many questions are for one server: libp2p drops what goes beyond the streams of a connection.

use libp2p_identity::PeerId;
use std::collections::{HashMap, VecDeque};

/// How many of our questions are open with one server at once. Its own questions to us need streams too, of 32 in all.
pub(super) const OPEN: usize = 24;
/// How many more may wait for one server.
const WAITING: usize = 1_024;

/// The questions open with each server, and those that wait for one of them to be answered.
#[derive(Debug)]
pub(super) struct Turns<Q>(HashMap<PeerId, Line<Q>>);

#[derive(Debug)]
struct Line<Q> {
    open: usize,
    waiting: VecDeque<Q>,
}

/// What becomes of a question.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Turn<Q> {
    /// It is to be asked; it counts as open.
    Now(Q),
    /// It waits.
    Later,
    /// It is given back: too many wait.
    Never(Q),
}

impl<Q> Default for Turns<Q> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<Q> Turns<Q> {
    /// Takes a question for `peer`.
    pub(super) fn take(&mut self, peer: PeerId, question: Q) -> Turn<Q> {
        let line = self.0.entry(peer).or_insert_with(|| Line { open: 0, waiting: VecDeque::new() });
        if line.open < OPEN {
            line.open += 1;
            Turn::Now(question)
        } else if line.waiting.len() < WAITING {
            line.waiting.push_back(question);
            Turn::Later
        } else {
            Turn::Never(question)
        }
    }

    /// Notes that one that was open is over. Returns the next one to ask, which counts as open: not one that nobody wants
    /// any more.
    pub(super) fn over(&mut self, peer: &PeerId, is_wanted: impl Fn(&Q) -> bool) -> Option<Q> {
        let line = self.0.get_mut(peer)?;
        while let Some(next) = line.waiting.pop_front() {
            if is_wanted(&next) {
                return Some(next);
            }
        }
        line.open -= 1;
        if line.open == 0 {
            self.0.remove(peer);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_to_one_server_wait_for_each_other_and_not_for_those_to_another() {
        let mut turns = Turns::default();
        let (busy, other) = (PeerId::random(), PeerId::random());
        for n in 0..OPEN {
            assert_eq!(turns.take(busy, n), Turn::Now(n));
        }
        for n in 0..WAITING {
            assert_eq!(turns.take(busy, 100 + n), Turn::Later);
        }
        assert_eq!(turns.take(busy, 7), Turn::Never(7));
        assert_eq!(turns.take(other, 8), Turn::Now(8));
        // First come, first asked; those that nobody wants any more are passed over.
        assert_eq!(turns.over(&busy, |n| *n != 100), Some(101));
        assert_eq!(turns.over(&other, |_| true), None);
        for _ in 0..WAITING - 2 {
            assert!(turns.over(&busy, |_| true).is_some());
        }
        for _ in 0..OPEN {
            assert_eq!(turns.over(&busy, |_| true), None);
        }
        assert!(turns.0.is_empty(), "nothing stays behind");
        assert_eq!(turns.over(&busy, |_| true), None);
    }
}
