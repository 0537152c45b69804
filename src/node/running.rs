//! A node from its start to its end.

use crate::address::PrivateAddresses;
use crate::clearing::{Purse, Settler};
use crate::clock::Clock;
use crate::config::{GatewayEntry, GridManager, Home, NodeConfig, Patience, read_or_create_key, settings_digest};
use crate::dht::{Dht, DhtSettings, Role, start};
use crate::gateway::Gateway;
use crate::grid::{Grid, GridSettings};
use crate::http::{
    Api, ApiParts, RELOADS, ReloadRequest, ResolverAddress, ResolverSettings, SettingsStanding, WebAddress,
};
use crate::keys::GridId;
use crate::ledger::{Ledger, Location};
use crate::members::Members;
use crate::node::error::NodeError;
use crate::node::gateway::{OpenGateway, nurl};
use crate::node::paying::operators_purse;
use crate::node::reload::published_settings;
use crate::node::rounds::{forget_files, settle, write_floors};
use crate::peer::{CallerIdentity, DialGuard, GatewayPlace, Named};
use crate::publisher::Publisher;
use crate::reader::Reader;
use crate::resolver::Resolver;
use crate::store::{Book, DirectoryLock, Floors, load_own_record};
use std::future::Future;
use std::net::SocketAddr;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tracing::info;

/// A node at work: it stores records for others, publishes its own grid's, and answers questions.
#[derive(Debug)]
pub struct Node {
    /// Its place in the network.
    pub dht: Dht,
    /// Answers questions.
    pub resolver: Resolver,
    /// Keeps the own record published; `None` for a node that speaks for no grid.
    pub publisher: Option<Publisher>,
    /// The clients of its grid; `None` for a node that speaks for no grid.
    pub members: Option<Members>,
    pub(super) gateway: Option<Gateway>,
    /// Claims what is owed; `None` where there is no gateway.
    pub settler: Option<Settler>,
    /// What is done again and again in the books.
    pub(super) rounds: Vec<JoinHandle<()>>,
    /// What the record says of that gateway.
    pub(super) own_entry: Option<GatewayEntry>,
    pub(super) api: Api,
    pub(super) resolver_address: Option<ResolverAddress>,
    pub(super) web: Option<WebAddress>,
    /// What is paid from for what is read there.
    pub(super) web_purse: Option<Purse>,
    pub(super) home: Home,
    pub(super) config: NodeConfig,
    pub(super) settings: watch::Sender<SettingsStanding>,
    pub(super) reloads: mpsc::Receiver<ReloadRequest>,
    pub(super) floors: JoinHandle<()>,
    _lock: DirectoryLock,
}

