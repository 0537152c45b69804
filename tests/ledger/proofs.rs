//! What `verify` finds, chains of positions, nettings.

use crate::objects::{MIB, NOW, PRICE, grid, lane, payment, public, secret, terms, usd, voucher};
use lafs_clearinghouse::keys::GridId;
use lafs_clearinghouse::ledger::{Kept, Ledger, LedgerError, Location, Part, Unposted, Verified};
use lafs_clearinghouse::netting::{Debt, Proposal};
use lafs_clearinghouse::tariff::wire::{Party, Position, PositionBody, SettledBy, Signed};
use lafs_clearinghouse::units::{Bytes, MinorUnits, Seconds, UnixSeconds};
use sqlx::{AssertSqlSafe, Connection};

const CLEARING: u8 = 99;

async fn open(location: &Location) -> Ledger {
    Ledger::open(location.clone(), NOW).await.unwrap()
}

/// The two grids in the order of their keys.
fn pair(one: u8, other: u8) -> (GridId, GridId) {
    let (one, other) = (grid(one), grid(other));
    (one.min(other), one.max(other))
}

fn position(between: (GridId, GridId), before: Option<&Position>, unposted: &Unposted) -> Position {
    let (first, second) = between;
    let mut totals = before.map_or([0; 4], |before| {
        let body = before.body();
        [body.charged_first.0, body.charged_second.0, body.settled_first.0, body.settled_second.0]
    });
    for line in &unposted.lanes {
        totals[usize::from(line.debtor == Party::Second)] += line.to_amount.0 - line.from_amount.0;
    }
    for line in &unposted.settled {
        totals[2 + usize::from(line.debtor == Party::Second)] += line.amount.0;
    }
    let [charged_first, charged_second, settled_first, settled_second] = totals.map(MinorUnits);
    let body = PositionBody {
        clearing: grid(CLEARING),
        signer: public(CLEARING),
        first,
        second,
        asset: usd(),
        number: before.map_or(1, |before| before.body().number + 1),
        previous: before.map(|before| before.identity()),
        time: NOW,
        lanes: unposted.lanes.clone(),
        settled: unposted.settled.clone(),
        charged_first,
        charged_second,
        settled_first,
        settled_second,
    };
    Signed::sign(&body, &secret(CLEARING)).unwrap()
}

/// Books with something in every table: three hours of two lanes, a payment, a position, terms.
pub(crate) async fn filled(ledger: &Ledger) {
    for (part, nth) in [(Part::Payer, 0), (Part::Payee, 1), (Part::Clearing, 2), (Part::Clearing, 3)] {
        let opened = lane(1, 2, nth);
        ledger.open_lane(part, opened.clone(), NOW).await.unwrap();
        for hour in 0..3 {
            for mib in [5 * hour + 1, 5 * hour + 4] {
                let at = NOW.plus(Seconds::hours(hour));
                ledger.voucher(part, voucher(&opened, mib * MIB), vec![], at).await.unwrap();
            }
        }
        ledger.pay(part, payment(1, 2, 100, 0), NOW).await.unwrap();
    }
    ledger.keep(&terms(1, 2), NOW).await.unwrap();
    let (first, second) = pair(1, 2);
    let unposted = ledger.unposted(first, second, usd()).await.unwrap();
    ledger.post(position((first, second), None, &unposted), NOW).await.unwrap();
}

pub(crate) async fn verify_computes_the_books_again(location: Location) {
    let ledger = open(&location).await;
    assert_eq!(ledger.verify().await.unwrap(), Verified::default());
    filled(&ledger).await;
    let verified = ledger.verify().await.unwrap();
    let expected = Verified { lanes: 4, vouchers: 12, papers: 3, positions: 1, accounts: 8 };
    assert_eq!(verified, expected);
    ledger.close().await;
    // As the books of a process that is gone are read.
    let ledger = Ledger::open_reading(location).await.unwrap();
    assert_eq!(ledger.verify().await.unwrap(), expected);
    ledger.close().await;
}

