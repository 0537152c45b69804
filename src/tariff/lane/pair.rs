//! The payee's account of one counterparty in one asset: a window and a credit limit that all of its lanes share.
//!
//! At no time is more delivered and not acknowledged than the window, over all lanes and connections, and at no time is more
//! acknowledged and not settled than the credit limit. What was delivered and never acknowledged stays charged, so that
//! reconnecting frees nothing; little by little it is written off.

use crate::tariff::lane::payee::{Counter, Granted, LaneState, Taken, VoucherFault};
use crate::tariff::lane::payer::WriteId;
use crate::tariff::lane::transcript::Served;
use crate::tariff::window::{Ask, Ticket, Window, WindowRefusal};
use crate::tariff::wire::{LaneId, VoucherBody};
use crate::units::{Bytes, MinorUnits, PricePerGib, UnixSeconds};
use std::collections::{BTreeMap, HashMap};

const DAY: u64 = 86_400;

/// What one counterparty may have out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Delivered and not vouched for.
    pub window: Bytes,
    /// Vouched for and not settled.
    pub credit: MinorUnits,
    /// What is written off.
    pub write_off: WriteOff,
}

/// What is written off of what a counterparty never acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteOff {
    /// Of a known party (a client, a grid with terms): each day [`WriteOff::DAILY`] and a hundredth of what it vouched for on it.
    Known,
    /// Of a stranger: nothing.
    Nothing,
}

impl WriteOff {
    /// Of a known party, each day, beside the hundredth.
    pub const DAILY: Bytes = Bytes(16 << 20);
    /// The window of a pair of grids with terms that say no other.
    pub const PAIR_WINDOW: Bytes = Bytes(64 << 20);
    /// The window of a client.
    pub const CLIENT_WINDOW: Bytes = Bytes(16 << 20);
}

/// What the disk has of a counterparty beside its lanes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Account {
    /// What lanes that are over were vouched for.
    pub booked: MinorUnits,
    /// What of all that was vouched for is settled.
    pub settled: MinorUnits,
    /// The day, in days since 1970, that the next two are of.
    pub day: u64,
    /// What was vouched for on that day.
    pub vouched: Bytes,
    /// What was written off on that day.
    pub written_off: Bytes,
}

/// What the payee's side wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PairEffect {
    /// Write this durably, and then say [`Pair::persisted`].
    Persist(WriteId, Durable),
    /// The delivery may leave.
    Start(Ticket),
    /// Tell the payer the highest voucher of the lane that counts; the disk has it.
    Acknowledge(VoucherBody),
    /// More than half of the credit is used: time to settle.
    Settle,
}

/// What is to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Durable {
    /// So much of a lane may have been sent.
    Sent(LaneId, Bytes),
    /// The highest voucher of a lane.
    Voucher(VoucherBody),
    /// So much of a lane is written off in all. Nothing waits for it.
    WrittenOff(LaneId, Bytes),
}

/// Why a delivery is refused before its first octet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LaneRefusal {
    /// No such lane, or it is closed.
    #[error("no such lane is open: open one")]
    NoLane,
    /// The lane has ended.
    #[error("the lane ended on {0}: open another one")]
    Ended(UnixSeconds),
    /// The window.
    #[error(transparent)]
    Window(#[from] WindowRefusal),
    /// The credit limit.
    #[error("what is owed and not settled would exceed the credit limit of {limit} minor units: settle first")]
    Credit {
        /// The limit.
        limit: MinorUnits,
    },
}

/// The account of one counterparty in one asset.
#[derive(Debug)]
pub struct Pair {
    limits: Limits,
    account: Account,
    window: Window<()>,
    lanes: BTreeMap<LaneId, Counter>,
    deliveries: HashMap<Ticket, Delivery>,
    writes: u64,
    settle: Settle,
}

#[derive(Debug, Clone, Copy)]
struct Delivery {
    lane: LaneId,
    served: Served,
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    /// For room.
    Waits,
    /// It has room, and the disk is being told.
    Held,
    /// Its octets leave.
    Leaves,
}

/// Whether it was said that it is time to settle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Settle {
    Unsaid,
    Said,
}

