//! libp2p's kad: what it does whatever it is told, and what is left standing.

use super::super::federation::{Federation, eventually, own_network};
use super::super::records::{grid, record};
use super::super::stranger::{Stranger, peer_of};
use lafs_clearinghouse::dht::message::{Body, Request, Response};
use lafs_clearinghouse::keys::GridId;
use libp2p::PeerId;
use libp2p::kad::{self, GetProvidersOk, GetRecordOk, QueryResult};
use std::time::{Duration, Instant};

/// More streams than kad holds open on one connection.
const TOO_MANY_STREAMS: usize = 48;
/// As many as it does.
const HELD_STREAMS: usize = 32;

fn key_of(grid: GridId) -> kad::RecordKey {
    kad::RecordKey::new(&grid.record_key().as_bytes())
}

/// The record of a seed as kad puts it.
fn put(seed: u16) -> kad::Record {
    let value = record(seed).signed().bytes().to_vec();
    kad::Record { key: key_of(grid(seed)), value, publisher: None, expires: None }
}

/// What a node answers by kad-dht to a GET.
async fn got(stranger: &mut Stranger, grid: GridId) -> Option<kad::Record> {
    let query = stranger.swarm.behaviour_mut().kad.get_record(key_of(grid));
    match stranger.result_of(query).await {
        QueryResult::GetRecord(Ok(GetRecordOk::FoundRecord(found))) => Some(found.record),
        QueryResult::GetRecord(_) => None,
        other => panic!("{other:?}"),
    }
}

/// What a node answers in `record/1`.
async fn resolved(stranger: &mut Stranger, node: PeerId, grid: GridId) -> Option<Vec<u8>> {
    match stranger.ask(node, &Request::Resolve { grid }).await {
        Ok(Response { body: Body::Found { record, .. }, .. }) => record,
        other => panic!("{other:?}"),
    }
}

async fn asker(federation: &Federation) -> (Stranger, PeerId) {
    let node = &federation.bootstrap()[0];
    let mut stranger = Stranger::asking();
    stranger.meet(node).await;
    (stranger, peer_of(node))
}

/// Whoever forwards valid bytes may state any life for them on the wire; kad takes the shorter one.
#[tokio::test(flavor = "multi_thread")]
async fn a_put_that_gives_a_record_a_second_to_live_does_not_shorten_its_life() {
    let federation = Federation::of(1, 0, 200).await;
    let (mut stranger, node) = asker(&federation).await;
    // On the wire a second: what is left, in whole seconds.
    let life = Duration::from_secs(2);
    let since = Instant::now();
    stranger.put_to(node, kad::Record { expires: Some(since + life), ..put(210) }).await;
    let dht = &federation.nodes[0].node.dht;
    let row = eventually(async || dht.row(&grid(210)).await).await;
    let mut seconds = record(210).signed().expires_at().0 - record(210).signed().issued_at().0;
    seconds -= 3_600;
    assert!(row.record.expires_at().0 > row.record.issued_at().0 + seconds);
    while since.elapsed() < life + Duration::from_secs(1) {
        let found = got(&mut stranger, grid(210)).await.expect("held to its signed expiry");
        assert_eq!(found.value, row.record.bytes());
    }
}

/// kad calls its own jobs for a key off when a PUT for it comes, whatever is in it: one octet an hour would silence them.
#[tokio::test(flavor = "multi_thread")]
async fn a_junk_put_keeps_no_record_from_spreading() {
    let mut federation = Federation::of(2, 0, 200).await;
    federation.nodes[0].node.dht.offer(record(211).signed()).await;
    let (mut stranger, node) = asker(&federation).await;
    let junk = kad::Record { value: vec![0], ..put(211) };
    stranger.put_to(node, junk).await;
    assert_eq!(resolved(&mut stranger, node, grid(211)).await.as_deref(), Some(record(211).signed().bytes()));
    let late = &federation.join(false).await.node;
    let row = eventually(async || late.dht.row(&grid(211)).await).await;
    assert_eq!(row.record.bytes(), record(211).signed().bytes());
}

/// kad passes over a PUT that names the receiving node as its publisher, and says so to nobody; nodes that got it from
/// there would ignore it in turn.
#[tokio::test(flavor = "multi_thread")]
async fn records_are_handed_on_in_nobodys_name() {
    let federation = Federation::of(1, 0, 200).await;
    let (mut stranger, node) = asker(&federation).await;
    stranger.put_to(node, kad::Record { publisher: Some(stranger.peer), ..put(212) }).await;
    eventually(async || federation.nodes[0].node.dht.row(&grid(212)).await).await;
    assert_eq!(got(&mut stranger, grid(212)).await.unwrap().publisher, None);
    // What kad cannot be told about its own records, our own protocol can.
    stranger.put_to(node, kad::Record { publisher: Some(node), ..put(213) }).await;
    let store = Request::Store { grid: grid(213), record: record(213).signed().bytes().to_vec() };
    stranger.ask(node, &store).await.unwrap();
    assert_eq!(resolved(&mut stranger, node, grid(213)).await.as_deref(), Some(record(213).signed().bytes()));
}

