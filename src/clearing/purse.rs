//! The payer's side: lanes that are open with a gateway, and vouchers for what was verified on them.

use crate::clearing::purse_lane::PurseLane;
use crate::clearing::purse_open::Found;
use crate::clearing::purse_price::is_worth_asking;
use crate::clearing::quote::at_most;
use crate::clearing::spent::{Budget, Spent};
use crate::clearing::transcript::file_names;
use crate::clock::Clock;
use crate::keys::{GridId, PublicKey, SecretKey};
use crate::ledger::{Ledger, Part, UsageLine};
use crate::peer::{GatewayClient, PaidRequest, Payer, PeerError, Purchase};
use crate::policy::Period;
use crate::rate::Asset;
use crate::signed::Identity;
use crate::tariff::lane::LaneSecret;
use crate::tariff::wire::{Deck, LaneOpenBody};
use crate::units::{Bytes, MinorUnits, PricePerGib, Seconds};
use futures::FutureExt;
use futures::future::BoxFuture;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::timeout;
use tracing::{debug, warn};

/// A lane that ends sooner than this is not begun on.
pub(super) const WORTHWHILE: Seconds = Seconds(30);
/// How long the last vouchers may take when a purse is closed. They are in the books, and are sent when it is opened again.
const LAST_VOUCHERS: Duration = Duration::from_secs(5);

/// Whether the purses of this process leave lanes alone.
static LANES_UNUSED: AtomicBool = AtomicBool::new(false);

/// What the purses of a process read on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadOn {
    /// Lanes, where a gateway has them.
    Lanes,
    /// None, as if no gateway had any: what has a price is then refused.
    Nothing,
}

/// Sets what every purse of this process reads on from now on: no setting does, for it is there to measure what lanes cost.
pub fn read_on(what: ReadOn) {
    LANES_UNUSED.store(what == ReadOn::Nothing, Ordering::Relaxed);
}

/// The payer's side of all lanes of a process. Cheap to clone.
#[derive(Clone)]
pub struct Purse(pub(super) Arc<Inner>);

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

    /// Whether this price is right for the time at which the lane is opened: `Err` says what is wrong. What names keys and times is
    /// judged by the purse.
    fn price<'a>(
        &'a self,
        client: &'a GatewayClient,
        proposed: &'a LaneOpenBody,
        deck: Option<&'a Deck>,
    ) -> BoxFuture<'a, Judged<()>>;

    /// What the grid `payee` is known to ask now for files of `destination` in this asset; `None` where only an offer says so.
    fn known<'a>(
        &'a self,
        _payee: &'a GridId,
        _destination: &'a GridId,
        _asset: Asset,
    ) -> BoxFuture<'a, Option<PricePerGib>> {
        std::future::ready(None).boxed()
    }

    /// What to do with ways to pay that were offered with a refusal: `true` if it is worth to ask again.
    fn offered<'a>(&'a self, client: &'a GatewayClient, offers: &'a serde_json::Value) -> BoxFuture<'a, Judged<bool>>;
}

pub(super) struct Inner {
    pub(super) ledger: Ledger,
    pub(super) payer: PublicKey,
    pub(super) key: SecretKey,
    pub(super) judge: Arc<dyn Judge>,
    pub(super) clock: Clock,
    /// Signs vouchers, as long as this process runs.
    pub(super) session: SecretKey,
    /// Under which files are counted in the books.
    files: LaneSecret,
    spent: Mutex<Spent>,
    lanes: Mutex<Lanes>,
}

/// A lane that is read on, held while one is opened.
type OpenLane = Arc<tokio::sync::Mutex<Option<PurseLane>>>;

#[derive(Default)]
pub(super) struct Lanes {
    /// The lane for each gateway, by its TLS key, and grid whose files are read. Who finds none opens one, and others wait for it.
    open: HashMap<([u8; 32], GridId), OpenLane>,
    /// All that have vouchers to send still, to be waited for at the end.
    pub(super) all: Vec<PurseLane>,
    /// Gateways that know no lanes.
    without: HashSet<[u8; 32]>,
    /// Gateways that have missed nothing, as far as is known, each with the session in which that was so: with another one, another
    /// machine may answer in the same name.
    pub(super) resumed: HashMap<[u8; 32], u64>,
}

/// A purse that pays for one of its grid's clients: the books say for whom.
#[derive(Debug, Clone)]
struct Behalf {
    purse: Purse,
    client: PublicKey,
}

