//! What holds for every object of money, tested over one of each.

use crate::cbor::MapWriter;
use crate::session::form::FormError;
use crate::signed::{ObjectType, seal};
use crate::tariff::wire::fields::Fields;
use crate::tariff::wire::fixtures::{
    NOW, PRICE, claim, consent, deck, grid, lane, lane_body, name, payment, position, public, receipt, report_body,
    revoke, secret, statement, terms, terms_body, voucher, voucher_body,
};
use crate::tariff::wire::{
    ChainFault, Claim, Consent, Deck, LaneOpen, LaneOpenBody, LaneProposal, LaneReport, Party, Payload, Payment,
    Position, PositionBody, Proposal, Receipt, Revoke, Side, Signed, SignedByOne, Statement, Terms, TermsBody,
    TermsProposal, Voucher, VoucherBody, WireError,
};
use crate::units::{Bytes, MinorUnits, PricePerGib, Seconds};
use proptest::prelude::*;

/// What is signed is read; every flipped bit is refused; no other key signs it; no other type's decoder takes it.
fn holds<T: SignedByOne + Eq>(body: &T, key: u8) {
    let signed = Signed::sign(body, &secret(key)).unwrap();
    assert_eq!(signed.body(), body);
    assert_eq!(Signed::from_bytes(signed.bytes()), Ok(signed.clone()));
    assert!(signed.bytes().len() <= T::MAX_BYTES);
    for i in 0..signed.bytes().len() {
        let mut bytes = signed.bytes().to_vec();
        bytes[i] ^= 1;
        assert!(Signed::<T>::from_bytes(&bytes).is_err(), "{} byte {i}", T::TYPE.name());
        assert!(Signed::<T>::from_bytes(&signed.bytes()[..i]).is_err(), "{} cut at {i}", T::TYPE.name());
    }
    assert!(matches!(Signed::sign(body, &secret(key + 1)), Err(WireError::OtherKey { .. })));
    let mut map = MapWriter::new();
    body.write_fields(&mut map);
    let other_type = seal(ObjectType::Membership, &map.finish(), &secret(key));
    assert!(matches!(Signed::<T>::from_bytes(&other_type), Err(WireError::BadSignature { .. })));
}

#[test]
fn what_one_party_signs_is_read_as_it_was_said_and_in_no_other_form() {
    holds(&deck(), 2);
    holds(&claim(), 2);
    holds(&receipt(), 3);
    holds(&position(), 3);
    holds(&consent(), 1);
    holds(&statement(), 3);
    holds(&payment(), 2);
    holds(&revoke(), 2);
}

#[test]
fn what_both_sign_is_one_object_whoever_proposed_it() {
    let by_payer = TermsProposal::sign(&terms_body(), &secret(1)).unwrap();
    let by_payee = TermsProposal::sign(&terms_body(), &secret(2)).unwrap();
    assert_eq!((by_payer.by(), by_payee.by()), (Side::Payer, Side::Payee));
    assert_eq!(Proposal::from_bytes(by_payee.bytes()), Ok(by_payee.clone()));
    let agreed = by_payer.accept(&secret(2)).unwrap();
    assert_eq!(by_payee.accept(&secret(1)), Ok(agreed.clone()));
    assert_eq!(agreed.identity(), by_payee.identity());
    assert_eq!(Terms::from_bytes(agreed.bytes()), Ok(agreed.clone()));
    for i in 0..agreed.bytes().len() {
        let mut bytes = agreed.bytes().to_vec();
        bytes[i] ^= 1;
        assert!(Terms::from_bytes(&bytes).is_err(), "byte {i}");
    }
    for bytes in [by_payer.bytes(), by_payee.bytes(), &[], &[0; 64]] {
        assert!(Terms::from_bytes(bytes).is_err(), "signed by one side is not agreed");
    }
    assert!(Proposal::<TermsBody>::from_bytes(agreed.bytes()).is_err());
    assert!(matches!(by_payer.accept(&secret(1)), Err(WireError::OtherKey { .. })), "nobody accepts his own");
    assert!(matches!(TermsProposal::sign(&terms_body(), &secret(9)), Err(WireError::OtherKey { .. })));
}

