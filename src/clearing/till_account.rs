//! One payer at a till: the machine that counts for it, what waits for that, and what it wants written.

use crate::clearing::till_error::TillError;
use crate::clearing::till_lane::Lane;
use crate::keys::PublicKey;
use crate::ledger::{Ledger, LedgerError, Part, PayerState, Reading, WrittenOff};
use crate::rate::Asset;
use crate::tariff::Ticket;
use crate::tariff::lane::{Account as Books, Durable, LaneState, Limits, Pair, PairEffect, WriteId};
use crate::tariff::wire::{LaneId, Voucher};
use crate::units::{Bytes, UnixSeconds};
use std::collections::HashMap;
use tokio::sync::oneshot;

/// Whom an account is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct AccountKey {
    pub(super) payer: PublicKey,
    /// The asset of its credit limit; none where there is no limit, and all of its lanes share one window.
    pub(super) asset: Option<Asset>,
}

/// The account of one payer.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) pair: Pair,
    /// Deliveries that may not leave yet.
    waiting: HashMap<Ticket, oneshot::Sender<Result<(), TillError>>>,
    /// Vouchers that are not counted yet.
    uncounted: HashMap<WriteId, oneshot::Sender<Result<(), TillError>>>,
    writes: Vec<Write>,
    /// Whether somebody writes already: writes are made in the order in which they were asked for.
    is_writing: bool,
    /// Whether it is time to settle.
    settle: bool,
}

/// What is to be written.
#[derive(Debug)]
pub(super) struct Write {
    id: WriteId,
    what: What,
}

#[derive(Debug)]
enum What {
    Sent(LaneId, Bytes),
    AtRest(LaneId, Bytes),
    WrittenOff(WrittenOff),
    Voucher(Box<(Voucher, Vec<Reading>)>),
}

impl AccountKey {
    /// Of a lane of `payer` in `asset` under these limits.
    pub(super) fn of(payer: PublicKey, asset: Asset, limits: &Limits) -> Self {
        Self { payer, asset: limits.credit.map(|_| asset) }
    }

    /// Whether a lane in this asset is on it.
    pub(super) fn has(&self, payer: &PublicKey, asset: Asset) -> bool {
        self.payer == *payer && self.asset.is_none_or(|own| own == asset)
    }
}

impl Account {
    /// An account as the books have it: `owed` in its asset. Lanes of processes before this one are closed.
    pub(super) fn new(key: AccountKey, limits: Limits, books: &PayerState, owed: i128, now: UnixSeconds) -> Self {
        let lanes = books.lanes.iter().filter(|lane| key.has(&key.payer, lane.open.body().asset));
        let lanes: Vec<LaneState> = lanes.map(of_books).collect();
        let account = Books {
            day: Books::day_of(now),
            vouched: books.vouched,
            written_off: books.written_off,
            ..Books::default()
        };
        let ids: Vec<LaneId> = lanes.iter().map(|lane| lane.lane).collect();
        let mut pair = Pair::new(limits, account, lanes);
        pair.owes(owed);
        for lane in ids {
            // Nothing is under way on them: there is nobody to be told.
            pair.close(lane);
        }
        Self {
            pair,
            waiting: HashMap::new(),
            uncounted: HashMap::new(),
            writes: Vec::new(),
            is_writing: false,
            settle: false,
        }
    }

    /// Tells when the delivery with this ticket may leave.
    pub(super) fn wait(&mut self, ticket: Ticket) -> oneshot::Receiver<Result<(), TillError>> {
        let (turn, waits) = oneshot::channel();
        self.waiting.insert(ticket, turn);
        waits
    }

    /// Nobody waits for this delivery any more.
    pub(super) fn gave_up(&mut self, ticket: Ticket) {
        self.waiting.remove(&ticket);
    }

    /// Does what the machine wants done. `payer` is whose account it is; what is refused is refused for `why`.
    pub(super) fn follow(&mut self, payer: PublicKey, effects: Vec<PairEffect>, why: &TillError) {
        for effect in effects {
            match effect {
                PairEffect::Start(ticket) => tell(self.waiting.remove(&ticket), Ok(())),
                PairEffect::Refuse(ticket) => tell(self.waiting.remove(&ticket), Err(why.clone())),
                PairEffect::Persist(id, Durable::Sent(lane, sent)) => self.write(id, What::Sent(lane, sent)),
                PairEffect::Persist(id, Durable::AtRest(lane, sent)) => self.write(id, What::AtRest(lane, sent)),
                PairEffect::Persist(id, Durable::WrittenOff(lane, of_lane)) => {
                    let Books { day, written_off: of_day, .. } = *self.pair.account();
                    self.write(id, What::WrittenOff(WrittenOff { payer, day, of_day, lane, of_lane }));
                }
                PairEffect::Settle => self.settle = true,
                // Who sent the voucher waits for its write; a voucher to be written comes through `count`.
                PairEffect::Acknowledge(_) | PairEffect::Persist(_, Durable::Voucher(_)) => {}
            }
        }
    }

