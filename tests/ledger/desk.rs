//! `kill -9` of a clearing node, again and again: no receipt is broken, nothing is billed twice, and the chain of positions
//! never forks.

use crate::child::Writer;
use crate::objects::{MIB, NOW, PRICE, grid, lane, public, secret, terms, usd, voucher};
use crate::postgres::Postgres;
use futures::{FutureExt, poll};
use lafs_clearinghouse::clearing::{Desk, DeskError, DeskParts, NettingFolder, Records, netted, propose, totals};
use lafs_clearinghouse::clock::Clock;
use lafs_clearinghouse::keys::GridId;
use lafs_clearinghouse::ledger::{Ledger, Location, Pair, Part};
use lafs_clearinghouse::netting::Proposal;
use lafs_clearinghouse::record::{GridRecord, RecordDraft, Signer};
use lafs_clearinghouse::resolver::{Answer, Source};
use lafs_clearinghouse::signed::Identity;
use lafs_clearinghouse::tariff::wire::{
    Carried, ClaimBody, ClaimLine, ConsentBody, LaneOpen, LaneProposal, Revoke, RevokeBody, Revoked, Signed,
};
use lafs_clearinghouse::units::{Bytes, Seconds, UnixSeconds};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::pin::pin;
use std::sync::Arc;

/// How many lanes are claimed at once.
const LANES: u32 = 4;
/// After how many receipts it is killed.
const KILLS: [usize; 4] = [1, 2, 9, 25];

/// What a grid says of itself: grid 2 has a price.
fn record(of: GridId) -> GridRecord {
    let n = (1..=99).find(|n| grid(*n) == of).expect("a grid of these tests");
    let mut draft = RecordDraft::new(of);
    if n == 2 {
        draft.rates = vec!["0.02 USD/GiB".parse().unwrap()];
    }
    draft.sign(Signer::Grid { key: &secret(n), serial: NOW }, None, &[], NOW).unwrap()
}

fn records() -> Records {
    Arc::new(|grid, _| {
        async move {
            Ok(Arc::new(Answer {
                record: record(grid),
                source: Source::Cache,
                age: Seconds(0),
                agreeing_holders: 0,
                evidence: Vec::new(),
                moved_from: None,
                own_node_silent: false,
            }))
        }
        .boxed()
    })
}

fn desk(ledger: &Ledger) -> Desk {
    desk_with(ledger, NettingFolder::new(std::env::temp_dir().join("no nettings are here")))
}

fn desk_with(ledger: &Ledger, nettings: NettingFolder) -> Desk {
    Desk::new(DeskParts {
        ledger: ledger.clone(),
        grid: grid(99),
        key: secret(99),
        records: records(),
        nettings,
        clock: Clock::system(),
    })
}

/// A lane of grid 1 to grid 2 at the price that grid 2 publishes.
fn priced(nth: u32) -> LaneOpen {
    let mut body = lane(1, 2, nth).body().clone();
    body.evidence = Some(record(grid(2)).signed().identity());
    LaneProposal::sign(&body, &secret(1)).unwrap().accept(&secret(2)).unwrap()
}

fn claim(lane: &LaneOpen, octets: u64) -> Vec<u8> {
    let carried = |bytes: &[u8]| Carried(bytes.into());
    let line = ClaimLine {
        voucher: carried(voucher(lane, octets).bytes()),
        lane_open: Some(carried(lane.bytes())),
        terms: Some(carried(terms(1, 2).bytes())),
        evidence: Some(carried(record(grid(2)).signed().bytes())),
    };
    let body = ClaimBody { grid: grid(2), signer: public(2), clearing: grid(99), time: NOW, lanes: vec![line] };
    Signed::sign(&body, &secret(2)).unwrap().bytes().to_vec()
}

