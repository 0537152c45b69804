//! The payee's side: lanes that are open here, room for what is to be delivered on them, and vouchers for what was.

use crate::clearing::lane_documents::{CheckedOffer, LaneStanding, Octets};
use crate::clearing::till_account::{Account, AccountKey, WrittenOff};
use crate::clearing::till_error::TillError;
use crate::clearing::till_lane::{Closing, Lane};
use crate::clearing::transcript::{file_names, served};
use crate::clock::Clock;
use crate::keys::{GridId, PublicKey, SecretKey};
use crate::ledger::{Ledger, LedgerError, Part, UsageLine};
use crate::peer::Came;
use crate::policy::Period;
use crate::rate::Asset;
use crate::signed::Identity;
use crate::tariff::lane::LaneSecret;
use crate::tariff::wire::{LaneId, LaneOpen, LaneOpenBody, LaneProposal, LaneReport, LaneReportBody, Voucher};
use crate::tariff::{Ask, Ticket};
use crate::units::{Bytes, MinorUnits, PricePerGib, Seconds, UnixSeconds};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;
use tracing::{debug, warn};

/// How long a proposal may take to come back signed.
const PROPOSED: Seconds = Seconds(300);
/// How far the books run ahead of what is sent, so that not every unit waits for the disk.
const NOTED_AHEAD: u64 = 1 << 20;
/// How many lanes one payer has open at once.
const LANES: usize = 1_024;

/// The payee's side of all lanes of a gateway. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Till(Arc<Inner>);

/// What a till needs.
#[derive(Debug)]
pub struct TillParts {
    /// Where what is agreed and vouched for is kept.
    pub ledger: Ledger,
    /// The grid that is paid.
    pub grid: GridId,
    /// The gateway's key.
    pub key: SecretKey,
    /// The time.
    pub clock: Clock,
}

#[derive(Debug)]
struct Inner {
    ledger: Ledger,
    grid: GridId,
    key: SecretKey,
    clock: Clock,
    /// Signs reports, as long as this process runs.
    session: SecretKey,
    /// Under which files are counted in the books.
    files: LaneSecret,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    lanes: HashMap<LaneId, Lane>,
    accounts: HashMap<AccountKey, Account>,
    /// What payers left unvouched before this process began, until they come.
    debts: BTreeMap<PublicKey, Bytes>,
    /// What each payer owes in each asset, by the books when they were last asked, with what was vouched for since.
    owed: HashMap<(PublicKey, Asset), i128>,
    waiting: HashMap<(AccountKey, Ticket), oneshot::Sender<()>>,
}

/// At what a lane is sold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sale {
    /// Who pays: a grid, or a client.
    pub payer: PublicKey,
    /// The key that signs for it.
    pub payer_key: PublicKey,
    /// What in.
    pub asset: Asset,
    /// How much.
    pub price: PricePerGib,
    /// What gives this price.
    pub evidence: Option<Identity>,
    /// Under which terms.
    pub terms: Option<Identity>,
    /// Under which membership.
    pub grant: Option<Identity>,
    /// How long at most.
    pub not_after: UnixSeconds,
    /// What may be delivered and not vouched for, over all lanes of this payer; `None` where another rule holds it.
    pub window: Option<Bytes>,
    /// What may be owed and not settled.
    pub credit: Option<MinorUnits>,
}

/// A request that is served on a lane. Dropped before it is finished, it closes the lane.
#[derive(Debug)]
pub struct LaneUse {
    till: Till,
    lane: LaneId,
    asset: Asset,
    price: PricePerGib,
    payer: PublicKey,
    credit: Option<MinorUnits>,
    window: Option<Bytes>,
    not_after: UnixSeconds,
    finished: bool,
}

/// Room for one unit on a lane, given back when dropped unless the unit went out.
#[derive(Debug)]
pub struct Delivery {
    till: Till,
    lane: LaneId,
    account: Option<(AccountKey, Ticket)>,
    octets: Bytes,
}

