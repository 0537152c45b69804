//! How often an address may be dialled: a rule about what others send us to, without a socket or a clock.
//!
//! A record may name anybody's address. Whoever signs many records must not be able to make many gateways knock at one door
//! (the target's), nor keep one gateway busy with doors that do not open.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// How many dials to one address may follow each other at once.
const BURST: u32 = 16;
/// After that, one in this time.
const ONE_IN: Duration = Duration::from_secs(4);
/// The same for all addresses together.
const BURST_OF_ALL: u32 = 256;
/// The same for all addresses together.
const ONE_OF_ALL_IN: Duration = Duration::from_millis(100);
/// The wait after a first failure; each further one doubles it.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The longest wait.
const LONGEST_WAIT: Duration = Duration::from_secs(300);
/// How many addresses are remembered, some 100 octets each. With more, those that were left alone longest are forgotten.
const MAX_ADDRESSES: usize = 4_096;

/// What is remembered of the addresses dialled lately. Ports do not count: they are one machine's.
#[derive(Debug)]
pub(super) struct Backoff {
    addresses: HashMap<IpAddr, Address>,
    all: Bucket,
}

#[derive(Debug)]
struct Address {
    bucket: Bucket,
    failures: u32,
    not_before: Instant,
    dialled_at: Instant,
}

/// A token bucket whose tokens are dials.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    tokens: u32,
    /// When the last token was added.
    at: Instant,
}

impl Bucket {
    fn full(tokens: u32, now: Instant) -> Self {
        Self { tokens, at: now }
    }

    /// Adds what has come by `now`; how long until a token is there, if none is.
    fn wait(&mut self, burst: u32, one_in: Duration, now: Instant) -> Option<Duration> {
        let passed = now.saturating_duration_since(self.at);
        let come = u32::try_from(passed.as_nanos() / one_in.as_nanos()).unwrap_or(u32::MAX);
        if come > 0 {
            self.tokens = self.tokens.saturating_add(come).min(burst);
            self.at = if self.tokens == burst { now } else { self.at + one_in * come };
        }
        (self.tokens == 0).then(|| (self.at + one_in).saturating_duration_since(now))
    }
}

impl Backoff {
    pub(super) fn new(now: Instant) -> Self {
        Self { addresses: HashMap::new(), all: Bucket::full(BURST_OF_ALL, now) }
    }

    /// Takes leave to dial `ip`, or how long to wait.
    pub(super) fn take(&mut self, ip: IpAddr, now: Instant) -> Result<(), Duration> {
        let ip = ip.to_canonical();
        if self.addresses.len() >= MAX_ADDRESSES && !self.addresses.contains_key(&ip) {
            self.forget_half();
        }
        let fresh = || Address { bucket: Bucket::full(BURST, now), failures: 0, not_before: now, dialled_at: now };
        let address = self.addresses.entry(ip).or_insert_with(fresh);
        if let Some(wait) = address.not_before.checked_duration_since(now).filter(|wait| !wait.is_zero()) {
            return Err(wait);
        }
        if let Some(wait) = address.bucket.wait(BURST, ONE_IN, now) {
            return Err(wait);
        }
        if let Some(wait) = self.all.wait(BURST_OF_ALL, ONE_OF_ALL_IN, now) {
            return Err(wait);
        }
        address.bucket.tokens -= 1;
        address.dialled_at = now;
        self.all.tokens -= 1;
        Ok(())
    }

    /// Notes that a dial to `ip` came to nothing, or that what answered there was another than was called.
    pub(super) fn failed(&mut self, ip: IpAddr, now: Instant) {
        if let Some(address) = self.addresses.get_mut(&ip.to_canonical()) {
            let wait = FIRST_WAIT.saturating_mul(1 << address.failures.min(16)).min(LONGEST_WAIT);
            address.failures = address.failures.saturating_add(1);
            address.not_before = now + wait;
        }
    }

    /// Notes that who was called answered.
    pub(super) fn succeeded(&mut self, ip: IpAddr) {
        if let Some(address) = self.addresses.get_mut(&ip.to_canonical()) {
            address.failures = 0;
        }
    }

    fn forget_half(&mut self) {
        let mut times: Vec<Instant> = self.addresses.values().map(|address| address.dialled_at).collect();
        let (_, middle, _) = times.select_nth_unstable(MAX_ADDRESSES / 2);
        let middle = *middle;
        self.addresses.retain(|_, address| address.dialled_at > middle);
        // All of one moment: then none is older than the others.
        if self.addresses.len() >= MAX_ADDRESSES {
            self.addresses.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ip(n: u16) -> IpAddr {
        IpAddr::from([10, 0, (n >> 8) as u8, n as u8])
    }

    #[test]
    fn each_failure_doubles_the_wait_up_to_five_minutes() {
        let mut now = Instant::now();
        let mut backoff = Backoff::new(now);
        for expected in [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300] {
            assert_eq!(backoff.take(ip(1), now), Ok(()));
            backoff.failed(ip(1), now);
            assert_eq!(backoff.take(ip(1), now), Err(Duration::from_secs(expected)));
            now += Duration::from_secs(expected);
        }
        backoff.succeeded(ip(1));
        assert_eq!(backoff.take(ip(1), now), Ok(()));
        backoff.failed(ip(1), now);
        assert_eq!(backoff.take(ip(1), now), Err(FIRST_WAIT));
    }

    #[test]
    fn an_address_dressed_as_ipv6_is_the_same_one() {
        let now = Instant::now();
        let mut backoff = Backoff::new(now);
        assert_eq!(backoff.take(ip(1), now), Ok(()));
        backoff.failed(ip(1), now);
        assert_eq!(backoff.take("::ffff:10.0.0.1".parse().unwrap(), now), Err(FIRST_WAIT));
    }

    #[test]
    fn one_address_does_not_use_up_the_others_dials_and_all_together_have_a_bound() {
        let now = Instant::now();
        let mut backoff = Backoff::new(now);
        let taken = (0..100).filter(|_| backoff.take(ip(0), now).is_ok()).count();
        assert_eq!(taken, BURST as usize);
        assert_eq!(backoff.take(ip(0), now), Err(ONE_IN));
        let others = (1..1000).filter(|n| backoff.take(ip(*n), now).is_ok()).count();
        assert_eq!(others, (BURST_OF_ALL - BURST) as usize);
    }

    #[test]
    fn what_is_remembered_has_a_bound() {
        let mut now = Instant::now();
        let mut backoff = Backoff::new(now);
        for n in 0..3 * MAX_ADDRESSES {
            now += ONE_OF_ALL_IN;
            assert_eq!(backoff.take(IpAddr::from((n as u32 + (1 << 24)).to_be_bytes()), now), Ok(()));
            assert!(backoff.addresses.len() <= MAX_ADDRESSES);
        }
    }

    proptest! {
        #[test]
        fn no_address_is_dialled_more_often_than_its_burst_and_what_came_since(
            steps in proptest::collection::vec((0..3u16, 0..10_000u64), 1..300)
        ) {
            let start = Instant::now();
            let (mut now, mut backoff, mut taken) = (start, Backoff::new(start), [0_u128; 3]);
            for (n, millis) in steps {
                now += Duration::from_millis(millis);
                taken[n as usize] += u128::from(backoff.take(ip(n), now).is_ok());
                let most = u128::from(BURST) + (now - start).as_millis() / ONE_IN.as_millis();
                prop_assert!(taken[n as usize] <= most);
            }
        }
    }
}