#[test]
fn a_lane_is_read_as_it_was_opened() {
    let lane = lane();
    assert_eq!(LaneOpen::from_bytes(lane.bytes()), Ok(lane.clone()));
    assert_eq!(lane.body(), &lane_body());
    let least = LaneOpenBody {
        price: PricePerGib(0),
        evidence: None,
        terms: None,
        position: None,
        destination: Some(grid(7)),
        ..lane_body()
    };
    let least = LaneProposal::sign(&least, &secret(12)).unwrap().accept(&secret(11)).unwrap();
    assert_eq!(LaneOpen::from_bytes(least.bytes()), Ok(least));
}

#[test]
fn the_largest_lane_terms_and_voucher_fit_what_carries_them() {
    let all = LaneOpenBody { grant: Some(lane().identity()), destination: Some(grid(7)), ..lane_body() };
    let all = LaneProposal::sign(&all, &secret(11)).unwrap().accept(&secret(12)).unwrap();
    assert!(all.bytes().len() <= crate::tariff::wire::Carried::MAX_BYTES);
    const { assert!(LaneOpenBody::MAX_BYTES + 64 <= crate::tariff::wire::Carried::MAX_BYTES) };
    assert_eq!(voucher(1 << 40).bytes().len(), 171);
}

#[test]
fn a_voucher_holds_for_its_lane_its_key_and_its_price_alone() {
    let voucher = voucher(123_456_789);
    assert_eq!(Voucher::lane_of(voucher.bytes()), Ok(lane().identity()));
    assert_eq!(Voucher::of_lane(voucher.bytes(), &lane()), Ok(voucher.clone()));
    for i in 0..voucher.bytes().len() {
        let mut bytes = voucher.bytes().to_vec();
        bytes[i] ^= 1;
        assert!(Voucher::of_lane(&bytes, &lane()).is_err(), "byte {i}");
    }
    let other = LaneOpenBody { payer_nonce: [9; 16], ..lane_body() };
    let other = LaneProposal::sign(&other, &secret(11)).unwrap().accept(&secret(12)).unwrap();
    assert!(matches!(Voucher::of_lane(voucher.bytes(), &other), Err(WireError::OtherLane { .. })));
    let forged = seal(ObjectType::Voucher, &crate::tariff::wire::one::written(voucher.body()), &secret(22));
    assert!(matches!(Voucher::of_lane(&forged, &lane()), Err(WireError::BadSignature { .. })));
    assert!(matches!(Voucher::issue(voucher.body(), &lane(), &secret(22)), Err(WireError::OtherKey { .. })));
    for amount in [0, voucher.body().cum_amount.0 - 1, voucher.body().cum_amount.0 + 1, i64::MAX as u64] {
        let body = VoucherBody { cum_amount: MinorUnits(amount), ..voucher.body().clone() };
        let refused = Voucher::issue(&body, &lane(), &secret(21)).unwrap_err();
        assert_eq!(refused.class(), "field", "{amount}");
    }
    let nothing = VoucherBody { cum_bytes: Bytes(0), cum_amount: MinorUnits(0), ..voucher_body(1) };
    assert!(Voucher::issue(&nothing, &lane(), &secret(21)).is_err());
}

#[test]
fn no_voucher_overflows_at_the_highest_price() {
    let dear = LaneOpenBody { price: PricePerGib::MAX, ..lane_body() };
    let lane = LaneProposal::sign(&dear, &secret(11)).unwrap().accept(&secret(12)).unwrap();
    let exact = VoucherBody { lane: lane.identity(), cum_amount: MinorUnits::MAX, ..voucher_body(1 << 30) };
    assert!(Voucher::issue(&exact, &lane, &secret(21)).is_ok());
    for octets in [(1 << 30) + 1, i64::MAX as u64] {
        let body = VoucherBody { cum_bytes: Bytes(octets), ..exact.clone() };
        assert!(Voucher::issue(&body, &lane, &secret(21)).is_err());
    }
}

#[test]
fn a_report_holds_for_its_lane_and_key_alone() {
    let report = LaneReport::issue(&report_body(), &lane(), &secret(22)).unwrap();
    assert_eq!(LaneReport::of_lane(report.bytes(), &lane()), Ok(report.clone()));
    assert!(LaneReport::issue(&report_body(), &lane(), &secret(21)).is_err());
    assert!(Voucher::of_lane(report.bytes(), &lane()).is_err());
}

