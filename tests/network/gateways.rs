//! Two grids' gateways with no storage behind them: who is let in, what it costs, and whose refusal it is.

use crate::gateway_node::GatewayNode;
use lafs_clearinghouse::capability::Capability;
use lafs_clearinghouse::keys::SecretKey;
use lafs_clearinghouse::peer::{Freshness, PeerError, RefusalCode};

const CAP: &str = "URI:CHK:44wphqinesnggifna54n6ccwke:gsbsu5hlwbscygephg3aqd7t47y2agatsnnt7eip37w7znx6ws3q:2:3:1000000";

fn cap() -> Capability {
    CAP.parse().unwrap()
}

fn refusal(error: PeerError) -> (u16, RefusalCode, Option<serde_json::Value>) {
    let refusal = error.refusal().unwrap_or_else(|| panic!("{error}"));
    (refusal.status, refusal.code, refusal.offers.clone())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_free_is_refused_by_the_foreign_gateway_with_its_offers() {
    // A Tahoe node that has not started yet: it knows no servers.
    let tahoe = tempfile::tempdir().unwrap();
    std::fs::create_dir(tahoe.path().join("private")).unwrap();
    let foreign = GatewayNode::start(1, Some(tahoe.path()), "0.02 USD/GiB", &[]).await;
    let home = GatewayNode::start(2, None, "free", &[&foreign]).await;
    home.finds(foreign.grid()).await;
    let alice = SecretKey::from_seed(&[9; 32]);
    home.add_client("alice", &alice);
    let client = home.session(&alice).await;

    let error = client.manifest(&foreign.grid(), &cap(), 0, 1, None).await.unwrap_err();
    assert_eq!(refusal(error), (402, RefusalCode::ForeignRefused, Some(serde_json::json!([]))));
    // The home hands over the record, of which the client sees the price for itself.
    let given = client.record(&foreign.grid(), Freshness::Fast).await.unwrap();
    assert_eq!(given.record.grid(), &foreign.grid());
    assert_eq!(given.record.gateways().len(), 1);
    home.node.stop().await;
    foreign.node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_no_client_any_more_is_refused_on_an_open_session() {
    let home = GatewayNode::start(3, None, "free", &[]).await;
    let alice = SecretKey::from_seed(&[9; 32]);
    home.add_client("alice", &alice);
    let client = home.session(&alice).await;
    // Its own grid has no storage servers here: that is what it is told, and no more is wrong.
    let error = client.manifest(&home.grid(), &cap(), 0, 1, None).await.unwrap_err();
    assert_eq!(refusal(error).1, RefusalCode::Unreachable);
    home.remove_client("alice");
    let error = client.manifest(&home.grid(), &cap(), 0, 1, None).await.unwrap_err();
    assert_eq!(refusal(error), (403, RefusalCode::Refused, None));
    home.node.stop().await;
}
