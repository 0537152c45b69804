//! Payer, payee and clearing node driven through thousands of schedules: messages lost, repeated and out of order, both sides
//! crashing with writes half done, disks that are full or restored from backups, requests that break off, lanes whose terms end in
//! mid-file, cloned payers, and counterparts that cheat. In every one of them the bounds hold that the room promises.
//!
//! Signatures are a set of what was signed: whatever is not in it does not verify. The rest is the machines themselves.

use crate::signed::Identity;
use crate::tariff::lane::account::{Account, Counted, Limits, WriteOff};
use crate::tariff::lane::effect::{Durable, LaneRefusal, Left, PairEffect};
use crate::tariff::lane::pair::Pair;
use crate::tariff::lane::payee::{LaneState, VoucherFault};
use crate::tariff::lane::payer::{PayerEffect, PayerLane, WriteId};
use crate::tariff::lane::transcript::{Served, ServedKind, Transcript};
use crate::tariff::window::Ticket;
use crate::tariff::wire::{LaneId, VoucherBody};
use crate::units::{Bytes, MinorUnits, PricePerGib, Seconds, UnixSeconds};
use std::collections::BTreeMap;

const MIB: u64 = 1 << 20;
const START: UnixSeconds = UnixSeconds(1_800_000_000);
const LANES: usize = 2;
const STEPS: usize = 300;

/// xorshift64*: small, and the same on every machine.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % n.max(1)
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

/// Who keeps to the rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cast {
    /// Both; and both may be restored from backups.
    Honest,
    /// The payer cheats; the payee's disk keeps what it was told.
    CheatingPayer,
    /// The payee cheats; the payer may be restored from backups and run twice.
    CheatingPayee,
}

/// What is on the wire.
#[derive(Debug, Clone)]
enum Message {
    Unit(usize, Served),
    Voucher(VoucherBody, Vec<Served>),
    Best(VoucherBody),
}

#[derive(Debug, Clone, Default)]
struct PayerDisk {
    best: [Option<VoucherBody>; LANES],
}

#[derive(Debug, Clone)]
struct PayeeDisk {
    lanes: BTreeMap<LaneId, LaneState>,
    account: Account,
}

/// One running payer; clones of it have the same keys and the same lanes.
struct Payer {
    lanes: Vec<PayerLane>,
    disk: PayerDisk,
    writes: Vec<(usize, WriteId, VoucherBody)>,
    backup: PayerDisk,
}

struct World {
    dice: Dice,
    cast: Cast,
    now: UnixSeconds,
    limits: Limits,
    window: u64,
    credit: u64,
    /// What the payee's books lent and have forgotten since: it is shown vouchers for it later.
    forgotten: u64,
    /// Lanes whose terms were ended.
    over: [bool; LANES],
    prices: [PricePerGib; LANES],
    lane_ids: [LaneId; LANES],
    payers: Vec<Payer>,
    /// Which payer the connection of a lane is with.
    connected: [Option<usize>; LANES],
    pair: Pair,
    payee_disk: PayeeDisk,
    payee_writes: Vec<(WriteId, Durable)>,
    payee_backup: PayeeDisk,
    started: Vec<(Ticket, usize, Served)>,
    asked: Vec<(Ticket, usize, Served)>,
    wire: Vec<Message>,
    serial: u64,
    /// What was ever signed with the payer's keys.
    signed: Vec<VoucherBody>,
    /// The truth: octets that left the payee, and octets that somebody with the payer's keys verified.
    sent: [u64; LANES],
    verified: [u64; LANES],
    /// The clearing node.
    high_water: [u64; LANES],
    billed: u64,
}