impl Node {
    /// Starts a node on its data directory. Dropping the future halfway leaves nothing running.
    pub async fn start(home: &Home, config: &NodeConfig, clock: Clock) -> Result<Self, NodeError> {
        let lock = DirectoryLock::acquire(home)?;
        let grid = grid_of(config)?;
        if let Some(grid) = &grid {
            // What was published last must be known before anything else is: a damaged file is for a person to look at.
            load_own_record(home, grid)?;
        }
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
        let storage = match (&config.tahoe_node, config.gateway_listen) {
            (Some(node_dir), Some(_)) => {
                // Which grid managers count is what that node's own settings say, and ours: a grid that certifies no servers is
                // read from all of them, for what they give is held against the cap.
                let managers = config.grid_managers.clone();
                Some(Grid::open(GridSettings { managers, ..GridSettings::new(node_dir) }, clock)?)
            }
            _ => None,
        };
        // Before the record is signed, which names the port.
        let opening = OpenGateway::bind(home, config).await?;
        let own_entry = opening.as_ref().map(|opening| opening.entry.clone());
        let dht = start(settings, Book::open(home, grid, clock)?, clock)?;
        let resolver = Resolver::new(dht.clone(), clock, config.allow_private_addresses, Floors::open(home)?);
        dht.set_trusted(config.trusted_peers.clone()).await;
        let published = published_settings(config, own_entry.as_ref());
        let publisher = grid.map(|grid| Publisher::start(home, &published, grid, dht.clone(), clock));
        let members = grid.map(|grid| Members::open(home, grid)).transpose()?;
        let identity = opening.as_ref().map(|opening| opening.identity.clone());
        let mut rounds = Vec::new();
        let gateway = match (opening, &publisher, &members) {
            (Some(opening), Some(publisher), Some(members)) => {
                let ledger = Ledger::open(Location::of_node(home, config)?, clock.now()).await?;
                rounds.push(tokio::spawn(forget_files(ledger.clone(), config.usage_by_file, clock)));
                let parts = (storage.clone(), ledger);
                Some(opening.start(home, config, publisher, members, &resolver, &dht, parts, clock).await?)
            }
            _ => None,
        };
        let (gateway, settler) = gateway.unzip();
        rounds.extend(settler.clone().map(|settler| tokio::spawn(settle(settler))));
        let local_nurl =
            gateway.as_ref().zip(identity.as_ref()).and_then(|(gateway, identity)| identity.local_nurl(gateway.addr()));
        let web = match (config.web_listen, grid, identity, &local_nurl) {
            (Some(listen), Some(grid), Some(identity), Some(nurl)) => {
                // As any client reads, by a connection of its own: nothing that is verified for others is not for this one.
                let place = GatewayPlace { nurl: nurl.clone(), grid, named: Named::ByUser };
                let identity_key = identity.operator;
                let me = CallerIdentity::Client(identity_key.clone());
                let guard = DialGuard::new(PrivateAddresses::Allowed);
                let purse = operators_purse(home, &identity_key, config.web_max_price, clock).await?;
                let reader = Reader::through(place, me, home, clock, guard, Patience::WITH_HOME, Some(purse.clone()));
                Some((WebAddress::start(listen, reader).await?, purse))
            }
            _ => None,
        };
        let (web, web_purse) = web.unzip();
        let (settings, settings_receiver) =
            watch::channel(SettingsStanding { digest: settings_digest(home), ..SettingsStanding::default() });
        let (reload, reloads) = mpsc::channel(RELOADS);
        let parts = ApiParts {
            home: home.clone(),
            network: config.network.to_string(),
            dht: dht.clone(),
            resolver: resolver.clone(),
            publisher: publisher.clone(),
            members: members.clone(),
            settler: settler.clone(),
            gateway_nurl: nurl(own_entry.as_ref()),
            gateway_local_nurl: local_nurl.map(|nurl| nurl.to_string()),
            storage,
            web_url: web.as_ref().map(|web| format!("http://{}/", web.addr())),
            clock,
            stated_external: config.external.is_some(),
            bootstraps: config.bootstrap.len(),
            settings: settings_receiver,
            reload,
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
        let (home, config) = (home.clone(), config.clone());
        let floors = tokio::spawn(write_floors(resolver.clone()));
        Ok(Self {
            floors,
            dht,
            resolver,
            publisher,
            members,
            gateway,
            settler,
            rounds,
            own_entry,
            api,
            resolver_address,
            web,
            web_purse,
            home,
            config,
            settings,
            reloads,
            _lock: lock,
        })
    }

    /// Where the local API answers: `http://127.0.0.1:PORT`.
    pub fn api_url(&self) -> &str {
        self.api.url()
    }

    /// Where anybody may ask for records over HTTP, if anywhere.
    pub fn resolver_addr(&self) -> Option<SocketAddr> {
        self.resolver_address.as_ref().map(ResolverAddress::addr)
    }

    /// Where this machine's browser reads, if anywhere.
    pub fn web_addr(&self) -> Option<SocketAddr> {
        self.web.as_ref().map(WebAddress::addr)
    }

    /// The NURL of its gateway, if it has one.
    pub fn gateway_nurl(&self) -> Option<String> {
        nurl(self.own_entry.as_ref())
    }

    /// Stops everything and waits until what is held is written.
    pub async fn stop(self) {
        self.rounds.iter().for_each(JoinHandle::abort);
        if let Some(web) = self.web {
            web.stop().await;
        }
        if let Some(purse) = self.web_purse {
            purse.close().await;
        }
        if let Some(gateway) = self.gateway {
            gateway.stop().await;
        }
        if let Some(address) = self.resolver_address {
            address.stop().await;
        }
        self.floors.abort();
        self.api.stop().await;
        let _ = self.resolver.write_floors().await;
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

/// The grid that the settings speak for.
fn grid_of(config: &NodeConfig) -> Result<Option<GridId>, NodeError> {
    let managed = config.grid_manager.as_deref().map(GridManager::open).transpose()?.map(|manager| manager.grid_id());
    match (config.grid_id, managed) {
        (Some(stated), Some(found)) if stated != found => Err(NodeError::OtherGrid { stated, found }),
        (stated, found) => Ok(stated.or(found)),
    }
}
