//! What a query leaves behind: stale holders repaired, the grid's own node heard, the dead forgotten.

use super::federation::{Federation, addrs, eventually};
use super::grids::Grid;
use super::servers::{Scripted, honest};
use lafs_clearinghouse::record::{GridRecord, NodeEntry};
use lafs_clearinghouse::resolver::{Policy, Source};
use tokio::sync::watch;

const GRID: Grid = Grid(1);

#[tokio::test(flavor = "multi_thread")]
async fn a_query_runs_on_and_repairs_stale_holders_and_those_that_have_nothing() {
    for policy in [Policy::Fast, Policy::Fresh] {
        let federation = Federation::new(0);
        let (older, newest) = (GRID.plain(0), GRID.plain(1));
        let stale = [Scripted::holding(Some(&older)).await, Scripted::holding(Some(&older)).await];
        let empty = Scripted::holding(None).await;
        let (open, gate) = watch::channel(false);
        let held = newest.clone();
        let late = Scripted::behind(gate, move |request| honest(request, Some(&held))).await;
        let bootstrap = stale.iter().chain([&empty, &late]).map(|server| server.addr.clone()).collect();
        let client = federation.client("client", bootstrap).await;
        if policy == Policy::Fast {
            // The first valid answer does, and the newest one, which comes late, is not missed.
            let first = client.resolver.resolve(GRID.question(policy)).await.unwrap();
            assert_eq!(first.record, older);
            open.send(true).unwrap();
        } else {
            open.send(true).unwrap();
            assert_eq!(client.resolver.resolve(GRID.question(policy)).await.unwrap().record, newest);
        }
        for server in stale.iter().chain([&empty]) {
            eventually(async || server.was_given(&newest).then_some(())).await;
        }
        assert!(!late.was_given(&newest), "it has it");
        let at_hand = client.resolver.resolve(GRID.question(Policy::Cached)).await.unwrap();
        assert_eq!((at_hand.record, at_hand.source), (newest, Source::Cache));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn real_holders_are_repaired_too() {
    let federation = Federation::of(4, 0, 0).await;
    federation.acquainted().await;
    let (older, newest) = (GRID.plain(0), GRID.plain(1));
    let [first, second, third, _nothing] = &federation.nodes[..] else { panic!("four nodes") };
    for member in [first, second] {
        member.node.dht.offer(older.signed()).await;
    }
    third.node.dht.offer(newest.signed()).await;
    let client = federation.client("client", federation.bootstrap()).await;
    client.resolver.resolve(GRID.question(Policy::Fast)).await.unwrap();
    for member in &federation.nodes {
        eventually(async || member.node.dht.row(&GRID.id()).await.filter(|row| row.record == *newest.signed())).await;
    }
}

fn naming(nodes: Vec<NodeEntry>, at: u64) -> GridRecord {
    GRID.sign(at, |draft| draft.nodes = nodes)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fresh_question_hears_the_grids_own_node_and_reports_its_silence() {
    let federation = Federation::new(0);
    let (open, gate) = watch::channel(true);
    // Nobody but the record says that it is there.
    let own = Scripted::behind(gate, |request| honest(request, None)).await;
    let entry = || vec![NodeEntry::new(own.peer, own.server().addrs).unwrap()];
    let (published, newest) = (naming(entry(), 0), naming(entry(), 1));
    let holder = Scripted::holding(Some(&published)).await;
    let client = federation.client("client", vec![holder.addr.clone()]).await;
    let ask = async || client.resolver.resolve(GRID.question(Policy::Fresh)).await.unwrap();

    let held = newest.clone();
    own.says(move |request| honest(request, Some(&held)));
    let answer = ask().await;
    assert_eq!((&answer.record, answer.own_node_silent), (&newest, false));
    eventually(async || holder.was_given(&newest).then_some(())).await;

    open.send(false).unwrap();
    let asked_before = own.asked_for(GRID.id());
    let answer = ask().await;
    assert_eq!((&answer.record, answer.own_node_silent), (&newest, true), "reported, and not fatal");
    assert_eq!(own.asked_for(GRID.id()), asked_before + 1);
    let fast = client.resolver.resolve(GRID.question(Policy::Fast)).await.unwrap();
    assert!(!fast.own_node_silent, "a fast question does not ask it");
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_of_dead_servers_are_forgotten() {
    let mut federation = Federation::of(4, 0, 0).await;
    let record = GRID.plain(0);
    federation.nodes[0].node.dht.offer(record.signed()).await;
    let mut bootstrap = Vec::new();
    for member in &federation.nodes {
        bootstrap.extend(addrs(&member.node).await);
    }
    let client = federation.client("client", bootstrap.clone()).await;
    client.resolver.resolve(GRID.question(Policy::Fresh)).await.unwrap();
    eventually(async || (client.dht.servers().await.len() == 4).then_some(())).await;
    for member in federation.nodes.drain(1..) {
        member.node.stop().await;
    }
    eventually(async || {
        client.resolver.resolve(GRID.question(Policy::Fresh)).await.unwrap();
        (client.dht.servers().await.len() == 1).then_some(())
    })
    .await;
}