impl World {
    fn new(seed: u64, cast: Cast) -> Self {
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let lane_ids = [Identity([1; 32]), Identity([2; 32])];
        let price = PricePerGib([0, 1, 20_000_000, 7_777_777_777][dice.below(4) as usize]);
        let prices = [price, PricePerGib(price.0 / 2 * 3)];
        let window = Bytes([16, 64][dice.below(2) as usize] * MIB);
        let write_off = if dice.one_in(2) { WriteOff::KNOWN } else { WriteOff::Nothing };
        let credit = MinorUnits([u64::MAX / 4, price.0 / 4, price.0 / 64][dice.below(3) as usize]);
        // One gateway of a grid, or one of three of them.
        let gateways = std::num::NonZeroU32::new([1, 1, 3][dice.below(3) as usize]).expect("some");
        let limits = Limits { window: Some(window), credit: Some(credit), write_off }.split(gateways, Counted::Apart);
        let credit = limits.credit.expect("a credit");
        let window = limits.window.expect("a window");
        // In mid-schedule, or never.
        let not_after = START.plus(Seconds::hours([24, 1][dice.below(2) as usize]));
        let lanes = std::array::from_fn::<_, LANES, _>(|i| LaneState::new(lane_ids[i], prices[i], not_after));
        let payee_disk =
            PayeeDisk { lanes: lanes.into_iter().map(|lane| (lane.lane, lane)).collect(), account: Account::default() };
        let pair = Pair::new(limits, payee_disk.account, payee_disk.lanes.values().cloned());
        let payer = Payer {
            lanes: (0..LANES).map(|i| PayerLane::new(lane_ids[i], prices[i], window, None)).collect(),
            disk: PayerDisk::default(),
            writes: Vec::new(),
            backup: PayerDisk::default(),
        };
        Self {
            dice,
            cast,
            now: START,
            limits,
            window: window.0,
            credit: credit.0,
            forgotten: 0,
            over: [false; LANES],
            prices,
            lane_ids,
            payers: vec![payer],
            connected: [None; LANES],
            pair,
            payee_backup: payee_disk.clone(),
            payee_disk,
            payee_writes: Vec::new(),
            started: Vec::new(),
            asked: Vec::new(),
            wire: Vec::new(),
            serial: 0,
            signed: Vec::new(),
            sent: [0; LANES],
            verified: [0; LANES],
            high_water: [0; LANES],
            billed: 0,
        }
    }

    fn index(&self, lane: LaneId) -> usize {
        usize::from(lane == self.lane_ids[1])
    }

    fn verifies(&self, body: &VoucherBody) -> bool {
        self.signed.contains(body)
    }

    /// What was sent and is neither vouched for, by what the payee's disk has, nor written off.
    fn out(&self) -> u64 {
        let mut out = 0;
        for lane in 0..LANES {
            let on_disk = self.payee_disk.lanes[&self.lane_ids[lane]].best.as_ref().map_or(0, |best| best.cum_bytes.0);
            out += self.sent[lane].saturating_sub(on_disk).saturating_sub(self.state(lane).written_off.0);
        }
        out
    }

    /// A lane as the payee has it, and of one that is over and folded away as its disk has it.
    fn state(&self, lane: usize) -> &LaneState {
        let id = self.lane_ids[lane];
        self.pair.lane(id).unwrap_or(&self.payee_disk.lanes[&id])
    }

    fn pair_effects(&mut self, effects: Vec<PairEffect>) {
        for effect in effects {
            match effect {
                PairEffect::Persist(id, what) => self.payee_writes.push((id, what)),
                PairEffect::Start(ticket) => {
                    let at = self.asked.iter().position(|(asked, ..)| *asked == ticket).expect("asked for");
                    let (_, lane, served) = self.asked.swap_remove(at);
                    self.started.push((ticket, lane, served));
                    // From here on octets may leave.
                    self.sent[lane] += served.length.0;
                    assert!(
                        self.payee_disk.lanes[&self.lane_ids[lane]].sent.0 >= self.sent[lane],
                        "more left than the disk knows of"
                    );
                    assert!(self.out() <= self.window, "more is out than the window");
                    assert!(!self.over[lane], "something leaves on a lane whose terms were ended");
                    self.wire.push(Message::Unit(lane, served));
                }
                PairEffect::Refuse(ticket) => self.asked.retain(|(asked, ..)| *asked != ticket),
                PairEffect::Acknowledge(body) => {
                    let on_disk = self.payee_disk.lanes[&body.lane].best.as_ref();
                    assert!(
                        on_disk.is_some_and(|best| best.cum_bytes >= body.cum_bytes),
                        "counted before it was written"
                    );
                    self.wire.push(Message::Best(body));
                }
                PairEffect::Settle => {}
            }
        }
    }

    fn payer_effects(&mut self, who: usize, lane: usize, effects: Vec<PayerEffect>) {
        for effect in effects {
            match effect {
                PayerEffect::Persist(id, body) => self.payers[who].writes.push((lane, id, body)),
                PayerEffect::Send(body, entries) => {
                    let on_disk = self.payers[who].disk.best[lane].as_ref();
                    assert!(on_disk.is_some_and(|best| *best == body), "sent before it was written");
                    self.sign(&body);
                    if self.connected[lane] == Some(who) {
                        self.wire.push(Message::Voucher(body, entries));
                    }
                }
                PayerEffect::Show(best) => self.handshake(who, lane, best.as_ref()),
            }
        }
    }

