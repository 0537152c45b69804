//! How many new keys a node takes from one part of the network.
//!
//! A valid record costs its sender one key pair, and key pairs are free; addresses in many networks are not. Records of
//! grids that are held already pass freely: updates and replication must never wait behind a flood.

use crate::address::Network;
use libp2p_identity::PeerId;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// New keys that one /24 or /48 may bring at once. A publisher has one; a testnet's first node brings its whole federation.
const NETWORK_BURST: u32 = 100;
/// One more new key for a network each such span: 60 an hour.
const NETWORK_REFILL: Duration = Duration::from_secs(60);
/// New keys that one peer may bring at once.
const PEER_BURST: u32 = 50;
/// One more new key for a peer each such span.
const PEER_REFILL: Duration = Duration::from_secs(120);
/// How many buckets are remembered; beyond it the full ones, which say nothing, are dropped.
const MAX_BUCKETS: usize = 4_096;

/// The token buckets for new keys.
#[derive(Debug, Default)]
pub(super) struct Admission {
    networks: HashMap<Option<Network>, TokenBucket>,
    peers: HashMap<PeerId, TokenBucket>,
}

impl Admission {
    /// Whether somebody in `network` who is no peer may bring a key that is not held yet. Takes a token if so.
    pub(super) fn admits_new_key_of(&mut self, network: Option<Network>, now: Instant) -> bool {
        prune(&mut self.networks, now, NETWORK_BURST, NETWORK_REFILL);
        let network = self.networks.entry(network).or_insert(TokenBucket::full(NETWORK_BURST, now));
        network.refill(now, NETWORK_BURST, NETWORK_REFILL);
        let admitted = network.tokens > 0;
        network.tokens -= u32::from(admitted);
        admitted
    }

    /// Whether `peer`, connected from `network`, may bring a key that is not held yet. Takes a token if so.
    pub(super) fn admits_new_key(&mut self, peer: PeerId, network: Option<Network>, now: Instant) -> bool {
        prune(&mut self.networks, now, NETWORK_BURST, NETWORK_REFILL);
        prune(&mut self.peers, now, PEER_BURST, PEER_REFILL);
        let network = self.networks.entry(network).or_insert(TokenBucket::full(NETWORK_BURST, now));
        let peer = self.peers.entry(peer).or_insert(TokenBucket::full(PEER_BURST, now));
        network.refill(now, NETWORK_BURST, NETWORK_REFILL);
        peer.refill(now, PEER_BURST, PEER_REFILL);
        if network.tokens == 0 || peer.tokens == 0 {
            return false;
        }
        network.tokens -= 1;
        peer.tokens -= 1;
        true
    }
}

#[derive(Debug)]
struct TokenBucket {
    tokens: u32,
    counted_to: Instant,
}

impl TokenBucket {
    fn full(burst: u32, now: Instant) -> Self {
        Self { tokens: burst, counted_to: now }
    }

    fn refill(&mut self, now: Instant, burst: u32, every: Duration) {
        let spans = u32::try_from(now.saturating_duration_since(self.counted_to).as_secs() / every.as_secs());
        let spans = spans.unwrap_or(u32::MAX);
        if self.tokens.saturating_add(spans) >= burst {
            *self = Self::full(burst, now);
        } else {
            self.tokens += spans;
            self.counted_to += every * spans;
        }
    }
}

fn prune<K>(buckets: &mut HashMap<K, TokenBucket>, now: Instant, burst: u32, every: Duration) {
    if buckets.len() >= MAX_BUCKETS {
        buckets.retain(|_, bucket| {
            bucket.refill(now, burst, every);
            bucket.tokens < burst
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(n: u8) -> Option<Network> {
        Network::of_multiaddr(&format!("/ip4/127.0.{n}.1/tcp/1").parse().unwrap())
    }

    #[test]
    fn one_network_brings_a_burst_and_then_one_a_minute() {
        let mut admission = Admission::default();
        let now = Instant::now();
        let brought = (0..1_000).filter(|_| admission.admits_new_key(PeerId::random(), network(1), now)).count();
        assert_eq!(brought, 100);
        assert!(admission.admits_new_key(PeerId::random(), network(2), now), "another network is not held up");
        let later = now + Duration::from_secs(180);
        let brought = (0..1_000).filter(|_| admission.admits_new_key(PeerId::random(), network(1), later)).count();
        assert_eq!(brought, 3);
    }

    #[test]
    fn who_is_no_peer_shares_the_burst_of_its_network() {
        let mut admission = Admission::default();
        let now = Instant::now();
        assert!(admission.admits_new_key(PeerId::random(), network(1), now));
        assert_eq!((0..1_000).filter(|_| admission.admits_new_key_of(network(1), now)).count(), 99);
        assert!(!admission.admits_new_key(PeerId::random(), network(1), now));
    }

    #[test]
    fn one_peer_brings_less_than_its_network() {
        let mut admission = Admission::default();
        let (peer, now) = (PeerId::random(), Instant::now());
        assert_eq!((0..1_000).filter(|_| admission.admits_new_key(peer, network(1), now)).count(), 50);
    }
}
