//! The payee's counter of one lane: what was sent, what was vouched for, and what of that the disk has.

use crate::tariff::lane::payer::WriteId;
use crate::tariff::lane::transcript::{Served, Transcript};
use crate::tariff::window::Ticket;
use crate::tariff::wire::{LaneId, VoucherBody};
use crate::units::{Bytes, MinorUnits, PricePerGib, UnixSeconds};
use std::collections::{HashSet, VecDeque};

/// How far ahead of what is sent the disk is told at least, where there is room: after a crash so much is charged that never left.
const SENT_AHEAD: Bytes = Bytes(4 << 20);
/// And at most for what is expected to follow on a lane whose pace is not known: who waits for the disk before the first voucher does
/// so seldom.
const EXPECTED_AHEAD: Bytes = Bytes(16 << 20);

/// What a payee's disk has of a lane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaneState {
    /// The lane.
    pub lane: LaneId,
    /// Minor units per 2^30 octets.
    pub price: PricePerGib,
    /// The first second at which nothing more is delivered on it.
    pub not_after: UnixSeconds,
    /// The highest voucher.
    pub best: Option<VoucherBody>,
    /// As much as may have been sent.
    pub sent: Bytes,
    /// What was written off of it.
    pub written_off: Bytes,
}

impl LaneState {
    /// A lane that was just opened.
    pub fn new(lane: LaneId, price: PricePerGib, not_after: UnixSeconds) -> Self {
        Self { lane, price, not_after, best: None, sent: Bytes(0), written_off: Bytes(0) }
    }
}

/// Why a voucher is not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VoucherFault {
    /// No such lane with this payer.
    #[error("the lane is not known")]
    NoLane,
    /// Not the charge for its octets.
    #[error("the amount is not the charge for {0} at the lane's price")]
    Amount(Bytes),
    /// More than was sent.
    #[error("it acknowledges {vouched}, and {sent} were sent")]
    AboveSent {
        /// What it says.
        vouched: Bytes,
        /// What was sent.
        sent: Bytes,
    },
    /// What comes with it does not make up the octets between the voucher before and this one: the two have lost each other,
    /// and a new connection brings them together again.
    #[error("it does not follow the voucher before it: show the highest one again")]
    Gap,
    /// It acknowledges a delivery that was not made on this connection, or says another transcript than its deliveries make.
    #[error("it acknowledges something else than was delivered")]
    Transcript,
}

/// The counter of one lane.
#[derive(Debug)]
pub(super) struct Counter {
    pub(super) state: LaneState,
    /// Vouchers that are being written, each with the deliveries that it acknowledges.
    queue: VecDeque<(WriteId, VoucherBody, Vec<Ticket>)>,
    /// What left or is about to leave.
    sent: u64,
    /// What of `sent` is under way on the connection.
    pub(super) live: u64,
    /// What waits for room.
    pub(super) waiting: u64,
    /// What is expected to be asked for next.
    pub(super) expected: Bytes,
    /// What one of its last vouchers acknowledged: so much leaves between two of them.
    pace: u64,
    /// A new ceiling that is being written.
    ceiling: Option<(WriteId, u64)>,
    /// Has room, and waits until the disk's ceiling is above it.
    held: Vec<(Ticket, u64)>,
    pub(super) open: bool,
}

impl Counter {
    pub(super) fn new(state: LaneState) -> Self {
        let sent = state.sent.0;
        Self {
            state,
            queue: VecDeque::new(),
            sent,
            live: 0,
            waiting: 0,
            expected: Bytes(0),
            pace: 0,
            ceiling: None,
            held: Vec::new(),
            open: true,
        }
    }

    /// The octets of the highest voucher that counts.
    pub(super) fn counted(&self) -> u64 {
        self.state.best.as_ref().map_or(0, |best| best.cum_bytes.0)
    }

    /// What the highest voucher that counts is for.
    pub(super) fn amount(&self) -> MinorUnits {
        self.state.best.as_ref().map_or(MinorUnits(0), |best| best.cum_amount)
    }

    /// What was sent, is under way no more, and was neither vouched for nor written off.
    pub(super) fn adrift(&self) -> u64 {
        self.sent.saturating_sub(self.live).saturating_sub(self.counted()).saturating_sub(self.state.written_off.0)
    }

    /// What the payer owes if it vouches for all that is out, and for `more`; `None`: more than there are numbers for.
    pub(super) fn exposure(&self, more: u64) -> Option<MinorUnits> {
        // What was written off too: who has it may still vouch for it, and then owes it.
        let octets = (self.sent + self.waiting).checked_add(more)?.max(self.counted());
        self.state.price.charge(Bytes(octets))
    }

    /// A delivery has room. Whether it may leave now, and the ceiling that has to be written for it. `free` is what of the window is
    /// not adrift.
    pub(super) fn granted(
        &mut self,
        ticket: Ticket,
        length: u64,
        free: Bytes,
        next: impl FnOnce() -> WriteId,
    ) -> Granted {
        self.sent += length;
        self.live += length;
        if self.sent <= self.state.sent.0 {
            return Granted::Start;
        }
        self.held.push((ticket, self.sent));
        self.raise(free, next).map_or(Granted::Held, |(id, ceiling)| Granted::Write(id, ceiling))
    }