    fn sign(&mut self, body: &VoucherBody) {
        if !self.signed.contains(body) {
            self.signed.push(body.clone());
        }
        if self.cast != Cast::CheatingPayer {
            let lane = self.index(body.lane);
            assert!(body.cum_bytes.0 <= self.verified[lane], "signed for more than was verified");
        }
    }

    /// A new connection: both show what they have.
    fn handshake(&mut self, who: usize, lane: usize, best: Option<&VoucherBody>) {
        if let Some(best) = best {
            self.sign(best);
        }
        self.drop_connection(lane);
        self.connected[lane] = Some(who);
        self.recall(lane);
        match self.pair.resync(self.lane_ids[lane], best) {
            Ok(effects) => self.pair_effects(effects),
            Err(fault) => panic!("an honest payer's own voucher is refused: {fault}"),
        }
    }

    /// A lane that was folded away is found on the disk, when its payer names it.
    fn recall(&mut self, lane: usize) {
        let id = self.lane_ids[lane];
        if self.pair.lane(id).is_none() {
            let before = self.pair.vouched();
            self.pair.recall(self.payee_disk.lanes[&id].clone());
            assert_eq!(self.pair.vouched(), before, "counted twice, or not at all");
        }
    }

    /// The connection of a lane is gone on the payee's side, with what was on it.
    fn drop_connection(&mut self, lane: usize) {
        self.connected[lane] = None;
        self.wire.retain(|message| !matches!(message, Message::Unit(of, _) if *of == lane));
        self.asked.retain(|(_, of, _)| *of != lane);
        self.started.retain(|(_, of, _)| *of != lane);
    }

    fn disconnect(&mut self, lane: usize) {
        let effects = self.pair.disconnect(self.lane_ids[lane]);
        self.drop_connection(lane);
        self.pair_effects(effects);
    }

    fn ask(&mut self, lane: usize) {
        if self.connected[lane].is_none() {
            return;
        }
        self.serial += 1;
        let length = [128 << 10, 128 << 10, MIB, 3 * MIB, 5 * MIB, 17 * MIB][self.dice.below(6) as usize];
        // Files are read twice, so that two deliveries can be alike.
        let object = [self.dice.below(3) as u8; 32];
        let served = Served { kind: ServedKind::Ciphertext, object, offset: self.dice.below(2), length: Bytes(length) };
        let (ticket, effects) = self.pair.ask(self.lane_ids[lane], served, self.now);
        assert_eq!(ticket == Err(LaneRefusal::NoLane), self.over[lane], "the lane is lost");
        self.asked.extend(ticket.map(|ticket| (ticket, lane, served)));
        self.pair_effects(effects);
    }

    fn deliver(&mut self) {
        if self.wire.is_empty() {
            return;
        }
        let at = self.dice.below(self.wire.len() as u64) as usize;
        let message = if self.dice.one_in(6) { self.wire[at].clone() } else { self.wire.swap_remove(at) };
        if self.dice.one_in(8) {
            return;
        }
        match message {
            Message::Unit(lane, served) => {
                // One delivery arrives once, on its connection.
                self.wire.retain(|other| !matches!(other, Message::Unit(of, same) if *of == lane && *same == served));
                self.arrives(lane, served);
            }
            Message::Voucher(body, entries) => self.voucher(&body, &entries),
            Message::Best(body) => {
                let lane = self.index(body.lane);
                if let (Some(who), true) = (self.connected[lane], self.verifies(&body)) {
                    let effects = self.payers[who].lanes[lane].acknowledged(&body, self.now);
                    self.payer_effects(who, lane, effects);
                }
            }
        }
    }

    fn arrives(&mut self, lane: usize, served: Served) {
        let Some(who) = self.connected[lane] else { return };
        if self.dice.one_in(10) {
            // It does not verify, and is acknowledged by nobody.
            return;
        }
        self.verified[lane] += served.length.0;
        if let Ok(effects) = self.payers[who].lanes[lane].verified(served, self.now) {
            self.payer_effects(who, lane, effects);
        }
    }

