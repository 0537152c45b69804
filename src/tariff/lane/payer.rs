//! The payer's side of a lane: acknowledges what was verified, never more, and nothing before the disk has it.

use crate::tariff::lane::transcript::{Served, Transcript};
use crate::tariff::wire::{LaneId, VoucherBody};
use crate::units::{Bytes, MinorUnits, PricePerGib, UnixSeconds};

/// After how much verified a voucher is due at the latest.
pub const VOUCHER_EVERY: Bytes = Bytes(192 << 20);
/// How much of a window a voucher that is due leaves for what is under way until it counts, where half of the window is more: on a line
/// with a round trip of a tenth of a second more than 5 Gbit/s.
const LEFT_UNDER_WAY: Bytes = Bytes(64 << 20);

/// How many deliveries a voucher acknowledges at most beyond the one before it: one more makes it due.
pub const MAX_ENTRIES: usize = 1_024;

/// What a machine of a lane asks to be written; what is written up to one is confirmed by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WriteId(pub u64);

/// What the payer's side wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PayerEffect {
    /// Write this as the lane's highest voucher, durably, and then say [`PayerLane::persisted`].
    Persist(WriteId, VoucherBody),
    /// Send the voucher, signed, and with it what it acknowledges beyond the last one that the payee has confirmed.
    Send(VoucherBody, Vec<Served>),
    /// Show the payee the highest voucher of this lane, on a new connection; `None`: there is none.
    Show(Option<VoucherBody>),
}

/// A lane can acknowledge no more: the charge would exceed [`MinorUnits::MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the charge for {octets} on this lane is more than 2^63 - 1 minor units: open another lane")]
pub struct NoCharge {
    /// All octets of the lane.
    pub octets: Bytes,
}

/// The payer's side of one lane.
#[derive(Debug, Clone)]
pub struct PayerLane {
    lane: LaneId,
    price: PricePerGib,
    /// After how much a voucher is due.
    every: Bytes,
    /// A larger delivery is acknowledged at once: the payee lets such a one leave only when nothing else is out.
    large: Bytes,
    /// The highest voucher that the disk has.
    best: Option<VoucherBody>,
    /// One that is being written, and what it acknowledges beyond `best`.
    pending: Option<(WriteId, VoucherBody, Vec<Served>)>,
    /// Verified and in no voucher yet.
    verified: Vec<Served>,
    /// The octets of these.
    unvouched: Bytes,
    /// What `best` acknowledges beyond the last one that the payee has confirmed.
    unconfirmed: Vec<Served>,
    /// The octets of the last one that the payee has confirmed.
    confirmed: Bytes,
    wanted: Wanted,
    writes: u64,
}

/// What is to follow when the disk has what it is writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Nothing,
    /// A voucher for all that is verified.
    Voucher,
    /// That, and then to show it.
    Show,
}

impl PayerLane {
    /// A lane in a window of so many octets, with the highest voucher that the disk has. What is acknowledged at once leaves half of
    /// the window for what is under way meanwhile, or 64 MiB of a larger one.
    pub fn new(lane: LaneId, price: PricePerGib, window: Bytes, best: Option<VoucherBody>) -> Self {
        let every = VOUCHER_EVERY.0.min(window.0 - LEFT_UNDER_WAY.0.min(window.0 / 2));
        let (every, large) = (Bytes(every.max(1)), Bytes(window.0 / 4));
        let confirmed = best.as_ref().map_or(Bytes(0), |best| best.cum_bytes);
        let (verified, unconfirmed) = (Vec::new(), Vec::new());
        Self {
            lane,
            price,
            every,
            large,
            best,
            pending: None,
            verified,
            unvouched: Bytes(0),
            unconfirmed,
            confirmed,
            wanted: Wanted::Nothing,
            writes: 0,
        }
    }

    /// The highest voucher that the disk has.
    pub fn best(&self) -> Option<&VoucherBody> {
        self.best.as_ref()
    }

    /// What is verified and in no voucher yet.
    pub fn unvouched(&self) -> Bytes {
        self.unvouched
    }

    /// Something was delivered and verified.
    pub fn verified(&mut self, served: Served, now: UnixSeconds) -> Result<Vec<PayerEffect>, NoCharge> {
        let before = [self.best.as_ref(), self.pending.as_ref().map(|(_, body, _)| body)].into_iter().flatten().last();
        let before = before.map_or(0, |body| body.cum_bytes.0);
        let octets = Bytes(before.saturating_add(self.unvouched.0).saturating_add(served.length.0));
        if self.price.charge(octets).is_none() || octets.0 > MinorUnits::MAX.0 {
            return Err(NoCharge { octets });
        }
        self.verified.push(served);
        self.unvouched.0 += served.length.0;
        Ok(if served.length > self.large { self.flush(now) } else { self.go_on(now) })
    }

    /// The lane closes, or something has waited to be acknowledged for long enough: what is verified is acknowledged now.
    pub fn flush(&mut self, now: UnixSeconds) -> Vec<PayerEffect> {
        if self.wanted == Wanted::Nothing {
            self.wanted = Wanted::Voucher;
        }
        self.go_on(now)
    }

