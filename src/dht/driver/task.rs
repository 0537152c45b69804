//! The task itself: its state, its loop, and what its handles ask of it.

use crate::address::{Network, PrivateAddresses, dialable};
use crate::clock::Clock;
use crate::dht::admission::Admission;
use crate::dht::behaviour::{Behaviour, BehaviourEvent, Role, kad_protocol, record_protocol};
use crate::dht::clocks::PeerClocks;
use crate::dht::connections::Connections;
use crate::dht::dial_backs::DialBacks;
use crate::dht::doubts::Doubts;
use crate::dht::driver::minding::TICK;
use crate::dht::give_back::GiveBack;
use crate::dht::handle::{AskError, Command, DhtStatus, Known};
use crate::dht::message::{Request, Response};
use crate::dht::peers::{Peers, Word};
use crate::dht::remembered::Remembered;
use crate::dht::server::Server;
use crate::dht::turns::{Turn, Turns};
use crate::dht::vouchers::Vouchers;
use crate::metrics::{Metrics, Origin};
use crate::store::Book;
use futures::StreamExt;
use libp2p::kad;
use libp2p::multiaddr::Protocol;
use libp2p::request_response::OutboundRequestId;
use libp2p::swarm::{ConnectionId, SwarmEvent};
use libp2p::{Multiaddr, PeerId, StreamProtocol, Swarm, identify};
use std::collections::{HashMap, HashSet};
use std::time::Instant;
use tokio::sync::{mpsc, oneshot, watch};
use tracing::{debug, info, warn};

pub(crate) struct Driver {
    pub(super) swarm: Swarm<Behaviour>,
    pub(super) role: Role,
    pub(super) clock: Clock,
    pub(super) peers: Peers,
    pub(super) private: PrivateAddresses,
    pub(super) bootstrap: Vec<Multiaddr>,
    pub(super) commands: mpsc::Receiver<Command>,
    pub(super) known: watch::Sender<Known>,
    /// Whether dials are under way to addresses whose peers are not known beforehand.
    seeking: watch::Sender<bool>,
    /// Dials to addresses whose peers are not known beforehand.
    pub(super) blind_dials: HashSet<ConnectionId>,
    pub(super) listening: watch::Sender<bool>,
    pub(super) metrics: Metrics,
    pub(super) protocols: [StreamProtocol; 2],
    pub(super) network: String,
    pub(super) connections: Connections,
    pub(super) admission: Admission,
    pub(super) vouchers: Vouchers,
    pub(super) whole_network_limit: usize,
    pub(super) clocks: PeerClocks,
    turns: Turns<(Server, Request, Purpose)>,
    pub(super) open: HashMap<OutboundRequestId, (PeerId, Purpose)>,
    pub(super) pages_asked: HashMap<PeerId, Instant>,
    pub(super) dial_backs: DialBacks,
    pub(super) doubts: Doubts,
    /// The connection over which a server is asked to dial us.
    pub(super) checked_over: Option<ConnectionId>,
    pub(super) remembered: Remembered,
    pub(super) ticks: usize,
    pub(super) last_saved: Instant,
    pub(super) warned_clock: bool,
    pub(super) trusted: HashSet<PeerId>,
    pub(super) give_back: GiveBack,
    /// For how many ticks nobody has been connected.
    pub(super) ticks_alone: u32,
}

/// What an open question is for.
pub(super) enum Purpose {
    Answer(oneshot::Sender<Result<(Response, Option<Network>), AskError>>),
    /// The list of servers after a peer id, of which so many more pages are read.
    Page {
        after: Option<PeerId>,
        left: u32,
    },
}

impl Driver {
    #[expect(clippy::too_many_arguments, reason = "called once, by `start`")]
    pub(crate) fn new(
        swarm: Swarm<Behaviour>,
        network: &crate::config::NetworkName,
        role: Role,
        clock: Clock,
        peers: Peers,
        private: PrivateAddresses,
        bootstrap: Vec<Multiaddr>,
        commands: mpsc::Receiver<Command>,
        known: watch::Sender<Known>,
        seeking: watch::Sender<bool>,
        listening: watch::Sender<bool>,
        whole_network_limit: usize,
        saved: Vec<Server>,
    ) -> Self {
        Self {
            swarm,
            role,
            clock,
            peers,
            private,
            bootstrap,
            commands,
            known,
            seeking,
            blind_dials: HashSet::new(),
            listening,
            metrics: Metrics::new(),
            protocols: [kad_protocol(network), record_protocol(network)],
            network: format!("/lafs-clearinghouse/{network}"),
            connections: Connections::default(),
            admission: Admission::default(),
            vouchers: Vouchers::default(),
            whole_network_limit,
            clocks: PeerClocks::default(),
            turns: Turns::default(),
            open: HashMap::new(),
            pages_asked: HashMap::new(),
            dial_backs: DialBacks::default(),
            doubts: Doubts::new(Instant::now()),
            checked_over: None,
            remembered: Remembered::new(saved),
            ticks: 0,
            last_saved: Instant::now(),
            warned_clock: false,
            trusted: HashSet::new(),
            give_back: GiveBack::default(),
            ticks_alone: 0,
        }
    }