    fn voucher(&mut self, body: &VoucherBody, entries: &[Served]) {
        if !self.verifies(body) {
            return;
        }
        self.recall(self.index(body.lane));
        let before = self.pair.vouched();
        match self.pair.voucher(body, entries) {
            Ok(effects) => self.pair_effects(effects),
            Err(fault) => {
                if self.cast == Cast::Honest {
                    // Late ones of a connection that is gone, and nothing else.
                    assert!(
                        matches!(fault, VoucherFault::Gap | VoucherFault::Transcript | VoucherFault::AboveSent { .. }),
                        "{fault}"
                    );
                }
            }
        }
        assert_eq!(self.pair.vouched(), before, "counted before the disk has it");
    }

    fn payee_disk_turns(&mut self, all: bool) {
        let many = if all { self.payee_writes.len() } else { self.dice.below(4) as usize };
        let mut last = None;
        for (id, what) in self.payee_writes.drain(..many.min(self.payee_writes.len())) {
            apply(&mut self.payee_disk, &what);
            last = Some(id);
        }
        self.payee_disk.account = *self.pair.account();
        if let Some(id) = last {
            let effects = self.pair.persisted(id, self.now);
            self.pair_effects(effects);
        }
    }

    /// The payee's disk is full: what is first in its queue is not written.
    fn payee_disk_fails(&mut self) {
        if !self.payee_writes.is_empty() {
            let (id, _) = self.payee_writes.remove(0);
            let effects = self.pair.failed(id);
            self.pair_effects(effects);
        }
    }

    fn payer_disk_turns(&mut self, who: usize) {
        if self.payers[who].writes.is_empty() {
            return;
        }
        let (lane, id, body) = self.payers[who].writes.remove(0);
        self.payers[who].disk.best[lane] = Some(body);
        let effects = self.payers[who].lanes[lane].persisted(id, self.now);
        self.payer_effects(who, lane, effects);
    }

    fn payer_crashes(&mut self, who: usize, backup: bool) {
        for lane in 0..LANES {
            if self.connected[lane] == Some(who) {
                self.disconnect(lane);
            }
        }
        let payer = &mut self.payers[who];
        // What was being written may be on the disk or not.
        let many = self.dice.below(payer.writes.len() as u64 + 1) as usize;
        for (lane, _, body) in payer.writes.drain(..).take(many) {
            payer.disk.best[lane] = Some(body);
        }
        if backup {
            payer.disk = payer.backup.clone();
        }
        payer.lanes = (0..LANES)
            .map(|lane| {
                let best = payer.disk.best[lane].clone();
                PayerLane::new(self.lane_ids[lane], self.prices[lane], Bytes(self.window), best)
            })
            .collect();
    }

    fn payee_crashes(&mut self, backup: bool) {
        for lane in 0..LANES {
            self.drop_connection(lane);
        }
        let many = self.dice.below(self.payee_writes.len() as u64 + 1) as usize;
        for (_, what) in self.payee_writes.drain(..).take(many) {
            apply(&mut self.payee_disk, &what);
        }
        if backup {
            self.payee_disk = self.payee_backup.clone();
            // What it has forgotten it can bound no more: the bound begins anew.
            for lane in 0..LANES {
                let kept = self.payee_disk.lanes[&self.lane_ids[lane]].sent.0.min(self.sent[lane]);
                let forgotten = self.prices[lane].charge(Bytes(self.sent[lane] - kept)).expect("small enough").0;
                self.forgotten = self.forgotten.saturating_add(forgotten);
                self.sent[lane] = kept;
            }
        }
        // What of these lanes was folded away before is told apart again.
        let counted =
            self.payee_disk.lanes.values().filter_map(|lane| lane.best.as_ref()).map(|best| best.cum_amount.0);
        let account = &mut self.payee_disk.account;
        account.booked = MinorUnits(0);
        account.settled.0 = account.settled.0.min(counted.sum());
        // What was settled since the disk was told, too.
        let settled = self.pair.account().settled.0.saturating_sub(account.settled.0);
        self.forgotten = self.forgotten.saturating_add(settled);
        self.pair = Pair::new(self.limits, self.payee_disk.account, self.payee_disk.lanes.values().cloned());
        self.pair.settled(MinorUnits(self.payee_disk.account.settled.0));
        for lane in 0..LANES {
            if self.over[lane] {
                self.ends(lane);
            }
        }
    }

