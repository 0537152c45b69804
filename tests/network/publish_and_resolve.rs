//! A record published is resolved by a stranger, whoever is asked.

use super::federation::Federation;
use lafs_clearinghouse::keys::{GridId, SecretKey};
use lafs_clearinghouse::resolver::{Policy, Question, ResolveError, Source};
use std::time::Duration;

fn question(grid: GridId, policy: Policy) -> Question {
    Question { grid, policy, deadline: Duration::from_secs(20) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_with_one_address_resolves_every_grid() {
    for limit in [200, 0] {
        let federation = Federation::of(8, 3, limit).await;
        let receipts = federation.published().await;
        assert!(receipts.iter().all(|receipt| receipt.holders == 7 && receipt.networks == 7), "{receipts:?}");
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