impl Till {
    /// A till over what the ledger remembers.
    pub async fn open(parts: TillParts) -> Result<Self, LedgerError> {
        let debts = parts.ledger.unvouchered().await?;
        let TillParts { ledger, grid, key, clock } = parts;
        let files = file_names(&key);
        let state = Mutex::new(State { debts, ..State::default() });
        let session = SecretKey::generate();
        Ok(Self(Arc::new(Inner { ledger, grid, key, clock, session, files, state })))
    }

    /// The books.
    pub fn ledger(&self) -> &Ledger {
        &self.0.ledger
    }

    /// Signs what is offered at `sale`, for the payer to sign.
    pub fn propose(&self, offer: &CheckedOffer, sale: &Sale) -> Result<LaneProposal, TillError> {
        let now = self.0.clock.now();
        let mut nonce = [0; 16];
        getrandom::fill(&mut nonce).map_err(|_| TillError::Books(LedgerError::Closed))?;
        let body = LaneOpenBody {
            payer: sale.payer,
            payer_key: sale.payer_key,
            payee: self.0.grid,
            payee_key: self.0.key.public(),
            destination: (offer.destination != self.0.grid).then_some(offer.destination),
            asset: sale.asset,
            price: sale.price,
            evidence: sale.evidence,
            terms: sale.terms,
            grant: sale.grant,
            position: offer.position,
            payer_instance: offer.payer_instance,
            payee_instance: self.0.ledger.instance(),
            payer_session: offer.payer_session,
            payee_session: self.0.session.public(),
            payer_nonce: offer.payer_nonce,
            payee_nonce: nonce,
            secret_hash: offer.secret_hash,
            opened_at: now,
            not_after: sale.not_after.min(now.plus(LaneOpenBody::MAX_LIFETIME)),
        };
        Ok(LaneProposal::sign(&body, &self.0.key)?)
    }

    /// Opens a lane that was proposed here at `sale`: kept in the books when this returns.
    pub async fn agree(&self, agreed: &[u8], secret: [u8; 32], sale: &Sale) -> Result<LaneId, TillError> {
        let open = LaneOpen::from_bytes(agreed)?;
        let (body, now, id) = (open.body(), self.0.clock.now(), open.identity());
        let secret = LaneSecret::new(secret);
        match body {
            _ if body.payee_key != self.0.key.public() || body.payee != self.0.grid => {
                return Err(TillError::NotProposed("another gateway's key signs for the payee"));
            }
            _ if body.payer != sale.payer || body.payer_key != sale.payer_key => {
                return Err(TillError::NotProposed("it is another payer's"));
            }
            _ if body.payee_instance != self.0.ledger.instance() || body.payee_session != self.0.session.public() => {
                return Err(TillError::Closed("it was proposed before this gateway was started"));
            }
            _ if secret.hash() != body.secret_hash => return Err(TillError::NotProposed("the secret is another one")),
            _ if now > body.opened_at.plus(PROPOSED) || now >= body.not_after => {
                return Err(TillError::Closed("the proposal is too old"));
            }
            // What is asked may have changed since.
            _ if (body.asset, body.price, body.terms) != (sale.asset, sale.price, sale.terms) => {
                return Err(TillError::Closed("the price is another one by now"));
            }
            _ => {}
        }
        if self.state().lanes.contains_key(&id) {
            return Ok(id);
        }
        let of_payer = |lane: &&Lane| lane.open.body().payer == sale.payer && lane.closed.is_none();
        if self.state().lanes.values().filter(of_payer).count() >= LANES {
            return Err(TillError::Closed("too many lanes of this payer are open"));
        }
        if sale.credit.is_some() {
            self.remember_owed(sale.payer, sale.asset).await?;
        }
        self.0.ledger.open_lane(Part::Payee, open.clone(), now).await?;
        let account = sale.window.map(|window| AccountKey { payer: sale.payer, window: window.0 });
        let mut state = self.state();
        // Before there is an account that no lane is on yet.
        state.forget_ended(now);
        if let Some(key) = account
            && !state.accounts.contains_key(&key)
        {
            let debt = state.debts.remove(&sale.payer).unwrap_or_default();
            state.accounts.insert(key, Account::new(Bytes(key.window), debt));
        }
        state.lanes.entry(id).or_insert_with(|| Lane::new(open, secret, account, sale.credit));
        Ok(id)
    }

