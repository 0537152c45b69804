//! One lane in a purse: what was verified on it, and the task that signs, keeps and sends vouchers for it.

use crate::causes::chain;
use crate::clearing::lane_documents::{MAX_ANSWER_BYTES, lane_text};
use crate::clearing::purse::{Budget, Inner, price_text};
use crate::clearing::transcript::served;
use crate::keys::PublicKey;
use crate::ledger::{Part, Reading};
use crate::peer::{Came, GatewayClient, PaidRequest, PeerError};
use crate::tariff::lane::{LaneSecret, Transcript, VOUCHER_EVERY};
use crate::tariff::wire::{LaneId, LaneOpen, LaneOpenBody, Voucher, VoucherBody};
use crate::units::{Bytes, MinorUnits, UnixSeconds};
use hyper::Method;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

/// Of a small window a share, so that the payee never waits for the rest of a chunk.
const SHARE_OF_WINDOW: u64 = 4;
/// After how long without anything new a voucher is signed for less.
const IDLE: Duration = Duration::from_secs(1);
/// How long it is waited before a voucher is written down or sent again; doubled each time.
const PAUSE: Duration = Duration::from_millis(500);
/// How often that is done in a row: a minute, in which a node is started again or somebody makes room on a disk. After that the
/// next request to the same gateway brings it.
const TRIES: u32 = 6;

/// What was spent of a budget.
#[derive(Debug)]
pub(super) struct Spent {
    budget: Budget,
    /// For requests that are under way, at their full size.
    reserved: u64,
    /// For what was verified.
    charged: u64,
}

/// A lane of ours. Cheap to clone.
#[derive(Clone)]
pub(super) struct PurseLane(Arc<Shared>);

struct Shared {
    open: LaneOpen,
    secret: LaneSecret,
    chunk: u64,
    state: Mutex<State>,
    /// Tells the task that there is something to do.
    news: Notify,
    /// Whether the task has done all that it will.
    over: watch::Sender<bool>,
}

struct State {
    verified: u64,
    vouched: u64,
    transcript: Transcript,
    /// What was verified and is not in the books.
    readings: Vec<Reading>,
    /// To be vouched for now, however little.
    flush: bool,
    /// No request will come any more.
    closed: bool,
    /// Whether the other side is to be told so.
    broken: bool,
}

/// A request on a lane.
struct Use<F: FnOnce(PurseLane) + Send> {
    lane: PurseLane,
    purse: Arc<Inner>,
    /// By the lane's name and by the books'.
    files: ([u8; 32], [u8; 32]),
    on_behalf_of: Option<PublicKey>,
    reserved: u64,
    back: Option<F>,
}

impl Spent {
    pub(super) fn new(budget: Budget) -> Self {
        Self { budget, reserved: 0, charged: 0 }
    }

    pub(super) fn budget(&self) -> Budget {
        self.budget
    }
}

impl PurseLane {
    /// A lane that both sides keep, with the task that pays for it.
    pub(super) fn start(
        purse: Arc<Inner>,
        client: GatewayClient,
        open: LaneOpen,
        secret: LaneSecret,
        window: Bytes,
    ) -> Self {
        let state = State {
            verified: 0,
            vouched: 0,
            transcript: Transcript::start(&open.identity()),
            readings: Vec::new(),
            flush: false,
            closed: false,
            broken: false,
        };
        let chunk = VOUCHER_EVERY.0.min(window.0 / SHARE_OF_WINDOW).max(1);
        let lane = Self(Arc::new(Shared {
            open,
            secret,
            chunk,
            state: Mutex::new(state),
            news: Notify::new(),
            over: watch::Sender::new(false),
        }));
        tokio::spawn(lane.clone().pay(purse, client));
        lane
    }

    /// Its name.
    pub(super) fn id(&self) -> LaneId {
        self.0.open.identity()
    }

    /// Whether a request may begin on it that lasts until `until`.
    pub(super) fn is_good_at(&self, until: UnixSeconds) -> bool {
        until < self.0.open.body().not_after && !self.state().closed
    }

    /// What both sides have signed.
    pub(super) fn body(&self) -> &LaneOpenBody {
        self.0.open.body()
    }

    /// What was verified and not vouched for.
    pub(super) fn unvouched(&self) -> Bytes {
        let state = self.state();
        Bytes(state.verified - state.vouched)
    }

