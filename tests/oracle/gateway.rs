//! Files of a real grid, through our gateways: what the real client stored arrives, verified, whatever its servers do.

mod network {
    use crate::tahoe_nodes::TahoeNodes;
    use futures::StreamExt;
    use lafs_clearinghouse::address::PrivateAddresses;
    use lafs_clearinghouse::capability::Capability;
    use lafs_clearinghouse::clock::Clock;
    use lafs_clearinghouse::config::{Home, NodeConfig};
    use lafs_clearinghouse::keys::{GridId, SecretKey};
    use lafs_clearinghouse::members::NewClient;
    use lafs_clearinghouse::node::Node;
    use lafs_clearinghouse::peer::{
        CallerIdentity, DialGuard, GatewayClient, GatewayPlace, Named, PeerError, RefusalCode, WelcomedAs,
    };
    use lafs_clearinghouse::rate::RateLine;
    use lafs_clearinghouse::resolver::{Policy, Question};
    use lafs_clearinghouse::units::UnixSeconds;
    use std::path::Path;
    use std::sync::Arc;
    use std::time::Duration;

    /// A node with a gateway, and what it lives on.
    struct Gateway {
        node: Node,
        key: SecretKey,
        _dir: tempfile::TempDir,
    }

    impl Gateway {
        /// The gateway of the grid that `seed` is the key of, whose downloads cost what `rate` says.
        async fn start(seed: u8, tahoe_node: Option<&Path>, rate: &str, others: &[&Self]) -> Self {
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
            lafs_clearinghouse::config::create_private_dir(home.path()).expect("a folder");
            let node = Node::start(&home, &config, Clock::system()).await.expect("a node");
            Self { node, key, _dir: dir }
        }

        fn grid(&self) -> GridId {
            GridId::new(self.key.public())
        }

        /// Waits until this node finds the record of `grid`, a gateway in it.
        async fn finds(&self, grid: GridId) {
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
        async fn session(&self, key: &SecretKey) -> GatewayClient {
            let nurl = self.node.gateway_nurl().expect("a gateway").parse().expect("a NURL");
            let place = GatewayPlace { nurl, grid: self.grid(), named: Named::ByUser };
            let guard = DialGuard::new(PrivateAddresses::Allowed);
            let me = CallerIdentity::Client(key.clone());
            GatewayClient::connect(place, me, Clock::system(), guard).await.expect("a session")
        }

        fn add_client(&self, name: &str, key: &SecretKey) {
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
    }

    /// All of a file, as whoever has the read cap gets it from `client`.
    async fn get(client: &GatewayClient, grid: &GridId, cap: &Capability) -> Result<Vec<u8>, PeerError> {
        let manifest = Arc::new(client.manifest(grid, cap, 0, 4096).await?);
        let cipher = manifest.decryptor(cap).expect("the cap's own manifest");
        let units = 0..manifest.layout().units();
        let mut stream = client.units(grid, cap, Arc::clone(&manifest), units)?;
        let mut file = Vec::new();
        while let Some(unit) = stream.next().await {
            let (number, octets) = unit?;
            let mut octets = octets.to_vec();
            cipher.decrypt(number, &mut octets);
            file.extend(octets);
        }
        Ok(file)
    }

    fn content(size: usize) -> Vec<u8> {
        (0..size).map(|i| (i as u32).wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect()
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_file_of_a_real_grid_arrives_through_both_gateways() {
        let Some(nodes) = TahoeNodes::start() else { return };
        let foreign = Gateway::start(1, Some(&nodes.described.client.dir), "free", &[]).await;
        let home = Gateway::start(2, None, "free", &[&foreign]).await;
        home.finds(foreign.grid()).await;

        let accounting = SecretKey::from_seed(&[9; 32]);
        let stranger = home.session(&accounting).await;
        assert_eq!(stranger.welcome().caller, WelcomedAs::Pending);
        let cap = nodes.put(&content(56));
        let refused = get(&stranger, &foreign.grid(), &cap).await.expect_err("nobody's client");
        assert_eq!(refused.code(), RefusalCode::Refused, "{refused}");
        home.add_client("alice", &accounting);
        let client = home.session(&accounting).await;
        assert_eq!(client.welcome().caller, WelcomedAs::Client);

        for size in [56, 57, 131_071, 131_072, 131_073, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 5_000_000] {
            let file = content(size);
            let cap = nodes.put(&file);
            let got = get(&client, &foreign.grid(), &cap).await.unwrap_or_else(|error| panic!("{size}: {error}"));
            assert!(got == file, "{size} bytes are not what was stored");
        }
        for format in ["SDMF", "MDMF"] {
            for size in [1, 131_072, 131_073, 1_000_000] {
                let file = content(size);
                let cap = nodes.put_at(&format!("uri?format={format}"), &file).read_cap().expect("a read cap");
                let got = get(&client, &foreign.grid(), &cap).await;
                assert!(
                    got.unwrap_or_else(|error| panic!("{format}, {size}: {error}")) == file,
                    "{format}, {size} bytes"
                );
            }
        }
        // What there is none of is said to be none, through both.
        let none =
            "URI:CHK:44wphqinesnggifna54n6ccwke:gsbsu5hlwbscygephg3aqd7t47y2agatsnnt7eip37w7znx6ws3q:2:3:1000000";
        let error = get(&client, &foreign.grid(), &none.parse().expect("a cap")).await.expect_err("no such file");
        assert_eq!(error.code(), RefusalCode::NotFound, "{error}");
        home.node.stop().await;
        foreign.node.stop().await;
    }
}