#[tokio::test]
async fn a_clearing_node_that_is_killed_breaks_no_receipt_and_bills_nothing_twice() {
    let folder = tempfile::tempdir().unwrap();
    let location = Location::Sqlite(folder.path().join("ledger.sqlite"));
    let mut receipts: BTreeMap<u32, u64> = BTreeMap::new();
    for after in KILLS {
        let mut writer = Writer::of(&location, "desk::claims_until_it_is_killed");
        let mut note = |line: String| {
            let (nth, mib) = line.split_once(' ').unwrap();
            receipts.insert(nth.parse().unwrap(), mib.parse().unwrap());
        };
        for _ in 0..after {
            note(writer.next("receipt ").expect("it runs"));
        }
        writer.process.kill().unwrap();
        while let Some(line) = writer.next("receipt ") {
            note(line);
        }
        writer.process.wait().unwrap();

        let ledger = Ledger::open(location.clone(), NOW).await.unwrap();
        let desk = desk(&ledger);
        // What a node does when it starts.
        desk.post_all().await.unwrap();
        let mut billed = 0;
        for nth in 0..LANES {
            let stood = ledger.lane(Part::Clearing, priced(nth).identity()).await.unwrap();
            let mib = stood.and_then(|lane| lane.voucher).map_or(0, |voucher| voucher.body().cum_bytes.0 / MIB);
            let promised = receipts.get(&nth).copied().unwrap_or(0);
            assert!(mib >= promised, "lane {nth}: a receipt for {promised} MiB, and {mib} are booked");
            billed += PRICE.charge(Bytes(mib * MIB)).unwrap().0;
        }
        let owed = ledger.owed(Part::Clearing, public(1), public(2), usd()).await.unwrap();
        assert_eq!(owed, i128::from(billed));
        let chain = ledger.positions_after(&grid(99), &Pair::of(grid(1), grid(2), usd()), 0, u32::MAX).await.unwrap();
        for (nth, position) in chain.iter().enumerate() {
            position.body().follows(nth.checked_sub(1).map(|before| &chain[before])).unwrap();
        }
        let last = chain.last().unwrap().body();
        assert_eq!(last.charged_first.0 + last.charged_second.0, billed, "the positions tell of all that is booked");
        ledger.verify().await.unwrap();
        println!("{} receipts so far, {} positions", receipts.values().sum::<u64>(), chain.len());
        // It holds the ledger open.
        drop(desk);
        ledger.close().await;
    }
}

/// Run by the test above alone: claims each lane further and further, and says what it has a receipt for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the child of other tests"]
async fn claims_until_it_is_killed() {
    let ledger = Ledger::open(crate::child::location(), NOW).await.unwrap();
    let desk = desk(&ledger);
    desk.post_all().await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for nth in 0..LANES {
        let (ledger, desk) = (ledger.clone(), desk.clone());
        tasks.spawn(async move {
            let lane = priced(nth);
            let stood = ledger.lane(Part::Clearing, lane.identity()).await.unwrap();
            let from = stood.and_then(|lane| lane.voucher).map_or(0, |voucher| voucher.body().cum_bytes.0 / MIB);
            for mib in from + 1.. {
                // Whoever did not hear of a receipt claims again.
                for _ in 0..2 {
                    let receipt = desk.claim(&claim(&lane, mib * MIB), &grid(2)).await.unwrap();
                    assert_eq!(receipt.body().lanes[0].refused, None);
                }
                let mut out = std::io::stdout().lock();
                // Whoever started this may be gone.
                let _ = writeln!(out, "receipt {nth} {mib}").and_then(|()| out.flush());
            }
        });
    }
    tasks.join_all().await;
}

/// What a grid signs when it agrees to a netting.
fn consent(netting: &Proposal, n: u8) -> ConsentBody {
    let comes_to = netted(netting, &grid(n)).unwrap();
    ConsentBody {
        grid: grid(n),
        signer: public(n),
        clearing: grid(99),
        netting: netting.hash(),
        asset: usd(),
        owed: comes_to.owed,
        due: comes_to.due,
        pays: comes_to.pays,
        receives: comes_to.receives,
        time: NOW,
        not_after: NOW.plus(Seconds::days(7)),
    }
}

fn signed(body: &ConsentBody, n: u8) -> Vec<u8> {
    Signed::sign(body, &secret(n)).unwrap().bytes().to_vec()
}

/// 1 owes 2, 2 owes 3, and 3 owes 1 somewhat less.
async fn owe_in_a_ring(ledger: &Ledger) {
    for (payer, payee, gib) in [(1, 2, 10), (2, 3, 10), (3, 1, 7)] {
        let lane = lane(payer, payee, 1);
        ledger.open_lane(Part::Clearing, lane.clone(), NOW).await.unwrap();
        ledger.voucher(Part::Clearing, voucher(&lane, gib * 1024 * MIB), Vec::new(), NOW).await.unwrap();
    }
}

