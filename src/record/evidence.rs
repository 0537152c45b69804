//! What a grid has promised, and what becomes of it when a newer record says otherwise.
//!
//! A promise binds, whether or not the record that gave it is still current, and whoever signed it. So records with a live
//! promise are kept as evidence, and every reader charges the committed price.

use super::grid_record::GridRecord;
use super::time::CLOCK_TOLERANCE;
use crate::rate::{Asset, Commitment};
use crate::signed::Identity;
use crate::units::{PricePerGib, UnixSeconds};
use std::cmp::Reverse;
use std::fmt;

/// A promise that a newer record of the same grid does not keep. Each of the two is signed: together they are the proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Breach {
    /// What was promised.
    pub promised: Commitment,
    /// What the newer record promises in the same asset, if anything.
    pub found: Option<Commitment>,
    /// The record that promised.
    pub older: Identity,
    /// The record that breaks the promise.
    pub newer: Identity,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Commitment { asset, price, from, until } = self.promised;
        let unit = if asset.is_free() { "free".to_owned() } else { format!("{} {asset}/GiB", asset.decimal(price.0)) };
        write!(f, "{unit} is promised until {until}, and this record ")?;
        match self.found {
            None => write!(f, "drops it"),
            Some(found) if found.price > price => write!(f, "asks {} {asset}/GiB", asset.decimal(found.price.0)),
            Some(found) if found.until < until => write!(f, "promises it only until {}", found.until),
            Some(found) => write!(f, "begins only on {} instead of {from}", found.from),
        }
    }
}

/// The promises of `older` that `newer` does not keep, as far as they were still live when it was issued.
///
/// A withdrawn record breaks none: it charges nobody any more.
pub fn breaches(older: &GridRecord, newer: &GridRecord) -> Vec<Breach> {
    if older.grid() != newer.grid() || newer.signed().withdrawn() {
        return Vec::new();
    }
    let since = newer.signed().issued_at().max(older.signed().issued_at());
    let broken = older.commitments().filter(|promised| promised.is_live(since)).filter_map(|promised| {
        let found = newer.rate(promised.asset).map(|rate| rate.commitment());
        let kept = found.is_some_and(|found| found.covers(&promised, since));
        let (older, newer) = (older.signed().identity(), newer.signed().identity());
        (!kept).then_some(Breach { promised, found, older, newer })
    });
    broken.collect()
}

/// The price that binds for one asset, and what makes it bind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Binding {
    /// The price, with the interval for which the record says so.
    pub promise: Commitment,
    /// The record that says so.
    pub record: Identity,
}

/// What binds for `asset` at `now`: the lowest of what `current` publishes and of every promise in `evidence`; of equal ones
/// the one that lasts longest.
///
/// `None` if neither has a price in force for it. Says nothing of `XXX`, which makes every other price void while it binds.
pub fn binding(
    asset: Asset,
    current: Option<&GridRecord>,
    evidence: &[GridRecord],
    now: UnixSeconds,
) -> Option<Binding> {
    let published = current.and_then(|record| {
        let rate = record.rate(asset)?;
        let promise = Commitment { price: rate.price_at(now)?, ..rate.commitment() };
        Some(Binding { promise, record: record.signed().identity() })
    });
    let promised = evidence.iter().flat_map(|record| {
        let record_identity = record.signed().identity();
        live_commitments(record, now).map(move |promise| Binding { promise, record: record_identity })
    });
    let promised = promised.filter(|binding| binding.promise.asset == asset && binding.promise.binds_at(now));
    published.into_iter().chain(promised).min_by_key(|binding| (binding.promise.price, Reverse(binding.promise.until)))
}

/// The price of [`binding`].
pub fn binding_price(
    asset: Asset,
    current: Option<&GridRecord>,
    evidence: &[GridRecord],
    now: UnixSeconds,
) -> Option<PricePerGib> {
    binding(asset, current, evidence, now).map(|binding| binding.promise.price)
}

