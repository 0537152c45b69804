//! What a holder does with a record that is offered to it.

use super::error::RecordError;
use super::evidence::outlasts;
use super::grid_record::GridRecord;
use super::signed_record::SignedRecord;
use super::time::TimeFault;
use crate::keys::GridId;
use crate::units::UnixSeconds;

/// The true answer to an offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Taken: it is the newest that this holder knows.
    Stored,
    /// Had already: the same record.
    Held,
    /// A newer one is held; here it is. It may have expired since, and then shows only that the offer is out of date.
    Stale(SignedRecord),
    /// Not a record of this grid, or dated in the future.
    Bad(RecordError),
    /// Valid once.
    Expired,
    /// Too many octets for a record of its kind.
    TooBig,
    /// Could not be looked at now. Never given by [`judge`], which has no load.
    Busy,
}

/// A verdict and what follows from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// What the offering side is told.
    pub verdict: Verdict,
    /// The record to store in place of the one held.
    pub store: Option<SignedRecord>,
    /// The record, replaced or refused as out of date, that promises what the one now held does not: to be kept with the
    /// [`Evidence`](super::Evidence).
    pub evidence: Option<GridRecord>,
}

impl Judgement {
    fn of(verdict: Verdict) -> Self {
        Self { verdict, store: None, evidence: None }
    }
}

/// What a holder of `held` does when `offered` comes for `grid`.
///
/// Whatever the order and number of offers, the record held in the end is the newest of them.
pub fn judge(held: Option<&SignedRecord>, offered: &[u8], grid: &GridId, now: UnixSeconds) -> Judgement {
    let held = held.filter(|held| held.grid() == grid);
    let offered = match SignedRecord::from_bytes(offered, grid) {
        Ok(offered) => offered,
        Err(RecordError::TooBig { .. }) => return Judgement::of(Verdict::TooBig),
        Err(error) => return Judgement::of(Verdict::Bad(error)),
    };
    match offered.time_fault(now) {
        Some(TimeFault::Expired { .. }) => {
            let evidence = evidence_of(&offered, held, now);
            return Judgement { verdict: Verdict::Expired, store: None, evidence };
        }
        Some(fault) => return Judgement::of(Verdict::Bad(fault.into())),
        None => {}
    }
    match held {
        None => Judgement { verdict: Verdict::Stored, store: Some(offered), evidence: None },
        Some(held) if offered.identity() == held.identity() => Judgement::of(Verdict::Held),
        Some(held) if offered.supersedes(held) => {
            let evidence = evidence_of(held, Some(&offered), now);
            Judgement { verdict: Verdict::Stored, store: Some(offered), evidence }
        }
        Some(held) => {
            let evidence = evidence_of(&offered, Some(held), now);
            Judgement { verdict: Verdict::Stale(held.clone()), store: None, evidence }
        }
    }
}

