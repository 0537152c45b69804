//! What a data directory holds of a grid, answered without a node: nothing is started and nobody is asked.

use crate::clock::Clock;
use crate::config::{FileError, Home};
use crate::keys::GridId;
use crate::record::{Floor, GridRecord};
use crate::resolver::at_hand::{answer, usable, why_unusable};
use crate::resolver::question::{Answer, ResolveError};
use crate::resolver::succession::Chain;
use crate::store::{Floors, StoreReader};

/// What is at hand in a data directory that this process has taken.
#[derive(Debug)]
pub struct AtHand {
    floors: Floors,
    store: StoreReader,
    clock: Clock,
}

impl AtHand {
    /// What is at hand in `home`.
    pub fn open(home: &Home, store: StoreReader, clock: Clock) -> Result<Self, FileError> {
        Ok(Self { floors: Floors::open(home)?, store, clock })
    }

    /// Answers a question of the policy `cached`, following successors as [`Resolver`](crate::resolver::Resolver) does.
    pub fn resolve(&self, grid: GridId) -> Result<Answer, ResolveError> {
        let mut answer = self.resolve_in_place(grid)?;
        let mut chain = Chain::new(grid);
        loop {
            let floor = self.floors.of(answer.record.grid(), self.clock.now())?;
            let Some(successor) = chain.onward(&answer, floor.as_ref())? else { return Ok(answer) };
            answer = chain.arrived(&answer, successor, self.resolve_in_place(successor))?;
        }
    }

    /// Answers it with the record of that very grid, wherever it says that it has moved.
    pub fn resolve_in_place(&self, grid: GridId) -> Result<Answer, ResolveError> {
        let now = self.clock.now();
        let floor = self.floors.of(&grid, now)?;
        if floor.as_ref().is_some_and(Floor::withdrawn) {
            return Err(ResolveError::Withdrawn { grid });
        }
        let row = self.store.row(&grid, now);
        let Some(row) = usable(row.as_ref(), floor.as_ref(), now) else {
            return Err(why_unusable(grid, row.as_ref(), floor.as_ref(), now));
        };
        let record = GridRecord::read(row.record.clone()).map_err(|source| ResolveError::Upgrade { grid, source })?;
        self.floors.raise(&record, now)?;
        if record.signed().withdrawn() {
            return Err(ResolveError::Withdrawn { grid });
        }
        let evidence = row.evidence.against(Some(&record), now);
        Ok(answer(record, row.confirmed_at, evidence, now))
    }
}
