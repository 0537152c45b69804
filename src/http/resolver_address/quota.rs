//! How much one part of the network may ask: a token bucket for each /24 or /48.

use crate::address::Network;
use crate::units::Seconds;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// What a GET takes, in tokens.
pub(super) const READ: u32 = 1;
/// What a PUT takes: a signature to check. As many PUTs at once as a network may bring new grids.
pub(super) const WRITE: u32 = 4;
/// Tokens in a full bucket.
const BURST: u32 = 400;
/// One token comes back each such span: 20 a second. A home of readers asks far less; a crawler learns to be patient.
const REFILL: Duration = Duration::from_millis(50);
/// How many networks are remembered, at 32 octets each. A bucket is full again after 20 s and then forgotten, so that
/// beyond this many active ones the rest share a bucket.
const MAX_NETWORKS: usize = 16_384;

/// How often the table is looked through for full buckets while it has no room: each look costs a millisecond, which
/// nobody may make us spend for each request.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The buckets. Each is one time: when it will be full again.
#[derive(Debug, Default)]
pub(super) struct Quota {
    full_at: HashMap<Network, Instant>,
    rest: Option<Instant>,
    looked_at: Option<Instant>,
}

impl Quota {
    /// Takes `tokens` from the bucket of `network`, or says how many whole seconds to wait.
    pub(super) fn take(&mut self, network: Network, tokens: u32, now: Instant) -> Result<(), Seconds> {
        let known = self.full_at.contains_key(&network);
        let due = self.looked_at.is_none_or(|looked_at| now >= looked_at + LOOK_EVERY);
        if !known && due && self.full_at.len() >= MAX_NETWORKS {
            self.looked_at = Some(now);
            self.full_at.retain(|_, full_at| *full_at > now);
        }
        let room = known || self.full_at.len() < MAX_NETWORKS;
        let slot = if room { self.full_at.entry(network).or_insert(now) } else { self.rest.get_or_insert(now) };
        let full_at = (*slot).max(now) + REFILL * tokens;
        let missing = (full_at - now).saturating_sub(REFILL * BURST);
        if missing.is_zero() {
            *slot = full_at;
            return Ok(());
        }
        Err(Seconds(missing.as_nanos().div_ceil(1_000_000_000) as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::Ipv4Addr;

    fn network(n: u32) -> Network {
        Network::of(Ipv4Addr::from(n << 8).into())
    }

    #[test]
    fn a_network_asks_a_burst_and_then_twenty_a_second() {
        let (mut quota, now) = (Quota::default(), Instant::now());
        assert_eq!((0..1_000).filter(|_| quota.take(network(1), READ, now).is_ok()).count(), 400);
        assert_eq!(quota.take(network(1), READ, now), Err(Seconds(1)));
        assert_eq!(quota.take(network(1), WRITE * 25, now), Err(Seconds(5)));
        let nearly = now + REFILL - Duration::from_nanos(1);
        assert_eq!(quota.take(network(1), READ, nearly), Err(Seconds(1)), "never \"again in 0 s\"");
        assert_eq!(quota.take(network(2), READ, now), Ok(()), "another network is not held up");
        let later = now + Duration::from_secs(1);
        assert_eq!((0..1_000).filter(|_| quota.take(network(1), READ, later).is_ok()).count(), 20);
    }

    #[test]
    fn the_table_is_bounded_and_forgets_who_asks_no_more() {
        let (mut quota, now) = (Quota::default(), Instant::now());
        let taken = (0..100_000).filter(|n| quota.take(network(*n), READ, now).is_ok()).count();
        assert_eq!(quota.full_at.len(), MAX_NETWORKS);
        assert_eq!(taken, MAX_NETWORKS + 400, "the rest share a bucket");
        let later = now + Duration::from_secs(60);
        assert_eq!(quota.take(network(99_999), READ, later), Ok(()));
        assert_eq!(quota.full_at.len(), 1);
    }

    proptest! {
        #[test]
        fn never_more_than_the_burst_and_what_came_back(steps in proptest::collection::vec((0_u64..100, 1_u32..20), 1..200)) {
            let (mut quota, start) = (Quota::default(), Instant::now());
            let (mut at, mut taken) = (0, 0_u64);
            for (wait, tokens) in steps {
                at += wait;
                if quota.take(network(1), tokens, start + Duration::from_millis(at)).is_ok() {
                    taken += u64::from(tokens);
                }
                prop_assert!(taken <= u64::from(BURST) + at / 50 + 1);
            }
        }
    }
}