    /// The disk has what was to be written up to `id`.
    pub fn persisted(&mut self, id: WriteId, now: UnixSeconds) -> Vec<PayerEffect> {
        let Some((_, body, entries)) = self.pending.take_if(|(written, ..)| *written <= id) else { return Vec::new() };
        self.unconfirmed.extend(entries);
        // An adopted voucher acknowledges nothing here that its payee does not know.
        let send = body.cum_bytes.0 == self.confirmed.0 + length(&self.unconfirmed).0 && !self.unconfirmed.is_empty();
        self.best = Some(body.clone());
        let mut effects = Vec::new();
        if send {
            effects.push(PayerEffect::Send(body, self.unconfirmed.clone()));
        }
        effects.extend(self.go_on(now));
        effects
    }

    /// The payee has shown the highest voucher that it counts. Its signature is one of ours, so that it binds us even if our
    /// disk has forgotten it.
    pub fn acknowledged(&mut self, theirs: &VoucherBody, now: UnixSeconds) -> Vec<PayerEffect> {
        if theirs.lane != self.lane {
            return Vec::new();
        }
        // As many octets by another way: both are ours, and the payee has counted that one.
        let is_other = |best: &VoucherBody| best.cum_bytes == theirs.cum_bytes && best.transcript != theirs.transcript;
        match &self.best {
            Some(best) if theirs.cum_bytes <= best.cum_bytes && !is_other(best) => {}
            _ => return self.adopt(theirs),
        }
        let mut confirmed = self.confirmed;
        let mut over = 0;
        for served in &self.unconfirmed {
            if confirmed >= theirs.cum_bytes {
                break;
            }
            confirmed.0 += served.length.0;
            over += 1;
        }
        if confirmed == theirs.cum_bytes {
            self.unconfirmed.drain(..over);
            self.confirmed = confirmed;
        }
        self.go_on(now)
    }

    /// A new connection: what is verified is acknowledged, and the highest voucher shown. What the payee then shows is told to
    /// [`PayerLane::acknowledged`].
    pub fn reconnect(&mut self, now: UnixSeconds) -> Vec<PayerEffect> {
        self.wanted = Wanted::Show;
        self.go_on(now)
    }

    fn is_due(&self) -> bool {
        self.unvouched >= self.every || self.verified.len() >= MAX_ENTRIES
    }

    fn adopt(&mut self, theirs: &VoucherBody) -> Vec<PayerEffect> {
        // Somebody signs with our key whose memory is not ours: we before a backup was restored, or a clone of this machine. What
        // is verified here may be in that voucher already, and is not acknowledged twice.
        self.pending = None;
        self.verified.clear();
        self.unvouched = Bytes(0);
        self.unconfirmed.clear();
        self.confirmed = theirs.cum_bytes;
        vec![self.write(theirs.clone(), Vec::new())]
    }

    fn go_on(&mut self, now: UnixSeconds) -> Vec<PayerEffect> {
        if self.pending.is_some() {
            return Vec::new();
        }
        if !self.verified.is_empty() && (self.wanted != Wanted::Nothing || self.is_due()) {
            return self.issue(now);
        }
        match std::mem::replace(&mut self.wanted, Wanted::Nothing) {
            Wanted::Show => {
                // What is shown needs no list: the payee takes our signature for it.
                self.unconfirmed.clear();
                self.confirmed = self.best.as_ref().map_or(Bytes(0), |best| best.cum_bytes);
                vec![PayerEffect::Show(self.best.clone())]
            }
            Wanted::Voucher | Wanted::Nothing => Vec::new(),
        }
    }

    fn issue(&mut self, now: UnixSeconds) -> Vec<PayerEffect> {
        if self.pending.is_some() {
            return Vec::new();
        }
        let later = self.verified.split_off(self.verified.len().min(MAX_ENTRIES));
        let entries = std::mem::replace(&mut self.verified, later);
        let octets = length(&entries);
        self.unvouched.0 -= octets.0;
        // What comes while it is written waits for its own time, or each voucher would make the next one due.
        if self.verified.is_empty() && self.wanted == Wanted::Voucher {
            self.wanted = Wanted::Nothing;
        }
        let before = self.best.as_ref();
        let cum_bytes = Bytes(before.map_or(0, |best| best.cum_bytes.0) + octets.0);
        let transcript = before.map_or_else(|| Transcript::start(&self.lane), |best| Transcript(best.transcript));
        let transcript = entries.iter().fold(transcript, Transcript::and).0;
        let Some(cum_amount) = self.price.charge(cum_bytes) else {
            // A voucher that was adopted has taken what was left of the lane.
            return Vec::new();
        };
        let body = VoucherBody { lane: self.lane, cum_bytes, cum_amount, time: now, transcript };
        vec![self.write(body, entries)]
    }

    fn write(&mut self, body: VoucherBody, entries: Vec<Served>) -> PayerEffect {
        self.writes += 1;
        let id = WriteId(self.writes);
        self.pending = Some((id, body.clone(), entries));
        PayerEffect::Persist(id, body)
    }
}

fn length(entries: &[Served]) -> Bytes {
    Bytes(entries.iter().map(|served| served.length.0).sum())
}
