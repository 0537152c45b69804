//! Who takes no part in the network and only asks.

use crate::address::PrivateAddresses;
use crate::clock::Clock;
use crate::config::{Home, NetworkName, create_private_dir};
use crate::dht::{Dht, DhtSettings, Role, start};
use crate::keys::SecretKey;
use crate::node::error::NodeError;
use crate::resolver::Resolver;
use crate::store::{Book, DirectoryLock, Floors, LockError};
use libp2p::Multiaddr;
use tracing::debug;

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
        let resolver = Resolver::new(dht.clone(), clock, private, Floors::open(home)?);
        Ok(Self { dht, resolver, _lock: lock })
    }

    /// Stops and waits until what was learnt is written.
    pub async fn stop(self) {
        self.dht.stop().await;
    }
}