    /// Whether nothing is left to be done for it.
    pub(super) fn is_over(&self) -> bool {
        *self.0.over.borrow()
    }

    /// Takes the lane for a request of so many octets, which `back` gets it back from.
    pub(super) fn begin(
        self,
        purse: &Arc<Inner>,
        index: &[u8; 16],
        file: [u8; 32],
        on_behalf_of: Option<PublicKey>,
        octets: Option<Bytes>,
        back: impl FnOnce(Self) + Send + 'static,
    ) -> Result<Box<dyn PaidRequest>, PeerError> {
        let body = self.0.open.body();
        let too_dear = || PeerError::Price {
            price: price_text(body.asset, body.price),
            limit: "more than that many octets may not be read".to_owned(),
        };
        // One more than the charge: two roundings may come between the sum of the parts and the whole.
        let reserved = match octets {
            Some(octets) if body.price.0 > 0 => body.price.charge(octets).ok_or_else(too_dear)?.0,
            _ => 0,
        };
        {
            let mut spent = purse.spent.lock().unwrap_or_else(PoisonError::into_inner);
            if let Budget::UpTo(asset, limit) = spent.budget
                && body.price.0 > 0
            {
                let after = spent.reserved.saturating_add(spent.charged).saturating_add(reserved);
                if after > limit.0 {
                    // The lane goes back unused.
                    drop(spent);
                    let decimal = |units| format!("{} {}", asset.decimal(units), asset.code());
                    let limit = format!("{} may be paid in all", decimal(limit.0));
                    back(self.clone());
                    return Err(PeerError::Price { price: decimal(after), limit });
                }
            }
            spent.reserved += reserved;
        }
        let files = (self.0.secret.object(index), file);
        Ok(Box::new(Use { lane: self, purse: Arc::clone(purse), files, on_behalf_of, reserved, back: Some(back) }))
    }

    /// Has the rest vouched for, and waits until it is.
    pub(super) async fn end(&self) {
        self.close(true);
        let mut over = self.0.over.subscribe();
        let _ = over.wait_for(|over| *over).await;
    }

    fn close(&self, broken: bool) {
        let mut state = self.state();
        state.closed = true;
        state.broken |= broken;
        drop(state);
        self.0.news.notify_one();
    }

    /// Signs, keeps and sends vouchers until the lane is closed and all is vouched for.
    async fn pay(self, purse: Arc<Inner>, client: GatewayClient) {
        let id = self.0.open.identity();
        let mut sent: u64 = 0;
        let mut best: Option<Voucher> = None;
        let mut tries = 0;
        loop {
            if tries > TRIES {
                self.state().closed = true;
                purse.left_unsent(&client);
                break;
            }
            let (verified, vouched, due, closed) = {
                let state = self.state();
                let pending = state.verified - state.vouched;
                let due = pending > 0 && (pending >= self.0.chunk || state.flush || state.closed);
                (state.verified, state.vouched, due, state.closed)
            };
            if due || best.as_ref().is_some_and(|best| best.body().cum_bytes.0 > sent) {
                if due {
                    match self.sign(&purse).await {
                        Ok(voucher) => best = Some(voucher),
                        Err(error) => {
                            warn!(%error, "what is owed cannot be written down: nothing more is read on this lane");
                            self.state().closed = true;
                            tries = self.paused(tries).await;
                            continue;
                        }
                    }
                }
                let Some(voucher) = &best else { continue };
                match self.send(&client, voucher).await {
                    Ok(()) => (sent, tries) = (voucher.body().cum_bytes.0, 0),
                    // It is refused for good: it stays in the books, and no more is read on this lane.
                    Err(error)
                        if error
                            .refusal()
                            .is_some_and(|refusal| (400..500).contains(&refusal.status) && refusal.status != 429) =>
                    {
                        debug!(%error, "a voucher is refused");
                        self.state().closed = true;
                        break;
                    }
                    Err(error) => {
                        debug!(%error, "a voucher could not be sent: once more");
                        tries = self.paused(tries).await;
                    }
                }
                continue;
            }
            if closed {
                break;
            }
            if verified > vouched {
                // Nothing new for a while: then for what there is.
                if timeout(IDLE, self.0.news.notified()).await.is_err() {
                    self.state().flush = true;
                }
            } else {
                let left = self.0.open.body().not_after.0.saturating_sub(purse.clock.now().0);
                if timeout(Duration::from_secs(left.max(1)), self.0.news.notified()).await.is_err() {
                    self.state().closed = true;
                }
            }
        }
        if self.state().broken {
            let path = format!("/v1/lanes/{}", lane_text(&id));
            let told =
                client.send(Method::DELETE, &path, "application/json", Vec::new().into(), MAX_ANSWER_BYTES).await;
            if let Err(error) = told {
                debug!(%error, "the other side was not told that a lane is closed");
            }
        }
        self.0.over.send_replace(true);
    }

