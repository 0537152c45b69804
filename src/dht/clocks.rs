//! What the others' clocks say, so that a wrong one of ours is noticed.

use crate::units::UnixSeconds;
use libp2p_identity::PeerId;
use std::collections::VecDeque;

/// How many peers' clocks are remembered, the latest.
const REMEMBERED: usize = 31;
/// With fewer, one liar could be the median.
const NEEDED: usize = 3;

/// The latest clock of each of the last peers that answered.
#[derive(Debug, Default)]
pub(super) struct PeerClocks(VecDeque<(PeerId, i64)>);

impl PeerClocks {
    /// Notes that `peer` said `theirs` when we read `ours`.
    pub(super) fn note(&mut self, peer: PeerId, ours: UnixSeconds, theirs: UnixSeconds) {
        self.0.retain(|(known, _)| *known != peer);
        let ahead = i64::try_from(i128::from(theirs.0) - i128::from(ours.0)).unwrap_or(i64::MAX);
        self.0.push_back((peer, ahead));
        if self.0.len() > REMEMBERED {
            self.0.pop_front();
        }
    }

    /// By how many seconds the median of the others is ahead of us; `None` until three have told.
    pub(super) fn median_ahead(&self) -> Option<i64> {
        if self.0.len() < NEEDED {
            return None;
        }
        let mut ahead: Vec<i64> = self.0.iter().map(|(_, ahead)| *ahead).collect();
        ahead.sort_unstable();
        Some(ahead[ahead.len() / 2])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_wrong_clock_of_three_does_not_move_the_median() {
        let mut clocks = PeerClocks::default();
        let ours = UnixSeconds(1_000_000);
        clocks.note(PeerId::random(), ours, UnixSeconds(1_000_001));
        clocks.note(PeerId::random(), ours, UnixSeconds(u64::MAX));
        assert_eq!(clocks.median_ahead(), None);
        clocks.note(PeerId::random(), ours, UnixSeconds(999_999));
        assert_eq!(clocks.median_ahead(), Some(1));
    }

    #[test]
    fn a_peer_counts_once() {
        let mut clocks = PeerClocks::default();
        let liar = PeerId::random();
        for _ in 0..10 {
            clocks.note(liar, UnixSeconds(0), UnixSeconds(5_000));
        }
        assert_eq!(clocks.median_ahead(), None);
    }
}
