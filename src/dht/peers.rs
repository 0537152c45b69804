//! The servers a node knows of: those it has spoken with, and those it was told about.
//!
//! Kademlia's routing table, which libp2p keeps beside this, serves other implementations of kad-dht; this list serves
//! our own questions. In a small network it is the whole network.
//!
//! What a server says of itself is as much hearsay as what others say of it, until a connection shows that it is there:
//! only such addresses are handed on, and only such servers keep their place when it is narrow. How many servers there are
//! is told by whom we met, and whom two networks name.

use crate::address::{Network, PrivateAddresses, dialable, is_localhost};
use crate::dht::server::{ADDRESSES_PER_PEER, Point, Server};
use libp2p_identity::PeerId;
use multiaddr::{Multiaddr, Protocol};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Bound;

/// How many servers are kept in mind. Ten times a network that is served whole.
const MAX_PEERS: usize = 2_000;
/// How many addresses of those that a server claims are looked at.
const MAX_CLAIMS: usize = 32;
/// How many servers of one /24 (IPv4), /48 (IPv6) or domain are kept: go-libp2p's figure for a whole table. Peer ids cost
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
    /// Struck off since the last [`Self::take_gone`].
    gone: HashSet<PeerId>,
}

#[derive(Debug)]
struct Entry {
    /// With the verified addresses first.
    server: Server,
    /// How many of its addresses are verified.
    verified: usize,
    point: Point,
    network: Option<Network>,
    failures: u8,
    credit: Credit,
}

impl Entry {
    /// Whether it counts as a server that is there, as far as can be known without asking it.
    fn counts(&self) -> bool {
        self.verified > 0 || self.credit == Credit::Enough
    }

    fn standing(&self) -> Standing {
        if self.verified > 0 { Standing::Verified } else { Standing::Named }
    }

    /// The server with those addresses alone at which it was met.
    fn as_met(&self) -> Server {
        Server { peer: self.server.peer, addrs: self.server.addrs[..self.verified].to_vec() }
    }
}

/// What is known of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Standing {
    /// Somebody named it, perhaps itself.
    Named,
    /// We were connected to it there, and it speaks our protocols.
    Verified,
}

/// By whose word a server is said to be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Word {
    /// By the settings', or by our own memory of having met it.
    Own,
    /// By that of somebody who speaks from this network.
    Of(Option<Network>),
}

/// What the words about a server are worth: whoever makes up a thousand servers speaks from one network.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Credit {
    /// It was named from one network.
    One(Option<Network>),
    /// It was named from two, or by ourselves.
    Enough,
}

impl Credit {
    fn with(self, word: Word) -> Self {
        match (self, word) {
            (Self::Enough, _) | (_, Word::Own) => Self::Enough,
            (Self::One(Some(before)), Word::Of(Some(now))) if before != now => Self::Enough,
            (Self::One(None), Word::Of(now)) => Self::One(now),
            (one, Word::Of(_)) => one,
        }
    }
}

impl Peers {
    /// An empty list of the node `local`.
    pub(super) fn new(local: PeerId, private: PrivateAddresses) -> Self {
        Self { local, private, entries: BTreeMap::new(), per_network: HashMap::new(), gone: HashSet::new() }
    }

    /// Takes note of a server that somebody named. Returns whether it is known now: not if it is ourselves, has no address
    /// that may be dialled, or its network is well represented already.
    pub(super) fn name(&mut self, server: Server, word: Word) -> bool {
        self.meet(server, word, |_| false).is_some()
    }

