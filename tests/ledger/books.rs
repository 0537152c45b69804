//! What the books say after what was done to them.

use crate::objects::{MIB, NOW, PRICE, grid, lane, payment, public, usd, voucher};
use lafs_clearinghouse::ledger::{Booked, Kept, Ledger, LedgerError, Location, Part, Reading, UsageLine, WrittenOff};
use lafs_clearinghouse::units::{Bytes, MinorUnits, Seconds};

async fn open(location: &Location) -> Ledger {
    Ledger::open(location.clone(), NOW).await.unwrap()
}

fn charge(bytes: u64) -> u64 {
    PRICE.charge(Bytes(bytes)).unwrap().0
}

pub(crate) async fn a_voucher_is_billed_once_whatever_is_repeated_or_reordered(location: Location) {
    let ledger = open(&location).await;
    let opened = lane(1, 2, 0);
    assert_eq!(ledger.open_lane(Part::Payee, opened.clone(), NOW).await.unwrap(), Kept::New);
    assert_eq!(ledger.open_lane(Part::Payee, opened.clone(), NOW).await.unwrap(), Kept::Already);
    let mut billed = 0;
    let mut best = 0;
    for mib in [1, 3, 2, 3, 1, 7, 7, 5] {
        let booked = ledger.voucher(Part::Payee, voucher(&opened, mib * MIB), vec![], NOW).await.unwrap();
        best = best.max(mib);
        billed += booked.billed.0;
        let expected =
            Booked { billed: booked.billed, cum_bytes: Bytes(best * MIB), cum_amount: MinorUnits(charge(best * MIB)) };
        assert_eq!(booked, expected);
        assert_eq!(billed, charge(best * MIB));
    }
    let owed = ledger.owed(Part::Payee, public(1), public(2), usd()).await.unwrap();
    assert_eq!(owed, i128::from(charge(7 * MIB)));
    let balances = ledger.balances().await.unwrap();
    assert_eq!(balances.iter().map(|(_, _, amount)| amount).sum::<i64>(), 0);
    assert_eq!(balances.len(), 2, "{balances:?}");
    ledger.close().await;
}

pub(crate) async fn many_at_once_come_to_the_same(location: Location) {
    let ledger = open(&location).await;
    let lanes: Vec<_> = (0..40).map(|nth| lane(1, 2, nth)).collect();
    for opened in &lanes {
        ledger.open_lane(Part::Payer, opened.clone(), NOW).await.unwrap();
    }
    let mut waiting = tokio::task::JoinSet::new();
    for (nth, opened) in (1..).zip(&lanes) {
        for mib in 1..=nth {
            let (ledger, voucher) = (ledger.clone(), voucher(opened, mib * MIB));
            // An hour later the first half of them is of an hour that has passed.
            let at = NOW.plus(Seconds::hours(u64::from(mib > 20)));
            waiting.spawn(async move { ledger.voucher(Part::Payer, voucher, vec![], at).await.unwrap().billed.0 });
        }
    }
    let billed: u64 = waiting.join_all().await.into_iter().sum();
    let expected: u64 = (1..=40).map(|nth| charge(nth * MIB)).sum();
    assert_eq!(billed, expected);
    assert_eq!(ledger.owed(Part::Payer, public(1), public(2), usd()).await.unwrap(), i128::from(expected));
    ledger.close().await;
}

pub(crate) async fn a_voucher_of_an_unknown_lane_fails_alone(location: Location) {
    let ledger = open(&location).await;
    let (known, unknown) = (lane(1, 2, 0), lane(1, 2, 1));
    ledger.open_lane(Part::Payee, known.clone(), NOW).await.unwrap();
    let (good, bad, other) = tokio::join!(
        ledger.voucher(Part::Payee, voucher(&known, MIB), vec![], NOW),
        ledger.voucher(Part::Payee, voucher(&unknown, MIB), vec![], NOW),
        ledger.voucher(Part::Payer, voucher(&known, MIB), vec![], NOW),
    );
    assert_eq!(good.unwrap().billed.0, charge(MIB));
    assert!(matches!(bad, Err(LedgerError::UnknownLane { lane }) if lane == unknown.identity().to_string()));
    assert!(matches!(other, Err(LedgerError::UnknownLane { .. })), "opened in another part");
    ledger.close().await;
}

