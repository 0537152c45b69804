//! One of each object, for tests: grid 1 reads from grid 2, and grid 3 keeps the books.

use crate::keys::{GridId, PublicKey, SecretKey};
use crate::rate::Asset;
use crate::record::Nickname;
use crate::signed::Identity;
use crate::tariff::wire::{
    Carried, ClaimBody, ClaimLine, ClaimRefusal, ConsentBody, DeckBody, LaneOpen, LaneOpenBody, LaneProposal,
    LaneReportBody, Party, PaymentBody, PositionBody, PositionLine, ReceiptBody, ReceiptLine, RevokeBody, Revoked,
    SettledBy, Settlement, StatementBody, Terms, TermsBody, TermsProposal, Voucher, VoucherBody,
};
use crate::units::{Bytes, MinorUnits, PricePerGib, Seconds, UnixSeconds};

pub(crate) const NOW: UnixSeconds = UnixSeconds(1_800_000_000);
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

pub(crate) fn name(text: &str) -> Nickname {
    Nickname::new(text).unwrap()
}

pub(crate) fn deck() -> DeckBody {
    DeckBody {
        seller: grid(2),
        signer: public(2),
        serial: NOW.0 * 1_000,
        audience: Some(public(9)),
        destination: Some(grid(7)),
        asset: usd(),
        price: PRICE,
        not_before: NOW,
        not_after: NOW.plus(Seconds::days(30)),
    }
}

pub(crate) fn terms_body() -> TermsBody {
    TermsBody {
        payer: grid(1),
        payer_key: public(1),
        payee: grid(2),
        payee_key: public(2),
        clearing: Some(grid(3)),
        asset: usd(),
        credit_limit: MinorUnits(10_000_000_000),
        window: Bytes(64 << 20),
        settle: Seconds::days(30),
        dispute: Seconds::days(60),
        not_before: NOW,
        not_after: NOW.plus(Seconds::days(365)),
        nonce: [4; 16],
    }
}

pub(crate) fn terms() -> Terms {
    TermsProposal::sign(&terms_body(), &secret(1)).unwrap().accept(&secret(2)).unwrap()
}

pub(crate) fn lane_body() -> LaneOpenBody {
    LaneOpenBody {
        payer: public(1),
        payer_key: public(11),
        payee: grid(2),
        payee_key: public(12),
        destination: None,
        asset: usd(),
        price: PRICE,
        evidence: Some(Identity([5; 32])),
        terms: Some(terms().identity()),
        grant: None,
        position: Some(Identity([6; 32])),
        payer_instance: [1; 16],
        payee_instance: [2; 16],
        payer_session: public(21),
        payee_session: public(22),
        payer_nonce: [3; 16],
        payee_nonce: [4; 16],
        secret_hash: [8; 32],
        opened_at: NOW,
        not_after: NOW.plus(Seconds::hours(24)),
    }
}

pub(crate) fn lane() -> LaneOpen {
    LaneProposal::sign(&lane_body(), &secret(11)).unwrap().accept(&secret(12)).unwrap()
}

/// What a voucher for so many octets of [`lane`] says.
pub(crate) fn voucher_body(octets: u64) -> VoucherBody {
    VoucherBody {
        lane: lane().identity(),
        cum_bytes: Bytes(octets),
        cum_amount: PRICE.charge(Bytes(octets)).unwrap(),
        time: NOW,
        transcript: [7; 32],
    }
}

pub(crate) fn voucher(octets: u64) -> Voucher {
    Voucher::issue(&voucher_body(octets), &lane(), &secret(21)).unwrap()
}

pub(crate) fn report_body() -> LaneReportBody {
    LaneReportBody { lane: lane().identity(), cum_bytes: Bytes(1 << 20), time: NOW, transcript: [7; 32] }
}

