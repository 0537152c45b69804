//! The network of a scenario: nodes of the library as they are, in this process, each behind a relay; and those who come
//! to ask, to lie or to steal.
//!
//! A node that is killed dies as with a power cut: its relay falls silent first, in both directions, so that no goodbye
//! leaves it; only then is it taken down. What is on its disk is what a clean stop leaves; a real SIGKILL is `testnet
//! kill`'s. All share one clock, which is moved when days are to pass.

use crate::faults::Faults;
use crate::grid_manager::{GridKeys, create};
use crate::layout::{Layout, LayoutError, Size};
use crate::liar::Liar;
use crate::play::chronicle::Chronicle;
use crate::play::draw::Draw;
use crate::play::expect::{Outcome, Told};
use crate::play::report::StepOutcome;
use crate::play::scenario::{By, Deed, Network};
use crate::play::script::Theatre;
use crate::play::thief::Thief;
use crate::relay::Relay;
use crate::select::Cast;
use crate::up::Keep;
use lafs_clearinghouse::address::PrivateAddresses;
use lafs_clearinghouse::clock::Clock;
use lafs_clearinghouse::config::{Home, NodeConfig, PUBLIC_MODE, create_key, create_private_dir, write_atomically};
use lafs_clearinghouse::dht::server::Server;
use lafs_clearinghouse::keys::{GridId, SecretKey};
use lafs_clearinghouse::node::{Client, ClientSettings, Node, NodeError};
use lafs_clearinghouse::record::{Delegation, DelegationDraft};
use lafs_clearinghouse::store::Row;
use lafs_clearinghouse::units::Seconds;
use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;
use std::collections::{BTreeSet, HashMap};
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;
use tokio::task::JoinHandle;

/// How many nodes the others begin with.
const BOOTSTRAP_NODES: usize = 3;
/// Between two looks at whether something has come true: often enough to time it, seldom enough not to hinder it.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How often a port is looked at that a node has just left: QUIC lets go of it once its connections are over.
const PORT_ATTEMPTS: usize = 300;

pub(crate) type AnyError = Box<dyn std::error::Error + Send + Sync>;

/// The network and all who are about.
pub(crate) struct Stage {
    pub(crate) layout: Layout,
    pub(crate) network: Network,
    pub(crate) clock: Clock,
    pub(crate) faults: Faults,
    pub(crate) chronicle: Chronicle,
    pub(crate) grids: Vec<GridId>,
    pub(crate) keys: Vec<SecretKey>,
    pub(crate) draw: Draw,
    pub(crate) thieves: HashMap<usize, Thief>,
    pub(crate) liars: Vec<Liar>,
    relays: Vec<Relay>,
    members: Vec<Member>,
    clients: HashMap<String, Client>,
    clients_made: usize,
    bootstrap: Vec<Multiaddr>,
    /// Octets resident when the network had been raised.
    pub(crate) memory_at_first: u64,
}

/// The network of a scenario, with what its askers were told.
pub(crate) struct NetworkStage {
    stage: Stage,
    told: Told,
}

impl NetworkStage {
    /// Lays out a network and starts nothing yet.
    pub(crate) fn lay_out(network: &Network, seed: u64) -> Result<Self, AnyError> {
        Ok(Self { stage: Stage::lay_out(network, seed)?, told: Told::new() })
    }
}

impl Theatre for NetworkStage {
    type Deed = Deed;

    fn is_expectation(deed: &Deed) -> bool {
        deed.is_expectation()
    }

    async fn raise(&mut self) -> Result<String, AnyError> {
        self.stage.raise().await?;
        let Network { nodes, grids, liars, whole_network_limit, .. } = &self.stage.network;
        let liars = if *liars > 0 { format!(", {liars} liars") } else { String::new() };
        Ok(format!(
            "{nodes} nodes{liars} and {grids} grids, whole-network limit {whole_network_limit}: every record is held"
        ))
    }

    async fn take(&mut self, deed: &Deed) -> Result<(StepOutcome, String), AnyError> {
        if !deed.is_expectation() {
            return Ok((StepOutcome::Done, self.stage.act(deed).await?));
        }
        Ok(match self.stage.expect(deed, &mut self.told).await? {
            Outcome::Held(seen) => (StepOutcome::Held, seen),
            Outcome::Broken(faults) => (StepOutcome::Broken, faults.join(", ")),
        })
    }

    async fn strike(self, keep: Keep) {
        self.stage.strike(keep).await;
    }

    fn dir(&self) -> &Path {
        &self.stage.layout.dir
    }
}

