//! A node of somebody else's making: it claims what it likes, answers what it likes, and leaves unsaid what it likes.

use futures::StreamExt;
use futures::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use lafs_clearinghouse::clock::Clock;
use lafs_clearinghouse::dht::message::{Body, Request, Response};
use lafs_clearinghouse::dht::{kad_protocol, record_protocol};
use libp2p::identity::Keypair;
use libp2p::kad::store::MemoryStore;
use libp2p::kad::{self, QueryResult};
use libp2p::multiaddr::Protocol;
use libp2p::request_response::{self, Message, OutboundFailure, ProtocolSupport};
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::{NetworkBehaviour, SwarmEvent};
use libp2p::{Multiaddr, PeerId, StreamProtocol, Swarm, SwarmBuilder, identify};
use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// The network of the tests.
const NETWORK: &str = "test";
/// How long anything may take before the test gives up.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a stranger answers to a question of `record/1`; `None`: nothing, for ever.
pub(crate) type Answers = Box<dyn FnMut(PeerId, Request) -> Option<Body> + Send>;

#[derive(NetworkBehaviour)]
pub(crate) struct Tongues {
    identify: identify::Behaviour,
    pub(crate) kad: kad::Behaviour<MemoryStore>,
    record: request_response::Behaviour<Octets>,
    stuck: request_response::Behaviour<Unfinished>,
}

/// A node that is not ours.
pub(crate) struct Stranger {
    pub(crate) swarm: Swarm<Tongues>,
    pub(crate) peer: PeerId,
    answers: Answers,
    silent: Vec<request_response::ResponseChannel<Vec<u8>>>,
    /// How many stuck streams have reached the other side.
    stuck: Arc<AtomicUsize>,
}

