//! Following a grid that has moved, one move after the other, as far as each is vouched for.

use crate::keys::GridId;
use crate::record::{Floor, MoveFault, heir_of, moved_to};
use crate::resolver::question::{Answer, ResolveError};
use std::error::Error;

/// How many moves are followed one after the other. An honest grid moves once in years.
const MAX_MOVES: usize = 4;

/// The grids passed so far.
#[derive(Debug)]
pub(crate) struct Chain(Vec<GridId>);

/// Why a move is not followed.
#[derive(Debug, thiserror::Error)]
pub enum MoveRefusal {
    /// The key was not announced, or two were, or the successor does not own up to it.
    #[error(transparent)]
    Unvouched(#[from] MoveFault),
    /// The successors go round.
    #[error("the successors go round in a circle")]
    Circle,
    /// More than four moves.
    #[error("more than {MAX_MOVES} moves in a row")]
    TooMany,
    /// The successor has no record that can be had now.
    #[error("its own record cannot be had")]
    Unresolved(#[source] Box<dyn Error + Send + Sync>),
}

impl Chain {
    /// A chain that begins with the grid that was asked for.
    pub(crate) fn new(grid: GridId) -> Self {
        Self(vec![grid])
    }

    /// Where to go on from `answer`; `None` if its grid has not moved. The floor is the one that the answer raised.
    pub(crate) fn onward(&mut self, answer: &Answer, floor: Option<&Floor>) -> Result<Option<GridId>, ResolveError> {
        let record = &answer.record;
        let Some(successor) = record.successor().copied() else { return Ok(None) };
        let refused = |refusal| ResolveError::Moved { grid: *record.grid(), successor, source: Box::new(refusal) };
        let vouched = match floor {
            Some(floor) => moved_to(record, floor).unwrap_or(Ok(&successor)).map(drop),
            None => Err(MoveFault::NotAnnounced { successor }),
        };
        vouched.map_err(|fault| refused(fault.into()))?;
        if self.0.contains(&successor) {
            return Err(refused(MoveRefusal::Circle));
        }
        if self.0.len() > MAX_MOVES {
            return Err(refused(MoveRefusal::TooMany));
        }
        self.0.push(successor);
        Ok(Some(successor))
    }

    /// The answer at the end of a move from `from`, if what was found there owns up to it.
    pub(crate) fn arrived<E: Into<Box<dyn Error + Send + Sync>>>(
        &self,
        from: &Answer,
        successor: GridId,
        found: Result<Answer, E>,
    ) -> Result<Answer, ResolveError> {
        let refused = |refusal| ResolveError::Moved { grid: *from.record.grid(), successor, source: Box::new(refusal) };
        let heir = found.map_err(|error| refused(MoveRefusal::Unresolved(error.into())))?;
        heir_of(&from.record, &heir.record).map_err(|fault| refused(fault.into()))?;
        Ok(Answer { moved_from: self.0.first().copied(), ..heir })
    }
}