fn class<T: SignedByOne>(body: &T, key: u8) -> String {
    match Signed::sign(body, &secret(key)) {
        Err(WireError::Form { error: FormError::Field { field, .. }, .. }) => field.to_owned(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn fields_that_contradict_each_other_are_refused_by_name() {
    assert_eq!(
        class(
            &{
                let mut b = deck();
                b.not_after = b.not_before;
                b
            },
            2
        ),
        "not_after"
    );
    assert_eq!(
        class(
            &{
                let mut b = deck();
                b.asset = crate::rate::Asset::FREE;
                b
            },
            2
        ),
        "price"
    );
    assert_eq!(
        class(
            &{
                let mut b = deck();
                b.price = PricePerGib(u64::MAX);
                b
            },
            2
        ),
        "price"
    );
    assert_eq!(
        class(
            &{
                let mut b = claim();
                b.lanes.clear();
                b
            },
            2
        ),
        "lanes"
    );
    assert_eq!(
        class(
            &{
                let mut b = receipt();
                b.lanes[1].lane = b.lanes[0].lane;
                b
            },
            3
        ),
        "lanes"
    );
    assert_eq!(
        class(
            &{
                let mut b = position();
                (b.first, b.second) = (b.second, b.first);
                b
            },
            3
        ),
        "second"
    );
    assert_eq!(
        class(
            &{
                let mut b = position();
                b.number = 2;
                b
            },
            3
        ),
        "previous"
    );
    assert_eq!(
        class(
            &{
                let mut b = position();
                b.charged_first.0 += 1;
                b
            },
            3
        ),
        "charged_first"
    );
    assert_eq!(
        class(
            &{
                let mut b = position();
                b.lanes[0].to_bytes = Bytes(0);
                b
            },
            3
        ),
        "lanes"
    );
    assert_eq!(
        class(
            &{
                let mut b = position();
                b.settled[0].amount = MinorUnits(0);
                b
            },
            3
        ),
        "settled"
    );
    assert_eq!(
        class(
            &{
                let mut b = consent();
                b.pays.0 += 1;
                b
            },
            1
        ),
        "pays"
    );
    assert_eq!(
        class(
            &{
                let mut b = consent();
                b.pays.0 += 500;
                b.receives.0 += 500;
                b
            },
            1
        ),
        "pays"
    );
    assert_eq!(
        class(
            &{
                let mut b = statement();
                b.payable.0 -= 1;
                b
            },
            3
        ),
        "payable"
    );
    assert_eq!(
        class(
            &{
                let mut b = payment();
                b.amount.0 = 0;
                b
            },
            2
        ),
        "amount"
    );
    let terms = |change: fn(&mut TermsBody)| {
        let mut body = terms_body();
        change(&mut body);
        TermsProposal::sign(&body, &secret(1)).is_err()
    };
    assert!(terms(|b| b.payee = b.payer) && terms(|b| b.payee_key = b.payer_key) && terms(|b| b.window = Bytes(1)));
    assert!(terms(|b| b.settle = Seconds(0)) && terms(|b| b.credit_limit = MinorUnits(u64::MAX)));
    let lane = |change: fn(&mut LaneOpenBody)| {
        let mut body = lane_body();
        change(&mut body);
        LaneProposal::sign(&body, &secret(11)).is_err()
    };
    assert!(lane(|b| b.not_after = b.not_after.plus(Seconds(1))) && lane(|b| b.evidence = None));
    assert!(lane(|b| b.payer = *b.payee.key()) && lane(|b| b.payee_session = b.payer_session));
    assert!(lane(|b| b.destination = Some(b.payee)) && lane(|b| b.not_after = b.opened_at));
}

#[test]
fn new_words_are_passed_over_above_63_and_not_below() {
    let with = |key: u64| {
        let mut map = MapWriter::new();
        deck().write_fields(&mut map);
        map.text(key, "new");
        Deck::from_bytes(&seal(ObjectType::Deck, &map.finish(), &secret(2))).map(drop)
    };
    assert_eq!(with(64), Ok(()));
    assert_eq!(with(9).unwrap_err().class(), "upgrade");
}

/// A second position after the first.
fn next(before: &Position) -> PositionBody {
    let mut body = PositionBody { number: 2, previous: Some(before.identity()), ..position() };
    let line = &mut body.lanes[0];
    (line.from_bytes, line.to_bytes) = (Bytes(1 << 30), Bytes(2 << 30));
    (line.from_amount, line.to_amount) = (MinorUnits(PRICE.0), MinorUnits(2 * PRICE.0));
    body.settled.clear();
    let debtor = line.debtor;
    *match debtor {
        Party::First => &mut body.charged_first,
        Party::Second => &mut body.charged_second,
    } = MinorUnits(2 * PRICE.0);
    body
}

#[test]
fn positions_follow_each_other_or_are_a_fork() {
    let first = Position::sign(&position(), &secret(3)).unwrap();
    assert_eq!(first.body().follows(None), Ok(()));
    let second = Position::sign(&next(&first), &secret(3)).unwrap();
    assert_eq!(second.body().follows(Some(&first)), Ok(()));
    assert_eq!(second.body().net().unsigned_abs(), u128::from(PRICE.0) * 3 / 2);
    let mut late = position();
    late.time = NOW.plus(Seconds(1));
    let other_history = Position::sign(&late, &secret(3)).unwrap();
    assert_eq!(second.body().follows(Some(&other_history)), Err(ChainFault::Fork));
    assert_eq!(second.body().follows(None), Err(ChainFault::Fork));
    let mut wrong = next(&first);
    wrong.settled_second.0 += 1;
    assert_eq!(wrong.follows(Some(&first)), Err(ChainFault::Totals));
    wrong.clearing = grid(9);
    assert_eq!(wrong.follows(Some(&first)), Err(ChainFault::OtherBooks));
}

fn reads_nothing_or_itself<T: SignedByOne + Eq>(bytes: &[u8]) {
    if let Ok(read) = Signed::<T>::from_bytes(bytes) {
        assert_eq!(read.bytes(), bytes);
    }
}

fn every_decoder(bytes: &[u8]) {
    reads_nothing_or_itself::<crate::tariff::wire::DeckBody>(bytes);
    reads_nothing_or_itself::<crate::tariff::wire::ClaimBody>(bytes);
    let _ = (Receipt::from_bytes(bytes), Position::from_bytes(bytes), Consent::from_bytes(bytes));
    let _ = (Statement::from_bytes(bytes), Payment::from_bytes(bytes), Revoke::from_bytes(bytes));
    let _ = (Terms::from_bytes(bytes), TermsProposal::from_bytes(bytes), LaneOpen::from_bytes(bytes));
    let _ = (LaneProposal::from_bytes(bytes), Voucher::of_lane(bytes, &lane()), LaneReport::of_lane(bytes, &lane()));
    let _ = Claim::from_bytes(bytes);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_bytes_make_a_decoder_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        every_decoder(&bytes);
        for object in [ObjectType::Deck, ObjectType::Position, ObjectType::Claim] {
            every_decoder(&seal(object, &bytes, &secret(2)));
        }
    }

    #[test]
    fn one_changed_octet_of_a_payload_is_no_panic(at in any::<prop::sample::Index>(), to in any::<u8>()) {
        let mut map = MapWriter::new();
        position().write_fields(&mut map);
        let mut payload = map.finish();
        let at = at.index(payload.len());
        payload[at] = to;
        let _ = Position::from_bytes(&seal(ObjectType::Position, &payload, &secret(3)));
    }

    #[test]
    fn any_reference_is_carried(text in "\\PC{1,20}") {
        if crate::record::Nickname::new(&text).is_ok() {
            let body = crate::tariff::wire::PaymentBody { reference: name(&text), ..payment() };
            let payment = Payment::sign(&body, &secret(2)).unwrap();
            prop_assert_eq!(payment.body(), &body);
        }
    }
}

#[test]
fn terms_and_lanes_of_the_tests_are_signed_by_those_they_name() {
    assert_eq!((terms().body().payer_key, lane().body().payee_key), (public(1), public(12)));
}
