//! `testnet up`: raises a network of nodes, says when every grid's record is held by the others, and takes it down again.

use crate::faults::Faults;
use crate::files::{FilesError, FilesOn, GridFiles};
use crate::grid_manager::{self, GridKeys};
use crate::layout::{Layout, LayoutError, NodePlace, Size};
use crate::member::{self, Standing};
use crate::relay::Relay;
use crate::report::{Priced, Ready, ReadyFile, ReadyGrid, ReadyNode};
use crate::supervise::{End, Ended, StartError, Supervisor};
use crate::tahoe::{Rising, TahoeError};
use lafs_clearinghouse::address::PrivateAddresses;
use lafs_clearinghouse::causes::chain;
use lafs_clearinghouse::config::{
    DEFAULT_WHOLE_NETWORK_LIMIT, FileError, Home, KeyFileError, NodeConfig, PUBLIC_MODE, create_new,
    create_private_dir, peer_id, read_or_create_key,
};
use lafs_clearinghouse::dht::walk::WIDTH;
use lafs_clearinghouse::keys::GridId;
use lafs_clearinghouse::rate::RateLine;
use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{ChildStdout, Command};
use tokio::sync::watch;

/// How long 20 nodes may take until all records are held.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// What each node more may take.
const READY_WITHIN_PER_NODE: Duration = Duration::from_secs(2);

/// What each grid of the real Tahoe-LAFS may take: five processes of Python, which share the machine with the others'.
const READY_WITHIN_PER_TAHOE: Duration = Duration::from_secs(45);

/// How many nodes the others begin with: one may fail, in a testnet above all.
const BOOTSTRAP_NODES: usize = 3;

/// What to raise.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) nodes: usize,
    pub(crate) grids: usize,
    /// A new temporary folder if there is none.
    pub(crate) dir: Option<PathBuf>,
    pub(crate) keys: GridKeys,
    /// The round-trip time between any two nodes: none, as far as this machine allows, if it is not said.
    pub(crate) rtt: Option<Duration>,
    /// Nodes as tasks of this process, and not as processes of their own.
    pub(crate) in_process: bool,
    /// Whether each grid has storage servers with files, and its node a gateway to them.
    pub(crate) files: FilesOn,
    /// What the grids ask for, one after the other and from the first one again; none: all are free, and nobody has credit.
    pub(crate) rates: Vec<RateLine>,
    /// The node through whose grid they settle.
    pub(crate) clearing: Option<String>,
}

/// What each of them allows its clients: everything, at what it costs abroad.
pub(crate) const POLICY: &str = "\
accept-terms-up-to = [\"10 USD\"]

[retail]
asset = \"USD\"
markup = \"0 %\"

[retail.conversions]
USD = \"1\"

[[rule]]
name = \"everybody\"
action = \"allow\"
";
/// What each of its grids lends and borrows without asking.
pub(crate) const CREDIT: &str = "10 USD";

