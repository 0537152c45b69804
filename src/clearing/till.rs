//! The payee's side: lanes that are open here, and vouchers for what was delivered on them. What may leave and what counts is
//! decided by the machine of each payer's account ([`crate::tariff::lane::Pair`]); here it is asked, and its writes are made.

use crate::clearing::lane_documents::{LaneStanding, Octets};
use crate::clearing::lane_use::LaneUse;
use crate::clearing::late::is_over;
use crate::clearing::till_account::{Account, AccountKey, Write, of_books};
use crate::clearing::till_error::TillError;
use crate::clearing::till_lane::{Closing, Lane};
use crate::clearing::transcript::file_names;
use crate::clock::Clock;
use crate::keys::{GridId, PublicKey, SecretKey};
use crate::ledger::{Ledger, Part, PayerState, UsageLine};
use crate::policy::Period;
use crate::rate::Asset;
use crate::signed::Identity;
use crate::tariff::lane::{
    Account as Books, LaneRefusal, LaneSecret, Limits, PairEffect, Served, Transcript, VoucherFault,
};
use crate::tariff::wire::{LaneId, LaneReport, LaneReportBody, Voucher};
use crate::units::{Bytes, MinorUnits, Seconds, UnixSeconds};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tracing::warn;

/// How long after its end a lane's last vouchers are waited for.
const LAST_VOUCHERS: Seconds = Seconds(300);

/// The payee's side of all lanes of a gateway. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Till(pub(super) Arc<Inner>);

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
pub(super) struct Inner {
    pub(super) ledger: Ledger,
    pub(super) grid: GridId,
    pub(super) key: SecretKey,
    pub(super) clock: Clock,
    /// Signs reports, as long as this process runs.
    pub(super) session: SecretKey,
    /// Under which files are counted in the books.
    files: LaneSecret,
    state: Mutex<State>,
    /// Told when somebody owes half of what may be owed.
    time_to_settle: Notify,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) lanes: HashMap<LaneId, Lane>,
    accounts: HashMap<AccountKey, Account>,
}

impl Till {
    /// A till with no lane open. What a payer left unacknowledged before is read from the books when it comes.
    pub fn new(parts: TillParts) -> Self {
        let TillParts { ledger, grid, key, clock } = parts;
        let files = file_names(&key);
        let (state, time_to_settle) = (Mutex::default(), Notify::new());
        let session = SecretKey::generate();
        Self(Arc::new(Inner { ledger, grid, key, clock, session, files, state, time_to_settle }))
    }

    /// The books.
    pub fn ledger(&self) -> &Ledger {
        &self.0.ledger
    }

    /// Has an account under these limits: the one that there is, or one as the books have it.
    pub(super) async fn opened(&self, key: AccountKey, limits: Limits) -> Result<(), TillError> {
        let now = self.0.clock.now();
        self.forget_ended(now);
        if self.state().accounts.contains_key(&key) {
            self.with_account(key, |_, account, _| ((), account.pair.set_limits(limits)));
            return Ok(());
        }
        let books = if limits.window.is_some() {
            let mut books = self.0.ledger.payer(&key.payer, Books::day_of(now)).await?;
            // What another gateway delivers that shares these books holds its own part of the window.
            books.lanes.retain(|lane| lane.open.body().payee_key == self.0.key.public());
            books
        } else {
            // What strangers left holds nothing.
            PayerState { lanes: Vec::new(), vouched: Bytes(0), written_off: Bytes(0) }
        };
        let owed = match key.asset {
            Some(asset) => self.owed(key.payer, asset).await?,
            None => 0,
        };
        let account = || Account::new(key, limits, &books, owed, now);
        self.state().accounts.entry(key).or_insert_with(account);
        Ok(())
    }