    /// The ceiling to write for what is held: as far ahead as is expected to leave before the next voucher comes, or as the lane has
    /// come without one where that is more, so that few are written before it.
    fn raise(&mut self, free: Bytes, next: impl FnOnce() -> WriteId) -> Option<(WriteId, Bytes)> {
        let unvouched = self.sent.saturating_sub(self.counted());
        let expected = self.expected.min(EXPECTED_AHEAD.max(Bytes(self.pace)));
        let ahead = Bytes(unvouched).max(expected);
        if self.held.is_empty() { None } else { self.raise_by(ahead, free, next) }
    }

    /// The ceiling to write with a voucher: as far ahead as twice what it acknowledges, so that it lasts until the next one comes,
    /// a little late, and nothing waits for a write of its own. None where that voucher acknowledges all that is under way:
    /// perhaps nothing more will leave.
    pub(super) fn raise_with(
        &mut self,
        voucher: &VoucherBody,
        free: Bytes,
        next: impl FnOnce() -> WriteId,
    ) -> Option<(WriteId, Bytes)> {
        let acknowledged = voucher.cum_bytes.0.saturating_sub(self.counted());
        if self.live <= acknowledged { None } else { self.raise_by(Bytes(acknowledged.saturating_mul(2)), free, next) }
    }

    /// The same as [`Counter::at_rest`], to be written with a voucher that acknowledges all that is under way.
    pub(super) fn rest_with(
        &mut self,
        voucher: &VoucherBody,
        next: impl FnOnce() -> WriteId,
    ) -> Option<(WriteId, Bytes)> {
        let is_all = voucher.cum_bytes.0 == self.sent && self.waiting == 0 && self.ceiling.is_none();
        if !is_all || self.state.sent.0 <= self.sent {
            return None;
        }
        self.state.sent = Bytes(self.sent);
        Some((next(), self.state.sent))
    }

    fn raise_by(&mut self, ahead: Bytes, free: Bytes, next: impl FnOnce() -> WriteId) -> Option<(WriteId, Bytes)> {
        // What a crash leaves charged holds the window: never all that is left of it, or nothing would be delivered any more.
        let ahead = ahead.max(SENT_AHEAD).0.min(free.0 / 4 * 3);
        let ceiling = self.sent.saturating_add(ahead);
        if self.ceiling.is_some() || ceiling <= self.state.sent.0 {
            return None;
        }
        let id = next();
        self.ceiling = Some((id, ceiling));
        Some((id, Bytes(ceiling)))
    }

    /// The disk has everything up to `id`. What may leave now, and the next ceiling to write.
    pub(super) fn ceiling_persisted(
        &mut self,
        id: WriteId,
        free: Bytes,
        next: impl FnOnce() -> WriteId,
    ) -> (Vec<Ticket>, Option<(WriteId, Bytes)>) {
        let Some((_, ceiling)) = self.ceiling.take_if(|(written, _)| *written <= id) else { return Default::default() };
        self.state.sent = self.state.sent.max(Bytes(ceiling));
        let start = self.held.extract_if(.., |(_, sent)| *sent <= ceiling).map(|(ticket, _)| ticket).collect();
        (start, self.raise(free, next))
    }

    /// A delivery has room, and leaves: no window holds the lane.
    pub(super) fn leaves_at_once(&mut self, length: u64) {
        self.sent += length;
        self.live += length;
    }

    /// Nothing is under way: so much was sent and no more, if the disk says otherwise.
    pub(super) fn at_rest(&mut self, next: impl FnOnce() -> WriteId) -> Option<(WriteId, Bytes)> {
        let is_at_rest = self.live == 0 && self.waiting == 0 && self.ceiling.is_none();
        let says_more = self.state.sent.0 > self.sent;
        // What left at once, and nobody has acknowledged.
        let says_less = self.sent > self.state.sent.0.max(self.counted()) && self.queue.is_empty();
        if !is_at_rest || !(says_more || says_less) {
            return None;
        }
        // From here on, not when it is written: what leaves next waits for a ceiling that is written after this.
        self.state.sent = Bytes(self.sent);
        Some((next(), self.state.sent))
    }

    /// The disk does not take write `id`. Returns what has to be refused for it.
    pub(super) fn failed(&mut self, id: WriteId) -> Vec<Ticket> {
        if self.ceiling.take_if(|(written, _)| *written == id).is_some() {
            return self.held.iter().map(|(ticket, _)| *ticket).collect();
        }
        if let Some(at) = self.queue.iter().position(|(written, ..)| *written == id) {
            let lost = self.queue.remove(at);
            // The one behind it acknowledges all that it did.
            if let (Some((.., tickets)), Some((.., behind))) = (lost, self.queue.get_mut(at)) {
                behind.extend(tickets);
            }
        }
        Vec::new()
    }

    /// What left or is about to leave.
    pub(super) fn sent(&self) -> u64 {
        self.sent
    }