pub(crate) async fn a_restart_finds_lanes_as_they_were(location: Location) {
    let ledger = open(&location).await;
    let (first, second) = (lane(1, 2, 0), lane(1, 2, 1));
    for opened in [&first, &second] {
        ledger.open_lane(Part::Payee, opened.clone(), NOW).await.unwrap();
    }
    ledger.sent(first.identity(), Bytes(9 * MIB)).await.unwrap();
    ledger.sent(first.identity(), Bytes(8 * MIB)).await.unwrap();
    let best = voucher(&first, 7 * MIB);
    ledger.voucher(Part::Payee, best.clone(), vec![], NOW).await.unwrap();
    let instance = ledger.instance();
    ledger.close().await;

    let ledger = open(&location).await;
    assert_ne!(ledger.instance(), instance, "lanes of before are counted by another process");
    let found = ledger.lane(Part::Payee, first.identity()).await.unwrap().unwrap();
    assert_eq!((found.open.bytes(), found.sent), (first.bytes(), Bytes(9 * MIB)));
    assert_eq!(found.voucher.unwrap().bytes(), best.bytes());
    assert!(ledger.lane(Part::Payer, first.identity()).await.unwrap().is_none());
    assert_eq!(ledger.open_lanes(Part::Payee, NOW).await.unwrap().len(), 2);
    assert_eq!(ledger.open_lanes(Part::Payee, NOW.plus(Seconds::hours(24))).await.unwrap().len(), 0);
    ledger.close().await;
}

pub(crate) async fn a_payee_is_shown_lanes_that_are_open_and_what_it_was_not_told(location: Location) {
    let ledger = open(&location).await;
    let (first, second, of_other) = (lane(1, 2, 0), lane(1, 2, 1), lane(1, 3, 0));
    for opened in [&first, &second, &of_other] {
        ledger.open_lane(Part::Payer, opened.clone(), NOW).await.unwrap();
    }
    // The payee's own lanes are none of a payer's.
    ledger.open_lane(Part::Payee, lane(1, 2, 2), NOW).await.unwrap();
    let best = voucher(&second, 7 * MIB);
    ledger.voucher(Part::Payer, best.clone(), vec![], NOW).await.unwrap();
    let to_show = async |at| ledger.lanes_to_show(&public(1), &grid(2), at).await.unwrap();
    let ended = NOW.plus(Seconds::days(9));
    assert_eq!((to_show(NOW).await.len(), to_show(ended).await.len()), (2, 2));
    for _ in 0..2 {
        ledger.told(vec![first.identity(), first.identity()]).await.unwrap();
    }
    // An open one is shown all the same: the payee's books may be older than what it was told.
    assert_eq!(to_show(NOW).await.len(), 2);
    let left = to_show(ended).await;
    let vouchers: Vec<_> = left.iter().map(|lane| lane.voucher.as_ref().map(|voucher| voucher.bytes())).collect();
    assert_eq!(vouchers, [Some(best.bytes())]);
    ledger.close().await;
}

pub(crate) async fn a_gateway_is_told_what_the_others_have_under_way(location: Location) {
    let ledger = open(&location).await;
    let line = |bytes| UsageLine {
        day: NOW,
        part: Part::Payee,
        party: public(1),
        grid: grid(2),
        client: None,
        file: None,
        asset: usd(),
        bytes: Bytes(bytes),
        amount: MinorUnits(charge(bytes)),
    };
    let (one, other) = (public(11), public(12));
    assert_eq!(ledger.say_under_way(one, vec![line(5), line(7)], NOW).await.unwrap(), []);
    let sum = UsageLine { amount: MinorUnits(charge(5) + charge(7)), ..line(12) };
    assert_eq!(ledger.say_under_way(other, vec![line(3)], NOW).await.unwrap(), [sum]);
    assert_eq!(ledger.under_way_elsewhere(&one, NOW).await.unwrap(), [line(3)]);
    // What was said before is no more.
    assert_eq!(ledger.say_under_way(one, vec![], NOW).await.unwrap(), [line(3)]);
    assert_eq!(ledger.under_way_elsewhere(&other, NOW).await.unwrap(), []);
    // Of two at once the later one is told of the former.
    let (first, second) =
        tokio::join!(ledger.say_under_way(one, vec![line(1)], NOW), ledger.say_under_way(other, vec![line(2)], NOW));
    assert!(first.unwrap() == [line(2)] || second.unwrap() == [line(1)]);
    // Who is heard of no more holds nothing.
    assert_eq!(ledger.under_way_elsewhere(&one, NOW.plus(Seconds(299))).await.unwrap(), [line(2)]);
    assert_eq!(ledger.under_way_elsewhere(&one, NOW.plus(Seconds(300))).await.unwrap(), []);
    ledger.close().await;
}

