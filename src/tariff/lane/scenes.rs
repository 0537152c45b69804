//! Single rules of a lane, one fact each; the model has what many of them do together.

use crate::signed::Identity;
use crate::tariff::lane::{
    Account, Counted, Durable, LaneRefusal, LaneSecret, LaneState, Left, Limits, MAX_ENTRIES, NoCharge, Pair,
    PairEffect, PayerEffect, PayerLane, Served, ServedKind, Transcript, VoucherFault, WriteId, WriteOff,
};
use crate::tariff::wire::{LaneId, VoucherBody};
use crate::tariff::{Ticket, WindowRefusal};
use crate::units::{Bytes, MinorUnits, PricePerGib, Seconds, UnixSeconds};

pub(super) const NOW: UnixSeconds = UnixSeconds(1_800_000_000);
pub(super) const LANE: LaneId = Identity([1; 32]);
pub(super) const PRICE: PricePerGib = PricePerGib(1 << 30);
pub(super) const MIB: u64 = 1 << 20;

pub(super) fn limits(credit: u64) -> Limits {
    Limits { window: Some(Bytes(16 * MIB)), credit: Some(MinorUnits(credit)), write_off: WriteOff::Nothing }
}

pub(super) fn pair(limits: Limits) -> Pair {
    Pair::new(limits, Account::default(), [LaneState::new(LANE, PRICE, NOW.plus(Seconds::hours(1)))])
}

pub(super) fn unit(offset: u64, length: u64) -> Served {
    Served { kind: ServedKind::Ciphertext, object: [7; 32], offset, length: Bytes(length) }
}

/// Asks for a delivery and lets it leave.
fn left(pair: &mut Pair, served: Served) -> Ticket {
    let (ticket, effects) = pair.ask(LANE, served, NOW);
    let ticket = ticket.unwrap();
    let writes = effects.iter().filter_map(|effect| match effect {
        PairEffect::Persist(id, _) => Some(*id),
        _ => None,
    });
    let started = match writes.max() {
        Some(id) => pair.persisted(id, NOW),
        None => effects,
    };
    assert!(started.contains(&PairEffect::Start(ticket)));
    ticket
}

pub(super) fn voucher(entries: &[Served], price: PricePerGib) -> VoucherBody {
    let cum_bytes = Bytes(entries.iter().map(|served| served.length.0).sum());
    let transcript = entries.iter().fold(Transcript::start(&LANE), Transcript::and).0;
    VoucherBody { lane: LANE, cum_bytes, cum_amount: price.charge(cum_bytes).unwrap(), time: NOW, transcript }
}

fn counts(pair: &mut Pair, body: &VoucherBody, entries: &[Served]) {
    let effects = pair.voucher(body, entries).unwrap();
    let [PairEffect::Persist(_, Durable::Voucher(_)), ..] = effects[..] else { panic!("{effects:?}") };
    let id = effects
        .iter()
        .filter_map(|effect| if let PairEffect::Persist(id, _) = effect { Some(*id) } else { None })
        .max();
    assert!(pair.persisted(id.unwrap(), NOW).contains(&PairEffect::Acknowledge(body.clone())));
}

#[test]
fn one_delivery_is_acknowledged_once() {
    let mut pair = pair(limits(u64::MAX));
    let (first, second) = (unit(0, MIB), unit(1, MIB));
    left(&mut pair, first);
    left(&mut pair, second);
    let twice = [first, first];
    assert_eq!(pair.voucher(&voucher(&twice, PRICE), &twice), Err(VoucherFault::Transcript));
    counts(&mut pair, &voucher(&[first, second], PRICE), &[first, second]);
    assert_eq!(pair.out(), Bytes(0));
}