    /// Waits before the next try; how many there were.
    async fn paused(&self, tries: u32) -> u32 {
        sleep(PAUSE * 2_u32.pow(tries.min(TRIES))).await;
        tries + 1
    }

    /// A voucher for all that was verified, in the books.
    async fn sign(&self, purse: &Inner) -> Result<Voucher, String> {
        let (body, readings) = {
            let mut state = self.state();
            state.flush = false;
            let amount = self.0.open.body().charge(Bytes(state.verified));
            let body = VoucherBody {
                lane: self.0.open.identity(),
                cum_bytes: Bytes(state.verified),
                cum_amount: amount.ok_or("the charge exceeds what an amount can say")?,
                time: purse.clock.now(),
                transcript: state.transcript.0,
            };
            (body, std::mem::take(&mut state.readings))
        };
        let voucher = Voucher::issue(&body, &self.0.open, &purse.session).map_err(|error| error.to_string())?;
        let booked = purse.ledger.voucher(Part::Payer, voucher.clone(), readings.clone(), body.time).await;
        if let Err(error) = booked {
            self.state().readings.splice(0..0, readings);
            return Err(chain(&error));
        }
        self.state().vouched = body.cum_bytes.0;
        Ok(voucher)
    }

    async fn send(&self, client: &GatewayClient, voucher: &Voucher) -> Result<(), PeerError> {
        let path = format!("/v1/lanes/{}/vouchers", lane_text(&self.0.open.identity()));
        let bytes = voucher.bytes().to_vec().into();
        client.send(Method::POST, &path, "application/cose", bytes, MAX_ANSWER_BYTES).await.map(drop)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<F: FnOnce(PurseLane) + Send> PaidRequest for Use<F> {
    fn lane(&self) -> [u8; 32] {
        self.lane.0.open.identity().0
    }

    fn verified(&mut self, came: Came, octets: Bytes) {
        let delivered = served(self.files.0, came, octets);
        let body = self.lane.0.open.body();
        let mut state = self.lane.state();
        let charge = |octets: u64| body.charge(Bytes(octets)).unwrap_or(MinorUnits::MAX).0;
        let added = charge(state.verified + octets.0) - charge(state.verified);
        state.verified += octets.0;
        state.transcript = state.transcript.and(&delivered);
        let reading = Reading { client: self.on_behalf_of, file: Some(self.files.1), bytes: octets };
        match state.readings.last_mut().filter(|last| (last.client, last.file) == (reading.client, reading.file)) {
            Some(last) => last.bytes.0 += octets.0,
            None => state.readings.push(reading),
        }
        let due = state.verified - state.vouched >= self.lane.0.chunk;
        drop(state);
        let mut spent = self.purse.spent.lock().unwrap_or_else(PoisonError::into_inner);
        spent.charged = spent.charged.saturating_add(added);
        let back = added.min(self.reserved);
        self.reserved -= back;
        spent.reserved = spent.reserved.saturating_sub(back);
        drop(spent);
        if due {
            self.lane.0.news.notify_one();
        }
    }

    fn finished(mut self: Box<Self>) {
        let mut state = self.lane.state();
        state.flush = true;
        drop(state);
        self.lane.0.news.notify_one();
        if let Some(back) = self.back.take() {
            back(self.lane.clone());
        }
    }
}

impl<F: FnOnce(PurseLane) + Send> Drop for Use<F> {
    fn drop(&mut self) {
        let mut spent = self.purse.spent.lock().unwrap_or_else(PoisonError::into_inner);
        spent.reserved = spent.reserved.saturating_sub(self.reserved);
        drop(spent);
        if self.back.is_some() {
            // What comes next on it nobody could tell.
            self.lane.close(true);
        }
    }
}
