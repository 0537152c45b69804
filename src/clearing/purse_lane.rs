//! One lane in a purse: the machine that counts what was verified on it, and the task that signs, keeps and sends its vouchers.

use crate::causes::chain;
use crate::clearing::lane_documents::{MAX_ANSWER_BYTES, Octets, VoucherSent, lane_text};
use crate::clearing::purse::{Inner, price_text};
use crate::clearing::transcript::served;
use crate::keys::PublicKey;
use crate::ledger::{Part, Reading};
use crate::peer::{Came, GatewayClient, PaidRequest, PeerError};
use crate::tariff::lane::{LaneSecret, PayerEffect, PayerLane, Served};
use crate::tariff::wire::{LaneId, LaneOpen, LaneOpenBody, Voucher, VoucherBody};
use crate::units::{Bytes, MinorUnits, UnixSeconds};
use hyper::Method;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, timeout};
use tracing::{debug, warn};

/// How long what was verified waits for its voucher at most: requests in a row share one, and who is killed leaves what came in so
/// much time.
const BEAT: Duration = Duration::from_millis(500);
/// How long it is waited before a voucher is written down or sent again; doubled each time.
const PAUSE: Duration = Duration::from_millis(500);
/// How often that is done in a row: a minute, in which a node is started again or somebody makes room on a disk. After that the
/// next request to the same gateway brings it.
const TRIES: u32 = 6;
/// How many vouchers are written before one is sent: the last one acknowledges what the others do.
const WRITTEN: usize = 2;

/// A lane of ours, on which any number of requests may be. Cheap to clone.
#[derive(Clone)]
pub(super) struct PurseLane(Arc<Shared>);

struct Shared {
    open: LaneOpen,
    secret: LaneSecret,
    state: Mutex<State>,
    /// Tells the task that there is something to do.
    news: Notify,
    /// Whether the task has done all that it will.
    over: watch::Sender<bool>,
}

struct State {
    machine: PayerLane,
    /// What the machine wants done.
    wants: VecDeque<PayerEffect>,
    /// All octets that were verified on it.
    verified: u64,
    /// When the first of it came that is in no voucher.
    waits_since: Instant,
    /// What was verified and is not in the books.
    readings: VecDeque<Reading>,
    requests: usize,
    /// No request will come any more.
    closed: bool,
    /// When the payee was last asked for its price.
    asked: UnixSeconds,
}

/// A voucher on its way: what it acknowledges, or nothing where it is shown.
type Sending = (Voucher, Option<Vec<Served>>);

