//! How one begins: from addresses of which nobody knows who is there, and with servers that somebody only names.

use super::federation::{Federation, eventually, own_network};
use super::records::{grid, record};
use super::servers::{Scripted, honest};
use super::stranger::Stranger;
use lafs_clearinghouse::dht::message::{BUCKETS, Body, BucketDigest, Request};
use lafs_clearinghouse::dht::server::Server;
use lafs_clearinghouse::resolver::{Policy, Question, ResolveError};
use libp2p::identity::Keypair;
use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId};
use std::net::UdpSocket;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::timeout;

/// A question that nobody would wait for to its end.
fn question(seed: u16) -> Question {
    Question { grid: grid(seed), policy: Policy::Fast, deadline: Duration::from_secs(3_600) }
}

/// As an operator writes it who does not know the peer id.
fn without_peer(addr: &Multiaddr) -> Multiaddr {
    let mut addr = addr.clone();
    assert!(matches!(addr.pop(), Some(Protocol::P2p(_))));
    addr
}

/// A server made by hand never introduces itself: it speaks no identify.
#[tokio::test(flavor = "multi_thread")]
async fn who_never_says_who_it_is_costs_one_questions_time_and_hides_nobody() {
    let federation = Federation::new(200);
    let (_never, open) = watch::channel(false);
    let mute = Scripted::behind(open, |request| honest(request, None)).await;
    let client = federation.client("alone-with-it", vec![without_peer(&mute.addr)]).await;
    let asked = timeout(Duration::from_secs(60), client.resolver.resolve(question(400))).await;
    let error = asked.expect("it is given up").unwrap_err();
    assert!(matches!(error, ResolveError::Unreachable { tried: 1 }), "{error}");
    // With another beside it, whoever is the first to connect.
    let held = record(400);
    let holder = Scripted::holding(Some(&held)).await;
    let begin = vec![without_peer(&mute.addr), without_peer(&holder.addr)];
    let client = federation.client("with-another", begin).await;
    let answer = timeout(Duration::from_secs(60), client.resolver.resolve(question(400))).await;
    assert_eq!(answer.expect("nobody waits for the mute one").unwrap().record, held);
}

/// Whoever begins with two addresses, one of which is of no use, waits for the other.
#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_leads_to_no_server_does_not_end_the_search() {
    let federation = Federation::new(200);
    let held = record(401);
    let holder = Scripted::holding(Some(&held)).await;
    // It speaks the protocol of another network: a question to it fails at once.
    let elsewhere = Stranger::of_network("elsewhere", own_network()).await;
    let wrong = without_peer(&elsewhere.addr());
    let _elsewhere = elsewhere.at_work();
    let client = federation.client("wrong-only", vec![wrong.clone()]).await;
    let asked = timeout(Duration::from_secs(60), client.resolver.resolve(question(401))).await;
    let error = asked.expect("it is given up").unwrap_err();
    assert!(matches!(error, ResolveError::Unreachable { .. }), "{error}");
    let client = federation.client("wrong-first", vec![wrong, without_peer(&holder.addr)]).await;
    let answer = timeout(Duration::from_secs(60), client.resolver.resolve(question(401))).await;
    assert_eq!(answer.expect("the other one answers").unwrap().record, held);
}

/// A network counts as small, and is held whole, by how many servers there are: whoever names a crowd of made-up ones to a
/// node must not talk it out of that.
#[tokio::test(flavor = "multi_thread")]
async fn made_up_servers_do_not_make_a_small_network_a_large_one() {
    const LIMIT: usize = 5;
    const MADE_UP: usize = 20;
    let mut federation = Federation::of(2, 0, LIMIT).await;
    federation.acquainted().await;
    // Where datagrams arrive and nobody answers: until they are dialled, and for as long as that takes, they are known.
    let sockets: Vec<UdpSocket> = (0..MADE_UP).map(|_| UdpSocket::bind((own_network(), 0)).unwrap()).collect();
    let crowd: Vec<Server> = sockets
        .iter()
        .map(|socket| {
            let at = socket.local_addr().unwrap();
            let addr = format!("/ip4/{}/udp/{}/quic-v1", at.ip(), at.port()).parse().unwrap();
            Server { peer: Keypair::generate_ed25519().public().to_peer_id(), addrs: vec![addr] }
        })
        .collect();
    let mut page = crowd.clone();
    page.sort_by_key(|server| server.peer);
    let answers = move |_: PeerId, request: Request| {
        Some(match request {
            Request::Servers { .. } => Body::Servers { page: page.clone(), more: false },
            Request::Digest => Body::Digest { buckets: Box::new([BucketDigest::default(); BUCKETS]) },
            _ => Body::Unsupported,
        })
    };
    let mut liar = Stranger::listening(own_network(), Box::new(answers)).await;
    // One that has asked nobody for a list yet.
    let node = &federation.join(false).await.node;
    let at = super::federation::addrs(node).await.remove(0);
    liar.meet(&at).await;
    let _liar = liar.at_work();
    let is_made_up = |server: &Server| crowd.iter().any(|made_up| made_up.peer == server.peer);
    eventually(async || {
        let known = node.dht.servers().await;
        (known.iter().filter(|server| is_made_up(server)).count() > LIMIT).then_some(())
    })
    .await;
    eventually(async || node.dht.holds_whole_network().then_some(())).await;
    let known = node.dht.servers().await.iter().filter(|server| is_made_up(server)).count();
    assert!(known > LIMIT, "the test came too late: {known} are left");
}
