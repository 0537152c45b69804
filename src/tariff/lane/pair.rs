//! The payee's account of one counterparty in one asset: a window and a credit limit that all of its lanes share.
//!
//! At no time is more delivered and not acknowledged than the window, over all lanes and connections, and at no time is more
//! acknowledged and not settled than the credit limit. What was delivered and never acknowledged stays charged, so that
//! reconnecting frees nothing; little by little it is written off.

use crate::tariff::lane::account::{Account, Limits, WriteOff};
use crate::tariff::lane::effect::{Durable, LaneRefusal, Left, MAX_DELIVERIES, PairEffect};
use crate::tariff::lane::payee::{Counter, Granted, LaneState, Taken, VoucherFault};
use crate::tariff::lane::payer::WriteId;
use crate::tariff::lane::transcript::Served;
use crate::tariff::window::{Ask, Ticket, Window};
use crate::tariff::wire::{LaneId, VoucherBody};
use crate::units::{Bytes, MinorUnits, PricePerGib, UnixSeconds};
use std::collections::{BTreeMap, HashMap, HashSet};

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
    /// Its octets have left, or some of them, and nothing of it is under way any more. It may be acknowledged all the same.
    Adrift,
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
        let (window, deliveries) = (Window::new(whole(&limits)), HashMap::new());
        let mut pair = Self { limits, account, window, lanes, deliveries, writes: 0, settle: Settle::Unsaid };
        let granted = pair.window.set_adrift(pair.adrift());
        debug_assert!(granted.is_empty());
        pair
    }

    /// A lane was opened, and the disk has it.
    pub fn open(&mut self, lane: LaneId, price: PricePerGib, not_after: UnixSeconds) {
        self.lanes.entry(lane).or_insert_with(|| Counter::new(LaneState::new(lane, price, not_after))).open = true;
    }

    /// So much will be asked for on `lane`, if nothing comes between.
    pub fn expect(&mut self, lane: LaneId, octets: Bytes) {
        if let Some(counter) = self.lanes.get_mut(&lane) {
            counter.expected = octets;
        }
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
        self.within_credit(Some((lane, served.length.0)))?;
        self.make_place()?;
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
    /// [`Left::Some`]: it stays charged, and may be acknowledged later: who breaks off a request has it or not, and only the payer
    /// knows.
    pub fn over(&mut self, ticket: Ticket, left: Left) -> Vec<PairEffect> {
        let mut effects = Vec::new();
        match left {
            Left::Nothing => self.end(ticket, left, &mut effects),
            Left::Some => self.set_adrift(ticket, &mut effects),
        }
        self.drift(&mut effects);
        self.settle_down(&mut effects);
        effects
    }

    /// A voucher has come, with the deliveries that it acknowledges since the last one that its payer knows to be counted. Its
    /// signature was verified.
    pub fn voucher(&mut self, body: &VoucherBody, entries: &[Served]) -> Result<Vec<PairEffect>, VoucherFault> {
        let free = self.free();
        let counter = self.lanes.get_mut(&body.lane).ok_or(VoucherFault::NoLane)?;
        let deliveries = &self.deliveries;
        let find = |entries: &[Served], taken: &HashSet<Ticket>| {
            let mut alike: HashMap<Served, Vec<(Stage, Ticket)>> = HashMap::new();
            for (ticket, Delivery { lane, served, stage }) in deliveries {
                if *lane == body.lane && *stage >= Stage::Leaves && !taken.contains(ticket) {
                    alike.entry(*served).or_default().push((*stage, *ticket));
                }
            }
            // Of two that are alike, the one that holds the window is taken first: the last one here.
            alike.values_mut().for_each(|tickets| tickets.sort_unstable_by(|one, other| other.cmp(one)));
            entries.iter().map(|served| Some(alike.get_mut(served)?.pop()?.1)).collect()
        };
        let writes = &mut self.writes;
        let taken = counter.take(body, entries, find, || next(writes))?;
        let is_held = self.limits.window.is_some();
        let with_it = if matches!(taken, Taken::Write(_)) && is_held && counter.open {
            let ceiling = counter.raise_with(body, free, || next(writes));
            let ceiling = ceiling.map(|(id, ceiling)| (id, Durable::Sent(body.lane, ceiling)));
            ceiling.or_else(|| {
                let rest = counter.rest_with(body, || next(writes));
                rest.map(|(id, sent)| (id, Durable::AtRest(body.lane, sent)))
            })
        } else {
            None
        };
        let mut effects = self.taken(body, &taken);
        effects.extend(with_it.map(|(id, what)| PairEffect::Persist(id, what)));
        Ok(effects)
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
        Ok(effects)
    }

    /// The connection of `lane` is gone: what was under way on it is adrift and acknowledged by what its payer shows alone; what
    /// waited is given up.
    pub fn disconnect(&mut self, lane: LaneId) -> Vec<PairEffect> {
        let mut effects = self.let_go(lane);
        let Some(counter) = self.lanes.get(&lane) else { return effects };
        self.deliveries.retain(|ticket, delivery| delivery.lane != lane || counter.is_vouched(*ticket));
        self.settle_down(&mut effects);
        effects
    }

    /// Nothing more is delivered on `lane`: its payer is done with it, or its time, its terms or its grant are over. What has left
    /// may be acknowledged all the same.
    pub fn close(&mut self, lane: LaneId) -> Vec<PairEffect> {
        if let Some(counter) = self.lanes.get_mut(&lane) {
            counter.open = false;
        }
        let mut effects = self.let_go(lane);
        self.settle_down(&mut effects);
        self.sweep();
        effects
    }

    /// A lane that was over and folded away, as the disk has it: its payer has come back with a voucher.
    pub fn recall(&mut self, state: LaneState) {
        if !self.lanes.contains_key(&state.lane) {
            let amount = state.best.as_ref().map_or(0, |best| best.cum_amount.0);
            self.account.booked.0 = self.account.booked.0.saturating_sub(amount);
            let mut counter = Counter::new(state);
            counter.open = false;
            self.lanes.insert(counter.state.lane, counter);
        }
    }

    /// Ends what waits on `lane`, and sets adrift what left.
    fn let_go(&mut self, lane: LaneId) -> Vec<PairEffect> {
        let mut effects = Vec::new();
        let Some(counter) = self.lanes.get(&lane) else { return effects };
        let of_lane = self.deliveries.iter().filter(|(_, delivery)| delivery.lane == lane);
        let over = of_lane
            .filter(|(ticket, _)| !counter.is_vouched(**ticket))
            .map(|(ticket, delivery)| (delivery.stage, *ticket));
        let mut over: Vec<_> = over.collect();
        over.sort_unstable();
        for (stage, ticket) in &over {
            match stage {
                Stage::Waits | Stage::Held => self.refuse(*ticket, &mut effects),
                Stage::Leaves | Stage::Adrift => self.set_adrift(*ticket, &mut effects),
            }
        }
        // One of them may have got the room of another one, for a moment.
        let is_over = |ticket: &Ticket| over.iter().any(|(_, other)| other == ticket);
        effects.retain(|effect| !matches!(effect, PairEffect::Start(ticket) if is_over(ticket)));
        self.drift(&mut effects);
        effects
    }

    /// The disk has everything up to `id`: writes are made in the order in which they were asked for.
    pub fn persisted(&mut self, id: WriteId, now: UnixSeconds) -> Vec<PairEffect> {
        let mut effects = self.write_off(now);
        let mut ended = Vec::new();
        let free = self.free();
        for (lane, counter) in &mut self.lanes {
            let writes = &mut self.writes;
            let (start, write) = counter.ceiling_persisted(id, free, || next(writes));
            for ticket in start {
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
        let owed = self.vouched().saturating_sub(u128::from(self.account.settled.0));
        if self.limits.credit.is_some_and(|limit| owed > u128::from(limit.0) / 2) && self.settle == Settle::Unsaid {
            self.settle = Settle::Said;
            effects.push(PairEffect::Settle);
        }
        self.settle_down(&mut effects);
        self.sweep();
        effects
    }

    /// The disk does not take what was to be written as `id`; what comes after it may succeed all the same. A voucher is not
    /// counted, and what waits for a ceiling is refused.
    pub fn failed(&mut self, id: WriteId) -> Vec<PairEffect> {
        let mut effects = Vec::new();
        let refused: Vec<Ticket> = self.lanes.values_mut().flat_map(|counter| counter.failed(id)).collect();
        for ticket in refused {
            self.refuse(ticket, &mut effects);
        }
        self.drift(&mut effects);
        effects
    }

    /// Other terms hold from now on.
    pub fn set_limits(&mut self, limits: Limits) -> Vec<PairEffect> {
        self.limits = limits;
        let mut effects = Vec::new();
        for ticket in self.window.set_whole(whole(&limits)) {
            self.granted(ticket, &mut effects);
        }
        effects
    }

    /// So much of all that was ever vouched for is settled now. Never less than before.
    pub fn settled(&mut self, total: MinorUnits) {
        if total > self.account.settled {
            self.account.settled = total;
            self.settle = Settle::Unsaid;
        }
    }

    /// So much is owed, by books in which others count too: what they were vouched for is lent no more here either.
    pub fn owes(&mut self, owed: i128) {
        let lanes: i128 = self.lanes.values().map(|counter| i128::from(counter.amount().0)).sum();
        let units = |units: i128| MinorUnits(u64::try_from(units.max(0)).unwrap_or(u64::MAX));
        // What is owed beyond these lanes is of others; what is owed less was settled.
        (self.account.booked, self.account.settled) =
            (units(owed.saturating_sub(lanes)), units(lanes.saturating_sub(owed)));
        if self.limits.credit.is_none_or(|limit| owed <= i128::from(limit.0 / 2)) {
            self.settle = Settle::Unsaid;
        }
    }

    /// Whether what is out and waits is lent still, by what is owed now.
    pub fn is_lent(&self) -> Result<(), LaneRefusal> {
        self.within_credit(None)
    }

    /// What may be out.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// What was ever vouched for and counts, in minor units.
    pub fn vouched(&self) -> u128 {
        let lanes = self.lanes.values().map(|counter| u128::from(counter.amount().0));
        u128::from(self.account.booked.0) + lanes.sum::<u128>()
    }

    /// What of the window is not adrift.
    fn free(&self) -> Bytes {
        Bytes(self.window.whole().0.saturating_sub(self.window.adrift().0))
    }

    /// What holds the window: under way, and delivered before and never acknowledged.
    pub fn out(&self) -> Bytes {
        Bytes(self.window.out().0.saturating_add(self.window.adrift().0))
    }

    /// A lane that is not over, as the disk is to have it.
    pub fn lane(&self, lane: LaneId) -> Option<&LaneState> {
        self.lanes.get(&lane).map(|counter| &counter.state)
    }

    /// What left of a lane that is not over, or is about to.
    pub fn sent(&self, lane: LaneId) -> Bytes {
        Bytes(self.lanes.get(&lane).map_or(0, |counter| counter.sent()))
    }

    /// What of a lane is under way.
    pub fn under_way(&self, lane: LaneId) -> Bytes {
        Bytes(self.lanes.get(&lane).map_or(0, |counter| counter.live))
    }

    /// Whether this delivery has not been acknowledged, given up or forgotten.
    pub fn knows(&self, ticket: Ticket) -> bool {
        self.deliveries.contains_key(&ticket)
    }

    /// Whether nothing is under way, adrift or being written on any lane, and none is open: then the disk has all of it.
    pub fn is_idle(&self) -> bool {
        self.lanes.is_empty() && self.deliveries.is_empty()
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
        let free = self.free();
        let Some(delivery) = self.deliveries.get_mut(&ticket) else { return };
        let Some(counter) = self.lanes.get_mut(&delivery.lane) else { return };
        counter.waiting -= delivery.served.length.0;
        if self.limits.window.is_none() {
            // What is never acknowledged holds nothing, also after a restart: the disk need not know of it before it leaves.
            counter.leaves_at_once(delivery.served.length.0);
            delivery.stage = Stage::Leaves;
            effects.push(PairEffect::Start(ticket));
            return;
        }
        let writes = &mut self.writes;
        let granted = counter.granted(ticket, delivery.served.length.0, free, || next(writes));
        delivery.stage = if matches!(granted, Granted::Start) { Stage::Leaves } else { Stage::Held };
        effects.extend(match granted {
            Granted::Start => Some(PairEffect::Start(ticket)),
            Granted::Held => None,
            Granted::Write(id, ceiling) => Some(PairEffect::Persist(id, Durable::Sent(delivery.lane, ceiling))),
        });
    }

    fn end(&mut self, ticket: Ticket, left: Left, effects: &mut Vec<PairEffect>) {
        let Some(delivery) = self.deliveries.remove(&ticket) else { return };
        self.leaves_window(ticket, delivery, left, effects);
    }

    /// What left of a delivery goes on being charged, and it goes on being known.
    fn set_adrift(&mut self, ticket: Ticket, effects: &mut Vec<PairEffect>) {
        let Some(known) = self.deliveries.get_mut(&ticket) else { return };
        let delivery = *known;
        known.stage = Stage::Adrift;
        self.leaves_window(ticket, delivery, Left::Some, effects);
    }

    fn refuse(&mut self, ticket: Ticket, effects: &mut Vec<PairEffect>) {
        self.end(ticket, Left::Nothing, effects);
        effects.push(PairEffect::Refuse(ticket));
    }

    fn leaves_window(&mut self, ticket: Ticket, delivery: Delivery, left: Left, effects: &mut Vec<PairEffect>) {
        let length = delivery.served.length.0;
        match (self.lanes.get_mut(&delivery.lane), delivery.stage) {
            (_, Stage::Adrift) => return,
            (Some(counter), Stage::Waits) => counter.waiting -= length,
            (Some(counter), Stage::Held | Stage::Leaves) => counter.over(ticket, length, left == Left::Some),
            (None, _) => {}
        }
        // What drifts holds the window before anybody else gets the room.
        let adrift = self.adrift();
        let mut granted = self.window.set_adrift(adrift);
        granted.extend(self.window.end(ticket));
        for ticket in granted {
            self.granted(ticket, effects);
        }
    }

    /// Forgets the oldest delivery that is adrift, where too many are known.
    fn make_place(&mut self) -> Result<(), LaneRefusal> {
        if self.deliveries.len() < MAX_DELIVERIES {
            return Ok(());
        }
        let adrift = self.deliveries.iter().filter(|(_, delivery)| delivery.stage == Stage::Adrift);
        let oldest = adrift.map(|(ticket, _)| *ticket).min().ok_or(LaneRefusal::Unacknowledged)?;
        self.deliveries.remove(&oldest);
        Ok(())
    }

    /// Has the disk told of lanes on which nothing is under way that no more was sent than that.
    fn settle_down(&mut self, effects: &mut Vec<PairEffect>) {
        for (lane, counter) in &mut self.lanes {
            let writes = &mut self.writes;
            let at_rest = counter.at_rest(|| next(writes));
            effects.extend(at_rest.map(|(id, sent)| PairEffect::Persist(id, Durable::AtRest(*lane, sent))));
        }
    }

    fn adrift(&self) -> Bytes {
        match self.limits.window {
            Some(_) => Bytes(self.lanes.values().fold(0, |sum: u64, counter| sum.saturating_add(counter.adrift()))),
            None => Bytes(0),
        }
    }

    fn drift(&mut self, effects: &mut Vec<PairEffect>) {
        for ticket in self.window.set_adrift(self.adrift()) {
            self.granted(ticket, effects);
        }
    }

    /// Whether all that is out and waits, and `more` of a lane, is lent if it is vouched for.
    fn within_credit(&self, more: Option<(LaneId, u64)>) -> Result<(), LaneRefusal> {
        let Some(limit) = self.limits.credit else { return Ok(()) };
        let of = |id: &LaneId| more.filter(|(lane, _)| lane == id).map_or(0, |(_, octets)| octets);
        let mut owed = u128::from(self.account.booked.0);
        for (id, counter) in &self.lanes {
            let exposure = counter.exposure(of(id)).ok_or(LaneRefusal::Credit { limit })?;
            owed += u128::from(exposure.0);
        }
        let lent = owed <= u128::from(limit.0) + u128::from(self.account.settled.0);
        if lent { Ok(()) } else { Err(LaneRefusal::Credit { limit }) }
    }

    fn write_off(&mut self, now: UnixSeconds) -> Vec<PairEffect> {
        let mut effects = Vec::new();
        let WriteOff::Known(gateways) = self.limits.write_off else { return effects };
        self.account.turn(now);
        for (lane, counter) in &mut self.lanes {
            let off = self.account.write_off(counter.adrift(), gateways);
            if off > 0 {
                counter.state.written_off.0 += off;
                let (id, total) = (next(&mut self.writes), counter.state.written_off);
                effects.push(PairEffect::Persist(id, Durable::WrittenOff(*lane, total)));
            }
        }
        self.drift(&mut effects);
        effects
    }

    /// Folds lanes of which nothing more can come into the account.
    fn sweep(&mut self) {
        let (account, held) = (&mut self.account, self.limits.window.is_some());
        let (lanes, deliveries) = (&mut self.lanes, &mut self.deliveries);
        lanes.retain(|lane, counter| {
            let done = counter.is_done() && (counter.adrift() == 0 || !held);
            if done {
                account.booked.0 = account.booked.0.saturating_add(counter.amount().0);
                deliveries.retain(|_, delivery| delivery.lane != *lane);
            }
            !done
        });
    }
}

fn next(writes: &mut u64) -> WriteId {
    *writes += 1;
    WriteId(*writes)
}

/// The window that these limits give. One that is not limited is larger than anything.
fn whole(limits: &Limits) -> Bytes {
    limits.window.unwrap_or(Bytes(u64::MAX))
}
