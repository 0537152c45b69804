//! Where peers say they are, and where they are.

use super::super::federation::{Federation, eventually, own_network};
use super::super::stranger::{Stranger, peer_of};
use lafs_clearinghouse::dht::message::{Body, Request, Response};
use lafs_clearinghouse::dht::server::Server;
use libp2p::PeerId;
use libp2p::identity::Keypair;
use libp2p::kad::{GetClosestPeersOk, PeerInfo, QueryResult};
use sha2::{Digest, Sha256};
use std::net::Ipv4Addr;

/// The servers that a node hands on, whoever asks.
async fn handed_on(asker: &mut Stranger, node: PeerId) -> Vec<Server> {
    match asker.ask(node, &Request::Servers { after: None }).await {
        Ok(Response { body: Body::Servers { page, more: false }, .. }) => page,
        other => panic!("{other:?}"),
    }
}

/// The peers that a node hands on by kad-dht, whoever asks.
async fn routed(asker: &mut Stranger) -> Vec<PeerInfo> {
    let query = asker.swarm.behaviour_mut().kad.get_closest_peers(PeerId::random());
    match asker.result_of(query).await {
        QueryResult::GetClosestPeers(Ok(GetClosestPeersOk { peers, .. })) => peers,
        other => panic!("{other:?}"),
    }
}

/// Silence: a stranger that only stands there.
fn mute(_: PeerId, _: Request) -> Option<Body> {
    Some(Body::Unsupported)
}

/// Whoever comes to a node may claim any address: one in each of a thousand networks, or that of somebody to be attacked.
#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_only_its_owner_claims_is_not_handed_on() {
    let federation = Federation::of(1, 0, 200).await;
    let node = &federation.bootstrap()[0];
    // Somebody listens there, and it is somebody else.
    let victim = Stranger::silent_about_itself(own_network(), Box::new(mute)).await;
    let claimed = victim.swarm.listeners().next().unwrap().clone();
    let _victim = victim.at_work();
    let mut liar = Stranger::silent_about_itself(own_network(), Box::new(mute)).await;
    liar.claim(claimed);
    liar.meet(node).await;
    let liar = liar.at_work();
    let mut honest = Stranger::listening(own_network(), Box::new(mute)).await;
    honest.meet(node).await;
    let known = eventually(async || {
        let page = handed_on(&mut honest, peer_of(node)).await;
        (!page.is_empty()).then_some(page)
    })
    .await;
    assert_eq!(known.iter().map(|server| server.peer).collect::<Vec<_>>(), [honest.peer]);
    // Dialled back, and somebody else answered.
    let dht = &federation.nodes[0].node.dht;
    eventually(async || dht.servers().await.iter().all(|server| server.peer != liar.peer).then_some(())).await;
    assert!(handed_on(&mut honest, peer_of(node)).await.iter().all(|server| server.peer != liar.peer));
    assert!(routed(&mut honest).await.iter().all(|peer| peer.peer_id != liar.peer));
}

/// A server behind an address translator speaks from another address than it is reached at.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_comes_from_elsewhere_is_dialled_back_and_known() {
    let federation = Federation::of(1, 0, 200).await;
    let node = &federation.bootstrap()[0];
    let mut server = Stranger::listening(own_network(), Box::new(mute)).await;
    server.meet_from_elsewhere(node).await;
    let at = server.swarm.listeners().next().unwrap().clone();
    let server = server.at_work();
    let mut asker = Stranger::asking();
    asker.meet(node).await;
    let known = eventually(async || {
        let page = handed_on(&mut asker, peer_of(node)).await;
        page.into_iter().find(|known| known.peer == server.peer)
    })
    .await;
    assert_eq!(known.addrs, [at]);
}