/// Who provides what is no business of ours, and a list of providers has no bound.
#[tokio::test(flavor = "multi_thread")]
async fn providers_are_not_kept() {
    let federation = Federation::of(1, 0, 200).await;
    let node = &federation.bootstrap()[0];
    let mut provider = Stranger::listening(own_network(), Box::new(|_, _| Some(Body::Unsupported))).await;
    provider.meet(node).await;
    let query = provider.swarm.behaviour_mut().kad.start_providing(key_of(grid(214))).unwrap();
    provider.result_of(query).await;
    let provider = provider.at_work();
    let (mut stranger, _) = asker(&federation).await;
    let query = stranger.swarm.behaviour_mut().kad.get_providers(key_of(grid(214)));
    match stranger.result_of(query).await {
        QueryResult::GetProviders(Ok(GetProvidersOk::FoundProviders { providers, .. })) => {
            assert!(!providers.contains(&provider.peer), "{providers:?}");
        }
        QueryResult::GetProviders(Ok(_)) => {}
        other => panic!("{other:?}"),
    }
}

/// kad answers each PUT before anybody is asked: a flood can be borne, not refused.
#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_puts_leaves_our_own_protocol_answering_and_the_book_small() {
    let federation = Federation::of(1, 1, 200).await;
    let own = federation.nodes[0].grid.unwrap();
    let (mut flooder, node) = asker(&federation).await;
    for seed in 1_000..1_400 {
        for record in [put(seed), kad::Record { value: vec![0; 900], ..put(seed) }] {
            flooder.swarm.behaviour_mut().kad.put_record_to(record, [node].into_iter(), kad::Quorum::One);
        }
    }
    let mut ended = 0;
    let flood = tokio::spawn(async move {
        flooder
            .until(|event| {
                let is_it = |result: &QueryResult| matches!(result, QueryResult::PutRecord(_));
                ended += usize::from(Stranger::query_ended(event).is_some_and(is_it));
                (ended == 800).then_some(())
            })
            .await;
    });
    let (mut stranger, _) = asker(&federation).await;
    for _ in 0..10 {
        assert!(resolved(&mut stranger, node, own).await.is_some());
    }
    flood.await.unwrap();
    // One peer brings at most fifty keys that are new; the node's own grid is there besides.
    let held = federation.nodes[0].node.dht.status().await.unwrap().records_held;
    assert!((2..=51).contains(&held), "{held}");
}

/// kad waits for ever for the rest of a message, and holds 32 such streams open on a connection.
#[tokio::test(flavor = "multi_thread")]
async fn stuck_streams_of_kad_leave_our_own_protocol_answering() {
    let federation = Federation::of(1, 1, 200).await;
    let own = federation.nodes[0].grid.unwrap();
    let (mut stuck, node) = asker(&federation).await;
    stuck.open_stuck_streams(node, TOO_MANY_STREAMS, HELD_STREAMS).await;
    // On the same connection, on others, and by kad itself for others.
    for _ in 0..10 {
        assert!(resolved(&mut stuck, node, own).await.is_some());
    }
    let stuck = stuck.at_work();
    let (mut other, _) = asker(&federation).await;
    assert!(resolved(&mut other, node, own).await.is_some());
    assert!(got(&mut other, own).await.is_some());
    assert!(federation.nodes[0].node.dht.status().await.is_some_and(|status| status.connected >= 2));
    drop(stuck);
}

/// A peer id costs nothing, and kad's streams are bounded by connection: so connections are bounded by peer.
#[tokio::test(flavor = "multi_thread")]
async fn one_peer_opens_no_more_than_four_connections() {
    let federation = Federation::of(1, 0, 200).await;
    let (mut stranger, node) = asker(&federation).await;
    // Of nine connections four stand. The others are refused when they come, not closed later for being quiet.
    let at = &federation.bootstrap()[0];
    let refused = stranger.dial_again(at, 8, 5);
    tokio::time::timeout(Duration::from_secs(15), refused).await.expect("five are refused");
    assert!(resolved(&mut stranger, node, grid(215)).await.is_none());
}