/// A stranger that goes on by itself until this is dropped.
pub(crate) struct AtWork {
    pub(crate) peer: PeerId,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for AtWork {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Stranger {
    /// One that only asks, from wherever the machine speaks by itself.
    pub(crate) fn asking() -> Self {
        Self::new(Keypair::generate_ed25519(), ProtocolSupport::Outbound, Box::new(|_, _| Some(Body::Unsupported)))
    }

    /// One that listens at `ip`, says that it is a server there, and answers so.
    pub(crate) async fn listening(ip: Ipv4Addr, answers: Answers) -> Self {
        Self::with_key(Keypair::generate_ed25519(), ip, answers).await
    }

    /// The same, with a key of its choice.
    pub(crate) async fn with_key(key: Keypair, ip: Ipv4Addr, answers: Answers) -> Self {
        let mut stranger = Self::somewhere(key, ip, answers).await;
        let addrs: Vec<Multiaddr> = stranger.swarm.listeners().cloned().collect();
        addrs.into_iter().for_each(|addr| stranger.claim(addr));
        stranger
    }

    /// The same, saying nothing yet of where it is.
    pub(crate) async fn silent_about_itself(ip: Ipv4Addr, answers: Answers) -> Self {
        Self::somewhere(Keypair::generate_ed25519(), ip, answers).await
    }

    /// One of another network, that listens at `ip`.
    pub(crate) async fn of_network(network: &str, ip: Ipv4Addr) -> Self {
        let answers = Box::new(|_, _| Some(Body::Unsupported));
        let mut stranger = Self::in_network(network, Keypair::generate_ed25519(), ProtocolSupport::Full, answers);
        stranger.listen(ip).await;
        stranger
    }

    async fn somewhere(key: Keypair, ip: Ipv4Addr, answers: Answers) -> Self {
        let mut stranger = Self::new(key, ProtocolSupport::Full, answers);
        stranger.swarm.behaviour_mut().kad.set_mode(Some(kad::Mode::Server));
        stranger.listen(ip).await;
        stranger
    }

    async fn listen(&mut self, ip: Ipv4Addr) {
        self.swarm.listen_on(format!("/ip4/{ip}/udp/0/quic-v1").parse().unwrap()).unwrap();
        self.until(|event| matches!(event, SwarmEvent::NewListenAddr { .. }).then_some(())).await;
    }

    fn new(key: Keypair, support: ProtocolSupport, answers: Answers) -> Self {
        Self::in_network(NETWORK, key, support, answers)
    }

    fn in_network(name: &str, key: Keypair, support: ProtocolSupport, answers: Answers) -> Self {
        let network = name.parse().unwrap();
        let stuck = Arc::new(AtomicUsize::new(0));
        let unfinished = Unfinished { begun: Arc::clone(&stuck) };
        let (kad_name, record_name) = (kad_protocol(&network), record_protocol(&network));
        let swarm = SwarmBuilder::with_existing_identity(key)
            .with_tokio()
            .with_quic()
            .with_behaviour(|key| {
                let peer = key.public().to_peer_id();
                let mut config = kad::Config::new(kad_name.clone());
                // It does what the test says, and nothing by itself.
                config.set_periodic_bootstrap_interval(None).set_kbucket_inserts(kad::BucketInserts::Manual);
                let identify = identify::Config::new(format!("/lafs-clearinghouse/{name}"), key.public())
                    .with_hide_listen_addrs(true)
                    .with_push_listen_addr_updates(true);
                let patient = || request_response::Config::default().with_request_timeout(2 * PATIENCE);
                Tongues {
                    identify: identify::Behaviour::new(identify),
                    kad: kad::Behaviour::with_config(peer, MemoryStore::new(peer), config),
                    record: request_response::Behaviour::with_codec(Octets, [(record_name, support)], patient()),
                    stuck: request_response::Behaviour::with_codec(
                        unfinished,
                        [(kad_name, ProtocolSupport::Outbound)],
                        patient(),
                    ),
                }
            })
            .unwrap()
            .with_swarm_config(|config| config.with_idle_connection_timeout(2 * PATIENCE))
            .build();
        Self { peer: *swarm.local_peer_id(), swarm, answers, silent: Vec::new(), stuck }
    }

    /// Listens at `ip` too, and says so.
    pub(crate) async fn listen_also(&mut self, ip: Ipv4Addr) {
        self.swarm.listen_on(format!("/ip4/{ip}/udp/0/quic-v1").parse().unwrap()).unwrap();
        let addr = self.until(|event| match event {
            SwarmEvent::NewListenAddr { address, .. } => Some(address.clone()),
            _ => None,
        });
        let addr = addr.await;
        self.claim(addr);
    }

    /// Claims to be reached at `addr`.
    pub(crate) fn claim(&mut self, addr: Multiaddr) {
        self.swarm.add_external_address(addr);
    }

    /// Where it listens, with its peer id.
    pub(crate) fn addr(&self) -> Multiaddr {
        let listener = self.swarm.listeners().next().expect("it listens");
        listener.clone().with(Protocol::P2p(self.peer))
    }

    /// Connects to a node, and waits until each has told the other who it is.
    pub(crate) async fn meet(&mut self, node: &Multiaddr) {
        let other = peer_of(node);
        self.swarm.add_peer_address(other, node.clone());
        self.swarm.behaviour_mut().kad.add_address(&other, node.clone());
        self.dial(DialOpts::unknown_peer_id().address(node.clone()).build(), other).await;
    }

    /// The same, from another address than that where it listens.
    pub(crate) async fn meet_from_elsewhere(&mut self, node: &Multiaddr) {
        let dial = DialOpts::unknown_peer_id().address(node.clone()).allocate_new_port().build();
        self.dial(dial, peer_of(node)).await;
    }

    /// Opens `count` connections more to a node, and waits until as many as `refused` are closed by the other side.
    pub(crate) async fn dial_again(&mut self, node: &Multiaddr, count: usize, refused: usize) {
        for _ in 0..count {
            let dial = DialOpts::peer_id(peer_of(node)).condition(PeerCondition::Always).addresses(vec![node.clone()]);
            self.swarm.dial(dial.allocate_new_port().build()).unwrap();
        }
        let mut closed = 0;
        self.until(|event| {
            let is_it =
                matches!(event, SwarmEvent::ConnectionClosed { .. } | SwarmEvent::OutgoingConnectionError { .. });
            closed += usize::from(is_it);
            (closed == refused).then_some(())
        })
        .await;
    }

    async fn dial(&mut self, dial: DialOpts, other: PeerId) {
        self.swarm.dial(dial).unwrap();
        let mut told = [false; 2];
        self.until(|event| {
            match event {
                SwarmEvent::Behaviour(TonguesEvent::Identify(identify::Event::Received { peer_id, .. })) => {
                    told[0] |= *peer_id == other;
                }
                SwarmEvent::Behaviour(TonguesEvent::Identify(identify::Event::Sent { peer_id, .. })) => {
                    told[1] |= *peer_id == other;
                }
                _ => {}
            }
            (told == [true; 2]).then_some(())
        })
        .await;
    }

    /// Goes on by itself.
    pub(crate) fn at_work(mut self) -> AtWork {
        let peer = self.peer;
        let task = tokio::spawn(async move {
            loop {
                let event = self.swarm.select_next_some().await;
                self.heed(event);
            }
        });
        AtWork { peer, task }
    }

    /// Goes on until `look` sees in an event what it looks for.
    pub(crate) async fn until<T>(&mut self, mut look: impl FnMut(&SwarmEvent<TonguesEvent>) -> Option<T>) -> T {
        let found = tokio::time::timeout(PATIENCE, async {
            loop {
                let event = self.swarm.select_next_some().await;
                let found = look(&event);
                self.heed(event);
                if let Some(found) = found {
                    return found;
                }
            }
        });
        found.await.expect("it happens in time")
    }

    /// Asks a node in `record/1`.
    pub(crate) async fn ask(&mut self, node: PeerId, request: &Request) -> Result<Response, OutboundFailure> {
        let asked = self.swarm.behaviour_mut().record.send_request(&node, request.encode());
        let octets = self.until(|event| match event {
            SwarmEvent::Behaviour(TonguesEvent::Record(request_response::Event::Message {
                message: Message::Response { request_id, response },
                ..
            })) if *request_id == asked => Some(Ok(response.clone())),
            SwarmEvent::Behaviour(TonguesEvent::Record(request_response::Event::OutboundFailure {
                request_id,
                error,
                ..
            })) if *request_id == asked => Some(Err(io::Error::other(error.to_string()))),
            _ => None,
        });
        let octets = octets.await.map_err(OutboundFailure::Io)?;
        Ok(Response::decode(&octets).expect("a message"))
    }

    /// Puts a record by kad-dht to one node, and waits for the acknowledgement.
    pub(crate) async fn put_to(&mut self, node: PeerId, record: kad::Record) {
        let query = self.swarm.behaviour_mut().kad.put_record_to(record, [node].into_iter(), kad::Quorum::One);
        let acknowledged = self.result_of(query).await;
        assert!(matches!(acknowledged, QueryResult::PutRecord(Ok(_))), "{acknowledged:?}");
    }

    /// What comes of a query of kad-dht.
    pub(crate) async fn result_of(&mut self, query: kad::QueryId) -> QueryResult {
        self.until(|event| match event {
            SwarmEvent::Behaviour(TonguesEvent::Kad(kad::Event::OutboundQueryProgressed { id, result, .. }))
                if *id == query =>
            {
                Some(result.clone())
            }
            _ => None,
        })
        .await
    }

    /// What comes of a query of kad-dht, if that is what happened.
    pub(crate) fn query_ended(event: &SwarmEvent<TonguesEvent>) -> Option<&QueryResult> {
        match event {
            SwarmEvent::Behaviour(TonguesEvent::Kad(kad::Event::OutboundQueryProgressed { result, .. })) => {
                Some(result)
            }
            _ => None,
        }
    }

    /// Opens `count` streams of kad-dht to a node, on each of which a message begins that never goes on. Waits until at
    /// least `open` of them are.
    pub(crate) async fn open_stuck_streams(&mut self, node: PeerId, count: usize, open: usize) {
        for _ in 0..count {
            self.swarm.behaviour_mut().stuck.send_request(&node, ());
        }
        let opened = tokio::time::timeout(PATIENCE, async {
            while self.stuck.load(Ordering::Relaxed) < open {
                tokio::select! {
                    event = self.swarm.select_next_some() => self.heed(event),
                    () = tokio::time::sleep(Duration::from_millis(10)) => {}
                }
            }
        });
        opened.await.expect("the streams are open");
    }

    fn heed(&mut self, event: SwarmEvent<TonguesEvent>) {
        let SwarmEvent::Behaviour(TonguesEvent::Record(request_response::Event::Message {
            peer,
            message: Message::Request { request, channel, .. },
            ..
        })) = event
        else {
            return;
        };
        let body = match Request::decode(&request) {
            Ok(Some(request)) => (self.answers)(peer, request),
            _ => Some(Body::Unsupported),
        };
        match body {
            Some(body) => {
                let response = Response { time: Clock::system().now(), body };
                let _ = self.swarm.behaviour_mut().record.send_response(channel, response.encode());
            }
            None => self.silent.push(channel),
        }
    }
}

/// The peer that an address names.
pub(crate) fn peer_of(addr: &Multiaddr) -> PeerId {
    match addr.iter().last() {
        Some(Protocol::P2p(peer)) => peer,
        _ => panic!("an address with a peer id"),
    }
}

/// Octets to the end of the stream, whatever they mean.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Octets;

impl request_response::Codec for Octets {
    type Protocol = StreamProtocol;
    type Request = Vec<u8>;
    type Response = Vec<u8>;

    async fn read_request<T: AsyncRead + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
    ) -> io::Result<Vec<u8>> {
        read(io).await
    }

    async fn read_response<T: AsyncRead + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
    ) -> io::Result<Vec<u8>> {
        read(io).await
    }

