//! AutoNAT where the address is stated and not looked for: other servers are asked to dial it, and what they say changes
//! nothing but what `status` says.
//!
//! libp2p's client tests each address once and takes what is reached for one of ours. Here it begins anew for each check,
//! over a connection that is made for it, with the stated addresses alone.

use libp2p::autonat::v2::client::Behaviour as Client;
use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::swarm::{
    ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, NewExternalAddrCandidate, THandler, THandlerInEvent,
    THandlerOutEvent, ToSwarm,
};
use libp2p::{Multiaddr, PeerId};
use std::collections::HashSet;
use std::task::{Context, Poll};

/// The stated addresses, and the check under way.
pub(crate) struct Stated {
    addrs: Vec<Multiaddr>,
    client: Client,
    /// The connections of which the client knows: those made since the check began.
    seen: HashSet<ConnectionId>,
}

impl Stated {
    /// Checks nothing until told to.
    pub(crate) fn new(addrs: Vec<Multiaddr>) -> Self {
        Self { addrs, client: Client::default(), seen: HashSet::new() }
    }

    /// Asks the first server that is dialled from now on to dial each stated address.
    pub(crate) fn begin(&mut self) {
        self.client = Client::default();
        self.seen.clear();
        for addr in &self.addrs {
            let candidate = NewExternalAddrCandidate { addr };
            self.client.on_swarm_event(FromSwarm::NewExternalAddrCandidate(candidate));
        }
    }
}

impl NetworkBehaviour for Stated {
    type ConnectionHandler = THandler<Client>;
    type ToSwarm = <Client as NetworkBehaviour>::ToSwarm;

    fn handle_established_inbound_connection(
        &mut self,
        id: ConnectionId,
        peer: PeerId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.client.handle_established_inbound_connection(id, peer, local, remote)
    }

    fn handle_established_outbound_connection(
        &mut self,
        id: ConnectionId,
        peer: PeerId,
        addr: &Multiaddr,
        role: Endpoint,
        port: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.client.handle_established_outbound_connection(id, peer, addr, role, port)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionEstablished(established) => {
                self.seen.insert(established.connection_id);
                self.client.on_swarm_event(event);
            }
            FromSwarm::ConnectionClosed(closed) if self.seen.remove(&closed.connection_id) => {
                self.client.on_swarm_event(event);
            }
            // What others believe to be our addresses is not what was stated.
            _ => {}
        }
    }

    fn on_connection_handler_event(&mut self, peer: PeerId, id: ConnectionId, event: THandlerOutEvent<Self>) {
        // An answer to an earlier check comes too late.
        if self.seen.contains(&id) {
            self.client.on_connection_handler_event(peer, id, event);
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        loop {
            match self.client.poll(cx) {
                // It was stated, and is told to everybody already.
                Poll::Ready(ToSwarm::ExternalAddrConfirmed(_)) => {}
                other => return other,
            }
        }
    }
}
