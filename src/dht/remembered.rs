//! The servers met before, across restarts and outages: what to come back to when nobody answers, or when the network has
//! parted and each half has forgotten the other.
//!
//! A server that cannot be reached leaves the list of those known (`peers`), and rightly; it leaves this one only when
//! two hundred others were met after it.

use crate::dht::server::Server;
use libp2p_identity::PeerId;

/// How many servers are remembered: a network that is held whole.
const MAX_REMEMBERED: usize = 200;

/// Servers, those met last first.
#[derive(Debug, Default)]
pub(super) struct Remembered {
    servers: Vec<Server>,
    retried: usize,
}

impl Remembered {
    /// Those that the store had.
    pub(super) fn new(servers: Vec<Server>) -> Self {
        Self { servers, retried: 0 }
    }

    /// Notes those that we have met and know now.
    pub(super) fn met(&mut self, mut servers: Vec<Server>) {
        self.servers.retain(|old| servers.iter().all(|new| new.peer != old.peer));
        servers.append(&mut self.servers);
        servers.truncate(MAX_REMEMBERED);
        self.servers = servers;
    }

    /// All of them.
    pub(super) fn all(&self) -> &[Server] {
        &self.servers
    }

    /// One that is not known any more, each time another: perhaps it is back.
    pub(super) fn lost(&mut self, is_known: impl Fn(&PeerId) -> bool) -> Option<Server> {
        let lost: Vec<&Server> = self.servers.iter().filter(|server| !is_known(&server.peer)).collect();
        let server = lost.get(self.retried.checked_rem(lost.len())?).copied().cloned();
        self.retried = self.retried.wrapping_add(1);
        server
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn servers(count: usize) -> Vec<Server> {
        let addrs = vec!["/ip4/127.0.0.1/tcp/1".parse().unwrap()];
        (0..count).map(|_| Server { peer: PeerId::random(), addrs: addrs.clone() }).collect()
    }

    #[test]
    fn who_meets_one_server_does_not_forget_the_others() {
        let (before, now) = (servers(50), servers(1));
        let mut remembered = Remembered::new(before.clone());
        remembered.met(now.clone());
        assert_eq!(remembered.all(), [now, before].concat());
    }

    #[test]
    fn those_met_last_are_kept() {
        let before = servers(MAX_REMEMBERED);
        let mut remembered = Remembered::new(before.clone());
        remembered.met(vec![before[7].clone()]);
        assert_eq!((remembered.all().len(), &remembered.all()[0]), (MAX_REMEMBERED, &before[7]));
        let new = servers(10);
        remembered.met(new.clone());
        assert_eq!(remembered.all().len(), MAX_REMEMBERED);
        assert_eq!(remembered.all()[..11], [new, vec![before[7].clone()]].concat());
    }

    #[test]
    fn the_lost_are_tried_in_turn() {
        let all = servers(5);
        let mut remembered = Remembered::new(all.clone());
        let known = all[1].peer;
        let tried: Vec<Server> = std::iter::from_fn(|| remembered.lost(|peer| *peer == known)).take(4).collect();
        assert_eq!(tried, [all[0].clone(), all[2].clone(), all[3].clone(), all[4].clone()]);
        assert_eq!(remembered.lost(|_| true), None);
    }
}
