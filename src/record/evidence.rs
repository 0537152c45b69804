//! What a grid has promised, and what becomes of it when a newer record says otherwise.
//!
//! A promise binds, whether or not the record that gave it is still current, and whoever signed it. So records with a live
//! promise are kept as evidence, and every reader charges the committed price.

use super::grid_record::GridRecord;
use super::time::CLOCK_TOLERANCE;
use crate::rate::{Asset, Commitment, DatedRate};
use crate::signed::Identity;
use crate::units::{PricePerGib, Seconds, UnixSeconds};
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

/// In which way a promise is broken: the first that applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broken {
    /// The newer record has no line in that asset.
    Dropped,
    /// Its price is higher.
    Raised,
    /// Its promise ends earlier.
    Shortened,
    /// Its price takes effect later.
    Postponed,
}

impl Breach {
    /// In which way it is broken.
    pub fn broken(&self) -> Broken {
        match self.found {
            None => Broken::Dropped,
            Some(found) if found.price > self.promised.price => Broken::Raised,
            Some(found) if found.until < self.promised.until => Broken::Shortened,
            Some(_) => Broken::Postponed,
        }
    }
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Commitment { asset, price, from, until } = self.promised;
        let unit = if asset.is_free() { "free".to_owned() } else { format!("{} {asset}/GiB", asset.decimal(price.0)) };
        write!(f, "{unit} is promised until {until}, and this record ")?;
        match (self.broken(), self.found) {
            (Broken::Dropped, _) | (_, None) => write!(f, "drops it"),
            (Broken::Raised, Some(found)) => write!(f, "asks {} {asset}/GiB", asset.decimal(found.price.0)),
            (Broken::Shortened, Some(found)) => write!(f, "promises it only until {}", found.until),
            (Broken::Postponed, Some(found)) => write!(f, "begins only on {} instead of {from}", found.from),
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

/// For how long money is agreed on by a price that is published and not promised: the next record may have another one, and whoever
/// pays reads records anew every hour.
const UNPROMISED: Seconds = Seconds::hours(1);

/// The price that binds for one asset, and what makes it bind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Binding {
    /// The price, with the interval for which the record says so.
    pub promise: Commitment,
    /// The record that says so.
    pub record: Identity,
    /// The first second for which this is not the price, or may not be: the end of the promise, or where the price is only
    /// published an hour from now; never after the next price begins.
    pub stands_until: UnixSeconds,
}

/// What binds for `asset` at `now`: the lowest of what `current` publishes and of every promise, its own and those in
/// `evidence`; of equal ones the one that lasts longest. While `XXX` binds, nothing is charged in any asset.
///
/// `None` if there is no price in force for it. An expired record publishes nothing; what it promised binds all the same.
pub fn binding(
    asset: Asset,
    current: Option<&GridRecord>,
    evidence: &[GridRecord],
    now: UnixSeconds,
) -> Option<Binding> {
    let binding = |record: &GridRecord, promise, stands_until| {
        let record = record.signed().identity();
        Binding { promise, record, stands_until }
    };
    let published = current.filter(|record| now < record.signed().expires_at()).into_iter().flat_map(|record| {
        let published = move |rate: &DatedRate| {
            let promise = Commitment { price: rate.price_at(now)?, ..rate.commitment() };
            Some(binding(record, promise, stands_until(rate, record.signed().expires_at(), now)))
        };
        record.rates().iter().filter_map(published)
    });
    let promised = current.into_iter().chain(evidence).flat_map(|record| {
        let promises = live_commitments(record, now).filter(|promise| promise.binds_at(now));
        promises.map(move |promise| binding(record, promise, promise.until))
    });
    published
        .chain(promised)
        .filter(|binding| binding.promise.asset == asset || binding.promise.asset.is_free())
        .min_by_key(|binding| (binding.promise.price, Reverse(binding.promise.until)))
}

/// Until when a line publishes the price that it has at `now`, in a record that expires then.
fn stands_until(rate: &DatedRate, expires_at: UnixSeconds, now: UnixSeconds) -> UnixSeconds {
    let promised = Some(rate.until()).filter(|until| now < *until);
    let end = promised.unwrap_or_else(|| now.plus(UNPROMISED).min(expires_at));
    let next = rate.line().next().map(|next| next.not_before).filter(|begins| now < *begins);
    next.map_or(end, |begins| end.min(begins))
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
    let same = |current: &GridRecord| current.signed().identity() == record.signed().identity();
    let given =
        |promise: &Commitment| current.is_some_and(|current| same(current) || gives(current, record, promise, now));
    live_commitments(record, now).any(|promise| !given(&promise))
}

/// Whether `record` promises something beyond its own expiry, and beyond `now`.
pub fn outlasts_itself(record: &GridRecord, now: UnixSeconds) -> bool {
    outlasts(record, None, record.signed().expires_at().max(now))
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

    /// Drops what `current` gives as well, so that all who have met the same records keep the same ones, in whatever order
    /// they met them. `current` itself stays if it promises something beyond its own end: it may be gone by then.
    pub fn drop_given_by(&mut self, current: Option<&GridRecord>, now: UnixSeconds) {
        let identity = current.map(|current| current.signed().identity());
        self.records.retain(|record| {
            if Some(record.signed().identity()) == identity {
                outlasts_itself(record, now)
            } else {
                outlasts(record, current, now)
            }
        });
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

#[cfg(test)]
mod tests {
    use super::super::RecordDraft;
    use super::super::fixtures::{DAY, NOW, any_line, by_grid, grid, grid_key, with_rates};
    use super::*;
    use crate::rate::RateLine;
    use proptest::prelude::*;

    fn usd() -> Asset {
        Asset::from_code("USD").expect("known")
    }

    fn in_days(days: u64) -> UnixSeconds {
        NOW.plus(Seconds::days(days))
    }

    #[test]
    fn what_breaks_a_promise_is_found_and_said() {
        let older = with_rates(&["0.02 USD/GiB until 2027-06-01", "1 EUR/GiB"], NOW);
        let newer = with_rates(&["0.03 USD/GiB"], NOW.plus(DAY));
        let found = breaches(&older, &newer);
        let assets: Vec<&str> = found.iter().map(|breach| breach.promised.asset.code()).collect();
        assert_eq!(assets, ["EUR", "USD"]);
        assert_eq!((found[1].older, found[1].newer), (older.signed().identity(), newer.signed().identity()));
        assert_eq!(
            found[1].to_string(),
            "0.02 USD/GiB is promised until 2027-06-01T00:00:00Z, and this record asks 0.03 USD/GiB"
        );
        assert_eq!(breaches(&older, &with_rates(&["0.03 USD/GiB"], in_days(300))), [], "it ended");
        assert_eq!(breaches(&older, &older), []);
    }

    #[test]
    fn a_promise_to_be_free_binds_too() {
        let older = with_rates(&["free until 2027-06-01"], NOW);
        let found = breaches(&older, &with_rates(&["0.01 USD/GiB"], NOW.plus(DAY)));
        assert_eq!(found[0].to_string(), "free is promised until 2027-06-01T00:00:00Z, and this record drops it");
    }

    #[test]
    fn the_lowest_price_in_force_binds() {
        let old = with_rates(&["0.02 USD/GiB until 2027-06-01"], NOW);
        let cheap = with_rates(&["0.01 USD/GiB until 2026-11-10"], in_days(1));
        let current = with_rates(&["0.03 USD/GiB"], in_days(2));
        let evidence = [old.clone(), cheap.clone()];
        let price = |current: Option<&GridRecord>, evidence: &[GridRecord], now| {
            binding_price(usd(), current, evidence, now).map(|price| price.0)
        };
        assert_eq!(price(Some(&current), &[], in_days(2)), Some(30_000_000));
        assert_eq!(price(Some(&current), &evidence, in_days(2)), Some(10_000_000));
        assert_eq!(price(Some(&current), &evidence, in_days(9)), Some(20_000_000));
        assert_eq!(price(None, &evidence, in_days(300)), None);
        assert_eq!(
            price(Some(&with_rates(&["0.04 USD/GiB"], in_days(220))), &evidence, in_days(220)),
            Some(40_000_000)
        );
        let binding = binding(usd(), Some(&current), &evidence, in_days(9)).expect("a price");
        assert_eq!(binding.record, old.signed().identity());
    }

    #[test]
    fn what_is_published_and_not_promised_stands_for_an_hour_and_not_beyond_the_next_price() {
        let record = with_rates(&["0.02 USD/GiB until 2026-11-03 then 0.03 from 2026-11-04"], NOW);
        let stands =
            |now| binding(usd(), Some(&record), &[], now).map(|bound| (bound.promise.price.0, bound.stands_until));
        let (hour, minute) = (Seconds::hours(1), Seconds(60));
        assert_eq!(stands(NOW), Some((20_000_000, in_days(2))));
        assert_eq!(stands(in_days(2)), Some((20_000_000, in_days(2).plus(hour))));
        assert_eq!(stands(in_days(3).minus(minute)), Some((20_000_000, in_days(3))));
        assert_eq!(stands(in_days(3)), Some((30_000_000, in_days(3).plus(hour))));
        assert_eq!(stands(in_days(7).minus(minute)), Some((30_000_000, in_days(7))), "no longer than the record");
    }

    #[test]
    fn while_a_grid_is_free_nothing_is_charged_in_any_asset() {
        let price = |current: &GridRecord, evidence: &[GridRecord], days| {
            binding_price(usd(), Some(current), evidence, in_days(days)).map(|price| price.0)
        };
        let both = with_rates(&["free from 2026-11-03 until 2027-06-01", "0.02 USD/GiB until 2027-06-01"], NOW);
        assert_eq!(price(&both, &[], 1), Some(20_000_000));
        assert_eq!(price(&both, &[], 2), Some(0));
        let charging = with_rates(&["0.02 USD/GiB"], in_days(3));
        assert_eq!(price(&charging, std::slice::from_ref(&both), 3), Some(0));
        assert_eq!(price(&with_rates(&["free"], NOW), &[], 1), Some(0), "also where the asset has no line");
    }

    #[test]
    fn an_expired_record_publishes_nothing_and_is_bound_all_the_same() {
        let lapsed = with_rates(&["0.02 USD/GiB until 2026-11-20", "1 EUR/GiB"], NOW);
        let price = |code: &str, days| {
            let asset = Asset::from_code(code).expect("known");
            binding_price(asset, Some(&lapsed), &[], in_days(days)).map(|price| price.0)
        };
        assert_eq!((price("EUR", 6), price("EUR", 7)), (Some(1_000_000_000), None));
        assert_eq!((price("USD", 7), price("USD", 19)), (Some(20_000_000), None));
    }

    #[test]
    fn a_record_dated_in_the_future_promises_nothing_yet() {
        let future = with_rates(&["0 USD/GiB until 2027-06-01"], in_days(1));
        assert_eq!(live_commitments(&future, NOW).count(), 0);
        assert_eq!(live_commitments(&future, in_days(1).minus(CLOCK_TOLERANCE)).count(), 1);
        assert!(!outlasts(&future, None, NOW) && outlasts(&future, None, in_days(1)));
    }

    #[test]
    fn evidence_keeps_what_others_do_not_promise() {
        let mut evidence = Evidence::new();
        let long = with_rates(&["0.02 USD/GiB until 2027-06-01"], NOW);
        let cheap = with_rates(&["0.01 USD/GiB until 2026-11-10"], in_days(1));
        let weaker = with_rates(&["0.03 USD/GiB until 2027-05-01"], in_days(2));
        for record in [&weaker, &cheap, &long, &weaker] {
            evidence.add(record.clone(), in_days(2));
        }
        assert_eq!(evidence.records(), [cheap.clone(), long.clone()], "newest first");
        assert_eq!(evidence.against(Some(&weaker), in_days(2)), [cheap.clone(), long.clone()]);
        assert_eq!(evidence.against(Some(&long), in_days(2)), [cheap]);
        evidence.prune(in_days(9));
        assert_eq!(evidence.records(), std::slice::from_ref(&long));
        let again = with_rates(&["0.02 USD/GiB until 2027-06-01"], in_days(9));
        evidence.add(again.clone(), in_days(9));
        evidence.add(long, in_days(9));
        assert_eq!(evidence.records(), [again], "of two that promise the same, the newer");
        evidence.prune(in_days(300));
        assert_eq!(evidence.records(), []);
    }

    #[test]
    fn a_flood_of_promises_pushes_out_neither_the_cheapest_nor_the_longest() {
        let lines: Vec<String> =
            (0..20).map(|n| format!("0.{:02} USD/GiB until 2027-02-{:02}", 2 + n, 1 + n)).collect();
        let records: Vec<GridRecord> =
            lines.iter().enumerate().map(|(n, line)| with_rates(&[line], NOW.plus(Seconds(n as u64)))).collect();
        let mut evidence = Evidence::new();
        for record in records[1..19].iter().chain([&records[0], &records[19]]).chain(&records[1..19]) {
            evidence.add(record.clone(), NOW);
        }
        assert_eq!(evidence.records().len(), Evidence::MAX);
        assert!(evidence.records().contains(&records[0]) && evidence.records().contains(&records[19]));
    }

    /// Rates and how many days pass before they are signed.
    fn chain() -> impl Strategy<Value = Vec<(Vec<RateLine>, u64)>> {
        proptest::collection::vec((proptest::collection::vec(any_line(), 0..3), 0..12u64), 2..10)
    }

    proptest! {
        /// Signing against the last record alone keeps the promises of all.
        #[test]
        fn a_chain_that_signing_accepts_breaks_no_promise(steps in chain()) {
            let mut signed: Vec<GridRecord> = Vec::new();
            let mut now = NOW;
            for (rates, days) in steps {
                now = now.plus(Seconds::days(days));
                let draft = RecordDraft { rates, ..RecordDraft::new(grid()) };
                signed.extend(draft.sign(by_grid(&grid_key()), signed.last(), &[], now));
            }
            for (index, newer) in signed.iter().enumerate() {
                for older in &signed[..index] {
                    prop_assert_eq!(breaches(older, newer), []);
                }
            }
        }

        /// What evidence drops never binds, and the order in which records come does not matter.
        #[test]
        fn evidence_binds_as_all_records_do(steps in chain(), days in 0..60u64) {
            let sign = |(rates, day): (Vec<RateLine>, u64)| {
                RecordDraft { rates, ..RecordDraft::new(grid()) }.sign(by_grid(&grid_key()), None, &[], in_days(day)).ok()
            };
            let records: Vec<GridRecord> = steps.into_iter().filter_map(sign).take(Evidence::MAX).collect();
            let collected = |records: &mut dyn Iterator<Item = &GridRecord>| {
                let mut evidence = Evidence::new();
                records.for_each(|record| evidence.add(record.clone(), in_days(12)));
                evidence
            };
            let evidence = collected(&mut records.iter());
            prop_assert_eq!(&evidence, &collected(&mut records.iter().rev()));
            let now = in_days(12 + days);
            for code in ["USD", "EUR", "XXX"] {
                let asset = Asset::from_code(code).expect("known");
                let price = |records| binding_price(asset, None, records, now);
                prop_assert_eq!(price(evidence.records()), price(&records));
            }
        }
    }
}