    /// The terms of a lane were ended.
    fn ends(&mut self, lane: usize) {
        self.over[lane] = true;
        let effects = self.pair.close(self.lane_ids[lane]);
        self.pair_effects(effects);
    }

    fn claims(&mut self) {
        for lane in 0..LANES {
            let best = self.payee_disk.lanes[&self.lane_ids[lane]].best.clone();
            let mut claimed: Vec<VoucherBody> = best.into_iter().collect();
            if self.cast == Cast::CheatingPayee {
                // Whatever it has ever got, and what it would like to have got.
                claimed.extend(self.signed.iter().filter(|body| body.lane == self.lane_ids[lane]).cloned());
                if let Some(last) = claimed.last().cloned() {
                    let cum_amount = MinorUnits(last.cum_amount.0 + 1);
                    claimed.push(VoucherBody { cum_bytes: Bytes(last.cum_bytes.0 + MIB), cum_amount, ..last });
                }
            }
            claimed.retain(|body| self.verifies(body));
            for body in claimed.iter().chain(claimed.iter().rev()) {
                let more = body.cum_amount.0.saturating_sub(self.high_water[lane]);
                self.high_water[lane] += more;
                self.billed += more;
            }
        }
    }

    fn cheats(&mut self) {
        let lane = self.dice.below(LANES as u64) as usize;
        let id = self.lane_ids[lane];
        match self.dice.below(6) {
            // An old one again, and one of another lane.
            0 if !self.signed.is_empty() => {
                let old = self.signed[self.dice.below(self.signed.len() as u64) as usize].clone();
                self.voucher(&old, &[]);
                let other = VoucherBody { lane: self.lane_ids[1 - lane], ..old };
                self.voucher(&other, &[]);
            }
            // For more than was sent, and for nothing in particular.
            1 => {
                let cum_bytes = Bytes(self.sent[lane] + self.dice.below(9) * MIB);
                let Some(cum_amount) = self.prices[lane].charge(cum_bytes) else { return };
                let body = VoucherBody { lane: id, cum_bytes, cum_amount, time: self.now, transcript: [0; 32] };
                self.signed.push(body.clone());
                self.voucher(&body, &[]);
            }
            // Too cheap.
            2 => {
                let body = VoucherBody {
                    lane: id,
                    cum_bytes: Bytes(self.sent[lane]),
                    cum_amount: MinorUnits(self.prices[lane].charge(Bytes(self.sent[lane])).map_or(0, |all| all.0 / 2)),
                    time: self.now,
                    transcript: [0; 32],
                };
                self.signed.push(body.clone());
                self.voucher(&body, &[]);
            }
            // Reconnecting for free, its voucher kept back or an old one shown.
            3 => {
                let best = self.signed.iter().find(|body| body.lane == id && self.is_right(body)).cloned();
                self.drop_connection(lane);
                self.connected[lane] = Some(0);
                if let Ok(effects) = self.pair.resync(id, best.as_ref()) {
                    self.pair_effects(effects);
                }
            }
            // One delivery acknowledged twice.
            4 => {
                let Some((_, _, served)) = self.started.iter().find(|(_, of, _)| *of == lane).copied() else { return };
                let before = self.payee_disk.lanes[&id].best.clone();
                let from = before.as_ref().map_or(0, |best| best.cum_bytes.0);
                let transcript = before.map_or_else(|| Transcript::start(&id), |best| Transcript(best.transcript));
                let transcript = transcript.and(&served).and(&served).0;
                let cum_bytes = Bytes(from + 2 * served.length.0);
                let Some(cum_amount) = self.prices[lane].charge(cum_bytes) else { return };
                let body = VoucherBody { lane: id, cum_bytes, cum_amount, time: self.now, transcript };
                self.signed.push(body.clone());
                self.voucher(&body, &[served, served]);
            }
            // Its memory lost, vouchers with it.
            _ => {
                self.payers[0].lanes[lane] = PayerLane::new(id, self.prices[lane], Bytes(self.window), None);
                self.payers[0].writes.retain(|(of, ..)| *of != lane);
            }
        }
    }

    /// Whether a voucher would get past the decoder.
    fn is_right(&self, body: &VoucherBody) -> bool {
        self.prices[self.index(body.lane)].charge(body.cum_bytes) == Some(body.cum_amount)
    }

