//! Nodes with gateways, each of a grid of its own, on loopback.

use lafs_clearinghouse::address::PrivateAddresses;
use lafs_clearinghouse::clock::Clock;
use lafs_clearinghouse::config::{Home, NodeConfig, Patience, create_private_dir};
use lafs_clearinghouse::furl::Nurl;
use lafs_clearinghouse::keys::{GridId, SecretKey};
use lafs_clearinghouse::members::NewClient;
use lafs_clearinghouse::node::Node;
use lafs_clearinghouse::peer::{CallerIdentity, DialGuard, GatewayClient, GatewayPlace, Named};
use lafs_clearinghouse::rate::RateLine;
use lafs_clearinghouse::resolver::{Policy, Question};
use lafs_clearinghouse::units::UnixSeconds;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

/// A node with a gateway, and what it lives on.
pub(crate) struct GatewayNode {
    pub(crate) node: Node,
    /// The grid key.
    pub(crate) key: SecretKey,
    /// The data directory is its folder `node`.
    pub(crate) _dir: tempfile::TempDir,
}

impl GatewayNode {
    /// The gateway of the grid that `seed` is the key of, whose downloads cost what `rate` says.
    pub(crate) async fn start(seed: u8, tahoe_node: Option<&Path>, rate: &str, others: &[&Self]) -> Self {
        use std::os::unix::fs::DirBuilderExt;
        let dir = tempfile::tempdir().expect("a folder");
        let key = SecretKey::from_seed(&[seed; 32]);
        let manager = dir.path().join("manager");
        std::fs::DirBuilder::new().mode(0o700).create(&manager).expect("a folder");
        let private = key.to_private_text();
        let json = format!("{{\"grid_manager_config_version\": 0, \"private_key\": \"{}\"}}", *private);
        std::fs::write(manager.join("config.json"), json).expect("a file");
        let mut bootstrap = Vec::new();
        for other in others {
            bootstrap.extend(other.node.dht.status().await.expect("a status").external);
        }
        let config = NodeConfig {
            grid_manager: Some(manager),
            rate: vec![rate.parse::<RateLine>().expect("a rate")],
            network: "gateways".parse().expect("a name"),
            listen: "127.0.0.1:0".parse().expect("an address"),
            bootstrap,
            allow_private_addresses: PrivateAddresses::Allowed,
            tahoe_node: tahoe_node.map(Path::to_owned),
            gateway_listen: Some("127.0.0.1:0".parse().expect("an address")),
            ..NodeConfig::default()
        };
        let home = Home::new(dir.path().join("node"));
        create_private_dir(home.path()).expect("a folder");
        let node = Box::pin(Node::start(&home, &config, Clock::system())).await.expect("a node");
        Self { node, key, _dir: dir }
    }

    pub(crate) fn grid(&self) -> GridId {
        GridId::new(self.key.public())
    }

    /// Waits until this node finds the record of `grid`, a gateway in it.
    pub(crate) async fn finds(&self, grid: GridId) {
        loop {
            let question = Question { grid, policy: Policy::Fast, deadline: Duration::from_secs(10) };
            if let Ok(answer) = self.node.resolver.resolve(question).await
                && !answer.record.gateways().is_empty()
            {
                return;
            }
            tokio::task::yield_now().await;
        }
    }

    /// A session with this gateway, as whoever has `key`.
    pub(crate) async fn session(&self, key: &SecretKey) -> GatewayClient {
        self.session_by(self.gateway_addr(), key).await
    }

    /// Where its gateway listens.
    pub(crate) fn gateway_addr(&self) -> SocketAddr {
        let nurl: Nurl = self.node.gateway_nurl().expect("a gateway").parse().expect("a NURL");
        nurl.place().to_string().parse().expect("an address")
    }

    /// The same by way of another address that leads there.
    pub(crate) async fn session_by(&self, addr: SocketAddr, key: &SecretKey) -> GatewayClient {
        let nurl = self.node.gateway_nurl().expect("a gateway");
        let nurl = nurl.replace(&self.gateway_addr().to_string(), &addr.to_string()).parse().expect("a NURL");
        let place = GatewayPlace { nurl, grid: self.grid(), named: Named::ByUser };
        let guard = DialGuard::new(PrivateAddresses::Allowed);
        let me = CallerIdentity::Client(key.clone());
        GatewayClient::connect(place, me, Clock::system(), guard, Patience::WITH_HOME).await.expect("a session")
    }

    pub(crate) fn add_client(&self, name: &str, key: &SecretKey) {
        let client = NewClient {
            label: name.parse().expect("a name"),
            key: key.public(),
            groups: Vec::new(),
            not_after: UnixSeconds::MAX,
            servers: Vec::new(),
        };
        let members = self.node.members.as_ref().expect("clients");
        members.add(&self.key, client, Clock::system().now()).expect("added");
    }

    pub(crate) fn remove_client(&self, name: &str) {
        let members = self.node.members.as_ref().expect("clients");
        members.remove(&self.key, &name.parse().expect("a name"), Clock::system().now()).expect("removed");
    }
}
