//! The payer's side: lanes that are open with a gateway, and vouchers for what was verified on them.

use crate::clearing::lane_documents::{
    LaneAgreed, LaneOffer, LaneProposed, LaneStanding, MAX_ANSWER_BYTES, Octets, lane_text,
};
use crate::clearing::purse_lane::{PurseLane, Spent};
use crate::clearing::transcript::file_names;
use crate::clock::Clock;
use crate::keys::{GridId, PublicKey, SecretKey};
use crate::ledger::{Ledger, Part, UsageLine};
use crate::peer::{GatewayClient, PaidRequest, Payer, PeerError, Purchase};
use crate::policy::Period;
use crate::rate::Asset;
use crate::signed::Identity;
use crate::tariff::lane::LaneSecret;
use crate::tariff::wire::{Deck, LaneId, LaneOpenBody, LaneProposal, Voucher};
use crate::units::{Bytes, MinorUnits, PricePerGib, Seconds};
use futures::FutureExt;
use futures::future::BoxFuture;
use hyper::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::timeout;
use tracing::{debug, warn};

/// A lane that ends sooner than this is not begun on.
const WORTHWHILE: Seconds = Seconds(30);
/// What is wrong with a proposal under terms that were not asked for.
const OTHER_TERMS: &str = "it is under other terms";
/// How long the last vouchers may take when a purse is closed. They are in the books, and are sent when it is opened again.
const LAST_VOUCHERS: Duration = Duration::from_secs(5);

/// The payer's side of all lanes of a process. Cheap to clone.
#[derive(Clone)]
pub struct Purse(Arc<Inner>);

/// What a purse needs.
pub struct PurseParts {
    /// Where what is agreed and vouched for is kept.
    pub ledger: Ledger,
    /// Who pays: a grid, or a client by its accounting key.
    pub payer: PublicKey,
    /// The key that signs for it, by which gateways know the caller.
    pub key: SecretKey,
    /// Says what is agreed to.
    pub judge: Arc<dyn Judge>,
    /// What may be spent.
    pub budget: Budget,
    /// The time.
    pub clock: Clock,
}

/// What a payer may spend without asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Budget {
    /// Whatever the judge agrees to.
    Open,
    /// So much in all, in this asset; of nothing else anything.
    UpTo(Asset, MinorUnits),
    /// Nothing.
    Nothing,
}

/// What a payer would open a lane with.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// In what it would pay; `None` for whatever is asked.
    pub asset: Option<Asset>,
    /// The terms that it would be under.
    pub terms: Option<Identity>,
    /// The last position that it holds of the two.
    pub position: Option<Identity>,
    /// Whether a person has confirmed what the home's policy asks about.
    pub confirmed: bool,
}

/// What a judge says of a proposal.
pub type Judged<T> = Result<T, PeerError>;

/// Decides what a payer agrees to: by what its sellers have published.
pub trait Judge: fmt::Debug + Send + Sync {
    /// What to ask the grid `payee` for, to read files of `destination`.
    fn wanted<'a>(&'a self, payee: &'a GridId, destination: &'a GridId) -> BoxFuture<'a, Judged<Wanted>>;

    /// Whether this price is right: `Err` says what is wrong. What names keys and times is judged by the purse.
    fn price<'a>(
        &'a self,
        client: &'a GatewayClient,
        proposed: &'a LaneOpenBody,
        deck: Option<&'a Deck>,
    ) -> BoxFuture<'a, Judged<()>>;

    /// What to do with ways to pay that were offered with a refusal: `true` if it is worth to ask again.
    fn offered<'a>(&'a self, client: &'a GatewayClient, offers: &'a serde_json::Value) -> BoxFuture<'a, Judged<bool>>;
}

pub(super) struct Inner {
    pub(super) ledger: Ledger,
    payer: PublicKey,
    key: SecretKey,
    judge: Arc<dyn Judge>,
    pub(super) clock: Clock,
    /// Signs vouchers, as long as this process runs.
    pub(super) session: SecretKey,
    /// Under which files are counted in the books.
    files: LaneSecret,
    pub(super) spent: Mutex<Spent>,
    lanes: Mutex<Lanes>,
}

#[derive(Default)]
struct Lanes {
    /// Lanes that no request is on, by the gateway's TLS key and the grid whose files they are for.
    idle: HashMap<([u8; 32], GridId), Vec<PurseLane>>,
    /// All that have vouchers to send still, to be waited for at the end.
    all: Vec<PurseLane>,
    /// Gateways that know no lanes.
    without: HashSet<[u8; 32]>,
    /// Gateways that have missed nothing, as far as is known.
    resumed: HashSet<[u8; 32]>,
}

/// A purse that pays for one of its grid's clients: the books say for whom.
#[derive(Debug, Clone)]
struct Behalf {
    purse: Purse,
    client: PublicKey,
}