    /// Takes a lane for one request of `payer` for the file of `destination` with this storage index. Several requests may be served
    /// on a lane at once.
    pub fn take(
        &self,
        lane: LaneId,
        payer: &PublicKey,
        destination: &GridId,
        storage_index: &[u8; 16],
    ) -> Result<LaneUse, TillError> {
        let file = self.0.files.object(storage_index);
        let state = self.state();
        let Some(of_lane) = state.lanes.get(&lane) else {
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
        if self.0.clock.now() >= body.not_after {
            return Err(TillError::Closed("its time is over"));
        }
        let (account, window, object) = (of_lane.account, of_lane.window, of_lane.secret.object(storage_index));
        Ok(LaneUse { till: self.clone(), lane, account, window, object, file, gone: Arc::default(), finished: false })
    }

    /// Books a voucher of `payer`, with the deliveries that it acknowledges beyond the last one that was confirmed, or shown
    /// without them: what is the best one of its lane then.
    pub async fn voucher(
        &self,
        payer: &PublicKey,
        lane: LaneId,
        bytes: &[u8],
        deliveries: Option<&[Served]>,
    ) -> Result<Voucher, TillError> {
        let known = self.state().lanes.get(&lane).map(|lane| (lane.open.clone(), lane.account));
        let Some((open, account)) = known else { return self.late_voucher(payer, lane, bytes).await };
        if open.body().payer != *payer {
            return Err(TillError::NoLane);
        }
        let voucher = Voucher::of_lane(bytes, &open)?;
        let again = TillError::Closed("its payer has shown its voucher anew");
        let counts = self.with_account_refusing(account, &again, |lanes, account, _| {
            let Some(of_lane) = lanes.get(&lane) else { return (Err(VoucherFault::NoLane), Vec::new()) };
            if account.pair.lane(lane).is_none() {
                account.pair.recall(of_lane.at_rest());
            }
            let taken = match deliveries {
                Some(deliveries) => account.pair.voucher(voucher.body(), deliveries),
                None => account.pair.resync(lane, Some(voucher.body())),
            };
            match taken {
                Ok(effects) => {
                    let readings = of_lane.readings(deliveries.unwrap_or_default());
                    (Ok(account.count(&effects, &voucher, readings)), effects)
                }
                Err(fault) => (Err(fault), Vec::new()),
            }
        });
        if let Some(counts) = counts.ok_or(TillError::NoLane)?? {
            counts.await.unwrap_or(Err(TillError::Closed("the gateway stops")))?;
        }
        let best = self.state().lanes.get(&lane).and_then(|lane| lane.best.clone());
        Ok(best.unwrap_or(voucher))
    }

    /// A voucher of a lane that was opened before this process began, or forgotten since: shown by its payer.
    async fn late_voucher(&self, payer: &PublicKey, lane: LaneId, bytes: &[u8]) -> Result<Voucher, TillError> {
        let standing = self.0.ledger.lane(Part::Payee, lane).await?.ok_or(TillError::NoLane)?;
        let body = standing.open.body();
        if body.payer != *payer {
            return Err(TillError::NoLane);
        }
        let voucher = Voucher::of_lane(bytes, &standing.open)?;
        if let Some(best) = &standing.voucher
            && best.body().cum_bytes >= voucher.body().cum_bytes
        {
            return Ok(best.clone());
        }
        let now = self.0.clock.now();
        if is_over(&self.0.ledger, body, now).await? {
            return Err(TillError::Over);
        }
        let is_ours = body.payee_key == self.0.key.public();
        let account = self.account_of(payer, body.asset).filter(|_| is_ours);
        let Some(account) = account else {
            // Nobody counts for this payer here: whoever will begins with what the books have then.
            self.0.ledger.voucher(Part::Payee, voucher.clone(), Vec::new(), now).await?;
            return Ok(voucher);
        };
        let counts = self.with_account(account, |_, account, _| {
            if account.pair.lane(lane).is_none() {
                account.pair.recall(of_books(&standing));
            }
            match account.pair.resync(lane, Some(voucher.body())) {
                Ok(effects) => (Ok(account.count(&effects, &voucher, Vec::new())), effects),
                Err(fault) => (Err(fault), Vec::new()),
            }
        });
        if let Some(counts) = counts.ok_or(TillError::NoLane)?? {
            counts.await.unwrap_or(Err(TillError::Closed("the gateway stops")))?;
        }
        Ok(voucher)
    }

    /// The account that a lane of `payer` in this asset is on: its own, or the one of all assets.
    fn account_of(&self, payer: &PublicKey, asset: Asset) -> Option<AccountKey> {
        let state = self.state();
        let has = |key: &&AccountKey| key.has(payer, asset);
        state.accounts.keys().filter(has).max_by_key(|key| key.asset.is_some()).copied()
    }

    /// How far a lane of `payer` has come.
    pub async fn standing(&self, payer: &PublicKey, lane: LaneId) -> Result<LaneStanding, TillError> {
        let now = self.0.clock.now();
        let known = {
            let state = self.state();
            state.lanes.get(&lane).map(|of_lane| {
                let sent = state.accounts.get(&of_lane.account).map_or(Bytes(0), |account| account.pair.sent(lane));
                let body = of_lane.open.body();
                let open = of_lane.closed.is_none() && now < body.not_after;
                let best = of_lane.best.as_ref().map(Voucher::body);
                let report = LaneReportBody {
                    lane,
                    cum_bytes: sent.max(of_lane.counted()),
                    time: now,
                    transcript: best.map_or_else(|| Transcript::start(&lane).0, |best| best.transcript),
                };
                let report = LaneReport::issue(&report, &of_lane.open, &self.0.session);
                (body.payer, open, report, of_lane.best.as_ref().map(|best| best.bytes().to_vec()))
            })
        };
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

    /// Closes a lane of `payer`: nothing more is delivered on it, and what it leaves unacknowledged stays charged or is written off.
    /// Returns the grid whose files were read on it, where the lane is known still.
    pub fn close(&self, payer: &PublicKey, lane: LaneId) -> Result<Option<GridId>, TillError> {
        let known = self.state().lanes.get(&lane).map(|lane| {
            let body = lane.open.body();
            (body.payer, body.destination(), lane.account)
        });
        let Some((owner, destination, account)) = known else { return Ok(None) };
        if owner != *payer {
            return Err(TillError::NoLane);
        }
        self.end(account, &[lane], Closing::ByPayer);
        Ok(Some(destination))
    }

    /// Closes every lane that stands on `terms`, which one of the two has ended: nothing more is delivered, in mid-file too.
    pub fn terms_ended(&self, terms: &Identity) {
        let mut of_accounts: HashMap<AccountKey, Vec<LaneId>> = HashMap::new();
        for (id, lane) in &self.state().lanes {
            if lane.open.body().terms == Some(*terms) {
                of_accounts.entry(lane.account).or_default().push(*id);
            }
        }
        for (account, lanes) in of_accounts {
            self.end(account, &lanes, Closing::TermsEnded);
        }
    }

    /// What went out on the lanes of this process and is not vouched for yet, as lines that the books do not have.
    pub fn not_in_the_books(&self) -> Vec<UsageLine> {
        let day = Period::Day.began(self.0.clock.now());
        let state = self.state();
        let lines = state.lanes.values().filter(|lane| lane.unvouched().0 > 0).map(|lane| {
            let (body, bytes) = (lane.open.body(), lane.unvouched());
            let amount = body.charge(bytes).unwrap_or(MinorUnits::MAX);
            let (party, grid, asset) = (body.payer, body.destination(), body.asset);
            UsageLine { day, part: Part::Payee, party, grid, client: None, file: None, asset, bytes, amount }
        });
        lines.collect()
    }

    /// What went out to `payer` on lanes of this process, is under way no more and was never vouched for, because a request broke
    /// off or was not paid for; and when the last of these lanes ends, after which it counts no more.
    pub fn broken_off(&self, payer: &PublicKey) -> Option<(Bytes, UnixSeconds)> {
        let state = self.state();
        let of_payer = state.lanes.iter().filter(|(_, lane)| lane.open.body().payer == *payer);
        let left = of_payer.filter_map(|(id, lane)| {
            let under_way = state.accounts.get(&lane.account).map_or(0, |account| account.pair.under_way(*id).0);
            let octets = lane.unvouched().0.saturating_sub(under_way);
            (octets > 0).then_some((Bytes(octets), lane.open.body().not_after))
        });
        left.reduce(|(octets, end), (more, ends)| (Bytes(octets.0.saturating_add(more.0)), end.max(ends)))
    }

    /// Waits until some payer owes half of what it may.
    pub async fn time_to_settle(&self) {
        self.0.time_to_settle.notified().await;
    }

    fn end(&self, account: AccountKey, lanes: &[LaneId], why: Closing) {
        self.with_account_refusing(account, &TillError::Closed(why.words()), |of_till, account, _| {
            for lane in lanes {
                if let Some(lane) = of_till.get_mut(lane) {
                    lane.closed.get_or_insert(why);
                }
            }
            ((), lanes.iter().flat_map(|lane| account.pair.close(*lane)).collect())
        });
    }

    /// Lets go of lanes whose time is over, and of accounts that nobody has a lane on; the books have them.
    fn forget_ended(&self, now: UnixSeconds) {
        let mut ended: HashMap<AccountKey, Vec<LaneId>> = HashMap::new();
        {
            let mut state = self.state();
            let State { lanes, accounts } = &mut *state;
            for (id, lane) in lanes.iter().filter(|(_, lane)| now >= lane.open.body().not_after) {
                ended.entry(lane.account).or_default().push(*id);
            }
            lanes.retain(|id, lane| {
                let is_over = lane.closed.is_some() || now >= lane.open.body().not_after;
                let counts = accounts.get(&lane.account).is_some_and(|account| account.pair.lane(*id).is_some());
                !is_over || (counts && now < lane.open.body().not_after.plus(LAST_VOUCHERS))
            });
            let in_use: Vec<AccountKey> = lanes.values().map(|lane| lane.account).collect();
            accounts.retain(|key, account| in_use.contains(key) || !account.is_idle());
        }
        for (account, lanes) in ended {
            self.with_account_refusing(account, &TillError::Closed("its time is over"), |_, account, _| {
                ((), lanes.iter().flat_map(|lane| account.pair.close(*lane)).collect())
            });
        }
    }

    /// What the books say is settled of what a payer owes.
    pub(super) async fn remember_settled(&self, key: AccountKey) -> Result<(), TillError> {
        let Some(asset) = key.asset else { return Ok(()) };
        loop {
            // What is vouched for while the books are read is in their answer already, and must not pass for settled.
            let vouched = self.state().accounts.get(&key).map_or(0, |account| account.pair.vouched());
            let owed = self.owed(key.payer, asset).await?;
            let mut state = self.state();
            let Some(account) = state.accounts.get_mut(&key) else { return Ok(()) };
            if !self.0.ledger.is_shared() {
                let settled = i128::try_from(vouched).unwrap_or(i128::MAX).saturating_sub(owed);
                account.pair.settled(MinorUnits(u64::try_from(settled.max(0)).unwrap_or(u64::MAX)));
                return Ok(());
            }
            // What was counted meanwhile would be forgotten.
            if account.pair.vouched() == vouched {
                account.pair.owes(owed);
                return Ok(());
            }
        }
    }

    /// What is owed by a payer after these writes, where other gateways write the same books: what they were vouched for is known
    /// when something more is lent.
    async fn owed_to_all(&self, key: AccountKey, writes: &[Write]) -> Option<i128> {
        let asset = key.asset.filter(|_| self.0.ledger.is_shared() && writes.iter().any(Write::is_voucher))?;
        // Where it cannot be read nothing is lent until it can.
        Some(self.owed(key.payer, asset).await.unwrap_or(i128::MAX))
    }

    /// Refuses what has got room where others were vouched for so much meanwhile, in the same books, that it is lent no more.
    pub(super) fn is_lent(&self, lane: LaneId, key: AccountKey) -> Result<(), TillError> {
        let lent = self.with_account(key, |_, account, _| (account.pair.is_lent(), Vec::new()));
        lent.unwrap_or(Ok(())).map_err(|refusal| self.refusal(lane, key, refusal))
    }

    /// What this gateway lends `payer` in this asset, where it counts for it.
    pub(super) fn lends(&self, payer: &PublicKey, asset: Asset) -> Option<MinorUnits> {
        let key = AccountKey { payer: *payer, asset: Some(asset) };
        self.state().accounts.get(&key).and_then(|account| account.pair.limits().credit)
    }

    async fn owed(&self, payer: PublicKey, asset: Asset) -> Result<i128, TillError> {
        Ok(self.0.ledger.owed(Part::Payee, payer, *self.0.grid.key(), asset).await?)
    }

    /// As the machine's refusal is told.
    pub(super) fn refusal(&self, lane: LaneId, key: AccountKey, refusal: LaneRefusal) -> TillError {
        let state = self.state();
        match refusal {
            LaneRefusal::NoLane => {
                let why = state.lanes.get(&lane).and_then(|lane| lane.closed);
                TillError::Closed(why.map_or("its time is over", Closing::words))
            }
            LaneRefusal::Ended(_) => TillError::Closed("its time is over"),
            LaneRefusal::Window(refusal) => TillError::Window(refusal),
            LaneRefusal::Unacknowledged => TillError::Unacknowledged(refusal),
            LaneRefusal::Credit { limit } => {
                let Some((asset, account)) = key.asset.zip(state.accounts.get(&key)) else { return TillError::NoLane };
                let owed = account.pair.vouched().saturating_sub(u128::from(account.pair.account().settled.0));
                let decimal = |units: u128| asset.decimal(u64::try_from(units).unwrap_or(u64::MAX));
                TillError::Credit { owed: decimal(owed), limit: decimal(u128::from(limit.0)), asset: asset.code() }
            }
        }
    }

    /// So many octets go out on a lane.
    pub(super) fn goes_out(&self, lane: LaneId, octets: Bytes) {
        if let Some(lane) = self.state().lanes.get_mut(&lane) {
            lane.goes_out(octets);
        }
    }

    /// Asks the machine of an account, and does what it wants done; `None`: the account was forgotten, and its lanes with it.
    pub(super) fn with_account<T>(
        &self,
        key: AccountKey,
        ask: impl FnOnce(&mut HashMap<LaneId, Lane>, &mut Account, UnixSeconds) -> (T, Vec<PairEffect>),
    ) -> Option<T> {
        self.with_account_refusing(key, &TillError::NoLane, ask)
    }

    /// The same; what waits and is refused is refused for `why`.
    fn with_account_refusing<T>(
        &self,
        key: AccountKey,
        why: &TillError,
        ask: impl FnOnce(&mut HashMap<LaneId, Lane>, &mut Account, UnixSeconds) -> (T, Vec<PairEffect>),
    ) -> Option<T> {
        let mut state = self.state();
        let State { lanes, accounts } = &mut *state;
        let account = accounts.get_mut(&key)?;
        let (answer, effects) = ask(lanes, account, self.0.clock.now());
        account.follow(key.payer, effects, why);
        self.told(account);
        // Where the process is about to end, what is not written is charged as if it had been sent.
        if let Ok(runtime) = Handle::try_current()
            && account.begins_writing()
        {
            runtime.spawn(self.clone().write(key));
        }
        Some(answer)
    }

    /// Writes what an account wants written, until that is nothing.
    async fn write(self, key: AccountKey) {
        loop {
            let writes = match self.state().accounts.get_mut(&key) {
                Some(account) => account.next_writes(),
                None => return,
            };
            if writes.is_empty() {
                return;
            }
            let now = self.0.clock.now();
            let done = futures::future::join_all(writes.iter().map(|write| write.perform(&self.0.ledger, now))).await;
            let owed = self.owed_to_all(key, &writes).await;
            let mut state = self.state();
            let State { lanes, accounts } = &mut *state;
            let Some(account) = accounts.get_mut(&key) else { return };
            for (write, done) in writes.into_iter().zip(done) {
                if let Err(error) = &done {
                    warn!(%error, "what was sent or vouched for is not in the books");
                }
                account.written(key.payer, write, done, now, lanes);
            }
            if let Some(owed) = owed {
                account.pair.owes(owed);
            }
            self.told(account);
        }
    }

    fn told(&self, account: &mut Account) {
        if account.is_to_settle() {
            self.0.time_to_settle.notify_one();
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        // Each change to it is whole before the lock is let go.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
