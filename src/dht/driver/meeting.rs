//! Meeting other nodes: who they are, whom they know, and who turns out not to be there.

use crate::address::{Network, is_localhost};
use crate::dht::behaviour::Role;
use crate::dht::driver::task::{Driver, Purpose};
use crate::dht::handle::Known;
use crate::dht::message::{Request, SERVERS_PER_PAGE};
use crate::dht::peers::{Standing, Word};
use crate::dht::routing::has_room;
use crate::dht::server::{ADDRESSES_PER_PEER, Server};
use libp2p::kad::Addresses;
use libp2p::swarm::DialError;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::{Multiaddr, PeerId, identify};
use std::time::{Duration, Instant};
use tracing::{debug, warn};

/// How often the list of servers is asked for again from somebody.
const PAGES_EVERY: Duration = Duration::from_secs(600);
/// How many servers are asked for their whole list when a node joins: one may know few, or hide some.
const PAGES_FROM: usize = 3;
/// How many pages of such a list are read: those of two thousand servers, beyond which none are kept in mind.
const MAX_PAGES: u32 = 2_000_u32.div_ceil(SERVERS_PER_PAGE as u32);

impl Driver {
    pub(super) fn on_dial_error(&mut self, peer: Option<PeerId>, error: &DialError) {
        let Some(peer) = peer else {
            debug!(%error, "a bootstrap address does not answer");
            return;
        };
        // Being connected already, or dialling already, is no failure of the peer.
        if matches!(error, DialError::DialPeerConditionFalse(_) | DialError::Aborted) {
            return;
        }
        debug!(%peer, %error, "not reachable");
        // Who is cut off cannot tell the dead from the living, and would forget everybody.
        if self.connections.is_empty() {
            return;
        }
        self.peers.failed(&peer);
        self.count_known();
    }

    pub(super) fn on_identified(&mut self, peer: PeerId, info: identify::Info) {
        let [kad, record] = &self.protocols;
        let (speaks_kad, speaks_record) = (info.protocols.contains(kad), info.protocols.contains(record));
        if info.protocol_version.starts_with("/lafs-clearinghouse/") && info.protocol_version != self.network {
            warn!(%peer, theirs = info.protocol_version, ours = self.network, "a node of another network; see --network");
        }
        if !speaks_record {
            self.peers.disown(&peer);
            self.count_known();
            return;
        }
        // A server that states no address is reached as we reached it.
        let addrs = [self.connections.dialled(&peer), info.listen_addrs].concat();
        let connections = &self.connections;
        let word = Word::Of(connections.network(&peer));
        let standing = self.peers.meet(Server { peer, addrs }, word, |addr| connections.prove(&peer, addr));
        match standing {
            Some(Standing::Verified) => {
                self.peers.answered(&peer);
                self.ask_for_servers(peer);
                if speaks_kad {
                    self.route(&peer);
                }
            }
            // It came to us, and says that it is somewhere else.
            Some(Standing::Named) => {
                self.dial_backs.add(peer, self.connections.network(&peer));
                self.dial_back();
            }
            None => {}
        }
        self.count_known();
    }

    /// Dials peers back where they claim to be, as long as there are turns. Whoever answers there identifies itself again.
    pub(super) fn dial_back(&mut self) {
        while let Some(peer) = self.dial_backs.next() {
            let addrs = self.peers.addrs(&peer).map(<[Multiaddr]>::to_vec).unwrap_or_default();
            if self.peers.met(&peer).is_some() || addrs.is_empty() {
                continue;
            }
            // It is connected to us already, which proves nothing about these addresses.
            let dial = DialOpts::peer_id(peer).condition(PeerCondition::NotDialing).addresses(addrs).build();
            let _ = self.swarm.dial(dial);
        }
    }

    /// Brings kad's routing table in line with what is known of a server.
    fn route(&mut self, peer: &PeerId) {
        let Some(server) = self.peers.met(peer).filter(|_| self.role != Role::Client) else { return };
        let kad = &mut self.swarm.behaviour_mut().kad;
        let Some(bucket) = kad.kbucket(*peer) else { return };
        let is_it = |key: &PeerId| key == peer;
        let held: Vec<Option<Network>> = bucket
            .iter()
            .filter(|entry| !is_it(entry.node.key.preimage()))
            .map(|entry| Network::of_multiaddr(entry.node.value.first()))
            .collect();
        let before: Vec<Multiaddr> = bucket
            .iter()
            .filter(|entry| is_it(entry.node.key.preimage()))
            .flat_map(|entry| entry.node.value.clone().into_vec())
            .collect();
        let network = server.addrs.first().and_then(Network::of_multiaddr);
        let localhost = server.addrs.first().is_some_and(is_localhost);
        if !localhost && !has_room(held, network.as_ref()) {
            kad.remove_peer(peer);
            return;
        }
        let now: Vec<Multiaddr> = server.addrs.iter().filter_map(|addr| addr.clone().with_p2p(*peer).ok()).collect();
        for addr in &now {
            kad.add_address(peer, addr.clone());
        }
        for addr in before.iter().filter(|addr| !now.contains(addr)) {
            kad.remove_address(peer, addr);
        }
    }

    /// kad puts in by itself who had waited for a place, and adds each address under which it reached a peer.
    pub(super) fn on_routed(&mut self, peer: PeerId, is_new: bool, addresses: &Addresses) {
        if is_new || addresses.len() > ADDRESSES_PER_PEER {
            self.route(&peer);
        }
    }

    /// Asks a newly met server for its list of servers, while there is something to learn.
    fn ask_for_servers(&mut self, peer: PeerId) {
        let now = Instant::now();
        self.pages_asked.retain(|_, asked| now.duration_since(*asked) < PAGES_EVERY);
        if self.role != Role::Client && self.pages_asked.len() < PAGES_FROM && !self.pages_asked.contains_key(&peer) {
            self.pages_asked.insert(peer, now);
            self.ask_for_page(peer, None, MAX_PAGES);
        }
    }

    fn ask_for_page(&mut self, peer: PeerId, after: Option<PeerId>, left: u32) {
        self.ask(Server { peer, addrs: Vec::new() }, Request::Servers { after }, Purpose::Page { after, left });
    }

    pub(super) fn on_page(&mut self, from: PeerId, after: Option<PeerId>, left: u32, page: Vec<Server>, more: bool) {
        let last = page.last().map(|server| server.peer);
        let word = Word::Of(self.connections.network(&from));
        for server in page {
            self.peers.name(server, word.clone());
        }
        self.count_known();
        // Pages ascend: who sends the same one again and again is not asked for ever.
        if more && last > after && left > 1 {
            self.ask_for_page(from, last, left - 1);
        }
    }

    /// Tells those who wait how many servers are known, and takes the others out of kad's table.
    pub(super) fn count_known(&mut self) {
        for peer in self.peers.take_gone() {
            self.swarm.behaviour_mut().kad.remove_peer(&peer);
        }
        let known = Known { all: self.peers.len(), counted: self.peers.counted(), silent: self.peers.silent() };
        self.known.send_if_modified(|before| std::mem::replace(before, known) != known);
    }
}
