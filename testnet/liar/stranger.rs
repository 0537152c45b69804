//! A peer that speaks the network's protocols and keeps none of its rules: what it answers, and what it sends, is whatever
//! bytes its owner likes.

use futures::StreamExt;
use futures::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use lafs_clearinghouse::config::NetworkName;
use lafs_clearinghouse::dht::message::Request;
use lafs_clearinghouse::dht::server::Server;
use lafs_clearinghouse::dht::{kad_protocol, record_protocol};
use libp2p::kad::store::{MemoryStore, MemoryStoreConfig, RecordStore};
use libp2p::request_response::{self, OutboundRequestId};
use libp2p::swarm::{NetworkBehaviour, SwarmEvent};
use libp2p::{Multiaddr, StreamProtocol, Swarm, SwarmBuilder, identify, kad, noise, tcp, yamux};
use std::collections::HashMap;
use std::io;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

/// The longest message it reads: as long as the network's own.
const MAX_BYTES: u64 = 64 * 1024;
/// Orders that may wait.
const ORDERS: usize = 256;
/// How many records it has for those who ask by kad's GET.
const MAX_RECORDS: usize = 10_000;

/// What it says to a question; `None` is silence.
pub(crate) type Answers = Box<dyn FnMut(Request) -> Option<Vec<u8>> + Send>;

/// The handle of such a peer.
#[derive(Clone)]
pub(crate) struct Stranger {
    orders: mpsc::Sender<Order>,
}

/// Where it is, and under which addresses others are to reach it.
pub(crate) struct Place {
    pub(crate) network: NetworkName,
    pub(crate) listen: Vec<Multiaddr>,
    pub(crate) external: Vec<Multiaddr>,
}

enum Order {
    Ask { server: Server, bytes: Vec<u8>, reply: oneshot::Sender<Option<Vec<u8>>> },
    Put { server: Server, record: kad::Record, reply: oneshot::Sender<()> },
    Hold(kad::Record),
    Meet(Server),
    Stop,
}

impl Stranger {
    /// Starts listening and answering. Returns once it listens: what it dials before would come from another address.
    pub(crate) async fn start(place: Place, answers: Answers) -> Result<(Self, JoinHandle<()>), super::AnyError> {
        let mut swarm = swarm(&place.network)?;
        let wanted = place.listen.len();
        for addr in place.listen {
            swarm.listen_on(addr)?;
        }
        while swarm.listeners().count() < wanted {
            if let SwarmEvent::ListenerClosed { reason: Err(error), .. } = swarm.select_next_some().await {
                return Err(error.into());
            }
        }
        for addr in place.external {
            swarm.add_external_address(addr);
        }
        let (orders, receiver) = mpsc::channel(ORDERS);
        let task = Task { swarm, answers, open: HashMap::new(), puts: HashMap::new() };
        Ok((Self { orders }, tokio::spawn(task.run(receiver))))
    }

    /// Sends `bytes` as a question of `record/1`. Returns the bytes of the answer, if one came.
    pub(crate) async fn ask(&self, server: &Server, bytes: Vec<u8>) -> Option<Vec<u8>> {
        let (reply, answer) = oneshot::channel();
        self.orders.send(Order::Ask { server: server.clone(), bytes, reply }).await.ok()?;
        answer.await.ok().flatten()
    }

    /// Sends a record by kad's PUT, and waits for the end of it.
    pub(crate) async fn put(&self, server: &Server, record: kad::Record) {
        let (reply, done) = oneshot::channel();
        if self.orders.send(Order::Put { server: server.clone(), record, reply }).await.is_ok() {
            let _ = done.await;
        }
    }

    /// Holds a record for those who ask by kad's GET.
    pub(crate) async fn hold(&self, record: kad::Record) {
        let _ = self.orders.send(Order::Hold(record)).await;
    }

    /// Makes the acquaintance of a server, which then takes it for one of its kind.
    pub(crate) async fn meet(&self, server: Server) {
        let _ = self.orders.send(Order::Meet(server)).await;
    }

    pub(crate) async fn stop(&self) {
        let _ = self.orders.send(Order::Stop).await;
    }
}

#[derive(NetworkBehaviour)]
struct Behaviour {
    identify: identify::Behaviour,
    kad: kad::Behaviour<MemoryStore>,
    record: request_response::Behaviour<RawCodec>,
}

