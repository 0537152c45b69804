//! Grids that move, and grids that withdraw.

use super::federation::Federation;
use super::grids::Grid;
use lafs_clearinghouse::node::Client;
use lafs_clearinghouse::record::{GridRecord, RecordDraft};
use lafs_clearinghouse::resolver::{Answer, Policy, ResolveError};

async fn hold(federation: &Federation, records: &[&GridRecord]) {
    for member in &federation.nodes {
        for record in records {
            member.node.dht.offer(record.signed()).await;
        }
    }
}

async fn fresh(client: &Client, grid: Grid) -> Result<Answer, ResolveError> {
    client.resolver.resolve(grid.question(Policy::Fresh)).await
}

/// Why a question ended with "moved".
#[track_caller]
fn reason(outcome: Result<Answer, ResolveError>) -> String {
    match outcome {
        Err(ResolveError::Moved { source, .. }) => source.to_string(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_successor_is_followed_only_as_far_as_it_is_vouched_for() {
    let federation = Federation::of(3, 0, 200).await;
    let client = federation.client("client", federation.bootstrap()).await;
    let moves = |from: Grid, to: Grid| from.sign(9, |draft| draft.successor = Some(to.id()));
    let heir = |of: Grid, from: Grid| of.sign(9, |draft| draft.predecessor = Some(from.id()));
    let announces = |from: Grid, to: Grid| from.sign(1, |draft| draft.next = to.announced());

    // As it should be: announced, then moved, and acknowledged.
    let (a, b) = (Grid(1), Grid(2));
    hold(&federation, &[&announces(a, b), &heir(b, a)]).await;
    let before = fresh(&client, a).await.unwrap();
    assert_eq!((before.record.grid(), before.moved_from), (&a.id(), None));
    hold(&federation, &[&moves(a, b)]).await;
    let after = fresh(&client, a).await.unwrap();
    assert_eq!((after.record.grid(), after.moved_from), (&b.id(), Some(a.id())));
    let in_place = client.resolver.resolve_in_place(a.question(Policy::Fresh)).await.unwrap();
    assert_eq!((in_place.record.grid(), in_place.moved_from), (&a.id(), None));

    // Never announced; announced otherwise; announced twice; not acknowledged; not to be found.
    let (c, d) = (Grid(3), Grid(4));
    hold(&federation, &[&moves(c, d), &heir(d, c)]).await;
    assert!(reason(fresh(&client, c).await).contains("had not announced any key"));
    let (e, f, g) = (Grid(5), Grid(6), Grid(7));
    hold(&federation, &[&announces(e, f)]).await;
    fresh(&client, e).await.unwrap();
    hold(&federation, &[&moves(e, g), &heir(g, e)]).await;
    assert!(reason(fresh(&client, e).await).contains("had announced another key"));
    let (h, i, j) = (Grid(8), Grid(9), Grid(10));
    for next in [i, j] {
        hold(&federation, &[&h.sign(1 + u64::from(next.0), |draft| draft.next = next.announced())]).await;
        fresh(&client, h).await.unwrap();
    }
    hold(&federation, &[&h.sign(99, |draft| draft.successor = Some(i.id())), &heir(i, h)]).await;
    assert!(reason(fresh(&client, h).await).contains("two different keys were announced"));
    let (k, l) = (Grid(11), Grid(12));
    hold(&federation, &[&announces(k, l), &l.plain(0)]).await;
    fresh(&client, k).await.unwrap();
    hold(&federation, &[&moves(k, l)]).await;
    assert!(reason(fresh(&client, k).await).contains("does not name"));
    let (m, n) = (Grid(13), Grid(14));
    hold(&federation, &[&announces(m, n)]).await;
    fresh(&client, m).await.unwrap();
    hold(&federation, &[&moves(m, n)]).await;
    assert!(reason(fresh(&client, m).await).contains("its own record cannot be had"));
    // What was refused by one policy is refused by the others.
    for policy in [Policy::Cached, Policy::Fast] {
        assert!(reason(client.resolver.resolve(e.question(policy)).await).contains("had announced another key"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn circles_and_long_chains_of_successors_are_refused() {
    let federation = Federation::of(2, 0, 200).await;
    let client = federation.client("client", federation.bootstrap()).await;
    /// Every grid of the row moves to the next one, all announced and acknowledged.
    fn link(draft: &mut RecordDraft, before: Option<Grid>, after: Option<Grid>) {
        draft.predecessor = before.map(Grid::id);
        draft.successor = after.map(Grid::id);
        draft.next = after.and_then(Grid::announced);
    }
    let (a, b) = (Grid(1), Grid(2));
    hold(
        &federation,
        &[&a.sign(1, |draft| link(draft, Some(b), Some(b))), &b.sign(1, |draft| link(draft, Some(a), Some(a)))],
    )
    .await;
    assert!(reason(fresh(&client, a).await).contains("in a circle"));

    let row: Vec<Grid> = (10..16).map(Grid).collect();
    for (n, grid) in row.iter().enumerate() {
        let before = n.checked_sub(1).map(|n| row[n]);
        let record = grid.sign(1, |draft| link(draft, before, row.get(n + 1).copied()));
        hold(&federation, &[&record]).await;
    }
    assert!(reason(fresh(&client, row[0]).await).contains("moves in a row"));
    let four_moves = fresh(&client, row[1]).await.unwrap();
    assert_eq!((four_moves.record.grid(), four_moves.moved_from), (&row[5].id(), Some(row[1].id())));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawal_is_final_whatever_the_holders_say_afterwards() {
    let mut federation = Federation::of(3, 0, 200).await;
    federation.acquainted().await;
    let grid = Grid(1);
    let (good, withdrawn) = (grid.plain(0), grid.sign(1, |draft| draft.withdrawn = true));
    // Later than the withdrawal, and no more worth than before it.
    let later = grid.plain(2);
    hold(&federation, &[&good]).await;
    let client = federation.client("client", federation.bootstrap()).await;
    assert_eq!(fresh(&client, grid).await.unwrap().record, good);
    hold(&federation, &[&withdrawn]).await;
    let is_withdrawn = async |client: &Client| {
        for policy in [Policy::Fresh, Policy::Fast, Policy::Cached] {
            let outcome = client.resolver.resolve(grid.question(policy)).await;
            assert!(matches!(outcome, Err(ResolveError::Withdrawn { .. })), "{policy}: {outcome:?}");
        }
    };
    is_withdrawn(&client).await;
    client.stop().await;
    // A stranger who has never seen it learns it from holders that were restarted.
    for n in 0..3 {
        federation.start_over(n).await;
    }
    hold(&federation, &[&later]).await;
    is_withdrawn(&federation.client("stranger", federation.bootstrap()).await).await;
    // The reader that saw it believes no holder that has forgotten it.
    let mut forgetful = Federation::new(200);
    forgetful.join(false).await;
    hold(&forgetful, &[&later]).await;
    let again = federation.client("client", forgetful.bootstrap()).await;
    is_withdrawn(&again).await;
    assert_eq!(fresh(&forgetful.client("other", forgetful.bootstrap()).await, grid).await.unwrap().record, later);
}
