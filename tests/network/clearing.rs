//! Three grids' gateways: one is paid, one pays, and the third keeps the books of the two.

use crate::gateway_node::GatewayNode;
use crate::signed_lane::{self, session, voucher};
use lafs_clearinghouse::clearing::{Round, Rounded, Settler};
use lafs_clearinghouse::clock::Clock;
use lafs_clearinghouse::config::{Home, read_key};
use lafs_clearinghouse::keys::{GridId, SecretKey};
use lafs_clearinghouse::ledger::{Ledger, Pair, Part};
use lafs_clearinghouse::netting::bill;
use lafs_clearinghouse::rate::Asset;
use lafs_clearinghouse::record::{GridRecord, Nickname};
use lafs_clearinghouse::resolver::{DEFAULT_DEADLINE, Policy, Question};
use lafs_clearinghouse::tariff::wire::{
    LaneOpen, LaneOpenBody, PaymentBody, Signed, Terms, TermsBody, TermsProposal, Voucher, VoucherBody,
};
use lafs_clearinghouse::units::{Bytes, MinorUnits, PricePerGib, Seconds, UnixSeconds};

pub(crate) const GIB: u64 = 1 << 30;
/// 0.02 USD for each GiB.
pub(crate) const PRICE: PricePerGib = PricePerGib(20_000_000);

pub(crate) fn usd() -> Asset {
    Asset::from_code("USD").unwrap()
}

/// Who pays, who is paid, and who keeps the books, if a third one does.
pub(crate) struct Three {
    pub(crate) payer: GatewayNode,
    pub(crate) payee: GatewayNode,
    pub(crate) third: GatewayNode,
    _tahoe: tempfile::TempDir,
}

impl Three {
    pub(crate) async fn start(seed: u8) -> Self {
        // A Tahoe node that has not started yet: its gateway serves, and knows no servers.
        let tahoe = tempfile::tempdir().unwrap();
        std::fs::create_dir(tahoe.path().join("private")).unwrap();
        let third = GatewayNode::start(seed, Some(tahoe.path()), "0.02 USD/GiB", &[]).await;
        let payee = GatewayNode::start(seed + 1, Some(tahoe.path()), "0.02 USD/GiB", &[&third]).await;
        let payer = GatewayNode::start(seed + 2, None, "free", &[&third, &payee]).await;
        for (who, whom) in
            [(&payer, &payee), (&payer, &third), (&payee, &payer), (&payee, &third), (&third, &payer), (&third, &payee)]
        {
            who.finds(whom.grid()).await;
        }
        Self { payer, payee, third, _tahoe: tahoe }
    }

    pub(crate) fn terms(&self, clearing: Option<GridId>) -> Terms {
        terms_between(&self.payer, &self.payee, clearing)
    }

    /// A lane of the two, in both ledgers with its terms.
    pub(crate) async fn lane(&self, nth: u8, terms: &Terms) -> LaneOpen {
        lane_between(&self.payer, &self.payee, nth, terms).await
    }

    /// The payer acknowledges so many octets of the lane, in all.
    pub(crate) async fn vouch(&self, lane: &LaneOpen, octets: u64) {
        for (node, part) in [(&self.payer, Part::Payer), (&self.payee, Part::Payee)] {
            ledger(node).voucher(part, voucher(lane, octets), Vec::new(), Clock::system().now()).await.unwrap();
        }
    }

    async fn owed(&self, node: &GatewayNode, part: Part) -> i128 {
        ledger(node).owed(part, *self.payer.grid().key(), *self.payee.grid().key(), usd()).await.unwrap()
    }

    pub(crate) async fn stop(self) {
        for node in [self.payer, self.payee, self.third] {
            node.node.stop().await;
        }
    }
}

pub(crate) fn terms_between(payer: &GatewayNode, payee: &GatewayNode, clearing: Option<GridId>) -> Terms {
    let now = Clock::system().now();
    let body = TermsBody {
        payer: payer.grid(),
        payer_key: payer.key.public(),
        payee: payee.grid(),
        payee_key: payee.key.public(),
        clearing,
        asset: usd(),
        credit_limit: MinorUnits(10_000_000_000),
        window: Bytes(64 << 20),
        settle: Seconds::days(30),
        dispute: Seconds::days(60),
        not_before: now.minus(Seconds::days(1)),
        not_after: now.plus(Seconds::days(365)),
        nonce: [4; 16],
    };
    TermsProposal::sign(&body, &payer.key).unwrap().accept(&payee.key).unwrap()
}