#[test]
fn a_voucher_for_what_was_not_delivered_or_not_sent_is_refused() {
    let mut pair = pair(limits(u64::MAX));
    left(&mut pair, unit(0, MIB));
    let other = [unit(5, MIB)];
    assert_eq!(pair.voucher(&voucher(&other, PRICE), &other), Err(VoucherFault::Transcript));
    let more = [unit(0, MIB), unit(1, 8 * MIB)];
    assert!(matches!(pair.voucher(&voucher(&more, PRICE), &more), Err(VoucherFault::AboveSent { .. })));
    let mut cheap = voucher(&[unit(0, MIB)], PRICE);
    cheap.cum_amount.0 -= 1;
    assert_eq!(pair.voucher(&cheap, &[unit(0, MIB)]), Err(VoucherFault::Amount(Bytes(MIB))));
    let elsewhere = VoucherBody { lane: Identity([2; 32]), ..voucher(&[unit(0, MIB)], PRICE) };
    assert_eq!(pair.voucher(&elsewhere, &[unit(0, MIB)]), Err(VoucherFault::NoLane));
    assert_eq!(pair.voucher(&voucher(&[unit(0, MIB)], PRICE), &[]), Err(VoucherFault::Gap));
}

#[test]
fn a_repeated_voucher_is_answered_with_the_one_that_counts() {
    let mut pair = pair(limits(u64::MAX));
    let entries = [unit(0, MIB)];
    left(&mut pair, entries[0]);
    let body = voucher(&entries, PRICE);
    counts(&mut pair, &body, &entries);
    assert_eq!(pair.voucher(&body, &entries), Ok(vec![PairEffect::Acknowledge(body)]));
    assert_eq!(pair.vouched(), u128::from(MIB));
}

#[test]
fn reconnecting_frees_nothing_and_what_is_shown_does() {
    let mut pair = pair(limits(u64::MAX));
    let entries = [unit(0, 4 * MIB), unit(1, 4 * MIB), unit(2, 4 * MIB), unit(3, 4 * MIB)];
    for served in entries {
        left(&mut pair, served);
    }
    pair.resync(LANE, None).unwrap();
    let full = WindowRefusal::Adrift { unit: Bytes(1), adrift: Bytes(16 * MIB) };
    assert_eq!(pair.ask(LANE, unit(9, 1), NOW).0, Err(LaneRefusal::Window(full)));
    let shown = voucher(&entries[..2], PRICE);
    let effects = pair.resync(LANE, Some(&shown)).unwrap();
    let [PairEffect::Persist(id, _)] = effects[..] else { panic!("{effects:?}") };
    assert_eq!(pair.out(), Bytes(16 * MIB), "not before the disk has it");
    pair.persisted(id, NOW);
    assert_eq!(pair.out(), Bytes(8 * MIB));
    assert!(pair.ask(LANE, unit(9, 1), NOW).0.is_ok());
}

#[test]
fn a_restart_charges_what_may_have_left_and_no_more_than_that() {
    let mut before = pair(limits(u64::MAX));
    left(&mut before, unit(0, MIB));
    let lanes: Vec<LaneState> = before.lanes().cloned().collect();
    let after = Pair::new(limits(u64::MAX), *before.account(), lanes);
    assert_eq!(after.out(), Bytes(5 * MIB), "four that never left, and no voucher was near");
}

#[test]
fn a_known_party_is_let_off_sixteen_mebibytes_a_day_and_a_hundredth() {
    let mut pair = pair(Limits { write_off: WriteOff::KNOWN, window: Some(Bytes(64 * MIB)), ..limits(u64::MAX) });
    for offset in 0..5 {
        left(&mut pair, unit(offset, 10 * MIB));
    }
    pair.disconnect(LANE);
    assert_eq!(pair.out(), Bytes(50 * MIB));
    let (asked, effects) = pair.ask(LANE, unit(9, 1), NOW);
    assert!(asked.is_ok());
    assert!(effects.iter().any(|effect| matches!(effect, PairEffect::Persist(..))));
    assert_eq!(pair.out(), Bytes(34 * MIB + 1));
    assert!(pair.ask(LANE, unit(9, 1), NOW.plus(Seconds(60))).0.is_ok());
    assert_eq!(pair.out(), Bytes(34 * MIB + 2), "the same day");
    let late = NOW.plus(Seconds::days(1));
    assert_eq!(pair.ask(LANE, unit(9, 1), late).0, Err(LaneRefusal::Ended(NOW.plus(Seconds::hours(1)))));
    assert_eq!(pair.out(), Bytes(18 * MIB + 2), "the next day");
}

