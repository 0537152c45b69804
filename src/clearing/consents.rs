//! What grids have said to a netting, by the books of one of them or of its clearing node.

use crate::keys::GridId;
use crate::ledger::{Ledger, LedgerError};
use crate::signed::ObjectType;
use crate::tariff::wire::{Consent, Revoke, Revoked};
use crate::units::UnixSeconds;
use std::collections::BTreeMap;

/// The consents to one netting that count, and those that were taken back.
#[derive(Debug, Clone, Default)]
pub struct Consents {
    /// Until when each one's word holds.
    given: BTreeMap<GridId, UnixSeconds>,
    /// Up to when each one's consents are taken back: those that are not signed later count no more, in whatever order they come.
    withdrawn: BTreeMap<GridId, UnixSeconds>,
    /// When each has signed its last one, whatever became of it.
    signed: BTreeMap<GridId, UnixSeconds>,
}

impl Consents {
    /// Those in the books to the netting of this hash, which `clearing` proposes.
    pub async fn of(ledger: &Ledger, clearing: &GridId, netting: &[u8; 32]) -> Result<Self, LedgerError> {
        let mut found = Self::default();
        for (_, _, bytes) in ledger.papers_of(ObjectType::Revoke, None, None).await? {
            let Ok(revoke) = Revoke::from_bytes(&bytes) else { continue };
            let body = revoke.body();
            if (body.kind, &body.target.0) == (Revoked::Consent, netting) {
                latest(&mut found.withdrawn, body.issuer, body.time);
            }
        }
        let papers = ledger.papers_of(ObjectType::Consent, None, Some(clearing.as_bytes())).await?;
        for consent in papers.iter().filter_map(|(_, _, bytes)| Consent::from_bytes(bytes).ok()) {
            let body = consent.body();
            if body.netting == *netting {
                latest(&mut found.signed, body.grid, body.time);
                if found.counts(&consent) {
                    latest(&mut found.given, body.grid, body.not_after);
                }
            }
        }
        Ok(found)
    }

    /// Whether a consent to this netting is not taken back; it may have ended.
    pub fn counts(&self, consent: &Consent) -> bool {
        let body = consent.body();
        self.withdrawn.get(&body.grid).is_none_or(|until| *until < body.time)
    }

    /// Until when a grid's word holds, or held.
    pub fn until(&self, grid: &GridId) -> Option<UnixSeconds> {
        self.given.get(grid).copied()
    }

    /// Whether a grid's word holds at `now`.
    pub fn holds(&self, grid: &GridId, now: UnixSeconds) -> bool {
        self.until(grid).is_some_and(|until| now < until)
    }

    /// Up to when a grid has taken its consents back.
    pub fn withdrawn(&self, grid: &GridId) -> Option<UnixSeconds> {
        self.withdrawn.get(grid).copied()
    }

    /// When a grid has signed its last consent, whatever became of it.
    pub fn signed(&self, grid: &GridId) -> Option<UnixSeconds> {
        self.signed.get(grid).copied()
    }
}

fn latest(times: &mut BTreeMap<GridId, UnixSeconds>, grid: GridId, time: UnixSeconds) {
    let kept = times.entry(grid).or_insert(time);
    *kept = time.max(*kept);
}
