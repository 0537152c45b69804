//! libp2p's own figures about connections, Kademlia and identify, kept within bounds.

use libp2p::metrics::Recorder;
use libp2p::swarm::SwarmEvent;
use libp2p::{Multiaddr, identify, kad};
use prometheus_client::registry::Registry;

/// Of what a peer says about itself, so many addresses are counted: each kind of address becomes a label, and a peer may
/// state as many as fit in its message.
const ADDRESSES: usize = 2;
/// And none of more parts than this: `/ip4/…/udp/…/quic-v1/p2p/…` has four.
const PARTS: usize = 5;
/// Protocols counted of one peer.
const PROTOCOLS: usize = 32;

pub(super) struct Network(libp2p::metrics::Metrics);

impl Network {
    pub(super) fn new(registry: &mut Registry) -> Self {
        Self(libp2p::metrics::Metrics::new(registry))
    }

    pub(super) fn swarm<E>(&self, event: &SwarmEvent<E>) {
        match event {
            // The kinds of such addresses become labels that stay for ever, and peers make them up.
            SwarmEvent::NewExternalAddrCandidate { .. }
            | SwarmEvent::ExternalAddrConfirmed { .. }
            | SwarmEvent::ExternalAddrExpired { .. }
            | SwarmEvent::NewExternalAddrOfPeer { .. } => {}
            event => self.0.record(event),
        }
    }

    pub(super) fn kad(&self, event: &kad::Event) {
        self.0.record(event);
    }

    pub(super) fn identify(&self, event: &identify::Event) {
        match event {
            identify::Event::Received { connection_id, peer_id, info } => self.0.record(&identify::Event::Received {
                connection_id: *connection_id,
                peer_id: *peer_id,
                info: trimmed(info),
            }),
            event => self.0.record(event),
        }
    }
}

/// What is counted of a peer's words, which are kept as long as it is connected.
fn trimmed(info: &identify::Info) -> identify::Info {
    let short = |addr: &&Multiaddr| addr.iter().take(PARTS + 1).count() <= PARTS;
    identify::Info {
        public_key: info.public_key.clone(),
        protocol_version: String::new(),
        agent_version: String::new(),
        listen_addrs: info.listen_addrs.iter().filter(short).take(ADDRESSES).cloned().collect(),
        protocols: info.protocols.iter().take(PROTOCOLS).cloned().collect(),
        observed_addr: Some(&info.observed_addr).filter(short).cloned().unwrap_or_else(Multiaddr::empty),
        signed_peer_record: None,
    }
}