impl Purse {
    /// A purse with no lane open.
    pub fn new(parts: PurseParts) -> Self {
        let PurseParts { ledger, payer, key, judge, budget, clock } = parts;
        let files = file_names(&key);
        Self(Arc::new(Inner {
            ledger,
            payer,
            key,
            judge,
            clock,
            session: SecretKey::generate(),
            files,
            spent: Mutex::new(Spent::new(budget)),
            lanes: Mutex::default(),
        }))
    }

    /// The books.
    pub fn ledger(&self) -> &Ledger {
        &self.0.ledger
    }

    /// The same purse, paying for this client.
    pub fn on_behalf_of(&self, client: PublicKey) -> Arc<dyn Payer> {
        Arc::new(Behalf { purse: self.clone(), client })
    }

    /// What was verified on the lanes of this process and is not vouched for yet, as lines that the books do not have.
    pub fn not_in_the_books(&self) -> Vec<UsageLine> {
        let day = Period::Day.began(self.0.clock.now());
        let lanes = self.lanes();
        let lines = lanes.all.iter().filter(|lane| lane.unvouched().0 > 0).map(|lane| {
            let (body, bytes) = (lane.body(), lane.unvouched());
            let amount = body.charge(bytes).unwrap_or(MinorUnits::MAX);
            let (party, grid, asset) = (*body.payee.key(), body.destination(), body.asset);
            UsageLine { day, part: Part::Payer, party, grid, client: None, file: None, asset, bytes, amount }
        });
        lines.collect()
    }

    /// Sends what was verified and not vouched for, and lets go of all lanes. Nothing is lost where that takes too long.
    pub async fn close(&self) {
        let all = {
            let mut lanes = self.lanes();
            lanes.idle.clear();
            std::mem::take(&mut lanes.all)
        };
        let ended = futures::future::join_all(all.iter().map(PurseLane::end));
        if timeout(LAST_VOUCHERS, ended).await.is_err() {
            warn!("the last vouchers could not be sent: they follow with the next session");
        }
    }

    async fn taken(
        &self,
        client: &GatewayClient,
        purchase: Purchase,
        on_behalf_of: Option<PublicKey>,
    ) -> Result<Option<Box<dyn PaidRequest>>, PeerError> {
        let gateway = *client.place().nurl.spki_hash();
        if self.lanes().without.contains(&gateway) {
            return Ok(None);
        }
        self.resume(client).await;
        let place = (gateway, purchase.grid);
        let lane = match self.idle(place) {
            Some(lane) => lane,
            None => match self.open(client, &purchase.grid).await? {
                Some(lane) => lane,
                None => {
                    self.lanes().without.insert(gateway);
                    return Ok(None);
                }
            },
        };
        let index = purchase.file.storage_index();
        let index = index.map_or([0; 16], |index| *index.as_bytes());
        let file = self.0.files.object(&index);
        let purse = self.clone();
        let back = Box::new(move |lane| purse.lanes().idle.entry(place).or_default().push(lane));
        Ok(Some(lane.begin(&self.0, &index, file, on_behalf_of, purchase.octets, back)?))
    }

    fn idle(&self, place: ([u8; 32], GridId)) -> Option<PurseLane> {
        let now = self.0.clock.now();
        let mut lanes = self.lanes();
        let idle = lanes.idle.get_mut(&place)?;
        while let Some(lane) = idle.pop() {
            if lane.is_good_at(now.plus(WORTHWHILE)) {
                return Some(lane);
            }
        }
        None
    }

    /// Opens a lane; `None` where the gateway knows none.
    async fn open(&self, client: &GatewayClient, destination: &GridId) -> Result<Option<PurseLane>, PeerError> {
        let payee = client.place().grid;
        let mut may_ask_again = true;
        loop {
            match self.try_open(client, &payee, destination).await {
                Ok(lane) => return Ok(Some(lane)),
                // Terms were agreed on for another request meanwhile.
                Err(PeerError::Lane { what: OTHER_TERMS, .. }) if may_ask_again => may_ask_again = false,
                Err(error) => {
                    let refusal = error.refusal();
                    // A gateway of before there were lanes.
                    if refusal.is_some_and(|refusal| matches!(refusal.status, 404 | 405 | 501)) {
                        debug!("a gateway without lanes");
                        return Ok(None);
                    }
                    let offers =
                        refusal.filter(|refusal| refusal.status == 402).and_then(|refusal| refusal.offers.as_ref());
                    match offers {
                        Some(offers) if may_ask_again && self.0.judge.offered(client, offers).await? => {
                            may_ask_again = false;
                        }
                        _ => return Err(error),
                    }
                }
            }
        }
    }

