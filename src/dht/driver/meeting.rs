//! Meeting other nodes: who they are, whom they know, and who turns out not to be there.

use crate::address::dialable;
use crate::dht::behaviour::Role;
use crate::dht::driver::task::{Driver, Purpose};
use crate::dht::message::{Request, SERVERS_PER_PAGE};
use crate::dht::peers::Standing;
use crate::dht::server::Server;
use libp2p::swarm::DialError;
use libp2p::{PeerId, identify};
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
        if self.peers.failed(&peer) {
            self.swarm.behaviour_mut().kad.remove_peer(&peer);
            self.count_known();
        }
    }

    pub(super) fn on_identified(&mut self, peer: PeerId, info: identify::Info) {
        let [kad, record] = &self.protocols;
        let (speaks_kad, speaks_record) = (info.protocols.contains(kad), info.protocols.contains(record));
        if info.protocol_version.starts_with("/lafs-clearinghouse/") && info.protocol_version != self.network {
            warn!(%peer, theirs = info.protocol_version, ours = self.network, "a node of another network; see --network");
        }
        let mut addrs = info.listen_addrs;
        // A server that states no address is reached as we reached it.
        addrs.extend(self.connections.dialled(&peer).cloned());
        if speaks_record {
            let server = Server { peer, addrs: addrs.clone() };
            if self.peers.note(server, Standing::Verified) {
                self.peers.answered(&peer);
                self.count_known();
                self.ask_for_servers(peer);
            }
        }
        if speaks_kad && self.role != Role::Client {
            let noted = self.peers.addrs(&peer).map(<[_]>::to_vec);
            for addr in noted.unwrap_or_else(|| addrs.into_iter().take(2).collect()) {
                if dialable(&addr, self.private) {
                    self.swarm.behaviour_mut().kad.add_address(&peer, addr);
                }
            }
        }
    }

    /// Asks a newly met server for its list of servers, while there is something to learn.
    pub(super) fn ask_for_servers(&mut self, peer: PeerId) {
        let now = Instant::now();
        self.pages_asked.retain(|_, asked| now.duration_since(*asked) < PAGES_EVERY);
        if self.role != Role::Client && self.pages_asked.len() < PAGES_FROM && !self.pages_asked.contains_key(&peer) {
            self.pages_asked.insert(peer, now);
            self.ask_for_page(peer, None, MAX_PAGES);
        }
    }

    pub(super) fn ask_for_page(&mut self, peer: PeerId, after: Option<PeerId>, left: u32) {
        self.ask(Server { peer, addrs: Vec::new() }, Request::Servers { after }, Purpose::Page { after, left });
    }

    pub(super) fn on_page(&mut self, from: PeerId, after: Option<PeerId>, left: u32, page: Vec<Server>, more: bool) {
        let last = page.last().map(|server| server.peer);
        for server in page {
            self.peers.note(server, Standing::Named);
        }
        self.count_known();
        // Pages ascend: who sends the same one again and again is not asked for ever.
        if more && last > after && left > 1 {
            self.ask_for_page(from, last, left - 1);
        }
    }

    pub(super) fn count_known(&mut self) {
        let known = self.peers.len();
        self.known.send_if_modified(|count| std::mem::replace(count, known) != known);
    }
}
