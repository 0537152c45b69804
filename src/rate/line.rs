//! One line of a grid's rates, the same line dated by its record, and the interval for which it binds.

use super::asset::Asset;
use crate::units::{PricePerGib, Seconds, UnixSeconds};

/// How long after its issue a record may commit itself at most.
pub const MAX_COMMITMENT: Seconds = Seconds::days(400);

/// What a grid charges in one asset: a price, from when, until when at least, and what comes after.
///
/// A date left out takes its value from the record that carries the line: see [`RateLine::dated`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLine {
    asset: Asset,
    price: PricePerGib,
    not_before: Option<UnixSeconds>,
    committed_until: Option<UnixSeconds>,
    next: Option<NextPrice>,
}

/// The price announced to follow. Announced and not promised: only [`RateLine::price`] is committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NextPrice {
    /// Minor units per 2^30 octets.
    pub price: PricePerGib,
    /// When it takes effect.
    pub not_before: UnixSeconds,
}

impl RateLine {
    /// A line; refuses what contradicts itself.
    pub fn new(
        asset: Asset,
        price: PricePerGib,
        not_before: Option<UnixSeconds>,
        committed_until: Option<UnixSeconds>,
        next: Option<NextPrice>,
    ) -> Result<Self, RateError> {
        for price in [Some(price), next.map(|next| next.price)].into_iter().flatten() {
            if price > PricePerGib::MAX {
                return Err(RateError::PriceTooLarge(price));
            }
            if asset.is_free() && price.0 != 0 {
                return Err(RateError::FreeWithPrice(price));
            }
        }
        if let Some(date) = [not_before, committed_until, next.map(|next| next.not_before)]
            .into_iter()
            .flatten()
            .find(|date| !(UnixSeconds(1)..=UnixSeconds::MAX).contains(date))
        {
            return Err(RateError::Date(date));
        }
        if let (Some(from), Some(until)) = (not_before, committed_until)
            && from > until
        {
            return Err(RateError::EndsBeforeBeginning { from, until });
        }
        let line = Self { asset, price, not_before, committed_until, next };
        line.next_fits(not_before, committed_until)?;
        Ok(line)
    }

    /// The line that says free for everybody.
    pub const fn free(committed_until: Option<UnixSeconds>) -> Self {
        Self { asset: Asset::FREE, price: PricePerGib(0), not_before: None, committed_until, next: None }
    }

    /// What the price is counted in.
    pub fn asset(&self) -> Asset {
        self.asset
    }

    /// Minor units per 2^30 octets.
    pub fn price(&self) -> PricePerGib {
        self.price
    }

    /// When the price takes effect; `None`: when the record is issued.
    pub fn not_before(&self) -> Option<UnixSeconds> {
        self.not_before
    }

    /// Until when the grid binds itself; `None`: until the record expires.
    pub fn committed_until(&self) -> Option<UnixSeconds> {
        self.committed_until
    }

    /// The price announced to follow.
    pub fn next(&self) -> Option<NextPrice> {
        self.next
    }

    /// The line within a record of these dates; refuses one that contradicts them, or says what they say already.
    pub fn dated(self, issued_at: UnixSeconds, expires_at: UnixSeconds) -> Result<DatedRate, RateError> {
        if self.not_before == Some(issued_at) {
            return Err(RateError::Redundant("not_before"));
        }
        if self.committed_until == Some(expires_at) {
            return Err(RateError::Redundant("committed_until"));
        }
        let from = self.not_before.unwrap_or(issued_at);
        let until = self.committed_until.unwrap_or(expires_at);
        if self.committed_until.is_some_and(|until| until <= issued_at) {
            return Err(RateError::Ended { until, issued_at });
        }
        let latest = issued_at.plus(MAX_COMMITMENT);
        if self.committed_until.is_some_and(|until| until > latest) {
            return Err(RateError::TooLong { until, latest });
        }
        self.next_fits(Some(from), Some(until))?;
        Ok(DatedRate { line: self, from, until })
    }