    /// Takes note of a server that we are connected to and of the addresses that it claims, of which connections prove
    /// those that `proven` says. Returns how it stands now; `None` if it is not kept, for the reasons of [`Self::name`].
    pub(super) fn meet(&mut self, server: Server, word: Word, proven: impl Fn(&Multiaddr) -> bool) -> Option<Standing> {
        let Server { peer, addrs } = server;
        if peer == self.local {
            return None;
        }
        let known = self.entries.get(&peer);
        let (met_at, named): (&[Multiaddr], &[Multiaddr]) =
            known.map_or((&[], &[]), |known| known.server.addrs.split_at(known.verified));
        let (mut verified, mut claimed) = (Vec::new(), Vec::new());
        for addr in addrs.into_iter().take(MAX_CLAIMS).filter_map(|addr| self.usable(addr, &peer)) {
            let list = if proven(&addr) { &mut verified } else { &mut claimed };
            if !list.contains(&addr) {
                list.push(addr);
            }
        }
        if verified.is_empty() {
            // What somebody says about a server does not outweigh where it was met.
            if !met_at.is_empty() {
                return Some(Standing::Verified);
            }
            // The first to name a server, with addresses where nobody is, must not hide it, nor must the last.
            claimed.extend(named.to_vec());
        } else {
            // What was proven before and is claimed still needs no second proof.
            let (before, new) = claimed.into_iter().partition(|addr| met_at.contains(addr));
            verified.extend::<Vec<Multiaddr>>(before);
            claimed = new;
        }
        verified.truncate(ADDRESSES_PER_PEER);
        let count = verified.len();
        let mut addrs = verified;
        for addr in claimed {
            if addrs.len() < ADDRESSES_PER_PEER && !addrs.contains(&addr) {
                addrs.push(addr);
            }
        }
        if addrs.is_empty() {
            return None;
        }
        let (is_known, failures) = (known.is_some(), known.map_or(0, |known| known.failures));
        let before = known.map_or(Credit::One(None), |known| known.credit.clone());
        let credit = before.with(word);
        let standing = if count > 0 { Standing::Verified } else { Standing::Named };
        if is_known {
            self.forget(&peer);
        } else if !self.make_room(standing) {
            return None;
        }
        self.insert(Server { peer, addrs }, count, failures, credit).then_some(standing)
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
        let enough = match entry.standing() {
            Standing::Named => 1,
            Standing::Verified => MAX_FAILURES,
        };
        if entry.failures >= enough {
            self.forget(peer);
            return true;
        }
        false
    }

    /// Strikes a server off the list that turned out to be none, unless we met it as one.
    pub(super) fn disown(&mut self, peer: &PeerId) {
        if self.entries.get(peer).is_some_and(|entry| entry.verified == 0) {
            self.forget(peer);
        }
    }

    /// Strikes a server off the list.
    pub(super) fn forget(&mut self, peer: &PeerId) {
        let Some(entry) = self.entries.remove(peer) else { return };
        self.gone.insert(*peer);
        if let Some(network) = entry.network
            && let Some(count) = self.per_network.get_mut(&network)
        {
            *count -= 1;
            if *count == 0 {
                self.per_network.remove(&network);
            }
        }
    }

