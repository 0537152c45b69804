//! The UDP half of a relay: flows by client address, one line to the node and one back.

use super::line::{Entrance, Exit, line};
use super::{Counters, Path, source_for};
use socket2::SockRef;
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::sync::watch;
use tokio::task::{AbortHandle, Id, JoinSet};
use tokio::time::{Instant, sleep_until};

/// The longest payload that a UDP length field allows.
const MAX_DATAGRAM_BYTES: usize = 65_535;

/// What one direction of all flows together may have under way: at 25 ms a way, 640 MB/s.
const LINE_BYTES: u32 = 16 << 20;

/// Asked of the kernel for each socket, so that a burst waits there and is not lost; it gives at most
/// `net.core.rmem_max` and `wmem_max`.
const SOCKET_BUFFER_BYTES: usize = 4 << 20;

/// Bounds on flows.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    /// How long a flow without a datagram in either direction is kept. Six times the idle time-out of libp2p's QUIC,
    /// so that no living connection changes its port.
    pub(super) idle: Duration,
    /// How many flows there are at most: each costs a socket. A new one takes the place of the one idle for longest.
    pub(super) flows: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { idle: Duration::from_secs(60), flows: 1_024 }
    }
}

/// A datagram on its way to the node.
struct Inward {
    flow: Arc<Flow>,
    payload: Box<[u8]>,
}

/// A datagram on its way to a client.
struct Outward {
    client: SocketAddr,
    payload: Box<[u8]>,
}

/// One client and its socket towards the node.
struct Flow {
    client: SocketAddr,
    socket: UdpSocket,
    opened: Instant,
    /// When a datagram last passed, in milliseconds from `opened`.
    last_seen_ms: AtomicU64,
}

impl Flow {
    fn open(client: SocketAddr, node: SocketAddr) -> io::Result<Self> {
        let socket = std::net::UdpSocket::bind(source_for(client))?;
        enlarge_buffers(&socket);
        socket.connect(node)?;
        socket.set_nonblocking(true)?;
        let socket = UdpSocket::from_std(socket)?;
        Ok(Self { client, socket, opened: Instant::now(), last_seen_ms: AtomicU64::new(0) })
    }

    fn touch(&self) {
        let elapsed = u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_seen_ms.store(elapsed, Ordering::Relaxed);
    }

    fn last_seen(&self) -> Instant {
        self.opened + Duration::from_millis(self.last_seen_ms.load(Ordering::Relaxed))
    }

    /// Receives one datagram of the node if there is one.
    fn try_receive(&self) -> io::Result<Box<[u8]>> {
        thread_local! {
            // One for each thread and not for each flow: a thousand flows would hold 64 MiB.
            static BUFFER: std::cell::RefCell<Vec<u8>> = std::cell::RefCell::new(vec![0; MAX_DATAGRAM_BYTES]);
        }
        BUFFER.with_borrow_mut(|buffer| self.socket.try_recv(buffer).map(|length| buffer[..length].into()))
    }
}

/// Starts the tasks that relay datagrams between the clients of `socket` and the node.
pub(super) fn start(
    tasks: &mut JoinSet<()>,
    socket: std::net::UdpSocket,
    path: &Path,
    limits: Limits,
    counters: &Arc<watch::Sender<Counters>>,
) -> io::Result<()> {
    enlarge_buffers(&socket);
    socket.set_nonblocking(true)?;
    let socket = Arc::new(UdpSocket::from_std(socket)?);
    let (to_node, at_node) = line(path.hold, LINE_BYTES);
    let (to_clients, at_clients) = line(path.hold, LINE_BYTES);
    let listener = Listener {
        socket: Arc::clone(&socket),
        path: path.clone(),
        limits,
        to_node,
        to_clients,
        flows: HashMap::new(),
        flow_tasks: JoinSet::new(),
        counters: Arc::clone(counters),
    };
    tasks.spawn(listener.run());
    tasks.spawn(deliver_to_node(at_node, path.clone(), Arc::clone(counters)));
    tasks.spawn(deliver_to_clients(at_clients, socket, path.clone(), Arc::clone(counters)));
    Ok(())
}

async fn deliver_to_node(mut line: Exit<Inward>, path: Path, counters: Arc<watch::Sender<Counters>>) {
    while let Some(Inward { flow, payload }) = line.next().await {
        if path.gate.is_open(flow.client.ip()) {
            // A node that is not there answers with an ICMP error: to the client it is a silent one.
            let _ = flow.socket.send(&payload).await;
        } else {
            count(&counters, |counters| counters.stopped += 1);
        }
    }
}

async fn deliver_to_clients(
    mut line: Exit<Outward>,
    socket: Arc<UdpSocket>,
    path: Path,
    counters: Arc<watch::Sender<Counters>>,
) {
    while let Some(Outward { client, payload }) = line.next().await {
        if path.gate.is_open(client.ip()) {
            let _ = socket.send_to(&payload, client).await;
        } else {
            count(&counters, |counters| counters.stopped += 1);
        }
    }
}

