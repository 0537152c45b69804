//! Which connections stand, from where, when each was last used, and which may go.
//!
//! libp2p closes none of ours for idleness: setting one up costs 6 ms of CPU and two round trips, so the five most useful
//! are kept; a standing one costs about 100 kB, so no more than eight idle ones are.
//!
//! Where a peer is, is known from here alone: the address at the other end of a connection is one that it has, while what
//! it says of itself may be anybody's.

use crate::address::Network;
use libp2p::swarm::ConnectionId;
use libp2p_identity::PeerId;
use multiaddr::{Multiaddr, Protocol};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// A connection unused for this long is idle: a walk of another node may still be using it before.
const IDLE_AFTER: Duration = Duration::from_secs(10);
/// Idle connections beyond the warm ones are closed after this long.
const CLOSE_AFTER: Duration = Duration::from_secs(60);

/// The peers that we are connected to.
#[derive(Debug, Default)]
pub(super) struct Connections(HashMap<PeerId, Neighbour>);

#[derive(Debug)]
struct Neighbour {
    links: Vec<Link>,
    last_used: Instant,
    /// When it asked us something last.
    last_asked: Option<Instant>,
    open_questions: u32,
}

/// One connection. A peer has a few: each side may have dialled.
#[derive(Debug)]
struct Link {
    id: ConnectionId,
    remote: Multiaddr,
    dialled: bool,
    since: Instant,
}

impl Connections {
    /// How many connections are kept, used or not.
    pub(super) const WARM: usize = 5;
    /// How many idle ones are kept for a minute.
    pub(super) const IDLE: usize = 8;

    /// How many connections with one peer are kept: each side may have dialled.
    const LINKS: usize = 2;

    /// Notes a new connection.
    pub(super) fn opened(&mut self, peer: PeerId, id: ConnectionId, remote: Multiaddr, dialled: bool) {
        let neighbour = self.0.entry(peer).or_insert_with(Neighbour::new);
        neighbour.links.push(Link { id, remote: without_peer(remote), dialled, since: Instant::now() });
        neighbour.last_used = Instant::now();
    }

    /// Notes that a connection is gone.
    pub(super) fn closed(&mut self, peer: &PeerId, id: ConnectionId) {
        let Some(neighbour) = self.0.get_mut(peer) else { return };
        neighbour.links.retain(|link| link.id != id);
        if neighbour.links.is_empty() && neighbour.open_questions == 0 {
            self.0.remove(peer);
        }
    }

    /// Notes that a question to a peer is open, connected or not.
    pub(super) fn begin(&mut self, peer: &PeerId) {
        self.0.entry(*peer).or_insert_with(Neighbour::new).open_questions += 1;
        self.used(peer);
    }

    /// Notes that a question to a peer is answered or given up.
    pub(super) fn end(&mut self, peer: &PeerId) {
        let Some(neighbour) = self.0.get_mut(peer) else { return };
        neighbour.open_questions = neighbour.open_questions.saturating_sub(1);
        neighbour.last_used = Instant::now();
        if neighbour.links.is_empty() && neighbour.open_questions == 0 {
            self.0.remove(peer);
        }
    }

    /// Notes that a peer asked us something.
    pub(super) fn asked(&mut self, peer: &PeerId) {
        if let Some(neighbour) = self.0.get_mut(peer) {
            neighbour.last_used = Instant::now();
            neighbour.last_asked = Some(neighbour.last_used);
        }
    }

    /// Whether a connection may go as soon as our own question is answered: we made it, more stand than are kept idle, and
    /// the peer has no use for it that we know of.
    pub(super) fn is_spare(&self, peer: &PeerId, now: Instant) -> bool {
        let Some(neighbour) = self.0.get(peer) else { return false };
        let asks = neighbour.last_asked.is_some_and(|asked| now.saturating_duration_since(asked) < IDLE_AFTER);
        let ours = !neighbour.links.is_empty() && neighbour.links.iter().all(|link| link.dialled);
        ours && !asks && neighbour.open_questions == 0 && self.len() > Self::IDLE
    }

    fn used(&mut self, peer: &PeerId) {
        if let Some(neighbour) = self.0.get_mut(peer) {
            neighbour.last_used = Instant::now();
        }
    }

    /// The addresses under which we reached a peer, where it was we who dialled.
    pub(super) fn dialled(&self, peer: &PeerId) -> Vec<Multiaddr> {
        self.links(peer).iter().filter(|link| link.dialled).map(|link| link.remote.clone()).collect()
    }