#[test]
fn credit_ends_before_it_is_overrun_and_half_of_it_is_said() {
    let mut pair = pair(limits(4 * MIB));
    let entries = [unit(0, MIB), unit(1, 2 * MIB)];
    for served in entries {
        left(&mut pair, served);
    }
    assert!(pair.ask(LANE, unit(2, MIB), NOW).0.is_ok(), "exactly the limit");
    let limit = MinorUnits(4 * MIB);
    assert_eq!(pair.ask(LANE, unit(3, 1), NOW).0, Err(LaneRefusal::Credit { limit }));
    let body = voucher(&entries, PRICE);
    let effects = pair.voucher(&body, &entries).unwrap();
    let [PairEffect::Persist(id, _), PairEffect::Persist(with_it, Durable::Sent(..))] = effects[..] else {
        panic!("what is under way still is written with the voucher: {effects:?}")
    };
    assert!(pair.persisted(id.max(with_it), NOW).contains(&PairEffect::Settle));
    assert_eq!(pair.ask(LANE, unit(3, 1), NOW).0, Err(LaneRefusal::Credit { limit }), "vouched for is still owed");
    pair.settled(MinorUnits(3 * MIB));
    assert!(pair.ask(LANE, unit(3, 3 * MIB), NOW).0.is_ok());
}

#[test]
fn what_is_vouched_for_after_it_was_written_off_is_owed_and_lends_no_more() {
    let mut pair = pair(Limits { write_off: WriteOff::KNOWN, ..limits(4 * MIB) });
    let first = unit(0, 3 * MIB);
    let ticket = left(&mut pair, first);
    pair.over(ticket, Left::Some);
    let (too_much, effects) = pair.ask(LANE, unit(1, 2 * MIB), NOW);
    assert_eq!(too_much, Err(LaneRefusal::Credit { limit: MinorUnits(4 * MIB) }));
    let off = |effect: &PairEffect| matches!(effect, PairEffect::Persist(_, Durable::WrittenOff(_, Bytes(off))) if *off == 3 * MIB);
    assert!(effects.iter().any(off), "{effects:?}");
    counts(&mut pair, &voucher(&[first], PRICE), &[first]);
    assert_eq!(pair.ask(LANE, unit(1, 2 * MIB), NOW).0, Err(LaneRefusal::Credit { limit: MinorUnits(4 * MIB) }));
    assert!(pair.ask(LANE, unit(1, MIB), NOW).0.is_ok());
}

#[test]
fn a_delivery_that_never_left_costs_nothing() {
    let mut pair = pair(limits(u64::MAX));
    let ticket = left(&mut pair, unit(0, MIB));
    pair.over(ticket, Left::Nothing);
    assert_eq!(pair.out(), Bytes(0));
    let ticket = left(&mut pair, unit(0, MIB));
    pair.over(ticket, Left::Some);
    assert_eq!(pair.out(), Bytes(MIB));
}

#[test]
fn a_closed_lane_is_kept_while_something_of_it_is_adrift() {
    let mut pair = pair(limits(u64::MAX));
    left(&mut pair, unit(0, MIB));
    let entries = [unit(1, MIB)];
    left(&mut pair, entries[0]);
    counts(&mut pair, &voucher(&entries, PRICE), &entries);
    pair.close(LANE);
    assert_eq!(pair.ask(LANE, unit(2, 1), NOW).0, Err(LaneRefusal::NoLane));
    assert_eq!((pair.out(), pair.lanes().count()), (Bytes(MIB), 1));
    let late = voucher(&[unit(1, MIB), unit(0, MIB)], PRICE);
    let effects = pair.resync(LANE, Some(&late)).unwrap();
    let [PairEffect::Persist(id, _)] = effects[..] else { panic!("{effects:?}") };
    pair.persisted(id, NOW);
    assert_eq!((pair.out(), pair.lanes().count(), pair.vouched()), (Bytes(0), 0, u128::from(2 * MIB)));
}

