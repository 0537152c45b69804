//! Two grids' gateways with no storage behind them: who is let in, what it costs, and whose refusal it is.

use super::federation::eventually;
use crate::gateway_node::GatewayNode;
use lafs_clearinghouse::address::PrivateAddresses;
use lafs_clearinghouse::capability::Capability;
use lafs_clearinghouse::clock::Clock;
use lafs_clearinghouse::config::Patience;
use lafs_clearinghouse::keys::{GridId, SecretKey};
use lafs_clearinghouse::peer::{
    CallerIdentity, DialGuard, Freshness, GatewayClient, GatewayPlace, Named, PeerError, RefusalCode, WelcomedAs,
};
use lafs_clearinghouse::record::{Gateway, GridRecord, RecordDraft, Roles, Signer};
use lafs_clearinghouse::units::{Seconds, UnixSeconds};
use std::sync::Arc;

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

    // Without rules of its own the home fetches only what is free.
    let error = client.manifest(&foreign.grid(), &cap(), 0, 1, None).await.unwrap_err();
    assert_eq!(refusal(error), (403, RefusalCode::Refused, None));
    // Its clients pay nothing: a conversion of 0.
    let policy = home._dir.path().join("node/policy.toml");
    std::fs::write(policy, "[retail]\nasset = \"USD\"\nmarkup = \"0 %\"\n[retail.conversions]\nUSD = \"0\"\n[[rule]]\nname = \"all\"\naction = \"allow\"\n").unwrap();
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

/// The record of the grid of key 7, issued so many seconds ago, that lets the gateway of key 8 spend or not.
fn calling_grid(ago: u64, spends: bool) -> GridRecord {
    let key = SecretKey::from_seed(&[7; 32]);
    let gateway = Gateway::new(None, Some(SecretKey::from_seed(&[8; 32]).public()), Roles::SPEND, None).unwrap();
    let gateways = if spends { vec![gateway] } else { Vec::new() };
    let draft = RecordDraft { gateways, ..RecordDraft::new(GridId::new(key.public())) };
    let now = Clock::system().now().minus(Seconds(ago));
    draft.sign(Signer::Grid { key: &key, serial: UnixSeconds(1_700_000_000) }, None, &[], now).unwrap()
}

/// A session with a gateway in the name of that grid, by the record that lets it spend.
async fn called(gateway: &GatewayNode, shown: &GridRecord) -> Result<GatewayClient, PeerError> {
    let record = shown.signed().clone();
    let record = Arc::new(move || Some(record.clone()));
    let me = CallerIdentity::Grid { key: SecretKey::from_seed(&[8; 32]), record };
    let nurl = gateway.node.gateway_nurl().unwrap().parse().unwrap();
    let place = GatewayPlace { nurl, grid: gateway.grid(), named: Named::ByUser };
    GatewayClient::connect(place, me, Clock::system(), DialGuard::new(PrivateAddresses::Allowed), Patience::WITH_HOME)
        .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_calling_grid_shows_is_held_against_what_the_network_holds() {
    let shown = calling_grid(100, true);
    let unaware = GatewayNode::start(4, None, "free", &[]).await;
    assert_eq!(called(&unaware, &shown).await.unwrap().welcome().caller, WelcomedAs::Grid);
    // In the network of another gateway there is a newer record, which takes the right away. Nobody has looked at it yet.
    let holder = GatewayNode::start(5, None, "free", &[]).await;
    let gateway = GatewayNode::start(6, None, "free", &[&holder]).await;
    gateway.finds(holder.grid()).await;
    let newer = calling_grid(5, false);
    holder.node.dht.offer(newer.signed()).await;
    gateway.node.dht.offer(newer.signed()).await;
    let client = called(&gateway, &shown).await.unwrap();
    // The session ends, and what was found keeps it from being opened again.
    let refused = eventually(async || {
        let error = client.manifest(&gateway.grid(), &cap(), 0, 1, None).await.unwrap_err();
        // Until then it is told that there are no storage servers here.
        (refusal_status(&error) != Some(503)).then_some(error)
    });
    let refused = refused.await;
    assert_eq!(refusal_status(&refused), Some(403), "{refused}");
    let again = called(&gateway, &shown).await.unwrap_err();
    assert_eq!(refusal_status(&again), Some(403), "{again}");
    for node in [unaware, holder, gateway] {
        node.node.stop().await;
    }
}

fn refusal_status(error: &PeerError) -> Option<u16> {
    error.refusal().map(|refusal| refusal.status)
}
