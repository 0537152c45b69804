//! How a storage server has been doing: what a reader sorts servers by. It forbids nothing.

use std::cmp::Ordering;
use std::time::{Duration, Instant};

/// The first pause after a failure; each further one doubles it.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause: a server that is back is found again within it.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// A new latency counts for an eighth, as in TCP's own estimate (RFC 6298).
const SMOOTHING: u32 = 8;

/// How a server has answered so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Health {
    /// The moving average of the time from a question to the first byte of its answer; `None` before the first answer.
    pub latency: Option<Duration>,
    /// Failures since the last answer.
    pub consecutive_failures: u32,
    /// How long it is better left alone: zero if not at all.
    pub pause: Duration,
    /// How often a share of its did not verify, since the start.
    pub corrupt_shares: u64,
}

impl Health {
    /// The better server is the smaller one: first those that need no pause, then the quick ones, then the unknown.
    pub fn compare(&self, other: &Self) -> Ordering {
        let rank = |health: &Self| (health.pause, health.consecutive_failures, health.latency.unwrap_or(Duration::MAX));
        rank(self).cmp(&rank(other))
    }
}

/// What health is computed from.
#[derive(Debug, Default)]
pub(super) struct Experience {
    latency: Option<Duration>,
    consecutive_failures: u32,
    paused_until: Option<Instant>,
    corrupt_shares: u64,
}

impl Experience {
    /// A share did not verify.
    pub(super) fn blamed(&mut self, now: Instant) {
        self.corrupt_shares = self.corrupt_shares.saturating_add(1);
        self.failed(now);
    }

    pub(super) fn answered(&mut self, latency: Duration) {
        self.latency = Some(match self.latency {
            Some(known) => (known * (SMOOTHING - 1) + latency) / SMOOTHING,
            None => latency,
        });
    }

    /// A whole answer came that kept to the protocol.
    pub(super) fn succeeded(&mut self) {
        self.consecutive_failures = 0;
        self.paused_until = None;
    }

    pub(super) fn failed(&mut self, now: Instant) {
        let pause = FIRST_PAUSE.saturating_mul(1 << self.consecutive_failures.min(16)).min(LONGEST_PAUSE);
        self.consecutive_failures = self.consecutive_failures.saturating_add(1);
        self.paused_until = now.checked_add(pause);
    }

    pub(super) fn health(&self, now: Instant) -> Health {
        Health {
            latency: self.latency,
            consecutive_failures: self.consecutive_failures,
            pause: self.paused_until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now)),
            corrupt_shares: self.corrupt_shares,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_pause_longer_and_longer_and_an_answer_ends_it() {
        let start = Instant::now();
        let mut experience = Experience::default();
        let mut pauses = Vec::new();
        for _ in 0..12 {
            experience.failed(start);
            pauses.push(experience.health(start).pause.as_secs());
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
        assert_eq!(experience.health(start + Duration::from_secs(301)).pause, Duration::ZERO);
        assert_eq!(experience.health(start).consecutive_failures, 12);
        experience.succeeded();
        assert_eq!(experience.health(start), Health::default());
    }

    #[test]
    fn the_latency_moves_slowly() {
        let start = Instant::now();
        let mut experience = Experience::default();
        experience.answered(Duration::from_millis(80));
        experience.answered(Duration::from_millis(160));
        assert_eq!(experience.health(start).latency, Some(Duration::from_millis(90)));
    }

    #[test]
    fn the_healthy_and_quick_come_first() {
        let quick = Health { latency: Some(Duration::from_millis(5)), ..Health::default() };
        let slow = Health { latency: Some(Duration::from_millis(50)), ..Health::default() };
        let unknown = Health::default();
        let failing = Health { consecutive_failures: 2, pause: Duration::from_secs(1), ..quick };
        let mut all = [failing, unknown, slow, quick];
        all.sort_by(Health::compare);
        assert_eq!(all, [quick, slow, unknown, failing]);
    }
}