    /// The servers struck off the list since this was asked last, for whatever reason.
    pub(super) fn take_gone(&mut self) -> HashSet<PeerId> {
        std::mem::take(&mut self.gone)
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

    /// The same, without those that could not be reached when they were tried last: whoever may be gone holds nothing.
    pub(super) fn nearest_living(&self, target: Point, count: usize) -> Vec<Server> {
        self.nearest_of(target, count, |entry| entry.failures == 0)
    }

    /// The same, of those we met, with the addresses at which we did: only these are passed on to others.
    pub(super) fn nearest_verified(&self, target: Point, count: usize) -> Vec<Server> {
        let nearest = self.nearest_of(target, count, |entry| entry.verified > 0);
        nearest.into_iter().filter_map(|server| self.entries.get(&server.peer).map(Entry::as_met)).collect()
    }

    /// Up to `count` of the servers we met, with the addresses at which we did, in the order of their peer ids, from the
    /// one after `after`; and whether there are more.
    pub(super) fn page(&self, after: Option<PeerId>, count: usize) -> (Vec<Server>, bool) {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut rest = self
            .entries
            .range((from, Bound::Unbounded))
            .filter(|(_, entry)| entry.verified > 0)
            .map(|(_, entry)| entry.as_met());
        let page = rest.by_ref().take(count).collect();
        (page, rest.next().is_some())
    }

    /// A server, if we met it, with the addresses at which we did.
    pub(super) fn met(&self, peer: &PeerId) -> Option<Server> {
        self.entries.get(peer).filter(|entry| entry.verified > 0).map(Entry::as_met)
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

    /// How many servers there are as far as can be known: those we met, remember, or heard of from two networks. At least one
    /// where anybody is known.
    pub(super) fn counted(&self) -> usize {
        let counted = self.entries.values().filter(|entry| entry.counts()).count();
        counted.max(self.len().min(1))
    }

    /// How many of those that we met could not be reached when they were tried last.
    pub(super) fn silent(&self) -> usize {
        self.entries.values().filter(|entry| entry.verified > 0 && entry.failures > 0).count()
    }

    /// All that count, nearest to `target` first, and after them up to `hearsay` of the others.
    pub(super) fn everybody(&self, target: Point, hearsay: usize) -> Vec<Server> {
        let mut all = self.nearest_of(target, usize::MAX, Entry::counts);
        all.extend(self.nearest_of(target, hearsay, |entry| !entry.counts()));
        all
    }

    fn nearest_of(&self, target: Point, count: usize, wanted: impl Fn(&Entry) -> bool) -> Vec<Server> {
        let mut nearest: Vec<(&Entry, [u8; 32])> = self
            .entries
            .values()
            .filter(|entry| wanted(entry))
            .map(|entry| (entry, entry.point.distance(&target)))
            .collect();
        // Asked with every question of others: only those wanted are put in order.
        if count < nearest.len() {
            nearest.select_nth_unstable_by_key(count, |(_, distance)| *distance);
            nearest.truncate(count);
        }
        nearest.sort_unstable_by_key(|(_, distance)| *distance);
        nearest.into_iter().map(|(entry, _)| entry.server.clone()).collect()
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

    fn insert(&mut self, server: Server, verified: usize, failures: u8, credit: Credit) -> bool {
        let network = server.addrs.first().and_then(Network::of_multiaddr);
        if let Some(network) = &network {
            let full = |peers: &Self| peers.per_network.get(network).is_some_and(|count| *count >= MAX_PER_NETWORK);
            if full(self) && !server.addrs.first().is_some_and(is_localhost) {
                // Claims must not keep out whoever is there.
                let hearsay = |entry: &Entry| entry.verified == 0 && entry.network.as_ref() == Some(network);
                match self.entries.iter().find(|(_, entry)| verified > 0 && hearsay(entry)).map(|(peer, _)| *peer) {
                    Some(peer) => self.forget(&peer),
                    None => return false,
                }
            }
            *self.per_network.entry(network.clone()).or_default() += 1;
        }
        let point = server.point();
        self.gone.remove(&server.peer);
        self.entries.insert(server.peer, Entry { server, verified, point, network, failures, credit });
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
        let victim = self.entries.iter().find(|(_, entry)| entry.verified == 0).map(|(peer, _)| *peer);
        match victim {
            Some(peer) => {
                self.forget(&peer);
                true
            }
            None => false,
        }
    }
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

    impl Peers {
        fn note(&mut self, server: Server, standing: Standing) -> bool {
            self.meet(server, Word::Of(None), |_| standing == Standing::Verified).is_some()
        }

        fn hear(&mut self, server: Server) -> bool {
            self.name(server, Word::Of(None))
        }
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
    fn of_what_a_server_claims_only_what_was_proven_is_handed_on() {
        let mut peers = peers();
        let addrs: Vec<Multiaddr> =
            ["/ip4/127.1.1.1/tcp/1", "/ip4/127.2.2.2/tcp/1"].iter().map(|addr| addr.parse().unwrap()).collect();
        let claims = Server { peer: peer(1), addrs: addrs.clone() };
        assert_eq!(peers.meet(claims.clone(), Word::Of(None), |_| false), Some(Standing::Named));
        assert!(peers.page(None, 9).0.is_empty() && peers.nearest_verified(Point::of(b"t"), 9).is_empty());
        assert_eq!(peers.nearest(Point::of(b"t"), 9).first(), Some(&claims), "we may try it ourselves");
        assert_eq!(peers.meet(claims.clone(), Word::Of(None), |addr| *addr == addrs[1]), Some(Standing::Verified));
        assert_eq!(peers.page(None, 9).0[0].addrs, [addrs[1].clone()]);
        assert_eq!(peers.met(&peer(1)).unwrap().addrs, [addrs[1].clone()]);
        // The next connection proves the other one; this one stays proven as long as it is claimed.
        peers.meet(claims, Word::Of(None), |addr| *addr == addrs[0]);
        assert_eq!(peers.page(None, 9).0[0].addrs, addrs);
    }

    #[test]
    fn claims_do_not_keep_out_whoever_is_there() {
        let mut peers = peers();
        for n in 1..=3 {
            assert!(peers.hear(at(n, &format!("/ip4/127.9.9.{n}/tcp/1"))));
        }
        assert!(!peers.hear(at(4, "/ip4/127.9.9.4/tcp/1")), "as many claims as servers");
        assert!(peers.note(at(5, "/ip4/127.9.9.5/tcp/1"), Standing::Verified));
        assert_eq!(peers.len(), 3);
    }

    #[test]
    fn one_domain_cannot_fill_the_list() {
        let mut peers = peers();
        let known = (1..=10).filter(|n| peers.note(at(*n, &format!("/dns4/n{n}.example/tcp/1")), Standing::Verified));
        assert_eq!(known.count(), 10, "domains of their own");
        let known =
            (11..=20).filter(|n| peers.note(at(*n, &format!("/dns4/n{n}.a.example/tcp/1")), Standing::Verified));
        assert_eq!(known.count(), MAX_PER_NETWORK);
    }

    #[test]
    fn a_wrong_address_named_first_or_last_does_not_hide_a_server() {
        let mut peers = peers();
        peers.hear(at(1, "/ip4/127.6.6.6/tcp/6"));
        peers.hear(at(1, "/ip4/127.1.1.1/tcp/1"));
        peers.hear(at(1, "/ip4/127.7.7.7/tcp/7"));
        assert!(peers.addrs(&peer(1)).unwrap().contains(&"/ip4/127.1.1.1/tcp/1".parse().unwrap()));
        for n in 1..=20 {
            peers.hear(at(1, &format!("/ip4/127.8.8.{n}/tcp/8")));
        }
        assert_eq!(peers.addrs(&peer(1)).unwrap().len(), ADDRESSES_PER_PEER);
    }

    #[test]
    fn a_server_is_forgotten_after_three_failures_in_a_row_and_hearsay_after_one() {
        let mut peers = peers();
        peers.note(at(1, "/ip4/127.1.1.1/tcp/1"), Standing::Verified);
        peers.note(at(2, "/ip4/127.1.2.1/tcp/1"), Standing::Named);
        assert!(peers.failed(&peer(2)));
        assert_eq!(peers.silent(), 0);
        assert!(!peers.failed(&peer(1)));
        assert_eq!(peers.silent(), 1);
        assert!(peers.nearest_living(Point::of(b"t"), 9).is_empty(), "nobody counts on it meanwhile");
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

    #[test]
    fn made_up_servers_do_not_count_until_two_networks_name_them() {
        let mut peers = peers();
        let network = |n: u8| Network::of_multiaddr(&format!("/ip4/127.0.{n}.1/tcp/1").parse().unwrap());
        let by = |n: u8| Word::Of(network(n));
        let made_up = |n: u8| at(n, &format!("/ip4/127.1.{n}.1/tcp/1"));
        assert_eq!(peers.counted(), 0);
        for n in 2..100 {
            peers.name(made_up(n), by(1));
            peers.name(made_up(n), by(1));
            peers.name(made_up(n), Word::Of(None));
        }
        assert_eq!((peers.len(), peers.counted()), (98, 1), "somebody is there, and nobody knows how many");
        peers.note(made_up(100), Standing::Verified);
        assert_eq!(peers.counted(), 1);
        peers.name(made_up(2), by(2));
        assert_eq!(peers.counted(), 2, "two networks name it");
        peers.name(made_up(3), Word::Own);
        assert_eq!(peers.counted(), 3, "we remember it");
        // Whoever does not say whence he speaks is not heard twice.
        peers.name(made_up(101), Word::Of(None));
        peers.name(made_up(101), by(1));
        assert_eq!(peers.counted(), 3);
    }

    #[test]
    fn everybody_is_those_that_count_and_a_part_of_the_hearsay() {
        let mut peers = peers();
        for n in 1..=20 {
            let standing = if n <= 5 { Standing::Verified } else { Standing::Named };
            peers.note(at(n, &format!("/ip4/127.1.{n}.1/tcp/1")), standing);
        }
        let all = peers.everybody(Point::of(b"t"), 7);
        assert_eq!(all.len(), 12);
        assert!(all[..5].iter().all(|server| peers.met(&server.peer).is_some()));
    }

    #[test]
    fn who_turns_out_to_be_no_server_is_struck_off_unless_we_met_it() {
        let mut peers = peers();
        peers.note(at(1, "/ip4/127.1.1.1/tcp/1"), Standing::Verified);
        peers.name(at(2, "/ip4/127.1.2.1/tcp/1"), Word::Own);
        peers.disown(&peer(1));
        peers.disown(&peer(2));
        assert!(peers.len() == 1 && peers.server(&peer(1)).is_some());
    }
}
