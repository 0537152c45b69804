//! The servers a node knows of: those it has spoken with, and those it was told about.
//!
//! Kademlia's routing table, which libp2p keeps beside this, serves other implementations of kad-dht; this list serves
//! our own questions. In a small network it is the whole network.

use crate::address::{Network, PrivateAddresses, dialable};
use crate::dht::server::{ADDRESSES_PER_PEER, Point, Server};
use libp2p_identity::PeerId;
use multiaddr::{Multiaddr, Protocol};
use std::collections::{BTreeMap, HashMap};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::Bound;

/// How many servers are kept in mind. Ten times a network that is served whole.
const MAX_PEERS: usize = 2_000;
/// How many servers of one /24 (IPv4) or /48 (IPv6) are kept: go-libp2p's figure for a whole table. Peer ids cost
/// nothing, addresses in many networks do.
const MAX_PER_NETWORK: usize = 3;
/// After so many failures in a row a server is forgotten.
const MAX_FAILURES: u8 = 3;

/// The servers known, by peer id.
#[derive(Debug)]
pub(super) struct Peers {
    local: PeerId,
    private: PrivateAddresses,
    entries: BTreeMap<PeerId, Entry>,
    per_network: HashMap<Network, usize>,
}

#[derive(Debug)]
struct Entry {
    server: Server,
    point: Point,
    network: Option<Network>,
    standing: Standing,
    failures: u8,
}

/// What is known of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Standing {
    /// Somebody named it.
    Named,
    /// We were connected to it, and it speaks our protocols.
    Verified,
}

impl Peers {
    /// An empty list of the node `local`.
    pub(super) fn new(local: PeerId, private: PrivateAddresses) -> Self {
        Self { local, private, entries: BTreeMap::new(), per_network: HashMap::new() }
    }

    /// Takes note of a server. Returns whether it is known now: not if it is ourselves, has no address that may be
    /// dialled, or its network is well represented already.
    pub(super) fn note(&mut self, mut server: Server, standing: Standing) -> bool {
        if server.peer == self.local {
            return false;
        }
        let mut usable: Vec<Multiaddr> = Vec::new();
        for addr in server.addrs.into_iter().filter_map(|addr| self.usable(addr, &server.peer)) {
            if usable.len() < ADDRESSES_PER_PEER && !usable.contains(&addr) {
                usable.push(addr);
            }
        }
        server.addrs = usable;
        if server.addrs.is_empty() {
            return false;
        }
        if let Some(known) = self.entries.get(&server.peer) {
            // What somebody says about a server does not outweigh what the server itself said.
            if known.standing > standing {
                return true;
            }
            let standing = standing.max(known.standing);
            self.forget(&server.peer);
            return self.insert(server, standing);
        }
        self.make_room(standing) && self.insert(server, standing)
    }

    /// Notes that a server answered.
    pub(super) fn answered(&mut self, peer: &PeerId) {
        if let Some(entry) = self.entries.get_mut(peer) {
            entry.failures = 0;
        }
    }

    /// Notes that a server could not be reached. Returns whether it was forgotten for it.
    pub(super) fn failed(&mut self, peer: &PeerId) -> bool {
        let Some(entry) = self.entries.get_mut(peer) else { return false };
        entry.failures += 1;
        let enough = match entry.standing {
            Standing::Named => 1,
            Standing::Verified => MAX_FAILURES,
        };
        if entry.failures >= enough {
            self.forget(peer);
            return true;
        }
        false
    }

    /// Strikes a server off the list.
    pub(super) fn forget(&mut self, peer: &PeerId) {
        if let Some(network) = self.entries.remove(peer).and_then(|entry| entry.network)
            && let Some(count) = self.per_network.get_mut(&network)
        {
            *count -= 1;
            if *count == 0 {
                self.per_network.remove(&network);
            }
        }
    }

    /// What is known of a server.
    pub(super) fn server(&self, peer: &PeerId) -> Option<&Server> {
        self.entries.get(peer).map(|entry| &entry.server)
    }