    /// Takes a lane for one request of `payer` for files of `destination`.
    pub fn take(&self, lane: LaneId, payer: &PublicKey, destination: &GridId) -> Result<LaneUse, TillError> {
        let now = self.0.clock.now();
        let mut state = self.state();
        let Some(of_lane) = state.lanes.get_mut(&lane) else {
            // One from before this process began, or nobody's: either way another one is to be opened.
            return Err(TillError::Closed("this gateway has not opened it since it was started"));
        };
        let body = of_lane.open.body();
        if body.payer != *payer {
            return Err(TillError::NoLane);
        }
        if body.destination() != *destination {
            return Err(TillError::OtherDestination);
        }
        if let Some(why) = of_lane.closed {
            return Err(TillError::Closed(why.words()));
        }
        if now >= body.not_after {
            return Err(TillError::Closed("its time is over"));
        }
        if of_lane.busy {
            return Err(TillError::Busy);
        }
        of_lane.busy = true;
        Ok(LaneUse {
            till: self.clone(),
            lane,
            asset: body.asset,
            price: body.price,
            payer: *payer,
            credit: of_lane.credit,
            window: of_lane.account.map(|account| Bytes(account.window)),
            not_after: body.not_after,
            finished: false,
        })
    }

    /// Books a voucher of `payer`: what is the best one of its lane then.
    pub async fn voucher(&self, payer: &PublicKey, lane: LaneId, bytes: &[u8]) -> Result<Voucher, TillError> {
        let now = self.0.clock.now();
        let judged = {
            let state = self.state();
            match state.lanes.get(&lane) {
                None => None,
                Some(of_lane) if of_lane.open.body().payer != *payer => return Err(TillError::NoLane),
                Some(of_lane) => {
                    let voucher = Voucher::of_lane(bytes, &of_lane.open)?;
                    match (of_lane.judge(&voucher)?, of_lane.best()) {
                        (None, Some(best)) => return Ok(best.clone()),
                        (readings, _) => Some((voucher, readings.unwrap_or_default())),
                    }
                }
            }
        };
        let Some((voucher, readings)) = judged else { return self.late_voucher(payer, lane, bytes).await };
        let booked = self.0.ledger.voucher(Part::Payee, voucher.clone(), readings, now).await?;
        let mut state = self.state();
        let Some(of_lane) = state.lanes.get_mut(&lane) else { return Ok(voucher) };
        let (asset, account) = (of_lane.open.body().asset, of_lane.account);
        let (freed, added) = of_lane.count(voucher.clone());
        let best = of_lane.best().cloned().unwrap_or(voucher);
        if let Some(owed) = state.owed.get_mut(&(*payer, asset)) {
            *owed += i128::from(booked.billed.0);
        }
        if let Some(key) = account
            && let Some(account) = state.accounts.get_mut(&key)
        {
            account.vouched(added, now);
            let granted: Vec<Ticket> = freed.into_iter().flat_map(|ticket| account.end(ticket)).collect();
            state.wake(key, granted);
        }
        Ok(best)
    }

    /// A voucher of a lane that was opened before this process began, or forgotten since.
    async fn late_voucher(&self, payer: &PublicKey, lane: LaneId, bytes: &[u8]) -> Result<Voucher, TillError> {
        let standing = self.0.ledger.lane(Part::Payee, lane).await?.ok_or(TillError::NoLane)?;
        if standing.open.body().payer != *payer {
            return Err(TillError::NoLane);
        }
        let voucher = Voucher::of_lane(bytes, &standing.open)?;
        let (claimed, before) = (voucher.body().cum_bytes, standing.voucher.as_ref());
        if let Some(best) = before.filter(|best| best.body().cum_bytes >= claimed) {
            return Ok(best.clone());
        }
        // However much that is: it is the payer's signature, and these books may be older than what was sent.
        let added = Bytes(claimed.0 - before.map_or(0, |best| best.body().cum_bytes.0));
        let now = self.0.clock.now();
        let booked = self.0.ledger.voucher(Part::Payee, voucher.clone(), Vec::new(), now).await?;
        let mut state = self.state();
        if let Some(owed) = state.owed.get_mut(&(*payer, standing.open.body().asset)) {
            *owed += i128::from(booked.billed.0);
        }
        if let Some(debt) = state.debts.get_mut(payer) {
            debt.0 = debt.0.saturating_sub(added.0);
        }
        let keys: Vec<AccountKey> = state.accounts.keys().filter(|key| key.payer == *payer).copied().collect();
        for key in keys {
            if let Some(account) = state.accounts.get_mut(&key) {
                let granted = account.redeemed(added);
                state.wake(key, granted);
            }
        }
        Ok(voucher)
    }