/// A grid's word that it takes back what it has consented to, of a netting that nobody knows.
fn taken_back(time: UnixSeconds, n: u8) -> Revoke {
    let body = RevokeBody {
        issuer: grid(n),
        signer: public(n),
        kind: Revoked::Consent,
        target: Identity([0; 32]),
        serial: time.0,
        time,
        reason: None,
    };
    Signed::sign(&body, &secret(n)).unwrap()
}

#[tokio::test]
async fn a_netting_takes_effect_when_the_last_of_those_it_affects_has_signed() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(Location::Sqlite(folder.path().join("ledger.sqlite")), NOW).await.unwrap();
    owe_in_a_ring(&ledger).await;
    let nettings = NettingFolder::new(folder.path().join("nettings"));
    let desk = desk_with(&ledger, nettings.clone());
    let netting = propose(&ledger, grid(99), usd(), &BTreeSet::new()).await.unwrap();
    let gib = u128::from(PRICE.0);
    assert_eq!(totals(&netting), (27 * gib, 3 * gib));
    nettings.keep(&netting).unwrap();
    assert_eq!(desk.nettings(&grid(1)).await.unwrap(), std::slice::from_ref(&netting));
    assert!(desk.nettings(&grid(4)).await.unwrap().is_empty());

    let owed =
        async |debtor, creditor| ledger.owed(Part::Clearing, public(debtor), public(creditor), usd()).await.unwrap();
    let mut less = consent(&netting, 1);
    (less.owed.0, less.pays.0) = (less.owed.0 - 1, less.pays.0 - 1);
    assert!(matches!(desk.consent(&signed(&less, 1), &grid(1)).await, Err(DeskError::NoNetting(_))));
    for n in [1, 2, 1] {
        desk.consent(&signed(&consent(&netting, n), n), &grid(n)).await.unwrap();
        assert_eq!(owed(1, 2).await, 10 * i128::from(PRICE.0));
    }
    // The last one; said twice, it is booked once.
    for _ in 0..2 {
        desk.consent(&signed(&consent(&netting, 3), 3), &grid(3)).await.unwrap();
        assert_eq!((owed(1, 2).await, owed(2, 3).await, owed(3, 1).await), (0, 0, 0));
        assert_eq!(owed(1, 3).await, 3 * i128::from(PRICE.0));
    }
    assert!(desk.nettings(&grid(1)).await.unwrap().is_empty());
    for (one, other, net) in [(1, 2, 0), (2, 3, 0), (1, 3, 3)] {
        let pair = Pair::of(grid(one), grid(other), usd());
        let chain = ledger.positions_after(&grid(99), &pair, 0, 9).await.unwrap();
        let last = chain.last().unwrap().body();
        assert_eq!(last.net().unsigned_abs(), net * gib, "{one} and {other}");
        assert!(last.settled.iter().all(|line| line.proof.0 == netting.hash()));
    }
    ledger.verify().await.unwrap();
    drop(desk);
    ledger.close().await;
}

/// Or one would book a netting in the moment in which the other takes a withdrawal, and both grids would hold a signed answer.
#[tokio::test]
async fn of_two_gateways_that_share_books_one_settles_at_a_time() {
    let Some(server) = Postgres::start() else { return };
    let location = server.database("settling");
    let ledgers = [Ledger::open(location.clone(), NOW).await.unwrap(), Ledger::open(location, NOW).await.unwrap()];
    let folder = tempfile::tempdir().unwrap();
    let nettings = NettingFolder::new(folder.path());
    let [one, other] = [0, 1].map(|nth| desk_with(&ledgers[nth], nettings.clone()));
    owe_in_a_ring(&ledgers[0]).await;
    let netting = propose(&ledgers[0], grid(99), usd(), &BTreeSet::new()).await.unwrap();
    nettings.keep(&netting).unwrap();
    for n in [1, 2] {
        one.consent(&signed(&consent(&netting, n), n), &grid(n)).await.unwrap();
    }
    let withdrawal = RevokeBody { target: Identity(netting.hash()), ..taken_back(NOW, 1).body().clone() };
    let withdrawal = Signed::sign(&withdrawal, &secret(1)).unwrap();
    let (by, last) = ([grid(1), grid(3)], signed(&consent(&netting, 3), 3));

    let turn = ledgers[0].alone().await.unwrap();
    let (mut withdrawn, mut consented) = (pin!(one.withdraw(&withdrawal, &by[0])), pin!(other.consent(&last, &by[1])));
    // More often than either would ask the database if it had its turn.
    for _ in 0..100 {
        assert!(poll!(&mut withdrawn).is_pending() && poll!(&mut consented).is_pending(), "somebody else has the turn");
        ledgers[1].netted_at(Part::Clearing, &netting.hash()).await.unwrap();
    }
    drop(turn);
    let (withdrawn, consented) = tokio::join!(withdrawn, consented);
    consented.unwrap();
    let is_in_force = ledgers[0].netted_at(Part::Clearing, &netting.hash()).await.unwrap().is_some();
    assert_eq!(withdrawn.is_err(), is_in_force, "{withdrawn:?}");
    ledgers[0].verify().await.unwrap();
}