    fn step(&mut self) {
        let lane = self.dice.below(LANES as u64) as usize;
        let who = self.dice.below(self.payers.len() as u64) as usize;
        match self.dice.below(100) {
            0..=24 => self.ask(lane),
            25..=54 => self.deliver(),
            55..=69 => self.payee_disk_turns(false),
            70..=79 => self.payer_disk_turns(who),
            80..=84 => {
                let effects = self.payers[who].lanes[lane].flush(self.now);
                self.payer_effects(who, lane, effects);
            }
            85..=88 => {
                self.disconnect(lane);
                let effects = self.payers[who].lanes[lane].reconnect(self.now);
                self.payer_effects(who, lane, effects);
            }
            89 => {
                let backup = self.cast != Cast::CheatingPayer && self.dice.one_in(2);
                self.payer_crashes(who, backup);
            }
            90 => {
                let backup = self.cast == Cast::Honest && self.dice.one_in(3);
                self.payee_crashes(backup);
            }
            91 => {
                self.payers[who].backup = self.payers[who].disk.clone();
                self.payee_backup = self.payee_disk.clone();
            }
            92 => {
                let owed = u64::try_from(self.pair.vouched()).unwrap_or(u64::MAX);
                let settled = self.pair.account().settled.0;
                self.pair.settled(MinorUnits(settled + owed.saturating_sub(settled) / 2));
            }
            93 | 94 => self.claims(),
            95 => self.now = self.now.plus(Seconds(self.dice.below(5_000))),
            96 => {
                // A delivery is broken off, or given up before it began.
                if let Some((ticket, ..)) = self.started.first().copied() {
                    self.started.remove(0);
                    let effects = self.pair.over(ticket, Left::Some);
                    self.pair_effects(effects);
                } else if let Some((ticket, ..)) = self.asked.pop() {
                    let effects = self.pair.over(ticket, Left::Nothing);
                    self.pair_effects(effects);
                }
            }
            97 if self.cast == Cast::CheatingPayee && self.payers.len() < 2 => {
                // The payer's machine is cloned, its memory and disk with it.
                let payer = &self.payers[0];
                let clone = Payer {
                    lanes: payer.lanes.clone(),
                    disk: payer.disk.clone(),
                    writes: payer.writes.clone(),
                    backup: payer.backup.clone(),
                };
                self.payers.push(clone);
            }
            98 if self.dice.one_in(2) => self.payee_disk_fails(),
            98 if self.dice.one_in(8) => self.ends(lane),
            _ if self.cast == Cast::CheatingPayer => self.cheats(),
            _ => self.deliver(),
        }
        self.bounds();
    }

    fn bounds(&self) {
        assert!(self.pair.out().0 <= self.window + self.adrift_after_crash(), "the window is overrun");
        // Vouchers for what was never sent are the payer's own loss and no loan of the payee's.
        let lent = |state: &LaneState| {
            let counted = state.best.as_ref().map_or(0, |best| best.cum_bytes.0);
            state.price.charge(Bytes(counted.min(self.sent[self.index(state.lane)]))).map_or(0, |all| all.0)
        };
        let lent = (0..LANES).map(|lane| lent(self.state(lane))).sum::<u64>();
        let lent = lent.saturating_sub(self.pair.account().settled.0);
        // What was written off of a lane that is over was lent and given up; who vouches for it after all owes it beside the rest.
        let given_up = (0..LANES).filter(|lane| self.over[*lane]).map(|lane| {
            let off = self.state(lane).written_off;
            self.prices[lane].charge(off).map_or(0, |all| all.0)
        });
        let most = self.credit.saturating_add(self.forgotten).saturating_add(given_up.sum());
        assert!(lent <= most, "more is owed than the credit limit");
        if self.cast != Cast::CheatingPayer {
            for lane in 0..LANES {
                let verified = self.prices[lane].charge(Bytes(self.verified[lane])).expect("small enough").0;
                assert!(self.high_water[lane] <= verified, "billed for more than was verified");
            }
        }
        assert_eq!(self.billed, self.high_water.iter().sum::<u64>(), "billed twice");
    }

    /// After a crash the disk's ceiling counts, which is ahead of what was sent.
    fn adrift_after_crash(&self) -> u64 {
        LANES as u64 * (self.window / 4 * 3 + self.window)
    }

