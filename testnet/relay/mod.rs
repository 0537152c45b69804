//! A relay in front of a node: its UDP datagrams and TCP streams take half the round-trip time in each direction, and can
//! be made to stop. In user space, so that it needs neither root nor a kernel with a network emulator.
//!
//! **UDP.** Each client (address and port) is a flow with a socket of its own towards the node. The relay knows nothing
//! of what it carries: QUIC passes as it is, in datagrams of any size that UDP allows. Datagrams keep their order, none
//! is lost except to a full line, and their ECN bits are not carried over.
//!
//! **TCP.** The kernel shakes hands with the client at once, so the relay makes up for it. With *D* half the RTT:
//! at 0 the client's connection is accepted; at *D* the relay dials the node, as if the SYN had come there, and a node
//! that refuses is told to the client at 2*D* (by a reset); at 2*D* the client's first bytes are let onto the line, as if
//! the SYN-ACK had come back; at 3*D* the node's are, as if the last ACK of the handshake had come. So the first answer
//! arrives 4*D*, two round trips, after `connect`, as it would; only `connect` itself returns too early.
//!
//! **Faults.** While the relay is paused or cut off from a client's /24, datagrams are dropped, those already under way
//! too. Streams wait instead, new ones too, and go on afterwards: what TCP's retransmissions come to.
//!
//! Towards the node the relay takes the client's own loopback address, with a port of its own, so that the node's rules
//! about networks (one peer for each /24) see the same networks as without relays.
//!
//! Not modelled: bandwidth, loss, jitter, congestion.

mod faults;
mod line;
mod tcp;
mod timer;
mod udp;

use crate::ports::PortPair;
use faults::{Faults, Gate, Network};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// What udp and tcp share of their relay.
#[derive(Clone)]
struct Path {
    /// Where the node itself listens.
    node: SocketAddr,
    /// Half the round-trip time.
    hold: Duration,
    gate: Gate,
}

/// What a relay has counted since its start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counters {
    /// UDP flows open now.
    pub(crate) flows: usize,
    /// Datagrams dropped because a line was full or no socket was to be had: the testnet is too much for the machine.
    pub(crate) dropped: u64,
    /// Datagrams that a fault stopped.
    pub(crate) stopped: u64,
}

/// A running relay. Dropped, it stops: its ports are free and its connections reset.
pub(crate) struct Relay {
    address: SocketAddr,
    faults: watch::Sender<Faults>,
    counters: watch::Receiver<Counters>,
    _tasks: JoinSet<()>,
}

impl Relay {
    /// Relays what comes to `ports` to the node at `node`, on the current tokio runtime.
    pub(crate) fn start(ports: PortPair, node: SocketAddr, rtt: Duration) -> io::Result<Self> {
        Self::start_with(ports, node, rtt, udp::Limits::default())
    }

    fn start_with(ports: PortPair, node: SocketAddr, rtt: Duration, limits: udp::Limits) -> io::Result<Self> {
        let address = ports.address()?;
        let faults = watch::Sender::new(Faults::default());
        let path = Path { node, hold: rtt / 2, gate: Gate::new(&faults) };
        let (counting, counters) = watch::channel(Counters::default());
        let mut tasks = JoinSet::new();
        udp::start(&mut tasks, ports.udp, &path, limits, &Arc::new(counting))?;
        tcp::start(&mut tasks, ports.tcp, &path)?;
        Ok(Self { address, faults, counters, _tasks: tasks })
    }

    /// What it counts, as it changes.
    pub(crate) fn counters(&self) -> watch::Receiver<Counters> {
        self.counters.clone()
    }
}

impl Relay {
    /// The address that clients use, for UDP and TCP.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets nothing through until [`resume`](Self::resume).
    pub(crate) fn pause(&self) {
        self.faults.send_modify(|faults| faults.set_paused(true));
    }

    /// Ends a pause; a partition stays.
    pub(crate) fn resume(&self) {
        self.faults.send_modify(|faults| faults.set_paused(false));
    }

    /// Lets nothing through from or to the /24s of `peers`, and only of those: an empty list heals the partition. A peer
    /// is what dials this relay; that the node cannot dial it in turn is for that peer's own relay.
    pub(crate) fn cut_off_from(&self, peers: impl IntoIterator<Item = Ipv4Addr>) {
        self.faults.send_modify(|faults| faults.set_cut_off_from(peers.into_iter().map(Network::of)));
    }
}

/// The local address for a socket towards the node: the client's own if it is a loopback one, else any.
fn source_for(client: SocketAddr) -> SocketAddr {
    match client.ip() {
        IpAddr::V4(ip) if ip.is_loopback() => SocketAddr::from((ip, 0)),
        IpAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        IpAddr::V6(_) => SocketAddr::from((std::net::Ipv6Addr::UNSPECIFIED, 0)),
    }
}

#[cfg(test)]
mod tests;
