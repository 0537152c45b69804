//! From settings to a running task.

use crate::address::PrivateAddresses;
use crate::cbor::Reader;
use crate::clock::Clock;
use crate::config::NetworkName;
use crate::dht::behaviour::{Role, swarm};
use crate::dht::driver::Driver;
use crate::dht::handle::{COMMANDS, Dht, Known, Wholeness};
use crate::dht::kad_store::KadStore;
use crate::dht::keep::{Compared, keep};
use crate::dht::listen::listen_addrs;
use crate::dht::peers::{Peers, Word};
use crate::dht::server::Server;
use crate::keys::SecretKey;
use crate::store::Book;
use libp2p::Multiaddr;
use libp2p::identity::Keypair;
use std::net::SocketAddr;
use tokio::sync::{mpsc, watch};
use tracing::info;

/// What a node needs to take part.
#[derive(Debug, Clone)]
pub struct DhtSettings {
    /// The network; nodes of different ones do not speak with each other.
    pub network: NetworkName,
    /// The node's own key: its libp2p identity.
    pub identity: SecretKey,
    /// As what it takes part.
    pub role: Role,
    /// Where it listens, with QUIC and TCP on one port (0: any free one). `None` for a client.
    pub listen: Option<SocketAddr>,
    /// The addresses under which others reach it, where they are known beforehand.
    pub external: Vec<Multiaddr>,
    /// Where the network begins for this node.
    pub bootstrap: Vec<Multiaddr>,
    /// Whether loopback and private addresses may be dialled.
    pub private: PrivateAddresses,
    /// Up to how many servers each holds every record.
    pub whole_network_limit: usize,
}

/// Starts the task that owns the swarm. It holds `book` until it stops.
pub fn start(settings: DhtSettings, mut book: Book, clock: Clock) -> Result<Dht, StartError> {
    let seed = settings.identity.seed();
    let keypair = Keypair::ed25519_from_bytes(*seed).expect("any 32 bytes are an Ed25519 seed");
    let local = keypair.public().to_peer_id();
    let mut peers = Peers::new(local, settings.private);
    book.set_place(&local.to_bytes());
    let mut saved = Vec::new();
    for bytes in book.saved_servers() {
        if let Ok(server) = Server::decode(&mut Reader::new(bytes)) {
            peers.name(server.clone(), Word::Own);
            saved.push(server);
        }
    }
    let mut swarm =
        swarm(keypair, &settings.network, settings.role, settings.private, settings.external.clone(), KadStore(book))
            .map_err(StartError::Transport)?;
    if let Some(addr) = settings.listen {
        let in_use = |source| StartError::Listen { addr, source };
        for listen in listen_addrs(addr).map_err(in_use)? {
            swarm.listen_on(listen).map_err(|error| in_use(std::io::Error::other(error)))?;
        }
    }
    for addr in settings.external {
        swarm.add_external_address(addr);
    }
    let (commands, receiver) = mpsc::channel(COMMANDS);
    let (known, known_receiver) =
        watch::channel(Known { all: peers.len(), counted: peers.counted(), silent: peers.silent() });
    let (seeking, seeking_receiver) = watch::channel(true);
    let (listening, listening_receiver) = watch::channel(settings.listen.is_none());
    let driver = Driver::new(
        swarm,
        &settings.network,
        settings.role,
        clock,
        peers,
        settings.private,
        settings.bootstrap,
        receiver,
        known,
        seeking,
        listening,
        settings.whole_network_limit,
        saved,
    );
    let (compared, compared_receiver) = watch::channel(Compared::default());
    let wholeness = Wholeness { limit: settings.whole_network_limit, compared: compared_receiver };
    let metrics = driver.metrics().clone();
    let dht = Dht::new(commands, local, known_receiver, seeking_receiver, listening_receiver, wholeness, metrics);
    tokio::spawn(driver.run());
    let handle = dht.clone();
    tokio::spawn(async move {
        verify_backlog(&handle).await;
        // Only then: what is not verified yet would be fetched from others.
        if settings.role != Role::Client {
            keep(handle, settings.whole_network_limit, compared).await;
        }
    });
    Ok(dht)
}

/// Verifies what the book held on the disk, beside the node's work. One core is left for that: the node serves meanwhile.
async fn verify_backlog(dht: &Dht) {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let one_after_the_other = || async {
        let mut count = 0;
        while let Some(rows) = dht.unverified().await {
            count += rows.len();
            // An error means that the runtime is being shut down.
            let Ok(verified) = tokio::task::spawn_blocking(move || rows.verify()).await else { break };
            dht.verified(verified).await;
        }
        count
    };
    let loops = futures::future::join_all((0..cores.saturating_sub(1).max(1)).map(|_| one_after_the_other())).await;
    let rows: usize = loops.into_iter().sum();
    if rows > 0 {
        info!(rows, "every record of the store is verified");
    }
}

/// Why a node could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The port is in use, or the address is none of this machine's.
    #[error("cannot listen on {addr}")]
    Listen {
        /// Where it should have listened.
        addr: SocketAddr,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The transports could not be set up: usually an unreadable `/etc/resolv.conf`.
    #[error("cannot set up the transports")]
    Transport(#[source] std::io::Error),
}
