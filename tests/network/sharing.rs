//! Questions that share a query, and "not found" that is remembered for some seconds.

use super::federation::{Federation, eventually};
use super::grids::Grid;
use super::servers::{Scripted, honest};
use lafs_clearinghouse::clock::Clock;
use lafs_clearinghouse::resolver::{Policy, Question, ResolveError};
use std::time::Duration;
use tokio::sync::watch;

const GRID: Grid = Grid(1);

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_questions_for_one_grid_are_one_walk() {
    let federation = Federation::new(0);
    let record = GRID.plain(0);
    let (open, gate) = watch::channel(false);
    let mut servers = Vec::new();
    for _ in 0..5 {
        let held = record.clone();
        servers.push(Scripted::behind(gate.clone(), move |request| honest(request, Some(&held))).await);
    }
    let client = federation.client("client", servers.iter().map(|server| server.addr.clone()).collect()).await;
    let ask = |policy| {
        let resolver = client.resolver.clone();
        tokio::spawn(async move { resolver.resolve(GRID.question(policy)).await })
    };
    // The one that wants the newest comes first: it may not take what was answered before it came.
    let fresh = ask(Policy::Fresh);
    eventually(async || servers.iter().any(|server| server.asked_for(GRID.id()) > 0).then_some(())).await;
    let mut questions: Vec<_> = (1..200).map(|_| ask(Policy::Fast)).collect();
    // One that is given up ends nobody else's.
    questions.remove(0).abort();
    let impatient = Question { deadline: Duration::from_millis(50), ..GRID.question(Policy::Fast) };
    let outcome = client.resolver.resolve(impatient).await;
    assert!(matches!(outcome, Err(ResolveError::Unreachable { .. })), "its own deadline: {outcome:?}");
    open.send(true).unwrap();
    for question in questions.into_iter().chain([fresh]) {
        assert_eq!(question.await.unwrap().unwrap().record, record);
    }
    for server in &servers {
        assert_eq!(server.asked_for(GRID.id()), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fresh_question_does_not_take_what_was_answered_before_it_came() {
    let federation = Federation::new(0);
    let (older, newer) = (GRID.plain(0), GRID.plain(1));
    let quick = Scripted::holding(Some(&older)).await;
    // It keeps the first query open.
    let (_open, gate) = watch::channel(false);
    let slow = Scripted::behind(gate, |request| honest(request, None)).await;
    let client = federation.client("client", vec![quick.addr.clone(), slow.addr.clone()]).await;
    assert_eq!(client.resolver.resolve(GRID.question(Policy::Fast)).await.unwrap().record, older);
    let held = newer.clone();
    quick.says(move |request| honest(request, Some(&held)));
    let fresh = tokio::spawn({
        let resolver = client.resolver.clone();
        async move { resolver.resolve(GRID.question(Policy::Fresh)).await }
    });
    eventually(async || (quick.asked_for(GRID.id()) == 2).then_some(())).await;
    drop(slow);
    assert_eq!(fresh.await.unwrap().unwrap().record, newer);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_queries_are_under_way_than_the_table_has_places() {
    let federation = Federation::new(0);
    let (open, gate) = watch::channel(false);
    let server = Scripted::behind(gate, |request| honest(request, None)).await;
    let client = federation.client("client", vec![server.addr.clone()]).await;
    let ask = |n: u16| {
        let resolver = client.resolver.clone();
        tokio::spawn(async move { resolver.resolve(Grid(n).question(Policy::Fast)).await })
    };
    let questions: Vec<_> = (0..128 + 1_024).map(ask).collect();
    // All places are taken and everybody who may wait does, once one more is turned away.
    eventually(async || {
        let one_more =
            client.resolver.resolve(Question { deadline: Duration::ZERO, ..Grid(9_999).question(Policy::Fast) });
        matches!(one_more.await, Err(ResolveError::Busy)).then_some(())
    })
    .await;
    assert!(server.grids_asked_for() <= 128, "{}", server.grids_asked_for());
    open.send(true).unwrap();
    for question in questions {
        let outcome = question.await.unwrap();
        assert!(matches!(outcome, Err(ResolveError::NotFound { asked: 1, .. })), "{outcome:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn not_found_is_remembered_for_seconds_and_never_over_a_record() {
    let federation = Federation::new(0);
    let record = GRID.plain(0);
    let server = Scripted::holding(None).await;
    let clock = Clock::adjustable();
    let client = federation.client_at("client", vec![server.addr.clone()], clock).await;
    let ask = async |policy| client.resolver.resolve(GRID.question(policy)).await;
    let not_found = |outcome, times| {
        assert!(matches!(outcome, Err(ResolveError::NotFound { asked: 1, .. })), "{outcome:?}");
        assert_eq!(server.asked_for(GRID.id()), times);
    };
    not_found(ask(Policy::Fast).await, 1);
    clock.advance(4);
    let again = ask(Policy::Fast).await;
    assert!(again.as_ref().is_err_and(|error| error.to_string().ends_with(" s ago")), "{again:?}");
    not_found(again, 1);
    not_found(ask(Policy::Fresh).await, 2);
    clock.advance(11);
    not_found(ask(Policy::Fast).await, 3);
    // It is published, and brought to us: no memory of its absence stands against it.
    client.dht.offer(record.signed()).await;
    let held = record.clone();
    server.says(move |request| honest(request, Some(&held)));
    assert_eq!(ask(Policy::Fast).await.unwrap().record, record);
    assert_eq!(server.asked_for(GRID.id()), 4);
}
