//! How many connections others may open: from one part of the network, and as one peer.
//!
//! A peer id costs nothing: without this, one machine with five hundred of them takes every place there is, and floods and
//! stuck streams, which libp2p-kad cannot be told to refuse, come from as many connections as it likes. What we open
//! ourselves is not counted: dialling a peer back, to see whether it is where it says, must not depend on how it came.

use crate::address::{Network, is_localhost};
use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::swarm::{
    ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent, THandlerOutEvent, ToSwarm,
    dummy,
};
use libp2p::{Multiaddr, PeerId};
use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::task::{Context, Poll};

/// The connections that others opened, set up or being set up, by the network they came from. Those of one's own machine
/// are not counted.
pub(crate) struct Crowd {
    limit: usize,
    connections: HashMap<ConnectionId, Network>,
    per_network: HashMap<Network, usize>,
    limit_per_peer: usize,
    incoming: HashMap<PeerId, HashSet<ConnectionId>>,
}

impl Crowd {
    /// At most `limit` from one network, and `limit_per_peer` by one peer.
    pub(crate) fn new(limit: usize, limit_per_peer: usize) -> Self {
        Self {
            limit,
            connections: HashMap::new(),
            per_network: HashMap::new(),
            limit_per_peer,
            incoming: HashMap::new(),
        }
    }

    fn admit(&self, peer: PeerId) -> Result<(), TooMany> {
        let held = self.incoming.get(&peer).map_or(0, HashSet::len);
        if held < self.limit_per_peer { Ok(()) } else { Err(TooMany { peer, limit: self.limit_per_peer }) }
    }

    fn part(&mut self, peer: PeerId, id: ConnectionId) {
        if let Some(held) = self.incoming.get_mut(&peer) {
            held.remove(&id);
            if held.is_empty() {
                self.incoming.remove(&peer);
            }
        }
    }

    fn enter(&mut self, id: ConnectionId, remote: &Multiaddr) -> Result<(), Crowded> {
        let Some(network) = Network::of_multiaddr(remote).filter(|_| !is_localhost(remote)) else { return Ok(()) };
        let count = self.per_network.entry(network.clone()).or_default();
        if *count >= self.limit {
            return Err(Crowded { network, limit: self.limit });
        }
        *count += 1;
        self.connections.insert(id, network);
        Ok(())
    }

    fn leave(&mut self, id: ConnectionId) {
        let Some(network) = self.connections.remove(&id) else { return };
        if let Some(count) = self.per_network.get_mut(&network) {
            *count -= 1;
            if *count == 0 {
                self.per_network.remove(&network);
            }
        }
    }
}

/// One network has as many connections to us as it may.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{network} holds {limit} connections already")]
struct Crowded {
    network: Network,
    limit: usize,
}

/// One peer has opened as many connections to us as it may.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{peer} has opened {limit} connections already")]
struct TooMany {
    peer: PeerId,
    limit: usize,
}

impl NetworkBehaviour for Crowd {
    type ConnectionHandler = dummy::ConnectionHandler;
    type ToSwarm = Infallible;

    fn handle_pending_inbound_connection(
        &mut self,
        id: ConnectionId,
        _: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        self.enter(id, remote).map_err(ConnectionDenied::new)
    }

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.admit(peer).map_err(ConnectionDenied::new)?;
        Ok(dummy::ConnectionHandler)
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(dummy::ConnectionHandler)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionEstablished(opened) if opened.endpoint.is_listener() => {
                self.incoming.entry(opened.peer_id).or_default().insert(opened.connection_id);
            }
            FromSwarm::ConnectionClosed(closed) => {
                self.leave(closed.connection_id);
                self.part(closed.peer_id, closed.connection_id);
            }
            FromSwarm::ListenFailure(failure) => self.leave(failure.connection_id),
            _ => {}
        }
    }

    fn on_connection_handler_event(&mut self, _: PeerId, _: ConnectionId, event: THandlerOutEvent<Self>) {
        match event {}
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addr(text: &str) -> Multiaddr {
        text.parse().unwrap()
    }

    #[test]
    fn one_network_takes_no_more_than_its_part() {
        let mut crowd = Crowd::new(3, 9);
        let mut id = (0..).map(ConnectionId::new_unchecked);
        let mut enter = |crowd: &mut Crowd, from: &str| {
            let id = id.next().unwrap();
            crowd.enter(id, &addr(from)).map(|()| id)
        };
        let first = enter(&mut crowd, "/ip4/198.51.100.1/tcp/1").unwrap();
        for host in 2..=3 {
            enter(&mut crowd, &format!("/ip4/198.51.100.{host}/udp/1/quic-v1")).unwrap();
        }
        assert!(enter(&mut crowd, "/ip4/198.51.100.9/tcp/1").is_err());
        enter(&mut crowd, "/ip4/203.0.113.9/tcp/1").expect("another network is not held up");
        crowd.leave(first);
        enter(&mut crowd, "/ip4/198.51.100.9/tcp/1").expect("a place became free");
    }

    #[test]
    fn one_machine_may_speak_with_itself_as_often_as_it_likes() {
        let mut crowd = Crowd::new(1, 9);
        for id in 0..10 {
            crowd.enter(ConnectionId::new_unchecked(id), &addr("/ip4/127.0.0.1/tcp/1")).unwrap();
        }
        assert!(crowd.per_network.is_empty());
    }
}
