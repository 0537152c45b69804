//! Lanes in the wrong hands: of one client, shown by another; of a grid, shown by another grid's gateway; and lanes that were
//! never proposed to whoever opens them. Each is refused by name, and nothing is booked.

use crate::hand_lane::{HandLane, asked, called, called_by, post, refusal};
use crate::priced::{Priced, key, ok};
use hyper::Method;
use lafs_clearinghouse::capability::Capability;
use lafs_clearinghouse::clearing::lane_text;
use lafs_clearinghouse::clock::Clock;
use lafs_clearinghouse::config::{Home, read_key};
use lafs_clearinghouse::keys::{GridId, SecretKey};
use lafs_clearinghouse::peer::{CallerIdentity, GatewayClient};
use lafs_clearinghouse::record::{Gateway, RecordDraft, Signer};
use lafs_clearinghouse::signed::{Envelope, Identity, ObjectType, seal};
use lafs_clearinghouse::tariff::wire::LaneProposal;
use std::sync::Arc;

const JSON: &str = "application/json";
const NOT_THEIRS: &str = "there is no such lane of this caller";

/// The verify cap of the file on the second grid.
fn file(priced: &Priced) -> Capability {
    let home_cap = priced.files.cap.replacen(&format!("URI:FOREIGN:{}:", priced.abroad.grid), "URI:", 1);
    home_cap.parse::<Capability>().unwrap().verify_cap().unwrap()
}

async fn client(priced: &Priced, name: &str) -> GatewayClient {
    called_by(priced, &priced.home, CallerIdentity::Client(key(&priced.place, name))).await
}

/// Somebody else's lane is refused to `client`, whatever it would do with it: even to acknowledge it with its own key.
async fn is_not_for(client: &GatewayClient, lane: &HandLane, grid: GridId, cap: &Capability, who: &str) {
    let path = format!("/v1/lanes/{}", lane_text(&lane.id()));
    for method in [Method::GET, Method::DELETE] {
        let refused = asked(client, method.clone(), &path, JSON, Vec::new()).await.unwrap_err();
        assert!(refused.0 == 404 && refused.1.contains(NOT_THEIRS), "{who}, {method}: {refused:?}");
    }
    let (octets, transcript) = lane.delivered(cap);
    let right = (octets, lane.charge(octets));
    let refused = lane.voucher(client, lane.id(), right, transcript, &lane.session).await.unwrap_err();
    assert!(refused.0 == 404 && refused.1.contains(NOT_THEIRS), "{who}: {refused:?}");
    let refused = client.manifest(&grid, cap, 0, 4_096, Some(lane)).await.unwrap_err();
    let refused = refusal(&refused);
    assert!(refused.0 == 404 && refused.1.contains(NOT_THEIRS), "{who}: {refused:?}");
}

/// A lane that was proposed to somebody, signed by `key` in the payer's place.
fn signed_by(proposal: &LaneProposal, key: &SecretKey) -> Vec<u8> {
    let bytes = proposal.bytes();
    let payload = Envelope::from_bytes(bytes).unwrap().payload().to_vec();
    [&seal(ObjectType::LaneOpen, &payload, key)[..], &bytes[bytes.len() - 64..]].concat()
}

#[test]
fn a_clients_lane_is_refused_to_every_other_client_and_for_every_other_grid() {
    let priced = Priced::start(300_000, "5 USD/GiB");
    priced.join("other");
    let (grid, cap) = (priced.abroad.grid, file(&priced));
    let (mine, theirs) = (key(&priced.place, "me"), key(&priced.place, "other"));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (me, lane) = runtime.block_on(async {
        let (me, other) = (client(&priced, "me").await, client(&priced, "other").await);
        let lane = HandLane::open(&me, grid, &cap, &mine, 1).await;
        me.manifest(&grid, &cap, 0, 4_096, Some(&lane)).await.unwrap();
        is_not_for(&other, &lane, grid, &cap, "another client").await;
        // Nor is it opened again by whom it was not proposed to, nor with another's signature.
        let refused = post(&other, "/v1/lanes", JSON, HandLane::agreed(lane.open.bytes(), 1)).await.unwrap_err();
        assert!(refused.0 == 403 && refused.1.contains("it is another payer's"), "{refused:?}");
        let proposal = HandLane::proposed(&me, grid, 2, None).await.unwrap();
        for who in [&me, &other] {
            let opened = HandLane::agreed(&signed_by(&proposal, &theirs), 2);
            let refused = post(who, "/v1/lanes", JSON, opened).await.unwrap_err();
            assert!(refused.0 == 400 && refused.1.contains("the signature on the lane-open/1"), "{refused:?}");
        }
        // One secret does for one lane.
        let opened = HandLane::agreed(proposal.accept(&mine).unwrap().bytes(), 3);
        let refused = post(&me, "/v1/lanes", JSON, opened).await.unwrap_err();
        assert!(refused.0 == 403 && refused.1.contains("the secret is another one"), "{refused:?}");
        // A lane is for the files of one grid.
        let refused = refusal(&me.manifest(&priced.home.grid, &cap, 0, 4_096, Some(&lane)).await.unwrap_err());
        assert!(refused.0 == 403 && refused.1.contains("the lane is for another grid's files"), "{refused:?}");
        (me, lane)
    });
    for name in ["me", "other"] {
        assert_eq!(priced.owed_at_home(name).1, 0, "nothing was booked");
    }
    // To whom it belongs it is as good as before.
    let (octets, transcript) = lane.delivered(&cap);
    let right = (octets, lane.charge(octets));
    runtime.block_on(lane.voucher(&me, lane.id(), right, transcript, &lane.session)).unwrap();
    assert_eq!(priced.owed_at_home("me").1, i128::from(right.1));
    ok(priced.place.run("ledger verify -d home"));
}