/// kad's table knows nothing of networks: whoever makes peer ids by the thousand in one place could fill every bucket.
#[tokio::test(flavor = "multi_thread")]
async fn one_network_gets_three_places_in_the_list_and_two_in_a_bucket() {
    let federation = Federation::of(1, 0, 200).await;
    let node = &federation.bootstrap()[0];
    let [a, b, c, _] = own_network().octets();
    let mut sybils = Vec::new();
    for host in 1..=6 {
        // All in the farthest bucket, as half of all ids are.
        let key = std::iter::repeat_with(Keypair::generate_ed25519)
            .find(|key| first_bit(key.public().to_peer_id()) != first_bit(peer_of(node)))
            .unwrap();
        let mut sybil = Stranger::with_key(key, Ipv4Addr::new(a, b, c, host), Box::new(mute)).await;
        sybil.meet(node).await;
        sybils.push(sybil.at_work());
    }
    let mut honest = Stranger::listening(own_network(), Box::new(mute)).await;
    honest.meet(node).await;
    let is_sybil = |peer: &PeerId| sybils.iter().any(|sybil| sybil.peer == *peer);
    let listed = eventually(async || {
        let page = handed_on(&mut honest, peer_of(node)).await;
        page.iter().any(|server| server.peer == honest.peer).then_some(page)
    })
    .await;
    assert_eq!(listed.iter().filter(|server| is_sybil(&server.peer)).count(), 3);
    assert_eq!(routed(&mut honest).await.iter().filter(|peer| is_sybil(&peer.peer_id)).count(), 2);
}

fn first_bit(peer: PeerId) -> bool {
    Sha256::digest(peer.to_bytes())[0] >= 128
}

/// kad keeps each address that it is given, and hands on all: a hundred would not fit into its own messages.
#[tokio::test(flavor = "multi_thread")]
async fn of_a_peer_that_claims_many_addresses_four_are_kept() {
    let federation = Federation::of(1, 0, 200).await;
    let node = &federation.bootstrap()[0];
    let [a, b, c, _] = own_network().octets();
    let mut boaster = Stranger::listening(Ipv4Addr::new(a, b, c, 1), Box::new(mute)).await;
    for host in 2..=9 {
        // It answers at each of them, so that none is left out for being dead.
        boaster.listen_also(Ipv4Addr::new(a, b, c, host)).await;
    }
    boaster.meet(node).await;
    let boaster = boaster.at_work();
    let mut asker = Stranger::asking();
    asker.meet(node).await;
    let listed = eventually(async || {
        let page = handed_on(&mut asker, peer_of(node)).await;
        page.into_iter().find(|server| server.peer == boaster.peer)
    })
    .await;
    assert_eq!(listed.addrs.len(), 2, "as many as travel in a message of ours");
    let routed =
        eventually(async || routed(&mut asker).await.into_iter().find(|peer| peer.peer_id == boaster.peer)).await;
    assert!(routed.addrs.len() <= 4, "{}", routed.addrs.len());
    let known = federation.nodes[0].node.dht.servers().await;
    assert!(known.iter().all(|server| server.addrs.len() <= 4), "{known:?}");
}

/// Whoever only asks holds nothing, and must be in nobody's list.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_is_nobodys_server() {
    let federation = Federation::of(2, 1, 200).await;
    federation.published().await;
    let client = federation.client("client", federation.bootstrap()).await;
    let grid = federation.nodes[0].grid.unwrap();
    let question = lafs_clearinghouse::resolver::Question {
        grid,
        policy: lafs_clearinghouse::resolver::Policy::Fast,
        deadline: std::time::Duration::from_secs(20),
    };
    client.resolver.resolve(question).await.unwrap();
    let mut asker = Stranger::asking();
    asker.meet(&federation.bootstrap()[0]).await;
    let node = peer_of(&federation.bootstrap()[0]);
    let other = federation.nodes[1].node.dht.peer_id();
    let listed = handed_on(&mut asker, node).await;
    assert_eq!(listed.iter().map(|server| server.peer).collect::<Vec<_>>(), [other]);
}
