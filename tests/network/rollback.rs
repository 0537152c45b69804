//! Nobody gets a reader to go back below what it has seen.

use super::federation::Federation;
use super::grids::Grid;
use super::servers::{Scripted, found};
use lafs_clearinghouse::node::Client;
use lafs_clearinghouse::record::GridRecord;
use lafs_clearinghouse::resolver::{Answer, Policy, ResolveError};

const GRID: Grid = Grid(1);

async fn ask(client: &Client, policy: Policy) -> Result<Answer, ResolveError> {
    client.resolver.resolve(GRID.question(policy)).await
}

/// A client in `name` that knows these servers only.
async fn client(federation: &Federation, name: &str, servers: &[&Scripted]) -> Client {
    federation.client(name, servers.iter().map(|server| server.addr.clone()).collect()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_seen_once_is_the_floor_for_ever() {
    let federation = Federation::new(0);
    let (older, seen) = (GRID.plain(0), GRID.plain(1));
    let honest_one = Scripted::holding(Some(&seen)).await;
    let reader = client(&federation, "reader", &[&honest_one]).await;
    assert_eq!(ask(&reader, Policy::Fast).await.unwrap().record, seen);
    reader.stop().await;
    drop(honest_one);

    // All whom it meets from now on hold the older one. It has its own copy, and then only its floor.
    let stale: Vec<Scripted> = futures::future::join_all((0..4).map(|_| Scripted::holding(Some(&older)))).await;
    let stale: Vec<&Scripted> = stale.iter().collect();
    let reader = client(&federation, "reader", &stale).await;
    for policy in [Policy::Cached, Policy::Fast, Policy::Fresh] {
        assert_eq!(ask(&reader, policy).await.unwrap().record, seen, "{policy}");
    }
    reader.stop().await;
    std::fs::remove_dir_all(federation.home("reader").store()).unwrap();
    for _restart in 0..2 {
        let reader = client(&federation, "reader", &stale).await;
        for policy in [Policy::Fast, Policy::Fresh] {
            let outcome = ask(&reader, policy).await;
            let floor = seen.signed().sequence();
            assert!(
                matches!(outcome, Err(ResolveError::RolledBack { floor: f, .. }) if f == floor),
                "{policy}: {outcome:?}"
            );
        }
        let outcome = ask(&reader, Policy::Cached).await;
        assert!(matches!(outcome, Err(ResolveError::NotFound { .. })), "{outcome:?}");
        reader.stop().await;
    }
    let stranger = client(&federation, "stranger", &stale).await;
    assert_eq!(ask(&stranger, Policy::Fast).await.unwrap().record, older, "who never saw the newer cannot know");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_grid_has_shown_is_found_though_nobody_holds_it_yet() {
    let federation = Federation::new(0);
    let (published, shown) = (GRID.plain(0), GRID.plain(1));
    let holder = Scripted::holding(Some(&published)).await;
    let reader = client(&federation, "reader", &[&holder]).await;
    assert_eq!(ask(&reader, Policy::Fast).await.unwrap().record, published);
    reader.resolver.admits_shown(&shown).await.unwrap();
    for policy in [Policy::Cached, Policy::Fast, Policy::Fresh] {
        assert_eq!(ask(&reader, policy).await.unwrap().record, shown, "{policy}");
    }
    let refused = reader.resolver.admits_shown(&published).await;
    assert!(matches!(refused, Err(ResolveError::RolledBack { .. })), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_records_of_one_rank_the_newer_is_the_floor() {
    let federation = Federation::new(0);
    let mut twins = ["one", "two"].map(|name| GRID.sign(0, |draft| draft.nickname = Some(name.parse().unwrap())));
    if twins[0].signed().supersedes(twins[1].signed()) {
        twins.reverse();
    }
    let [older, newer] = twins;
    assert!(newer.signed().supersedes(older.signed()));
    let honest_one = Scripted::holding(Some(&newer)).await;
    let reader = client(&federation, "reader", &[&honest_one]).await;
    assert_eq!(ask(&reader, Policy::Fast).await.unwrap().record, newer);
    reader.stop().await;
    std::fs::remove_dir_all(federation.home("reader").store()).unwrap();
    let stale = Scripted::holding(Some(&older)).await;
    let reader = client(&federation, "reader", &[&stale]).await;
    let outcome = ask(&reader, Policy::Fast).await;
    assert!(matches!(outcome, Err(ResolveError::RolledBack { .. })), "{outcome:?}");
}

/// Five that lie, each in its own way.
async fn liars(older: &GridRecord) -> Vec<Scripted> {
    let newest = GRID.plain(50).signed().bytes().to_vec();
    let mut forged = newest.clone();
    *forged.last_mut().unwrap() ^= 1;
    let foreign = Grid(2).plain(60).signed().bytes().to_vec();
    let future = GRID.plain(86_400).signed().bytes().to_vec();
    let mut padded = newest;
    padded.extend([0; 200]);
    let give =
        |bytes: Vec<u8>| Scripted::new(move |request| found(request, Some(bytes.clone()), vec![bytes.clone(); 2]));
    vec![
        Scripted::holding(None).await,
        Scripted::holding(Some(older)).await,
        give(forged).await,
        give(foreign).await,
        give(future).await,
        give(padded).await,
        Scripted::new(|_| vec![0xa1; 70_000]).await,
        Scripted::new(|_| b"\xff no message".to_vec()).await,
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn liars_are_neither_believed_nor_in_the_way() {
    let federation = Federation::new(0);
    let (older, newest) = (GRID.plain(0), GRID.plain(1));
    let liars = liars(&older).await;
    let truthful = Scripted::holding(Some(&newest)).await;
    let among: Vec<&Scripted> = liars.iter().chain([&truthful]).collect();
    let reader = client(&federation, "reader", &among).await;
    let fresh = ask(&reader, Policy::Fresh).await.unwrap();
    assert_eq!((&fresh.record, fresh.agreeing_holders), (&newest, 1));
    assert!(fresh.evidence.is_empty(), "{:?}", fresh.evidence);
    reader.stop().await;
    // Without the one that tells the truth, and without a copy: the floor holds against them all.
    std::fs::remove_dir_all(federation.home("reader").store()).unwrap();
    let reader = client(&federation, "reader", &liars.iter().collect::<Vec<_>>()).await;
    for policy in [Policy::Fast, Policy::Fresh] {
        let outcome = ask(&reader, policy).await;
        assert!(matches!(outcome, Err(ResolveError::RolledBack { .. })), "{policy}: {outcome:?}");
    }
    // A stranger gets the older one from them at worst, which is good and signed; never what is forged.
    let stranger = client(&federation, "stranger", &liars.iter().collect::<Vec<_>>()).await;
    assert_eq!(ask(&stranger, Policy::Fresh).await.unwrap().record, older);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_in_a_large_network_does_not_believe_what_it_was_handed() {
    // No network is held whole here: what a stranger stores with a server may be old.
    let federation = Federation::of(3, 0, 0).await;
    federation.acquainted().await;
    let (older, newest) = (GRID.plain(0), GRID.plain(1));
    let [asked, ..] = &federation.nodes[..] else { panic!("three nodes") };
    asked.node.dht.offer(older.signed()).await;
    for member in &federation.nodes[1..] {
        member.node.dht.offer(newest.signed()).await;
    }
    let answer = asked.node.resolver.resolve(GRID.question(Policy::Fast)).await.unwrap();
    assert_eq!(answer.record, newest);
}