/// Owns the flows: opens one for each new client, closes those that are idle.
struct Listener {
    socket: Arc<UdpSocket>,
    path: Path,
    limits: Limits,
    to_node: Entrance<Inward>,
    to_clients: Entrance<Outward>,
    flows: HashMap<SocketAddr, (Arc<Flow>, AbortHandle)>,
    flow_tasks: JoinSet<SocketAddr>,
    counters: Arc<watch::Sender<Counters>>,
}

impl Listener {
    async fn run(mut self) {
        let mut buffer = vec![0; MAX_DATAGRAM_BYTES];
        loop {
            tokio::select! {
                received = self.socket.recv_from(&mut buffer) => match received {
                    Ok((length, client)) => self.on_datagram(client, &buffer[..length]),
                    Err(error) => tracing::debug!(%error, "receiving for the node failed"),
                },
                Some(ended) = self.flow_tasks.join_next_with_id() => {
                    if let Ok((task, client)) = ended {
                        self.on_flow_ended(task, client);
                    }
                }
            }
        }
    }

    fn on_datagram(&mut self, client: SocketAddr, payload: &[u8]) {
        if !self.path.gate.is_open(client.ip()) {
            count(&self.counters, |counters| counters.stopped += 1);
            return;
        }
        let flow = match self.flows.get(&client) {
            Some((flow, _)) => Arc::clone(flow),
            None => match self.open_flow(client) {
                Ok(flow) => flow,
                Err(error) => {
                    tracing::warn!(%client, %error, "no socket for a new flow: its datagram is dropped");
                    count(&self.counters, |counters| counters.dropped += 1);
                    return;
                }
            },
        };
        flow.touch();
        if !self.to_node.offer(payload.len(), Inward { flow, payload: payload.into() }) {
            count(&self.counters, |counters| counters.dropped += 1);
        }
    }

    fn open_flow(&mut self, client: SocketAddr) -> io::Result<Arc<Flow>> {
        if self.flows.len() >= self.limits.flows {
            self.close_the_idlest();
        }
        let flow = Arc::new(Flow::open(client, self.path.node)?);
        let backward = backward(
            Arc::clone(&flow),
            self.to_clients.clone(),
            self.path.clone(),
            self.limits.idle,
            Arc::clone(&self.counters),
        );
        let task = self.flow_tasks.spawn(backward);
        self.flows.insert(client, (Arc::clone(&flow), task));
        self.count_flows();
        Ok(flow)
    }

    fn close_the_idlest(&mut self) {
        let idlest = self.flows.iter().min_by_key(|(_, (flow, _))| flow.last_seen()).map(|(client, _)| *client);
        if let Some((_, task)) = idlest.and_then(|client| self.flows.remove(&client)) {
            task.abort();
        }
    }

    fn on_flow_ended(&mut self, task: Id, client: SocketAddr) {
        // The client may have a newer flow by now.
        if self.flows.get(&client).is_some_and(|(_, current)| current.id() == task) {
            self.flows.remove(&client);
            self.count_flows();
        }
    }

    fn count_flows(&self) {
        count(&self.counters, |counters| counters.flows = self.flows.len());
    }
}

/// Puts what the node answers to a flow on the line back, until the flow is idle for too long.
async fn backward(
    flow: Arc<Flow>,
    line: Entrance<Outward>,
    path: Path,
    idle: Duration,
    counters: Arc<watch::Sender<Counters>>,
) -> SocketAddr {
    loop {
        let ends = flow.last_seen() + idle;
        tokio::select! {
            biased;
            ready = flow.socket.readable() => {
                // An error here is an ICMP one (nobody listens at the node's port) or "not ready after all".
                let Ok(payload) = ready.and_then(|()| flow.try_receive()) else { continue };
                flow.touch();
                if !path.gate.is_open(flow.client.ip()) {
                    count(&counters, |counters| counters.stopped += 1);
                } else if !line.offer(payload.len(), Outward { client: flow.client, payload }) {
                    count(&counters, |counters| counters.dropped += 1);
                }
            }
            () = sleep_until(ends) => {
                if flow.last_seen() + idle <= Instant::now() {
                    return flow.client;
                }
            }
        }
    }
}

fn count(counters: &watch::Sender<Counters>, change: impl FnOnce(&mut Counters)) {
    counters.send_modify(change);
}

/// As large as the kernel allows; what it gives is enough to work, so a refusal is no error.
fn enlarge_buffers(socket: &std::net::UdpSocket) {
    let socket = SockRef::from(socket);
    let _ = socket.set_recv_buffer_size(SOCKET_BUFFER_BYTES);
    let _ = socket.set_send_buffer_size(SOCKET_BUFFER_BYTES);
}