impl Pair {
    /// An account as the disk has it. Its lanes are open; what may have been sent on them is adrift until its payer shows its
    /// vouchers.
    pub fn new(limits: Limits, account: Account, lanes: impl IntoIterator<Item = LaneState>) -> Self {
        let lanes = lanes.into_iter().map(|state| (state.lane, Counter::new(state))).collect();
        let (window, deliveries) = (Window::new(limits.window), HashMap::new());
        let mut pair = Self { limits, account, window, lanes, deliveries, writes: 0, settle: Settle::Unsaid };
        let granted = pair.window.set_adrift(pair.adrift());
        debug_assert!(granted.is_empty());
        pair
    }

    /// A lane was opened, and the disk has it.
    pub fn open(&mut self, lane: LaneId, price: PricePerGib, not_after: UnixSeconds) {
        self.lanes.entry(lane).or_insert_with(|| Counter::new(LaneState::new(lane, price, not_after))).open = true;
    }

    /// Asks for room for one delivery on `lane`. What comes of it is in the effects: [`PairEffect::Start`] now or later. Whoever
    /// gives up says [`Pair::over`]. There may be effects beside a refusal.
    pub fn ask(
        &mut self,
        lane: LaneId,
        served: Served,
        now: UnixSeconds,
    ) -> (Result<Ticket, LaneRefusal>, Vec<PairEffect>) {
        let mut effects = self.write_off(now);
        (self.reserve(lane, served, now, &mut effects), effects)
    }

    fn reserve(
        &mut self,
        lane: LaneId,
        served: Served,
        now: UnixSeconds,
        effects: &mut Vec<PairEffect>,
    ) -> Result<Ticket, LaneRefusal> {
        let counter = self.lanes.get(&lane).filter(|counter| counter.open).ok_or(LaneRefusal::NoLane)?;
        if now >= counter.state.not_after {
            return Err(LaneRefusal::Ended(counter.state.not_after));
        }
        let limit = self.limits.credit;
        let owed = self.exposure(lane, served.length.0).ok_or(LaneRefusal::Credit { limit })?;
        if owed > u128::from(limit.0) + u128::from(self.account.settled.0) {
            return Err(LaneRefusal::Credit { limit });
        }
        let ask = self.window.ask(&[], served.length)?;
        let (Ask::Granted(ticket) | Ask::Waits(ticket)) = ask;
        self.deliveries.insert(ticket, Delivery { lane, served, stage: Stage::Waits });
        if let Some(counter) = self.lanes.get_mut(&lane) {
            counter.waiting += served.length.0;
        }
        if matches!(ask, Ask::Granted(_)) {
            self.granted(ticket, effects);
        }
        Ok(ticket)
    }

    /// A delivery is over without a voucher. [`Left::Nothing`]: no octet of it has left; it is as if it had not been asked for.
    /// [`Left::Some`]: it stays charged.
    pub fn over(&mut self, ticket: Ticket, left: Left) -> Vec<PairEffect> {
        let mut effects = Vec::new();
        self.end(ticket, left, &mut effects);
        self.drift(&mut effects);
        effects
    }

    /// A voucher has come, with the deliveries that it acknowledges since the last one that its payer knows to be counted. Its
    /// signature was verified.
    pub fn voucher(&mut self, body: &VoucherBody, entries: &[Served]) -> Result<Vec<PairEffect>, VoucherFault> {
        let counter = self.lanes.get_mut(&body.lane).ok_or(VoucherFault::NoLane)?;
        let deliveries = &self.deliveries;
        let find = |served: &Served, taken: &[Ticket]| {
            let fits = |ticket: &Ticket, delivery: &Delivery| {
                let alike = delivery.lane == body.lane && delivery.served == *served;
                alike && delivery.stage == Stage::Leaves && !taken.contains(ticket)
            };
            deliveries.iter().filter(|(ticket, delivery)| fits(ticket, delivery)).map(|(ticket, _)| *ticket).min()
        };
        let writes = &mut self.writes;
        let taken = counter.take(body, entries, find, || next(writes))?;
        Ok(self.taken(body, &taken))
    }