/// The promises of `record` that bind at `now` or will later. None of a record dated in the future: that is no promise yet.
pub fn live_commitments(record: &GridRecord, now: UnixSeconds) -> impl Iterator<Item = Commitment> {
    let latest = now.plus(CLOCK_TOLERANCE);
    let given = record.signed().issued_at() <= latest && record.signed().serial() <= latest;
    record.commitments().filter(move |promise| given && promise.is_live(now))
}

/// Whether `record` promises something at `now` that `current` does not: what is kept as evidence and shown beside it.
pub fn outlasts(record: &GridRecord, current: Option<&GridRecord>, now: UnixSeconds) -> bool {
    let kept = |promise: &Commitment| {
        let found = current.and_then(|current| current.rate(promise.asset)).map(|rate| rate.commitment());
        found.is_some_and(|found| found.covers(promise, now))
    };
    live_commitments(record, now).any(|promise| !kept(&promise))
}

/// Records of one grid whose promises are live: none whose promises the others all cover, and at most [`Evidence::MAX`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Evidence {
    records: Vec<GridRecord>,
}

impl Evidence {
    /// The most records kept for one grid.
    pub const MAX: usize = 8;

    /// No evidence.
    pub fn new() -> Self {
        Self::default()
    }

    /// The records, newest first.
    pub fn records(&self) -> &[GridRecord] {
        &self.records
    }

    /// Takes `record` in, if it promises something that the others do not, and drops what it makes superfluous.
    ///
    /// A record of another grid than those held is passed over.
    pub fn add(&mut self, record: GridRecord, now: UnixSeconds) {
        let same_grid = self.records.first().is_none_or(|held| held.grid() == record.grid());
        let known = self.records.iter().any(|held| held.signed().identity() == record.signed().identity());
        if same_grid && !known {
            self.records.push(record);
        }
        self.prune(now);
    }

    /// Drops the records whose promises have ended or are covered by others.
    pub fn prune(&mut self, now: UnixSeconds) {
        let needed = |record: &GridRecord| {
            live_commitments(record, now)
                .any(|promise| !self.records.iter().any(|other| gives(other, record, &promise, now)))
        };
        let mut kept: Vec<GridRecord> = self.records.iter().filter(|record| needed(record)).cloned().collect();
        kept.sort_by(|a, b| b.signed().supersedes(a.signed()).cmp(&a.signed().supersedes(b.signed())));
        if kept.len() > Self::MAX {
            let rank =
                |record: &GridRecord| live_commitments(record, now).map(|promise| rank(&promise, &kept, now)).min();
            let mut ranked: Vec<_> = kept.iter().map(|record| (rank(record), record.clone())).collect();
            ranked.sort_by_key(|(rank, _)| *rank);
            ranked.truncate(Self::MAX);
            kept.retain(|record| ranked.iter().any(|(_, other)| other == record));
        }
        self.records = kept;
    }

    /// The records that promise something at `now` which `current` does not.
    pub fn against(&self, current: Option<&GridRecord>, now: UnixSeconds) -> Vec<GridRecord> {
        self.records.iter().filter(|record| outlasts(record, current, now)).cloned().collect()
    }
}

/// Whether `other` gives `promise`, one of `record`'s; of two that give the same, the newer one counts.
fn gives(other: &GridRecord, record: &GridRecord, promise: &Commitment, now: UnixSeconds) -> bool {
    live_commitments(other, now).any(|found| {
        found.covers(promise, now) && (!promise.covers(&found, now) || other.signed().supersedes(record.signed()))
    })
}

/// How near a promise is to one end of its asset's row, cheapest to longest. The ends are kept first, so that no flood of
/// cheap promises for a minute, or dear ones for a year, pushes out both.
fn rank(promise: &Commitment, records: &[GridRecord], now: UnixSeconds) -> usize {
    let others =
        || records.iter().flat_map(|record| live_commitments(record, now)).filter(|other| other.asset == promise.asset);
    let cheaper = others().filter(|other| other.price < promise.price).count();
    let longer = others().filter(|other| other.until > promise.until).count();
    cheaper.min(longer)
}
