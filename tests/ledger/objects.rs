//! Signed objects to be booked. Grids and sessions are numbered.

use lafs_clearinghouse::keys::{GridId, PublicKey, SecretKey};
use lafs_clearinghouse::rate::Asset;
use lafs_clearinghouse::record::Nickname;
use lafs_clearinghouse::signed::Identity;
use lafs_clearinghouse::tariff::wire::{
    LaneOpen, LaneOpenBody, LaneProposal, Payment, PaymentBody, Signed, Terms, TermsBody, TermsProposal, Voucher,
    VoucherBody,
};
use lafs_clearinghouse::units::{Bytes, MinorUnits, PricePerGib, Seconds, UnixSeconds};

/// The beginning of an hour and of a day.
pub(crate) const NOW: UnixSeconds = UnixSeconds(20_833 * 86_400);
pub(crate) const MIB: u64 = 1 << 20;
/// 0.02 USD for each GiB.
pub(crate) const PRICE: PricePerGib = PricePerGib(20_000_000);

pub(crate) fn secret(n: u8) -> SecretKey {
    SecretKey::from_seed(&[n; 32])
}

pub(crate) fn public(n: u8) -> PublicKey {
    secret(n).public()
}

pub(crate) fn grid(n: u8) -> GridId {
    GridId::new(public(n))
}

pub(crate) fn usd() -> Asset {
    Asset::from_code("USD").unwrap()
}

pub(crate) fn terms(payer: u8, payee: u8) -> Terms {
    let body = TermsBody {
        payer: grid(payer),
        payer_key: public(payer),
        payee: grid(payee),
        payee_key: public(payee),
        clearing: Some(grid(99)),
        asset: usd(),
        credit_limit: MinorUnits(10_000_000_000),
        window: Bytes(64 * MIB),
        settle: Seconds::days(30),
        dispute: Seconds::days(60),
        not_before: NOW.minus(Seconds::days(1)),
        not_after: NOW.plus(Seconds::days(365)),
        nonce: [payer; 16],
    };
    TermsProposal::sign(&body, &secret(payer)).unwrap().accept(&secret(payee)).unwrap()
}

/// A lane of `payer` to `payee`, the `nth` of the two. Its session keys are numbers 201 and 202.
pub(crate) fn lane(payer: u8, payee: u8, nth: u32) -> LaneOpen {
    lane_at(payer, payee, nth, Some(Identity([5; 32])))
}

/// The same at a price that this evidence gives.
pub(crate) fn lane_at(payer: u8, payee: u8, nth: u32, evidence: Option<Identity>) -> LaneOpen {
    let mut nonce = [0; 16];
    nonce[..4].copy_from_slice(&nth.to_be_bytes());
    let body = LaneOpenBody {
        payer: public(payer),
        payer_key: public(payer),
        payee: grid(payee),
        payee_key: public(payee),
        destination: None,
        asset: usd(),
        price: PRICE,
        evidence,
        terms: Some(terms(payer, payee).identity()),
        grant: None,
        position: None,
        payer_instance: [1; 16],
        payee_instance: [2; 16],
        payer_session: public(201),
        payee_session: public(202),
        payer_nonce: nonce,
        payee_nonce: [4; 16],
        secret_hash: [8; 32],
        opened_at: NOW,
        not_after: NOW.plus(Seconds::hours(24)),
    };
    LaneProposal::sign(&body, &secret(payer)).unwrap().accept(&secret(payee)).unwrap()
}

pub(crate) fn voucher(lane: &LaneOpen, bytes: u64) -> Voucher {
    let body = VoucherBody {
        lane: lane.identity(),
        cum_bytes: Bytes(bytes),
        cum_amount: PRICE.charge(Bytes(bytes)).unwrap(),
        time: NOW,
        transcript: [7; 32],
    };
    Voucher::issue(&body, lane, &secret(201)).unwrap()
}

pub(crate) fn payment(debtor: u8, creditor: u8, amount: u64, nth: u64) -> Payment {
    let body = PaymentBody {
        creditor: grid(creditor),
        signer: public(creditor),
        debtor: grid(debtor),
        asset: usd(),
        amount: MinorUnits(amount),
        serial: NOW.0 * 1_000 + nth,
        paid_at: NOW,
        reference: Nickname::new("RF18 5390 0754 7034").unwrap(),
        statement: None,
    };
    Signed::sign(&body, &secret(creditor)).unwrap()
}
