//! A payer made by hand, against a gateway of the program over TLS: vouchers that are forged, replayed, rewound, too large or at
//! another price, of another lane and another payer's; terms that one side alone has signed; and a price beyond all money.

use crate::place::Place;
use crate::priced::{Node, Priced, ok};
use futures::FutureExt;
use futures::future::BoxFuture;
use lafs_clearinghouse::address::PrivateAddresses;
use lafs_clearinghouse::capability::Capability;
use lafs_clearinghouse::cbor::MapWriter;
use lafs_clearinghouse::clearing::{LaneAgreed, LaneOffer, LaneProposed, Octets, lane_text};
use lafs_clearinghouse::clock::Clock;
use lafs_clearinghouse::config::{Home, Patience, read_key};
use lafs_clearinghouse::keys::{GridId, SecretKey};
use lafs_clearinghouse::peer::{
    CallerIdentity, Came, DialGuard, GatewayClient, GatewayPlace, Named, PaidRequest, Payer, PeerError, Purchase,
};
use lafs_clearinghouse::record::GridRecord;
use lafs_clearinghouse::signed::{ObjectType, seal};
use lafs_clearinghouse::tariff::lane::{LaneSecret, Served, ServedKind, Transcript};
use lafs_clearinghouse::tariff::wire::{LaneId, LaneOpen, LaneProposal};
use lafs_clearinghouse::units::Bytes;
use std::sync::{Arc, Mutex};

const MANY: u64 = i64::MAX as u64;

/// A gateway as the first grid's own one calls it: with its key and its record.
async fn called(priced: &Priced, key: &SecretKey) -> GatewayClient {
    let record = GridRecord::from_bytes(&priced.place.read("home/own.record"), &priced.home.grid).unwrap();
    let record = Arc::new(move || Some(record.signed().clone()));
    let nurl = ok(priced.place.run("gateway url -d abroad")).stdout.trim().parse().unwrap();
    let place = GatewayPlace { nurl, grid: priced.abroad.grid, named: Named::ByUser };
    let me = CallerIdentity::Grid { key: key.clone(), record };
    let guard = DialGuard::new(PrivateAddresses::Allowed);
    GatewayClient::connect(place, me, Clock::system(), guard, Patience::WITH_HOME).await.unwrap()
}

async fn post(client: &GatewayClient, path: &str, kind: &'static str, body: Vec<u8>) -> Result<Vec<u8>, (u16, String)> {
    let sent = client.send(hyper::Method::POST, path, kind, body.into(), 1 << 20).await;
    sent.map_err(|error| match error.refusal() {
        Some(refusal) => (refusal.status, refusal.detail.clone()),
        None => panic!("{error}"),
    })
}

/// A lane, what came on it, and the key that signs for it.
#[derive(Debug, Clone)]
struct HandLane {
    open: LaneOpen,
    secret: Arc<LaneSecret>,
    session: SecretKey,
    cap: Capability,
    came: Arc<Mutex<Vec<(Came, u64)>>>,
}

impl HandLane {
    async fn open(client: &GatewayClient, grid: GridId, cap: &Capability, key: &SecretKey, nth: u8) -> Self {
        let (session, secret) = (SecretKey::from_seed(&[nth; 32]), LaneSecret::new([nth; 32]));
        let offer = LaneOffer {
            destination: grid,
            asset: Some("USD".to_owned()),
            payer_instance_base64url: Octets(vec![nth; 16]),
            payer_session_base64url: Octets(session.public().as_bytes().to_vec()),
            payer_nonce_base64url: Octets(vec![nth; 16]),
            secret_hash_base64url: Octets(secret.hash().to_vec()),
            position_base64url: None,
            terms_base64url: None,
            confirmed: false,
        };
        let offer = serde_json::to_vec(&offer).unwrap();
        let proposed = post(client, "/v1/lanes/offer", "application/json", offer).await.unwrap();
        let proposed: LaneProposed = serde_json::from_slice(&proposed).unwrap();
        let open = LaneProposal::from_bytes(&proposed.proposal_base64url.0).unwrap().accept(key).unwrap();
        let agreed = LaneAgreed {
            lane_open_base64url: Octets(open.bytes().to_vec()),
            secret_base64url: Octets(secret.octets().to_vec()),
        };
        post(client, "/v1/lanes", "application/json", serde_json::to_vec(&agreed).unwrap()).await.unwrap();
        Self { open, secret: Arc::new(secret), session, cap: cap.clone(), came: Arc::default() }
    }