    async fn try_open(
        &self,
        client: &GatewayClient,
        payee: &GridId,
        destination: &GridId,
    ) -> Result<PurseLane, PeerError> {
        let Inner { ledger, payer, key, judge, clock, session, .. } = &*self.0;
        let wanted = judge.wanted(payee, destination).await?;
        let mut random = [0_u8; 48];
        getrandom::fill(&mut random).map_err(|error| PeerError::Books(error.to_string()))?;
        let (nonce, secret) = random.split_at(16);
        let (nonce, secret): ([u8; 16], [u8; 32]) = match (nonce.try_into(), secret.try_into()) {
            (Ok(nonce), Ok(secret)) => (nonce, secret),
            _ => return Err(PeerError::Books("no random numbers".to_owned())),
        };
        let secret = LaneSecret::new(secret);
        let secret_hash = secret.hash();
        let octets = |identity: Option<Identity>| identity.map(|identity| Octets(identity.0.to_vec()));
        let offer = LaneOffer {
            destination: *destination,
            asset: wanted.asset.map(|asset| asset.code().to_owned()),
            payer_instance_base64url: Octets(ledger.instance().to_vec()),
            payer_session_base64url: Octets(session.public().as_bytes().to_vec()),
            payer_nonce_base64url: Octets(nonce.to_vec()),
            secret_hash_base64url: Octets(secret_hash.to_vec()),
            position_base64url: octets(wanted.position),
            terms_base64url: octets(wanted.terms),
            confirmed: wanted.confirmed,
        };
        let answer: LaneProposed = post(client, "/v1/lanes/offer", &offer).await?;
        let refused = |what| PeerError::Lane { place: client.place().nurl.place().clone(), what };
        let proposal = LaneProposal::from_bytes(&answer.proposal_base64url.0)
            .map_err(|_| refused("it is no lane-open that the gateway has signed"))?;
        let body = proposal.body();
        let now = clock.now();
        // What was asked for, and nobody else's key or counter.
        let differs = match body {
            _ if body.payer != *payer || body.payer_key != key.public() => Some("it is for another payer"),
            _ if body.payee != *payee => Some("it is another grid's"),
            _ if body.destination() != *destination => Some("it is for another grid's files"),
            _ if body.payer_instance != ledger.instance() => Some("it is for another process"),
            _ if body.payer_session != session.public() => Some("another key would sign vouchers"),
            _ if body.payer_nonce != nonce => Some("it answers another offer"),
            _ if body.secret_hash != secret_hash => Some("it has another secret"),
            _ if body.position != wanted.position => Some("it names another position"),
            _ if wanted.asset.is_some_and(|asset| body.price.0 > 0 && asset != body.asset) => {
                Some("it is in another asset")
            }
            _ if body.price.0 > 0 && body.terms != wanted.terms => Some(OTHER_TERMS),
            _ if body.not_after <= now.plus(WORTHWHILE) => Some("it ends at once"),
            _ => None,
        };
        if let Some(what) = differs {
            return Err(refused(what));
        }
        let deck = answer.deck_base64url.as_ref().map(|deck| Deck::from_bytes(&deck.0));
        let deck = deck.transpose().map_err(|_| refused("the deck is none"))?;
        judge.price(client, body, deck.as_ref()).await?;
        self.affordable(body)?;
        let open = proposal.accept(key).map_err(|_| refused("it cannot be signed"))?;
        let books = |error: crate::ledger::LedgerError| PeerError::Books(error.to_string());
        if let Some(deck) = deck {
            ledger.keep(&deck, now).await.map_err(books)?;
        }
        // Before the other side may deliver on it.
        ledger.open_lane(Part::Payer, open.clone(), now).await.map_err(books)?;
        let agreed = LaneAgreed {
            lane_open_base64url: Octets(open.bytes().to_vec()),
            secret_base64url: Octets(secret.octets().to_vec()),
        };
        let _: crate::clearing::lane_documents::LaneOpened = post(client, "/v1/lanes", &agreed).await?;
        let lane = PurseLane::start(Arc::clone(&self.0), client.clone(), open, secret, Bytes(answer.window_bytes));
        let mut lanes = self.lanes();
        lanes.all.retain(|lane| !lane.is_over());
        lanes.all.push(lane.clone());
        Ok(lane)
    }

    /// Refuses a price that may not be paid at all.
    fn affordable(&self, body: &LaneOpenBody) -> Result<(), PeerError> {
        let price = || price_text(body.asset, body.price);
        match self.0.spent.lock().unwrap_or_else(PoisonError::into_inner).budget() {
            _ if body.price.0 == 0 => Ok(()),
            Budget::Open => Ok(()),
            Budget::UpTo(asset, _) if asset == body.asset => Ok(()),
            Budget::UpTo(asset, _) => {
                Err(PeerError::Price { price: price(), limit: format!("only {} may be paid", asset.code()) })
            }
            Budget::Nothing => Err(PeerError::Price { price: price(), limit: "nothing may be paid".to_owned() }),
        }
    }

