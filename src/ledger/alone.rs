//! One at a time over all processes that write the same books: what is looked at holds until what follows from it is written.

use crate::ledger::error::LedgerError;
use crate::ledger::location::Location;
use sqlx::{Any, AnyPool, Executor, Transaction};

/// Any number will do that no other program takes in the same database, but that of the writers: they go on meanwhile.
const ALONE: &str = "SELECT pg_advisory_xact_lock(7813001543)";
/// A process that is stopped in the middle lets the others go on when its connection ends, and these say so until then.
const PATIENCE: &str = "SET LOCAL lock_timeout = '30s'";

/// Nobody else has one of the same books while it is held.
#[derive(Debug)]
pub struct Alone {
    /// Its end gives the others their turn. A file has one process, and needs none.
    _turn: Option<Transaction<'static, Any>>,
}

impl Alone {
    pub(super) async fn at(location: &Location, pool: &AnyPool) -> Result<Self, LedgerError> {
        if matches!(location, Location::Sqlite(_)) {
            return Ok(Self { _turn: None });
        }
        let failed = LedgerError::of(location);
        let mut turn = pool.begin().await.map_err(&failed)?;
        turn.execute(PATIENCE).await.map_err(&failed)?;
        turn.execute(ALONE).await.map_err(&failed)?;
        Ok(Self { _turn: Some(turn) })
    }
}
