//! A federation for tests: nodes with temporary directories, stopped when it goes.

use lafs_clearinghouse::address::PrivateAddresses;
use lafs_clearinghouse::clock::Clock;
use lafs_clearinghouse::config::{Home, NodeConfig};
use lafs_clearinghouse::dht::server::Point;
use lafs_clearinghouse::keys::{GridId, SecretKey};
use lafs_clearinghouse::node::{Client, ClientSettings, Node};
use lafs_clearinghouse::publisher::Receipt;
use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;
use tempfile::TempDir;

/// How long a condition may take before the test gives up: far beyond what a loaded machine needs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Several nodes that know each other.
pub(crate) struct Federation {
    dir: TempDir,
    /// What later nodes start with, beside what is their own.
    pub(crate) settings: NodeConfig,
    /// What later nodes take for the time.
    pub(crate) clock: Clock,
    born: usize,
    pub(crate) nodes: Vec<Member>,
}

/// A node and where it lives.
pub(crate) struct Member {
    pub(crate) home: Home,
    pub(crate) config: NodeConfig,
    pub(crate) node: Node,
    pub(crate) grid: Option<GridId>,
}

/// What is needed to start a node again.
pub(crate) struct Stopped {
    config: NodeConfig,
    grid: Option<GridId>,
    home: Home,
}

impl Federation {
    /// An empty network, whose nodes bring records to everybody while they are at most `whole_network_limit`.
    pub(crate) fn new(whole_network_limit: usize) -> Self {
        Self::with_clock(whole_network_limit, Clock::system())
    }

    /// The same, on a clock that the test may move.
    pub(crate) fn with_clock(whole_network_limit: usize, clock: Clock) -> Self {
        let settings = NodeConfig {
            network: "test".parse().unwrap(),
            allow_private_addresses: PrivateAddresses::Allowed,
            whole_network_limit,
            ..NodeConfig::default()
        };
        Self { dir: tempfile::tempdir().unwrap(), settings, clock, born: 0, nodes: Vec::new() }
    }

    /// A network of `count` nodes, the first `grids` of which speak for a grid each.
    pub(crate) async fn of(count: usize, grids: usize, whole_network_limit: usize) -> Self {
        let mut federation = Self::new(whole_network_limit);
        for n in 0..count {
            federation.join(n < grids).await;
        }
        federation
    }

