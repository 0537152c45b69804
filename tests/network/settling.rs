//! What grids ask a clearing node for between their gateways, beside claims and positions: nettings and consents, statements,
//! the points of a lane that are kept; and a clearing node that shows two histories.

use super::clearing::{
    GIB, PRICE, Three, done, gateway_key, lane_between, ledger, record, round, settler, terms_between, usd,
};
use crate::gateway_node::GatewayNode;
use crate::signed_lane::{session, voucher};
use hyper::Method;
use lafs_clearinghouse::address::PrivateAddresses;
use lafs_clearinghouse::clearing::{NettingFolder, netted, propose};
use lafs_clearinghouse::clock::Clock;
use lafs_clearinghouse::config::{Home, Patience};
use lafs_clearinghouse::ledger::Part;
use lafs_clearinghouse::peer::{CallerIdentity, DialGuard, GatewayClient, GatewayPlace, Named, PeerError, RefusalCode};
use lafs_clearinghouse::tariff::wire::{
    Consent, ConsentBody, Party, PositionBody, PositionLine, Signed, Statement, Voucher, VoucherBody,
};
use lafs_clearinghouse::units::{Bytes, MinorUnits, Seconds};
use std::collections::BTreeSet;
use std::sync::Arc;

/// A session of one grid's gateway with another's, as they have them with each other.
async fn called_by(caller: &GatewayNode, gateway: &GatewayNode) -> GatewayClient {
    let record = record(gateway, caller.grid()).await.signed().clone();
    let me = CallerIdentity::Grid { key: gateway_key(caller), record: Arc::new(move || Some(record.clone())) };
    let nurl = gateway.node.gateway_nurl().unwrap().parse().unwrap();
    let place = GatewayPlace { nurl, grid: gateway.grid(), named: Named::ByUser };
    let guard = DialGuard::new(PrivateAddresses::Allowed);
    GatewayClient::connect(place, me, Clock::system(), guard, Patience::WITH_OTHERS).await.unwrap()
}

async fn asked(client: &GatewayClient, path: &str) -> Result<Vec<u8>, PeerError> {
    client.send(Method::GET, path, "application/cose", Vec::new().into(), 1 << 20).await
}

fn code(error: &PeerError) -> (u16, RefusalCode) {
    let refusal = error.refusal().unwrap_or_else(|| panic!("{error}"));
    (refusal.status, refusal.code)
}

fn folder(node: &GatewayNode) -> NettingFolder {
    NettingFolder::new(Home::new(node._dir.path().join("node")).nettings())
}