    /// How far a lane of `payer` has come.
    pub async fn standing(&self, payer: &PublicKey, lane: LaneId) -> Result<LaneStanding, TillError> {
        let now = self.0.clock.now();
        let known = self.state().lanes.get(&lane).map(|lane| {
            let body = lane.open.body();
            let open = lane.closed.is_none() && now < body.not_after;
            let report = LaneReportBody {
                lane: lane.open.identity(),
                cum_bytes: lane.sent(),
                time: now,
                transcript: lane.transcript().0,
            };
            let report = LaneReport::issue(&report, &lane.open, &self.0.session);
            (body.payer, open, report, lane.best().map(|best| best.bytes().to_vec()))
        });
        match known {
            Some((owner, ..)) if owner != *payer => Err(TillError::NoLane),
            Some((_, open, report, voucher)) => Ok(LaneStanding {
                open,
                voucher_base64url: voucher.map(Octets),
                report_base64url: Some(Octets(report?.bytes().to_vec())),
            }),
            None => {
                let standing = self.0.ledger.lane(Part::Payee, lane).await?.ok_or(TillError::NoLane)?;
                if standing.open.body().payer != *payer {
                    return Err(TillError::NoLane);
                }
                let voucher = standing.voucher.map(|voucher| Octets(voucher.bytes().to_vec()));
                Ok(LaneStanding { open: false, voucher_base64url: voucher, report_base64url: None })
            }
        }
    }

    /// Closes a lane of `payer`: nothing more is delivered on it, and what it leaves unvouched is written off or stays charged.
    pub async fn close(&self, payer: &PublicKey, lane: LaneId) -> Result<(), TillError> {
        {
            let mut state = self.state();
            let Some(of_lane) = state.lanes.get_mut(&lane) else { return Ok(()) };
            if of_lane.open.body().payer != *payer {
                return Err(TillError::NoLane);
            }
            of_lane.closed.get_or_insert(Closing::ByPayer);
            if !of_lane.busy {
                state.abandon(lane);
            }
        }
        self.write_off().await;
        Ok(())
    }

    /// Closes every lane that stands on `terms`, which one of the two has ended: nothing more is delivered, in mid-file too.
    pub fn terms_ended(&self, terms: &Identity) {
        let mut state = self.state();
        for lane in state.lanes.values_mut().filter(|lane| lane.open.body().terms == Some(*terms)) {
            lane.closed.get_or_insert(Closing::TermsEnded);
        }
    }

    /// What `payer` was sent and never vouched for, over all lanes, and what of it is still under way.
    pub fn unvouched(&self, payer: &PublicKey) -> Bytes {
        let state = self.state();
        let out: u64 = state.lanes.values().filter(|lane| lane.open.body().payer == *payer).map(Lane::unvouched).sum();
        let accounts = state.accounts.iter().filter(|(key, _)| key.payer == *payer);
        let debts: u64 = accounts.map(|(_, account)| account.debt().0).sum();
        Bytes(out + debts + state.debts.get(payer).map_or(0, |debt| debt.0))
    }

