//! The gateway as a whole: started, asked how it stands, stopped.

use crate::clearing::{AgreedTerms, HouseRules, Settler, Till};
use crate::clock::Clock;
use crate::config::FileError;
use crate::gateway::away::Away;
use crate::gateway::identity::GatewayIdentity;
use crate::gateway::serve::holds::Holds;
use crate::gateway::serve::leases::Leases;
use crate::gateway::serve::listener::Acceptor;
use crate::gateway::serve::refresh::Refreshes;
use crate::gateway::serve::routes::router;
use crate::gateway::serve::rules::under_way;
use crate::gateway::serve::shared::{MAX_STREAMS, OwnRecord, Parts, Shared};
use crate::gateway::shares::Files;
use crate::gateway::traffic::{Exchanged, Traffic};
use crate::keys::GridId;
use crate::members::Members;
use crate::metrics::Metrics;
use crate::record::Limit;
use crate::resolver::Resolver;
use crate::session::Nonces;
use crate::tariff::Pool;
use crate::units::Bytes;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tracing::{info, warn};

/// How long the connections may take to end.
const END: Duration = Duration::from_secs(3);
/// How often the counts of traffic are brought to the disk.
const WRITE_EVERY: Duration = Duration::from_secs(5);

/// How often other gateways that write the same books are told what is under way here.
const TELL_EVERY: Duration = Duration::from_secs(2);

/// What a gateway is made of.
pub struct GatewayParts {
    /// The grid whose gateway it is.
    pub grid: GridId,
    /// The network of nodes.
    pub network: String,
    /// Its keys.
    pub identity: GatewayIdentity,
    /// Where it listens; bound already, so that the record can name the port.
    pub listener: TcpListener,
    /// Gives the grid's record as it is now.
    pub own_record: OwnRecord,
    /// The grid's clients.
    pub members: Members,
    /// Finds other grids' records.
    pub resolver: Resolver,
    /// What the grid is owed and owes, and the clearing node.
    pub settler: Settler,
    /// The grid's files; `None` where there are no storage servers to read from.
    pub files: Option<Files>,
    /// Other grids' files.
    pub away: Away,
    /// Delivers on lanes, over the books.
    pub till: Till,
    /// What is agreed with other grids.
    pub terms: AgreedTerms,
    /// What the grid's clients may fetch of other grids.
    pub rules: HouseRules,
    /// The most that is lent to another grid without a person.
    pub credit_limit: Option<Limit>,
    /// The counts of octets.
    pub traffic: Traffic,
    /// The figures.
    pub metrics: Metrics,
    /// The time.
    pub clock: Clock,
}

/// A running gateway.
#[derive(Debug)]
pub struct Gateway {
    addr: SocketAddr,
    stop: watch::Sender<bool>,
    server: JoinHandle<()>,
    writer: JoinHandle<()>,
    teller: JoinHandle<()>,
    connections: Arc<AtomicUsize>,
    traffic: Traffic,
    leases: Arc<Leases>,
}

/// Why the gateway did not open.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// It cannot listen.
    #[error("the gateway cannot listen")]
    Listen(#[from] io::Error),
    /// A file of its own.
    #[error(transparent)]
    File(#[from] FileError),
}

impl Gateway {
    /// Opens the gateway.
    pub fn start(parts: GatewayParts) -> Result<Self, GatewayError> {
        let addr = parts.listener.local_addr()?;
        let GatewayParts { grid, network, identity, listener, clock, traffic, .. } = parts;
        let now = clock.now();
        let mut pool = Pool::new();
        for (stranger, given) in traffic.sent_to_grids(now) {
            pool.remember(stranger, given, now);
        }
        let leases = Leases::new(pool, clock);
        let metrics = parts.metrics.clone();
        let holds = Holds::new(parts.till.ledger(), identity.key.public());
        let shared = Shared(Arc::new(Parts {
            grid,
            network,
            spki_hash: *identity.tls.spki_hash(),
            key: identity.key.public(),
            clock,
            own_record: parts.own_record,
            operator: identity.operator.public(),
            members: parts.members,
            resolver: parts.resolver,
            settler: parts.settler,
            files: parts.files,
            away: parts.away,
            nonces: Mutex::new(Nonces::new()),
            refreshes: Mutex::new(Refreshes::new()),
            leases: Arc::clone(&leases),
            till: parts.till,
            terms: parts.terms,
            rules: parts.rules,
            holds: Arc::new(holds),
            credit_limit: parts.credit_limit,
            secret_key: identity.key.clone(),
            traffic: traffic.clone(),
            metrics: parts.metrics,
            streams: Arc::new(Semaphore::new(MAX_STREAMS)),
        }));
        let (stop, stopping) = watch::channel(false);
        let connections = Arc::<AtomicUsize>::default();
        let acceptor = Acceptor {
            tls: TlsAcceptor::from(Arc::new(identity.tls.server_config(&[b"h2", b"http/1.1"]))),
            router: router(shared.clone()),
            stopping,
            connections: Arc::clone(&connections),
            metrics,
        };
        info!(%addr, "the gateway is open");
        let writer = tokio::spawn(write(traffic.clone()));
        let teller = tokio::spawn(tell(shared));
        let server = tokio::spawn(acceptor.run(listener));
        Ok(Self { addr, stop, server, writer, teller, connections, traffic, leases })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// How many connections there are, as of the last that came or went.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// What was exchanged since the start.
    pub fn exchanged(&self) -> Exchanged {
        self.traffic.total()
    }

    /// What is under way to strangers, and what they were given today.
    pub fn pool(&self) -> (Bytes, Bytes) {
        self.leases.pool()
    }

    /// Takes no more connections, gives answers that are on their way a moment, and brings the counts to the disk.
    pub async fn stop(mut self) {
        let _ = self.stop.send(true);
        if timeout(END, &mut self.server).await.is_err() {
            self.server.abort();
        }
        self.writer.abort();
        self.teller.abort();
        written(&self.traffic).await;
    }
}

impl Drop for Gateway {
    /// Without [`Gateway::stop`] the server ends all the same.
    fn drop(&mut self) {
        self.server.abort();
        self.writer.abort();
        self.teller.abort();
    }
}

/// Tells other gateways that write the same books what is under way here, as it becomes less.
async fn tell(shared: Shared) {
    let mut tick = tokio::time::interval(TELL_EVERY);
    loop {
        tick.tick().await;
        if let Err(error) = shared.holds.say(shared.clock.now(), || under_way(&shared)).await {
            warn!(%error, "other gateways count more for what is under way here than it is: tried again");
        }
    }
}

async fn write(traffic: Traffic) {
    let mut tick = tokio::time::interval(WRITE_EVERY);
    loop {
        tick.tick().await;
        written(&traffic).await;
    }
}

async fn written(traffic: &Traffic) {
    let traffic = traffic.clone();
    if let Ok(Err(error)) = spawn_blocking(move || traffic.write()).await {
        warn!(error = %error.source, "the counts of traffic could not be written: tried again");
    }
}