#[test]
fn a_grids_lane_is_refused_to_another_grids_gateway_and_to_a_client() {
    let priced = Priced::start(300_000, "5 USD/GiB");
    let terms = priced.agree_on_terms("10 USD", 2);
    let terms = Identity(data_encoding::HEXLOWER.decode(terms.as_bytes()).unwrap().try_into().unwrap());
    let gateway_key = |dir: &str| read_key(&Home::new(priced.place.path(dir)).gateway_key()).unwrap();
    let (grid, cap, home) = (priced.abroad.grid, file(&priced), gateway_key("home"));
    // A grid that nobody knows, with a gateway of its own.
    let (third, spends) = (SecretKey::from_seed(&[99; 32]), SecretKey::from_seed(&[98; 32]));
    let gateway = Gateway::new(None, Some(spends.public()), "spend".parse().unwrap(), None).unwrap();
    let draft = RecordDraft { gateways: vec![gateway], ..RecordDraft::new(GridId::new(third.public())) };
    let now = Clock::system().now();
    let record = draft.sign(Signer::Grid { key: &third, serial: now }, None, &[], now).unwrap();
    let stranger =
        CallerIdentity::Grid { key: spends.clone(), record: Arc::new(move || Some(record.signed().clone())) };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (caller, lane) = runtime.block_on(async {
        let caller = called(&priced, &home).await;
        let lane = HandLane::open(&caller, grid, &cap, &home, 1).await;
        caller.manifest(&grid, &cap, 0, 4_096, Some(&lane)).await.unwrap();
        let stranger = called_by(&priced, &priced.abroad, stranger).await;
        is_not_for(&stranger, &lane, grid, &cap, "another grid's gateway").await;
        // Terms are the grid's that has signed them: naming them helps nobody else.
        let refused = HandLane::proposed(&stranger, grid, 2, Some(terms)).await.unwrap_err();
        assert!(refused.0 == 402 && refused.1.contains("your grid has no terms with it"), "{refused:?}");
        let refused = post(&stranger, "/v1/lanes", JSON, HandLane::agreed(lane.open.bytes(), 1)).await.unwrap_err();
        assert!(matches!(refused.0, 402 | 403), "{refused:?}");
        // One's own client is nobody there; and a lane of one gateway is none of another's.
        let me = key(&priced.place, "me");
        let client = called_by(&priced, &priced.abroad, CallerIdentity::Client(me.clone())).await;
        let refused = refusal(&client.manifest(&grid, &cap, 0, 4_096, Some(&lane)).await.unwrap_err());
        assert_eq!(refused.0, 403, "{refused:?}");
        let at_home = called_by(&priced, &priced.home, CallerIdentity::Client(me.clone())).await;
        let of_home = HandLane::open(&at_home, grid, &cap, &me, 3).await;
        let refused = post(&caller, "/v1/lanes", JSON, HandLane::agreed(of_home.open.bytes(), 3)).await.unwrap_err();
        assert!(refused.0 == 403 && refused.1.contains("another gateway's key signs for the payee"), "{refused:?}");
        (caller, lane)
    });
    assert_eq!(priced.owed_abroad().1, 0, "nothing was booked");
    assert_eq!(priced.owed_at_home("me").1, 0, "nothing was booked");
    let (octets, transcript) = lane.delivered(&cap);
    let right = (octets, lane.charge(octets));
    runtime.block_on(lane.voucher(&caller, lane.id(), right, transcript, &lane.session)).unwrap();
    assert_eq!(priced.owed_abroad().1, i128::from(right.1));
    ok(priced.place.run("ledger verify -d abroad"));
}
