//! The queries under way, one for each grid, and no more of them at once than the network and this machine should bear.

use crate::keys::GridId;
use crate::resolver::query::{Parts, Query, Waiter};
use crate::resolver::question::ResolveError;
use crate::resolver::repair::repair;
use crate::resolver::tally::Tally;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

/// How many queries are under way at once: each has up to ten questions open.
const MAX_QUERIES: usize = 128;
/// How many questions may wait for one of those to end; one more is told to come back.
const MAX_WAITING: usize = 1_024;

/// The table.
#[derive(Debug)]
pub(crate) struct Table {
    queries: Mutex<HashMap<GridId, Arc<Query>>>,
    places: Arc<Semaphore>,
    waiting: Semaphore,
}

impl Default for Table {
    fn default() -> Self {
        Self {
            queries: Mutex::default(),
            places: Arc::new(Semaphore::new(MAX_QUERIES)),
            waiting: Semaphore::new(MAX_WAITING),
        }
    }
}

impl Table {
    /// Joins the query for a grid that is under way, or begins one with `tally`. Waits for a free place until the deadline.
    pub(crate) async fn join(
        self: &Arc<Self>,
        parts: &Parts,
        grid: GridId,
        wants_fresh: bool,
        tally: Tally,
        deadline: Instant,
    ) -> Result<Waiter, ResolveError> {
        let place = {
            let queries = self.queries();
            if let Some(query) = queries.get(&grid).filter(|query| query.takes(wants_fresh)) {
                return Ok(query.join(wants_fresh));
            }
            Arc::clone(&self.places).try_acquire_owned().ok()
        };
        let place = match place {
            Some(place) => place,
            None => {
                let _patience = self.waiting.try_acquire().map_err(|_| ResolveError::Busy)?;
                self.make_room();
                let place = timeout_at(deadline, Arc::clone(&self.places).acquire_owned()).await;
                place.map_err(|_| ResolveError::Busy)?.map_err(|_| ResolveError::Busy)?
            }
        };
        let mut queries = self.queries();
        // Somebody else may have begun it while we waited for a place.
        if let Some(query) = queries.get(&grid).filter(|query| query.takes(wants_fresh)) {
            return Ok(query.join(wants_fresh));
        }
        let query = Arc::new(Query::new());
        let waiter = query.join(wants_fresh);
        queries.insert(grid, Arc::clone(&query));
        let under_way = UnderWay { table: Arc::clone(self), grid, query: Arc::clone(&query) };
        let parts = parts.clone();
        let task = tokio::spawn(async move {
            let tally = under_way.query.run(&parts, tally, grid).await;
            drop(under_way);
            repair(&parts, &tally).await;
            drop(place);
        });
        let _ = query.task.set(task.abort_handle());
        Ok(waiter)
    }

    /// Ends one query that only runs on for others' sake: somebody waits for an answer.
    fn make_room(&self) {
        if let Some(task) = self.queries().values().filter(|query| query.runs_on()).find_map(|query| query.task.get()) {
            task.abort();
        }
    }

    /// Nothing that is done under this lock can panic.
    fn queries(&self) -> MutexGuard<'_, HashMap<GridId, Arc<Query>>> {
        self.queries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A query's place in the table, given up when it ends, however it ends.
struct UnderWay {
    table: Arc<Table>,
    grid: GridId,
    query: Arc<Query>,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut queries = self.table.queries();
        if queries.get(&self.grid).is_some_and(|query| Arc::ptr_eq(query, &self.query)) {
            queries.remove(&self.grid);
        }
        self.query.end();
    }
}