#[test]
fn what_a_broken_request_brought_is_acknowledged_all_the_same() {
    let mut pair = pair(limits(u64::MAX));
    let (came, lost) = (unit(0, MIB), unit(1, MIB));
    for served in [came, lost] {
        let ticket = left(&mut pair, served);
        pair.over(ticket, Left::Some);
    }
    assert_eq!(pair.out(), Bytes(2 * MIB));
    counts(&mut pair, &voucher(&[came], PRICE), &[came]);
    assert_eq!(pair.out(), Bytes(MIB));
    // Nothing is acknowledged twice for that.
    let twice = [came, came];
    assert_eq!(pair.voucher(&voucher(&twice, PRICE), &[came]), Err(VoucherFault::Transcript));
}

#[test]
fn a_lane_at_rest_is_on_the_disk_as_far_as_it_came() {
    let mut before = pair(limits(u64::MAX));
    let entries = [unit(0, MIB)];
    left(&mut before, entries[0]);
    let body = voucher(&entries, PRICE);
    let effects = before.voucher(&body, &entries).unwrap();
    // With the voucher that acknowledges the last of it.
    let [PairEffect::Persist(_, Durable::Voucher(_)), PairEffect::Persist(id, Durable::AtRest(_, Bytes(MIB)))] =
        effects[..]
    else {
        panic!("{effects:?}")
    };
    assert_eq!(before.persisted(id, NOW), [PairEffect::Acknowledge(body)]);
    let after = Pair::new(limits(u64::MAX), *before.account(), before.lanes().cloned());
    assert_eq!(after.out(), Bytes(0));
    // What leaves next waits for the disk again.
    let (_, effects) = before.ask(LANE, unit(1, MIB), NOW);
    assert!(matches!(effects[..], [PairEffect::Persist(_, Durable::Sent(_, Bytes(sent)))] if sent >= 2 * MIB));
}

#[test]
fn what_a_full_disk_does_not_take_is_refused_and_counts_for_nobody() {
    let mut pair = pair(limits(u64::MAX));
    let (ticket, effects) = pair.ask(LANE, unit(0, MIB), NOW);
    let [PairEffect::Persist(id, _)] = effects[..] else { panic!("{effects:?}") };
    assert_eq!(pair.failed(id), [PairEffect::Refuse(ticket.unwrap())]);
    assert_eq!(pair.out(), Bytes(0));
    let entries = [unit(0, MIB)];
    left(&mut pair, entries[0]);
    let body = voucher(&entries, PRICE);
    let effects = pair.voucher(&body, &entries).unwrap();
    let [PairEffect::Persist(id, Durable::Voucher(_)), ..] = effects[..] else { panic!("{effects:?}") };
    assert_eq!(pair.failed(id), []);
    assert_eq!(pair.vouched(), 0);
    counts(&mut pair, &body, &entries);
}

#[test]
fn who_gives_up_before_its_turn_keeps_nobody_waiting_for_the_disk() {
    let mut pair = pair(Limits { window: Some(Bytes(1 << 30)), ..limits(u64::MAX) });
    let (first, effects) = pair.ask(LANE, unit(0, 17 * MIB), NOW);
    let [PairEffect::Persist(id, _)] = effects[..] else { panic!("{effects:?}") };
    let (second, effects) = pair.ask(LANE, unit(1, 17 * MIB), NOW);
    assert_eq!(effects, [], "the disk is being told");
    pair.over(first.unwrap(), Left::Nothing);
    let effects = pair.persisted(id, NOW);
    assert!(effects.contains(&PairEffect::Start(second.unwrap())), "{effects:?}");
}