    /// The line as a record of these dates is to carry it: what lies in the past is carried out, what the dates of the
    /// record say anyway is left out.
    ///
    /// A next price that has begun becomes the price, and a commitment that has ended becomes the default one; a higher
    /// next price that begins before the record expires ends the default commitment.
    #[must_use]
    pub fn as_issued(mut self, issued_at: UnixSeconds, expires_at: UnixSeconds) -> Self {
        if let Some(next) = self.next.filter(|next| next.not_before <= issued_at) {
            self.price = next.price;
            self.next = None;
        }
        self.not_before = self.not_before.filter(|from| *from > issued_at);
        self.committed_until = self.committed_until.filter(|until| *until > issued_at);
        if self.committed_until.is_none() {
            let rise = self.next.filter(|next| next.price > self.price && next.not_before < expires_at);
            self.committed_until = rise.map(|next| next.not_before);
        }
        self.committed_until = self.committed_until.filter(|until| *until != expires_at);
        self
    }

    fn next_fits(&self, from: Option<UnixSeconds>, until: Option<UnixSeconds>) -> Result<(), RateError> {
        let Some(next) = self.next else { return Ok(()) };
        if let Some(from) = from.filter(|from| next.not_before <= *from) {
            return Err(RateError::NextTooEarly { next: next.not_before, from });
        }
        match until {
            Some(until) if next.price > self.price && next.not_before < until => {
                Err(RateError::RiseWithinCommitment { next: next.not_before, until })
            }
            _ => Ok(()),
        }
    }
}

/// A rate line with the dates that its record gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DatedRate {
    line: RateLine,
    from: UnixSeconds,
    until: UnixSeconds,
}

impl DatedRate {
    /// The line as the record carries it.
    pub fn line(&self) -> &RateLine {
        &self.line
    }

    /// What the price is counted in.
    pub fn asset(&self) -> Asset {
        self.line.asset
    }

    /// When the price takes effect.
    pub fn from(&self) -> UnixSeconds {
        self.from
    }

    /// Until when the grid binds itself.
    pub fn until(&self) -> UnixSeconds {
        self.until
    }

    /// The price that the line publishes for the time `now`; `None` before it takes effect.
    pub fn price_at(&self, now: UnixSeconds) -> Option<PricePerGib> {
        let next = self.line.next.filter(|next| next.not_before <= now);
        (self.from <= now).then(|| next.map_or(self.line.price, |next| next.price))
    }

    /// What the line promises.
    pub fn commitment(&self) -> Commitment {
        Commitment { asset: self.line.asset, price: self.line.price, from: self.from, until: self.until }
    }
}

impl std::fmt::Display for DatedRate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.line.fmt(f)
    }
}

/// A promise: in `[from, until)` this grid charges at most this price in this asset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Commitment {
    /// What the price is counted in.
    pub asset: Asset,
    /// Minor units per 2^30 octets.
    pub price: PricePerGib,
    /// The first second it covers.
    pub from: UnixSeconds,
    /// The first second it no longer covers.
    pub until: UnixSeconds,
}

impl Commitment {
    /// Whether it binds at `now`.
    pub fn binds_at(&self, now: UnixSeconds) -> bool {
        self.from <= now && now < self.until
    }

    /// Whether it binds at `now` or will later.
    pub fn is_live(&self, now: UnixSeconds) -> bool {
        self.from < self.until && now < self.until
    }

    /// Whether this promise gives, from `since` on, all that `other` gives: the same asset, no dearer, no shorter.
    pub fn covers(&self, other: &Self, since: UnixSeconds) -> bool {
        self.asset == other.asset
            && self.price <= other.price
            && self.from <= other.from.max(since)
            && self.until >= other.until
    }
}