/// A lane of two grids, in both ledgers with its terms.
pub(crate) async fn lane_between(of: &GatewayNode, with: &GatewayNode, nth: u8, terms: &Terms) -> LaneOpen {
    let now = Clock::system().now();
    let record = record(of, with.grid()).await;
    let (payer, payee) = (gateway_key(of), gateway_key(with));
    let body = LaneOpenBody {
        evidence: Some(record.signed().identity()),
        terms: Some(terms.identity()),
        ..signed_lane::body((of.grid(), &payer), (with.grid(), &payee), PRICE, nth, now)
    };
    let lane = signed_lane::signed(&body, &payer, &payee);
    for (node, part) in [(of, Part::Payer), (with, Part::Payee)] {
        ledger(node).keep(terms, now).await.unwrap();
        ledger(node).open_lane(part, lane.clone(), now).await.unwrap();
    }
    lane
}

/// The record of `grid` as a node finds it.
pub(crate) async fn record(node: &GatewayNode, grid: GridId) -> GridRecord {
    let question = Question { grid, policy: Policy::Fast, deadline: DEFAULT_DEADLINE };
    node.node.resolver.resolve(question).await.unwrap().record
}

pub(crate) fn gateway_key(node: &GatewayNode) -> SecretKey {
    read_key(&Home::new(node._dir.path().join("node")).gateway_key()).unwrap()
}

pub(crate) fn settler(node: &GatewayNode) -> &Settler {
    node.node.settler.as_ref().unwrap()
}

pub(crate) fn ledger(node: &GatewayNode) -> &Ledger {
    settler(node).ledger()
}

pub(crate) async fn round(node: &GatewayNode) -> Rounded {
    settler(node).round(Round::Everything).await
}