#[test]
fn several_gateways_let_no_more_be_out_than_one_and_write_off_no_more() {
    let whole = Limits { window: Some(Bytes(64 * MIB)), write_off: WriteOff::KNOWN, ..limits(u64::MAX) };
    for gateways in 1..=4_u32 {
        let of_one = whole.split(gateways.try_into().unwrap(), Counted::Apart);
        let (mut out, mut written_off) = (0, 0);
        for _ in 0..gateways {
            let mut pair = pair(of_one);
            // Units are sent as long as there is room, and none of them is acknowledged.
            let sends = |pair: &mut Pair, from: u64| {
                let mut offset = from;
                while pair.out().0 + MIB <= of_one.window.unwrap().0 {
                    left(pair, unit(offset, MIB));
                    offset += 1;
                }
                offset
            };
            let sent = sends(&mut pair, 0);
            assert!(sent > 0);
            out += pair.out().0;
            pair.disconnect(LANE);
            let _ = pair.ask(LANE, unit(sent, MIB), NOW);
            written_off += pair.lane(LANE).unwrap().written_off.0;
        }
        assert!(out <= 64 * MIB, "{gateways}: {out}");
        assert!(out > 64 * MIB - u64::from(gateways) * MIB, "{gateways}: {out} of all that may be");
        assert!(written_off > 0 && written_off <= WriteOff::DAILY.0, "{gateways}: {written_off}");
    }
}

#[test]
fn terms_that_end_refuse_what_waits_and_what_left_is_acknowledged() {
    let mut pair = pair(limits(u64::MAX));
    let entries = [unit(0, 10 * MIB)];
    left(&mut pair, entries[0]);
    let (waits, effects) = pair.ask(LANE, unit(1, 10 * MIB), NOW);
    assert_eq!(effects, []);
    let effects = pair.close(LANE);
    assert!(effects.contains(&PairEffect::Refuse(waits.unwrap())), "{effects:?}");
    counts(&mut pair, &voucher(&entries, PRICE), &entries);
    assert_eq!((pair.out(), pair.lanes().count(), pair.vouched()), (Bytes(0), 0, u128::from(10 * MIB)));
    let of_disk = LaneState { best: Some(voucher(&entries, PRICE)), ..LaneState::new(LANE, PRICE, NOW) };
    pair.recall(of_disk);
    assert_eq!(pair.vouched(), u128::from(10 * MIB), "folded away and found again, it is the same");
}

/// A part of a window that several gateways split would be gone with the first crash, and a whole one with the second.
#[test]
fn what_is_noted_ahead_leaves_a_quarter_of_what_the_window_has_left() {
    let mut pair = pair(Limits { window: Some(Bytes(4 * MIB)), ..limits(u64::MAX) });
    let (_, effects) = pair.ask(LANE, unit(0, MIB), NOW);
    assert!(matches!(effects[..], [PairEffect::Persist(_, Durable::Sent(LANE, Bytes(ceiling)))] if ceiling == 4 * MIB));
    pair = Pair::new(
        Limits { window: Some(Bytes(4 * MIB)), write_off: WriteOff::Nothing, ..limits(u64::MAX) },
        Account::default(),
        [LaneState { sent: Bytes(2 * MIB), ..LaneState::new(LANE, PRICE, NOW.plus(Seconds(1))) }],
    );
    let (_, effects) = pair.ask(LANE, unit(0, MIB), NOW);
    let ahead = |effect: &PairEffect| matches!(effect, PairEffect::Persist(_, Durable::Sent(LANE, Bytes(ceiling))) if *ceiling == 3 * MIB + MIB * 3 / 2);
    assert!(effects.iter().any(ahead), "{effects:?}");
}