/// A node and its life.
struct Member {
    home: Home,
    config: NodeConfig,
    life: Life,
}

enum Life {
    Unborn,
    Alive(Box<Node>),
    /// Taken down, or still on its way there.
    Dead(JoinHandle<()>),
}

impl Stage {
    /// Lays out a network and starts nothing yet.
    pub(crate) fn lay_out(network: &Network, seed: u64) -> Result<Self, AnyError> {
        let nodes = network.nodes + network.later;
        // And one network for those who come with many addresses of it.
        let size = Size { nodes: nodes + network.liars + 1, grids: network.grids, relays: true };
        let mut layout = Layout::create(&size, None)?;
        let clock = Clock::adjustable();
        let keys: Vec<SecretKey> =
            (0..network.grids).map(|grid| GridKeys::FromSeed(seed.to_string()).key(grid)).collect();
        let mut relays = Vec::new();
        for place in &mut layout.nodes {
            let ports = place.reserved.take().expect("a new layout holds its ports");
            relays.push(Relay::start(ports, place.listen.into(), network.rtt)?);
        }
        let mut members = Vec::new();
        for (index, place) in layout.nodes[..nodes].iter().enumerate() {
            let home = Home::new(&place.dir);
            create_private_dir(home.path())?;
            let mut config = NodeConfig {
                network: layout.network.clone(),
                listen: place.listen.into(),
                external: Some(place.external.to_string().parse()?),
                allow_private_addresses: PrivateAddresses::Allowed,
                whole_network_limit: network.whole_network_limit,
                ..NodeConfig::default()
            };
            if let Some(key) = keys.get(index) {
                config.nickname = Some(format!("Grid of {}", place.name).parse()?);
                if network.delegated == Some(index) {
                    config.grid_id = Some(GridId::new(key.public()));
                    delegate(&home, key, clock)?;
                } else {
                    create(&layout.grids[index].dir, key)?;
                    config.grid_manager = Some(layout.grids[index].dir.clone());
                }
            }
            members.push(Member { home, config, life: Life::Unborn });
        }
        let grids: Vec<GridId> = keys.iter().map(|key| GridId::new(key.public())).collect();
        Ok(Self {
            layout,
            network: network.clone(),
            clock,
            faults: Faults::none(0),
            chronicle: Chronicle::default(),
            grids,
            keys,
            draw: Draw::new(seed),
            thieves: HashMap::new(),
            liars: Vec::new(),
            relays,
            members,
            clients: HashMap::new(),
            clients_made: 0,
            bootstrap: Vec::new(),
            memory_at_first: 0,
        })
    }