    /// The addresses of a server.
    pub(super) fn addrs(&self, peer: &PeerId) -> Option<&[Multiaddr]> {
        self.entries.get(peer).map(|entry| entry.server.addrs.as_slice())
    }

    /// The `count` servers nearest to `target`, nearest first, the ones we spoke with and the ones we were told about.
    pub(super) fn nearest(&self, target: Point, count: usize) -> Vec<Server> {
        self.nearest_of(target, count, |_| true)
    }

    /// The same, of those we spoke with: only these are passed on to others.
    pub(super) fn nearest_verified(&self, target: Point, count: usize) -> Vec<Server> {
        self.nearest_of(target, count, |entry| entry.standing == Standing::Verified)
    }

    /// Up to `count` of the servers we spoke with, in the order of their peer ids, from the one after `after`; and
    /// whether there are more.
    pub(super) fn page(&self, after: Option<PeerId>, count: usize) -> (Vec<Server>, bool) {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut rest = self
            .entries
            .range((from, Bound::Unbounded))
            .filter(|(_, entry)| entry.standing == Standing::Verified)
            .map(|(_, entry)| entry.server.clone());
        let page = rest.by_ref().take(count).collect();
        (page, rest.next().is_some())
    }

    /// All servers known.
    pub(super) fn all(&self) -> Vec<Server> {
        self.entries.values().map(|entry| entry.server.clone()).collect()
    }

    /// In how many networks the servers are.
    pub(super) fn networks(&self) -> usize {
        self.per_network.len()
    }

    /// How many servers are known.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    fn nearest_of(&self, target: Point, count: usize, wanted: impl Fn(&Entry) -> bool) -> Vec<Server> {
        let mut nearest: Vec<(&Entry, [u8; 32])> = self
            .entries
            .values()
            .filter(|entry| wanted(entry))
            .map(|entry| (entry, entry.point.distance(&target)))
            .collect();
        nearest.sort_unstable_by_key(|(_, distance)| *distance);
        nearest.into_iter().take(count).map(|(entry, _)| entry.server.clone()).collect()
    }

    /// The address without a `/p2p` of this peer; `None` if it names another or may not be dialled.
    fn usable(&self, mut addr: Multiaddr, peer: &PeerId) -> Option<Multiaddr> {
        if let Some(Protocol::P2p(named)) = addr.iter().last() {
            if named != *peer {
                return None;
            }
            addr.pop();
        }
        dialable(&addr, self.private).then_some(addr)
    }

    fn insert(&mut self, server: Server, standing: Standing) -> bool {
        let network = server.addrs.iter().find_map(Network::of_multiaddr);
        if let Some(network) = network {
            let count = self.per_network.entry(network).or_default();
            if *count >= MAX_PER_NETWORK && !server.addrs.iter().any(is_localhost) {
                return false;
            }
            *count += 1;
        }
        let point = server.point();
        self.entries.insert(server.peer, Entry { server, point, network, standing, failures: 0 });
        true
    }

    /// Makes room for one more: a server that we were only told about goes first, one that answers never does.
    fn make_room(&mut self, standing: Standing) -> bool {
        if self.entries.len() < MAX_PEERS {
            return true;
        }
        if standing == Standing::Named {
            return false;
        }
        let victim = self.entries.iter().find(|(_, entry)| entry.standing == Standing::Named).map(|(peer, _)| *peer);
        match victim {
            Some(peer) => {
                self.forget(&peer);
                true
            }
            None => false,
        }
    }
}

