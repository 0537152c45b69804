//! Minding what runs by itself: connections kept warm, servers remembered, clocks compared.

use crate::dht::behaviour::Role;
use crate::dht::connections::Connections;
use crate::dht::doubts::Change;
use crate::dht::driver::task::Driver;
use crate::dht::give_back::give_back;
use crate::dht::message::Response;
use crate::dht::peers::Word;
use crate::dht::server::{Point, Server};
use libp2p::multiaddr::Protocol;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::{PeerId, autonat};
use std::time::{Duration, Instant};
use tracing::{debug, info, warn};

/// How often connections are minded and lost neighbours looked for.
pub(super) const TICK: Duration = Duration::from_secs(5);
/// How often the servers known are written to the store, and one that was lost is tried again.
const SAVE_EVERY: Duration = Duration::from_secs(60);
/// How far the median of the others' clocks may be off before it is said.
const CLOCK_TOLERANCE_SECONDS: i64 = 600;
/// Among how many servers those are chosen that are asked to dial us.
const CHECKED_AMONG: usize = 20;
/// How many servers are written to the store.
const MAX_SAVED: usize = 200;

impl Driver {
    pub(super) fn on_tick(&mut self) {
        let now = Instant::now();
        for peer in self.connections.superfluous(now) {
            if !self.trusted.contains(&peer) {
                let _ = self.swarm.disconnect_peer_id(peer);
            }
        }
        for connection in self.connections.doubled(now) {
            self.swarm.close_connection(connection);
        }
        self.ticks_alone = if self.connections.is_empty() { self.ticks_alone.saturating_add(1) } else { 0 };
        let dials = dials_at(self.ticks_alone);
        if dials && self.ticks_alone > 0 {
            self.dial_bootstrap();
            self.name_remembered();
        }
        self.ticks = self.ticks.wrapping_add(1);
        // Where more are known than are dialled at a time, each tick tries others.
        if dials || self.peers.len() > Connections::WARM {
            self.keep_warm();
        }
        self.check_stated(now);
        self.dial_backs.tick();
        self.dial_back();
        if now.duration_since(self.last_saved) >= SAVE_EVERY {
            self.last_saved = now;
            self.save_servers();
            self.retry_lost();
        }
        self.book().sweep();
        if self.give_back.is_due() {
            // Beside the node's work: nobody waits for it.
            drop(tokio::task::spawn_blocking(give_back));
        }
    }

    /// Dials servers until [`Connections::WARM`] connections stand: a question over one of them takes one round trip.
    pub(super) fn keep_warm(&mut self) {
        let lost = self.trusted.iter().filter(|peer| !self.connections.contains(peer));
        let lost: Vec<Server> = lost.filter_map(|peer| self.peers.server(peer).cloned()).collect();
        for server in lost {
            let _ = self.swarm.dial(DialOpts::peer_id(server.peer).addresses(server.addrs).build());
        }
        let missing = Connections::WARM.saturating_sub(self.connections.len());
        // A client starts for a question, which dials those nearest to its answer: five handshakes more at that moment
        // would only stand in its way.
        let just_started = self.role == Role::Client && self.ticks <= 1;
        if missing == 0 || just_started {
            return;
        }
        let own = Point::of(&self.swarm.local_peer_id().to_bytes());
        let mut near = if self.connections.is_empty() {
            // Nobody answers: others are tried each time, until somebody does.
            let mut all = self.peers.nearest(own, usize::MAX);
            let turn = self.ticks.saturating_mul(missing).checked_rem(all.len()).unwrap_or_default();
            all.rotate_left(turn);
            all
        } else {
            self.peers.nearest(own, Connections::WARM * 2)
        };
        near.retain(|server| !self.connections.contains(&server.peer));
        for server in near.into_iter().take(missing) {
            // Refused only if a dial to it is under way.
            let _ = self.swarm.dial(DialOpts::peer_id(server.peer).addresses(server.addrs).build());
        }
    }

    /// Hangs up on a peer with whom we are done, unless the connection is of use.
    pub(super) fn part(&mut self, peer: PeerId) {
        if self.connections.is_spare(&peer, Instant::now()) && !self.trusted.contains(&peer) {
            let _ = self.swarm.disconnect_peer_id(peer);
        }
    }

    /// Keeps `peers` connected whatever the limits say, and no others.
    pub(super) fn trust(&mut self, peers: Vec<PeerId>) {
        let limits = &mut self.swarm.behaviour_mut().limits;
        for peer in self.trusted.drain() {
            limits.remove_peer_id(&peer);
        }
        for peer in &peers {
            limits.bypass_peer_id(peer);
        }
        self.trusted = peers.into_iter().collect();
        self.keep_warm();
    }

