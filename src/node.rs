//! The composition: builds the parts from the settings, runs them, and takes them down in the right order.

use crate::address::PrivateAddresses;
use crate::causes::chain;
use crate::clearing::{
    AgreedTerms, Budget, ClientJudge, Desk, DeskParts, FreshRecords, HomeJudge, HouseRules, NettingFolder, Purse,
    PurseParts, Round, Settler, SettlerParts, Till, TillParts, client_books,
};
use crate::clock::Clock;
use crate::config::{
    FileError, GatewayEntry, GridManager, Home, KeyFileError, NetworkName, NodeConfig, Patience, TakesEffect,
    create_private_dir, read_or_create_key, settings_digest,
};
use crate::dht::{Dht, DhtSettings, Role, StartError, start};
use crate::gateway::{
    Away, AwayParts, Files, Gateway, GatewayError, GatewayIdentity, GatewayIdentityError, GatewayParts, OwnEntryError,
    OwnRecord, Traffic,
};
use crate::grid::{Grid, GridError, GridSettings};
use crate::http::{
    Api, ApiError, ApiParts, RELOADS, ReloadRequest, ResolverAddress, ResolverAddressError, ResolverSettings,
    SettingsStanding, WebAddress, WebAddressError,
};
use crate::keys::{GridId, SecretKey};
use crate::ledger::{Ledger, LedgerError, Location};
use crate::members::Members;
use crate::peer::{CallerIdentity, DialGuard, GatewayPlace, Named};
use crate::publisher::{PublishError, Publisher};
use crate::reader::Reader;
use crate::record::Limit;
use crate::resolver::Resolver;
use crate::store::{Book, DirectoryLock, Floors, LockError, OwnRecordError, ShelfError, load_own_record};
use crate::units::Seconds;
use libp2p::Multiaddr;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tracing::{debug, info, warn};

/// How often floors that a full disk did not take are tried again.
const FLOORS_EVERY: Duration = Duration::from_secs(5);

/// How often the books forget which files were read.
const FORGET_EVERY: Duration = Duration::from_secs(86_400);

/// How often it is looked what is due to be claimed, and what other clearing nodes have booked.
const SETTLE_EVERY: Duration = Duration::from_secs(60);

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
    gateway: Option<Gateway>,
    /// Claims what is owed; `None` where there is no gateway.
    pub settler: Option<Settler>,
    /// What is done again and again in the books.
    rounds: Vec<JoinHandle<()>>,
    /// What the record says of that gateway.
    own_entry: Option<GatewayEntry>,
    api: Api,
    resolver_address: Option<ResolverAddress>,
    web: Option<WebAddress>,
    /// What is paid from for what is read there.
    web_purse: Option<Purse>,
    home: Home,
    config: NodeConfig,
    settings: watch::Sender<SettingsStanding>,
    reloads: mpsc::Receiver<ReloadRequest>,
    floors: JoinHandle<()>,
    _lock: DirectoryLock,
}