pub(crate) fn done(claimed: u64, positions: u64) -> Rounded {
    Rounded { claimed, positions, problems: Vec::new() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_is_booked_once_and_told_to_both_sides() {
    let three = Three::start(41).await;
    let terms = three.terms(Some(three.third.grid()));
    let lane = three.lane(1, &terms).await;
    three.vouch(&lane, GIB).await;
    assert_eq!(round(&three.payee).await, done(1, 1));
    assert_eq!(round(&three.payer).await, done(0, 1));
    for (node, part) in [(&three.payer, Part::Payer), (&three.payee, Part::Payee), (&three.third, Part::Clearing)] {
        assert_eq!(three.owed(node, part).await, 20_000_000, "{part}");
    }
    // Nothing is new, and nothing is booked again.
    assert_eq!(round(&three.payee).await, done(0, 0));
    three.vouch(&lane, 2 * GIB).await;
    assert_eq!(round(&three.payee).await, done(1, 1));
    assert_eq!(three.owed(&three.third, Part::Clearing).await, 40_000_000);

    // The creditor's word that half of it was paid goes to the books of all three.
    let body = PaymentBody {
        creditor: three.payee.grid(),
        signer: three.payee.key.public(),
        debtor: three.payer.grid(),
        asset: usd(),
        amount: MinorUnits(20_000_000),
        serial: 1,
        paid_at: Clock::system().now(),
        reference: Nickname::new("RF18 5390 0754 7034").unwrap(),
        statement: None,
    };
    let payment = Signed::sign(&body, &three.payee.key).unwrap();
    ledger(&three.payee).pay(Part::Payee, payment, Clock::system().now()).await.unwrap();
    assert_eq!(round(&three.payee).await, done(0, 1));
    assert_eq!(round(&three.payer).await, done(0, 2));
    for (node, part) in [(&three.payer, Part::Payer), (&three.payee, Part::Payee), (&three.third, Part::Clearing)] {
        assert_eq!(three.owed(node, part).await, 20_000_000, "{part}");
    }
    // And all three write the same bill.
    let pair = Pair::of(three.payer.grid(), three.payee.grid(), usd());
    let mut bills = Vec::new();
    for node in [&three.payer, &three.payee, &three.third] {
        let chain = ledger(node).positions_after(&three.third.grid(), &pair, 0, 100).await.unwrap();
        bills.push(bill(&chain, UnixSeconds(0)..UnixSeconds::MAX).unwrap());
    }
    assert_eq!((bills[0].charged, bills[0].settled, bills[0].payable), (40_000_000, 20_000_000, 20_000_000));
    assert!(bills.iter().all(|bill| *bill == bills[0]));
    Box::pin(three.stop()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_grids_without_a_third_settle_by_the_creditors_chain() {
    let three = Three::start(44).await;
    let terms = three.terms(None);
    let lane = three.lane(1, &terms).await;
    three.vouch(&lane, GIB).await;
    assert_eq!(round(&three.payee).await, done(1, 0));
    assert_eq!(round(&three.payer).await, done(0, 1));
    assert_eq!(three.owed(&three.payer, Part::Payer).await, 20_000_000);
    assert_eq!(round(&three.payee).await, done(0, 0));
    Box::pin(three.stop()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_not_agreed_is_not_booked_and_said_by_number() {
    let three = Three::start(47).await;
    let of_third = three.terms(Some(three.third.grid()));
    let lane = three.lane(1, &of_third).await;
    // A price that no record gives.
    let mut body = lane.body().clone();
    (body.price, body.payer_nonce) = (PricePerGib(30_000_000), [2; 16]);
    let dear = signed_lane::signed(&body, &gateway_key(&three.payer), &gateway_key(&three.payee));
    // Terms that name another clearing node.
    let bilateral = three.terms(None);
    let mut body = lane.body().clone();
    (body.terms, body.payer_nonce) = (Some(bilateral.identity()), [3; 16]);
    let other = signed_lane::signed(&body, &gateway_key(&three.payer), &gateway_key(&three.payee));
    // A key that the payer's record does not list.
    let mut body = lane.body().clone();
    (body.payer_key, body.payer_nonce) = (session().public(), [5; 16]);
    let strange = signed_lane::signed(&body, &session(), &gateway_key(&three.payee));

    let refused = async |lane: &LaneOpen, terms: &Terms, octets: u64, with_lane: bool| {
        use lafs_clearinghouse::tariff::wire::{Carried, ClaimBody, ClaimLine};
        let carried = |bytes: &[u8]| Some(Carried(bytes.into()));
        let dear_voucher = VoucherBody {
            lane: lane.identity(),
            cum_bytes: Bytes(octets),
            cum_amount: lane.body().charge(Bytes(octets)).unwrap(),
            time: Clock::system().now(),
            transcript: [7; 32],
        };
        let voucher = Voucher::issue(&dear_voucher, lane, &session()).unwrap();
        let line = ClaimLine {
            voucher: Carried(voucher.bytes().into()),
            lane_open: carried(lane.bytes()).filter(|_| with_lane),
            terms: carried(terms.bytes()),
            evidence: None,
        };
        let key = gateway_key(&three.payee);
        let claim = ClaimBody {
            grid: three.payee.grid(),
            signer: key.public(),
            clearing: three.third.grid(),
            time: Clock::system().now(),
            lanes: vec![line],
        };
        let claim = Signed::sign(&claim, &key).unwrap();
        let receipt = settler(&three.third).desk().claim(claim.bytes(), &three.payee.grid()).await.unwrap();
        let line = receipt.body().lanes[0].clone();
        (line.refused.map(|why| why.code()), line.cum_bytes.0)
    };
    assert_eq!(refused(&lane, &of_third, GIB, false).await, (Some(1), 0));
    assert_eq!(refused(&strange, &of_third, GIB, true).await, (Some(2), 0));
    assert_eq!(refused(&dear, &of_third, GIB, true).await, (Some(3), 0));
    assert_eq!(refused(&other, &bilateral, GIB, true).await, (Some(4), 0));
    assert_eq!(refused(&lane, &of_third, 2 * GIB, true).await, (None, 2 * GIB));
    // Late and lower: the mark stays, and so does what is owed.
    assert_eq!(refused(&lane, &of_third, GIB, false).await, (None, 2 * GIB));
    assert_eq!(three.owed(&three.third, Part::Clearing).await, 40_000_000);
    Box::pin(three.stop()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_position_that_books_more_than_was_vouched_for_is_told_and_not_kept() {
    let three = Three::start(50).await;
    let terms = three.terms(Some(three.third.grid()));
    let lane = three.lane(1, &terms).await;
    three.vouch(&lane, GIB).await;
    // The payee's books alone know of a second gibibyte: the payer's signature on it is a stolen session key's.
    let more = voucher(&lane, 2 * GIB);
    ledger(&three.payee).voucher(Part::Payee, more, Vec::new(), Clock::system().now()).await.unwrap();
    assert_eq!(round(&three.payee).await, done(1, 1));
    let told = round(&three.payer).await;
    assert_eq!((told.claimed, told.positions), (0, 0));
    assert!(told.problems[0].contains("by our books it may go from 0 B to 1.0 GiB"), "{told:?}");
    assert_eq!(three.owed(&three.payer, Part::Payer).await, 20_000_000);
    Box::pin(three.stop()).await;
}
