//! Lanes and vouchers as two gateways at work would have signed them, for tests that write them into books themselves.

use lafs_clearinghouse::keys::{GridId, SecretKey};
use lafs_clearinghouse::rate::Asset;
use lafs_clearinghouse::tariff::wire::{LaneOpen, LaneOpenBody, LaneProposal, Voucher, VoucherBody};
use lafs_clearinghouse::units::{Bytes, PricePerGib, Seconds, UnixSeconds};

/// A grid, and the key of its gateway.
pub(crate) type Side<'k> = (GridId, &'k SecretKey);

/// The key that acknowledges for whoever pays.
pub(crate) fn session() -> SecretKey {
    SecretKey::from_seed(&[201; 32])
}

/// What a lane of a day says, in USD and without terms or what gives its price.
pub(crate) fn body(
    payer: Side<'_>,
    payee: Side<'_>,
    price: PricePerGib,
    nth: u8,
    opened_at: UnixSeconds,
) -> LaneOpenBody {
    LaneOpenBody {
        payer: *payer.0.key(),
        payer_key: payer.1.public(),
        payee: payee.0,
        payee_key: payee.1.public(),
        destination: None,
        asset: Asset::from_code("USD").unwrap(),
        price,
        evidence: None,
        terms: None,
        grant: None,
        position: None,
        payer_instance: [1; 16],
        payee_instance: [2; 16],
        payer_session: session().public(),
        payee_session: SecretKey::from_seed(&[202; 32]).public(),
        payer_nonce: [nth; 16],
        payee_nonce: [4; 16],
        secret_hash: [8; 32],
        opened_at,
        not_after: opened_at.plus(Seconds::hours(24)),
    }
}

/// It, signed by both.
pub(crate) fn signed(body: &LaneOpenBody, payer: &SecretKey, payee: &SecretKey) -> LaneOpen {
    LaneProposal::sign(body, payee).unwrap().accept(payer).unwrap()
}

/// The acknowledgement of so many octets of a lane, in all.
pub(crate) fn voucher(lane: &LaneOpen, octets: u64) -> Voucher {
    let body = VoucherBody {
        lane: lane.identity(),
        cum_bytes: Bytes(octets),
        cum_amount: lane.body().charge(Bytes(octets)).unwrap(),
        time: lane.body().opened_at,
        transcript: [7; 32],
    };
    Voucher::issue(&body, lane, &session()).unwrap()
}
