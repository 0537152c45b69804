//! The composition: builds the parts from the settings, runs them, and takes them down in the right order.

use crate::address::PrivateAddresses;
use crate::clock::Clock;
use crate::config::{
    FileError, GridManager, Home, KeyFileError, NetworkName, NodeConfig, create_private_dir, read_or_create_key,
};
use crate::dht::{Dht, DhtSettings, Role, StartError, start};
use crate::http::{Api, ApiError, ApiParts, ResolverAddress, ResolverAddressError, ResolverSettings};
use crate::keys::{GridId, SecretKey};
use crate::publisher::Publisher;
use crate::resolver::Resolver;
use crate::store::{Book, DirectoryLock, Floors, LockError, ShelfError};
use libp2p::Multiaddr;
use std::future::Future;
use std::net::SocketAddr;
use tracing::{debug, info};

/// A node at work: it stores records for others, publishes its own grid's, and answers questions.
#[derive(Debug)]
pub struct Node {
    /// Its place in the network.
    pub dht: Dht,
    /// Answers questions.
    pub resolver: Resolver,
    /// Keeps the own record published; `None` for a node that speaks for no grid.
    pub publisher: Option<Publisher>,
    api: Api,
    resolver_address: Option<ResolverAddress>,
    _lock: DirectoryLock,
}

impl Node {
    /// Starts a node on its data directory. Dropping the future halfway leaves nothing running.
    pub async fn start(home: &Home, config: &NodeConfig, clock: Clock) -> Result<Self, NodeError> {
        let lock = DirectoryLock::acquire(home)?;
        let grid = grid_of(config)?;
        let role = match (&config.external, config.allow_private_addresses) {
            (Some(_), _) | (None, PrivateAddresses::Allowed) => Role::Server,
            (None, PrivateAddresses::Refused) => Role::Undecided,
        };
        let settings = DhtSettings {
            network: config.network.clone(),
            identity: read_or_create_key(&home.node_key())?,
            role,
            listen: Some(config.listen),
            external: config.external_addrs(),
            bootstrap: config.bootstrap.clone(),
            private: config.allow_private_addresses,
            whole_network_limit: config.whole_network_limit,
        };
        let dht = start(settings, Book::open(home, grid, clock)?, clock)?;
        let resolver = Resolver::new(
            dht.clone(),
            clock,
            config.allow_private_addresses,
            role == Role::Server,
            Floors::open(home)?,
        );
        let publisher = grid.map(|grid| Publisher::start(home, config, grid, dht.clone(), clock));
        let parts = ApiParts {
            home: home.clone(),
            network: config.network.to_string(),
            dht: dht.clone(),
            resolver: resolver.clone(),
            publisher: publisher.clone(),
            clock,
        };
        let resolver_address = match config.resolver_listen {
            Some(listen) => {
                let settings = ResolverSettings { listen, proxies: config.resolver_proxy.clone() };
                Some(ResolverAddress::start(settings, dht.clone(), clock).await?)
            }
            None => None,
        };
        let api = Api::start(config.api, parts).await?;
        info!(peer_id = %dht.peer_id(), network = %config.network, api = api.url(), "started");
        Ok(Self { dht, resolver, publisher, api, resolver_address, _lock: lock })
    }

    /// Where the local API answers: `http://127.0.0.1:PORT`.
    pub fn api_url(&self) -> &str {
        self.api.url()
    }

    /// Where anybody may ask for records over HTTP, if anywhere.
    pub fn resolver_addr(&self) -> Option<SocketAddr> {
        self.resolver_address.as_ref().map(ResolverAddress::addr)
    }

    /// Stops everything and waits until what is held is written.
    pub async fn stop(self) {
        if let Some(address) = self.resolver_address {
            address.stop().await;
        }
        self.api.stop().await;
        if let Some(publisher) = &self.publisher {
            publisher.stop().await;
        }
        self.dht.stop().await;
        info!("stopped");
    }
}

/// Runs a node until `shutdown` ends.
pub async fn run(
    home: &Home,
    config: &NodeConfig,
    clock: Clock,
    shutdown: impl Future<Output = ()>,
) -> Result<(), NodeError> {
    let node = Node::start(home, config, clock).await?;
    shutdown.await;
    node.stop().await;
    Ok(())
}

/// Somebody who only asks: no listening, no storing for others, gone when the answer is there.
#[derive(Debug)]
pub struct Client {
    /// Its way into the network.
    pub dht: Dht,
    /// Answers questions.
    pub resolver: Resolver,
    _lock: Option<DirectoryLock>,
}

/// Where a client begins.
#[derive(Debug, Clone)]
pub struct ClientSettings {
    /// The network.
    pub network: NetworkName,
    /// Servers to begin with, beside those remembered.
    pub bootstrap: Vec<Multiaddr>,
    /// Whether loopback and private addresses may be dialled.
    pub private: PrivateAddresses,
}

impl Client {
    /// Starts a client that keeps its floors, its copies of records and the servers it met in `home`.
    ///
    /// Several may run on one directory: the floors are shared, the copies are the first one's.
    pub async fn start(home: &Home, settings: ClientSettings, clock: Clock) -> Result<Self, NodeError> {
        create_private_dir(home.path())?;
        let (book, lock) = match DirectoryLock::acquire(home) {
            Ok(lock) => (Book::open(home, None, clock)?, Some(lock)),
            Err(LockError::InUse { .. }) => {
                debug!("another process uses this directory: nothing is remembered this time");
                (Book::in_memory(clock), None)
            }
            Err(error) => return Err(error.into()),
        };
        let private = settings.private;
        let settings = DhtSettings {
            network: settings.network,
            // A client that is the same peer each time could be followed from question to question.
            identity: SecretKey::generate(),
            role: Role::Client,
            listen: None,
            external: Vec::new(),
            bootstrap: settings.bootstrap,
            private,
            whole_network_limit: 0,
        };
        let dht = start(settings, book, clock)?;
        let resolver = Resolver::new(dht.clone(), clock, private, false, Floors::open(home)?);
        Ok(Self { dht, resolver, _lock: lock })
    }

    /// Stops and waits until what was learnt is written.
    pub async fn stop(self) {
        self.dht.stop().await;
    }
}

/// The grid that the settings speak for.
fn grid_of(config: &NodeConfig) -> Result<Option<GridId>, NodeError> {
    let managed = config.grid_manager.as_deref().map(GridManager::open).transpose()?.map(|manager| manager.grid_id());
    match (config.grid_id, managed) {
        (Some(stated), Some(found)) if stated != found => Err(NodeError::OtherGrid { stated, found }),
        (stated, found) => Ok(stated.or(found)),
    }
}

/// Why a node does not start.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The data directory is in use, or not there.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A key could not be read.
    #[error(transparent)]
    Key(#[from] KeyFileError),
    /// The settings name two grids.
    #[error("the settings say {stated}, and the grid manager's key is that of {found}")]
    OtherGrid {
        /// The one in `grid-id`.
        stated: GridId,
        /// The one of `grid-manager`.
        found: GridId,
    },
    /// The store could not be opened, nor a new one made.
    #[error(transparent)]
    Store(#[from] ShelfError),
    /// The network part did not start: a port in use, mostly.
    #[error(transparent)]
    Dht(#[from] StartError),
    /// The local API did not start.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// The address that is open to others did not open.
    #[error(transparent)]
    ResolverAddress(#[from] ResolverAddressError),
}