#[test]
fn what_leaves_after_a_voucher_waits_for_no_write_of_its_own() {
    let mut pair = pair(Limits { window: Some(Bytes(64 * MIB)), ..limits(u64::MAX) });
    let entries: Vec<Served> = (0..8).map(|offset| unit(offset, MIB)).collect();
    for served in &entries {
        left(&mut pair, *served);
    }
    let effects = pair.voucher(&voucher(&entries[..4], PRICE), &entries[..4]).unwrap();
    let [PairEffect::Persist(id, Durable::Voucher(_)), PairEffect::Persist(with_it, Durable::Sent(LANE, ceiling))] =
        effects[..]
    else {
        panic!("{effects:?}")
    };
    assert_eq!(ceiling, Bytes(16 * MIB), "twice of what it acknowledges");
    pair.persisted(id.max(with_it), NOW);
    for offset in 8..16 {
        let (ticket, effects) = pair.ask(LANE, unit(offset, MIB), NOW);
        assert_eq!(effects, [PairEffect::Start(ticket.unwrap())]);
    }
    let (_, effects) = pair.ask(LANE, unit(16, MIB), NOW);
    assert!(
        matches!(effects[..], [PairEffect::Persist(_, Durable::Sent(..))]),
        "beyond it the disk comes first: {effects:?}"
    );
}

/// Or the start of a fast line would wait for the disk again and again.
#[test]
fn what_is_expected_to_follow_is_noted_ahead_before_the_first_voucher_comes() {
    for (expected, ceiling) in [(0, 5 * MIB), (MIB, 5 * MIB), (10 * MIB, 11 * MIB), (100 * MIB, 17 * MIB)] {
        let mut pair = pair(Limits { window: Some(Bytes(64 * MIB)), ..limits(u64::MAX) });
        pair.expect(LANE, Bytes(expected));
        let (_, effects) = pair.ask(LANE, unit(0, MIB), NOW);
        let written = |effect: &PairEffect| matches!(effect, PairEffect::Persist(_, Durable::Sent(LANE, written)) if written.0 == ceiling);
        assert!(effects.iter().any(written), "{expected}: {effects:?}");
    }
}

#[test]
fn what_is_noted_ahead_doubles_until_the_first_voucher_comes() {
    let mut pair = pair(Limits { window: Some(Bytes(256 * MIB)), ..limits(u64::MAX) });
    pair.expect(LANE, Bytes(200 * MIB));
    let mut written = Vec::new();
    for offset in 0..100 {
        let (_, effects) = pair.ask(LANE, unit(offset, MIB), NOW);
        for effect in effects {
            let PairEffect::Persist(id, Durable::Sent(_, ceiling)) = effect else { continue };
            written.push(ceiling.0 / MIB);
            pair.persisted(id, NOW);
        }
    }
    assert_eq!(written, [17, 36, 74, 150]);
}

/// The start of each file on a fast line would wait for the disk again and again.
#[test]
fn of_a_lane_whose_pace_is_known_so_much_is_noted_ahead_at_the_start_of_the_next_file() {
    let mut pair = pair(Limits { window: Some(Bytes(256 * MIB)), ..limits(u64::MAX) });
    let (mut entries, mut sent) = (Vec::new(), 0);
    // A small file halves what is known of it, and never goes below what is noted of a new lane.
    for (file, ahead) in [(40, 40), (1, 20), (1, 16)] {
        entries.push(unit(sent, file * MIB));
        sent += file;
        left(&mut pair, entries[entries.len() - 1]);
        counts(&mut pair, &voucher(&entries, PRICE), &entries[entries.len() - 1..]);
        pair.expect(LANE, Bytes(100 * MIB));
        let (ticket, effects) = pair.ask(LANE, unit(sent, MIB), NOW);
        let [PairEffect::Persist(id, Durable::Sent(LANE, ceiling))] = effects[..] else { panic!("{effects:?}") };
        assert_eq!(ceiling.0 / MIB, sent + 1 + ahead);
        pair.persisted(id, NOW);
        pair.over(ticket.unwrap(), Left::Nothing);
    }
}