/// A request on a lane.
struct Use {
    lane: PurseLane,
    purse: Arc<Inner>,
    /// By the lane's name and by the books'.
    files: ([u8; 32], [u8; 32]),
    on_behalf_of: Option<PublicKey>,
    reserved: MinorUnits,
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
            machine: PayerLane::new(open.identity(), open.body().price, window, None),
            wants: VecDeque::new(),
            verified: 0,
            waits_since: Instant::now(),
            readings: VecDeque::new(),
            requests: 0,
            closed: false,
            asked: purse.clock.now(),
        };
        let (state, news, over) = (Mutex::new(state), Notify::new(), watch::Sender::new(false));
        let lane = Self(Arc::new(Shared { open, secret, state, news, over }));
        tokio::spawn(lane.clone().run(purse, client));
        lane
    }

    /// Whether a request may begin on it that lasts until `until`.
    pub(super) fn is_good_at(&self, until: UnixSeconds) -> bool {
        until < self.0.open.body().not_after && !self.state().closed
    }

    /// Its name.
    pub(super) fn id(&self) -> LaneId {
        self.0.open.identity()
    }

    /// What both sides have signed.
    pub(super) fn body(&self) -> &LaneOpenBody {
        self.0.open.body()
    }

    /// When the payee was last asked for its price.
    pub(super) fn asked(&self) -> UnixSeconds {
        self.state().asked
    }

    /// It is asked now.
    pub(super) fn was_asked(&self, now: UnixSeconds) {
        self.state().asked = now;
    }

    /// What was verified and is in no voucher of the books.
    pub(super) fn unvouched(&self) -> Bytes {
        let state = self.state();
        let vouched = state.machine.best().map_or(0, |best| best.cum_bytes.0);
        Bytes(state.verified.saturating_sub(vouched))
    }

    /// Whether nothing is left to be done for it.
    pub(super) fn is_over(&self) -> bool {
        *self.0.over.borrow()
    }

    /// Takes the lane for a request of so many octets.
    pub(super) fn begin(
        &self,
        purse: &Arc<Inner>,
        index: &[u8; 16],
        file: [u8; 32],
        on_behalf_of: Option<PublicKey>,
        octets: Option<Bytes>,
    ) -> Result<Box<dyn PaidRequest>, PeerError> {
        let body = self.0.open.body();
        let too_dear = || PeerError::Price {
            price: price_text(body.asset, body.price),
            limit: "more than that many octets may not be read".to_owned(),
        };
        let reserved = octets.map_or(Some(MinorUnits(0)), |octets| body.price.charge(octets)).ok_or_else(too_dear)?;
        purse.spent().reserve(reserved).map_err(|(asset, price, limit)| {
            let decimal = |units: MinorUnits| format!("{} {}", asset.decimal(units.0), asset.code());
            PeerError::Price { price: decimal(price), limit: format!("{} may be paid in all", decimal(limit)) }
        })?;
        self.state().requests += 1;
        let files = (self.0.secret.object(index), file);
        Ok(Box::new(Use { lane: self.clone(), purse: Arc::clone(purse), files, on_behalf_of, reserved }))
    }

    /// Has the rest vouched for, and waits until it is.
    pub(super) async fn end(&self) {
        self.close();
        let mut over = self.0.over.subscribe();
        let _ = over.wait_for(|over| *over).await;
    }

    /// Has what was verified vouched for now.
    pub(super) fn vouch(&self, now: UnixSeconds) {
        self.then(|machine| machine.flush(now));
        self.0.news.notify_one();
    }

    /// Nothing else is begun on it.
    pub(super) fn close(&self) {
        self.state().closed = true;
        self.0.news.notify_one();
    }

    /// Has all of it vouched for until nothing will come any more, and tells the other side so.
    async fn run(self, purse: Arc<Inner>, client: GatewayClient) {
        let paid = self.pay(&purse, &client).await;
        if let Err(error) = &paid {
            debug!(%error, "a lane ends before its time");
        }
        self.state().closed = true;
        let id = self.0.open.identity();
        if purse.clock.now() < self.0.open.body().not_after {
            let path = format!("/v1/lanes/{}", lane_text(&id));
            let told =
                client.send(Method::DELETE, &path, "application/json", Vec::new().into(), MAX_ANSWER_BYTES).await;
            if let Err(error) = told {
                debug!(%error, "the other side was not told that a lane is closed");
            }
        }
        if paid.is_ok()
            && let Err(error) = purse.ledger.told(vec![id]).await
        {
            debug!(%error, "a lane will be shown once more");
        }
        self.0.over.send_replace(true);
        if paid.is_err() {
            // Only now: what is not over is not shown.
            purse.left_unsent(&client);
        }
    }

    /// Does what the machine wants done. The error says why that is not possible any more.
    async fn pay(&self, purse: &Inner, client: &GatewayClient) -> Result<(), String> {
        let mut sending: Option<Sending> = None;
        let mut best: Option<Voucher> = None;
        let (mut shown, mut tries) = (false, 0);
        loop {
            // While one could not be sent, no other is signed.
            let (unsent, mut written) = (sending.is_some(), 0);
            while let Some(want) = self.next_want(!unsent && written < WRITTEN) {
                match want {
                    PayerEffect::Persist(id, body) => match self.write(purse, &body).await {
                        Ok(voucher) => {
                            (best, tries) = (Some(voucher), 0);
                            written += 1;
                            self.then(|machine| machine.persisted(id, purse.clock.now()));
                        }
                        Err(error) => {
                            warn!(%error, "what is owed cannot be written down: nothing more is read on this lane");
                            {
                                let mut state = self.state();
                                state.closed = true;
                                state.wants.push_front(PayerEffect::Persist(id, body));
                            }
                            tries = paused(tries).await?;
                            break;
                        }
                    },
                    // It takes the place of the one before, whose deliveries are among its own.
                    PayerEffect::Send(_, deliveries) => sending = best.clone().map(|best| (best, Some(deliveries))),
                    PayerEffect::Show(_) => sending = best.clone().map(|best| (best, None)),
                }
            }
            if let Some((voucher, deliveries)) = &sending {
                match self.send(client, voucher, deliveries.as_deref()).await {
                    Ok(theirs) => {
                        (shown, sending, tries) = (false, None, 0);
                        self.then(|machine| machine.acknowledged(theirs.body(), purse.clock.now()));
                    }
                    // The two have lost each other: what is shown brings them together, and another lane goes on.
                    Err(error) if is_final(&error) && !shown => {
                        debug!(%error, "a voucher is refused: it is shown");
                        (shown, sending) = (true, None);
                        self.state().closed = true;
                        self.then(|machine| machine.reconnect(purse.clock.now()));
                    }
                    // It stays in the books, and is shown when this gateway is met again.
                    Err(error) if is_final(&error) => return Err(error.to_string()),
                    Err(error) => {
                        debug!(%error, "a voucher could not be sent: once more");
                        tries = paused(tries).await?;
                    }
                }
                continue;
            }
            if self.is_done(purse) {
                return Ok(());
            }
            self.news(purse).await;
        }
    }

    /// Whether the lane is closed and all is done; what is left to be vouched for is asked for.
    fn is_done(&self, purse: &Inner) -> bool {
        let mut state = self.state();
        if state.closed && state.requests == 0 && state.wants.is_empty() && state.machine.unvouched().0 > 0 {
            let wants = state.machine.flush(purse.clock.now());
            state.wants.extend(wants);
        }
        state.closed && state.requests == 0 && state.wants.is_empty()
    }

    /// Waits until there is something to do.
    async fn news(&self, purse: &Inner) {
        let (wants, unvouched, waited) = {
            let state = self.state();
            (!state.wants.is_empty(), state.machine.unvouched().0 > 0, state.waits_since.elapsed())
        };
        if wants {
            return;
        }
        let now = purse.clock.now();
        let left = Duration::from_secs(self.0.open.body().not_after.0.saturating_sub(now.0).max(1));
        let rest = if unvouched { BEAT.saturating_sub(waited) } else { left };
        if timeout(rest, self.0.news.notified()).await.is_err() {
            if unvouched {
                self.state().waits_since = Instant::now();
                self.then(|machine| machine.flush(now));
            } else {
                self.state().closed = true;
            }
        }
    }

    /// What is to be done next; of what is to be written, if that may be.
    fn next_want(&self, may_write: bool) -> Option<PayerEffect> {
        self.state().wants.pop_front_if(|want| may_write || !matches!(want, PayerEffect::Persist(..)))
    }

    fn then(&self, ask: impl FnOnce(&mut PayerLane) -> Vec<PayerEffect>) {
        let mut state = self.state();
        let wants = ask(&mut state.machine);
        state.wants.extend(wants);
    }

    /// Signs a voucher and keeps it.
    async fn write(&self, purse: &Inner, body: &VoucherBody) -> Result<Voucher, String> {
        let voucher = Voucher::issue(body, &self.0.open, &purse.session).map_err(|error| error.to_string())?;
        let readings = self.state().read_up_to(body.cum_bytes);
        let booked = purse.ledger.voucher(Part::Payer, voucher.clone(), readings.clone(), body.time).await;
        if let Err(error) = booked {
            for reading in readings.into_iter().rev() {
                self.state().readings.push_front(reading);
            }
            return Err(chain(&error));
        }
        Ok(voucher)
    }

    /// Sends a voucher. The answer is the one that counts.
    async fn send(
        &self,
        client: &GatewayClient,
        voucher: &Voucher,
        deliveries: Option<&[Served]>,
    ) -> Result<Voucher, PeerError> {
        let theirs = send(client, &self.0.open, voucher, deliveries).await?;
        // Nearly always the one that was sent, whose signature is not to be checked by who made it.
        if theirs == voucher.bytes() {
            return Ok(voucher.clone());
        }
        Voucher::of_lane(&theirs, &self.0.open).map_err(|_| client.malformed("not a voucher of this lane"))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits before the next try; how many pauses there were. The error says that this was the last try.
async fn paused(tries: u32) -> Result<u32, String> {
    if tries > TRIES {
        return Err("its vouchers could not be written down or sent: they follow with the next request".to_owned());
    }
    sleep(PAUSE * 2_u32.pow(tries)).await;
    Ok(tries + 1)
}

/// Sends a voucher of `lane`, with the deliveries that it acknowledges, or shows it without. The answer is the one that counts.
async fn send(
    client: &GatewayClient,
    lane: &LaneOpen,
    voucher: &Voucher,
    deliveries: Option<&[Served]>,
) -> Result<Vec<u8>, PeerError> {
    let path = format!("/v1/lanes/{}/vouchers", lane_text(&lane.identity()));
    let sent = VoucherSent {
        voucher_base64url: Octets(voucher.bytes().to_vec()),
        deliveries_base64url: deliveries.map(|served| Octets(served.iter().flat_map(Served::to_bytes).collect())),
    };
    let body = serde_json::to_vec(&sent).map_err(|error| PeerError::Books(error.to_string()))?;
    client.send(Method::POST, &path, "application/json", body.into(), MAX_ANSWER_BYTES).await
}

/// Whether the same again will be refused again.
pub(super) fn is_final(error: &PeerError) -> bool {
    error.refusal().is_some_and(|refusal| (400..500).contains(&refusal.status) && refusal.status != 429)
}

impl State {
    /// What was read up to so many octets of the lane and is in no voucher before.
    fn read_up_to(&mut self, octets: Bytes) -> Vec<Reading> {
        let unread: u64 = self.readings.iter().map(|reading| reading.bytes.0).sum();
        let mut left = (octets.0 + unread).saturating_sub(self.verified);
        let mut read = Vec::new();
        while left > 0
            && let Some(first) = self.readings.front_mut()
        {
            let part = first.bytes.0.min(left);
            left -= part;
            read.push(Reading { bytes: Bytes(part), ..first.clone() });
            first.bytes.0 -= part;
            if first.bytes.0 == 0 {
                self.readings.pop_front();
            }
        }
        read
    }
}

impl PaidRequest for Use {
    fn lane(&self) -> [u8; 32] {
        self.lane.0.open.identity().0
    }

    fn price(&self) -> Option<String> {
        let body = self.lane.0.open.body();
        (body.price.0 > 0).then(|| price_text(body.asset, body.price))
    }

    fn verified(&mut self, came: Came, octets: Bytes) {
        let delivered = served(self.files.0, came, octets);
        let body = self.lane.0.open.body();
        let mut state = self.lane.state();
        let is_first = state.machine.unvouched().0 == 0;
        if is_first {
            state.waits_since = Instant::now();
        }
        match state.machine.verified(delivered, self.purse.clock.now()) {
            Ok(wants) => state.wants.extend(wants),
            Err(error) => {
                warn!(%error, "a lane ends");
                state.closed = true;
                return;
            }
        }
        let charge = |octets: u64| body.charge(Bytes(octets)).unwrap_or(MinorUnits::MAX).0;
        let added = MinorUnits(charge(state.verified + octets.0) - charge(state.verified));
        state.verified += octets.0;
        let reading = Reading { client: self.on_behalf_of, file: Some(self.files.1), bytes: octets };
        match state.readings.back_mut().filter(|last| (last.client, last.file) == (reading.client, reading.file)) {
            Some(last) => last.bytes.0 += octets.0,
            None => state.readings.push_back(reading),
        }
        let is_news = is_first || !state.wants.is_empty();
        drop(state);
        self.reserved = self.purse.spent().charge(added, self.reserved);
        if is_news {
            self.lane.0.news.notify_one();
        }
    }

    fn closed(&mut self) {
        self.lane.close();
    }
}

impl Drop for Use {
    fn drop(&mut self) {
        // However it ended: what came is owed for.
        self.purse.spent().release(self.reserved);
        self.lane.state().requests -= 1;
        self.lane.0.news.notify_one();
    }
}
