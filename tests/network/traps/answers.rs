//! What a liar, a sleeper or a straggler answers, and what comes of it.

use super::super::federation::{Federation, eventually, own_network};
use super::super::records::{grid, record, record_at};
use super::super::stranger::{Answers, Stranger};
use lafs_clearinghouse::clock::Clock;
use lafs_clearinghouse::dht::Finding;
use lafs_clearinghouse::dht::message::{Body, Request, WireVerdict};
use lafs_clearinghouse::dht::server::{Point, Server};
use lafs_clearinghouse::keys::GridId;
use lafs_clearinghouse::node::Client;
use lafs_clearinghouse::resolver::{Policy, Question, ResolveError};
use lafs_clearinghouse::units::Seconds;
use libp2p::identity::Keypair;
use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId};
use std::net::UdpSocket;
use std::sync::{Arc, Mutex};
use std::time::Duration;

fn question(grid: GridId, policy: Policy) -> Question {
    Question { grid, policy, deadline: Duration::from_secs(20) }
}

/// Answers as somebody who holds `record` and knows nobody.
fn holder_of(record: Option<Vec<u8>>) -> Answers {
    Box::new(move |_, request| {
        Some(match request {
            Request::Resolve { .. } => Body::Found { record: record.clone(), evidence: Vec::new(), nearer: Vec::new() },
            Request::Store { .. } => Body::Verdict { verdict: WireVerdict::Stored, newer: None },
            Request::Servers { .. } => Body::Servers { page: Vec::new(), more: false },
            _ => Body::Unsupported,
        })
    })
}

/// A server that takes its time.
#[expect(clippy::disallowed_methods, reason = "no test waits for it")]
fn slow(time: Duration) {
    std::thread::sleep(time);
}

async fn stranger(answers: Answers) -> Stranger {
    Stranger::listening(own_network(), answers).await
}

/// The server at these addresses.
fn server(addr: &Multiaddr) -> Server {
    let mut addr = addr.clone();
    let Some(Protocol::P2p(peer)) = addr.pop() else { panic!("an address with a peer id") };
    Server { peer, addrs: vec![addr] }
}

/// A client that knows these servers alone.
async fn client_of(federation: &Federation, servers: Vec<Server>) -> Client {
    let client = federation.client("client", Vec::new()).await;
    client.dht.note(servers).await;
    client
}

/// The peer id of nobody, nearer to a grid's record than `than`.
fn nearer_than(than: PeerId, grid: GridId) -> PeerId {
    key_nearer_than(than, grid).public().to_peer_id()
}

fn key_nearer_than(than: PeerId, grid: GridId) -> Keypair {
    let target = Point::of(grid.record_key().as_bytes());
    let distance = |peer: PeerId| target.distance(&Point::of(&peer.to_bytes()));
    loop {
        let key = Keypair::generate_ed25519();
        if distance(key.public().to_peer_id()) < distance(than) {
            return key;
        }
    }
}

/// kad acknowledges every PUT, and a liar every question: a publisher counts those alone from whom it read the record.
#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledgement_without_a_copy_is_no_holder() {
    let federation = Federation::of(2, 1, 200).await;
    federation.published().await;
    let mut liar = stranger(holder_of(None)).await;
    liar.meet(&federation.bootstrap()[0]).await;
    let _liar = liar.at_work();
    let publisher = federation.nodes[0].node.publisher.as_ref().unwrap();
    let receipt = eventually(async || {
        let receipt = publisher.publish().await.unwrap();
        (receipt.asked == 2).then_some(receipt)
    })
    .await;
    assert_eq!((receipt.holders, receipt.servers_known), (1, 2), "the liar said that it had stored it");
    assert!(!receipt.is_wide());
}

/// kad's client does not look whether the key of an answer is the key that was asked for.
#[tokio::test(flavor = "multi_thread")]
async fn a_valid_record_of_another_grid_is_no_answer() {
    let federation = Federation::of(1, 0, 200).await;
    let liar = stranger(holder_of(Some(record(200).signed().bytes().to_vec()))).await;
    let client = client_of(&federation, vec![server(&liar.addr())]).await;
    let _liar = liar.at_work();
    let error = client.resolver.resolve(question(grid(201), Policy::Fast)).await.unwrap_err();
    assert!(matches!(error, ResolveError::NotFound { asked: 1, .. }), "{error}");
    assert!(client.dht.row(&grid(201)).await.is_none());
    let answer = client.resolver.resolve(question(grid(200), Policy::Fast)).await.unwrap();
    assert_eq!(answer.record, record(200), "where it belongs, it is one");
}

/// kad waits ten seconds for a peer that says nothing, with three of them open at a time: three dead peers stall a walk.
#[tokio::test(flavor = "multi_thread")]
async fn servers_that_are_silent_do_not_hold_up_the_one_that_answers() {
    let federation = Federation::of(1, 0, 200).await;
    let honest = server(&federation.bootstrap()[0]);
    let grid = grid(202);
    // Where datagrams arrive and nobody answers: the slowest way not to be there.
    let sockets: Vec<UdpSocket> = (0..4).map(|_| UdpSocket::bind((own_network(), 0)).unwrap()).collect();
    let silent = sockets.iter().map(|socket| {
        let at = socket.local_addr().unwrap();
        let addr = format!("/ip4/{}/udp/{}/quic-v1", at.ip(), at.port()).parse().unwrap();
        Server { peer: nearer_than(honest.peer, grid), addrs: vec![addr] }
    });
    let client = client_of(&federation, silent.chain([honest.clone()]).collect()).await;
    let mut findings = client.dht.lookup(grid, 20);
    match findings.recv().await {
        Some(Finding::Answer { server, .. }) => assert_eq!(server.peer, honest.peer),
        other => panic!("the walk waited for the dead: {other:?}"),
    }
}