/// `older`, if it can be read and promises what `current` does not.
fn evidence_of(older: &SignedRecord, current: Option<&SignedRecord>, now: UnixSeconds) -> Option<GridRecord> {
    let older = GridRecord::read(older.clone()).ok()?;
    // A current record that this program cannot read counts as promising nothing: the older one is kept.
    let current = current.and_then(|current| GridRecord::read(current.clone()).ok());
    outlasts(&older, current.as_ref(), now).then_some(older)
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{DAY, NOW, grid, grid_key, hand_made, key, other_grid, rate, with_rates};
    use super::super::{CLOCK_TOLERANCE, RecordDraft, Signer};
    use super::*;
    use crate::units::Seconds;
    use proptest::prelude::*;

    fn verdict(held: Option<&GridRecord>, offered: &[u8], now: UnixSeconds) -> Verdict {
        judge(held.map(GridRecord::signed), offered, &grid(), now).verdict
    }

    #[test]
    fn an_offer_gets_its_true_verdict() {
        let old = with_rates(&["free"], NOW);
        let new = with_rates(&["free"], NOW.plus(DAY));
        let now = NOW.plus(DAY);
        assert_eq!(verdict(None, old.signed().bytes(), now), Verdict::Stored);
        assert_eq!(verdict(Some(&old), new.signed().bytes(), now), Verdict::Stored);
        assert_eq!(verdict(Some(&new), new.signed().bytes(), now), Verdict::Held);
        assert_eq!(verdict(Some(&new), old.signed().bytes(), now), Verdict::Stale(new.signed().clone()));
        assert_eq!(verdict(None, old.signed().bytes(), NOW.plus(Seconds::days(7))), Verdict::Expired);
        assert_eq!(verdict(None, &[0; 996], now), Verdict::TooBig);
        assert_eq!(verdict(None, &[], now), Verdict::Bad(RecordError::Empty { object: "record" }));
        let early = NOW.minus(CLOCK_TOLERANCE).minus(Seconds(1));
        assert!(matches!(verdict(None, old.signed().bytes(), early), Verdict::Bad(RecordError::Time(_))));
    }

    #[test]
    fn what_is_held_of_another_grid_does_not_count() {
        let foreign = RecordDraft::new(other_grid(9));
        let foreign = foreign.sign(Signer::Grid { key: &key(9), serial: NOW }, None, &[], NOW).expect("signed");
        let offered = with_rates(&["free"], NOW);
        assert_eq!(verdict(Some(&foreign), offered.signed().bytes(), NOW), Verdict::Stored);
    }

    #[test]
    fn what_only_a_newer_version_can_read_is_stored() {
        let later = hand_made(|map| map.uint(17, 0));
        assert_eq!(verdict(None, &later, NOW), Verdict::Stored);
    }

    #[test]
    fn a_broken_promise_is_kept_whichever_record_comes_first() {
        let promised = with_rates(&["0.02 USD/GiB until 2027-06-01"], NOW);
        let breach = with_rates(&["0.03 USD/GiB"], NOW.plus(DAY));
        let now = NOW.plus(DAY);
        let forth = judge(Some(promised.signed()), breach.signed().bytes(), &grid(), now);
        assert_eq!(forth.evidence, Some(promised.clone()));
        let back = judge(Some(breach.signed()), promised.signed().bytes(), &grid(), now);
        assert_eq!((back.store, back.evidence), (None, Some(promised.clone())));
        let later = NOW.plus(Seconds::days(7));
        let expired = judge(None, promised.signed().bytes(), &grid(), later);
        assert_eq!((expired.verdict, expired.evidence), (Verdict::Expired, Some(promised.clone())));
        let over = judge(None, promised.signed().bytes(), &grid(), rate_end());
        assert_eq!((over.verdict, over.evidence), (Verdict::Expired, None));
        let kept = with_rates(&["0.02 USD/GiB until 2027-06-01"], NOW.plus(DAY));
        let kept = judge(Some(promised.signed()), kept.signed().bytes(), &grid(), now);
        assert_eq!((kept.verdict, kept.evidence), (Verdict::Stored, None));
    }

    fn rate_end() -> UnixSeconds {
        rate("free until 2027-06-01").committed_until().expect("a date")
    }

    fn offers() -> impl Strategy<Value = Vec<(u64, u64, bool, u64)>> {
        proptest::collection::vec((0..2u64, 0..4u64, any::<bool>(), 0..3u64), 1..6)
    }

    proptest! {
        #[test]
        fn any_order_of_offers_ends_with_the_newest(offers in offers(), order in proptest::collection::vec(any::<usize>(), 12)) {
            let records: Vec<GridRecord> = offers.iter().map(|(serial, at, withdrawn, name)| {
                let nickname = (!withdrawn && *name > 0).then(|| name.to_string().parse().expect("a name"));
                let draft = RecordDraft { withdrawn: *withdrawn, nickname, ..RecordDraft::new(grid()) };
                let signer = Signer::Grid { key: &grid_key(), serial: UnixSeconds(NOW.0 + serial) };
                draft.sign(signer, None, &[], UnixSeconds(NOW.0 + at)).expect("signed")
            }).collect();
            let end = |order: &mut dyn Iterator<Item = usize>| {
                let mut held: Option<SignedRecord> = None;
                for index in order {
                    let judgement = judge(held.as_ref(), records[index % records.len()].signed().bytes(), &grid(), NOW);
                    held = judgement.store.or(held);
                }
                held.map(|held| held.identity())
            };
            let straight = end(&mut (0..records.len()));
            // Any order at first, some of them twice, and each of them once.
            prop_assert_eq!(end(&mut order.into_iter().chain(0..records.len())), straight);
            prop_assert_eq!(end(&mut (0..records.len()).rev()), straight);
            let newest = records.iter().find(|record| !records.iter().any(|other| other.signed().supersedes(record.signed())));
            prop_assert_eq!(newest.map(|record| record.signed().identity()), straight);
        }
    }
}