pub(crate) async fn every_change_by_hand_is_named(location: Location) {
    let ledger = open(&location).await;
    filled(&ledger).await;
    let url = match &location {
        Location::Sqlite(path) => format!("sqlite://{}", path.display()),
        Location::Postgres(url) => url.clone(),
    };
    let mut hand = sqlx::AnyConnection::connect(&url).await.unwrap();
    let changes = [
        (
            "entry",
            "UPDATE entry SET amount = amount + 1 WHERE account = 'delivered'",
            "UPDATE entry SET amount = amount - 1 WHERE account = 'delivered'",
        ),
        ("entry", "UPDATE entry SET amount = amount * 2", "UPDATE entry SET amount = amount / 2"),
        (
            "entry",
            "UPDATE entry SET account = 'delivered' WHERE account = 'received'",
            "UPDATE entry SET account = 'received' WHERE account = 'delivered' AND amount = 100",
        ),
        (
            "balance",
            "UPDATE balance SET amount = amount + 1 WHERE account = 'paid'",
            "UPDATE balance SET amount = amount - 1 WHERE account = 'paid'",
        ),
        ("voucher", "UPDATE voucher SET cum_amount = cum_amount + 1", "UPDATE voucher SET cum_amount = cum_amount - 1"),
        (
            "checkpoint",
            "UPDATE checkpoint SET cum_bytes = cum_bytes - 1",
            "UPDATE checkpoint SET cum_bytes = cum_bytes + 1",
        ),
        ("entry", "UPDATE checkpoint SET hour = hour - 9", "UPDATE checkpoint SET hour = hour + 9"),
        (
            "entry",
            "UPDATE booking SET hour = hour + 9 WHERE kind = 'lane'",
            "UPDATE booking SET hour = hour - 9 WHERE kind = 'lane'",
        ),
        (
            "booking",
            "UPDATE booking SET hour = 7 WHERE kind = 'payment'",
            "UPDATE booking SET hour = 0 WHERE kind = 'payment'",
        ),
        ("lane", "UPDATE lane SET price = price + 1", "UPDATE lane SET price = price - 1"),
        ("lane", "UPDATE lane SET asset = 'EUR'", "UPDATE lane SET asset = 'USD'"),
        ("usage", "UPDATE usage SET bytes = bytes + 1", "UPDATE usage SET bytes = bytes - 1"),
        (
            "paper",
            "UPDATE paper SET kind = 'deck/1' WHERE kind = 'terms/1'",
            "UPDATE paper SET kind = 'terms/1' WHERE kind = 'deck/1'",
        ),
        ("posted", "UPDATE posted SET cum_amount = cum_amount + 1", "UPDATE posted SET cum_amount = cum_amount - 1"),
        ("position", "UPDATE position SET identity = lane FROM (SELECT lane FROM posted LIMIT 1) AS other", ""),
        ("entry", "DELETE FROM checkpoint", ""),
    ];
    for (table, change, undo) in changes {
        let mut change_by_hand = async |text: &str| {
            sqlx::query(AssertSqlSafe(text.to_owned())).execute(&mut hand).await.unwrap().rows_affected()
        };
        assert!(change_by_hand(change).await > 0, "{change}");
        let found = ledger.verify().await.unwrap_err();
        assert!(matches!(&found, LedgerError::Damaged { table: named, .. } if *named == table), "{change}: {found:?}");
        if !undo.is_empty() {
            change_by_hand(undo).await;
            ledger.verify().await.expect(undo);
        }
    }
    ledger.close().await;
}

pub(crate) async fn positions_tell_what_was_booked_since_and_form_one_chain(location: Location) {
    let ledger = open(&location).await;
    let between = pair(1, 2);
    let (there, back) = (lane(1, 2, 0), lane(2, 1, 0));
    for opened in [&there, &back] {
        ledger.open_lane(Part::Clearing, opened.clone(), NOW).await.unwrap();
        ledger.voucher(Part::Clearing, voucher(opened, 1 << 30), vec![], NOW).await.unwrap();
    }
    ledger.pay(Part::Clearing, payment(1, 2, 300, 0), NOW).await.unwrap();
    let unposted = ledger.unposted(between.0, between.1, usd()).await.unwrap();
    assert_eq!((unposted.lanes.len(), unposted.settled.len()), (2, 1));
    let first = position(between, None, &unposted);
    assert_eq!(ledger.post(first.clone(), NOW).await.unwrap(), Kept::New);
    assert_eq!(ledger.post(first.clone(), NOW).await.unwrap(), Kept::Already);
    assert_eq!(ledger.unposted(between.0, between.1, usd()).await.unwrap(), Unposted::default());

    ledger.voucher(Part::Clearing, voucher(&there, 3 << 30), vec![], NOW).await.unwrap();
    let unposted = ledger.unposted(between.0, between.1, usd()).await.unwrap();
    let line = &unposted.lanes[0];
    assert_eq!((line.lane, line.from_bytes, line.to_bytes), (there.identity(), Bytes(1 << 30), Bytes(3 << 30)));
    assert_eq!((line.from_amount.0, line.to_amount.0), (PRICE.0, 3 * PRICE.0));
    // A clearing node that tells another story of the same two.
    let fork = position(between, None, &unposted);
    assert!(matches!(ledger.post(fork, NOW).await, Err(LedgerError::Differs { .. })));
    let second = position(between, Some(&first), &unposted);
    assert_eq!(ledger.post(second.clone(), NOW).await.unwrap(), Kept::New);
    let last = ledger.last_position(grid(CLEARING), between.0, between.1, usd()).await.unwrap().unwrap();
    assert_eq!(last.identity(), second.identity());
    let debtor = if between.0 == grid(1) { Party::First } else { Party::Second };
    assert_eq!(last.body().owed(debtor), i128::from(3 * PRICE.0 - 300));
    assert_eq!(ledger.verify().await.unwrap().positions, 2);
    ledger.close().await;
}