    fn id(&self) -> LaneId {
        self.open.identity()
    }

    /// What was delivered on it, as the specification writes it down.
    fn deliveries(&self, cap: &Capability) -> Vec<Served> {
        let object = self.secret.object(cap.storage_index().unwrap().as_bytes());
        let served = |(came, length): &(Came, u64)| {
            let (kind, offset) = match *came {
                Came::Manifest { first } => (ServedKind::Manifest, first),
                Came::Ciphertext { offset } => (ServedKind::Ciphertext, offset),
            };
            Served { kind, object, offset, length: Bytes(*length) }
        };
        self.came.lock().unwrap().iter().map(served).collect()
    }

    /// How much that is, and the transcript of it.
    fn delivered(&self, cap: &Capability) -> (u64, [u8; 32]) {
        let served = self.deliveries(cap);
        let transcript = served.iter().fold(Transcript::start(&self.id()), |transcript, one| transcript.and(one));
        (served.iter().map(|one| one.length.0).sum(), transcript.0)
    }

    fn charge(&self, octets: u64) -> u64 {
        self.open.body().charge(Bytes(octets)).unwrap().0
    }

    /// Sends a voucher with just these words, signed by `key`, for `lane`, to this lane's place.
    async fn voucher(
        &self,
        client: &GatewayClient,
        lane: LaneId,
        (octets, amount): (u64, u64),
        transcript: [u8; 32],
        key: &SecretKey,
    ) -> Result<Vec<u8>, (u16, String)> {
        let mut body = MapWriter::new();
        body.bytes(0, &lane.0).uint(1, octets).uint(2, amount).uint(3, Clock::system().now().0).bytes(4, &transcript);
        let mut deliveries = Vec::new();
        for served in self.deliveries(&self.cap) {
            deliveries.push(u8::from(served.kind == ServedKind::Ciphertext));
            deliveries.extend(served.object);
            deliveries.extend(served.offset.to_be_bytes());
            deliveries.extend(served.length.0.to_be_bytes());
        }
        let base64 = |octets: &[u8]| data_encoding::BASE64URL_NOPAD.encode(octets);
        let sent = serde_json::json!({
            "voucher_base64url": base64(&seal(ObjectType::Voucher, &body.finish(), key)),
            "deliveries_base64url": base64(&deliveries),
        });
        let path = format!("/v1/lanes/{}/vouchers", lane_text(&self.id()));
        post(client, &path, "application/json", sent.to_string().into()).await
    }
}

impl Payer for HandLane {
    fn lane<'a>(
        &'a self,
        _: &'a GatewayClient,
        _: Purchase,
    ) -> BoxFuture<'a, Result<Option<Box<dyn PaidRequest>>, PeerError>> {
        async { Ok(Some(Box::new(self.clone()) as Box<dyn PaidRequest>)) }.boxed()
    }
}

impl PaidRequest for HandLane {
    fn lane(&self) -> [u8; 32] {
        self.id().0
    }

    fn price(&self) -> Option<String> {
        None
    }

    fn verified(&mut self, came: Came, octets: Bytes) {
        self.came.lock().unwrap().push((came, octets.0));
    }

    fn closed(&mut self) {}
}

