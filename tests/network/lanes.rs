//! Lanes between a client's purse and a gateway, over the real transport: how the two find each other again.

use crate::gateway_node::GatewayNode;
use crate::valve::Valve;
use lafs_clearinghouse::capability::Capability;
use lafs_clearinghouse::clearing::{Budget, ClientJudge, Purse, PurseParts};
use lafs_clearinghouse::clock::{Clock, rehearse};
use lafs_clearinghouse::keys::{GridId, SecretKey};
use lafs_clearinghouse::ledger::{LaneState, Ledger, Location, Part};
use lafs_clearinghouse::peer::{Came, GatewayClient, PaidRequest, Payer, Purchase};
use lafs_clearinghouse::units::{Bytes, Seconds};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

const CAP: &str =
    "URI:CHK-Verifier:7tt3yh6m6yktjwfhsuvsxvhtwi:gsbsu5hlwbscygephg3aqd7t47y2agatsnnt7eip37w7znx6ws3q:2:3:1000000";
const MIB: Bytes = Bytes(1 << 20);
/// How long a voucher waits for what else comes.
const BEAT: Duration = Duration::from_millis(500);

fn alice() -> SecretKey {
    SecretKey::from_seed(&[9; 32])
}

async fn ledger(folder: &Path, name: &str) -> Ledger {
    Ledger::open(Location::Sqlite(folder.join(name)), Clock::system().now()).await.unwrap()
}

fn purse(ledger: Ledger) -> Purse {
    let clock = Clock::system();
    Purse::new(PurseParts {
        ledger,
        payer: alice().public(),
        key: alice(),
        judge: Arc::new(ClientJudge { client: alice().public(), confirmed: false }),
        budget: Budget::Nothing,
        clock,
    })
}

async fn request(purse: &Purse, home: &GatewayNode, client: &GatewayClient) -> Box<dyn PaidRequest> {
    let file: Capability = CAP.parse().unwrap();
    let purchase = Purchase { grid: home.grid(), file, octets: Some(MIB) };
    purse.lane(client, purchase).await.unwrap().expect("a gateway with lanes")
}

/// The lanes of a ledger.
async fn lanes(ledger: &Ledger, part: Part) -> Vec<LaneState> {
    ledger.open_lanes(part, Clock::system().now()).await.unwrap()
}