/// Why a testnet is not up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UpError {
    /// Its places could not be laid out.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// A file could not be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A node's key could not be made.
    #[error(transparent)]
    Key(#[from] KeyFileError),
    /// A relay did not start.
    #[error("the relay of {node} did not start")]
    Relay {
        /// The node that it stands before.
        node: String,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The node that is to clear speaks for no grid.
    #[error("`{node}` speaks for no grid of this testnet, and so nobody can settle through it")]
    NoClearing {
        /// Its name.
        node: String,
    },
    /// The files of a grid could not be made or served.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// A grid of the real Tahoe-LAFS is not there.
    #[error(transparent)]
    Tahoe(#[from] TahoeError),
    /// A node's process did not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// This program cannot find itself to start it again.
    #[error("cannot find this program's own file")]
    Itself(#[source] std::io::Error),
    /// A node ended.
    #[error("{0}")]
    Ended(Ended),
    /// The time is over.
    #[error("not ready within {} s: {}", .within.as_secs(), .missing.join("; "))]
    NotReady {
        /// The time there was.
        within: Duration,
        /// What was missing.
        missing: Vec<String>,
    },
}

/// One for each node, shared by all who listen to them.
type Standings = Arc<watch::Sender<Vec<Option<Standing>>>>;

/// A testnet, up or on its way there. Dropped without [`stop`](Self::stop), its processes are killed.
pub(crate) struct Testnet {
    pub(crate) layout: Layout,
    pub(crate) plan: Plan,
    pub(crate) grids: Vec<GridId>,
    /// One before each node, also where no distance is asked for: faults are what relays are for.
    pub(crate) relays: Vec<Relay>,
    /// Of each grid, if it was asked for.
    pub(crate) files: Vec<GridFiles>,
    pub(crate) supervisor: Supervisor,
    /// What each node told last; `None` before it serves, and once it is dead.
    pub(crate) standings: Standings,
    pub(crate) faults: Faults,
    /// How far ahead of the machine's its clocks are.
    ahead_seconds: i64,
    began: Instant,
}

impl Testnet {
    /// Lays the testnet out, writes its files and starts its relays. Nothing of it runs outside this process yet.
    pub(crate) fn prepare(plan: Plan) -> Result<Self, UpError> {
        let began = Instant::now();
        let size = Size { nodes: plan.nodes, grids: plan.grids, relays: true };
        let mut layout = Layout::create(&size, plan.dir.clone())?;
        let mut relays = Vec::new();
        for node in &mut layout.nodes {
            let ports = node.reserved.take().expect("a new layout holds its ports");
            let relay = Relay::start(ports, node.listen.into(), plan.rtt.unwrap_or_default());
            relays.push(relay.map_err(|source| UpError::Relay { node: node.name.clone(), source })?);
        }
        // Fresh ones are other ones each time they are asked for.
        let keys: Vec<_> = (0..layout.grids.len()).map(|index| plan.keys.key(index)).collect();
        let managers = layout.grids.iter().zip(&keys);
        let grids =
            managers.clone().map(|(grid, key)| grid_manager::create(&grid.dir, key)).collect::<Result<Vec<_>, _>>()?;
        let rtt = plan.rtt.unwrap_or_default();
        let files = managers.filter_map(|(grid, key)| {
            let place = &layout.nodes[grid.node];
            match &plan.files {
                FilesOn::Nothing => None,
                FilesOn::OurServers => Some(GridFiles::start(grid.node, place, key, rtt)),
                FilesOn::Tahoe(_) => Some(GridFiles::on_tahoe(grid.node, place, rtt)),
            }
        });
        let files = files.collect::<Result<Vec<_>, _>>()?;
        let clearing = match &plan.clearing {
            None => None,
            Some(name) => {
                let at = layout.grids.iter().position(|grid| layout.nodes[grid.node].name == *name);
                let at = at.ok_or_else(|| UpError::NoClearing { node: name.clone() })?;
                Some(GridId::new(keys[at].public()))
            }
        };
        let money = (!plan.rates.is_empty()).then_some(Money { clearing, rates: &plan.rates });
        write_nodes(&layout, &files, money.as_ref())?;
        let standings = Arc::new(watch::Sender::new(vec![None; layout.nodes.len()]));
        let faults = Faults::none(layout.nodes.len());
        Ok(Self {
            layout,
            plan,
            grids,
            relays,
            files,
            supervisor: Supervisor::new(),
            standings,
            faults,
            ahead_seconds: 0,
            began,
        })
    }

    /// Starts the nodes and waits until every grid's record has been read back from the others. Dropping it halfway is
    /// safe: [`stop`](Self::stop) takes down what had been started.
    pub(crate) async fn raise(&mut self) -> Result<Ready, UpError> {
        let count = self.layout.nodes.len();
        let more = u32::try_from(count.saturating_sub(20)).unwrap_or(u32::MAX);
        let real = if matches!(self.plan.files, FilesOn::Tahoe(_)) { self.grids.len() } else { 0 };
        let real = u32::try_from(real).unwrap_or(u32::MAX);
        let within = READY_WITHIN + READY_WITHIN_PER_NODE * more + READY_WITHIN_PER_TAHOE * real;
        match tokio::time::timeout(within, self.raise_all()).await {
            Ok(raised) => raised.map(|()| self.ready()),
            Err(_) => Err(UpError::NotReady { within, missing: missing(&self.layout, &self.standings.borrow()) }),
        }
    }

    async fn raise_all(&mut self) -> Result<(), UpError> {
        self.raise_tahoe().await?;
        let count = self.layout.nodes.len();
        // The nodes to begin with first, so that none finds nobody there and has to try again.
        let mut started = 0;
        for wave in [1, BOOTSTRAP_NODES.min(count), count] {
            for index in started..wave {
                self.start(index)?;
            }
            started = wave;
            self.until(|_, standings| standings[..wave].iter().all(Option::is_some)).await?;
        }
        self.until(|layout, standings| missing(layout, standings).is_empty()).await
    }

    /// Raises the real grids side by side, if there are to be any: a node reads its grid's list of servers when it starts.
    async fn raise_tahoe(&mut self) -> Result<(), UpError> {
        let FilesOn::Tahoe(python) = self.plan.files.clone() else { return Ok(()) };
        let mut rising = Vec::new();
        for (grid, id) in self.layout.grids.iter().zip(&self.grids) {
            let node = &self.layout.nodes[grid.node];
            let started = Rising::start(&mut self.supervisor, &python, &node.name, &node.dir, &grid.dir)?;
            rising.push(started.stock(*id));
        }
        let stocked = futures::future::try_join_all(rising).await?;
        for (files, samples) in self.files.iter_mut().zip(stocked) {
            files.samples = samples;
        }
        Ok(())
    }

    /// Waits until `condition` holds, or a node ends.
    async fn until(&mut self, mut condition: impl FnMut(&Layout, &[Option<Standing>]) -> bool) -> Result<(), UpError> {
        let mut standings = self.standings.subscribe();
        tokio::select! {
            // Never an error: the sender is our own.
            _ = standings.wait_for(|standings| condition(&self.layout, standings)) => Ok(()),
            ended = self.supervisor.next_end() => Err(UpError::Ended(ended)),
        }
    }

    /// Waits until a node ends by itself, which none should. Dropping it halfway is safe.
    pub(crate) async fn next_end(&mut self) -> Ended {
        loop {
            let ended = self.supervisor.next_end().await;
            self.note_end(&ended);
            if !matches!(ended.how, End::OnDemand) {
                return ended;
            }
        }
    }

    /// Notes that a node is dead.
    pub(crate) fn note_end(&mut self, ended: &Ended) {
        if let Some(index) = self.layout.nodes.iter().position(|node| node.name == ended.name) {
            self.faults.dead.insert(index);
            self.standings.send_modify(|standings| standings[index] = None);
        }
    }

    /// The file for what this process itself logs, the nodes that are tasks of it included.
    pub(crate) fn own_log(&self) -> PathBuf {
        self.layout.dir.join("testnet.log")
    }

    /// Stops everything and waits for it. Returns the nodes that did not end well. A temporary folder is removed if all
    /// did, and `keep` is not asked for.
    pub(crate) async fn stop(self, keep: Keep) -> Stopped {
        let badly = self.supervisor.stop().await;
        let relays = self.relays.iter().chain(self.files.iter().map(|files| &files.relay));
        let dropped = relays.map(|relay| relay.counters().borrow().dropped).sum();
        let remove = self.layout.temporary && keep == Keep::IfSomethingFailed && badly.is_empty();
        let left = if remove { std::fs::remove_dir_all(&self.layout.dir).is_err() } else { true };
        Stopped { badly, dropped, left: left.then(|| self.layout.dir.clone()) }
    }

    pub(crate) fn start(&mut self, index: usize) -> Result<(), UpError> {
        let own_log = self.own_log();
        let node = &mut self.layout.nodes[index];
        // Let go of a moment before the node takes it. The address is this testnet's alone.
        node.reserved = None;
        let tell = teller(&self.standings, index);
        if self.plan.in_process {
            let home = Home::new(&node.dir);
            node.log = own_log;
            self.supervisor.run(&node.name, &node.log, move |released| async move {
                let config = NodeConfig::read(&home.config()).map_err(|error| chain(&error))?;
                // A hang-up is the whole testnet's.
                let reloads = futures::stream::pending();
                member::run(&home, &config, tell, released.wait(), reloads).await.map_err(|error| chain(&error))
            });
        } else {
            let mut command = Command::new(std::env::current_exe().map_err(UpError::Itself)?);
            command.arg("node").arg("-d").arg(&node.dir).arg(format!("--ahead={}", self.ahead_seconds));
            let output = self.supervisor.start(&node.name, &node.log, command)?;
            tokio::spawn(listen(output, tell));
        }
        Ok(())
    }

    /// Sets the clocks of all nodes, and of those that are started from now on, so far ahead of the machine's. When they have
    /// heard of it their gateways tell.
    pub(crate) fn set_ahead(&mut self, seconds: i64) {
        self.ahead_seconds = seconds;
        self.supervisor.tell_all(&seconds.to_string());
    }

    /// The first grid, not the first of all, that asks for money.
    fn priced(&self) -> Option<Priced> {
        let asks = |grid: &usize| {
            self.plan.rates.get(*grid % self.plan.rates.len()).is_some_and(|line| !line.asset().is_free())
        };
        let grid = (1..self.grids.len()).filter(|_| !self.plan.rates.is_empty()).find(asks)?;
        Some(Priced { grid, clearing: self.plan.clearing.clone() })
    }

    fn ready(&self) -> Ready {
        let standings = self.standings.borrow();
        let nodes: Vec<ReadyNode> = self.layout.nodes.iter().zip(&*standings).filter_map(ready_node).collect();
        let grids = self.layout.grids.iter().zip(&self.grids).map(|(place, grid_id)| ReadyGrid {
            grid_id: *grid_id,
            grid_manager_dir: place.dir.clone(),
            node: self.layout.nodes[place.node].name.clone(),
        });
        let files = self.files.iter().flat_map(|files| &files.samples);
        Ready {
            ready: true,
            network: self.layout.network.to_string(),
            dir: self.layout.dir.clone(),
            bootstrap: nodes.iter().take(BOOTSTRAP_NODES).filter_map(|node| node.addrs.first().cloned()).collect(),
            grids: grids.collect(),
            files: files.map(ReadyFile::new).collect(),
            money: self.priced(),
            nodes,
            rtt: self.plan.rtt,
            took: self.began.elapsed(),
        }
    }
}

/// What becomes of a temporary folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    /// It stays only if a node did not end well.
    IfSomethingFailed,
    /// It stays, for its logs.
    Always,
}

/// How a testnet came down.
pub(crate) struct Stopped {
    /// The nodes that did not end well.
    pub(crate) badly: Vec<Ended>,
    /// Datagrams that the relays dropped because there was no room for more.
    pub(crate) dropped: u64,
    /// The folder, if it is still there.
    pub(crate) left: Option<PathBuf>,
}

fn ready_node((place, standing): (&NodePlace, &Option<Standing>)) -> Option<ReadyNode> {
    let standing = standing.as_ref()?;
    Some(ReadyNode {
        name: place.name.clone(),
        dir: place.dir.clone(),
        peer_id: standing.peer_id.clone(),
        addrs: standing.addrs.clone(),
        api: standing.api.clone(),
    })
}

/// What is not as it should be yet.
fn missing(layout: &Layout, standings: &[Option<Standing>]) -> Vec<String> {
    let needed = holders_needed(layout.nodes.len());
    let silent = layout.nodes.iter().zip(standings).filter(|(_, standing)| standing.is_none());
    let mut missing: Vec<String> =
        silent.map(|(node, _)| format!("{} does not serve (log: `{}`)", node.name, node.log.display())).collect();
    for grid in &layout.grids {
        let Some(standing) = &standings[grid.node] else { continue };
        if standing.holders.is_none_or(|holders| holders < needed) {
            let name = &layout.nodes[grid.node].name;
            let holders = standing.holders.unwrap_or(0);
            let problem = standing.problem.as_ref().map(|problem| format!(": {problem}")).unwrap_or_default();
            missing.push(format!("the record of {name} is held by {holders} of {needed}{problem}"));
        }
    }
    missing
}

/// From how many others a record is to be read back among `nodes`: from all while each holds every record, else from as many
/// as a walk ends with.
fn holders_needed(nodes: usize) -> usize {
    let others = nodes.saturating_sub(1);
    if others <= DEFAULT_WHOLE_NETWORK_LIMIT { others } else { WIDTH }
}

/// Makes each node's data directory: its key and its settings, as `clearinghouse init` writes them.
fn write_nodes(layout: &Layout, files: &[GridFiles], money: Option<&Money<'_>>) -> Result<(), UpError> {
    let mut bootstrap = Vec::new();
    for node in &layout.nodes {
        let home = Home::new(&node.dir);
        create_private_dir(home.path())?;
        let key = read_or_create_key(&home.node_key())?;
        if bootstrap.len() < BOOTSTRAP_NODES {
            bootstrap.push(quic_addr(node).with(Protocol::P2p(peer_id(&key))));
        }
    }
    for (index, node) in layout.nodes.iter().enumerate() {
        let number = layout.grids.iter().position(|grid| grid.node == index);
        let grid = number.map(|number| &layout.grids[number]);
        let others = bootstrap.iter().enumerate().filter(|(other, _)| *other != index).map(|(_, addr)| addr.clone());
        let config = NodeConfig {
            grid_manager: grid.map(|grid| grid.dir.clone()),
            nickname: grid.map(|_| format!("Grid of {}", node.name).parse().expect("a short plain text")),
            contact: grid
                .map(|_| format!("mailto:{}@testnet.example", node.name).parse().expect("a plain address"))
                .into_iter()
                .collect(),
            rate: grid.map(|_| rate(number, money)).into_iter().collect(),
            clearing: grid.and(money).and_then(|money| money.clearing).into_iter().collect(),
            network: layout.network.clone(),
            listen: SocketAddr::from(node.listen),
            external: Some(node.external.to_string().parse().expect("an address and its port")),
            // The first ones start the network; the others begin with them.
            bootstrap: others.take(index.min(BOOTSTRAP_NODES)).collect(),
            allow_private_addresses: PrivateAddresses::Allowed,
            ..NodeConfig::default()
        };
        let config = match files.iter().find(|files| files.node == index) {
            Some(files) => {
                let credit_limit = money.map(|_| CREDIT.parse().expect("an amount and an asset"));
                NodeConfig { credit_limit, ..files.settings(config) }
            }
            None => config,
        };
        let home = Home::new(&node.dir);
        create_new(&home.config(), config.to_commented_toml().as_bytes(), PUBLIC_MODE)?;
        if money.is_some() && number.is_some() {
            create_new(&home.policy(), POLICY.as_bytes(), PUBLIC_MODE)?;
        }
    }
    Ok(())
}

/// What the grids of a testnet have of money.
struct Money<'a> {
    /// Through which grid they settle.
    clearing: Option<GridId>,
    /// What they ask for; not empty.
    rates: &'a [RateLine],
}

/// The rate of the grid with this number.
fn rate(number: Option<usize>, money: Option<&Money<'_>>) -> RateLine {
    match (number, money) {
        (Some(number), Some(money)) => money.rates[number % money.rates.len()],
        _ => RateLine::free(None),
    }
}

fn quic_addr(node: &NodePlace) -> Multiaddr {
    Multiaddr::from(*node.external.ip()).with(Protocol::Udp(node.external.port())).with(Protocol::QuicV1)
}

/// Notes what the node numbered `index` tells.
fn teller(standings: &Standings, index: usize) -> impl FnMut(Standing) + Send + use<> {
    let standings = Arc::clone(standings);
    move |standing| standings.send_modify(|standings| standings[index] = Some(standing))
}

/// Passes on what a node's process tells, until it ends.
async fn listen(output: ChildStdout, mut tell: impl FnMut(Standing)) {
    let mut lines = BufReader::new(output).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        match serde_json::from_str(&line) {
            Ok(standing) => tell(standing),
            Err(error) => tracing::warn!(%error, "a node said something that is not its standing"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_a_small_network_every_other_node_holds_a_record() {
        assert_eq!(holders_needed(1), 0);
        assert_eq!(holders_needed(20), 19);
        assert_eq!(holders_needed(201), 200);
        assert_eq!(holders_needed(202), 20);
    }

    #[tokio::test]
    async fn every_node_finds_its_settings_its_key_and_somebody_to_begin_with() {
        let temp = tempfile::tempdir().unwrap();
        let plan = Plan {
            nodes: 5,
            grids: 2,
            dir: Some(temp.path().join("net")),
            keys: GridKeys::FromSeed("s".to_owned()),
            rtt: Some(Duration::from_millis(10)),
            in_process: false,
            files: FilesOn::Nothing,
            rates: Vec::new(),
            clearing: None,
        };
        let testnet = Testnet::prepare(plan).unwrap();
        let configs: Vec<NodeConfig> =
            testnet.layout.nodes.iter().map(|node| NodeConfig::read(&Home::new(&node.dir).config()).unwrap()).collect();
        for (node, config) in testnet.layout.nodes.iter().zip(&configs) {
            assert_eq!(config.listen, SocketAddr::from(node.listen));
            assert!(config.external_addrs()[0].to_string().starts_with(&format!("/ip4/{}/udp/", node.external.ip())));
        }
        let counts: Vec<usize> = configs.iter().map(|config| config.bootstrap.len()).collect();
        assert_eq!(counts, [0, 1, 2, 3, 3]);
        let own = quic_addr(&testnet.layout.nodes[1]).to_string();
        assert!(configs[1].bootstrap.iter().all(|addr| !addr.to_string().starts_with(&own)));
        assert_eq!(configs[1].grid_manager, Some(testnet.layout.grids[1].dir.clone()));
        assert_eq!(configs[2].grid_manager, None);
    }

    #[tokio::test]
    async fn what_is_missing_is_named() {
        let temp = tempfile::tempdir().unwrap();
        let layout =
            Layout::create(&Size { nodes: 3, grids: 2, relays: false }, Some(temp.path().join("net"))).unwrap();
        let standing = |holders, problem: Option<&str>| {
            let (addrs, problem) = (Vec::new(), problem.map(str::to_owned));
            Some(Standing { peer_id: String::new(), addrs, api: String::new(), holders, problem })
        };
        assert_eq!(missing(&layout, &[None, None, None]).len(), 3);
        let standings = [standing(Some(2), None), standing(Some(1), Some("why")), standing(None, None)];
        assert_eq!(missing(&layout, &standings), ["the record of node-01 is held by 1 of 2: why"]);
        let standings = [standing(Some(2), None), standing(None, None), standing(None, None)];
        assert_eq!(missing(&layout, &standings), ["the record of node-01 is held by 0 of 2"]);
        let standings = [standing(Some(2), None), standing(Some(2), None), standing(None, None)];
        assert!(missing(&layout, &standings).is_empty());
    }
}