pub(crate) async fn a_netting_moves_debts_once_and_nobody_gains(location: Location) {
    let ledger = open(&location).await;
    // 1 owes 2 three, 2 owes 3 two: 1 pays 2 one and 3 two.
    for (payer, payee, gib) in [(1, 2, 3), (2, 3, 2)] {
        let opened = lane(payer, payee, 0);
        ledger.open_lane(Part::Clearing, opened.clone(), NOW).await.unwrap();
        ledger.voucher(Part::Clearing, voucher(&opened, gib << 30), vec![], NOW).await.unwrap();
    }
    let debt = |debtor, creditor, gib: u64| Debt {
        asset: usd(),
        debtor: grid(debtor),
        creditor: grid(creditor),
        amount: MinorUnits(gib * PRICE.0),
    };
    let debts = [debt(1, 2, 3), debt(2, 3, 2)];
    let netting = Proposal::new(grid(CLEARING), usd(), &debts, &[grid(1), grid(2), grid(3)].into()).unwrap().unwrap();
    for kept in [Kept::New, Kept::Already] {
        assert_eq!(ledger.net(None, netting.clone(), NOW).await.unwrap(), kept);
        for (debtor, creditor, gib) in [(1, 2, 1), (2, 3, 0), (1, 3, 2)] {
            let owed = ledger.owed(Part::Clearing, public(debtor), public(creditor), usd()).await.unwrap();
            assert_eq!(owed, i128::from(gib * PRICE.0), "{debtor} to {creditor}");
        }
    }
    // In the positions: three settled of the first debt, and one settled the other way, which leaves one.
    let between = pair(1, 2);
    let unposted = ledger.unposted(between.0, between.1, usd()).await.unwrap();
    assert!(unposted.settled.iter().all(|line| line.by == SettledBy::Netting));
    let told = position(between, None, &unposted);
    let net = if between.0 == grid(1) { told.body().net() } else { -told.body().net() };
    assert_eq!(net, i128::from(PRICE.0));
    ledger.verify().await.unwrap();
    // In the books of the one in the middle, whose two debts become one.
    let opened = [lane(1, 2, 1), lane(2, 3, 1)];
    for (part, opened, gib) in [(Part::Payee, &opened[0], 3), (Part::Payer, &opened[1], 2)] {
        ledger.open_lane(part, opened.clone(), NOW).await.unwrap();
        ledger.voucher(part, voucher(opened, gib << 30), vec![], NOW).await.unwrap();
    }
    ledger.net(Some(grid(2)), netting, NOW).await.unwrap();
    assert_eq!(ledger.owed(Part::Payee, public(1), public(2), usd()).await.unwrap(), i128::from(PRICE.0));
    assert_eq!(ledger.owed(Part::Payer, public(2), public(3), usd()).await.unwrap(), 0);
    assert!(ledger.balances().await.unwrap().contains(&("netted".to_owned(), usd(), 0)));
    ledger.verify().await.unwrap();
    ledger.close().await;
}

#[tokio::test]
async fn a_backup_of_books_that_are_written_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = open(&Location::Sqlite(folder.path().join("ledger.sqlite"))).await;
    filled(&ledger).await;
    let opened = lane(1, 2, 0);
    let writing = {
        let ledger = ledger.clone();
        tokio::spawn(async move {
            for mib in 20..60 {
                ledger
                    .voucher(Part::Payer, voucher(&opened, mib * MIB), vec![], UnixSeconds(NOW.0 + 9_000))
                    .await
                    .unwrap();
            }
        })
    };
    let copy = folder.path().join("copy.sqlite");
    ledger.backup(&copy).await.unwrap();
    assert!(matches!(ledger.backup(&copy).await, Err(LedgerError::File(_))), "it replaces nothing");
    writing.await.unwrap();
    ledger.close().await;
    let copy = Ledger::open_reading(Location::Sqlite(copy)).await.unwrap();
    assert_eq!(copy.verify().await.unwrap().lanes, 4);
    copy.close().await;
}