pub(crate) async fn what_was_sent_and_never_vouched_for_stays_charged(location: Location) {
    let ledger = open(&location).await;
    let (first, second, of_other) = (lane(1, 2, 0), lane(1, 2, 1), lane(3, 2, 0));
    for opened in [&first, &second, &of_other] {
        ledger.open_lane(Part::Payee, opened.clone(), NOW).await.unwrap();
        ledger.sent(opened.identity(), Bytes(9 * MIB)).await.unwrap();
    }
    ledger.voucher(Part::Payee, voucher(&first, 7 * MIB), vec![], NOW).await.unwrap();
    ledger.voucher(Part::Payee, voucher(&of_other, 9 * MIB), vec![], NOW).await.unwrap();
    let written_off = WrittenOff {
        payer: public(1),
        day: NOW.0 / 86_400,
        of_day: Bytes(MIB),
        lane: second.identity(),
        of_lane: Bytes(MIB),
    };
    ledger.write_off(written_off).await.unwrap();
    ledger.write_off(written_off).await.unwrap();
    ledger.close().await;
    let ledger = open(&location).await;
    let charged = ledger.unvouchered().await.unwrap();
    assert_eq!(charged.into_iter().collect::<Vec<_>>(), [(public(1), Bytes(10 * MIB))]);
    // A payee that begins anew knows of the payer what it knew.
    let state = ledger.payer(&public(1), NOW.0 / 86_400).await.unwrap();
    assert_eq!((state.vouched, state.written_off, state.lanes.len()), (Bytes(7 * MIB), Bytes(MIB), 2));
    let lanes = state.lanes.iter().map(|lane| (lane.open.identity(), lane.sent.0 / MIB, lane.written_off.0 / MIB));
    let mut expected = [(first.identity(), 9, 0), (second.identity(), 9, 1)];
    expected.sort_unstable();
    assert_eq!(lanes.collect::<Vec<_>>(), expected);
    let other = ledger.payer(&public(1), NOW.0 / 86_400 + 1).await.unwrap();
    assert_eq!((other.vouched, other.written_off), (Bytes(0), Bytes(0)), "a day is one of its own");
    assert!(ledger.payer(&public(3), NOW.0 / 86_400).await.unwrap().lanes.is_empty(), "it vouched for all");
    // A lane on which nothing is under way is charged for no more than was sent.
    ledger.at_rest(first.identity(), Bytes(7 * MIB)).await.unwrap();
    let charged = ledger.unvouchered().await.unwrap();
    assert_eq!(charged.into_iter().collect::<Vec<_>>(), [(public(1), Bytes(8 * MIB))]);
    ledger.close().await;
}

pub(crate) async fn a_payment_is_booked_once(location: Location) {
    let ledger = open(&location).await;
    let opened = lane(1, 2, 0);
    for part in Part::ALL {
        ledger.open_lane(part, opened.clone(), NOW).await.unwrap();
        ledger.voucher(part, voucher(&opened, 1 << 30), vec![], NOW).await.unwrap();
        for (nth, kept) in [(0, Kept::New), (0, Kept::Already), (1, Kept::New)] {
            assert_eq!(ledger.pay(part, payment(1, 2, 6_000_000, nth), NOW).await.unwrap(), kept);
        }
        assert_eq!(ledger.owed(part, public(1), public(2), usd()).await.unwrap(), 8_000_000, "{part}");
    }
    ledger.close().await;
}

