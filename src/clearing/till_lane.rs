//! One lane at a till: what went out on it, in which order, and how far it was vouched for.

use crate::clearing::till_account::AccountKey;
use crate::clearing::till_error::TillError;
use crate::ledger::Reading;
use crate::tariff::Ticket;
use crate::tariff::lane::{LaneSecret, Served, Transcript};
use crate::tariff::wire::{LaneOpen, Voucher};
use crate::units::{Bytes, MinorUnits};
use std::collections::VecDeque;

/// A lane that this process opened.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) open: LaneOpen,
    pub(super) secret: LaneSecret,
    /// Which account it is on; none where nothing is charged and nobody is held to a window.
    pub(super) account: Option<AccountKey>,
    /// What may be owed and not settled.
    pub(super) credit: Option<MinorUnits>,
    /// Whether a request is being served on it.
    pub(super) busy: bool,
    /// Why nothing more is served on it.
    pub(super) closed: Option<Closing>,
    sent: u64,
    /// What the books say was sent; runs ahead of it.
    noted: u64,
    transcript: Transcript,
    best: Option<Voucher>,
    /// What went out and was not vouched for yet, in order.
    out: VecDeque<Out>,
}

/// Why a lane is over before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Closing {
    /// The payer said so, and vouches for no more.
    ByPayer,
    /// A request on it was not brought to its end: the two may count differently from here on.
    BrokenOff,
    /// The terms that it stands on were ended.
    TermsEnded,
}

impl Closing {
    /// As the payer is told.
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::ByPayer => "the payer has closed it",
            Self::BrokenOff => "a request on it broke off",
            Self::TermsEnded => "the terms that it stands on were ended",
        }
    }
}

#[derive(Debug)]
struct Out {
    /// All octets of the lane up to its end, and the transcript there.
    until: u64,
    transcript: Transcript,
    octets: u64,
    ticket: Option<Ticket>,
    /// The file by the books' own name.
    file: [u8; 32],
}

impl Lane {
    pub(super) fn new(
        open: LaneOpen,
        secret: LaneSecret,
        account: Option<AccountKey>,
        credit: Option<MinorUnits>,
    ) -> Self {
        Self {
            transcript: Transcript::start(&open.identity()),
            open,
            secret,
            account,
            credit,
            busy: false,
            closed: None,
            sent: 0,
            noted: 0,
            best: None,
            out: VecDeque::new(),
        }
    }

    pub(super) fn sent(&self) -> Bytes {
        Bytes(self.sent)
    }

    pub(super) fn transcript(&self) -> Transcript {
        self.transcript
    }

    pub(super) fn best(&self) -> Option<&Voucher> {
        self.best.as_ref()
    }

    /// What went out and was not vouched for.
    pub(super) fn unvouched(&self) -> u64 {
        self.out.iter().map(|out| out.octets).sum()
    }

    /// Up to where the books must say that the lane was sent before a unit goes out, if they do not yet. `ahead` is what the
    /// request may bring at most, the unit included.
    pub(super) fn to_note(&self, unit: Bytes, ahead: Bytes) -> Option<Bytes> {
        let after = self.sent + unit.0;
        (after > self.noted).then(|| Bytes(self.sent + ahead.0.max(unit.0)))
    }

    pub(super) fn noted(&mut self, up_to: Bytes) {
        self.noted = self.noted.max(up_to.0);
    }

    /// A unit goes out.
    pub(super) fn deliver(&mut self, delivered: &Served, ticket: Option<Ticket>, file: [u8; 32]) {
        self.sent += delivered.length.0;
        self.transcript = self.transcript.and(delivered);
        let (until, transcript) = (self.sent, self.transcript);
        self.out.push_back(Out { until, transcript, octets: delivered.length.0, ticket, file });
    }

    /// What a voucher is for, if it is for what went out here; `None` if it is not above the one held.
    pub(super) fn judge(&self, voucher: &Voucher) -> Result<Option<Vec<Reading>>, TillError> {
        let body = voucher.body();
        if self.best.as_ref().is_some_and(|best| best.body().cum_bytes >= body.cum_bytes) {
            return Ok(None);
        }
        if body.cum_bytes.0 > self.sent {
            return Err(TillError::MoreThanSent { claimed: body.cum_bytes, sent: self.sent() });
        }
        let place = self.out.iter().position(|out| out.until == body.cum_bytes.0);
        let last = place.filter(|place| self.out[*place].transcript.0 == body.transcript);
        let last = last.ok_or(TillError::OtherDeliveries)?;
        let mut readings: Vec<Reading> = Vec::new();
        for out in self.out.iter().take(last + 1) {
            match readings.last_mut().filter(|reading| reading.file == Some(out.file)) {
                Some(reading) => reading.bytes.0 += out.octets,
                None => readings.push(Reading { client: None, file: Some(out.file), bytes: Bytes(out.octets) }),
            }
        }
        Ok(Some(readings))
    }

    /// A voucher counts from now on. Returns the places that it frees, and how much it added.
    pub(super) fn count(&mut self, voucher: Voucher) -> (Vec<Ticket>, Bytes) {
        let before = self.best.as_ref().map_or(0, |best| best.body().cum_bytes.0);
        let until = voucher.body().cum_bytes.0;
        if until <= before {
            return (Vec::new(), Bytes(0));
        }
        self.best = Some(voucher);
        let mut freed = Vec::new();
        while self.out.front().is_some_and(|out| out.until <= until) {
            freed.extend(self.out.pop_front().and_then(|out| out.ticket));
        }
        (freed, Bytes(until - before))
    }

    /// Nobody will vouch for the rest: its places in the window, with what is owed for each.
    pub(super) fn abandon(&mut self) -> Vec<(Ticket, u64)> {
        self.out.drain(..).filter_map(|out| Some((out.ticket?, out.octets))).collect()
    }
}
