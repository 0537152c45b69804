//! What may be answered from our own copy, without asking anybody.

use crate::keys::GridId;
use crate::record::{Floor, GridRecord};
use crate::resolver::question::{Answer, ResolveError, Source};
use crate::store::Row;
use crate::units::{Seconds, UnixSeconds};

/// The row, if its record is current and not below the floor.
pub(crate) fn usable<'r>(row: Option<&'r Row>, floor: Option<&Floor>, now: UnixSeconds) -> Option<&'r Row> {
    row.filter(|row| row.record.time_fault(now).is_none())
        .filter(|row| floor.is_none_or(|floor| floor.admits(&row.record)))
}

/// Why nothing can be answered from what is at hand.
pub(crate) fn why_unusable(grid: GridId, row: Option<&Row>, floor: Option<&Floor>, now: UnixSeconds) -> ResolveError {
    match (row, floor) {
        (Some(row), Some(floor)) if !floor.admits(&row.record) => {
            ResolveError::RolledBack { grid, floor: floor.sequence() }
        }
        (Some(row), _) if row.record.expires_at() <= now => {
            ResolveError::Expired { grid, expired_at: row.record.expires_at() }
        }
        _ => ResolveError::NotFound { grid, asked: 0, age: Seconds(0) },
    }
}

/// The answer that a record at hand is.
pub(crate) fn answer(
    record: GridRecord,
    confirmed_at: UnixSeconds,
    evidence: Vec<GridRecord>,
    now: UnixSeconds,
) -> Answer {
    Answer {
        record,
        source: Source::Cache,
        age: now.since(confirmed_at),
        agreeing_holders: 0,
        evidence,
        moved_from: None,
        own_node_silent: false,
    }
}