    /// Whether a connection proves that a peer is at `addr`: we dialled it there, or it speaks from that network.
    pub(super) fn prove(&self, peer: &PeerId, addr: &Multiaddr) -> bool {
        let network = Network::of_multiaddr(addr);
        let proves = |link: &Link| {
            link.dialled && link.remote == *addr || network.is_some() && network == Network::of_multiaddr(&link.remote)
        };
        self.links(peer).iter().any(proves)
    }

    /// The network from which a peer speaks on one connection.
    pub(super) fn network_of(&self, peer: &PeerId, id: ConnectionId) -> Option<Network> {
        let link = self.links(peer).iter().find(|link| link.id == id)?;
        Network::of_multiaddr(&link.remote)
    }

    /// The network from which a peer speaks: where we dialled it, else from where it came first.
    pub(super) fn network(&self, peer: &PeerId) -> Option<Network> {
        let links = self.links(peer);
        let link = links.iter().find(|link| link.dialled).or(links.first())?;
        Network::of_multiaddr(&link.remote)
    }

    /// The peers connected to.
    pub(super) fn peers(&self) -> impl Iterator<Item = PeerId> + '_ {
        self.0.iter().filter(|(_, neighbour)| !neighbour.links.is_empty()).map(|(peer, _)| *peer)
    }

    /// Whether a peer is connected to.
    pub(super) fn contains(&self, peer: &PeerId) -> bool {
        !self.links(peer).is_empty()
    }

    /// How many peers are connected to.
    pub(super) fn len(&self) -> usize {
        self.peers().count()
    }

    /// Whether nobody is connected to.
    pub(super) fn is_empty(&self) -> bool {
        self.peers().next().is_none()
    }

    /// The peers to hang up on: idle ones beyond [`Self::IDLE`], and after a minute those beyond [`Self::WARM`]; the
    /// longest unused first.
    pub(super) fn superfluous(&self, now: Instant) -> Vec<PeerId> {
        let mut idle: Vec<(PeerId, Duration)> = self
            .0
            .iter()
            .filter(|(_, neighbour)| !neighbour.links.is_empty() && neighbour.open_questions == 0)
            .map(|(peer, neighbour)| (*peer, now.saturating_duration_since(neighbour.last_used)))
            .filter(|(_, unused)| *unused >= IDLE_AFTER)
            .collect();
        idle.sort_unstable_by_key(|(peer, unused)| (*unused, *peer));
        let keep = |(i, (_, unused)): (usize, &(PeerId, Duration))| {
            i < Self::WARM || (i < Self::IDLE && *unused < CLOSE_AFTER)
        };
        idle.iter().enumerate().filter(|item| !keep((item.0, item.1))).map(|(_, (peer, _))| *peer).collect()
    }

    /// The connections to close of peers that have more than one each way: what a check of an address leaves behind.
    pub(super) fn doubled(&self, now: Instant) -> Vec<ConnectionId> {
        let quiet = self.0.values().filter(|neighbour| neighbour.open_questions == 0);
        let beyond = quiet.flat_map(|neighbour| neighbour.links.iter().skip(Self::LINKS));
        beyond.filter(|link| now.saturating_duration_since(link.since) >= CLOSE_AFTER / 3).map(|link| link.id).collect()
    }

    fn links(&self, peer: &PeerId) -> &[Link] {
        self.0.get(peer).map_or(&[], |neighbour| neighbour.links.as_slice())
    }
}

impl Neighbour {
    fn new() -> Self {
        Self { links: Vec::new(), last_used: Instant::now(), last_asked: None, open_questions: 0 }
    }
}