#[test]
fn who_is_held_to_no_window_and_no_limit_is_counted_all_the_same() {
    let mut pair = pair(Limits { window: None, credit: None, write_off: WriteOff::Nothing });
    for offset in 0..3 {
        let (ticket, effects) = pair.ask(LANE, unit(offset, 100 * MIB), NOW);
        assert_eq!(effects, [PairEffect::Start(ticket.unwrap())], "it leaves without the disk");
    }
    let entries = [unit(0, 100 * MIB)];
    counts(&mut pair, &voucher(&entries, PRICE), &entries);
    let effects = pair.close(LANE);
    let adrift = |effect: &PairEffect| matches!(effect, PairEffect::Persist(_, Durable::AtRest(LANE, sent)) if sent.0 == 300 * MIB);
    assert!(effects.iter().any(adrift), "the disk is told of what nobody acknowledged: {effects:?}");
    assert_eq!((pair.lanes().count(), pair.vouched()), (0, u128::from(100 * MIB)), "nobody waits for the rest");
}

#[test]
fn many_small_deliveries_make_a_voucher_due() {
    let mut payer = PayerLane::new(LANE, PRICE, Bytes(64 * MIB), None);
    for offset in 1..MAX_ENTRIES as u64 {
        assert_eq!(payer.verified(unit(offset, 1), NOW), Ok(vec![]));
    }
    let effects = payer.verified(unit(0, 1), NOW).unwrap();
    assert!(matches!(&effects[..], [PayerEffect::Persist(_, body)] if body.cum_bytes.0 == MAX_ENTRIES as u64));
    let mut payer = PayerLane::new(LANE, PRICE, Bytes(MIB), None);
    for offset in 0..3 {
        assert_eq!(payer.verified(unit(offset, MIB / 8), NOW), Ok(vec![]));
    }
    assert_eq!(payer.verified(unit(3, MIB / 8), NOW).unwrap().len(), 1, "half of a small window");
}

#[test]
fn of_a_large_window_sixty_four_mebibytes_are_left_for_what_is_under_way() {
    for (window, due) in [(1, 1), (2 * MIB, MIB), (100 * MIB, 50 * MIB), (200 * MIB, 136 * MIB), (1 << 40, 192 * MIB)] {
        let mut payer = PayerLane::new(LANE, PRICE, Bytes(window), None);
        // In units of which none is large, up to the last octet that makes none due.
        while payer.unvouched().0 < due - 1 {
            let so_far = payer.unvouched().0;
            let length = (due - 1 - so_far).min(window / 4);
            assert_eq!(payer.verified(unit(so_far, length), NOW), Ok(vec![]), "{window}");
            assert_eq!(payer.unvouched(), Bytes(so_far + length));
        }
        let effects = payer.verified(unit(due - 1, 1), NOW).unwrap();
        assert!(
            matches!(&effects[..], [PayerEffect::Persist(_, body)] if body.cum_bytes.0 == due),
            "{window}: {effects:?}"
        );
        assert_eq!(payer.unvouched(), Bytes(0));
    }
}

/// Its payee lets another one leave only when nothing is out.
#[test]
fn a_delivery_above_a_quarter_of_the_window_is_acknowledged_at_once() {
    let mut payer = PayerLane::new(LANE, PRICE, Bytes(MIB), None);
    let effects = payer.verified(unit(0, MIB / 4 + 1), NOW).unwrap();
    let [PayerEffect::Persist(id, _)] = effects[..] else { panic!("{effects:?}") };
    // Nor is the next one forgotten while that is being written.
    assert_eq!(payer.verified(unit(1, MIB / 4 + 1), NOW), Ok(vec![]));
    let effects = payer.persisted(id, NOW);
    assert!(matches!(effects[..], [PayerEffect::Send(..), PayerEffect::Persist(..)]), "{effects:?}");
}

#[test]
fn a_payer_sends_what_the_disk_has_and_nothing_before() {
    let mut payer = PayerLane::new(LANE, PRICE, Bytes(64 * MIB), None);
    let served = unit(0, 1_000);
    assert_eq!(payer.verified(served, NOW), Ok(vec![]));
    let effects = payer.flush(NOW);
    let body = voucher(&[served], PRICE);
    assert_eq!(effects, [PayerEffect::Persist(WriteId(1), body.clone())]);
    assert_eq!(payer.flush(NOW), []);
    assert_eq!(payer.persisted(WriteId(1), NOW), [PayerEffect::Send(body.clone(), vec![served])]);
    assert_eq!(payer.best(), Some(&body));
    assert_eq!(payer.flush(NOW), [], "nothing new");
}

