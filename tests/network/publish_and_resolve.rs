//! A record published is resolved by a stranger, whoever is asked.

use super::federation::{Federation, PATIENCE, eventually, own_network};
use lafs_clearinghouse::config::NodeConfig;
use lafs_clearinghouse::keys::{GridId, SecretKey};
use lafs_clearinghouse::resolver::{Policy, Question, ResolveError, Resolver, Source};
use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;
use std::time::Duration;

fn question(grid: GridId, policy: Policy) -> Question {
    Question { grid, policy, deadline: Duration::from_secs(20) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_with_one_address_resolves_every_grid() {
    for limit in [200, 0] {
        let federation = Federation::of(8, 3, limit).await;
        federation.published().await;
        federation.acquainted().await;
        for member in &federation.nodes[..3] {
            // On loopback whoever dials by TCP comes from 127.0.0.1, wherever it is: where that is the others know once
            // they have dialled it back.
            eventually(async || {
                let receipt = member.node.publisher.as_ref().unwrap().publish().await.unwrap();
                (receipt.holders == 7 && receipt.networks == 7).then_some(())
            })
            .await;
        }
        let client = federation.client("client", federation.bootstrap()).await;
        for member in &federation.nodes[..3] {
            let grid = member.grid.unwrap();
            let answer = client.resolver.resolve(question(grid, Policy::Fast)).await.unwrap();
            assert_eq!(answer.record.nickname(), member.config.nickname.as_ref());
            assert_eq!(answer.source, Source::Direct);
            assert!(answer.agreeing_holders >= 1, "{}", answer.agreeing_holders);
            // What was resolved once is at hand.
            let cached = client.resolver.resolve(question(grid, Policy::Cached)).await.unwrap();
            assert_eq!(cached.source, Source::Cache);
            assert_eq!(cached.record, answer.record);
            let fresh = client.resolver.resolve(question(grid, Policy::Fresh)).await.unwrap();
            assert_eq!(fresh.record, answer.record);
            assert!(fresh.agreeing_holders >= 3, "{}", fresh.agreeing_holders);
            assert!(!fresh.own_node_silent);
        }
        client.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_published_is_not_found() {
    let federation = Federation::of(3, 1, 200).await;
    federation.published().await;
    let client = federation.client("client", federation.bootstrap()).await;
    let nobody = GridId::new(SecretKey::from_seed(&[99; 32]).public());
    let error = client.resolver.resolve(question(nobody, Policy::Fast)).await.unwrap_err();
    assert!(matches!(error, ResolveError::NotFound { asked: 3, .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lone_node_holds_its_own_record() {
    let federation = Federation::of(1, 1, 200).await;
    let receipts = federation.published().await;
    assert_eq!(receipts[0].holders, 0);
    let grid = federation.nodes[0].grid.unwrap();
    let answer = federation.nodes[0].node.resolver.resolve(question(grid, Policy::Cached)).await.unwrap();
    assert_eq!(answer.source, Source::Cache);
}

/// A question that would be waited for until the test gives up.
async fn at_once(resolver: &Resolver, policy: Policy) -> ResolveError {
    let grid = GridId::new(SecretKey::from_seed(&[99; 32]).public());
    let question = Question { grid, policy, deadline: Duration::from_secs(3_600) };
    tokio::time::timeout(PATIENCE, resolver.resolve(question)).await.expect("nobody is waited for").unwrap_err()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lone_node_says_at_once_that_it_does_not_hold_a_grid() {
    let federation = Federation::of(1, 0, 200).await;
    for policy in [Policy::Fast, Policy::Fresh] {
        let error = at_once(&federation.nodes[0].node.resolver, policy).await;
        assert!(matches!(error, ResolveError::NotFound { asked: 0, .. }), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_reaches_nobody_says_so_at_once() {
    let federation = Federation::new(200);
    // Nobody listens there.
    let nobody = Multiaddr::from(own_network()).with(Protocol::Tcp(1));
    let client = federation.client("client", vec![nobody.clone()]).await;
    for policy in [Policy::Fast, Policy::Fresh] {
        let error = at_once(&client.resolver, policy).await;
        assert!(matches!(error, ResolveError::Unreachable { tried: 0 }), "{error}");
    }
    let listen = (own_network(), 0).into();
    let settings = NodeConfig { listen, bootstrap: vec![nobody], ..federation.settings.clone() };
    let home = federation.home("cut-off");
    std::fs::create_dir_all(home.path()).unwrap();
    let node = federation.restart(home, settings).await;
    let error = at_once(&node.resolver, Policy::Fast).await;
    assert!(matches!(error, ResolveError::Unreachable { tried: 0 }), "{error}");
}