    /// A delivery is over. `left`: its octets, or some of them, have left, so that they stay charged.
    pub(super) fn over(&mut self, ticket: Ticket, length: u64, left: bool) {
        // A delivery that is not held has left, and whatever is held had room after it.
        let behind = self.held.iter().position(|(held, _)| *held == ticket).unwrap_or(0);
        self.held.retain(|(held, _)| *held != ticket);
        self.live -= length;
        if !left {
            self.sent -= length;
            // What had room after it has so much less before it: a ceiling above what is sent is above all that is held.
            for (_, sent) in &mut self.held[behind..] {
                *sent -= length;
            }
        }
    }

    /// Takes a voucher to be written, if it follows the one before it and acknowledges what is under way. `find` names
    /// deliveries that are like these, none twice and none of those that are acknowledged by a voucher that is being written.
    pub(super) fn take(
        &mut self,
        body: &VoucherBody,
        entries: &[Served],
        find: impl FnOnce(&[Served], &HashSet<Ticket>) -> Option<Vec<Ticket>>,
        next: impl FnOnce() -> WriteId,
    ) -> Result<Taken, VoucherFault> {
        let last = self.queue.back().map(|(_, body, _)| body).or(self.state.best.as_ref());
        let before = last.map_or(0, |body| body.cum_bytes.0);
        if self.state.price.charge(body.cum_bytes) != Some(body.cum_amount) {
            return Err(VoucherFault::Amount(body.cum_bytes));
        }
        // Lower ones, repeated or late, say nothing new.
        if body.cum_bytes.0 <= before {
            return Ok(Taken::Known);
        }
        if body.cum_bytes.0 > self.sent {
            return Err(VoucherFault::AboveSent { vouched: body.cum_bytes, sent: Bytes(self.sent) });
        }
        let length = entries.iter().fold(0_u64, |sum, served| sum.saturating_add(served.length.0));
        let mut at = body.cum_bytes.0.checked_sub(length).ok_or(VoucherFault::Gap)?;
        let known = entries.iter().take_while(|served| {
            let is_known = at < before;
            at = if is_known { at.saturating_add(served.length.0) } else { at };
            is_known
        });
        let new = &entries[known.count()..];
        if at != before {
            return Err(VoucherFault::Gap);
        }
        let transcript = last.map_or_else(|| Transcript::start(&self.state.lane), |last| Transcript(last.transcript));
        if new.iter().fold(transcript, Transcript::and).0 != body.transcript {
            return Err(VoucherFault::Transcript);
        }
        let taken = self.queue.iter().flat_map(|(_, _, tickets)| tickets).copied().collect();
        let tickets = find(new, &taken).ok_or(VoucherFault::Transcript)?;
        let id = next();
        self.queue.push_back((id, body.clone(), tickets));
        Ok(Taken::Write(id))
    }

    /// Takes the highest voucher that the payer shows on a new connection: its own signature, whatever we remember.
    pub(super) fn adopt(&mut self, shown: &VoucherBody, next: impl FnOnce() -> WriteId) -> Result<Taken, VoucherFault> {
        let last = self.queue.back().map(|(_, body, _)| body).or(self.state.best.as_ref());
        if self.state.price.charge(shown.cum_bytes) != Some(shown.cum_amount) {
            return Err(VoucherFault::Amount(shown.cum_bytes));
        }
        if last.is_some_and(|last| shown.cum_bytes <= last.cum_bytes) {
            return Ok(Taken::Known);
        }
        self.sent = self.sent.max(shown.cum_bytes.0);
        let id = next();
        self.queue.push_back((id, shown.clone(), Vec::new()));
        Ok(Taken::Write(id))
    }

    /// The disk has everything up to `id`: the vouchers that count from now on, with the deliveries that they end.
    pub(super) fn vouchers_persisted(&mut self, id: WriteId) -> Vec<(VoucherBody, Vec<Ticket>)> {
        let mut counted = Vec::new();
        while self.queue.front().is_some_and(|(written, ..)| *written <= id) {
            let Some((_, body, tickets)) = self.queue.pop_front() else { break };
            // The last one of a file acknowledges less than its line brings.
            self.pace = body.cum_bytes.0.saturating_sub(self.counted()).max(self.pace / 2);
            self.state.best = Some(body.clone());
            counted.push((body, tickets));
        }
        counted
    }

    /// Whether this delivery is acknowledged by a voucher that is being written.
    pub(super) fn is_vouched(&self, ticket: Ticket) -> bool {
        self.queue.iter().any(|(_, _, tickets)| tickets.contains(&ticket))
    }

    /// Whether nothing more can come of it but vouchers for what is adrift.
    pub(super) fn is_done(&self) -> bool {
        !self.open && self.live == 0 && self.waiting == 0 && self.queue.is_empty() && self.ceiling.is_none()
    }
}

/// What came of a voucher.
pub(super) enum Taken {
    /// It says nothing new.
    Known,
    /// It counts when the disk has this.
    Write(WriteId),
}

/// What came of room for a delivery.
pub(super) enum Granted {
    /// It may leave.
    Start,
    /// It may leave when the disk has what is being written.
    Held,
    /// It may leave when the disk has this ceiling.
    Write(WriteId, Bytes),
}