    /// The network heals and nobody crashes any more: both agree, and a delivery is asked for, made and acknowledged.
    fn heals(&mut self) {
        self.now = self.now.plus(Seconds::hours(1));
        self.wire.clear();
        for lane in 0..LANES {
            self.disconnect(lane);
        }
        for lane in 0..LANES {
            let effects = self.payers[0].lanes[lane].reconnect(self.now);
            self.payer_effects(0, lane, effects);
            for _ in 0..8 {
                self.quiet();
            }
            let ours = self.payers[0].lanes[lane].best().map(|best| best.cum_bytes);
            let theirs = self.state(lane).best.as_ref().map(|best| best.cum_bytes);
            assert_eq!(ours, theirs, "after they met again the two differ");
            if self.over[lane] {
                continue;
            }
            let served = Served { kind: ServedKind::Manifest, object: [9; 32], offset: 0, length: Bytes(1_000) };
            let (ticket, effects) = self.pair.ask(self.lane_ids[lane], served, self.now);
            self.asked.extend(ticket.map(|ticket| (ticket, lane, served)));
            self.pair_effects(effects);
            if ticket.is_err() {
                continue;
            }
            for _ in 0..8 {
                self.quiet();
            }
            let effects = self.payers[0].lanes[lane].flush(self.now);
            self.payer_effects(0, lane, effects);
            for _ in 0..8 {
                self.quiet();
            }
            let now = self.state(lane).best.as_ref().map_or(0, |best| best.cum_bytes.0);
            assert_eq!(now, ours.map_or(0, |ours| ours.0) + 1_000, "a delivery is not acknowledged any more");
        }
        self.bounds();
    }

    /// Everything that is on its way arrives once, and in order.
    fn quiet(&mut self) {
        self.payer_disk_turns(0);
        self.payee_disk_turns(true);
        for message in std::mem::take(&mut self.wire) {
            match message {
                Message::Unit(lane, served) => {
                    self.verified[lane] += served.length.0;
                    let effects = self.payers[0].lanes[lane].verified(served, self.now).expect("a charge");
                    self.payer_effects(0, lane, effects);
                }
                Message::Voucher(body, entries) => {
                    let effects = self.pair.voucher(&body, &entries).expect("nothing is lost");
                    self.pair_effects(effects);
                }
                Message::Best(body) => {
                    let lane = self.index(body.lane);
                    let effects = self.payers[0].lanes[lane].acknowledged(&body, self.now);
                    self.payer_effects(0, lane, effects);
                }
            }
        }
    }
}

fn apply(disk: &mut PayeeDisk, what: &Durable) {
    let (Durable::Sent(lane, _)
    | Durable::AtRest(lane, _)
    | Durable::WrittenOff(lane, _)
    | Durable::Voucher(VoucherBody { lane, .. })) = what;
    let state = disk.lanes.get_mut(lane).expect("a lane");
    match what {
        Durable::Sent(_, sent) => state.sent = state.sent.max(*sent),
        Durable::AtRest(_, sent) => state.sent = *sent,
        Durable::WrittenOff(_, total) => state.written_off = state.written_off.max(*total),
        Durable::Voucher(body) => {
            // What a ledger keeps is the higher one.
            if state.best.as_ref().is_none_or(|best| best.cum_bytes < body.cum_bytes) {
                state.best = Some(body.clone());
                state.sent = state.sent.max(body.cum_bytes);
            }
        }
    }
}

/// Runs the schedules from `first` on; whoever fails is named by its seed.
fn schedules(cast: Cast, first: u64, count: u64) {
    for seed in first..first + count {
        let run = std::panic::catch_unwind(|| {
            let mut world = World::new(seed, cast);
            for _ in 0..STEPS {
                world.step();
            }
            if cast == Cast::Honest {
                world.heals();
            }
        });
        if let Err(panic) = run {
            println!("schedule {seed} of {cast:?}");
            std::panic::resume_unwind(panic);
        }
    }
}

#[test]
fn honest_sides_always_find_each_other_again() {
    schedules(Cast::Honest, 1, 4_000);
}

#[test]
fn honest_sides_always_find_each_other_again_in_more_schedules() {
    schedules(Cast::Honest, 100_001, 4_000);
}

#[test]
fn a_cheating_payer_gets_no_more_than_the_window() {
    schedules(Cast::CheatingPayer, 1, 6_000);
}

#[test]
fn a_cheating_payee_bills_no_more_than_was_verified_even_by_two_clones() {
    schedules(Cast::CheatingPayee, 1, 6_000);
}
