//! How many new keys a node takes from one part of the network.
//!
//! A valid record costs its sender one key pair, and key pairs are free; addresses in many networks are not. Records of
//! grids that are held already pass freely: updates and replication must never wait behind a flood.

use crate::address::Network;
use libp2p_identity::PeerId;
use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::time::{Duration, Instant};

/// New keys that one /24 or /48 may bring at once. A publisher has one; a testnet's first node brings its whole federation.
const NETWORK_BURST: u32 = 100;
/// One more new key for a network each such span: 60 an hour.
const NETWORK_REFILL: Duration = Duration::from_secs(60);
/// New keys that one peer may bring at once.
const PEER_BURST: u32 = 50;
/// One more new key for a peer each such span.
const PEER_REFILL: Duration = Duration::from_secs(120);
/// How many buckets are looked at with each new key, so that the full ones, which say nothing, are dropped. One key makes
/// one at most: two catch up with any flood, and a table of any size costs a key no more than they do.
const LOOKED_AT: usize = 2;

/// The token buckets for new keys.
#[derive(Debug)]
pub(super) struct Admission {
    networks: Buckets<Option<Network>>,
    peers: Buckets<PeerId>,
}

impl Default for Admission {
    fn default() -> Self {
        Self { networks: Buckets::new(NETWORK_BURST, NETWORK_REFILL), peers: Buckets::new(PEER_BURST, PEER_REFILL) }
    }
}

impl Admission {
    /// Whether somebody in `network` who is no peer may bring a key that is not held yet. Takes a token if so.
    pub(super) fn admits_new_key_of(&mut self, network: Option<Network>, now: Instant) -> bool {
        let network = self.networks.of(network, now);
        let admitted = network.tokens > 0;
        network.tokens -= u32::from(admitted);
        admitted
    }

    /// Whether `peer`, connected from `network`, may bring a key that is not held yet. Takes a token if so.
    pub(super) fn admits_new_key(&mut self, peer: PeerId, network: Option<Network>, now: Instant) -> bool {
        let (network, peer) = (self.networks.of(network, now), self.peers.of(peer, now));
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

/// The buckets of one kind, of all that are not full and of some that are.
#[derive(Debug)]
struct Buckets<K> {
    burst: u32,
    every: Duration,
    all: HashMap<K, TokenBucket>,
    /// The keys of `all`, once each: the one that was not looked at for the longest comes first.
    round: VecDeque<K>,
}

impl<K: Clone + Eq + Hash> Buckets<K> {
    fn new(burst: u32, every: Duration) -> Self {
        Self { burst, every, all: HashMap::new(), round: VecDeque::new() }
    }

    /// The bucket of `key` as it is now.
    fn of(&mut self, key: K, now: Instant) -> &mut TokenBucket {
        self.drop_full(now);
        if !self.all.contains_key(&key) {
            self.round.push_back(key.clone());
        }
        let bucket = self.all.entry(key).or_insert(TokenBucket::full(self.burst, now));
        bucket.refill(now, self.burst, self.every);
        bucket
    }

    /// Looks at the next few, and drops those that are full. Returns how many it looked at.
    fn drop_full(&mut self, now: Instant) -> usize {
        let looked_at = self.round.len().min(LOOKED_AT);
        for key in self.round.drain(..looked_at).collect::<Vec<_>>() {
            let Some(bucket) = self.all.get_mut(&key) else { continue };
            bucket.refill(now, self.burst, self.every);
            if bucket.tokens < self.burst {
                self.round.push_back(key);
            } else {
                self.all.remove(&key);
            }
        }
        looked_at
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

    /// Once there were 4,096 buckets in use, each new key looked at all of them.
    #[test]
    fn a_new_key_costs_no_more_with_many_buckets_in_use_and_full_ones_are_dropped() {
        let mut buckets = Buckets::new(PEER_BURST, PEER_REFILL);
        let now = Instant::now();
        for peer in 0..10_000 {
            buckets.of(peer, now).tokens -= 1;
        }
        assert_eq!((buckets.all.len(), buckets.round.len()), (10_000, 10_000), "none is forgotten that is in use");
        assert_eq!(buckets.drop_full(now), LOOKED_AT);
        assert_eq!(buckets.of(17, now).tokens, PEER_BURST - 1);
        // All of them are full again by then; each key makes one and drops two.
        let later = now + PEER_REFILL;
        for peer in 10_000..20_000 {
            buckets.of(peer, later).tokens -= 1;
        }
        assert_eq!((buckets.all.len(), buckets.round.len()), (10_000, 10_000));
        assert!((10_000..20_000).all(|peer| buckets.all.contains_key(&peer)));
    }

    #[test]
    fn one_peer_brings_less_than_its_network() {
        let mut admission = Admission::default();
        let (peer, now) = (PeerId::random(), Instant::now());
        assert_eq!((0..1_000).filter(|_| admission.admits_new_key(peer, network(1), now)).count(), 50);
    }
}