    /// A new connection for `lane`, on which the payer shows its highest voucher, the signature verified. What was under way on
    /// the one before is adrift. The answer is the highest one that counts, for the payer to adopt.
    pub fn resync(&mut self, lane: LaneId, shown: Option<&VoucherBody>) -> Result<Vec<PairEffect>, VoucherFault> {
        let counter = self.lanes.get_mut(&lane).ok_or(VoucherFault::NoLane)?;
        let mut effects = match shown {
            Some(shown) if shown.lane != lane => return Err(VoucherFault::NoLane),
            Some(shown) => {
                let writes = &mut self.writes;
                let taken = counter.adopt(shown, || next(writes))?;
                self.taken(shown, &taken)
            }
            None => counter.state.best.clone().map(PairEffect::Acknowledge).into_iter().collect(),
        };
        effects.extend(self.disconnect(lane));
        self.drift(&mut effects);
        Ok(effects)
    }

    /// The connection of `lane` is gone: what was under way on it is adrift, what waited is given up.
    pub fn disconnect(&mut self, lane: LaneId) -> Vec<PairEffect> {
        let mut effects = Vec::new();
        let Some(counter) = self.lanes.get(&lane) else { return effects };
        let of_lane = self.deliveries.iter().filter(|(_, delivery)| delivery.lane == lane);
        let over = of_lane
            .filter(|(ticket, _)| !counter.is_vouched(**ticket))
            .map(|(ticket, delivery)| (delivery.stage, *ticket));
        let mut over: Vec<_> = over.collect();
        over.sort_unstable();
        for (stage, ticket) in &over {
            let left = if *stage == Stage::Leaves { Left::Some } else { Left::Nothing };
            self.end(*ticket, left, &mut effects);
        }
        // One of them may have got the room of another one, for a moment.
        let is_over = |ticket: &Ticket| over.iter().any(|(_, other)| other == ticket);
        effects.retain(|effect| !matches!(effect, PairEffect::Start(ticket) if is_over(ticket)));
        self.drift(&mut effects);
        effects
    }

    /// Nothing more is delivered on `lane`. Late vouchers are counted all the same.
    pub fn close(&mut self, lane: LaneId) -> Vec<PairEffect> {
        let effects = self.disconnect(lane);
        if let Some(counter) = self.lanes.get_mut(&lane) {
            counter.open = false;
        }
        self.sweep();
        effects
    }

    /// The disk has everything up to `id`: writes are made in the order in which they were asked for.
    pub fn persisted(&mut self, id: WriteId, now: UnixSeconds) -> Vec<PairEffect> {
        let mut effects = self.write_off(now);
        let mut ended = Vec::new();
        for (lane, counter) in &mut self.lanes {
            let writes = &mut self.writes;
            let (free, write) = counter.ceiling_persisted(id, || next(writes));
            for ticket in free {
                self.deliveries.entry(ticket).and_modify(|delivery| delivery.stage = Stage::Leaves);
                effects.push(PairEffect::Start(ticket));
            }
            effects.extend(write.map(|(id, ceiling)| PairEffect::Persist(id, Durable::Sent(*lane, ceiling))));
            let before = counter.counted();
            for (body, tickets) in counter.vouchers_persisted(id) {
                effects.push(PairEffect::Acknowledge(body));
                ended.extend(tickets);
            }
            self.account.vouched.0 += counter.counted().saturating_sub(before);
        }
        for ticket in ended {
            self.end(ticket, Left::Some, &mut effects);
        }
        self.drift(&mut effects);
        let half = u128::from(self.limits.credit.0) / 2;
        let owed = self.vouched().saturating_sub(u128::from(self.account.settled.0));
        if owed > half && self.settle == Settle::Unsaid {
            self.settle = Settle::Said;
            effects.push(PairEffect::Settle);
        }
        self.sweep();
        effects
    }

    /// So much of all that was ever vouched for is settled now. Never less than before.
    pub fn settled(&mut self, total: MinorUnits) {
        if total > self.account.settled {
            self.account.settled = total;
            self.settle = Settle::Unsaid;
        }
    }

    /// What was ever vouched for and counts, in minor units.
    pub fn vouched(&self) -> u128 {
        let lanes = self.lanes.values().map(|counter| u128::from(counter.amount().0));
        u128::from(self.account.booked.0) + lanes.sum::<u128>()
    }

    /// What holds the window: under way, and delivered before and never acknowledged.
    pub fn out(&self) -> Bytes {
        Bytes(self.window.out().0.saturating_add(self.window.adrift().0))
    }

    /// The lanes that are not over, as the disk is to have them.
    pub fn lanes(&self) -> impl Iterator<Item = &LaneState> {
        self.lanes.values().map(|counter| &counter.state)
    }