    /// What went out on the lanes of this process and is not vouched for yet, as lines that the books do not have.
    pub fn not_in_the_books(&self) -> Vec<UsageLine> {
        let day = Period::Day.began(self.0.clock.now());
        let state = self.state();
        let lines = state.lanes.values().filter(|lane| lane.unvouched() > 0).map(|lane| {
            let (body, bytes) = (lane.open.body(), Bytes(lane.unvouched()));
            let amount = body.charge(bytes).unwrap_or(MinorUnits::MAX);
            let (party, grid, asset) = (body.payer, body.destination(), body.asset);
            UsageLine { day, part: Part::Payee, party, grid, client: None, file: None, asset, bytes, amount }
        });
        lines.collect()
    }

    /// Writes off of every payer's debts what the day allows.
    async fn write_off(&self) {
        let now = self.0.clock.now();
        let mut written_off: Vec<(PublicKey, WrittenOff)> = Vec::new();
        {
            let mut state = self.state();
            let keys: Vec<AccountKey> = state.accounts.keys().copied().collect();
            for key in keys {
                let Some(account) = state.accounts.get_mut(&key) else { continue };
                let (granted, written) = account.write_off(now);
                written_off.extend(written.map(|written| (key.payer, written)));
                state.wake(key, granted);
            }
        }
        for (payer, WrittenOff { day, bytes }) in written_off {
            debug!(%payer, %bytes, "written off, in all today");
            if let Err(error) = self.0.ledger.write_off(payer, day, bytes).await {
                warn!(%error, "what was written off is not in the books");
            }
        }
    }

    async fn remember_owed(&self, payer: PublicKey, asset: Asset) -> Result<i128, TillError> {
        let owed = self.0.ledger.owed(Part::Payee, payer, *self.0.grid.key(), asset).await?;
        self.state().owed.insert((payer, asset), owed);
        Ok(owed)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each change to it is whole before the lock is let go.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn wake(&mut self, key: AccountKey, granted: Vec<Ticket>) {
        for ticket in granted {
            if let Some(turn) = self.waiting.remove(&(key, ticket)) {
                // Who is gone gives its room back itself.
                let _ = turn.send(());
            }
        }
    }

    /// Nobody will vouch for what went out on this lane and was not yet.
    fn abandon(&mut self, lane: LaneId) {
        let Some(of_lane) = self.lanes.get_mut(&lane) else { return };
        let left = of_lane.abandon();
        if let Some(account) = of_lane.account.and_then(|key| self.accounts.get_mut(&key)) {
            for (ticket, octets) in left {
                account.left(ticket, octets);
            }
        }
    }

    /// Lets go of lanes that are over; the books have them. What they left unvouched stays with the payer.
    fn forget_ended(&mut self, now: UnixSeconds) {
        let over = |lane: &Lane| !lane.busy && (lane.closed.is_some() || now >= lane.open.body().not_after);
        let ended: Vec<LaneId> = self.lanes.iter().filter(|(_, lane)| over(lane)).map(|(id, _)| *id).collect();
        for lane in ended {
            // A voucher for it may be on its way.
            let empty = self.lanes.get(&lane).is_some_and(|lane| lane.unvouched() == 0);
            let late = self.lanes.get(&lane).is_some_and(|lane| now >= lane.open.body().not_after.plus(PROPOSED));
            if empty || late {
                self.abandon(lane);
                self.lanes.remove(&lane);
            }
        }
        let in_use: Vec<AccountKey> = self.lanes.values().filter_map(|lane| lane.account).collect();
        self.accounts.retain(|key, account| in_use.contains(key) || !account.is_idle(now));
    }
}

impl LaneUse {
    /// Waits for room for a unit; `ahead` is what the request may bring from here on, this unit included. What is about to be
    /// sent is in the books when this returns. Dropping the future gives the place in the queue up.
    pub async fn reserve(&self, unit: Bytes, ahead: Bytes) -> Result<Delivery, TillError> {
        let inner = &self.till.0;
        if inner.clock.now() >= self.not_after {
            return Err(TillError::Closed("its time is over"));
        }
        self.within_credit(unit).await?;
        let (delivery, turn) = {
            let mut state = self.till.state();
            let Some(lane) = state.lanes.get(&self.lane) else { return Err(TillError::NoLane) };
            if let Some(why) = lane.closed {
                return Err(TillError::Closed(why.words()));
            }
            let mut delivery = Delivery { till: self.till.clone(), lane: self.lane, account: None, octets: unit };
            let mut turn = None;
            if let Some(key) = lane.account
                && let Some(account) = state.accounts.get_mut(&key)
            {
                let ask = account.ask(unit)?;
                let (Ask::Granted(ticket) | Ask::Waits(ticket)) = ask;
                delivery.account = Some((key, ticket));
                if matches!(ask, Ask::Waits(_)) {
                    let (wake, woken) = oneshot::channel();
                    state.waiting.insert((key, ticket), wake);
                    turn = Some(woken);
                }
            }
            (delivery, turn)
        };
        if let Some(turn) = turn {
            self.till.write_off().await;
            // Who wakes us keeps the sender until then.
            let _ = turn.await;
        }
        let ahead = Bytes(ahead.0.min(NOTED_AHEAD));
        let to_note = self.till.state().lanes.get(&self.lane).and_then(|lane| lane.to_note(unit, ahead));
        if let Some(up_to) = to_note {
            inner.ledger.sent(self.lane, up_to).await?;
            if let Some(lane) = self.till.state().lanes.get_mut(&self.lane) {
                lane.noted(up_to);
            }
        }
        Ok(delivery)
    }