pub(crate) async fn usage_sums_to_what_was_vouched_for(location: Location) {
    let ledger = open(&location).await;
    let opened = lane(1, 2, 0);
    ledger.open_lane(Part::Payer, opened.clone(), NOW).await.unwrap();
    let reading = |client, file, mib: u64| Reading {
        client: Some(public(client)),
        file: Some([file; 32]),
        bytes: Bytes(mib * MIB),
    };
    let first = vec![reading(50, 1, 2), reading(51, 2, 1)];
    ledger.voucher(Part::Payer, voucher(&opened, 4 * MIB), first.clone(), NOW).await.unwrap();
    // The same again, which adds nothing.
    ledger.voucher(Part::Payer, voucher(&opened, 4 * MIB), first, NOW).await.unwrap();
    let tomorrow = NOW.plus(Seconds::days(1));
    ledger.voucher(Part::Payer, voucher(&opened, 6 * MIB), vec![reading(50, 1, 99)], tomorrow).await.unwrap();
    let lines = ledger.usage(NOW, NOW.plus(Seconds::days(2))).await.unwrap();
    let mut told: Vec<_> =
        lines.iter().map(|line| (line.day == NOW, line.client, line.file, line.bytes.0 / MIB)).collect();
    told.sort();
    let mut expected = [
        (true, Some(public(50)), Some([1; 32]), 2),
        (true, Some(public(51)), Some([2; 32]), 1),
        (true, None, None, 1),
        (false, Some(public(50)), Some([1; 32]), 2),
    ];
    expected.sort();
    assert_eq!(told, expected);
    assert_eq!(lines.iter().map(|line| line.amount.0).sum::<u64>(), charge(6 * MIB));
    assert!(lines.iter().all(|line| (line.party, line.grid) == (public(2), grid(2))));
    assert_eq!(ledger.usage(NOW, NOW.plus(Seconds::days(1))).await.unwrap().len(), 3);
    // All files and clients of a day together.
    let totals = ledger.usage_totals(NOW, NOW.plus(Seconds::days(2))).await.unwrap();
    let mut told: Vec<_> = totals.iter().map(|line| (line.day == NOW, line.party, line.bytes.0 / MIB)).collect();
    told.sort();
    assert_eq!(told, [(false, public(2), 2), (true, public(2), 4)]);
    assert_eq!(totals.iter().map(|line| line.amount.0).sum::<u64>(), charge(6 * MIB));
    ledger.close().await;
}

pub(crate) async fn files_are_forgotten_and_sums_are_not(location: Location) {
    let ledger = open(&location).await;
    let opened = lane(1, 2, 0);
    ledger.open_lane(Part::Payee, opened.clone(), NOW).await.unwrap();
    let reading = |file: Option<u8>| Reading { client: None, file: file.map(|n| [n; 32]), bytes: Bytes(MIB) };
    let day = |nth| NOW.plus(Seconds::days(nth));
    for nth in 0..3 {
        // Two files, and what is known of none.
        let read = vec![reading(Some(1)), reading(Some(2)), reading(None)];
        ledger.voucher(Part::Payee, voucher(&opened, (nth + 1) * 4 * MIB), read, day(nth)).await.unwrap();
    }
    let all = async |from| {
        let lines = ledger.usage(from, day(9)).await.unwrap();
        let files = lines.iter().filter(|line| line.file.is_some()).count();
        let (bytes, amount) =
            lines.iter().fold((0, 0), |(bytes, amount), it| (bytes + it.bytes.0, amount + it.amount.0));
        (lines.len(), files, bytes / MIB, amount)
    };
    let (_, files, mib, amount) = all(NOW).await;
    assert_eq!((files, mib, amount), (6, 12, charge(12 * MIB)));
    // Later in the third day: it is the days before it that are old enough. A second time there is nothing to do.
    for _ in 0..2 {
        ledger.forget_files(day(2).plus(Seconds::hours(1))).await.unwrap();
        assert_eq!(all(NOW).await, (5, 2, mib, amount));
        assert_eq!(all(day(2)).await.1, 2);
    }
    // What a voucher adds to a day that is over goes beside its total.
    let late = vec![reading(Some(1))];
    ledger.voucher(Part::Payee, voucher(&opened, 13 * MIB), late, day(2)).await.unwrap();
    ledger.forget_files(day(3)).await.unwrap();
    assert_eq!(all(NOW).await, (3, 0, 13, charge(13 * MIB)));
    ledger.verify().await.unwrap();
    ledger.close().await;
}