    pub(super) fn dial_bootstrap(&mut self) {
        for addr in self.bootstrap.clone() {
            if let Some(Protocol::P2p(peer)) = addr.iter().last() {
                self.peers.name(Server { peer, addrs: vec![addr] }, Word::Own);
            } else {
                let dial = DialOpts::unknown_peer_id().address(addr).build();
                let id = dial.connection_id();
                if self.swarm.dial(dial).is_ok() {
                    self.blind_dials.insert(id);
                }
            }
        }
        self.count_known();
    }

    fn name_remembered(&mut self) {
        for server in self.remembered.all() {
            self.peers.name(server.clone(), Word::Own);
        }
        self.count_known();
    }

    /// Tries one of those that were lost: where the network had parted, one that answers brings back all.
    fn retry_lost(&mut self) {
        let peers = &self.peers;
        if let Some(server) = self.remembered.lost(|peer| peers.server(peer).is_some()) {
            self.peers.name(server.clone(), Word::Own);
            let _ = self.swarm.dial(DialOpts::peer_id(server.peer).addresses(server.addrs).build());
        }
    }

    /// Writes the servers to the store. Not while nobody is connected: whoever is cut off would remember ever fewer.
    pub(super) fn save_servers(&mut self) {
        if self.connections.is_empty() {
            return;
        }
        self.remembered.met(self.peers.page(None, MAX_SAVED).0);
        let encoded: Vec<Vec<u8>> = self.remembered.all().iter().filter_map(Server::encode).collect();
        if !encoded.is_empty() {
            self.book().save_servers(encoded);
        }
    }

    /// Asks a server, each time another, whether it reaches us at the addresses that the settings state.
    fn check_stated(&mut self, now: Instant) {
        if !self.swarm.behaviour().stated.is_enabled() || !self.doubts.is_due(now) {
            return;
        }
        let own = Point::of(&self.swarm.local_peer_id().to_bytes());
        let met = self.peers.nearest_verified(own, CHECKED_AMONG);
        if met.is_empty() {
            return;
        }
        let server = &met[self.doubts.begin(now) % met.len()];
        if let Some(before) = self.checked_over.take() {
            self.swarm.close_connection(before);
        }
        if let Some(stated) = self.swarm.behaviour_mut().stated.as_mut() {
            stated.begin();
        }
        // One of its own, beside those that stand: libp2p asks only those whom it meets after the check began.
        let dial = DialOpts::peer_id(server.peer).addresses(server.addrs.clone()).condition(PeerCondition::Always);
        let dial = dial.build();
        let id = dial.connection_id();
        if self.swarm.dial(dial).is_ok() {
            self.checked_over = Some(id);
        }
    }

    pub(super) fn on_checked(&mut self, event: &autonat::v2::client::Event) {
        let network = self.connections.network(&event.server);
        let networks = self.peers.networks();
        let address = &event.tested_addr;
        debug!(%address, server = %event.server, result = ?event.result, "asked whether this address is reached");
        match self.doubts.heard(address, network, event.result.is_ok(), networks, Instant::now()) {
            Some(Change::Doubted) => warn!(
                %address,
                "other servers do not reach this node at the address that it states: look at the firewall and the port forwarding"
            ),
            Some(Change::Cleared) => info!(%address, "other servers reach this node at that address again"),
            None => {}
        }
    }

    pub(super) fn note_clock(&mut self, peer: PeerId, response: &Response) {
        self.clocks.note(peer, self.clock.now(), response.time);
        let off = self.clocks.median_ahead().filter(|ahead| ahead.abs() > CLOCK_TOLERANCE_SECONDS);
        match off {
            Some(ahead) if !self.warned_clock => {
                warn!(ahead_seconds = ahead, "the clocks of the others differ from this machine's: set it right");
                self.warned_clock = true;
            }
            Some(_) => {}
            None => self.warned_clock = false,
        }
    }
}

/// Whether a node that has been alone for so many ticks dials at this one: at 5, 10 and 20 seconds, then every half
/// minute, so that a network that is away costs little and is found soon after it is back.
fn dials_at(ticks_alone: u32) -> bool {
    matches!(ticks_alone, 0 | 1 | 2 | 4) || ticks_alone.is_multiple_of(6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_alone_dials_less_and_less_but_always_again() {
        let dials: Vec<u32> = (0..=24).filter(|ticks| dials_at(*ticks)).collect();
        assert_eq!(dials, [0, 1, 2, 4, 6, 12, 18, 24]);
    }
}
