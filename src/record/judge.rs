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
