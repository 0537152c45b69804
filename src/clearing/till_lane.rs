//! One lane at a till: what both sides signed, and what the machine that counts does not know of it.

use crate::clearing::till_account::AccountKey;
use crate::ledger::Reading;
use crate::tariff::lane::{LaneSecret, LaneState, Served};
use crate::tariff::wire::{LaneOpen, Voucher};
use crate::units::Bytes;
use std::collections::HashMap;

/// Of how many files of a lane it is known which they are in the books; what comes of more is of no known file.
const FILES: usize = 4_096;

/// A lane that this process opened.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) open: LaneOpen,
    pub(super) secret: LaneSecret,
    pub(super) account: AccountKey,
    /// What may be under way to its payer; none where another rule holds that.
    pub(super) window: Option<Bytes>,
    /// Why nothing more is served on it.
    pub(super) closed: Option<Closing>,
    /// The highest voucher that the books have.
    pub(super) best: Option<Voucher>,
    /// What went out on it.
    gone: u64,
    /// The books' names of files by the lane's.
    files: HashMap<[u8; 32], [u8; 32]>,
}

/// Why a lane is over before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Closing {
    /// The payer said so.
    ByPayer,
    /// The terms that it stands on were ended.
    TermsEnded,
}

impl Closing {
    /// As the payer is told.
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::ByPayer => "the payer has closed it",
            Self::TermsEnded => "the terms that it stands on were ended",
        }
    }
}

impl Lane {
    pub(super) fn new(open: LaneOpen, secret: LaneSecret, account: AccountKey, window: Option<Bytes>) -> Self {
        Self { open, secret, account, window, closed: None, best: None, gone: 0, files: HashMap::new() }
    }

    /// The octets of the highest voucher that the books have.
    pub(super) fn counted(&self) -> Bytes {
        self.best.as_ref().map_or(Bytes(0), |best| best.body().cum_bytes)
    }

    /// So many octets go out.
    pub(super) fn goes_out(&mut self, octets: Bytes) {
        self.gone = self.gone.saturating_add(octets.0);
    }

    /// What went out, and the books have no voucher for.
    pub(super) fn unvouched(&self) -> Bytes {
        Bytes(self.gone.saturating_sub(self.counted().0))
    }

    /// A voucher counts from now on.
    pub(super) fn count(&mut self, voucher: &Voucher) {
        if voucher.body().cum_bytes > self.counted() {
            self.best = Some(voucher.clone());
        }
    }

    /// What the lane calls `object` the books call `file`.
    pub(super) fn learns(&mut self, object: [u8; 32], file: [u8; 32]) {
        if self.files.len() >= FILES && !self.files.contains_key(&object) {
            self.files.clear();
        }
        self.files.insert(object, file);
    }

    /// What deliveries were of, the last one first: those that a voucher has acknowledged before stand at the front.
    pub(super) fn readings(&self, deliveries: &[Served]) -> Vec<Reading> {
        let mut readings: Vec<Reading> = Vec::new();
        for served in deliveries.iter().rev() {
            let file = self.files.get(&served.object).copied();
            match readings.last_mut().filter(|reading| reading.file == file) {
                Some(reading) => reading.bytes.0 = reading.bytes.0.saturating_add(served.length.0),
                None => readings.push(Reading { client: None, file, bytes: served.length }),
            }
        }
        readings
    }

    /// It as the disk has it, nothing of it under way.
    pub(super) fn at_rest(&self) -> LaneState {
        let body = self.open.body();
        LaneState {
            best: self.best.as_ref().map(|best| best.body().clone()),
            sent: self.counted(),
            ..LaneState::new(self.open.identity(), body.price, body.not_after)
        }
    }
}