#[test]
fn vouchers_that_are_not_just_what_was_delivered_are_refused_by_name_and_book_nothing() {
    let priced = Priced::start(300_000, "5 USD/GiB");
    priced.agree_on_terms("10 USD", 2);
    let key = read_key(&Home::new(priced.place.path("home")).gateway_key()).unwrap();
    let file: Capability =
        priced.files.cap.replacen(&format!("URI:FOREIGN:{}:", priced.abroad.grid), "URI:", 1).parse().unwrap();
    let (abroad, cap) = (priced.abroad.grid, file.verify_cap().unwrap());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (lane, client) = runtime.block_on(async {
        let client = called(&priced, &key).await;
        let lane = HandLane::open(&client, abroad, &cap, &key, 1).await;
        client.manifest(&abroad, &cap, 0, 4_096, Some(&lane)).await.unwrap();
        (lane, client)
    });
    let (octets, transcript) = lane.delivered(&cap);
    let right = (octets, lane.charge(octets));
    let (id, session) = (lane.id(), &lane.session);
    let other = SecretKey::from_seed(&[9; 32]);
    let half = (octets / 2, lane.charge(octets / 2));
    let more = (octets + 1, lane.charge(octets + 1));
    let billion = (1_u64 << 40, lane.charge(1 << 40));
    // Forged, at another price, beyond what was sent, for a part of a delivery, with another transcript, too large for the wire, for
    // nothing, and of another lane.
    type Wrong<'a> = (&'a str, LaneId, (u64, u64), [u8; 32], &'a SecretKey, u16, &'a str);
    let wrong: [Wrong<'_>; 12] = [
        ("another key", id, right, transcript, &other, 400, "the signature on the voucher/1"),
        ("the gateway's key", id, right, transcript, &key, 400, "the signature on the voucher/1"),
        ("dearer", id, (right.0, right.1 + 1), transcript, session, 400, "not the charge for these octets"),
        ("cheaper", id, (right.0, right.1 - 1), transcript, session, 400, "not the charge for these octets"),
        ("one octet more", id, more, transcript, session, 409, "the voucher is not counted"),
        ("a tebibyte", id, billion, transcript, session, 409, "the voucher is not counted"),
        ("a part", id, half, transcript, session, 409, "the voucher is not counted"),
        ("another history", id, right, [7; 32], session, 409, "the voucher is not counted"),
        ("most octets", id, (MANY, MANY), transcript, session, 400, "not the charge for these octets"),
        ("too many octets", id, (u64::MAX, right.1), transcript, session, 400, "voucher/1"),
        ("nothing", id, (0, 0), transcript, session, 400, "a voucher for nothing"),
        (
            "another lane",
            lafs_clearinghouse::signed::Identity([0; 32]),
            right,
            transcript,
            session,
            400,
            "it belongs to another lane",
        ),
    ];
    runtime.block_on(async {
        for (what, lane_id, amounts, transcript, key, status, says) in wrong {
            let (found, detail) = lane.voucher(&client, lane_id, amounts, transcript, key).await.unwrap_err();
            assert!(found == status && detail.contains(says), "{what}: {found} {detail}");
        }
    });
    assert_eq!(priced.owed_abroad().1, 0, "nothing was booked");
    runtime.block_on(async {
        // The right one counts once, however often it comes; and an older one after it is answered with it.
        for _ in 0..3 {
            lane.voucher(&client, id, right, transcript, session).await.unwrap();
        }
        lane.voucher(&client, id, half, transcript, session).await.unwrap();
    });
    assert_eq!(priced.owed_abroad().1, i128::from(right.1));
    ok(priced.place.run("ledger verify -d abroad"));
}

#[test]
fn terms_that_one_side_alone_has_signed_are_none() {
    let priced = Priced::start(1_000, "5 USD/GiB");
    let words = format!("terms propose {} --pays we -o one-sided -d home --credit", priced.abroad.grid);
    ok(priced.place.run_words(words.split(' ').chain(["10 USD"])));
    let key = read_key(&Home::new(priced.place.path("home")).gateway_key()).unwrap();
    let proposal = priced.place.read("one-sided");
    // A signature of the payer's in the place of the payee's.
    let twice = [&proposal[..], &proposal[proposal.len() - 64..]].concat();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let client = called(&priced, &key).await;
        for terms in [proposal, twice] {
            let (status, detail) = post(&client, "/v1/terms", "application/cose", terms).await.unwrap_err();
            assert!(status == 400 && detail.contains("terms/1"), "{status} {detail}");
        }
    });
    assert_eq!(ok(priced.place.run("terms list -d abroad --json")).json()["terms"], serde_json::json!([]));
}

#[test]
fn a_price_beyond_all_money_is_told_and_nothing_is_paid() {
    let priced = Priced::with(Place::new(), 100_000, "9223372036.854775807 USD/GiB", Node::start);
    let get =
        |max: &str| priced.place.run_words(["get", &priced.files.cap, "-o", "file", "-d", "me", "--max-price", max]);
    for max in ["100 USD", "9223372036 USD"] {
        let refused = get(max);
        assert!(matches!(refused.status, 4 | 9), "{max}: {} {}", refused.status, refused.stderr);
        assert!(refused.stderr.contains("USD"), "{max}: {}", refused.stderr);
    }
    assert_eq!(priced.owed_abroad(), (0, 0));
}
