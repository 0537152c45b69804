//! Lanes of which two sides hold other vouchers.

use crate::objects::{MIB, NOW, PRICE, grid, lane, secret, voucher};
use lafs_clearinghouse::ledger::{Closed, Kept, Ledger, LedgerError, Location, NewDispute, Part};
use lafs_clearinghouse::record::Nickname;
use lafs_clearinghouse::signed::Identity;
use lafs_clearinghouse::tariff::wire::{LaneOpen, Voucher, VoucherBody};
use lafs_clearinghouse::units::{Bytes, Seconds};
use sqlx::{AssertSqlSafe, Connection, Executor};

/// For so many octets, which the payer says were these.
fn of_deliveries(lane: &LaneOpen, bytes: u64, transcript: u8) -> Voucher {
    let body = VoucherBody { transcript: [transcript; 32], ..voucher(lane, bytes).body().clone() };
    Voucher::issue(&body, lane, &secret(201)).unwrap()
}

fn found(open: &LaneOpen, part: Part, agree_to: u64, differ_at: u64) -> NewDispute {
    let (ours, theirs) = (of_deliveries(open, differ_at, 1), of_deliveries(open, differ_at, 2));
    NewDispute { open: open.clone(), part, agree_to: Bytes(agree_to), ours, theirs }
}

pub(crate) async fn a_dispute_is_kept_once_and_closed_by_somebody(location: Location) {
    let ledger = Ledger::open(location, NOW).await.unwrap();
    let (first, second, fine) = (lane(1, 2, 0), lane(3, 1, 0), lane(1, 2, 1));
    for (part, opened) in [(Part::Payer, &first), (Part::Payee, &second), (Part::Payer, &fine)] {
        ledger.open_lane(part, opened.clone(), NOW).await.unwrap();
        ledger.voucher(part, of_deliveries(opened, 9 * MIB, 1), vec![], NOW).await.unwrap();
    }
    let later = |hours| NOW.plus(Seconds::hours(hours));
    let of_first = found(&first, Part::Payer, 2 * MIB, 3 * MIB);
    assert_eq!(ledger.dispute(of_first.clone(), NOW).await.unwrap(), Kept::New);
    assert_eq!(ledger.dispute(of_first.clone(), later(1)).await.unwrap(), Kept::Already);
    assert_eq!(ledger.dispute(found(&second, Part::Payee, 0, MIB), later(1)).await.unwrap(), Kept::New);

    let closed =
        Closed { at: later(2), by: Nickname::new("Ada").unwrap(), reason: Nickname::new("theirs holds").unwrap() };
    assert_eq!(ledger.close_dispute(first.identity(), closed.clone()).await.unwrap(), Kept::New);
    let other = Closed { at: later(3), ..closed.clone() };
    assert_eq!(ledger.close_dispute(first.identity(), other.clone()).await.unwrap(), Kept::Already, "it is closed");
    assert_eq!(ledger.close_dispute(fine.identity(), other).await.unwrap(), Kept::Already, "it never was open");
    assert_eq!(ledger.dispute(of_first, later(4)).await.unwrap(), Kept::Already, "it is not opened again by itself");

    let kept = ledger.disputes().await.unwrap();
    let charge = |bytes: u64| PRICE.charge(Bytes(bytes)).unwrap().0;
    let told: Vec<_> = kept
        .iter()
        .map(|it| {
            (
                it.found.open.identity(),
                it.other(),
                it.found.agree_to.0 / MIB,
                it.differ_at().0 / MIB,
                it.found_at,
                it.amount.0,
            )
        })
        .collect();
    let expected = [
        (first.identity(), grid(2), 2, 3, NOW, charge(9 * MIB) - charge(2 * MIB)),
        (second.identity(), grid(3), 0, 1, later(1), charge(9 * MIB)),
    ];
    assert_eq!(told, expected);
    assert_eq!((kept[0].closed.as_ref(), kept[1].closed.as_ref()), (Some(&closed), None));
    assert_ne!(kept[0].found.ours.body().transcript, kept[0].found.theirs.body().transcript);
    ledger.verify().await.unwrap();
    ledger.close().await;
}