    /// Adds a node, which speaks for a grid of its own if `with_grid`.
    pub(crate) async fn join(&mut self, with_grid: bool) -> &Member {
        let n = self.born;
        self.born += 1;
        let dir = self.dir.path().join(format!("node-{n}"));
        std::fs::create_dir_all(&dir).unwrap();
        let home = Home::new(&dir);
        let bootstrap = match self.nodes.first() {
            Some(first) => addrs(&first.node).await,
            None => Vec::new(),
        };
        let mut config =
            NodeConfig { listen: SocketAddr::from((own_network(), 0)), bootstrap, ..self.settings.clone() };
        let mut grid = None;
        if with_grid {
            let key = SecretKey::from_seed(&[n as u8 + 1; 32]);
            let manager = dir.join("grid-manager");
            std::fs::create_dir(&manager).unwrap();
            std::fs::set_permissions(&manager, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
            let json =
                format!("{{\"grid_manager_config_version\": 0, \"private_key\": \"{}\"}}", *key.to_private_text());
            std::fs::write(manager.join("config.json"), json).unwrap();
            config.grid_manager = Some(manager);
            config.nickname = Some(format!("grid {n}").parse().unwrap());
            config.rate = vec!["free".parse().unwrap()];
            grid = Some(GridId::new(key.public()));
        }
        let node = Node::start(&home, &config, self.clock).await.unwrap();
        node.dht.is_listening().await;
        if self.nodes.is_empty() {
            // The later ones begin with the first.
            config.bootstrap = addrs(&node).await;
        }
        self.nodes.push(Member { home, config, node, grid });
        self.nodes.last().unwrap()
    }

    /// A node that was stopped, started again where it was.
    pub(crate) async fn restart(&self, home: Home, config: NodeConfig) -> Node {
        let node = Node::start(&home, &config, self.clock).await.unwrap();
        node.dht.is_listening().await;
        node
    }

    /// The addresses of the first node, to begin with.
    pub(crate) fn bootstrap(&self) -> Vec<Multiaddr> {
        self.nodes[0].config.bootstrap.clone()
    }

    /// The data directory of a node (`node-0`, …) or a client.
    pub(crate) fn home(&self, name: &str) -> Home {
        Home::new(self.dir.path().join(name))
    }

    /// Stops a node and starts it again on its directory.
    pub(crate) async fn start_over(&mut self, n: usize) {
        let (_, stopped) = self.stop(n).await;
        self.start_again(n, stopped).await;
    }

    /// Stops a node. Its place is taken by nobody until [`Self::start_again`].
    pub(crate) async fn stop(&mut self, n: usize) -> (Home, Stopped) {
        let Member { config, node, grid, home } = self.nodes.remove(n);
        node.stop().await;
        (home.clone(), Stopped { config, grid, home })
    }

    /// Starts a node again on its directory. The first of a network gets a new address, by which the next ones begin.
    pub(crate) async fn start_again(&mut self, n: usize, Stopped { config, grid, home }: Stopped) {
        let mut config = config;
        config.bootstrap = match self.nodes.first() {
            Some(another) => addrs(&another.node).await,
            None => Vec::new(),
        };
        let node = Node::start(&home, &config, self.clock).await.unwrap();
        node.dht.is_listening().await;
        if n == 0 {
            config.bootstrap = addrs(&node).await;
        }
        self.nodes.insert(n, Member { config, node, grid, home });
    }

    /// A client that has never seen this network, unless one of that name has, and knows these addresses.
    pub(crate) async fn client(&self, name: &str, bootstrap: Vec<Multiaddr>) -> Client {
        self.client_at(name, bootstrap, self.clock).await
    }

    /// The same with a clock of its own.
    pub(crate) async fn client_at(&self, name: &str, bootstrap: Vec<Multiaddr>, clock: Clock) -> Client {
        let settings =
            ClientSettings { network: self.settings.network.clone(), bootstrap, private: PrivateAddresses::Allowed };
        Client::start(&self.home(name), settings, clock).await.unwrap()
    }

    /// Waits until each node has met all others.
    pub(crate) async fn acquainted(&self) {
        let others = self.nodes.len() - 1;
        for member in &self.nodes {
            eventually(async || {
                let target = Point::of(b"anywhere");
                (member.node.dht.nearest_met(target, others).await.len() >= others).then_some(())
            })
            .await;
        }
    }

    /// Waits until each grid's record is held as widely as the network allows.
    pub(crate) async fn published(&self) -> Vec<Receipt> {
        let mut receipts = Vec::new();
        for member in self.nodes.iter().filter(|member| member.grid.is_some()) {
            let publisher = member.node.publisher.as_ref().unwrap();
            let others = self.nodes.len() - 1;
            let receipt = eventually(async || {
                let receipt = publisher.published().receipt?;
                (receipt.is_wide() && receipt.servers_known >= others).then_some(receipt)
            });
            receipts.push(receipt.await);
        }
        receipts
    }
}

/// A node's addresses with its peer id.
pub(crate) async fn addrs(node: &Node) -> Vec<Multiaddr> {
    let status = node.dht.status().await.unwrap();
    status.external.into_iter().map(|addr| addr.with(Protocol::P2p(status.peer_id))).collect()
}

/// What `look` finds, as soon as it finds something.
pub(crate) async fn eventually<T>(mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let found = tokio::time::timeout(PATIENCE, async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    found.await.expect("the condition comes true in time")
}

/// An address in a /24 that no other node of this process has.
pub(crate) fn own_network() -> Ipv4Addr {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let process = (std::process::id() % 200) as u8 + 50;
    Ipv4Addr::new(127, process, NEXT.fetch_add(1, Ordering::Relaxed), 1)
}