    /// The account beside its lanes, as the disk is to have it.
    pub fn account(&self) -> &Account {
        &self.account
    }

    fn taken(&self, body: &VoucherBody, taken: &Taken) -> Vec<PairEffect> {
        match taken {
            Taken::Write(id) => vec![PairEffect::Persist(*id, Durable::Voucher(body.clone()))],
            Taken::Known => {
                let best = self.lanes.get(&body.lane).and_then(|counter| counter.state.best.clone());
                best.map(PairEffect::Acknowledge).into_iter().collect()
            }
        }
    }

    fn granted(&mut self, ticket: Ticket, effects: &mut Vec<PairEffect>) {
        let Some(delivery) = self.deliveries.get_mut(&ticket) else { return };
        let Some(counter) = self.lanes.get_mut(&delivery.lane) else { return };
        counter.waiting -= delivery.served.length.0;
        let writes = &mut self.writes;
        let granted = counter.granted(ticket, delivery.served.length.0, || next(writes));
        delivery.stage = if matches!(granted, Granted::Start) { Stage::Leaves } else { Stage::Held };
        effects.extend(match granted {
            Granted::Start => Some(PairEffect::Start(ticket)),
            Granted::Held => None,
            Granted::Write(id, ceiling) => Some(PairEffect::Persist(id, Durable::Sent(delivery.lane, ceiling))),
        });
    }

    fn end(&mut self, ticket: Ticket, left: Left, effects: &mut Vec<PairEffect>) {
        let Some(delivery) = self.deliveries.remove(&ticket) else { return };
        if let Some(counter) = self.lanes.get_mut(&delivery.lane) {
            if delivery.stage == Stage::Waits {
                counter.waiting -= delivery.served.length.0;
            } else {
                counter.over(ticket, delivery.served.length.0, left == Left::Some);
            }
        }
        // What drifts holds the window before anybody else gets the room.
        let adrift = self.adrift();
        let mut granted = self.window.set_adrift(adrift);
        granted.extend(self.window.end(ticket));
        for ticket in granted {
            self.granted(ticket, effects);
        }
    }

    fn adrift(&self) -> Bytes {
        Bytes(self.lanes.values().fold(0, |sum: u64, counter| sum.saturating_add(counter.adrift())))
    }

    fn drift(&mut self, effects: &mut Vec<PairEffect>) {
        for ticket in self.window.set_adrift(self.adrift()) {
            self.granted(ticket, effects);
        }
    }

    fn exposure(&self, lane: LaneId, more: u64) -> Option<u128> {
        let mut sum = u128::from(self.account.booked.0);
        for (id, counter) in &self.lanes {
            sum += u128::from(counter.exposure(if *id == lane { more } else { 0 })?.0);
        }
        Some(sum)
    }

    fn write_off(&mut self, now: UnixSeconds) -> Vec<PairEffect> {
        let mut effects = Vec::new();
        if self.limits.write_off == WriteOff::Nothing {
            return effects;
        }
        let day = now.0 / DAY;
        // A clock that was set back gives nobody the day again.
        if day > self.account.day {
            self.account = Account { day, vouched: Bytes(0), written_off: Bytes(0), ..self.account };
        }
        let allowed = WriteOff::DAILY.0.saturating_add(self.account.vouched.0 / 100);
        for (lane, counter) in &mut self.lanes {
            let off = counter.adrift().min(allowed.saturating_sub(self.account.written_off.0));
            if off > 0 {
                counter.state.written_off.0 += off;
                self.account.written_off.0 += off;
                self.writes += 1;
                let total = counter.state.written_off;
                effects.push(PairEffect::Persist(WriteId(self.writes), Durable::WrittenOff(*lane, total)));
            }
        }
        self.drift(&mut effects);
        effects
    }

    /// Folds lanes of which nothing more can come into the account.
    fn sweep(&mut self) {
        let account = &mut self.account;
        self.lanes.retain(|_, counter| {
            let done = counter.is_done();
            if done {
                account.booked.0 = account.booked.0.saturating_add(counter.amount().0);
            }
            !done
        });
    }
}

/// Whether octets of a delivery have left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// Not one.
    Nothing,
    /// Some or all.
    Some,
}

fn next(writes: &mut u64) -> WriteId {
    *writes += 1;
    WriteId(*writes)
}
