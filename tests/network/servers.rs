//! Servers of the record exchange made by hand: they speak the protocol over the real transport, and say what the test wants.

use super::federation::own_network;
use futures::StreamExt;
use futures::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use lafs_clearinghouse::clock::Clock;
use lafs_clearinghouse::dht::message::{Body, Request, Response};
use lafs_clearinghouse::dht::record_protocol;
use lafs_clearinghouse::dht::server::Server;
use lafs_clearinghouse::keys::GridId;
use lafs_clearinghouse::record::GridRecord;
use libp2p::multiaddr::Protocol;
use libp2p::request_response::{self, Codec, Event, Message, ProtocolSupport};
use libp2p::swarm::SwarmEvent;
use libp2p::{Multiaddr, PeerId, StreamProtocol, SwarmBuilder};
use std::io;
use std::sync::{Arc, Mutex};
use tokio::sync::watch;

/// Bytes in, bytes out: what they mean is the test's business.
#[derive(Debug, Clone, Copy, Default)]
struct Bytes;

impl Codec for Bytes {
    type Protocol = StreamProtocol;
    type Request = Vec<u8>;
    type Response = Vec<u8>;

    async fn read_request<T: AsyncRead + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
    ) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        io.read_to_end(&mut bytes).await?;
        Ok(bytes)
    }

    async fn read_response<T: AsyncRead + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        _: &mut T,
    ) -> io::Result<Vec<u8>> {
        Err(io::Error::other("it asks nothing"))
    }

    async fn write_request<T: AsyncWrite + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        _: &mut T,
        _: Vec<u8>,
    ) -> io::Result<()> {
        Err(io::Error::other("it asks nothing"))
    }

    async fn write_response<T: AsyncWrite + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        bytes: Vec<u8>,
    ) -> io::Result<()> {
        io.write_all(&bytes).await?;
        io.close().await
    }
}

/// A server made by hand; gone when dropped.
pub(crate) struct Scripted {
    pub(crate) peer: PeerId,
    pub(crate) addr: Multiaddr,
    seen: Arc<Mutex<Vec<Request>>>,
    script: Arc<Mutex<Script>>,
    task: tokio::task::JoinHandle<()>,
}

type Script = Box<dyn FnMut(&Request) -> Vec<u8> + Send>;

impl Drop for Scripted {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Scripted {
    /// A server on a /24 of its own that answers with what `script` makes, once `open` is true.
    pub(crate) async fn behind(
        open: watch::Receiver<bool>,
        script: impl FnMut(&Request) -> Vec<u8> + Send + 'static,
    ) -> Self {
        let mut swarm = SwarmBuilder::with_new_identity()
            .with_tokio()
            .with_quic()
            .with_behaviour(|_| {
                let protocol = record_protocol(&"test".parse().unwrap());
                let config = request_response::Config::default().with_max_concurrent_streams(1_000);
                request_response::Behaviour::<Bytes>::new([(protocol, ProtocolSupport::Inbound)], config)
            })
            .unwrap()
            .with_swarm_config(|config| config.with_idle_connection_timeout(std::time::Duration::from_secs(600)))
            .build();
        let peer = *swarm.local_peer_id();
        let ip = own_network();
        swarm.listen_on(Multiaddr::from(ip).with(Protocol::Udp(0)).with(Protocol::QuicV1)).unwrap();
        let addr = loop {
            if let SwarmEvent::NewListenAddr { address, .. } = swarm.select_next_some().await {
                break address.with(Protocol::P2p(peer));
            }
        };
        let seen = Arc::new(Mutex::new(Vec::new()));
        let script: Arc<Mutex<Script>> = Arc::new(Mutex::new(Box::new(script)));
        let (noted, answers) = (Arc::clone(&seen), Arc::clone(&script));
        let mut open = open;
        let task = tokio::spawn(async move {
            let mut held_back = Vec::new();
            loop {
                let event = tokio::select! {
                    event = swarm.select_next_some() => event,
                    Ok(()) = open.changed() => {
                        for (request, channel) in held_back.drain(..) {
                            let answer = (answers.lock().unwrap())(&request);
                            let _ = swarm.behaviour_mut().send_response(channel, answer);
                        }
                        continue;
                    }
                };
                let SwarmEvent::Behaviour(Event::Message {
                    message: Message::Request { request, channel, .. }, ..
                }) = event
                else {
                    continue;
                };
                let Ok(Some(request)) = Request::decode(&request) else { continue };
                noted.lock().unwrap().push(request.clone());
                if *open.borrow() {
                    let answer = (answers.lock().unwrap())(&request);
                    let _ = swarm.behaviour_mut().send_response(channel, answer);
                } else {
                    held_back.push((request, channel));
                }
            }
        });
        Self { peer, addr, seen, script, task }
    }

    /// The same, open from the start.
    pub(crate) async fn new(script: impl FnMut(&Request) -> Vec<u8> + Send + 'static) -> Self {
        Self::behind(watch::channel(true).1, script).await
    }

    /// A server that holds this record of its grid, and takes others.
    pub(crate) async fn holding(record: Option<&GridRecord>) -> Self {
        let held = record.cloned();
        Self::new(move |request| honest(request, held.as_ref())).await
    }

    /// From now on it says something else.
    pub(crate) fn says(&self, script: impl FnMut(&Request) -> Vec<u8> + Send + 'static) {
        *self.script.lock().unwrap() = Box::new(script);
    }

    /// How often it was asked for a grid.
    pub(crate) fn asked_for(&self, grid: GridId) -> usize {
        self.seen
            .lock()
            .unwrap()
            .iter()
            .filter(|seen| matches!(seen, Request::Resolve { grid: of } if *of == grid))
            .count()
    }

    /// For how many different grids it was asked.
    pub(crate) fn grids_asked_for(&self) -> usize {
        let seen = self.seen.lock().unwrap();
        let grids = seen.iter().filter_map(|seen| match seen {
            Request::Resolve { grid } => Some(*grid),
            _ => None,
        });
        grids.collect::<std::collections::HashSet<_>>().len()
    }

    /// Whether it was given this record to hold.
    pub(crate) fn was_given(&self, record: &GridRecord) -> bool {
        let bytes = record.signed().bytes();
        self.seen.lock().unwrap().iter().any(|seen| matches!(seen, Request::Store { record, .. } if record == bytes))
    }

    /// As others name it.
    pub(crate) fn server(&self) -> Server {
        let mut addr = self.addr.clone();
        addr.pop();
        Server { peer: self.peer, addrs: vec![addr] }
    }
}

/// What a server that holds `record` and knows nobody answers.
pub(crate) fn honest(request: &Request, record: Option<&GridRecord>) -> Vec<u8> {
    found(request, record.map(|record| record.signed().bytes().to_vec()), Vec::new())
}

/// What a server answers that gives these bytes as the record of every grid.
pub(crate) fn found(request: &Request, record: Option<Vec<u8>>, evidence: Vec<Vec<u8>>) -> Vec<u8> {
    let body = match request {
        Request::Resolve { .. } => Body::Found { record, evidence, nearer: Vec::new() },
        Request::Store { .. } => {
            Body::Verdict { verdict: lafs_clearinghouse::dht::message::WireVerdict::Stored, newer: None }
        }
        Request::Servers { .. } => Body::Servers { page: Vec::new(), more: false },
        _ => Body::Unsupported,
    };
    Response { time: Clock::system().now(), body }.encode()
}
