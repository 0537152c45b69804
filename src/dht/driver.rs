//! The task that owns the swarm: answers others' questions from the book, asks ours, and minds the connections.
//!
//! It decides nothing about records (`record` does) and keeps no thread waiting: whatever takes long is somebody's future.

use crate::address::{PrivateAddresses, dialable};
use crate::clock::Clock;
use crate::dht::admission::Admission;
use crate::dht::behaviour::{Behaviour, BehaviourEvent, Role, kad_protocol, record_protocol};
use crate::dht::clocks::PeerClocks;
use crate::dht::connections::Connections;
use crate::dht::handle::{AskError, Command, DhtStatus};
use crate::dht::message::{
    Body, DIGESTS_PER_PAGE, FetchedRow, MAX_EVIDENCE, MAX_NEARER, Request, Response, RowDigest, SERVERS_PER_PAGE,
    WireVerdict,
};
use crate::dht::peers::{Peers, Standing};
use crate::dht::server::{Point, Server};
use crate::dht::vouchers::Vouchers;
use crate::dht::walk::WIDTH;
use crate::keys::{GridId, RecordKey};
use crate::record::Verdict;
use crate::store::Book;
use futures::StreamExt;
use libp2p::kad::{self, InboundRequest};
use libp2p::multiaddr::Protocol;
use libp2p::request_response::{self, InboundFailure, OutboundFailure, OutboundRequestId};
use libp2p::swarm::dial_opts::DialOpts;
use libp2p::swarm::{DialError, SwarmEvent};
use libp2p::{Multiaddr, PeerId, StreamProtocol, Swarm, identify};
use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot, watch};
use tracing::{debug, info, warn};

/// How often connections are minded and lost neighbours looked for.
const TICK: Duration = Duration::from_secs(5);
/// How often the list of servers is asked for again from somebody.
const PAGES_EVERY: Duration = Duration::from_secs(600);
/// How many servers are asked for their whole list when a node joins: one may know few, or hide some.
const PAGES_FROM: usize = 3;
/// How many pages of such a list are read: those of two thousand servers, beyond which none are kept in mind.
const MAX_PAGES: u32 = 2_000_u32.div_ceil(SERVERS_PER_PAGE as u32);
/// How often the servers known are written to the store.
const SAVE_EVERY: Duration = Duration::from_secs(60);
/// How far the median of the others' clocks may be off before it is said.
const CLOCK_TOLERANCE_SECONDS: i64 = 600;

pub(crate) struct Driver {
    pub(crate) swarm: Swarm<Behaviour>,
    pub(crate) role: Role,
    pub(crate) clock: Clock,
    pub(crate) peers: Peers,
    pub(crate) private: PrivateAddresses,
    pub(crate) bootstrap: Vec<Multiaddr>,
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) known: watch::Sender<usize>,
    listening: watch::Sender<bool>,
    protocols: [StreamProtocol; 2],
    network: String,
    connections: Connections,
    admission: Admission,
    vouchers: Vouchers,
    whole_network_limit: usize,
    clocks: PeerClocks,
    open: HashMap<OutboundRequestId, (PeerId, Purpose)>,
    pages_asked: HashMap<PeerId, Instant>,
    last_saved: Instant,
    warned_clock: bool,
}