fn vouched(lane: &LaneState) -> Option<&[u8]> {
    lane.voucher.as_ref().map(|voucher| voucher.bytes())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_voucher_is_shown_and_a_payer_adopts_one_that_its_disk_has_forgotten() {
    let home = GatewayNode::start(60, None, "free", &[]).await;
    home.add_client("alice", &alice());
    let folder = tempfile::tempdir().unwrap();
    let books = ledger(folder.path(), "one.sqlite").await;
    let client = home.session(&alice()).await;
    let first = purse(books.clone());
    // Two requests are on one lane.
    let mut one = request(&first, &home, &client).await;
    let other = request(&first, &home, &client).await;
    assert_eq!(one.lane(), other.lane());
    drop(other);
    // To the gateway nothing was sent of what is acknowledged: it refuses, and takes what its payer signed when that is shown.
    one.verified(Came::Ciphertext { offset: 0 }, MIB);
    drop(one);
    first.close().await;
    let ours = lanes(&books, Part::Payer).await.remove(0);
    let theirs = lanes(home.node.settler.as_ref().unwrap().ledger(), Part::Payee).await.remove(0);
    assert!(vouched(&ours).is_some(), "it is in the payer's books");
    assert_eq!(vouched(&ours), vouched(&theirs));
    let again = request(&first, &home, &client).await;
    assert_ne!(again.lane(), ours.open.identity().0, "another lane goes on");
    drop(again);
    first.close().await;

    // A backup of the payer's books from before the voucher, and another process of it.
    let restored = ledger(folder.path(), "restored.sqlite").await;
    restored.open_lane(Part::Payer, ours.open.clone(), Clock::system().now()).await.unwrap();
    let second = purse(restored.clone());
    drop(request(&second, &home, &client).await);
    second.close().await;
    let adopted = restored.lane(Part::Payer, ours.open.identity()).await.unwrap().unwrap();
    assert_eq!(vouched(&adopted), vouched(&theirs), "its own signature binds it");
    home.node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_in_a_row_share_one_voucher() {
    let home = GatewayNode::start(62, None, "free", &[]).await;
    home.add_client("alice", &alice());
    let folder = tempfile::tempdir().unwrap();
    let books = ledger(folder.path(), "one.sqlite").await;
    let client = home.session(&alice()).await;
    let purse = purse(books.clone());
    let vouched = async || lanes(&books, Part::Payer).await.remove(0).voucher.map(|voucher| voucher.body().cum_bytes);
    drop(request(&purse, &home, &client).await);
    let began = Instant::now();
    for offset in 0..3 {
        let mut one = request(&purse, &home, &client).await;
        one.verified(Came::Ciphertext { offset: offset * MIB.0 }, MIB);
        drop(one);
        // Far more often than it takes to write one.
        for _ in 0..50 {
            let now = vouched().await;
            assert!(now.is_none() || began.elapsed() >= BEAT, "the end of a request makes no voucher due: {now:?}");
        }
    }
    let in_time = began.elapsed() < BEAT;
    let first = loop {
        if let Some(first) = vouched().await {
            break first;
        }
    };
    assert!(first == Bytes(3 * MIB.0) || !in_time, "{first:?}");
    purse.close().await;
    assert_eq!(vouched().await, Some(Bytes(3 * MIB.0)));
    home.node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_asked_for_is_vouched_for_before_its_time_comes() {
    let home = GatewayNode::start(63, None, "free", &[]).await;
    home.add_client("alice", &alice());
    let folder = tempfile::tempdir().unwrap();
    let client = home.session(&alice()).await;
    // A machine that stands still for so long that its time has come proves nothing: once more then.
    for nth in 0..5 {
        let books = ledger(folder.path(), &format!("{nth}.sqlite")).await;
        let purse = purse(books.clone());
        let mut one = request(&purse, &home, &client).await;
        let began = Instant::now();
        one.verified(Came::Ciphertext { offset: 0 }, MIB);
        purse.vouch(&GridId::new(SecretKey::from_seed(&[1; 32]).public()));
        purse.vouch(&home.grid());
        while lanes(&books, Part::Payer).await[0].voucher.is_none() {
            tokio::task::yield_now().await;
        }
        let in_time = began.elapsed() < BEAT;
        drop(one);
        purse.close().await;
        if in_time {
            return home.node.stop().await;
        }
    }
    panic!("it waits for its time");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payer_that_was_away_for_longer_than_its_lanes_last_shows_what_only_its_own_books_say() {
    let home = GatewayNode::start(61, None, "free", &[]).await;
    home.add_client("alice", &alice());
    let folder = tempfile::tempdir().unwrap();
    let books = ledger(folder.path(), "killed.sqlite").await;
    let wire = tokio::task::block_in_place(|| Valve::to(home.gateway_addr()));
    let client = home.session_by(wire.addr, &alice()).await;
    let mut requests = Vec::new();
    for _ in 0..3 {
        requests.push(request(&purse(books.clone()), &home, &client).await);
    }
    // What is verified from here on no voucher tells the other side of.
    wire.lets_through(0);
    wire.cut();
    for mut request in requests {
        request.verified(Came::Ciphertext { offset: 0 }, MIB);
    }
    let killed = loop {
        let lanes = lanes(&books, Part::Payer).await;
        if lanes.iter().filter(|lane| vouched(lane).is_some()).count() == 3 {
            break lanes;
        }
        tokio::task::yield_now().await;
    };
    let payee = home.node.settler.as_ref().unwrap().ledger();
    assert!(lanes(payee, Part::Payee).await.iter().all(|lane| vouched(lane).is_none()), "nothing was told");

    // A process that has these books comes back when the lanes are over, and reads again.
    let later = ledger(folder.path(), "later.sqlite").await;
    for lane in &killed {
        let now = Clock::system().now();
        later.open_lane(Part::Payer, lane.open.clone(), now).await.unwrap();
        later.voucher(Part::Payer, lane.voucher.clone().unwrap(), Vec::new(), now).await.unwrap();
    }
    rehearse(2 * 86_400);
    assert!(lanes(&later, Part::Payer).await.is_empty(), "they are over");
    let client = home.session(&alice()).await;
    let again = purse(later.clone());
    drop(request(&again, &home, &client).await);
    for lane in &killed {
        let theirs = payee.lane(Part::Payee, lane.open.identity()).await.unwrap().unwrap();
        assert_eq!(vouched(&theirs), vouched(lane));
    }
    again.close().await;
    // And nobody is told of them again.
    let left = later.lanes_to_show(&alice().public(), &home.grid(), Clock::system().now().plus(Seconds::days(1))).await;
    assert!(left.unwrap().is_empty());
    home.node.stop().await;
}