    /// Does what the machine wants done with a voucher, and tells when that counts; `None`: it says nothing new.
    pub(super) fn count(
        &mut self,
        effects: &[PairEffect],
        voucher: &Voucher,
        readings: Vec<Reading>,
    ) -> Option<oneshot::Receiver<Result<(), TillError>>> {
        let of_voucher = |effect: &PairEffect| match effect {
            PairEffect::Persist(id, Durable::Voucher(_)) => Some(*id),
            _ => None,
        };
        let id = effects.iter().find_map(of_voucher)?;
        let (told, counts) = oneshot::channel();
        self.uncounted.insert(id, told);
        self.write(id, What::Voucher(Box::new((voucher.clone(), readings))));
        Some(counts)
    }

    fn write(&mut self, id: WriteId, what: What) {
        self.writes.push(Write { id, what });
    }

    /// Whether somebody has to begin writing; who is told so does.
    pub(super) fn begins_writing(&mut self) -> bool {
        let begins = !self.is_writing && !self.writes.is_empty();
        self.is_writing |= begins;
        begins
    }

    /// What is to be written next, all at once; nothing: whoever wrote may go.
    pub(super) fn next_writes(&mut self) -> Vec<Write> {
        let mut writes = std::mem::take(&mut self.writes);
        // A voucher is handed over apart from what else the machine wants.
        writes.sort_by_key(|write| write.id);
        self.is_writing = !writes.is_empty();
        writes
    }

    /// A write was made, or not.
    pub(super) fn written(
        &mut self,
        payer: PublicKey,
        write: Write,
        done: Result<(), LedgerError>,
        now: UnixSeconds,
        lanes: &mut HashMap<LaneId, Lane>,
    ) {
        let (effects, why) = match &done {
            Ok(()) => (self.pair.persisted(write.id, now), TillError::NoLane),
            Err(error) => (self.pair.failed(write.id), error.clone().into()),
        };
        self.follow(payer, effects, &why);
        if let What::Voucher(voucher) = &write.what
            && done.is_ok()
            && let Some(lane) = lanes.get_mut(&voucher.0.body().lane)
        {
            lane.count(&voucher.0);
        }
        tell(self.uncounted.remove(&write.id), done.map_err(TillError::from));
    }

    /// Whether it has become time to settle since this was asked last.
    pub(super) fn is_to_settle(&mut self) -> bool {
        std::mem::take(&mut self.settle)
    }

    /// Whether nothing is lost by forgetting it.
    pub(super) fn is_idle(&self) -> bool {
        self.pair.is_idle() && self.waiting.is_empty() && self.uncounted.is_empty() && !self.is_writing
    }
}

impl Write {
    /// Whether more is owed once it is written.
    pub(super) fn is_voucher(&self) -> bool {
        matches!(self.what, What::Voucher(_))
    }

    pub(super) async fn perform(&self, ledger: &Ledger, now: UnixSeconds) -> Result<(), LedgerError> {
        match &self.what {
            What::Sent(lane, sent) => ledger.sent(*lane, *sent).await,
            What::AtRest(lane, sent) => ledger.at_rest(*lane, *sent).await,
            What::WrittenOff(written_off) => ledger.write_off(*written_off).await,
            What::Voucher(voucher) => {
                let (voucher, readings) = (**voucher).clone();
                ledger.voucher(Part::Payee, voucher, readings, now).await.map(drop)
            }
        }
    }
}

/// A lane of the books as the machine takes it.
pub(super) fn of_books(lane: &crate::ledger::LaneState) -> LaneState {
    let body = lane.open.body();
    LaneState {
        lane: lane.open.identity(),
        price: body.price,
        not_after: body.not_after,
        best: lane.voucher.as_ref().map(|voucher| voucher.body().clone()),
        sent: lane.sent,
        written_off: lane.written_off,
    }
}

fn tell(who: Option<oneshot::Sender<Result<(), TillError>>>, what: Result<(), TillError>) {
    if let Some(who) = who {
        // Who is gone gives its room back itself.
        let _ = who.send(what);
    }
}