    /// Starts all nodes, and the liars among them, and waits until the records are held as the scenario wants it.
    pub(crate) async fn raise(&mut self) -> Result<(), AnyError> {
        self.join(BOOTSTRAP_NODES.min(self.network.nodes)).await?;
        // Early, so that those who come later are told of them as of anybody else.
        for number in 0..self.network.liars {
            let place = &self.layout.nodes[self.members.len() + number];
            let liar = Liar::start(number, place, &self.layout.network, self.chronicle.clone(), self.clock).await?;
            liar.meet(self.servers()).await;
            self.liars.push(liar);
        }
        self.join(self.network.nodes - self.faults.nodes).await?;
        let honest = self.servers();
        for liar in &self.liars {
            liar.meet(honest.clone()).await;
        }
        let all = self.grids.clone();
        while !self.is_held(&all, self.network.settled).await {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        self.memory_at_first = resident_bytes();
        Ok(())
    }

    /// Starts the next `count` nodes.
    pub(crate) async fn join(&mut self, count: usize) -> Result<(), AnyError> {
        for _ in 0..count {
            let node = self.faults.nodes;
            self.members[node].config.bootstrap = self.bootstrap.clone();
            self.faults.nodes += 1;
            self.start(node).await?;
            if self.bootstrap.len() < BOOTSTRAP_NODES {
                self.bootstrap
                    .extend(self.server(node).into_iter().flat_map(|server| with_peer(&server).into_iter().take(1)));
            }
        }
        Ok(())
    }

    /// Starts a node on its data, as it was or new.
    pub(crate) async fn start(&mut self, node: usize) -> Result<(), AnyError> {
        let member = &mut self.members[node];
        if let Life::Dead(ending) = std::mem::replace(&mut member.life, Life::Unborn) {
            ending.await?;
        }
        let started = start_when_free(&member.home, &member.config, self.clock).await?;
        started.dht.is_listening().await;
        member.life = Life::Alive(Box::new(started));
        self.faults.dead.remove(&node);
        self.apply();
        Ok(())
    }

    /// Cuts nodes off from everything, both ways, and only then takes them down.
    pub(crate) fn kill(&mut self, nodes: &BTreeSet<usize>) {
        self.faults.dead.extend(nodes);
        self.apply();
        for node in nodes {
            let life = std::mem::replace(&mut self.members[*node].life, Life::Unborn);
            self.members[*node].life = match life {
                Life::Alive(node) => Life::Dead(tokio::spawn(async move { node.stop().await })),
                other => other,
            };
        }
    }

    /// Stops a node as its operator would, changes its settings, and starts it again.
    pub(crate) async fn restart_with(
        &mut self,
        node: usize,
        change: impl FnOnce(&mut NodeConfig),
    ) -> Result<(), AnyError> {
        if let Life::Alive(node) = std::mem::replace(&mut self.members[node].life, Life::Unborn) {
            node.stop().await;
        }
        change(&mut self.members[node].config);
        self.start(node).await
    }

    /// Makes the relays do what the faults are: a dead node is as silent as a paused one.
    pub(crate) fn apply(&self) {
        let mut faults = self.faults.clone();
        faults.paused.extend(&faults.dead);
        faults.apply(self.relays[..faults.nodes].iter().enumerate(), &self.layout.nodes);
    }

    /// The nodes as the words of a scenario may name them.
    pub(crate) fn cast(&self) -> Cast {
        let names = self.layout.nodes[..self.faults.nodes].iter().map(|place| place.name.clone());
        Cast {
            names: names.collect(),
            alive: self.faults.alive(),
            paused: self.faults.paused.clone(),
            publishers: (0..self.grids.len()).collect(),
        }
    }

    /// The nodes that `text` names.
    pub(crate) fn select(&mut self, text: &str) -> Result<BTreeSet<usize>, AnyError> {
        let cast = self.cast();
        Ok(cast.select(text, &BTreeSet::new(), &mut |bound| self.draw.below(bound))?)
    }

    pub(crate) fn node(&self, node: usize) -> Option<&Node> {
        match self.members.get(node).map(|member| &member.life) {
            Some(Life::Alive(node)) => Some(node),
            _ => None,
        }
    }

    pub(crate) fn home(&self, node: usize) -> &Home {
        &self.members[node].home
    }

    /// The living honest nodes, paused ones included.
    pub(crate) fn living(&self) -> impl Iterator<Item = (usize, &Node)> {
        (0..self.faults.nodes).filter_map(|node| Some((node, self.node(node)?)))
    }

    pub(crate) fn name(&self, node: usize) -> &str {
        &self.layout.nodes[node].name
    }

    /// Where others reach a node.
    pub(crate) fn server(&self, node: usize) -> Option<Server> {
        let peer = self.node(node)?.dht.peer_id();
        let place = self.layout.nodes[node].external;
        let ip = Multiaddr::from(*place.ip());
        let addrs = vec![
            ip.clone().with(Protocol::Udp(place.port())).with(Protocol::QuicV1),
            ip.with(Protocol::Tcp(place.port())),
        ];
        Some(Server { peer, addrs })
    }

    /// All living honest nodes as others reach them.
    pub(crate) fn servers(&self) -> Vec<Server> {
        self.living().filter_map(|(node, _)| self.server(node)).collect()
    }

    /// A client that has never been here, and begins with three nodes that live and can be reached.
    pub(crate) async fn new_client(&mut self) -> Result<Client, AnyError> {
        self.clients_made += 1;
        let home = Home::new(self.layout.dir.join(format!("client-{}", self.clients_made)));
        let mut reachable: Vec<Server> = self
            .living()
            .filter(|(node, _)| !self.faults.paused.contains(node))
            .filter_map(|(node, _)| self.server(node))
            .collect();
        let mut bootstrap = Vec::new();
        while bootstrap.len() < BOOTSTRAP_NODES && !reachable.is_empty() {
            let chosen = reachable.swap_remove(self.draw.below(reachable.len()));
            bootstrap.extend(with_peer(&chosen).into_iter().take(1));
        }
        let network = self.layout.network.clone();
        let settings = ClientSettings { network, bootstrap, private: PrivateAddresses::Allowed };
        Ok(Client::start(&home, settings, self.clock).await?)
    }

    /// The client of that name, which remembers what it was told.
    pub(crate) async fn client(&mut self, name: &str) -> Result<&Client, AnyError> {
        if !self.clients.contains_key(name) {
            let client = self.new_client().await?;
            self.clients.insert(name.to_owned(), client);
        }
        Ok(&self.clients[name])
    }

    /// Takes note of what the living publishers have signed by themselves.
    pub(crate) fn listen_to_publishers(&self) {
        for (_, node) in self.living() {
            let Some(record) = node.publisher.as_ref().and_then(|publisher| publisher.published().record) else {
                continue;
            };
            self.chronicle.note(record);
        }
    }

    /// What each living honest node holds of a grid.
    pub(crate) async fn rows(&self, grid: &GridId) -> Vec<(usize, Option<Row>)> {
        let rows = self.living().map(|(number, node)| async move { (number, node.dht.row(grid).await) });
        futures::future::join_all(rows).await
    }

    /// How many nodes that is.
    pub(crate) fn needed(&self, by: By) -> usize {
        let living = self.living().count();
        match by {
            By::Nodes(nodes) => nodes,
            By::Everyone if living + self.liars.len() <= self.network.whole_network_limit + 1 => living,
            By::Everyone => living.min(lafs_clearinghouse::dht::walk::WIDTH),
        }
    }

    async fn is_held(&self, grids: &[GridId], by: By) -> bool {
        self.listen_to_publishers();
        for grid in grids {
            let Some(newest) = self.chronicle.newest(grid) else { return false };
            let identity = newest.signed().identity();
            let rows = self.rows(grid).await;
            let holders =
                rows.iter().filter(|(_, row)| row.as_ref().is_some_and(|row| row.record.identity() == identity));
            if holders.count() < self.needed(by) {
                return false;
            }
        }
        true
    }

    /// An address in a network that no node has.
    pub(crate) fn flooded_from(&self) -> Ipv4Addr {
        *self.layout.nodes[self.members.len() + self.network.liars].external.ip()
    }

    /// Takes everything down, and its folder away unless it is to be kept.
    pub(crate) async fn strike(self, keep: Keep) {
        for liar in self.liars {
            liar.stop().await;
        }
        for thief in self.thieves.into_values() {
            thief.stop().await;
        }
        let clients = self.clients.into_values().map(Client::stop);
        futures::future::join_all(clients).await;
        let endings = self.members.into_iter().map(|member| async move {
            match member.life {
                Life::Alive(node) => node.stop().await,
                Life::Dead(ending) => drop(ending.await),
                Life::Unborn => {}
            }
        });
        futures::future::join_all(endings).await;
        if keep == Keep::IfSomethingFailed {
            let _ = std::fs::remove_dir_all(&self.layout.dir);
        }
    }
}

/// Starts a node. The ports of one that was just taken down are free a moment later.
async fn start_when_free(home: &Home, config: &NodeConfig, clock: Clock) -> Result<Node, NodeError> {
    let mut attempts = 0;
    loop {
        match Node::start(home, config, clock).await {
            Err(NodeError::Dht(_)) if attempts < PORT_ATTEMPTS => attempts += 1,
            started => return started,
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Makes a publisher key in `home` and permits it to sign, as `clearinghouse delegate` and `record install` do.
fn delegate(home: &Home, grid_key: &SecretKey, clock: Clock) -> Result<(), AnyError> {
    let publisher = create_key(&home.publisher_key())?;
    let delegation = delegation_for(grid_key, &publisher, clock)?;
    Ok(write_atomically(&home.delegation(), delegation.bytes(), PUBLIC_MODE)?)
}

/// The grid key's permission for `publisher`, from now for most of a year.
pub(crate) fn delegation_for(
    grid_key: &SecretKey,
    publisher: &SecretKey,
    clock: Clock,
) -> Result<Delegation, AnyError> {
    let serial = clock.now();
    let draft = DelegationDraft {
        serial,
        publisher: publisher.public(),
        not_after: serial.plus(Seconds::days(300)),
        next: None,
        max_limit: None,
        committed_until: None,
    };
    Ok(Delegation::issue(grid_key, &draft)?)
}

/// The addresses of a server, each ending in `/p2p/`.
fn with_peer(server: &Server) -> Vec<Multiaddr> {
    server.addrs.iter().map(|addr| addr.clone().with(Protocol::P2p(server.peer))).collect()
}

/// Octets of this process that are in memory; 0 where the system does not tell.
pub(crate) fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<u64>().ok());
    kib.unwrap_or(0) * 1_024
}

/// Whether a layout failed for want of addresses or room, and not for what was asked.
pub(crate) fn is_malformed(error: &AnyError) -> bool {
    error
        .downcast_ref::<LayoutError>()
        .is_some_and(|error| matches!(error, LayoutError::TooManyNodes(_) | LayoutError::MoreGridsThanNodes { .. }))
}
