//! A payer made by hand: it opens lanes at gateways of the program over TLS, and sends what it is told.

use crate::priced::{Node, Priced, ok};
use futures::FutureExt;
use futures::future::BoxFuture;
use hyper::Method;
use lafs_clearinghouse::address::PrivateAddresses;
use lafs_clearinghouse::capability::Capability;
use lafs_clearinghouse::cbor::MapWriter;
use lafs_clearinghouse::clearing::{LaneAgreed, LaneOffer, LaneProposed, Octets, lane_text};
use lafs_clearinghouse::clock::Clock;
use lafs_clearinghouse::config::Patience;
use lafs_clearinghouse::keys::{GridId, SecretKey};
use lafs_clearinghouse::peer::{
    CallerIdentity, Came, DialGuard, GatewayClient, GatewayPlace, Named, PaidRequest, Payer, PeerError, Purchase,
};
use lafs_clearinghouse::record::GridRecord;
use lafs_clearinghouse::signed::{Identity, ObjectType, seal};
use lafs_clearinghouse::tariff::lane::{LaneSecret, Served, ServedKind, Transcript};
use lafs_clearinghouse::tariff::wire::{LaneId, LaneOpen, LaneProposal};
use lafs_clearinghouse::units::{Bytes, UnixSeconds};
use std::sync::{Arc, Mutex};

/// A session with the gateway of one of the nodes, as whoever `me` is.
pub(crate) async fn called_by(priced: &Priced, gateway: &Node, me: CallerIdentity) -> GatewayClient {
    called_at(priced, gateway, me, Clock::system()).await
}

async fn called_at(priced: &Priced, gateway: &Node, me: CallerIdentity, clock: Clock) -> GatewayClient {
    let nurl = ok(priced.place.run(&format!("gateway url -d {}", gateway.dir))).stdout.trim().parse().unwrap();
    let place = GatewayPlace { nurl, grid: gateway.grid, named: Named::ByUser };
    let guard = DialGuard::new(PrivateAddresses::Allowed);
    GatewayClient::connect(place, me, clock, guard, Patience::WITH_HOME).await.unwrap()
}

/// The second grid's gateway as the first one's own calls it: with its key and its record.
pub(crate) async fn called(priced: &Priced, key: &SecretKey) -> GatewayClient {
    called_ahead(priced, key, 0).await
}

/// The same, by nodes whose clocks are so far ahead of the machine's.
pub(crate) async fn called_ahead(priced: &Priced, key: &SecretKey, ahead: i64) -> GatewayClient {
    let record = GridRecord::from_bytes(&priced.place.read("home/own.record"), &priced.home.grid).unwrap();
    let record = Arc::new(move || Some(record.signed().clone()));
    let me = CallerIdentity::Grid { key: key.clone(), record };
    called_at(priced, &priced.abroad, me, Clock::with_offset(ahead)).await
}

pub(crate) async fn post(
    client: &GatewayClient,
    path: &str,
    kind: &'static str,
    body: Vec<u8>,
) -> Result<Vec<u8>, (u16, String)> {
    asked(client, Method::POST, path, kind, body).await
}

/// The answer, or the status and the words of the refusal.
pub(crate) async fn asked(
    client: &GatewayClient,
    method: Method,
    path: &str,
    kind: &'static str,
    body: Vec<u8>,
) -> Result<Vec<u8>, (u16, String)> {
    client.send(method, path, kind, body.into(), 1 << 20).await.map_err(|error| refusal(&error))
}

/// What a gateway refuses with.
pub(crate) fn refusal(error: &PeerError) -> (u16, String) {
    match error.refusal() {
        Some(refusal) => (refusal.status, refusal.detail.clone()),
        None => panic!("{error}"),
    }
}

/// A lane, what came on it, and the key that signs for it.
#[derive(Debug, Clone)]
pub(crate) struct HandLane {
    pub(crate) open: LaneOpen,
    secret: Arc<LaneSecret>,
    pub(crate) session: SecretKey,
    cap: Capability,
    came: Arc<Mutex<Vec<(Came, u64)>>>,
}