    async fn write_request<T: AsyncWrite + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        request: Vec<u8>,
    ) -> io::Result<()> {
        io.write_all(&request).await?;
        io.close().await
    }

    async fn write_response<T: AsyncWrite + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        response: Vec<u8>,
    ) -> io::Result<()> {
        io.write_all(&response).await?;
        io.close().await
    }
}

async fn read<T: AsyncRead + Unpin + Send>(io: &mut T) -> io::Result<Vec<u8>> {
    let mut octets = Vec::new();
    io.take(1 << 20).read_to_end(&mut octets).await?;
    Ok(octets)
}

/// A question of which the first octet announces more, and of which no more comes.
#[derive(Debug, Clone)]
pub(crate) struct Unfinished {
    begun: Arc<AtomicUsize>,
}

impl request_response::Codec for Unfinished {
    type Protocol = StreamProtocol;
    type Request = ();
    type Response = ();

    async fn read_request<T: AsyncRead + Unpin + Send>(&mut self, _: &StreamProtocol, _: &mut T) -> io::Result<()> {
        Ok(())
    }

    async fn read_response<T: AsyncRead + Unpin + Send>(&mut self, _: &StreamProtocol, _: &mut T) -> io::Result<()> {
        std::future::pending().await
    }

    async fn write_request<T: AsyncWrite + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        (): (),
    ) -> io::Result<()> {
        io.write_all(&[100]).await?;
        io.flush().await?;
        self.begun.fetch_add(1, Ordering::Relaxed);
        std::future::pending().await
    }

    async fn write_response<T: AsyncWrite + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        _: &mut T,
        (): (),
    ) -> io::Result<()> {
        Ok(())
    }
}