#[test]
fn what_comes_while_a_voucher_is_written_waits_for_its_own_time() {
    let mut payer = PayerLane::new(LANE, PRICE, Bytes(64 << 20), None);
    assert_eq!(payer.verified(unit(0, MIB), NOW), Ok(Vec::new()));
    let effects = payer.flush(NOW);
    let Some(PayerEffect::Persist(first, _)) = effects.first().cloned() else { panic!("a voucher: {effects:?}") };
    assert_eq!(payer.verified(unit(MIB, MIB), NOW), Ok(Vec::new()));
    let effects = payer.persisted(first, NOW);
    assert!(matches!(effects.as_slice(), [PayerEffect::Send(..)]), "one voucher makes no other due: {effects:?}");

    // Asked for while one is written, it follows.
    let effects = payer.flush(NOW);
    let Some(PayerEffect::Persist(second, _)) = effects.first().cloned() else { panic!("a voucher: {effects:?}") };
    assert_eq!(payer.verified(unit(2 * MIB, MIB), NOW), Ok(Vec::new()));
    assert_eq!(payer.flush(NOW), Vec::new());
    let effects = payer.persisted(second, NOW);
    let [PayerEffect::Send(..), PayerEffect::Persist(_, third)] = effects.as_slice() else {
        panic!("both: {effects:?}")
    };
    assert_eq!(third.cum_bytes, Bytes(3 * MIB));
}

#[test]
fn a_payer_restored_from_a_backup_adopts_its_own_signature() {
    let mut payer = PayerLane::new(LANE, PRICE, Bytes(64 * MIB), None);
    let theirs = voucher(&[unit(0, MIB)], PRICE);
    let effects = payer.acknowledged(&theirs, NOW);
    assert_eq!(effects, [PayerEffect::Persist(WriteId(1), theirs.clone())]);
    assert_eq!(payer.persisted(WriteId(1), NOW), []);
    assert_eq!(payer.reconnect(NOW), [PayerEffect::Show(Some(theirs))]);
}

#[test]
fn a_lane_whose_charge_would_not_fit_takes_no_more() {
    let mut payer = PayerLane::new(LANE, PricePerGib::MAX, Bytes(64 * MIB), None);
    assert!(payer.verified(unit(0, 1 << 30), NOW).is_ok());
    let octets = Bytes((1 << 30) + 1);
    assert_eq!(payer.verified(unit(1, 1), NOW), Err(NoCharge { octets }));
}

#[test]
fn who_knows_the_secret_knows_the_object_and_nobody_else() {
    let secret = LaneSecret::new([1; 32]);
    assert_ne!(secret.object(&[0; 16]), LaneSecret::new([2; 32]).object(&[0; 16]));
    assert_ne!(secret.object(&[0; 16]), secret.object(&[1; 16]));
    assert_eq!(format!("{secret:?}"), "LaneSecret");
    let manifest = Served { kind: ServedKind::Manifest, ..unit(3, 9) };
    for served in [unit(3, 9), manifest] {
        assert_eq!(Served::from_bytes(&served.to_bytes()), Some(served));
    }
    assert_eq!(Served::from_bytes(&[2; Served::BYTES]), None);
    // RFC 4231's construction, computed apart: Python's hmac and hashlib.
    assert_eq!(data_encoding::HEXLOWER.encode(&secret.object(&[0; 16])), PYTHON_OBJECT);
    assert_eq!(data_encoding::HEXLOWER.encode(&Transcript::start(&LANE).and(&unit(3, 9)).0), PYTHON_TRANSCRIPT);
}

const PYTHON_OBJECT: &str = "4445762421861c5cb822daf5a1757928da4440309c0ddeeb20a4951ce8053df0";
const PYTHON_TRANSCRIPT: &str = "5c1e0bd93ad022416a72f282be5056c309ed0f5b66db03777400d113f1b26f6c";
