//! Minding what runs by itself: connections kept warm, servers remembered, clocks compared.

use crate::dht::connections::Connections;
use crate::dht::driver::task::Driver;
use crate::dht::message::Response;
use crate::dht::peers::Standing;
use crate::dht::server::{Point, Server};
use libp2p::PeerId;
use libp2p::multiaddr::Protocol;
use libp2p::swarm::dial_opts::DialOpts;
use std::collections::HashSet;
use std::time::{Duration, Instant};
use tracing::warn;

/// How often connections are minded and lost neighbours looked for.
pub(super) const TICK: Duration = Duration::from_secs(5);
/// How often the servers known are written to the store.
const SAVE_EVERY: Duration = Duration::from_secs(60);
/// How far the median of the others' clocks may be off before it is said.
const CLOCK_TOLERANCE_SECONDS: i64 = 600;
/// How many servers are remembered across restarts.
const MAX_SAVED: usize = 200;

impl Driver {
    pub(super) fn on_tick(&mut self) {
        let now = Instant::now();
        for peer in self.connections.superfluous(now) {
            let _ = self.swarm.disconnect_peer_id(peer);
        }
        if self.connections.is_empty() {
            self.dial_bootstrap();
        }
        self.keep_warm();
        if now.duration_since(self.last_saved) >= SAVE_EVERY {
            self.last_saved = now;
            self.save_servers();
        }
        self.book().sweep();
    }

    /// Dials servers until [`Connections::WARM`] connections stand: a question over one of them takes one round trip.
    pub(super) fn keep_warm(&mut self) {
        let missing = Connections::WARM.saturating_sub(self.connections.len());
        if missing == 0 {
            return;
        }
        let own = Point::of(&self.swarm.local_peer_id().to_bytes());
        let near = self.peers.nearest(own, Connections::WARM * 2);
        let connected: HashSet<PeerId> = self.connections.peers().collect();
        for server in near.into_iter().filter(|server| !connected.contains(&server.peer)).take(missing) {
            // Refused only if a dial to it is under way.
            let _ = self.swarm.dial(DialOpts::peer_id(server.peer).addresses(server.addrs).build());
        }
    }

    pub(super) fn dial_bootstrap(&mut self) {
        for addr in self.bootstrap.clone() {
            if let Some(Protocol::P2p(peer)) = addr.iter().last() {
                self.peers.note(Server { peer, addrs: vec![addr] }, Standing::Named);
            } else {
                let _ = self.swarm.dial(addr);
            }
        }
        self.count_known();
    }

    pub(super) fn save_servers(&mut self) {
        let (servers, _) = self.peers.page(None, MAX_SAVED);
        if !servers.is_empty() {
            let encoded = servers.iter().filter_map(Server::encode).collect();
            self.book().save_servers(encoded);
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