/// What came of new settings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reloaded {
    /// The keys whose new values are in force.
    pub changed: Vec<&'static str>,
    /// The keys whose new values take effect at the next start.
    pub at_next_start: Vec<&'static str>,
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

    /// Takes up new settings as far as a running node can. Those that it cannot are named, and wait for the next start. On an
    /// error everything is as it was.
    pub async fn reload(&mut self, new: &NodeConfig) -> Result<Reloaded, ReloadError> {
        let digest = settings_digest(&self.home);
        let result = self.take_up(new).await;
        self.settings.send_modify(|settings| match &result {
            Ok(reloaded) => {
                *settings = SettingsStanding { digest, at_next_start: reloaded.at_next_start.clone(), refused: None };
            }
            Err(error) => settings.refused = Some(chain(error)),
        });
        result
    }

    /// Notes that new settings could not even be read; those in force stay.
    pub fn refuse_settings(&self, reason: &str) {
        warn!(reason, "the new settings are refused, and the old ones stay");
        self.settings.send_modify(|settings| settings.refused = Some(reason.to_owned()));
    }

    /// Waits until somebody asks through the local API that the settings be read again.
    pub async fn reload_requested(&mut self) -> ReloadRequest {
        match self.reloads.recv().await {
            Some(request) => request,
            // The API has ended, and with it everybody who could ask.
            None => std::future::pending().await,
        }
    }

    async fn take_up(&mut self, new: &NodeConfig) -> Result<Reloaded, ReloadError> {
        let mut reloaded = Reloaded::default();
        for (key, when) in self.config.changes(new) {
            match when {
                TakesEffect::Now => reloaded.changed.push(key),
                TakesEffect::AtNextStart => reloaded.at_next_start.push(key),
            }
        }
        let config = self.config.with_changes_of(new);
        // The manager's folder may be another now, and its grid must not.
        if let (Some(publisher), Some(path)) = (&self.publisher, config.grid_manager.as_deref()) {
            let (stated, found) = (*publisher.grid(), GridManager::open(path)?.grid_id());
            if stated != found {
                return Err(ReloadError::OtherGrid { stated, found });
            }
        }
        if let Some(publisher) = &self.publisher {
            // Files beside the settings may have changed too: the delegation, the grid manager's key.
            publisher.apply(published_settings(&config, self.own_entry.as_ref())).await?;
        }
        if config.bootstrap != self.config.bootstrap {
            self.dht.set_bootstrap(config.bootstrap.clone()).await;
        }
        if config.trusted_peers != self.config.trusted_peers {
            self.dht.set_trusted(config.trusted_peers.clone()).await;
        }
        self.config = config;
        info!(changed = ?reloaded.changed, "took up the settings");
        if !reloaded.at_next_start.is_empty() {
            warn!(keys = ?reloaded.at_next_start, "these settings take effect at the next start");
        }
        Ok(reloaded)
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

/// A gateway whose place is taken and whose keys are there, before anything is served.
struct OpenGateway {
    listener: TcpListener,
    identity: GatewayIdentity,
    entry: GatewayEntry,
}

impl OpenGateway {
    /// Takes the place that the settings name, if they name one.
    async fn bind(home: &Home, config: &NodeConfig) -> Result<Option<Self>, NodeError> {
        let Some(listen) = config.gateway_listen else { return Ok(None) };
        let identity = GatewayIdentity::open(home)?;
        let failed = |source| NodeError::GatewayListen { listen, source };
        let listener = TcpListener::bind(listen).await.map_err(failed)?;
        let port = listener.local_addr().map_err(failed)?.port();
        let entry = identity.entry(config, port)?;
        Ok(Some(Self { listener, identity, entry }))
    }

    #[expect(clippy::too_many_arguments, reason = "the one place where the parts of a gateway meet")]
    async fn start(
        self,
        home: &Home,
        config: &NodeConfig,
        publisher: &Publisher,
        members: &Members,
        resolver: &Resolver,
        dht: &Dht,
        (storage, ledger): (Option<Grid>, Ledger),
        clock: Clock,
    ) -> Result<(Gateway, Settler), NodeError> {
        let grid = *publisher.grid();
        let traffic = Traffic::open(home, clock.now())?;
        let fresh = FreshRecords::new(resolver.clone(), clock);
        let terms = AgreedTerms::new(ledger.clone(), grid, fresh.clone(), clock);
        let key = self.identity.key.clone();
        let rules = HouseRules::new(home.policy(), members.clone(), fresh.clone(), ledger.clone(), clock);
        let judge = HomeJudge {
            grid,
            key: key.clone(),
            fresh: fresh.clone(),
            terms: terms.clone(),
            ledger: ledger.clone(),
            limit: config.credit_limit,
            rules: rules.clone(),
            clock,
            agreeing: tokio::sync::Mutex::default(),
        };
        let purse = Purse::new(PurseParts {
            ledger: ledger.clone(),
            payer: *grid.key(),
            key: key.clone(),
            judge: Arc::new(judge),
            budget: Budget::Open,
            clock,
        });
        let till = Till::new(TillParts { ledger: ledger.clone(), grid, key, clock });
        let published = publisher.changes();
        let own_record: OwnRecord = Arc::new(move || published.borrow().record.clone());
        let record = Arc::clone(&own_record);
        let me = CallerIdentity::Grid {
            key: self.identity.key.clone(),
            record: Arc::new(move || record().map(|record| record.signed().clone())),
        };
        let settler = settler(home, &me, &self.identity, grid, config, till.clone(), ledger, &fresh, clock);
        let metrics = dht.metrics().clone();
        let away = Away::new(AwayParts {
            me,
            resolver: resolver.clone(),
            guard: DialGuard::new(config.allow_private_addresses),
            patience: config.patience,
            purse,
            traffic: traffic.clone(),
            metrics: metrics.clone(),
            clock,
        });
        let gateway = Gateway::start(GatewayParts {
            grid,
            network: config.network.to_string(),
            identity: self.identity,
            listener: self.listener,
            own_record,
            members: members.clone(),
            resolver: resolver.clone(),
            files: storage.map(Files::of_grid),
            away,
            till,
            terms,
            rules,
            credit_limit: config.credit_limit,
            settler: settler.clone(),
            traffic,
            metrics,
            clock,
        })?;
        Ok((gateway, settler))
    }
}

/// What the operator pays from for what is read at the node's own web address: as a client of its own grid, by the same rules
/// and at the same price, with books of its own.
async fn operators_purse(
    home: &Home,
    key: &SecretKey,
    limit: Option<Limit>,
    clock: Clock,
) -> Result<Purse, LedgerError> {
    let payer = key.public();
    Ok(Purse::new(PurseParts {
        ledger: client_books(&home.client_ledgers(), clock).await?,
        payer,
        key: key.clone(),
        judge: Arc::new(ClientJudge { client: payer, confirmed: false }),
        budget: limit.map_or(Budget::Nothing, |limit| Budget::UpTo(limit.asset(), limit.amount())),
        clock,
    }))
}

/// The grid's own side of clearing, and its clearing node.
#[expect(clippy::too_many_arguments, reason = "the one place where its parts meet")]
fn settler(
    home: &Home,
    me: &CallerIdentity,
    identity: &GatewayIdentity,
    grid: GridId,
    config: &NodeConfig,
    till: Till,
    ledger: Ledger,
    fresh: &FreshRecords,
    clock: Clock,
) -> Settler {
    let (key, records) = (identity.key.clone(), fresh.as_records());
    let nettings = NettingFolder::new(home.nettings());
    let desk = DeskParts {
        ledger: ledger.clone(),
        grid,
        key: key.clone(),
        records: Arc::clone(&records),
        nettings: nettings.clone(),
        clock,
    };
    Settler::new(SettlerParts {
        ledger,
        desk: Desk::new(desk),
        grid,
        till,
        nettings,
        key,
        me: me.clone(),
        guard: DialGuard::new(config.allow_private_addresses),
        records,
        clock,
    })
}

/// Each day forgets which files were read longer ago than `kept`, until told to end.
async fn forget_files(ledger: Ledger, kept: Seconds, clock: Clock) {
    let mut tick = tokio::time::interval(FORGET_EVERY);
    loop {
        tick.tick().await;
        if let Err(error) = ledger.forget_files(clock.now().minus(kept)).await {
            warn!(%error, "the books still say which files were read earlier than the settings want");
        }
    }
}

/// Claims what is due, until told to end.
async fn settle(settler: Settler) {
    let mut tick = tokio::time::interval(SETTLE_EVERY);
    loop {
        // In time, or when somebody owes half of what may be owed.
        tokio::select! {
            _ = tick.tick() => {}
            () = settler.time_to_settle() => {}
        }
        settler.round(Round::WhatIsDue).await;
    }
}

/// The settings that the record is made from: with the gateway here, unless the operator has written that entry by hand.
fn published_settings(config: &NodeConfig, own: Option<&GatewayEntry>) -> NodeConfig {
    own.map_or_else(|| config.clone(), |own| config.with_own_gateway(own))
}

/// The address in the gateway's entry.
fn nurl(entry: Option<&GatewayEntry>) -> Option<String> {
    Some(entry?.gateway().address()?.to_string())
}

/// Writes floors that a full disk did not take, until told to end.
async fn write_floors(resolver: Resolver) {
    let mut tick = tokio::time::interval(FLOORS_EVERY);
    loop {
        tick.tick().await;
        let _ = resolver.write_floors().await;
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
        let resolver = Resolver::new(dht.clone(), clock, private, Floors::open(home)?);
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

/// Why new settings are not taken up. The old ones stay.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// The grid manager's key could not be read.
    #[error(transparent)]
    Key(#[from] KeyFileError),
    /// The grid manager is another grid's.
    #[error("the node speaks for {stated}, and the grid manager's key is that of {found}")]
    OtherGrid {
        /// The node's grid.
        stated: GridId,
        /// The grid manager's.
        found: GridId,
    },
    /// The record that they ask for may not be signed, or could not be put on the disk.
    #[error(transparent)]
    Publish(#[from] PublishError),
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
    /// The own record is there and cannot be read.
    #[error(transparent)]
    Own(#[from] OwnRecordError),
    /// The store could not be opened, nor a new one made.
    #[error(transparent)]
    Store(#[from] ShelfError),
    /// The network part did not start: a port in use, mostly.
    #[error(transparent)]
    Dht(#[from] StartError),
    /// The books cannot be opened.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The local API did not start.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// The gateway's place is taken.
    #[error("the gateway cannot listen on {listen}: choose another in `gateway-listen`")]
    GatewayListen {
        /// The place.
        listen: SocketAddr,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The gateway has no keys.
    #[error(transparent)]
    GatewayKeys(#[from] GatewayIdentityError),
    /// The gateway does not go into the record.
    #[error("the gateway's own entry in the record")]
    GatewayEntry(#[from] OwnEntryError),
    /// The gateway did not open.
    #[error(transparent)]
    Gateway(#[from] GatewayError),
    /// The Tahoe-LAFS node's folder is none.
    #[error("`tahoe-node`")]
    Grid(#[from] GridError),
    /// The address that is open to others did not open.
    #[error(transparent)]
    ResolverAddress(#[from] ResolverAddressError),
    /// The web address did not open.
    #[error(transparent)]
    Web(#[from] WebAddressError),
}
