//! Promises bind whoever made them, whatever became of the record: their proof is kept, served and handed on.

use super::federation::{Federation, eventually};
use super::grids::{Grid, begun};
use lafs_clearinghouse::keys::SecretKey;
use lafs_clearinghouse::record::{BrokenView, Delegation, DelegationDraft, GridRecord, RecordDraft, Signer};
use lafs_clearinghouse::resolver::Policy;
use lafs_clearinghouse::units::Seconds;

const GRID: Grid = Grid(1);

/// A promise until sixty days from now, by a publisher that a newer serial revokes later.
fn promised() -> GridRecord {
    let until = begun().plus(Seconds::days(60));
    let publisher = SecretKey::from_seed(&[66; 32]);
    let draft = DelegationDraft {
        serial: begun(),
        publisher: publisher.public(),
        not_after: begun().plus(Seconds::days(90)),
        next: None,
        max_limit: None,
        committed_until: Some(until),
    };
    let delegation = Delegation::issue(&GRID.key(), &draft).unwrap();
    let draft = RecordDraft {
        rates: vec![format!("0.02 USD/GiB until {until}").parse().unwrap()],
        ..RecordDraft::new(GRID.id())
    };
    draft.sign(Signer::Publisher { key: &publisher, delegation: &delegation }, None, &[], begun()).unwrap()
}

/// The grid key takes over, and asks more.
fn breaking() -> GridRecord {
    let draft = RecordDraft { rates: vec!["0.05 USD/GiB".parse().unwrap()], ..RecordDraft::new(GRID.id()) };
    let signer = Signer::Grid { key: &GRID.key(), serial: begun().plus(Seconds(60)) };
    draft.sign(signer, None, &[], begun().plus(Seconds(60))).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_proof_of_a_broken_promise_outlives_the_record_its_publisher_and_the_store() {
    let mut federation = Federation::of(3, 0, 200).await;
    let (older, newer) = (promised(), breaking());
    for record in [&older, &newer] {
        for member in &federation.nodes[..2] {
            member.node.dht.offer(record.signed()).await;
        }
    }
    let proven = |answer: &lafs_clearinghouse::resolver::Answer| {
        let (view, proof) = BrokenView::new(&answer.record, &answer.evidence, begun().plus(Seconds(60)));
        assert_eq!(proof, [&older, &newer]);
        assert_eq!((view.broken.len(), view.broken[0].broken), (1, "raised"));
        assert_eq!(view.broken[0].binding_price_per_gib.as_deref(), Some("20000000"));
    };
    let client = federation.client("client", federation.bootstrap()).await;
    proven(&client.resolver.resolve(GRID.question(Policy::Fresh)).await.unwrap());
    proven(&client.resolver.resolve(GRID.question(Policy::Cached)).await.unwrap());

    // On the disk as a file of its own, which is what is left when the store is deleted.
    for name in ["node-0", "node-1"] {
        let folder = federation.home(name).evidence_of(&GRID.id());
        let is_there = || {
            let mut files = std::fs::read_dir(&folder).into_iter().flatten().flatten();
            files.any(|file| std::fs::read(file.path()).is_ok_and(|bytes| bytes == older.signed().bytes()))
        };
        eventually(async || is_there().then_some(())).await;
    }
    for n in 0..2 {
        let (dir, node) = federation.stop(n).await;
        std::fs::remove_dir_all(dir.store()).unwrap();
        federation.start_again(n, node).await;
        federation.nodes[n].node.dht.offer(newer.signed()).await;
    }
    let stranger = federation.client("stranger", federation.bootstrap()).await;
    proven(&stranger.resolver.resolve(GRID.question(Policy::Fresh)).await.unwrap());

    // Whoever comes later has it too, from holders that compare their books.
    let late = &federation.join(false).await.node;
    eventually(async || late.dht.evidence(&GRID.id()).await.into_iter().find(|proof| *proof == older)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_keeps_the_promise_that_only_a_stale_holder_remembers() {
    let federation = Federation::of(2, 0, 0).await;
    federation.acquainted().await;
    let (older, newer) = (promised(), breaking());
    federation.nodes[0].node.dht.offer(older.signed()).await;
    federation.nodes[1].node.dht.offer(newer.signed()).await;
    let client = federation.client("client", federation.bootstrap()).await;
    let answer = client.resolver.resolve(GRID.question(Policy::Fresh)).await.unwrap();
    assert_eq!((answer.record, answer.evidence), (newer, vec![older]));
}