pub(crate) fn claim() -> ClaimBody {
    let carried = |bytes: &[u8]| Carried(bytes.into());
    let line = ClaimLine {
        voucher: carried(voucher(1 << 30).bytes()),
        lane_open: Some(carried(lane().bytes())),
        terms: Some(carried(terms().bytes())),
        evidence: None,
    };
    ClaimBody { grid: grid(2), signer: public(2), clearing: grid(3), time: NOW, lanes: vec![line] }
}

pub(crate) fn receipt() -> ReceiptBody {
    let booked = ReceiptLine {
        lane: lane().identity(),
        cum_bytes: Bytes(1 << 30),
        cum_amount: MinorUnits(PRICE.0),
        refused: None,
    };
    let unknown = ReceiptLine {
        lane: Identity([9; 32]),
        cum_bytes: Bytes(0),
        cum_amount: MinorUnits(0),
        refused: Some(ClaimRefusal::UnknownLane),
    };
    ReceiptBody {
        clearing: grid(3),
        signer: public(3),
        claim: Identity([1; 32]),
        grid: grid(2),
        time: NOW,
        lanes: vec![booked, unknown],
    }
}

/// The first position of grids 1 and 2: the payer owes a gibibyte, half of which is paid.
pub(crate) fn position() -> PositionBody {
    let [first, second] = if grid(1) < grid(2) { [grid(1), grid(2)] } else { [grid(2), grid(1)] };
    let debtor = if first == grid(1) { Party::First } else { Party::Second };
    let (charged, settled) = (MinorUnits(PRICE.0), MinorUnits(PRICE.0 / 2));
    let of = |party, amount| if party == debtor { amount } else { MinorUnits(0) };
    PositionBody {
        clearing: grid(3),
        signer: public(3),
        first,
        second,
        asset: usd(),
        number: 1,
        previous: None,
        time: NOW,
        lanes: vec![PositionLine {
            lane: lane().identity(),
            debtor,
            from_bytes: Bytes(0),
            to_bytes: Bytes(1 << 30),
            from_amount: MinorUnits(0),
            to_amount: charged,
        }],
        settled: vec![Settlement { by: SettledBy::Payment, proof: Identity([2; 32]), debtor, amount: settled }],
        charged_first: of(Party::First, charged),
        charged_second: of(Party::Second, charged),
        settled_first: of(Party::First, settled),
        settled_second: of(Party::Second, settled),
    }
}

pub(crate) fn consent() -> ConsentBody {
    ConsentBody {
        grid: grid(1),
        signer: public(1),
        clearing: grid(3),
        netting: [3; 32],
        asset: usd(),
        owed: MinorUnits(700),
        due: MinorUnits(300),
        pays: MinorUnits(400),
        receives: MinorUnits(0),
        time: NOW,
        not_after: NOW.plus(Seconds::days(7)),
    }
}

pub(crate) fn statement() -> StatementBody {
    StatementBody {
        issuer: grid(3),
        signer: public(3),
        creditor: grid(2),
        debtor: grid(1),
        asset: usd(),
        from: NOW.minus(Seconds::days(30)),
        until: NOW,
        position: Some(Identity([4; 32])),
        brought_forward: MinorUnits(1_000),
        charged: MinorUnits(20_000_000),
        set_off: MinorUnits(0),
        settled: MinorUnits(0),
        payable: MinorUnits(20_000_000),
        carried: MinorUnits(1_000),
    }
}

pub(crate) fn payment() -> PaymentBody {
    PaymentBody {
        creditor: grid(2),
        signer: public(2),
        debtor: grid(1),
        asset: usd(),
        amount: MinorUnits(20_000_000),
        serial: NOW.0 * 1_000,
        paid_at: NOW,
        reference: name("RF18 5390 0754 7034"),
        statement: Some(Identity([5; 32])),
    }
}

pub(crate) fn revoke() -> RevokeBody {
    RevokeBody {
        issuer: grid(2),
        signer: public(2),
        kind: Revoked::Terms,
        target: terms().identity(),
        serial: NOW.0 * 1_000,
        time: NOW,
        reason: Some(name("three statements unpaid")),
    }
}
