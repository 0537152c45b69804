//! Whether it is too late for a voucher of a lane, by what the books have of its terms.

use crate::ledger::{Ledger, LedgerError};
use crate::signed::ObjectType;
use crate::tariff::lane::is_too_late;
use crate::tariff::wire::{LaneOpenBody, Terms};
use crate::units::UnixSeconds;

/// Whether nobody takes a voucher of this lane any more at `now`.
pub(super) async fn is_over(ledger: &Ledger, lane: &LaneOpenBody, now: UnixSeconds) -> Result<bool, LedgerError> {
    if now <= lane.not_after {
        return Ok(false);
    }
    let dispute = match lane.terms {
        Some(identity) => {
            let papers = ledger.papers(&[identity]).await?;
            let terms = papers.iter().find(|(_, kind, _)| kind == ObjectType::Terms.name());
            terms.and_then(|(_, _, bytes)| Terms::from_bytes(bytes).ok()).map(|terms| terms.body().dispute)
        }
        None => None,
    };
    Ok(is_too_late(lane.not_after, dispute, now))
}
