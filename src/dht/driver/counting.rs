//! Counting: what came by which way, and how the book and the network stand.

use crate::address::Network;
use crate::dht::behaviour::BehaviourEvent;
use crate::dht::census::{Census, estimated_size};
use crate::dht::driver::task::Driver;
use crate::dht::server::Point;
use crate::dht::walk::WIDTH;
use crate::keys::GridId;
use crate::metrics::Origin;
use crate::record::Verdict;
use libp2p::swarm::SwarmEvent;
use std::time::{Duration, Instant};

/// How many servers are looked at to tell how dense the network is: enough that twenty networks are among them.
const LOOKED_AT: usize = WIDTH * 3;

impl Driver {
    pub(super) fn count(&self, event: &SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::Behaviour(BehaviourEvent::Kad(event)) => self.metrics.kad(event),
            SwarmEvent::Behaviour(BehaviourEvent::Identify(event)) => self.metrics.identify(event),
            event => self.metrics.swarm(event),
        }
    }

    /// Offers a record to the book, and counts what came of it.
    pub(super) fn offer(&mut self, origin: Origin, grid: &GridId, record: &[u8]) -> Verdict {
        let started = Instant::now();
        let verdict = self.book().offer(grid, record);
        self.metrics.offered(origin, &verdict, started.elapsed());
        verdict
    }

    /// Offers a record that came from an address without a peer; `None` beyond the rate for keys that are new.
    pub(super) fn offer_from_network(&mut self, network: Network, grid: &GridId, record: &[u8]) -> Option<Verdict> {
        if self.book().row(grid).is_none() && !self.admission.admits_new_key_of(Some(network), Instant::now()) {
            self.refused_for_now(Origin::Http);
            return None;
        }
        Some(self.offer(Origin::Http, grid, record))
    }

    /// The verdict on a record that is not even looked at.
    pub(super) fn refused_for_now(&self, origin: Origin) -> Verdict {
        self.metrics.offered(origin, &Verdict::Busy, Duration::ZERO);
        Verdict::Busy
    }

    pub(super) fn census(&mut self) -> Census {
        let own = Point::of(&self.swarm.local_peer_id().to_bytes());
        let known = self.peers.counted();
        let whole = known <= self.whole_network_limit;
        let estimate = if whole { None } else { estimated_size(own, &self.peers.nearest(own, LOOKED_AT)) };
        Census {
            server_networks: self.peers.networks(),
            network_size: estimate.unwrap_or(known as f64 + 1.0),
            held: self.book().size(),
        }
    }
}
