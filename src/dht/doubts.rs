//! Which of the stated addresses others do not reach, by what servers say that were asked to dial them.
//!
//! One server may lie, or have a bad line: where servers of two networks are known, two must say so. One that reaches an
//! address is enough to clear it, since a dial that arrives is no hearsay.

use crate::address::Network;
use multiaddr::Multiaddr;
use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

/// How long after the start the first check is made: by then the node has met others.
const FIRST: Duration = Duration::from_secs(10);
/// How often an address that is reached is checked again.
const WHILE_REACHED: Duration = Duration::from_secs(3_600);
/// How long an answer may take: libp2p asks within five seconds and waits ten.
const ANSWER: Duration = Duration::from_secs(20);
/// How long after a check without success another server is asked; twice as long after each further one.
const PAUSE: Duration = Duration::from_secs(5);
/// The longest that is waited then. A check costs the server two handshakes.
const MAX_PAUSE: Duration = Duration::from_secs(900);
/// The networks whose failures are needed, where so many are known.
const NEEDED: usize = 2;

/// What servers have said of the stated addresses.
#[derive(Debug)]
pub(super) struct Doubts {
    failed: HashMap<Multiaddr, Failed>,
    due: Instant,
    rounds: usize,
    /// Checks begun since every address was reached.
    fruitless: u32,
}

#[derive(Debug, Default)]
struct Failed {
    networks: HashSet<Option<Network>>,
    doubted: bool,
}

/// What an answer changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// The address is doubted from now on.
    Doubted,
    /// It is not any more.
    Cleared,
}

impl Doubts {
    /// Nothing is doubted yet.
    pub(super) fn new(now: Instant) -> Self {
        Self { failed: HashMap::new(), due: now + FIRST, rounds: 0, fruitless: 0 }
    }

    /// Whether a check is due. The next one then is when an answer says, or after a pause if none comes.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        now >= self.due
    }

    /// Notes that a check begins. Returns how many there were before: each asks another server.
    pub(super) fn begin(&mut self, now: Instant) -> usize {
        self.fruitless = self.fruitless.saturating_add(1);
        self.due = now + self.pause().max(ANSWER);
        self.rounds = self.rounds.wrapping_add(1);
        self.rounds.wrapping_sub(1)
    }

    /// Notes that a server of `network` was asked to dial `addr`, and whether it did. Servers of `known` networks are known.
    pub(super) fn heard(
        &mut self,
        addr: &Multiaddr,
        network: Option<Network>,
        reached: bool,
        known: usize,
        now: Instant,
    ) -> Option<Change> {
        if reached {
            let was_doubted = self.failed.remove(addr).is_some_and(|failed| failed.doubted);
            if self.failed.is_empty() {
                (self.due, self.fruitless) = (now + WHILE_REACHED, 0);
            }
            return was_doubted.then_some(Change::Cleared);
        }
        let failed = self.failed.entry(addr.clone()).or_default();
        let was_doubted = failed.doubted;
        if !was_doubted {
            failed.networks.insert(network);
            failed.doubted = failed.networks.len() >= NEEDED.min(known);
        }
        let is_doubted = failed.doubted;
        self.due = if is_doubted { now + self.pause() } else { now };
        (is_doubted && !was_doubted).then_some(Change::Doubted)
    }

    fn pause(&self) -> Duration {
        let doublings = self.fruitless.saturating_sub(1).min(16);
        PAUSE.saturating_mul(1 << doublings).min(MAX_PAUSE)
    }

    /// The addresses that are doubted.
    pub(super) fn doubted(&self) -> Vec<Multiaddr> {
        let mut doubted: Vec<Multiaddr> =
            self.failed.iter().filter(|(_, failed)| failed.doubted).map(|(addr, _)| addr.clone()).collect();
        doubted.sort_unstable_by_key(ToString::to_string);
        doubted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addr(text: &str) -> Multiaddr {
        text.parse().unwrap()
    }

    fn network(n: u8) -> Option<Network> {
        Network::of_multiaddr(&addr(&format!("/ip4/127.0.{n}.1/tcp/1")))
    }

    #[test]
    fn an_address_is_doubted_once_two_networks_fail_and_cleared_by_one_dial_that_arrives() {
        let now = Instant::now();
        let (quic, tcp) = (addr("/ip4/192.0.2.1/udp/1/quic-v1"), addr("/ip4/192.0.2.1/tcp/1"));
        let mut doubts = Doubts::new(now);
        assert_eq!(doubts.heard(&quic, network(1), false, 5, now), None);
        assert_eq!(doubts.heard(&quic, network(1), false, 5, now), None, "the same network twice");
        assert_eq!(doubts.heard(&tcp, network(2), false, 5, now), None, "another address");
        assert_eq!(doubts.heard(&quic, network(2), false, 5, now), Some(Change::Doubted));
        assert_eq!(doubts.heard(&quic, network(3), false, 5, now), None, "said once");
        assert_eq!(doubts.doubted(), std::slice::from_ref(&quic));
        assert_eq!(doubts.heard(&tcp, network(3), true, 5, now), None);
        assert_eq!(doubts.heard(&quic, network(3), true, 5, now), Some(Change::Cleared));
        assert!(doubts.doubted().is_empty());
    }

    #[test]
    fn the_only_network_there_is_suffices() {
        let (now, quic) = (Instant::now(), addr("/ip4/192.0.2.1/udp/1/quic-v1"));
        assert_eq!(Doubts::new(now).heard(&quic, network(1), false, 1, now), Some(Change::Doubted));
    }

    #[test]
    fn a_check_is_made_again_after_an_hour_where_all_is_well_and_ever_later_where_it_is_not() {
        let now = Instant::now();
        let quic = addr("/ip4/192.0.2.1/udp/1/quic-v1");
        let mut doubts = Doubts::new(now);
        assert!(!doubts.is_due(now) && doubts.is_due(now + FIRST));
        doubts.begin(now);
        doubts.heard(&quic, network(1), true, 5, now);
        assert!(!doubts.is_due(now + WHILE_REACHED - Duration::from_secs(1)) && doubts.is_due(now + WHILE_REACHED));
        let mut at = now;
        let pauses: Vec<u64> = (0..10)
            .map(|n| {
                doubts.begin(at);
                doubts.heard(&quic, network(n), false, 5, at);
                let before = at;
                while !doubts.is_due(at) {
                    at += Duration::from_secs(1);
                }
                (at - before).as_secs()
            })
            .collect();
        assert_eq!(pauses, [0, 10, 20, 40, 80, 160, 320, 640, 900, 900], "a second opinion is asked for at once");
    }
}