/// kad's GET goes on until twenty have answered, however early the first valid record came.
#[tokio::test(flavor = "multi_thread")]
async fn the_first_valid_answer_ends_a_fast_question() {
    let federation = Federation::of(1, 0, 200).await;
    let held = record(206);
    federation.nodes[0].node.dht.offer(held.signed()).await;
    // It holds the record too, is asked at once, and comes with it when the other has long given its own.
    let mut as_holder = holder_of(Some(held.signed().bytes().to_vec()));
    let slow = stranger(Box::new(move |peer, request| {
        slow(Duration::from_secs(1));
        as_holder(peer, request)
    }))
    .await;
    let client = client_of(&federation, vec![server(&slow.addr()), server(&federation.bootstrap()[0])]).await;
    let _slow = slow.at_work();
    let answer = client.resolver.resolve(question(grid(206), Policy::Fast)).await.unwrap();
    assert_eq!((answer.agreeing_holders, answer.record), (1, held));
}

/// kad answers from its own store first, and calls that an answer of the network.
#[tokio::test(flavor = "multi_thread")]
async fn our_own_copy_is_not_the_newest_because_it_is_ours() {
    let federation = Federation::of(1, 0, 200).await;
    let now = Clock::system().now();
    let (old, new) = (record_at(203, now.minus(Seconds(60))), record_at(203, now));
    federation.nodes[0].node.dht.offer(new.signed()).await;
    let client = client_of(&federation, vec![server(&federation.bootstrap()[0])]).await;
    client.dht.offer(old.signed()).await;
    let answer = client.resolver.resolve(question(grid(203), Policy::Fresh)).await.unwrap();
    assert_eq!(answer.record, new);
}

/// kad leaves it to the asking side to correct whoever holds an older record.
#[tokio::test(flavor = "multi_thread")]
async fn a_holder_of_an_older_record_is_given_the_newest() {
    let federation = Federation::of(1, 0, 200).await;
    let now = Clock::system().now();
    let (old, new) = (record_at(204, now.minus(Seconds(60))), record_at(204, now));
    federation.nodes[0].node.dht.offer(new.signed()).await;
    let given: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
    let mut as_holder = holder_of(Some(old.signed().bytes().to_vec()));
    let note = given.clone();
    // A stranger, so that what it gets comes from the repair: our own nodes would fetch it by comparing books.
    let stale = stranger(Box::new(move |peer, request| {
        match &request {
            Request::Store { record, .. } => note.lock().unwrap().push(record.clone()),
            _ => slow(Duration::from_millis(300)),
        }
        as_holder(peer, request)
    }))
    .await;
    let client = client_of(&federation, vec![server(&stale.addr()), server(&federation.bootstrap()[0])]).await;
    let _stale = stale.at_work();
    let answer = client.resolver.resolve(question(grid(204), Policy::Fresh)).await.unwrap();
    assert_eq!(answer.record, new);
    eventually(async || given.lock().unwrap().contains(&new.signed().bytes().to_vec()).then_some(())).await;
}

/// kad counts its quorum against twenty replicas, however few peers there are.
#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_are_enough_to_publish() {
    for limit in [200, 0] {
        let federation = Federation::of(2, 1, limit).await;
        let receipts = federation.published().await;
        assert_eq!((receipts[0].holders, receipts[0].networks), (1, 1));
    }
}

/// kad's disjoint paths begin with the same peers, and so end with the same liar.
#[tokio::test(flavor = "multi_thread")]
async fn a_liar_that_names_nearer_servers_who_do_not_exist_hides_nobody() {
    let federation = Federation::new(200);
    let held = record(205);
    let holder = stranger(holder_of(Some(held.signed().bytes().to_vec()))).await;
    let names = |nearer: Vec<Server>| -> Answers {
        Box::new(move |_, request| {
            Some(match request {
                Request::Resolve { .. } => Body::Found { record: None, evidence: Vec::new(), nearer: nearer.clone() },
                _ => Body::Unsupported,
            })
        })
    };
    let guide = stranger(names(vec![server(&holder.addr())])).await;
    let at = own_network();
    let fakes = (1..=20).map(|port| Server {
        peer: nearer_than(holder.peer, grid(205)),
        addrs: vec![format!("/ip4/{at}/tcp/{port}").parse().unwrap()],
    });
    // The liar is nearer than whom it hides, so that it is asked first, whoever names the other.
    let liar = Stranger::with_key(key_nearer_than(holder.peer, grid(205)), own_network(), names(fakes.collect())).await;
    let client = client_of(&federation, vec![server(&liar.addr()), server(&guide.addr())]).await;
    let _at_work = [liar.at_work(), guide.at_work(), holder.at_work()];
    let answer = client.resolver.resolve(question(grid(205), Policy::Fast)).await.unwrap();
    assert_eq!(answer.record, held);
}
