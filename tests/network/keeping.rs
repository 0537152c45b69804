//! Records outlive their publishers and their holders, and no more than that: days pass on a clock that all nodes share.

use super::federation::{Federation, PATIENCE, addrs, eventually};
use super::records::{grid, record, record_at, with_promise};
use super::stranger::{Stranger, peer_of};
use lafs_clearinghouse::clock::Clock;
use lafs_clearinghouse::dht::message::{Body, Request, Response};
use lafs_clearinghouse::dht::server::Point;
use lafs_clearinghouse::node::Node;
use lafs_clearinghouse::record::{BrokenView, HOLDERS};
use lafs_clearinghouse::resolver::{Policy, Question};
use lafs_clearinghouse::units::Seconds;
use libp2p::PeerId;
use std::time::Duration;

const DAY: i64 = 86_400;

#[tokio::test(flavor = "multi_thread")]
async fn a_record_lives_to_its_expiry_while_its_publisher_is_gone_and_every_holder_is_replaced() {
    for limit in [200, 0] {
        let clock = Clock::adjustable();
        let mut federation = Federation::with_clock(limit, clock);
        for n in 0..5 {
            federation.join(n == 0).await;
        }
        federation.published().await;
        let grid = federation.nodes[0].grid.unwrap();
        let record = federation.nodes[1].node.dht.row(&grid).await.unwrap().record;
        federation.nodes.remove(0).node.stop().await;
        // By the fifth day nobody is left of those who had the record from its publisher.
        for _ in 1..=6 {
            clock.advance(DAY);
            federation.join(false).await;
            let newest = &federation.nodes.last().unwrap().node.dht;
            eventually(async || newest.row(&grid).await).await;
            federation.nodes.remove(0).node.stop().await;
        }
        let survivor = &federation.nodes[0].node.dht;
        assert_eq!(survivor.row(&grid).await.unwrap().record, record);
        let at = addrs(&federation.nodes[0].node).await.remove(0);
        let mut asker = Stranger::asking();
        asker.meet(&at).await;
        let mut held = async || match asker.ask(peer_of(&at), &Request::Resolve { grid }).await {
            Ok(Response { body: Body::Found { record, .. }, .. }) => record,
            other => panic!("{other:?}"),
        };
        assert_eq!(held().await.as_deref(), Some(record.bytes()), "six days old, of seven");
        clock.advance(DAY);
        assert_eq!(held().await, None, "nothing is answered after its expiry");
        for member in &federation.nodes {
            assert!(member.node.dht.row(&grid).await.is_some(), "it can still be said that it expired");
        }
        clock.advance(DAY);
        for member in &federation.nodes {
            eventually(async || member.node.dht.row(&grid).await.is_none().then_some(())).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_was_away_has_all_that_it_missed_when_it_is_back() {
    for limit in [200, 0] {
        let clock = Clock::adjustable();
        let mut federation = Federation::with_clock(limit, clock);
        for _ in 0..3 {
            federation.join(false).await;
        }
        let old = record_at(300, clock.now());
        for member in &federation.nodes {
            member.node.dht.offer(old.signed()).await;
        }
        let away = federation.nodes.remove(2);
        away.node.stop().await;
        clock.advance(DAY);
        // One is replaced, one is new, and neither comes to whoever is away.
        let (newer, new) = (record_at(300, clock.now()), record_at(301, clock.now()));
        for member in &federation.nodes {
            member.node.dht.offer(newer.signed()).await;
            member.node.dht.offer(new.signed()).await;
        }
        let back = federation.restart(away.home, away.config).await;
        eventually(async || {
            let rows = (back.dht.row(&grid(300)).await?.record, back.dht.row(&grid(301)).await?.record);
            (rows == (newer.signed().clone(), new.signed().clone())).then_some(())
        })
        .await;
        back.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_proof_of_a_broken_commitment_comes_to_late_comers_with_the_record_and_outlives_it() {
    for limit in [200, 0] {
        let clock = Clock::adjustable();
        let mut federation = Federation::with_clock(limit, clock);
        federation.join(false).await;
        let promised = with_promise(302, clock.now(), Seconds::days(60));
        federation.nodes[0].node.dht.offer(promised.signed()).await;
        clock.advance(DAY);
        let broken = record_at(302, clock.now());
        federation.nodes[0].node.dht.offer(broken.signed()).await;
        assert_eq!(federation.nodes[0].node.dht.evidence(&grid(302)).await.first(), Some(&promised));
        // Each knows only those who came after the one from whom it all began.
        for _ in 0..2 {
            let late = &federation.join(false).await.node.dht;
            eventually(async || (late.evidence(&grid(302)).await.len() == 1).then_some(())).await;
            assert_eq!(late.row(&grid(302)).await.unwrap().record, *broken.signed());
            federation.nodes.remove(0).node.stop().await;
        }
        clock.advance(30 * DAY);
        let holder = &federation.nodes[0].node.dht;
        eventually(async || holder.row(&grid(302)).await.is_none().then_some(())).await;
        assert_eq!(holder.evidence(&grid(302)).await, [promised], "it binds for a month more");
        clock.advance(31 * DAY);
        eventually(async || holder.evidence(&grid(302)).await.is_empty().then_some(())).await;
    }
}

/// The record that promised is gone everywhere before it is broken: what is left of it is evidence, and a reader who has
/// never seen it is shown it beside the record that breaks it.
#[tokio::test(flavor = "multi_thread")]
async fn a_promise_that_is_broken_after_its_records_end_is_shown_to_who_comes_then() {
    for limit in [200, 0] {
        let clock = Clock::adjustable();
        let mut federation = Federation::with_clock(limit, clock);
        for _ in 0..2 {
            federation.join(false).await;
        }
        let promised = with_promise(303, clock.now(), Seconds::days(60));
        for member in &federation.nodes {
            member.node.dht.offer(promised.signed()).await;
        }
        clock.advance(10 * DAY);
        for member in &federation.nodes {
            eventually(async || member.node.dht.row(&grid(303)).await.is_none().then_some(())).await;
        }
        let breaking = record_at(303, clock.now());
        for member in &federation.nodes {
            member.node.dht.offer(breaking.signed()).await;
        }
        let client = federation.client("client", federation.bootstrap()).await;
        for policy in [Policy::Fresh, Policy::Cached] {
            let question = Question { grid: grid(303), policy, deadline: Duration::from_secs(20) };
            let answer = client.resolver.resolve(question).await.unwrap();
            assert_eq!(answer.record, breaking);
            assert_eq!(answer.evidence, std::slice::from_ref(&promised), "{policy:?}");
            // What `record broken` prints.
            let (view, proof) = BrokenView::new(&answer.record, &answer.evidence, clock.now());
            assert_eq!((view.broken.len(), proof.len()), (1, 2));
        }
    }
}

/// In a network larger than it is held whole by, twenty hold a record. Where most of them die, those who come next to its
/// place hold it instead, with nobody publishing it again.
#[tokio::test(flavor = "multi_thread")]
async fn what_dead_holders_held_falls_to_those_who_come_next() {
    const NODES: usize = 24;
    const DEAD: usize = 12;
    let mut federation = Federation::of(NODES, 0, 0).await;
    federation.acquainted().await;
    let held = record(420);
    let place = Point::of(grid(420).record_key().as_bytes());
    federation.nodes.sort_by_key(|member| place.distance(&Point::of(&member.node.dht.peer_id().to_bytes())));
    for member in &federation.nodes[..HOLDERS] {
        member.node.dht.offer(held.signed()).await;
    }
    let without = federation.nodes[HOLDERS..].iter().map(|member| member.node.dht.peer_id());
    let without: Vec<PeerId> = without.collect();
    let dying: Vec<_> = federation.nodes.drain(..DEAD).collect();
    for member in &federation.nodes {
        let holds = member.node.dht.row(&grid(420)).await.is_some();
        assert_eq!(
            holds,
            !without.contains(&member.node.dht.peer_id()),
            "twenty hold it, and it is for nobody else to hold"
        );
    }
    for member in dying {
        member.node.stop().await;
    }
    // Each has to find out by itself who is dead.
    let made_good = tokio::time::timeout(4 * PATIENCE, async {
        for member in &federation.nodes {
            while member.node.dht.row(&grid(420)).await.is_none() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    });
    made_good.await.expect("the survivors hold it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_knows_whether_it_holds_the_network_whole() {
    let federation = Federation::of(3, 0, 200).await;
    for member in &federation.nodes {
        eventually(async || member.node.dht.holds_whole_network().then_some(())).await;
    }
    let large = Federation::of(2, 1, 0).await;
    large.published().await;
    assert!(!large.nodes[0].node.dht.holds_whole_network());
    let alone = Federation::of(1, 0, 200).await;
    assert!(!alone.nodes[0].node.dht.holds_whole_network(), "nobody to compare with");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_comes_back_to_those_it_met_when_its_bootstrap_is_gone() {
    let mut federation = Federation::of(3, 0, 200).await;
    eventually(async || (federation.nodes[2].node.dht.servers().await.len() == 2).then_some(())).await;
    let peers: Vec<_> = federation.nodes.iter().map(|member| member.node.dht.peer_id()).collect();
    eventually(async || {
        let mut asker = Stranger::asking();
        asker.meet(&addrs(&federation.nodes[2].node).await[0]).await;
        match asker.ask(peers[2], &Request::Servers { after: None }).await {
            Ok(Response { body: Body::Servers { page, .. }, .. }) => (page.len() == 2).then_some(()),
            other => panic!("{other:?}"),
        }
    })
    .await;
    let away = federation.nodes.remove(2);
    away.node.stop().await;
    // The one address that it was given leads nowhere by now.
    federation.nodes.remove(0).node.stop().await;
    let back = federation.restart(away.home, away.config).await;
    eventually(async || connected(&back, peers[1]).await.then_some(())).await;
    back.stop().await;
}

async fn connected(node: &Node, peer: PeerId) -> bool {
    node.dht.connected(Point::of(b"anywhere")).await.iter().any(|server| server.peer == peer)
}