fn swarm(network: &NetworkName) -> Result<Swarm<Behaviour>, super::AnyError> {
    let swarm = SwarmBuilder::with_new_identity()
        .with_tokio()
        .with_tcp(tcp::Config::default().nodelay(true), noise::Config::new, yamux::Config::default)?
        .with_quic()
        .with_behaviour(|keypair| {
            let peer = keypair.public().to_peer_id();
            let identify = identify::Config::new(format!("/lafs-clearinghouse/{network}"), keypair.public())
                .with_hide_listen_addrs(true);
            let mut config = kad::Config::new(kad_protocol(network));
            // Nothing that is brought to it is kept, and nothing of its own is repeated.
            config.set_record_filtering(kad::StoreInserts::FilterBoth);
            config.set_replication_interval(None).set_publication_interval(None).set_caching(kad::Caching::Disabled);
            let room = MemoryStoreConfig { max_records: MAX_RECORDS, ..MemoryStoreConfig::default() };
            let mut kad = kad::Behaviour::with_config(peer, MemoryStore::with_config(peer, room), config);
            kad.set_mode(Some(kad::Mode::Server));
            let record = request_response::Behaviour::with_codec(
                RawCodec,
                [(record_protocol(network), request_response::ProtocolSupport::Full)],
                request_response::Config::default().with_request_timeout(Duration::from_secs(5)),
            );
            Behaviour { identify: identify::Behaviour::new(identify), kad, record }
        })?
        .with_swarm_config(|config| config.with_idle_connection_timeout(Duration::from_secs(3_600)))
        .build();
    Ok(swarm)
}

struct Task {
    swarm: Swarm<Behaviour>,
    answers: Answers,
    open: HashMap<OutboundRequestId, oneshot::Sender<Option<Vec<u8>>>>,
    puts: HashMap<kad::QueryId, oneshot::Sender<()>>,
}

impl Task {
    async fn run(mut self, mut orders: mpsc::Receiver<Order>) {
        loop {
            tokio::select! {
                event = self.swarm.select_next_some() => self.on_event(event),
                order = orders.recv() => match order {
                    Some(Order::Stop) | None => return,
                    Some(order) => self.on_order(order),
                },
            }
        }
    }

    fn on_order(&mut self, order: Order) {
        let behaviour = self.swarm.behaviour_mut();
        match order {
            Order::Ask { server, bytes, reply } => {
                let id = behaviour.record.send_request_with_addresses(&server.peer, bytes, server.addrs);
                self.open.insert(id, reply);
            }
            Order::Put { server, record, reply } => {
                for addr in server.addrs {
                    behaviour.kad.add_address(&server.peer, addr);
                }
                let id = behaviour.kad.put_record_to(record, [server.peer].into_iter(), kad::Quorum::One);
                self.puts.insert(id, reply);
            }
            Order::Hold(record) => drop(behaviour.kad.store_mut().put(record)),
            Order::Meet(server) => {
                for addr in server.addrs.iter().cloned() {
                    behaviour.kad.add_address(&server.peer, addr);
                }
                let dial = libp2p::swarm::dial_opts::DialOpts::peer_id(server.peer).addresses(server.addrs).build();
                // Refused where a dial is under way already.
                let _ = self.swarm.dial(dial);
            }
            Order::Stop => {}
        }
    }

    fn on_event(&mut self, event: SwarmEvent<BehaviourEvent>) {
        let SwarmEvent::Behaviour(event) = event else { return };
        match event {
            BehaviourEvent::Record(request_response::Event::Message { message, .. }) => match message {
                request_response::Message::Request { request, channel, .. } => {
                    let question = Request::decode(&request).ok().flatten();
                    if let Some(answer) = question.and_then(|question| (self.answers)(question)) {
                        let _ = self.swarm.behaviour_mut().record.send_response(channel, answer);
                    }
                }
                request_response::Message::Response { request_id, response } => {
                    if let Some(reply) = self.open.remove(&request_id) {
                        let _ = reply.send(Some(response));
                    }
                }
            },
            BehaviourEvent::Record(request_response::Event::OutboundFailure { request_id, .. }) => {
                if let Some(reply) = self.open.remove(&request_id) {
                    let _ = reply.send(None);
                }
            }
            BehaviourEvent::Kad(kad::Event::OutboundQueryProgressed { id, step, .. }) if step.last => {
                if let Some(reply) = self.puts.remove(&id) {
                    let _ = reply.send(());
                }
            }
            _ => {}
        }
    }
}

/// Messages as they are.
#[derive(Debug, Clone, Copy, Default)]
struct RawCodec;

impl request_response::Codec for RawCodec {
    type Protocol = StreamProtocol;
    type Request = Vec<u8>;
    type Response = Vec<u8>;

    async fn read_request<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Vec<u8>>
    where
        T: AsyncRead + Unpin + Send,
    {
        let mut bytes = Vec::new();
        io.take(MAX_BYTES).read_to_end(&mut bytes).await?;
        Ok(bytes)
    }

    async fn read_response<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Vec<u8>>
    where
        T: AsyncRead + Unpin + Send,
    {
        let mut bytes = Vec::new();
        io.take(MAX_BYTES).read_to_end(&mut bytes).await?;
        Ok(bytes)
    }

    async fn write_request<T>(&mut self, _: &StreamProtocol, io: &mut T, bytes: Vec<u8>) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        io.write_all(&bytes).await?;
        io.close().await
    }

    async fn write_response<T>(&mut self, _: &StreamProtocol, io: &mut T, bytes: Vec<u8>) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        io.write_all(&bytes).await?;
        io.close().await
    }
}
