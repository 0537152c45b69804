//! A network of our own nodes, all in this process but for those that are to be measured alone.

use super::{AnyError, PATIENCE};
use crate::grid_manager::{GridKeys, create};
use crate::layout::{Layout, NodePlace, Size};
use crate::relay::Relay;
use lafs_clearinghouse::address::PrivateAddresses;
use lafs_clearinghouse::clock::Clock;
use lafs_clearinghouse::config::{Home, NodeConfig, PUBLIC_MODE, create_new, create_private_dir};
use lafs_clearinghouse::keys::GridId;
use lafs_clearinghouse::node::{Client, ClientSettings, Node};
use lafs_clearinghouse::resolver::{Policy, Question};
use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// How many nodes a later one begins with.
const BOOTSTRAP_NODES: usize = 3;

/// What a network is to be.
pub(super) struct Shape {
    pub(super) nodes: usize,
    /// How many of them run in this process.
    pub(super) in_process: usize,
    /// The first so many speak for a grid each.
    pub(super) grids: usize,
    /// Whether relays hold each packet.
    pub(super) rtt: Option<Duration>,
    pub(super) whole_network_limit: usize,
}

pub(super) struct Network {
    pub(super) layout: Layout,
    pub(super) nodes: Vec<Node>,
    pub(super) relays: Vec<Relay>,
    /// Where each node in this process is reached, with its peer id.
    pub(super) addrs: Vec<Multiaddr>,
    pub(super) grids: Vec<GridId>,
    whole_network_limit: usize,
}

impl Network {
    /// Starts the nodes of this process.
    pub(super) async fn raise(shape: &Shape) -> Result<Self, AnyError> {
        let size = Size { nodes: shape.nodes, grids: shape.grids, relays: shape.rtt.is_some() };
        let mut network = Self {
            layout: Layout::create(&size, None)?,
            nodes: Vec::new(),
            relays: Vec::new(),
            addrs: Vec::new(),
            grids: Vec::new(),
            whole_network_limit: shape.whole_network_limit,
        };
        for index in 0..shape.in_process {
            let ports = network.layout.nodes[index].reserved.take().ok_or("each port is reserved once")?;
            match shape.rtt {
                Some(rtt) => network.relays.push(Relay::start(ports, network.layout.nodes[index].listen.into(), rtt)?),
                // Let go of a moment before the node takes it.
                None => drop(ports),
            }
            let mut config = network.config(index);
            if let Some(place) = network.layout.grids.get(index) {
                network.grids.push(create(&place.dir, &GridKeys::Fresh.key(index))?);
                config.grid_manager = Some(place.dir.clone());
                config.rate = vec!["free".parse()?];
            }
            let home = network.home(index)?;
            let node = Node::start(&home, &config, Clock::system()).await?;
            let addr = quic(network.layout.nodes[index].external.into());
            network.addrs.push(addr.with(Protocol::P2p(node.dht.peer_id())));
            network.nodes.push(node);
        }
        Ok(network)
    }

    /// Writes the settings of a node with a grid of its own that is to run elsewhere, and lets go of its port. Returns its
    /// data directory and its grid.
    pub(super) fn prepare(&mut self, index: usize) -> Result<(Home, GridId), AnyError> {
        let (home, manager) = (self.home(index)?, self.layout.dir.join("grid-elsewhere"));
        let grid = create(&manager, &GridKeys::Fresh.key(index))?;
        let config = NodeConfig { grid_manager: Some(manager), rate: vec!["free".parse()?], ..self.config(index) };
        create_new(&home.config(), config.to_commented_toml().as_bytes(), PUBLIC_MODE)?;
        self.layout.nodes[index].reserved = None;
        Ok((home, grid))
    }

    /// Waits until every node of this process holds the record of a grid.
    pub(super) async fn hold(&self, grid: &GridId) -> Result<(), AnyError> {
        timeout(PATIENCE, async {
            for node in &self.nodes {
                while node.dht.row(grid).await.is_none() {
                    sleep(Duration::from_millis(50)).await;
                }
            }
        })
        .await
        .map_err(|_| "a record does not come to every node".into())
    }

    /// Waits until every record is read back from every other node of this process.
    pub(super) async fn settled(&self) -> Result<(), AnyError> {
        let others = self.nodes.len() - 1;
        timeout(PATIENCE, async {
            for publisher in self.nodes.iter().filter_map(|node| node.publisher.as_ref()) {
                let all = || {
                    let receipt = publisher.published().receipt;
                    receipt.is_some_and(|receipt| receipt.is_wide() && receipt.servers_known >= others)
                };
                while !all() {
                    sleep(Duration::from_millis(50)).await;
                }
            }
        })
        .await
        .map_err(|_| "the network does not come up".into())
    }

    /// A client that keeps what it learns in the folder `name`.
    pub(super) async fn client(&self, name: &str, bootstrap: Vec<Multiaddr>) -> Result<Client, AnyError> {
        let settings =
            ClientSettings { network: self.layout.network.clone(), bootstrap, private: PrivateAddresses::Allowed };
        Ok(Client::start(&Home::new(self.layout.dir.join(name)), settings, Clock::system()).await?)
    }

    /// How many octets a record of this network has.
    pub(super) async fn record_bytes(&self) -> Result<usize, AnyError> {
        let (node, grid) = self.nodes.first().zip(self.grids.first()).ok_or("no node speaks for a grid")?;
        Ok(node.dht.row(grid).await.ok_or("a node holds its own record")?.record.bytes().len())
    }

    pub(super) async fn stop(self) {
        for node in self.nodes {
            node.stop().await;
        }
        remove(&self.layout);
    }

    fn home(&self, index: usize) -> Result<Home, AnyError> {
        let home = Home::new(&self.layout.nodes[index].dir);
        create_private_dir(home.path())?;
        Ok(home)
    }

    fn config(&self, index: usize) -> NodeConfig {
        let NodePlace { listen, external, .. } = &self.layout.nodes[index];
        NodeConfig {
            network: self.layout.network.clone(),
            listen: (*listen).into(),
            external: Some(external.to_string().parse().expect("an address and its port")),
            bootstrap: self.addrs.iter().take(BOOTSTRAP_NODES).cloned().collect(),
            allow_private_addresses: PrivateAddresses::Allowed,
            whole_network_limit: self.whole_network_limit,
            ..NodeConfig::default()
        }
    }
}

/// Asks for a grid, and tells how long the answer took.
pub(super) async fn ask(client: &Client, grid: GridId) -> Result<Duration, AnyError> {
    let started = Instant::now();
    let question = Question { grid, policy: Policy::Fast, deadline: Duration::from_secs(10) };
    client.resolver.resolve(question).await?;
    Ok(started.elapsed())
}

/// Removes what a layout kept under the system's folder for temporary files.
pub(super) fn remove(layout: &Layout) {
    if layout.temporary {
        let _ = std::fs::remove_dir_all(&layout.dir);
    }
}

pub(super) fn quic(addr: SocketAddr) -> Multiaddr {
    Multiaddr::from(addr.ip()).with(Protocol::Udp(addr.port())).with(Protocol::QuicV1)
}