#[tokio::test]
async fn a_consent_that_is_taken_back_counts_no_more_in_whatever_order_it_comes_until_the_netting_has_taken_effect() {
    let folder = tempfile::tempdir().unwrap();
    // What comes of the first grid, before the two others consent: its word, and that it is taken back.
    let orders: [&[bool]; 6] = [
        &[true, false],
        &[false, true],
        &[true, true, false],
        &[false, true, false, true],
        &[true, false, true],
        &[false],
    ];
    for (nth, order) in orders.into_iter().enumerate() {
        let place = folder.path().join(nth.to_string());
        let ledger = Ledger::open(Location::Sqlite(place.with_extension("sqlite")), NOW).await.unwrap();
        owe_in_a_ring(&ledger).await;
        let nettings = NettingFolder::new(place);
        let desk = desk_with(&ledger, nettings.clone());
        let netting = propose(&ledger, grid(99), usd(), &BTreeSet::new()).await.unwrap();
        nettings.keep(&netting).unwrap();
        let of = |revoke: Revoke, n: u8| {
            let body = RevokeBody { target: Identity(netting.hash()), ..revoke.body().clone() };
            Signed::sign(&body, &secret(n)).unwrap()
        };
        let is_in_force = async || ledger.netted_at(Part::Clearing, &netting.hash()).await.unwrap().is_some();
        let withdrawal = of(taken_back(NOW, 1), 1);
        for gives in order {
            match gives {
                true => drop(desk.consent(&signed(&consent(&netting, 1), 1), &grid(1)).await.unwrap()),
                false => desk.withdraw(&withdrawal, &grid(1)).await.unwrap(),
            }
        }
        // Not by another, not for another, not of a netting that nobody knows.
        assert!(matches!(desk.withdraw(&withdrawal, &grid(2)).await, Err(DeskError::OtherGrid(_))));
        assert!(matches!(desk.withdraw(&of(taken_back(NOW, 4), 4), &grid(4)).await, Err(DeskError::NoNetting(_))));
        assert!(matches!(desk.withdraw(&taken_back(NOW, 1), &grid(1)).await, Err(DeskError::NoNetting(_))));
        for n in [2, 3] {
            desk.consent(&signed(&consent(&netting, n), n), &grid(n)).await.unwrap();
        }
        assert!(!is_in_force().await, "{order:?}");
        desk.consent(&signed(&consent(&netting, 1), 1), &grid(1)).await.unwrap();
        assert!(!is_in_force().await, "{order:?}: the old word again");
        let again = ConsentBody { time: NOW.plus(Seconds(1)), ..consent(&netting, 1) };
        desk.consent(&signed(&again, 1), &grid(1)).await.unwrap();
        assert!(is_in_force().await, "{order:?}: a later word");
        desk.withdraw(&withdrawal, &grid(1)).await.expect("said again it is harmless");
        let late = desk.withdraw(&of(taken_back(NOW.plus(Seconds(9)), 1), 1), &grid(1)).await;
        assert!(matches!(late, Err(DeskError::InForce(_))), "{late:?}");
        assert!(is_in_force().await);
        ledger.verify().await.unwrap();
        drop(desk);
        ledger.close().await;
    }
}
