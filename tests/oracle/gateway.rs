//! Files of a real grid, through our gateways: what the real client stored arrives, verified, whatever its servers do.

mod network {
    use crate::gateway_node::GatewayNode;
    use crate::tahoe_nodes::TahoeNodes;
    use futures::StreamExt;
    use lafs_clearinghouse::capability::Capability;
    use lafs_clearinghouse::keys::{GridId, SecretKey};
    use lafs_clearinghouse::peer::{GatewayClient, PeerError, RefusalCode, WelcomedAs};
    use std::sync::Arc;

    /// All of a file, as whoever has the read cap gets it from `client`.
    async fn get(client: &GatewayClient, grid: &GridId, cap: &Capability) -> Result<Vec<u8>, PeerError> {
        let manifest = Arc::new(client.manifest(grid, cap, 0, 4096, None).await?);
        let cipher = manifest.decryptor(cap).expect("the cap's own manifest");
        let units = 0..manifest.layout().units();
        let mut stream = client.units(grid, cap, Arc::clone(&manifest), units, None)?;
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
        let foreign = GatewayNode::start(1, Some(&nodes.described.client.dir), "free", &[]).await;
        let home = GatewayNode::start(2, None, "free", &[&foreign]).await;
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
        home.remove_client("alice");
        let error = get(&client, &foreign.grid(), &cap).await.expect_err("no client any more");
        assert_eq!(error.code(), RefusalCode::Refused, "{error}");
        home.node.stop().await;
        foreign.node.stop().await;
    }
}