/// Why a rate line is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RateError {
    /// A price above [`PricePerGib::MAX`].
    #[error("price {0} is more than 2^63 - 1")]
    PriceTooLarge(PricePerGib),
    /// `XXX` with a price.
    #[error("asset XXX means free: its price is 0, not {0}")]
    FreeWithPrice(PricePerGib),
    /// A date beyond the year 9999, or the very first second.
    #[error("{0} is not within {min} to {max}", min = UnixSeconds(1), max = UnixSeconds::MAX)]
    Date(UnixSeconds),
    /// The commitment ends before the price takes effect.
    #[error("committed until {until}, but the price begins only on {from}")]
    EndsBeforeBeginning {
        /// When the price takes effect.
        from: UnixSeconds,
        /// When the commitment ends.
        until: UnixSeconds,
    },
    /// The next price does not come after this one.
    #[error("the next price begins on {next}, which is not after {from}, when this one does")]
    NextTooEarly {
        /// When the next price begins.
        next: UnixSeconds,
        /// When this one begins.
        from: UnixSeconds,
    },
    /// The next price is higher and begins while this one is promised.
    #[error("the next price is higher and begins on {next}, before the commitment ends on {until}")]
    RiseWithinCommitment {
        /// When the next price begins.
        next: UnixSeconds,
        /// When the commitment ends.
        until: UnixSeconds,
    },
    /// A date that says what its absence says.
    #[error("`{0}` says what its absence says: leave it out")]
    Redundant(&'static str),
    /// The commitment ended before the record was issued.
    #[error("the commitment ends on {until}, and the record is issued on {issued_at}")]
    Ended {
        /// When the commitment ends.
        until: UnixSeconds,
        /// When the record is issued.
        issued_at: UnixSeconds,
    },
    /// The commitment is longer than [`MAX_COMMITMENT`].
    #[error("committed until {until}, and {latest} is the latest date allowed (400 days after issue)")]
    TooLong {
        /// When the commitment ends.
        until: UnixSeconds,
        /// The latest date allowed.
        latest: UnixSeconds,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: fn(u64) -> UnixSeconds = UnixSeconds;

    fn usd() -> Asset {
        Asset::from_code("USD").expect("known")
    }

    fn line(
        price: u64,
        from: Option<u64>,
        until: Option<u64>,
        next: Option<(u64, u64)>,
    ) -> Result<RateLine, RateError> {
        let next = next.map(|(price, at)| NextPrice { price: PricePerGib(price), not_before: T(at) });
        RateLine::new(usd(), PricePerGib(price), from.map(T), until.map(T), next)
    }

    #[test]
    fn a_line_must_not_contradict_itself() {
        assert_eq!(line(1, Some(6), Some(5), None), Err(RateError::EndsBeforeBeginning { from: T(6), until: T(5) }));
        assert_eq!(line(1, Some(5), None, Some((1, 5))), Err(RateError::NextTooEarly { next: T(5), from: T(5) }));
        assert_eq!(
            line(1, None, Some(10), Some((2, 9))),
            Err(RateError::RiseWithinCommitment { next: T(9), until: T(10) })
        );
        assert!(line(2, None, Some(10), Some((1, 9))).is_ok(), "a lower price may come early");
        assert!(line(1, None, Some(10), Some((2, 10))).is_ok());
        assert_eq!(line(1 << 63, None, None, None), Err(RateError::PriceTooLarge(PricePerGib(1 << 63))));
        let next = Some(NextPrice { price: PricePerGib(1), not_before: T(9) });
        assert_eq!(
            RateLine::new(Asset::FREE, PricePerGib(0), None, None, next),
            Err(RateError::FreeWithPrice(PricePerGib(1)))
        );
        assert!(matches!(line(1, None, Some(u64::MAX), None), Err(RateError::Date(_))));
        assert_eq!(line(1, Some(0), None, None), Err(RateError::Date(T(0))));
    }

    #[test]
    fn the_record_dates_what_the_line_leaves_open() {
        let rate = line(5, None, None, None).and_then(|line| line.dated(T(100), T(200))).expect("plain");
        assert_eq!(rate.commitment(), Commitment { asset: usd(), price: PricePerGib(5), from: T(100), until: T(200) });
        assert_eq!(rate.price_at(T(99)), None);
        assert_eq!(rate.price_at(T(100)), Some(PricePerGib(5)));
    }

    #[test]
    fn a_line_must_not_contradict_its_record() {
        let dated = |line: Result<RateLine, RateError>| line.expect("line").dated(T(100), T(200)).map(drop);
        assert_eq!(dated(line(1, Some(100), None, None)), Err(RateError::Redundant("not_before")));
        assert_eq!(dated(line(1, None, Some(200), None)), Err(RateError::Redundant("committed_until")));
        assert_eq!(dated(line(1, None, Some(100), None)), Err(RateError::Ended { until: T(100), issued_at: T(100) }));
        assert_eq!(
            dated(line(1, None, None, Some((1, 100)))),
            Err(RateError::NextTooEarly { next: T(100), from: T(100) })
        );
        assert_eq!(
            dated(line(1, None, None, Some((2, 199)))),
            Err(RateError::RiseWithinCommitment { next: T(199), until: T(200) })
        );
        assert_eq!(dated(line(1, None, None, Some((2, 200)))), Ok(()));
        let latest = T(100).plus(MAX_COMMITMENT);
        assert_eq!(dated(line(1, None, Some(latest.0), None)), Ok(()));
        let until = latest.plus(Seconds(1));
        assert_eq!(dated(line(1, None, Some(until.0), None)), Err(RateError::TooLong { until, latest }));
    }

    #[test]
    fn the_next_price_takes_over() {
        let rate = line(5, None, Some(150), Some((9, 150))).and_then(|line| line.dated(T(100), T(200))).expect("plain");
        assert_eq!(rate.price_at(T(149)), Some(PricePerGib(5)));
        assert_eq!(rate.price_at(T(150)), Some(PricePerGib(9)));
    }

    #[test]
    fn issuing_carries_out_what_has_come_to_pass() {
        let issued = |line: Result<RateLine, RateError>, at: u64| line.expect("line").as_issued(T(at), T(at + 100));
        let rise = line(5, Some(50), Some(150), Some((9, 150)));
        assert_eq!(Ok(issued(rise, 60)), line(5, None, Some(150), Some((9, 150))));
        assert_eq!(Ok(issued(rise, 150)), line(9, None, None, None));
        assert_eq!(Ok(issued(line(5, None, Some(90), None), 100)), line(5, None, None, None));
        assert_eq!(Ok(issued(line(5, None, Some(200), None), 100)), line(5, None, None, None), "the default");
        assert_eq!(Ok(issued(line(5, None, None, Some((9, 150))), 100)), line(5, None, Some(150), Some((9, 150))));
        assert_eq!(Ok(issued(line(5, None, None, Some((9, 250))), 100)), line(5, None, None, Some((9, 250))));
        assert_eq!(Ok(issued(line(5, None, None, Some((4, 150))), 100)), line(5, None, None, Some((4, 150))));
    }

    #[test]
    fn a_promise_covers_what_it_is_no_worse_than() {
        let promise =
            |price, from, until| Commitment { asset: usd(), price: PricePerGib(price), from: T(from), until: T(until) };
        let old = promise(5, 100, 200);
        assert!(promise(5, 150, 200).covers(&old, T(150)));
        assert!(promise(4, 150, 201).covers(&old, T(150)));
        assert!(!promise(6, 150, 200).covers(&old, T(150)), "dearer");
        assert!(!promise(5, 150, 199).covers(&old, T(150)), "shorter");
        assert!(!promise(5, 151, 200).covers(&old, T(150)), "later");
        assert!(!Commitment { asset: Asset::FREE, ..old }.covers(&old, T(150)));
    }
}