pub(crate) async fn a_sum_that_does_not_fit_is_refused_and_changes_nothing(location: Location) {
    let ledger = open(&location).await;
    let most = i64::MAX as u64;
    let first = ledger.pay(Part::Payee, payment(1, 2, most, 0), NOW).await.unwrap();
    assert_eq!(first, Kept::New);
    // Beside one that fits, with which it may share a transaction.
    let (refused, fits) = tokio::join!(
        ledger.pay(Part::Payee, payment(1, 2, most, 1), NOW),
        ledger.pay(Part::Payer, payment(3, 4, 5, 0), NOW),
    );
    // In words of our own, whatever the database says: what, where, and what next.
    let said = refused.unwrap_err().to_string();
    for says in [
        format!("a payment of {} to {} would bring a sum in the ledger {location} beyond 2^63 - 1", grid(1), grid(2)),
        "and is not booked: look at its amount".to_owned(),
    ] {
        assert!(said.contains(&says), "{says}: {said}");
    }
    assert_eq!(fits.unwrap(), Kept::New);
    // By a little, with nothing beside it, and below zero as above.
    let little = ledger.pay(Part::Payee, payment(1, 2, 2, 2), NOW).await.unwrap_err().to_string();
    assert!(little.contains("beyond 2^63 - 1 minor units"), "{little}");
    assert_eq!(ledger.owed(Part::Payee, public(1), public(2), usd()).await.unwrap(), -i128::from(most));
    assert_eq!(ledger.owed(Part::Payer, public(3), public(4), usd()).await.unwrap(), -5);
    ledger.close().await;
}

pub(crate) async fn what_was_undone_with_another_act_is_booked_again_in_full(location: Location) {
    let ledger = open(&location).await;
    let (good, full, beyond) = (lane(1, 2, 0), lane(3, 4, 0), lane(3, 4, 1));
    ledger.open_lane(Part::Payee, good.clone(), NOW).await.unwrap();
    for opened in [&full, &beyond] {
        ledger.open_lane(Part::Payer, opened.clone(), NOW).await.unwrap();
    }
    ledger.voucher(Part::Payee, voucher(&good, MIB), vec![], NOW).await.unwrap();
    ledger.voucher(Part::Payer, voucher(&full, i64::MAX as u64), vec![], NOW).await.unwrap();
    for mib in [2, 3] {
        // What was read from one party on one day is a sum too, and it is the last thing to be written of the two.
        let (booked, refused) = tokio::join!(
            ledger.voucher(Part::Payee, voucher(&good, mib * MIB), vec![], NOW),
            ledger.voucher(Part::Payer, voucher(&beyond, MIB), vec![], NOW),
        );
        let said = refused.unwrap_err().to_string();
        assert!(said.contains(&format!("a voucher of lane {} would bring a sum", beyond.identity())), "{said}");
        let billed = MinorUnits(charge(mib * MIB) - charge((mib - 1) * MIB));
        let expected = Booked { billed, cum_bytes: Bytes(mib * MIB), cum_amount: MinorUnits(charge(mib * MIB)) };
        assert_eq!(booked.unwrap(), expected);
        let kept = ledger.lane(Part::Payee, good.identity()).await.unwrap().unwrap();
        assert_eq!(kept.voucher.unwrap().body().cum_bytes, Bytes(mib * MIB));
    }
    assert_eq!(ledger.owed(Part::Payee, public(1), public(2), usd()).await.unwrap(), i128::from(charge(3 * MIB)));
    let none = ledger.lane(Part::Payer, beyond.identity()).await.unwrap().unwrap();
    assert!(none.voucher.is_none(), "it is not booked by halves");
    ledger.verify().await.unwrap();
    ledger.close().await;
}