pub(crate) async fn lanes_with_a_grid_are_those_of_both_directions(location: Location) {
    let ledger = Ledger::open(location, NOW).await.unwrap();
    let lanes = [
        (Part::Payer, lane(1, 2, 0)),
        (Part::Payee, lane(2, 1, 0)),
        (Part::Payer, lane(1, 2, 1)),
        (Part::Payer, lane(1, 3, 0)),
    ];
    for (hour, (part, opened)) in (0..).zip(&lanes) {
        let at = NOW.plus(Seconds::hours(hour));
        ledger.open_lane(*part, opened.clone(), at).await.unwrap();
        ledger.voucher(*part, voucher(opened, MIB), vec![], at).await.unwrap();
    }
    // Nothing was vouched for on it; and one of others, for whom this grid clears.
    ledger.open_lane(Part::Payer, lane(1, 2, 9), NOW).await.unwrap();
    ledger.open_lane(Part::Clearing, lane(2, 3, 0), NOW).await.unwrap();
    let of = async |hours: std::ops::Range<u64>, after: Identity, limit| {
        let period = (NOW.plus(Seconds::hours(hours.start)), NOW.plus(Seconds::hours(hours.end)));
        let found = ledger.lanes_with(&grid(2), period, after, limit).await.unwrap();
        found.into_iter().map(|(part, open)| (open.identity(), part)).collect::<Vec<_>>()
    };
    let sorted = |places: &[usize]| {
        let mut sorted: Vec<_> = places.iter().map(|place| (lanes[*place].1.identity(), lanes[*place].0)).collect();
        sorted.sort_unstable();
        sorted
    };
    let nobody = Identity([0; 32]);
    assert_eq!(of(0..9, nobody, 10).await, sorted(&[0, 1, 2]));
    assert_eq!(of(1..2, nobody, 10).await, sorted(&[1]));
    let all = sorted(&[0, 1, 2]);
    assert_eq!(of(0..9, nobody, 2).await, all[..2]);
    assert_eq!(of(0..9, all[1].0, 2).await, all[2..]);
    ledger.close().await;
}

pub(crate) async fn a_dispute_that_was_changed_by_hand_is_named(location: Location) {
    let ledger = Ledger::open(location.clone(), NOW).await.unwrap();
    let opened = lane(1, 2, 0);
    ledger.open_lane(Part::Payer, opened.clone(), NOW).await.unwrap();
    ledger.dispute(found(&opened, Part::Payer, MIB, 2 * MIB), NOW).await.unwrap();
    ledger.verify().await.unwrap();
    let url = match &location {
        Location::Sqlite(path) => format!("sqlite://{}", path.display()),
        Location::Postgres(url) => url.clone(),
    };
    let mut hand = sqlx::AnyConnection::connect(&url).await.unwrap();
    for (change, undo) in [
        ("UPDATE dispute SET differ_at = differ_at + 1", "UPDATE dispute SET differ_at = differ_at - 1"),
        ("UPDATE dispute SET agree_to = differ_at", "UPDATE dispute SET agree_to = 0"),
        ("UPDATE dispute SET closed_at = 5", "UPDATE dispute SET closed_at = 0"),
        ("UPDATE dispute SET part = 1", "UPDATE dispute SET part = 0"),
        ("UPDATE dispute SET theirs = ours", ""),
    ] {
        hand.execute(AssertSqlSafe(change.to_owned())).await.unwrap();
        let found = ledger.verify().await.unwrap_err();
        assert!(matches!(found, LedgerError::Damaged { table: "dispute", .. }), "{change}: {found:?}");
        if !undo.is_empty() {
            hand.execute(AssertSqlSafe(undo.to_owned())).await.unwrap();
            ledger.verify().await.expect(undo);
        }
    }
    ledger.close().await;
}
