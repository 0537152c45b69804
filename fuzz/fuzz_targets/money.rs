//! The signed objects of money: what comes from a gateway or a clearing node that nobody knows. The bytes as they come, and
//! their payload signed by the keys that the vectors name; of two signers by both.
#![no_main]

use lafs_clearinghouse::keys::SecretKey;
use lafs_clearinghouse::rate::Asset;
use lafs_clearinghouse::signed::{Envelope, ObjectType, seal, sign};
use lafs_clearinghouse::tariff::wire::{
    Agreed, ClaimBody, ConsentBody, DeckBody, LaneOpen, LaneOpenBody, LaneProposal, LaneReport, Payload, PaymentBody,
    PositionBody, Proposal, ReceiptBody, RevokeBody, Side, Signed, SignedByBoth, SignedByOne, StatementBody, TermsBody,
    Voucher, WireError,
};
use lafs_clearinghouse::units::{PricePerGib, Seconds};
use lafs_clearinghouse_fuzz::{NOW, as_found_and_signed_by_each, grid, grid_key, has_one_form, publisher_key};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

static LANE: LazyLock<LaneOpen> = LazyLock::new(lane);

fuzz_target!(|data: &[u8]| {
    one::<DeckBody>(data);
    one::<ClaimBody>(data);
    one::<ReceiptBody>(data);
    one::<PositionBody>(data);
    one::<ConsentBody>(data);
    one::<StatementBody>(data);
    one::<PaymentBody>(data);
    one::<RevokeBody>(data);
    both::<TermsBody>(data);
    both::<LaneOpenBody>(data);
    counters(data);
});

fn keys() -> [&'static SecretKey; 2] {
    [grid_key(), publisher_key()]
}

fn one<T: SignedByOne + Eq>(data: &[u8]) {
    for bytes in as_found_and_signed_by_each(data, T::TYPE) {
        match Signed::<T>::from_bytes(&bytes) {
            Ok(read) => {
                is_whole::<T>(&bytes);
                assert_eq!(read.bytes(), bytes);
                for key in keys().into_iter().filter(|key| key.public() == *read.body().signer()) {
                    let again = Signed::sign(read.body(), key).expect("what was read can be said");
                    assert_eq!(again.body(), read.body());
                    assert!(again.bytes().len() <= bytes.len());
                }
            }
            Err(error) => is_told(&error),
        }
    }
}

fn both<T: SignedByBoth + Eq>(data: &[u8]) {
    let payload = Envelope::from_bytes(data).map_or(data, |envelope| envelope.payload());
    for (payer, payee) in [(0, 1), (1, 0)] {
        let payee = sign(T::TYPE, payload, keys()[payee]);
        let signed = [&seal(T::TYPE, payload, keys()[payer])[..], &payee].concat();
        for bytes in [data.to_vec(), signed] {
            match Agreed::<T>::from_bytes(&bytes) {
                Ok(read) => {
                    is_whole::<T>(&bytes[..bytes.len() - 64]);
                    let key = |side| keys().into_iter().find(|key| key.public() == *read.body().key(side));
                    if let (Some(payer), Some(payee)) = (key(Side::Payer), key(Side::Payee)) {
                        let again = Proposal::sign(read.body(), payee).and_then(|proposal| proposal.accept(payer));
                        let again = again.expect("what was read can be said");
                        assert_eq!(again.body(), read.body());
                        assert!(again.bytes().len() <= bytes.len());
                    }
                }
                Err(error) => is_told(&error),
            }
        }
    }
    if let Err(error) = Proposal::<T>::from_bytes(data) {
        is_told(&error);
    }
}

/// Vouchers and reports of a lane whose session keys are at hand.
fn counters(data: &[u8]) {
    let mut payload = Envelope::from_bytes(data).map_or(data, |envelope| envelope.payload()).to_vec();
    if payload.len() >= 36 && payload[1..4] == [0, 0x58, 0x20] {
        payload[4..36].copy_from_slice(&LANE.identity().0);
    }
    for bytes in [data.to_vec(), seal(ObjectType::Voucher, &payload, grid_key())] {
        match Voucher::of_lane(&bytes, &LANE) {
            Ok(voucher) => {
                has_one_form(Envelope::from_bytes(&bytes).expect("it was read").payload());
                let body = voucher.body();
                assert_eq!(LANE.body().charge(body.cum_bytes), Some(body.cum_amount));
                assert_eq!(Voucher::issue(body, &LANE, grid_key()).expect("it can be said").body(), body);
            }
            Err(error) => is_told(&error),
        }
    }
    for bytes in [data.to_vec(), seal(ObjectType::LaneReport, &payload, publisher_key())] {
        match LaneReport::of_lane(&bytes, &LANE) {
            Ok(report) => {
                let again = LaneReport::issue(report.body(), &LANE, publisher_key()).expect("it can be said");
                assert_eq!(again.body(), report.body());
            }
            Err(error) => is_told(&error),
        }
    }
}

fn is_whole<T: Payload>(bytes: &[u8]) {
    assert!(bytes.len() <= T::MAX_BYTES);
    has_one_form(Envelope::from_bytes(bytes).expect("it was read").payload());
}

fn is_told(error: &WireError) {
    assert!(!error.class().is_empty() && !error.to_string().is_empty());
}

fn lane() -> LaneOpen {
    let body = LaneOpenBody {
        payer: publisher_key().public(),
        payer_key: publisher_key().public(),
        payee: *grid(),
        payee_key: grid_key().public(),
        destination: None,
        asset: Asset::from_code("USD").expect("an asset"),
        price: PricePerGib(20_000_000),
        evidence: Some(lafs_clearinghouse::signed::Identity([1; 32])),
        terms: None,
        grant: None,
        position: None,
        payer_instance: [1; 16],
        payee_instance: [2; 16],
        payer_session: grid_key().public(),
        payee_session: publisher_key().public(),
        payer_nonce: [3; 16],
        payee_nonce: [4; 16],
        secret_hash: [5; 32],
        opened_at: NOW,
        not_after: NOW.plus(Seconds(3_600)),
    };
    let proposal = LaneProposal::sign(&body, publisher_key()).expect("a lane");
    proposal.accept(grid_key()).expect("both sign")
}