async fn owes(node: &GatewayNode, part: Part, debtor: &GatewayNode, creditor: &GatewayNode) -> i128 {
    ledger(node).owed(part, *debtor.grid().key(), *creditor.grid().key(), usd()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn debts_in_a_row_are_paid_by_one_transfer_when_all_three_have_consented() {
    let three = Three::start(61).await;
    let Three { payer, payee, third, .. } = &three;
    // The first owes the second, and the second owes the third, which keeps the books.
    let first = terms_between(payer, payee, Some(third.grid()));
    let lane = lane_between(payer, payee, 1, &first).await;
    three.vouch(&lane, GIB).await;
    let second = terms_between(payee, third, Some(third.grid()));
    let lane = lane_between(payee, third, 2, &second).await;
    for (node, part) in [(payee, Part::Payer), (third, Part::Payee)] {
        ledger(node).voucher(part, voucher(&lane, GIB), Vec::new(), Clock::system().now()).await.unwrap();
    }
    assert_eq!(round(third).await, done(1, 0));
    assert_eq!(round(payee).await, done(1, 2));
    assert_eq!(round(payer).await, done(0, 1));

    let netting = propose(ledger(third), third.grid(), usd(), &BTreeSet::new()).await.unwrap();
    folder(third).keep(&netting).unwrap();
    assert_eq!((netting.replaced().len(), netting.transfers().len()), (2, 1));
    for node in [payer, payee] {
        round(node).await;
        assert_eq!(folder(node).all(), std::slice::from_ref(&netting), "it was told");
    }
    for (nth, node) in [payer, payee, third].into_iter().enumerate() {
        assert_eq!(owes(third, Part::Clearing, payer, payee).await, 20_000_000, "{nth} have consented");
        let comes_to = netted(&netting, &node.grid()).unwrap();
        let now = Clock::system().now();
        let body = ConsentBody {
            grid: node.grid(),
            signer: node.key.public(),
            clearing: third.grid(),
            netting: netting.hash(),
            asset: usd(),
            owed: comes_to.owed,
            due: comes_to.due,
            pays: comes_to.pays,
            receives: comes_to.receives,
            time: now,
            not_after: now.plus(Seconds::days(7)),
        };
        // What it does not come to is not consented to.
        let other = ConsentBody {
            pays: MinorUnits(body.pays.0 + 1),
            receives: MinorUnits(body.receives.0 + 1),
            ..body.clone()
        };
        if let Ok(other) = Signed::sign(&other, &node.key) {
            let other: Consent = other;
            let client = called_by(node, third).await;
            let sent =
                client.send(Method::POST, "/v1/consents", "application/cose", other.bytes().to_vec().into(), 1 << 10);
            assert!(sent.await.is_err(), "another consent of {nth}");
        }
        let consent: Consent = Signed::sign(&body, &node.key).unwrap();
        let taken = settler(node).take(consent.bytes()).await.unwrap();
        assert!(taken.untold.is_empty(), "{taken:?}");
    }
    for (debtor, creditor, owed) in [(payer, payee, 0), (payee, third, 0), (payer, third, 20_000_000)] {
        assert_eq!(owes(third, Part::Clearing, debtor, creditor).await, owed);
    }
    // Both learn of it from positions that they hold against what they consented to.
    for node in [payer, payee] {
        let told = round(node).await;
        assert!(told.problems.is_empty(), "{told:?}");
    }
    assert_eq!(owes(payer, Part::Payer, payer, payee).await, 0);
    assert_eq!(owes(payee, Part::Payee, payer, payee).await, 0);
    assert_eq!(owes(payer, Part::Payer, payer, third).await, 20_000_000);
    Box::pin(three.stop()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_two_sides_acknowledgements_part_is_found_between_their_gateways() {
    let three = Three::start(64).await;
    let Three { payer, payee, third, .. } = &three;
    let terms = three.terms(Some(third.grid()));
    let lane = three.lane(1, &terms).await;
    // Signed by the payer's session, and of other deliveries: what a copied machine would do.
    ledger(payer).voucher(Part::Payer, voucher(&lane, GIB), Vec::new(), Clock::system().now()).await.unwrap();
    let body = VoucherBody {
        lane: lane.identity(),
        cum_bytes: Bytes(GIB),
        cum_amount: PRICE.charge(Bytes(GIB)).unwrap(),
        time: Clock::system().now(),
        transcript: [8; 32],
    };
    let other = Voucher::issue(&body, &lane, &session()).unwrap();
    ledger(payee).voucher(Part::Payee, other, Vec::new(), Clock::system().now()).await.unwrap();
    for (one, with) in [(payer, payee), (payee, payer)] {
        let found = settler(one).compare(lane.identity()).await.unwrap();
        assert_eq!((found.other, found.agree_to, found.differ_at), (with.grid(), Bytes(0), Some(Bytes(GIB))));
    }
    // Nobody else learns what the two have acknowledged.
    let path = format!("/v1/lanes/{}/checkpoints", data_encoding::HEXLOWER.encode(&lane.identity().0));
    let error = asked(&called_by(third, payee).await, &path).await.unwrap_err();
    assert_eq!(code(&error), (404, RefusalCode::NotFound));
    Box::pin(three.stop()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clearing_node_that_shows_two_histories_is_told_and_neither_is_gone_on_with() {
    let three = Three::start(67).await;
    let Three { payer, payee, third, .. } = &three;
    let terms = three.terms(Some(third.grid()));
    let lane = three.lane(1, &terms).await;
    three.vouch(&lane, GIB).await;
    // To the payer it has shown less than it shows everybody else now.
    let (first, second) = (payer.grid().min(payee.grid()), payer.grid().max(payee.grid()));
    let debtor = if payer.grid() == first { Party::First } else { Party::Second };
    let line = PositionLine {
        lane: lane.identity(),
        debtor,
        from_bytes: Bytes(0),
        to_bytes: Bytes(GIB / 2),
        from_amount: MinorUnits(0),
        to_amount: MinorUnits(10_000_000),
    };
    let (key, now) = (gateway_key(third), Clock::system().now());
    let body =
        PositionBody::next(None, third.grid(), key.public(), (first, second, usd()), now, vec![line], Vec::new());
    let shown = Signed::sign(&body.unwrap(), &key).unwrap();
    ledger(payer).post(shown.clone(), now).await.unwrap();

    assert_eq!(round(payee).await, done(1, 1));
    let told = round(payer).await;
    assert_eq!(told.positions, 0, "{told:?}");
    assert_eq!(told.problems.len(), 1, "{told:?}");
    assert!(told.problems[0].contains("is not in the history that is shown now"), "{told:?}");
    let last = ledger(payer).last_position(third.grid(), first, second, usd()).await.unwrap().unwrap();
    assert_eq!(last.identity(), shown.identity(), "what was shown first is the proof");
    Box::pin(three.stop()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_is_signed_by_who_keeps_the_chain_once_its_period_is_over_and_for_its_parties_alone() {
    let three = Three::start(70).await;
    let Three { payer, payee, third, .. } = &three;
    let terms = three.terms(Some(third.grid()));
    let lane = three.lane(1, &terms).await;
    three.vouch(&lane, GIB).await;
    assert_eq!(round(payee).await, done(1, 1));
    let (first, second) = (payer.grid().min(payee.grid()), payer.grid().max(payee.grid()));
    let last = ledger(third).last_position(third.grid(), first, second, usd()).await.unwrap().unwrap();
    let until = last.body().time.plus(Seconds(1));
    let path = |other: &GatewayNode, until| format!("/v1/statements/{}?asset=USD&from=1&until={until}", other.grid());
    let (by_payer, by_payee) = (called_by(payer, third).await, called_by(payee, third).await);

    // Its figures may still change.
    let later = Clock::system().now().plus(Seconds::days(1)).0;
    let error = asked(&by_payer, &path(payee, later)).await.unwrap_err();
    assert_eq!(code(&error), (400, RefusalCode::Malformed));
    while Clock::system().now() < until {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let statement = asked(&by_payer, &path(payee, until.0)).await.unwrap();
    assert_eq!(asked(&by_payee, &path(payer, until.0)).await.unwrap(), statement, "both are given the same");
    let statement = Statement::from_bytes(&statement).unwrap();
    let body = statement.body();
    assert_eq!((body.issuer, body.signer), (third.grid(), gateway_key(third).public()));
    assert_eq!((body.creditor, body.debtor, body.position), (payee.grid(), payer.grid(), Some(last.identity())));
    assert_eq!(
        (body.charged, body.payable, body.carried),
        (MinorUnits(20_000_000), MinorUnits(20_000_000), MinorUnits(0))
    );
    // A grid is told of its own books alone: between it and the third nothing is booked.
    let error = asked(&by_payer, &path(third, until.0)).await.unwrap_err();
    assert_eq!(code(&error), (404, RefusalCode::NotFound));
    Box::pin(three.stop()).await;
}