    /// Where the task counts.
    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Runs until told to stop, or until every handle is gone.
    pub(crate) async fn run(mut self) {
        self.dial_bootstrap();
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let stopped = loop {
            self.tell_whether_seeking();
            tokio::select! {
                event = self.swarm.select_next_some() => self.on_event(event),
                command = self.commands.recv() => match command {
                    Some(Command::Stop { reply }) => break Some(reply),
                    Some(command) => self.on_command(command),
                    None => break None,
                },
                _ = tick.tick() => self.on_tick(),
            }
        };
        self.save_servers();
        self.book().close();
        if let Some(reply) = stopped {
            let _ = reply.send(());
        }
    }

    pub(super) fn book(&mut self) -> &mut Book {
        &mut self.swarm.behaviour_mut().kad.store_mut().0
    }

    pub(super) fn on_command(&mut self, command: Command) {
        // Whoever no longer waits for an answer has its reason; a failed send is no fault.
        match command {
            Command::Ask { server, request, reply } => self.ask(server, request, Purpose::Answer(reply)),
            Command::Nearest { target, count, reply } => drop(reply.send(self.peers.nearest(target, count))),
            Command::NearestMet { target, count, reply } => {
                let _ = reply.send(self.peers.nearest_verified(target, count));
            }
            Command::Connected { target, reply } => {
                let peers = &self.peers;
                let mut connected: Vec<Server> =
                    self.connections.peers().filter_map(|peer| peers.server(&peer).cloned()).collect();
                connected.sort_by_key(|server| target.distance(&server.point()));
                let _ = reply.send(connected);
            }
            Command::Everybody { target, hearsay, reply } => drop(reply.send(self.peers.everybody(target, hearsay))),
            Command::Part { peer } => self.part(peer),
            Command::Servers { reply } => drop(reply.send(self.peers.all())),
            Command::Note { servers } => {
                for server in servers {
                    self.peers.name(server, Word::Of(None));
                }
                self.count_known();
            }
            Command::Row { grid, reply } => drop(reply.send(self.book().row(&grid).cloned())),
            Command::Evidence { grid, reply } => drop(reply.send(self.book().evidence(&grid))),
            Command::OfferEvidence { grid, records } => {
                for record in records {
                    self.book().offer_evidence(&grid, &record);
                }
            }
            Command::Offer { grid, record, reply } => drop(reply.send(self.offer(Origin::Own, &grid, &record))),
            Command::OfferFrom { network, grid, record, reply } => {
                drop(reply.send(self.offer_from_network(network, &grid, &record)));
            }
            Command::Unverified { reply } => drop(reply.send(self.book().unverified())),
            Command::Verified { rows, reply } => {
                self.book().take_in(rows);
                let _ = reply.send(());
            }
            Command::Confirm { record } => {
                self.offer(Origin::Own, record.grid(), record.bytes());
                self.book().confirm(&record);
            }
            Command::IsAlone { reply } => {
                let is_alone = self.role != Role::Client && self.peers.len() == 0 && self.bootstrap.is_empty();
                let _ = reply.send(is_alone);
            }
            Command::Buckets { reply } => drop(reply.send(self.book().digests().buckets())),
            Command::Wanted { from, rows, reply } => drop(reply.send(self.wanted(from, &rows))),
            Command::Pulled { rows, reply } => drop(reply.send(self.take_in(rows))),
            Command::Status { reply } => drop(reply.send(self.status())),
            Command::Census { reply } => drop(reply.send(self.census())),
            Command::AddExternal { addr } => self.swarm.add_external_address(addr),
            Command::Bootstrap { addrs } => {
                self.bootstrap = addrs;
                self.dial_bootstrap();
                self.keep_warm();
            }
            Command::Trust { peers } => self.trust(peers),
            Command::Stop { .. } => {}
        }
    }

    pub(super) fn ask(&mut self, server: Server, request: Request, purpose: Purpose) {
        match self.turns.take(server.peer, (server, request, purpose)) {
            Turn::Now(question) => self.send(question),
            Turn::Later => {}
            Turn::Never((_, _, Purpose::Answer(reply))) => drop(reply.send(Err(AskError::Crowded))),
            // It is asked for again later anyway.
            Turn::Never((_, _, Purpose::Page { .. })) => {}
        }
    }

