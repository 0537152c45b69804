//! Who holds a record: whoever comes later, and whoever speaks nothing but kad-dht.

use super::federation::{Federation, eventually};
use futures::StreamExt;
use lafs_clearinghouse::dht::kad_protocol;
use lafs_clearinghouse::keys::{GridId, SecretKey};
use lafs_clearinghouse::record::{RecordDraft, Signer};
use lafs_clearinghouse::resolver::{Policy, Question, ResolveError};
use lafs_clearinghouse::units::UnixSeconds;
use libp2p::kad::store::MemoryStore;
use libp2p::kad::{self, GetRecordOk, QueryResult, Quorum};
use libp2p::swarm::SwarmEvent;
use libp2p::{Multiaddr, Swarm, SwarmBuilder};
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_comes_later_fetches_every_record() {
    let mut federation = Federation::of(4, 3, 200).await;
    federation.published().await;
    let grids: Vec<GridId> = federation.nodes.iter().filter_map(|member| member.grid).collect();
    // Its publishers are gone before it comes: what it gets, it gets from a holder that has nothing of its own.
    for member in federation.nodes.drain(1..3) {
        member.node.stop().await;
    }
    let late = &federation.join(false).await.node;
    for grid in grids {
        eventually(async || late.dht.row(&grid).await).await;
    }
}

/// A node of somebody else's: plain kad-dht, no protocol of ours.
fn plain_kad_peer(network: &str, addr: Multiaddr) -> Swarm<kad::Behaviour<MemoryStore>> {
    let mut swarm = SwarmBuilder::with_new_identity()
        .with_tokio()
        .with_quic()
        .with_behaviour(|key| {
            let peer = key.public().to_peer_id();
            let config = kad::Config::new(kad_protocol(&network.parse().unwrap()));
            kad::Behaviour::with_config(peer, MemoryStore::new(peer), config)
        })
        .unwrap()
        .build();
    let Some(libp2p::multiaddr::Protocol::P2p(peer)) = addr.iter().last() else { panic!("an address with a peer id") };
    swarm.behaviour_mut().add_address(&peer, addr);
    swarm
}

/// The first result that `is_it`; others are the progress of earlier queries.
async fn result_of(
    swarm: &mut Swarm<kad::Behaviour<MemoryStore>>,
    is_it: impl Fn(&QueryResult) -> bool,
) -> QueryResult {
    let result = tokio::time::timeout(Duration::from_secs(30), async {
        loop {
            if let SwarmEvent::Behaviour(kad::Event::OutboundQueryProgressed { result, .. }) =
                swarm.select_next_some().await
                && is_it(&result)
            {
                return result;
            }
        }
    });
    result.await.expect("the query ends")
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_kad_gets_our_bytes_and_puts_a_record_that_resolves() {
    let federation = Federation::of(3, 1, 200).await;
    federation.published().await;
    let grid = federation.nodes[0].grid.unwrap();
    let held = federation.nodes[1].node.dht.row(&grid).await.unwrap().record;
    let mut peer = plain_kad_peer("test", federation.bootstrap()[0].clone());

    peer.behaviour_mut().get_record(kad::RecordKey::new(&grid.record_key().as_bytes()));
    match result_of(&mut peer, |result| matches!(result, QueryResult::GetRecord(_))).await {
        QueryResult::GetRecord(Ok(GetRecordOk::FoundRecord(found))) => assert_eq!(found.record.value, held.bytes()),
        other => panic!("{other:?}"),
    }

    let key = SecretKey::from_seed(&[77; 32]);
    let theirs = GridId::new(key.public());
    #[expect(clippy::disallowed_methods, reason = "a record of somebody else's, signed now")]
    let now = UnixSeconds(std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs());
    let signer = Signer::Grid { key: &key, serial: now };
    let record = RecordDraft::new(theirs).sign(signer, None, &[], now).unwrap();
    let forged_grid = GridId::new(SecretKey::from_seed(&[78; 32]).public());
    // The same signed bytes under another grid's key, and in their right place with a life of one second.
    for (grid, expires) in [(forged_grid, None), (theirs, Some(Duration::from_secs(1)))] {
        let put = kad::Record {
            key: kad::RecordKey::new(&grid.record_key().as_bytes()),
            value: record.signed().bytes().to_vec(),
            publisher: None,
            expires: expires.map(|life| std::time::Instant::now() + life),
        };
        peer.behaviour_mut().put_record(put, Quorum::One).unwrap();
        let answer = result_of(&mut peer, |result| matches!(result, QueryResult::PutRecord(_))).await;
        assert!(matches!(answer, QueryResult::PutRecord(Ok(_))), "acknowledged either way: {answer:?}");
    }
    let client = federation.client("client", federation.bootstrap()).await;
    let question = |grid| Question { grid, policy: Policy::Fast, deadline: Duration::from_secs(20) };
    let answer = client.resolver.resolve(question(theirs)).await.unwrap();
    assert_eq!(answer.record, record);
    let error = client.resolver.resolve(question(forged_grid)).await.unwrap_err();
    assert!(matches!(error, ResolveError::NotFound { .. }), "{error}");
}