/// Several nodes on 127.0.0.1 or ::1 are one person's, who knows about them. Only those two addresses: a testnet gives
/// each node a /24 of 127.0.0.0/8, so that diversity means something there.
fn is_localhost(addr: &Multiaddr) -> bool {
    addr.iter().any(|part| match part {
        Protocol::Ip4(ip) => ip == Ipv4Addr::LOCALHOST,
        Protocol::Ip6(ip) => ip == Ipv6Addr::LOCALHOST,
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(n: u8) -> PeerId {
        libp2p_identity::Keypair::ed25519_from_bytes([n; 32]).unwrap().public().to_peer_id()
    }

    fn at(n: u8, addr: &str) -> Server {
        Server { peer: peer(n), addrs: vec![addr.parse().unwrap()] }
    }

    fn peers() -> Peers {
        Peers::new(peer(0), PrivateAddresses::Allowed)
    }

    #[test]
    fn one_network_cannot_fill_the_list() {
        let mut peers = peers();
        let known = (1..=10).filter(|n| peers.note(at(*n, &format!("/ip4/127.9.9.{n}/tcp/1")), Standing::Verified));
        assert_eq!(known.count(), MAX_PER_NETWORK);
        peers.forget(&peer(1));
        assert!(peers.note(at(11, "/ip4/127.9.9.11/tcp/1"), Standing::Named), "a place became free");
    }

    #[test]
    fn many_nodes_on_localhost_are_one_persons() {
        let mut peers = peers();
        assert!((1..=10).all(|n| peers.note(at(n, &format!("/ip4/127.0.0.1/tcp/{n}")), Standing::Verified)));
    }

    #[test]
    fn ourselves_and_what_cannot_be_dialled_are_not_noted() {
        let mut peers = Peers::new(peer(0), PrivateAddresses::Refused);
        assert!(!peers.note(at(0, "/ip4/8.8.8.8/tcp/1"), Standing::Verified));
        assert!(!peers.note(at(1, "/ip4/10.0.0.1/tcp/1"), Standing::Verified));
        assert!(peers.note(at(1, "/ip4/8.8.8.8/tcp/1"), Standing::Verified));
        let other = format!("/ip4/8.8.4.4/tcp/1/p2p/{}", peer(9));
        assert!(!peers.note(at(2, &other), Standing::Named), "an address of another peer");
    }

    #[test]
    fn hearsay_does_not_replace_what_a_server_said_of_itself() {
        let mut peers = peers();
        peers.note(at(1, "/ip4/127.1.1.1/tcp/1"), Standing::Verified);
        peers.note(at(1, "/ip4/127.6.6.6/tcp/6"), Standing::Named);
        assert_eq!(peers.addrs(&peer(1)).unwrap()[0].to_string(), "/ip4/127.1.1.1/tcp/1");
        peers.note(at(1, "/ip4/127.2.2.2/tcp/2"), Standing::Verified);
        assert_eq!(peers.addrs(&peer(1)).unwrap()[0].to_string(), "/ip4/127.2.2.2/tcp/2");
    }

    #[test]
    fn a_server_is_forgotten_after_three_failures_in_a_row_and_hearsay_after_one() {
        let mut peers = peers();
        peers.note(at(1, "/ip4/127.1.1.1/tcp/1"), Standing::Verified);
        peers.note(at(2, "/ip4/127.1.2.1/tcp/1"), Standing::Named);
        assert!(peers.failed(&peer(2)));
        assert!(!peers.failed(&peer(1)));
        assert!(!peers.failed(&peer(1)));
        peers.answered(&peer(1));
        assert!(!peers.failed(&peer(1)));
        assert!(!peers.failed(&peer(1)));
        assert!(peers.failed(&peer(1)));
        assert_eq!(peers.len(), 0);
    }

    #[test]
    fn pages_follow_each_other_and_hold_only_the_verified() {
        let mut peers = peers();
        for n in 1..=9 {
            let standing = if n == 5 { Standing::Named } else { Standing::Verified };
            peers.note(at(n, &format!("/ip4/127.1.{n}.1/tcp/1")), standing);
        }
        let (first, more) = peers.page(None, 5);
        assert!(more && first.len() == 5);
        let (second, more) = peers.page(Some(first[4].peer), 5);
        assert!(!more && second.len() == 3);
        assert!(first.iter().chain(&second).all(|server| server.peer != peer(5)));
    }
}