fn without_peer(mut addr: Multiaddr) -> Multiaddr {
    if let Some(Protocol::P2p(_)) = addr.iter().last() {
        addr.pop();
    }
    addr
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: usize) -> ConnectionId {
        ConnectionId::new_unchecked(n)
    }

    fn addr(text: &str) -> Multiaddr {
        text.parse().unwrap()
    }

    fn connected(count: usize) -> (Connections, Vec<PeerId>) {
        let mut connections = Connections::default();
        let peers: Vec<PeerId> = (0..count).map(|_| PeerId::random()).collect();
        for (n, peer) in peers.iter().enumerate() {
            connections.opened(*peer, id(n), addr(&format!("/ip4/127.0.{n}.1/tcp/1")), true);
        }
        (connections, peers)
    }

    #[test]
    fn eight_idle_connections_stay_for_a_minute_and_five_for_good() {
        let (connections, _) = connected(20);
        let now = Instant::now();
        assert!(connections.superfluous(now).is_empty(), "none is idle yet");
        assert_eq!(connections.superfluous(now + Duration::from_secs(11)).len(), 12);
        assert_eq!(connections.superfluous(now + Duration::from_secs(61)).len(), 15);
    }

    #[test]
    fn a_connection_made_for_one_question_may_go_when_it_is_answered() {
        let (mut connections, peers) = connected(Connections::IDLE);
        let (now, another) = (Instant::now(), PeerId::random());
        assert!(!connections.is_spare(&peers[0], now), "so many are kept");
        connections.opened(another, id(100), addr("/ip4/127.0.99.1/tcp/1"), false);
        assert!(connections.is_spare(&peers[0], now));
        assert!(!connections.is_spare(&another, now), "it came for something");
        connections.begin(&peers[0]);
        assert!(!connections.is_spare(&peers[0], now), "a question is open");
        connections.end(&peers[0]);
        connections.asked(&peers[0]);
        assert!(!connections.is_spare(&peers[0], Instant::now()), "it may ask on");
        assert!(connections.is_spare(&peers[0], Instant::now() + IDLE_AFTER));
    }

    #[test]
    fn of_many_connections_with_one_peer_two_stay() {
        let (mut connections, peers) = connected(2);
        for n in 10..13 {
            connections.opened(peers[0], id(n), addr("/ip4/127.0.0.1/tcp/2"), false);
        }
        let now = Instant::now();
        assert!(connections.doubled(now).is_empty(), "they may be in use");
        assert_eq!(connections.doubled(now + Duration::from_secs(20)), [id(11), id(12)]);
    }

    #[test]
    fn a_connection_with_an_open_question_stays() {
        let (mut connections, peers) = connected(9);
        connections.begin(&peers[3]);
        let later = Instant::now() + Duration::from_secs(3_600);
        assert!(!connections.superfluous(later).contains(&peers[3]));
        connections.end(&peers[3]);
        assert_eq!(connections.superfluous(later).len(), 4);
    }

    #[test]
    fn a_question_to_somebody_unreachable_leaves_nothing_behind() {
        let mut connections = Connections::default();
        let peer = PeerId::random();
        connections.begin(&peer);
        assert!(connections.is_empty());
        connections.end(&peer);
        assert!(connections.0.is_empty());
    }

    #[test]
    fn who_came_to_us_is_believed_about_the_network_it_came_from_alone() {
        let mut connections = Connections::default();
        let peer = PeerId::random();
        connections.opened(peer, id(1), addr("/ip4/198.51.100.7/tcp/50000"), false);
        assert!(connections.prove(&peer, &addr("/ip4/198.51.100.9/udp/4000/quic-v1")));
        assert!(!connections.prove(&peer, &addr("/ip4/203.0.113.1/udp/4000/quic-v1")));
        assert!(!connections.prove(&peer, &addr("/dns4/a.example/tcp/4000")));
        // Dialled back at what it claimed, and answered as itself.
        connections.opened(peer, id(2), addr(&format!("/dns4/a.example/tcp/4000/p2p/{peer}")), true);
        assert!(connections.prove(&peer, &addr("/dns4/a.example/tcp/4000")));
    }

    #[test]
    fn what_a_peer_brings_counts_for_the_connection_and_what_it_answers_for_where_it_was_reached() {
        let mut connections = Connections::default();
        let peer = PeerId::random();
        connections.opened(peer, id(1), addr("/ip4/198.51.100.7/tcp/50000"), false);
        connections.opened(peer, id(2), addr("/ip4/203.0.113.1/tcp/4000"), true);
        let network = |text: &str| Network::of_multiaddr(&addr(text));
        assert_eq!(connections.network_of(&peer, id(1)), network("/ip4/198.51.100.0/tcp/1"));
        assert_eq!(connections.network_of(&peer, id(2)), network("/ip4/203.0.113.0/tcp/1"));
        assert_eq!(connections.network(&peer), network("/ip4/203.0.113.0/tcp/1"));
        connections.closed(&peer, id(2));
        assert_eq!(connections.network(&peer), network("/ip4/198.51.100.0/tcp/1"));
        assert!(connections.contains(&peer));
        connections.closed(&peer, id(1));
        assert!(connections.is_empty() && connections.network(&peer).is_none());
    }
}