impl HandLane {
    /// Opens a lane for files of `grid`, as the `nth` of its payer, which signs with `key`.
    pub(crate) async fn open(client: &GatewayClient, grid: GridId, cap: &Capability, key: &SecretKey, nth: u8) -> Self {
        let open = Self::proposed(client, grid, nth, None).await.unwrap().accept(key).unwrap();
        post(client, "/v1/lanes", "application/json", Self::agreed(open.bytes(), nth)).await.unwrap();
        let (session, secret) = (SecretKey::from_seed(&[nth; 32]), LaneSecret::new([nth; 32]));
        Self { open, secret: Arc::new(secret), session, cap: cap.clone(), came: Arc::default() }
    }

    /// What is proposed for an offer, under these terms if there are any.
    pub(crate) async fn proposed(
        client: &GatewayClient,
        grid: GridId,
        nth: u8,
        terms: Option<Identity>,
    ) -> Result<LaneProposal, (u16, String)> {
        let (session, secret) = (SecretKey::from_seed(&[nth; 32]), LaneSecret::new([nth; 32]));
        let offer = LaneOffer {
            destination: grid,
            asset: Some("USD".to_owned()),
            payer_instance_base64url: Octets(vec![nth; 16]),
            payer_session_base64url: Octets(session.public().as_bytes().to_vec()),
            payer_nonce_base64url: Octets(vec![nth; 16]),
            secret_hash_base64url: Octets(secret.hash().to_vec()),
            position_base64url: None,
            terms_base64url: terms.map(|terms| Octets(terms.0.to_vec())),
            confirmed: false,
        };
        let offer = serde_json::to_vec(&offer).unwrap();
        let proposed = post(client, "/v1/lanes/offer", "application/json", offer).await?;
        let proposed: LaneProposed = serde_json::from_slice(&proposed).unwrap();
        Ok(LaneProposal::from_bytes(&proposed.proposal_base64url.0).unwrap())
    }

    /// What opens the `nth` lane: signed octets and its secret.
    pub(crate) fn agreed(open: &[u8], nth: u8) -> Vec<u8> {
        let lane_open_base64url = Octets(open.to_vec());
        serde_json::to_vec(&LaneAgreed { lane_open_base64url, secret_base64url: Octets(vec![nth; 32]) }).unwrap()
    }

    pub(crate) fn id(&self) -> LaneId {
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
    pub(crate) fn delivered(&self, cap: &Capability) -> (u64, [u8; 32]) {
        let served = self.deliveries(cap);
        let transcript = served.iter().fold(Transcript::start(&self.id()), |transcript, one| transcript.and(one));
        (served.iter().map(|one| one.length.0).sum(), transcript.0)
    }

    pub(crate) fn charge(&self, octets: u64) -> u64 {
        self.open.body().charge(Bytes(octets)).unwrap().0
    }

    /// Sends a voucher with just these words, signed by `key`, for `lane`, to this lane's place.
    pub(crate) async fn voucher(
        &self,
        client: &GatewayClient,
        lane: LaneId,
        (octets, amount): (u64, u64),
        transcript: [u8; 32],
        key: &SecretKey,
    ) -> Result<Vec<u8>, (u16, String)> {
        self.voucher_of(client, lane, (octets, amount), transcript, key, Clock::system().now()).await
    }

    /// The same, dated.
    pub(crate) async fn voucher_of(
        &self,
        client: &GatewayClient,
        lane: LaneId,
        (octets, amount): (u64, u64),
        transcript: [u8; 32],
        key: &SecretKey,
        time: UnixSeconds,
    ) -> Result<Vec<u8>, (u16, String)> {
        let mut body = MapWriter::new();
        body.bytes(0, &lane.0).uint(1, octets).uint(2, amount).uint(3, time.0).bytes(4, &transcript);
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