    /// Tells a gateway what it may have missed of lanes that nothing is read on any more, of earlier processes or because it was away:
    /// each one's best voucher. What it shows of our own signature that these books have forgotten is taken up.
    async fn resume(&self, client: &GatewayClient) {
        let gateway = *client.place().nurl.spki_hash();
        if !self.lanes().resumed.insert(gateway) {
            return;
        }
        let (ledger, now) = (&self.0.ledger, self.0.clock.now());
        let lanes = match ledger.open_lanes(Part::Payer, now).await {
            Ok(lanes) => lanes,
            Err(error) => return warn!(%error, "lanes of before cannot be read"),
        };
        let in_use: Vec<LaneId> = self.lanes().all.iter().filter(|lane| !lane.is_over()).map(PurseLane::id).collect();
        let of_payee = lanes.into_iter().filter(|lane| lane.open.body().payee == client.place().grid);
        for lane in of_payee.filter(|lane| !in_use.contains(&lane.open.identity())) {
            if let Err(error) = self.resume_lane(client, &lane.open.identity(), &lane).await {
                debug!(%error, "a lane of before could not be brought up to date");
            }
        }
    }

    async fn resume_lane(
        &self,
        client: &GatewayClient,
        id: &LaneId,
        lane: &crate::ledger::LaneState,
    ) -> Result<(), PeerError> {
        let path = format!("/v1/lanes/{}", lane_text(id));
        let held: LaneStanding = got(client, Method::GET, &path, Vec::new()).await?;
        let ours = lane.voucher.as_ref();
        let theirs = held.voucher_base64url.map(|voucher| Voucher::of_lane(&voucher.0, &lane.open));
        // What it shows was signed by us, or it is nothing.
        let theirs = theirs.transpose().map_err(|_| client.malformed("not a voucher of this lane"))?;
        let reach = |voucher: Option<&Voucher>| voucher.map_or(0, |voucher| voucher.body().cum_bytes.0);
        if reach(theirs.as_ref()) > reach(ours)
            && let Some(voucher) = theirs
        {
            let booked = self.0.ledger.voucher(Part::Payer, voucher, Vec::new(), self.0.clock.now()).await;
            booked.map_err(|error| PeerError::Books(error.to_string()))?;
        } else if reach(ours) > reach(theirs.as_ref())
            && let Some(voucher) = ours
        {
            let path = format!("{path}/vouchers");
            client
                .send(Method::POST, &path, "application/cose", voucher.bytes().to_vec().into(), MAX_ANSWER_BYTES)
                .await?;
        }
        // Nothing more is read on it.
        client.send(Method::DELETE, &path, "application/json", Vec::new().into(), MAX_ANSWER_BYTES).await?;
        Ok(())
    }

    fn lanes(&self) -> MutexGuard<'_, Lanes> {
        self.0.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// A gateway could not be told of a voucher: it is with the next request.
    pub(super) fn left_unsent(&self, client: &GatewayClient) {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        lanes.resumed.remove(client.place().nurl.spki_hash());
    }
}

/// A price for people.
pub(super) fn price_text(asset: Asset, price: PricePerGib) -> String {
    format!("{} {} per GiB", asset.decimal(price.0), asset.code())
}

async fn post<T: DeserializeOwned>(client: &GatewayClient, path: &str, body: &impl Serialize) -> Result<T, PeerError> {
    let body = serde_json::to_vec(body).map_err(|error| PeerError::Books(error.to_string()))?;
    got(client, Method::POST, path, body).await
}

async fn got<T: DeserializeOwned>(
    client: &GatewayClient,
    method: Method,
    path: &str,
    body: Vec<u8>,
) -> Result<T, PeerError> {
    let answer = client.send(method, path, "application/json", body.into(), MAX_ANSWER_BYTES).await?;
    serde_json::from_slice(&answer).map_err(|_| client.malformed("not the JSON expected"))
}

impl Payer for Purse {
    fn lane<'a>(
        &'a self,
        client: &'a GatewayClient,
        purchase: Purchase,
    ) -> BoxFuture<'a, Result<Option<Box<dyn PaidRequest>>, PeerError>> {
        self.taken(client, purchase, None).boxed()
    }
}

impl Payer for Behalf {
    fn lane<'a>(
        &'a self,
        client: &'a GatewayClient,
        purchase: Purchase,
    ) -> BoxFuture<'a, Result<Option<Box<dyn PaidRequest>>, PeerError>> {
        self.purse.taken(client, purchase, Some(self.client)).boxed()
    }
}

impl fmt::Debug for Purse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the purse of {}", self.0.payer)
    }
}