    /// What may be under way to this payer, where the lane is held to that; `None` where another rule holds it.
    pub fn window(&self) -> Option<Bytes> {
        self.window
    }

    /// All that was asked for has gone out: the lane is free for the next request.
    pub fn finish(mut self) {
        self.finished = true;
    }

    /// Refuses a unit that would bring what is owed beyond what may be.
    async fn within_credit(&self, unit: Bytes) -> Result<(), TillError> {
        let Some(limit) = self.credit.filter(|_| self.price.0 > 0) else { return Ok(()) };
        if self.owes(unit)? <= i128::from(limit.0) {
            return Ok(());
        }
        // Something may have been settled meanwhile.
        self.till.remember_owed(self.payer, self.asset).await?;
        let owed = self.owes(unit)?;
        if owed <= i128::from(limit.0) {
            return Ok(());
        }
        let decimal = |units: i128| self.asset.decimal(u64::try_from(units).unwrap_or_default());
        Err(TillError::Credit { owed: decimal(owed), limit: decimal(i128::from(limit.0)), asset: self.asset.code() })
    }

    /// What would be owed with this unit and all that is under way.
    fn owes(&self, unit: Bytes) -> Result<i128, TillError> {
        let out = Bytes(self.till.unvouched(&self.payer).0.saturating_add(unit.0));
        let state = self.till.state();
        let owed = state.owed.get(&(self.payer, self.asset)).copied().unwrap_or_default();
        let charge = self.price.charge(out).ok_or(TillError::TooDear)?;
        Ok(owed + i128::from(charge.0))
    }
}

impl Drop for LaneUse {
    fn drop(&mut self) {
        let mut state = self.till.state();
        if let Some(lane) = state.lanes.get_mut(&self.lane) {
            lane.busy = false;
            if !self.finished {
                lane.closed.get_or_insert(Closing::BrokenOff);
            }
            if lane.closed == Some(Closing::ByPayer) {
                state.abandon(self.lane);
            }
        }
    }
}

impl Delivery {
    /// The unit goes out now: this of the file with this storage index.
    pub fn goes_out(mut self, storage_index: &[u8; 16], came: Came) {
        let till = self.till.clone();
        let mut state = till.state();
        let file = till.0.files.object(storage_index);
        if let Some(lane) = state.lanes.get_mut(&self.lane) {
            let delivered = served(lane.secret.object(storage_index), came, self.octets);
            let ticket = self.account.take().map(|(_, ticket)| ticket);
            lane.deliver(&delivered, ticket, file);
        }
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        let Some((key, ticket)) = self.account.take() else { return };
        let mut state = self.till.state();
        state.waiting.remove(&(key, ticket));
        if let Some(account) = state.accounts.get_mut(&key) {
            let granted = account.end(ticket);
            state.wake(key, granted);
        }
    }
}