    fn send(&mut self, (server, request, purpose): (Server, Request, Purpose)) {
        let mut addrs = self.peers.addrs(&server.peer).map(<[_]>::to_vec).unwrap_or_default();
        // Who names a server could send us against anybody's neighbours.
        addrs.extend(server.addrs.into_iter().filter(|addr| dialable(addr, self.private)));
        addrs.dedup();
        self.connections.begin(&server.peer);
        let id = self.swarm.behaviour_mut().record.send_request_with_addresses(&server.peer, Some(request), addrs);
        self.open.insert(id, (server.peer, purpose));
    }

    /// Ends a question that was open, and asks the next one that waits for that server.
    pub(super) fn close(&mut self, id: &OutboundRequestId) -> Option<(PeerId, Purpose)> {
        let (peer, purpose) = self.open.remove(id)?;
        self.connections.end(&peer);
        let is_wanted = |(_, _, purpose): &(Server, Request, Purpose)| match purpose {
            Purpose::Answer(reply) => !reply.is_closed(),
            Purpose::Page { .. } => true,
        };
        if let Some(next) = self.turns.over(&peer, is_wanted) {
            self.send(next);
        }
        Some((peer, purpose))
    }

    pub(super) fn on_event(&mut self, event: SwarmEvent<BehaviourEvent>) {
        self.count(&event);
        match event {
            SwarmEvent::Behaviour(BehaviourEvent::Record(event)) => self.on_record(event),
            SwarmEvent::Behaviour(BehaviourEvent::Kad(event)) => self.on_kad(event),
            SwarmEvent::Behaviour(BehaviourEvent::Identify(identify::Event::Received { peer_id, info, .. })) => {
                self.on_identified(peer_id, info);
            }
            SwarmEvent::Behaviour(BehaviourEvent::Stated(event)) => self.on_checked(&event),
            SwarmEvent::ConnectionEstablished { peer_id, connection_id, endpoint, .. } => {
                let remote = endpoint.get_remote_address().clone();
                if self.blind_dials.remove(&connection_id) {
                    // Who it is the handshake has proven: it can be asked at once, whether or not it ever introduces itself.
                    self.peers.name(Server { peer: peer_id, addrs: vec![remote.clone()] }, Word::Own);
                    self.count_known();
                }
                self.connections.opened(peer_id, connection_id, remote, endpoint.is_dialer());
            }
            SwarmEvent::ConnectionClosed { peer_id, connection_id, .. } => {
                self.connections.closed(&peer_id, connection_id);
                self.give_back.closed();
            }
            SwarmEvent::OutgoingConnectionError { peer_id, connection_id, error } => {
                self.blind_dials.remove(&connection_id);
                self.on_dial_error(peer_id, &error);
            }
            SwarmEvent::NewListenAddr { address, .. } => self.on_listening(address),
            SwarmEvent::ListenerClosed { reason: Err(error), addresses, .. } => {
                warn!(?addresses, %error, "stopped listening");
            }
            SwarmEvent::ExternalAddrConfirmed { address } => info!(%address, "reachable"),
            SwarmEvent::ExternalAddrExpired { address } => warn!(%address, "no longer reachable"),
            _ => {}
        }
    }

    /// Tells those who wait for a first server whether one may still come.
    fn tell_whether_seeking(&mut self) {
        let seeking = !self.blind_dials.is_empty();
        self.seeking.send_if_modified(|told| std::mem::replace(told, seeking) != seeking);
    }

    pub(super) fn on_listening(&mut self, address: Multiaddr) {
        debug!(%address, "listening");
        // The two transports come one after the other; the record names both.
        if self.swarm.listeners().count() >= 2 {
            self.listening.send_replace(true);
        }
        // On a private network nobody outside can confirm an address: unless one was stated, what we listen on is it.
        let unstated = self.swarm.external_addresses().all(|known| self.swarm.listeners().any(|own| own == known));
        if self.role == Role::Server && self.private == PrivateAddresses::Allowed && unstated {
            self.swarm.add_external_address(address);
        }
    }

    pub(super) fn status(&mut self) -> DhtStatus {
        let mut external: Vec<Multiaddr> = self.swarm.external_addresses().cloned().collect();
        // QUIC first: one round trip to set up where TCP takes three.
        external.sort_by_key(|addr| (!addr.iter().any(|part| part == Protocol::QuicV1), addr.to_string()));
        DhtStatus {
            peer_id: *self.swarm.local_peer_id(),
            external,
            unreached: self.doubts.doubted(),
            listening: self.swarm.listeners().cloned().collect(),
            serves: self.swarm.behaviour_mut().kad.mode() == kad::Mode::Server,
            servers_known: self.peers.len(),
            connected: self.connections.len(),
            records_held: self.book().len(),
            clock_behind_seconds: self.clocks.median_ahead(),
            disk: self.book().disk(),
        }
    }
}