/// What an open question is for.
enum Purpose {
    Answer(oneshot::Sender<Result<Response, AskError>>),
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
        known: watch::Sender<usize>,
        listening: watch::Sender<bool>,
        whole_network_limit: usize,
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
            listening,
            protocols: [kad_protocol(network), record_protocol(network)],
            network: format!("/lafs-clearinghouse/{network}"),
            connections: Connections::default(),
            admission: Admission::default(),
            vouchers: Vouchers::default(),
            whole_network_limit,
            clocks: PeerClocks::default(),
            open: HashMap::new(),
            pages_asked: HashMap::new(),
            last_saved: Instant::now(),
            warned_clock: false,
        }
    }

    /// Runs until told to stop, or until every handle is gone.
    pub(crate) async fn run(mut self) {
        self.dial_bootstrap();
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let stopped = loop {
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

    fn book(&mut self) -> &mut Book {
        &mut self.swarm.behaviour_mut().kad.store_mut().0
    }

    fn on_command(&mut self, command: Command) {
        // Whoever no longer waits for an answer has its reason; a failed send is no fault.
        match command {
            Command::Ask { server, request, reply } => self.ask(server, request, Purpose::Answer(reply)),
            Command::Nearest { target, count, reply } => drop(reply.send(self.peers.nearest(target, count))),
            Command::Connected { target, reply } => {
                let peers = &self.peers;
                let mut connected: Vec<Server> =
                    self.connections.peers().filter_map(|peer| peers.server(&peer).cloned()).collect();
                connected.sort_by_key(|server| target.distance(&server.point()));
                let _ = reply.send(connected);
            }
            Command::Servers { reply } => drop(reply.send(self.peers.all())),
            Command::Note { servers } => {
                for server in servers {
                    self.peers.note(server, Standing::Named);
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
            Command::Offer { grid, record, reply } => drop(reply.send(self.book().offer(&grid, &record))),
            Command::Buckets { reply } => drop(reply.send(self.book().digests().buckets())),
            Command::Wanted { from, rows, reply } => drop(reply.send(self.wanted(from, &rows))),
            Command::Pulled { rows, reply } => drop(reply.send(self.take_in(rows))),
            Command::Status { reply } => drop(reply.send(self.status())),
            Command::AddExternal { addr } => self.swarm.add_external_address(addr),
            Command::Stop { .. } => {}
        }
    }

    fn ask(&mut self, server: Server, request: Request, purpose: Purpose) {
        let mut addrs = self.peers.addrs(&server.peer).map(<[_]>::to_vec).unwrap_or_default();
        // Who names a server could send us against anybody's neighbours.
        addrs.extend(server.addrs.into_iter().filter(|addr| dialable(addr, self.private)));
        addrs.dedup();
        self.connections.begin(&server.peer);
        let id = self.swarm.behaviour_mut().record.send_request_with_addresses(&server.peer, Some(request), addrs);
        self.open.insert(id, (server.peer, purpose));
    }

    fn on_event(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::Behaviour(BehaviourEvent::Record(event)) => self.on_record(event),
            SwarmEvent::Behaviour(BehaviourEvent::Kad(event)) => self.on_kad(event),
            SwarmEvent::Behaviour(BehaviourEvent::Identify(identify::Event::Received { peer_id, info, .. })) => {
                self.on_identified(peer_id, info);
            }
            SwarmEvent::ConnectionEstablished { peer_id, endpoint, .. } => {
                self.connections.opened(peer_id, endpoint.get_remote_address().clone(), endpoint.is_dialer());
            }
            SwarmEvent::ConnectionClosed { peer_id, num_established: 0, .. } => self.connections.closed(&peer_id),
            SwarmEvent::OutgoingConnectionError { peer_id, error, .. } => self.on_dial_error(peer_id, &error),
            SwarmEvent::NewListenAddr { address, .. } => self.on_listening(address),
            SwarmEvent::ListenerClosed { reason: Err(error), addresses, .. } => {
                warn!(?addresses, %error, "stopped listening");
            }
            SwarmEvent::ExternalAddrConfirmed { address } => info!(%address, "reachable"),
            SwarmEvent::ExternalAddrExpired { address } => warn!(%address, "no longer reachable"),
            _ => {}
        }
    }

    fn on_listening(&mut self, address: Multiaddr) {
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

    fn on_dial_error(&mut self, peer: Option<PeerId>, error: &DialError) {
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

    fn on_identified(&mut self, peer: PeerId, info: identify::Info) {
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

    fn on_page(&mut self, from: PeerId, after: Option<PeerId>, left: u32, page: Vec<Server>, more: bool) {
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

    fn on_record(&mut self, event: request_response::Event<Option<Request>, Response>) {
        match event {
            request_response::Event::Message { peer, message, .. } => match message {
                request_response::Message::Request { request, channel, .. } => {
                    self.connections.used(&peer);
                    let body = request.map_or(Body::Unsupported, |request| self.answer(peer, request));
                    let response = Response { time: self.clock.now(), body };
                    // The peer may have hung up meanwhile.
                    let _ = self.swarm.behaviour_mut().record.send_response(channel, response);
                }
                request_response::Message::Response { request_id, response } => {
                    self.peers.answered(&peer);
                    self.note_clock(peer, &response);
                    let Some((peer, purpose)) = self.close(&request_id) else { return };
                    match (purpose, response) {
                        (Purpose::Answer(reply), response) => drop(reply.send(Ok(response))),
                        (Purpose::Page { after, left }, Response { body: Body::Servers { page, more }, .. }) => {
                            self.on_page(peer, after, left, page, more);
                        }
                        (Purpose::Page { .. }, _) => {}
                    }
                }
            },
            request_response::Event::OutboundFailure { request_id, error, .. } => {
                if let Some((_, Purpose::Answer(reply))) = self.close(&request_id) {
                    drop(reply.send(Err(ask_error(error))));
                }
            }
            request_response::Event::InboundFailure { peer, error, .. } => {
                if !matches!(error, InboundFailure::ConnectionClosed | InboundFailure::ResponseOmission) {
                    debug!(%peer, %error, "a question that could not be answered");
                }
            }
            request_response::Event::ResponseSent { .. } => {}
        }
    }

    fn close(&mut self, id: &OutboundRequestId) -> Option<(PeerId, Purpose)> {
        let (peer, purpose) = self.open.remove(id)?;
        self.connections.end(&peer);
        Some((peer, purpose))
    }

    fn answer(&mut self, peer: PeerId, request: Request) -> Body {
        match request {
            Request::Resolve { grid } => {
                let nearer = self.peers.nearest_verified(Point::of(grid.record_key().as_bytes()), MAX_NEARER + 1);
                let nearer = nearer.into_iter().filter(|server| server.peer != peer).take(MAX_NEARER).collect();
                let record = self.book().current(&grid).map(|row| row.record.bytes().to_vec());
                let evidence = self.book().evidence(&grid);
                let evidence =
                    evidence.iter().take(MAX_EVIDENCE).map(|proof| proof.signed().bytes().to_vec()).collect();
                Body::Found { record, evidence, nearer }
            }
            Request::Store { grid, record } => self.verdict(peer, &grid, &record),
            Request::Servers { after } => {
                let (page, more) = self.peers.page(after, SERVERS_PER_PAGE);
                Body::Servers { page, more }
            }
            Request::Digest => Body::Digest { buckets: self.book().digests().buckets() },
            Request::Bucket { bucket, after } => {
                let (rows, more) = self.book().digests().page(bucket, after, DIGESTS_PER_PAGE);
                Body::Bucket { rows, more }
            }
            Request::Fetch { grids } => {
                Body::Fetched { rows: grids.into_iter().filter_map(|grid| self.fetched(grid)).collect() }
            }
        }
    }

    /// What we hold of a grid, for another node; `None` if that is nothing.
    fn fetched(&mut self, grid: GridId) -> Option<FetchedRow> {
        let record = self.book().current(&grid).map(|row| row.record.bytes().to_vec());
        let evidence = self.book().all_evidence(&grid);
        let evidence: Vec<Vec<u8>> =
            evidence.iter().take(MAX_EVIDENCE).map(|proof| proof.signed().bytes().to_vec()).collect();
        (record.is_some() || !evidence.is_empty()).then_some(FetchedRow { grid, record, evidence })
    }

    /// Which of the rows that `from` holds we want: those that differ from ours, lie where we are to hold, and, where the
    /// key is new to us, are vouched for.
    fn wanted(&mut self, from: PeerId, rows: &[([u8; 32], RowDigest)]) -> Vec<GridId> {
        let network = self.connections.network(&from);
        let now = Instant::now();
        let mut wanted = Vec::new();
        for (key, digest) in rows {
            if self.book().digests().of(key) == Some(digest) {
                continue;
            }
            let Ok(grid) = GridId::from_bytes(key) else { continue };
            if self.book().row(&grid).is_none() {
                if !self.is_ours(&grid) {
                    continue;
                }
                let others = self.peers.networks();
                if !self.vouchers.vouch(*key, network, others) && !self.admission.admits_new_key(from, network, now) {
                    continue;
                }
            }
            wanted.push(grid);
        }
        wanted
    }

    /// Whether we are among those who should hold a grid's record: always in a small network, else if fewer than twenty
    /// known servers are nearer to it.
    fn is_ours(&self, grid: &GridId) -> bool {
        if self.peers.len() <= self.whole_network_limit {
            return true;
        }
        let target = Point::of(grid.record_key().as_bytes());
        let own = target.distance(&Point::of(&self.swarm.local_peer_id().to_bytes()));
        self.peers.nearest(target, WIDTH).last().is_none_or(|last| own < target.distance(&last.point()))
    }

    fn take_in(&mut self, rows: Vec<FetchedRow>) -> usize {
        let mut news = 0;
        for row in rows {
            for evidence in &row.evidence {
                self.book().offer_evidence(&row.grid, evidence);
            }
            if let Some(record) = &row.record {
                news += usize::from(matches!(self.book().offer(&row.grid, record), Verdict::Stored));
            }
        }
        news
    }

    fn verdict(&mut self, peer: PeerId, grid: &GridId, record: &[u8]) -> Body {
        let verdict = self.offer_from(peer, grid, record);
        let wire = match &verdict {
            Verdict::Stored => WireVerdict::Stored,
            Verdict::Held => WireVerdict::Held,
            Verdict::Stale(_) => WireVerdict::Stale,
            Verdict::Bad(_) => WireVerdict::Bad,
            Verdict::Expired => WireVerdict::Expired,
            Verdict::TooBig => WireVerdict::TooBig,
            Verdict::Busy => WireVerdict::Busy,
        };
        let newer = match verdict {
            Verdict::Stale(newer) => Some(newer.bytes().to_vec()),
            _ => None,
        };
        Body::Verdict { verdict: wire, newer }
    }

    /// Offers a stranger's record to the book, within the rate for keys that are new.
    fn offer_from(&mut self, peer: PeerId, grid: &GridId, record: &[u8]) -> Verdict {
        let network = self.connections.network(&peer);
        if self.book().row(grid).is_none() && !self.admission.admits_new_key(peer, network, Instant::now()) {
            return Verdict::Busy;
        }
        let verdict = self.book().offer(grid, record);
        if let Verdict::Bad(error) = &verdict {
            debug!(%peer, %grid, %error, "refused a record");
        }
        verdict
    }

    fn on_kad(&mut self, event: kad::Event) {
        if let kad::Event::InboundRequest { request: InboundRequest::PutRecord { source, record: Some(record), .. } } =
            event
        {
            self.connections.used(&source);
            if let Some(grid) = RecordKey::grid_id(record.key.as_ref()) {
                self.offer_from(source, &grid, &record.value);
            }
        }
    }

    fn note_clock(&mut self, peer: PeerId, response: &Response) {
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

    fn on_tick(&mut self) {
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
    fn keep_warm(&mut self) {
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

    fn dial_bootstrap(&mut self) {
        for addr in self.bootstrap.clone() {
            if let Some(Protocol::P2p(peer)) = addr.iter().last() {
                self.peers.note(Server { peer, addrs: vec![addr] }, Standing::Named);
            } else {
                let _ = self.swarm.dial(addr);
            }
        }
        self.count_known();
    }

    fn save_servers(&mut self) {
        let (servers, _) = self.peers.page(None, MAX_SAVED);
        if !servers.is_empty() {
            let encoded = servers.iter().filter_map(Server::encode).collect();
            self.book().save_servers(encoded);
        }
    }

    fn count_known(&mut self) {
        let known = self.peers.len();
        self.known.send_if_modified(|count| std::mem::replace(count, known) != known);
    }

    fn status(&mut self) -> DhtStatus {
        let mut external: Vec<Multiaddr> = self.swarm.external_addresses().cloned().collect();
        // QUIC first: one round trip to set up where TCP takes three.
        external.sort_by_key(|addr| (!addr.iter().any(|part| part == Protocol::QuicV1), addr.to_string()));
        DhtStatus {
            peer_id: *self.swarm.local_peer_id(),
            external,
            listening: self.swarm.listeners().cloned().collect(),
            serves: self.swarm.behaviour_mut().kad.mode() == kad::Mode::Server,
            servers_known: self.peers.len(),
            connected: self.connections.len(),
            records_held: self.book().len(),
            clock_behind_seconds: self.clocks.median_ahead(),
        }
    }
}

/// How many servers are remembered across restarts.
const MAX_SAVED: usize = 200;

fn ask_error(error: OutboundFailure) -> AskError {
    match error {
        OutboundFailure::DialFailure | OutboundFailure::ConnectionClosed => AskError::Unreachable,
        OutboundFailure::Timeout => AskError::TimedOut,
        OutboundFailure::UnsupportedProtocols => AskError::Unsupported,
        OutboundFailure::Io(error) => AskError::Malformed(error.to_string()),
    }
}