impl Inner {
    pub(super) fn spent(&self) -> MutexGuard<'_, Spent> {
        self.spent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A gateway could not be told of a voucher: it is with the next request.
    pub(super) fn left_unsent(&self, client: &GatewayClient) {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        lanes.resumed.remove(client.place().nurl.spki_hash());
    }
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

    /// Whether what may be spent reaches for so many octets more of `destination`, in so many requests, at the price of the lane that
    /// is open with this gateway. Nothing is reserved: what others read meanwhile may take it.
    pub async fn affords(
        &self,
        client: &GatewayClient,
        destination: &GridId,
        octets: Bytes,
        requests: u64,
    ) -> Result<(), PeerError> {
        let place = self.lanes().open.get(&(*client.place().nurl.spki_hash(), *destination)).cloned();
        let Some(place) = place else { return Ok(()) };
        let lane = place.lock().await.clone();
        let (Some(lane), Some((asset, left))) = (lane, self.0.spent().left()) else { return Ok(()) };
        let body = lane.body();
        let cost = at_most(body.price, octets, requests);
        if cost.0 == 0 || body.asset != asset || cost <= left {
            return Ok(());
        }
        let decimal = |units: MinorUnits| format!("{} {}", asset.decimal(units.0), asset.code());
        let limit = format!("{} is left of what may be paid", decimal(left));
        Err(PeerError::Price { price: format!("up to {}", decimal(cost)), limit })
    }

    /// Has what was verified of `destination` vouched for now, and not only when its time has come.
    pub fn vouch(&self, destination: &GridId) {
        let (lanes, now) = (self.lanes(), self.0.clock.now());
        for lane in lanes.all.iter().filter(|lane| lane.body().destination() == *destination && lane.unvouched().0 > 0)
        {
            lane.vouch(now);
        }
    }

    /// Sends what was verified and not vouched for, and lets go of all lanes. Nothing is lost where that takes too long.
    pub async fn close(&self) {
        let all = {
            let mut lanes = self.lanes();
            lanes.open.clear();
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
        if LANES_UNUSED.load(Ordering::Relaxed) || self.lanes().without.contains(&gateway) {
            return Ok(None);
        }
        self.resume(client).await;
        let place = Arc::clone(self.lanes().open.entry((gateway, purchase.grid)).or_default());
        let mut place = place.lock().await;
        let until = self.0.clock.now().plus(WORTHWHILE);
        let lane = match place.as_ref().filter(|lane| lane.is_good_at(until)).cloned() {
            Some(lane) => match self.cheaper(client, &purchase.grid, &lane).await? {
                Some(cheaper) => {
                    // What was begun on it goes on to its end, and a last voucher closes it.
                    lane.close();
                    place.insert(cheaper).clone()
                }
                None => lane,
            },
            None => match self.open(client, &purchase.grid, None).await? {
                Found::Lane(lane) => place.insert(lane).clone(),
                Found::None | Found::NoCheaper => {
                    self.lanes().without.insert(gateway);
                    return Ok(None);
                }
            },
        };
        drop(place);
        let index = purchase.file.storage_index();
        let index = index.map_or([0; 16], |index| *index.as_bytes());
        let file = self.0.files.object(&index);
        Ok(Some(lane.begin(&self.0, &index, file, on_behalf_of, purchase.octets)?))
    }

    /// Another lane for files of `destination`, if there may be one for less than this one by now, and is.
    async fn cheaper(
        &self,
        client: &GatewayClient,
        destination: &GridId,
        lane: &PurseLane,
    ) -> Result<Option<PurseLane>, PeerError> {
        let (asset, price) = (lane.body().asset, lane.body().price);
        if price.0 == 0 {
            return Ok(None);
        }
        let known = self.0.judge.known(&client.place().grid, destination, asset).await;
        let now = self.0.clock.now();
        if !is_worth_asking(price, known, lane.asked(), now) {
            return Ok(None);
        }
        lane.was_asked(now);
        match self.open(client, destination, Some((asset, price))).await {
            Ok(Found::Lane(cheaper)) => Ok(Some(cheaper)),
            Ok(Found::NoCheaper | Found::None) => Ok(None),
            // It asks for more than it has published: nothing is read there any more.
            Err(error @ PeerError::Lane { .. }) => Err(error),
            Err(error) => {
                debug!(%error, "whether it costs less by now was not told");
                Ok(None)
            }
        }
    }

    pub(super) fn lanes(&self) -> MutexGuard<'_, Lanes> {
        self.0.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A price for people.
pub(super) fn price_text(asset: Asset, price: PricePerGib) -> String {
    format!("{} {} per GiB", asset.decimal(price.0), asset.code())
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
