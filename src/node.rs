//! The composition: builds the parts from the settings, runs them, and takes them down in the right order.

use crate::address::PrivateAddresses;
use crate::clock::Clock;
use crate::config::{FileError, Home, KeyFileError, NetworkName, NodeConfig, create_private_dir, read_or_create_key};
use crate::dht::{self, Dht, DhtSettings, Role, StartError};
use crate::http::{Api, ApiError};
use crate::keys::{GridId, SecretKey};
use crate::publisher::{Publisher, PublisherError, PublisherSettings};
use crate::resolver::Resolver;
use crate::store::{Book, BookError, DirectoryLock, Floors, LockError};
use libp2p::Multiaddr;
use std::path::Path;

/// A node at work for its grid.
#[derive(Debug)]
pub struct Node {
    /// Its place in the network.
    pub dht: Dht,
    /// Answers questions.
    pub resolver: Resolver,
    /// Keeps the own record published.
    pub publisher: Publisher,
    api: Api,
    _lock: DirectoryLock,
}

impl Node {
    /// Starts a node on its data directory.
    pub async fn start(home: &Home, config: &NodeConfig, clock: Clock) -> Result<Self, NodeError> {
        let lock = DirectoryLock::acquire(home)?;
        let identity = read_or_create_key(&home.node_key())?;
        let grid = config.grid()?;
        let book = Book::open(home, Some(grid), clock)?;
        let settings = DhtSettings {
            network: config.network.clone(),
            identity,
            role: role(config),
            listen: Some(config.listen),
            external: config.external_addrs(),
            bootstrap: config.bootstrap.clone(),
            private: config.allow_private_addresses,
        };
        let serves = settings.role == Role::Server;
        let dht = dht::start(settings, book, clock)?;
        let resolver = Resolver::new(dht.clone(), clock, config.allow_private_addresses, serves, Floors::open(home)?);
        let publisher = Publisher::start(PublisherSettings::new(home, config, grid), dht.clone(), clock)?;
        let api = Api::start(home, config.api, dht.clone(), resolver.clone(), publisher.clone()).await?;
        Ok(Self { dht, resolver, publisher, api, _lock: lock })
    }

    /// Where the local API answers.
    pub fn api_url(&self) -> &str {
        self.api.url()
    }

    /// Stops everything and waits until what is held is written.
    pub async fn stop(self) {
        self.api.stop().await;
        self.publisher.stop().await;
        self.dht.stop().await;
    }
}
