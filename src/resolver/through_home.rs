//! A client's questions: its home gateway looks, and what it gives is verified here.
//!
//! The home is trusted to look, not to tell the truth: a record is signed by its grid, never goes below the floor here, and a
//! move is followed only if the floor vouches for it. What a home can do is withhold.

use crate::clock::Clock;
use crate::config::{FileError, Home};
use crate::keys::GridId;
use crate::peer::{Freshness, GatewayClient, GivenRecord, PeerError};
use crate::record::{Evidence, Floor, TimeFault};
use crate::resolver::question::{Answer, Policy, Question, ResolveError, Source};
use crate::resolver::succession::Chain;
use crate::store::Floors;
use tokio::time::{Instant, timeout_at};

/// Resolves through a home gateway.
#[derive(Debug)]
pub struct ThroughHome {
    client: GatewayClient,
    floors: Floors,
    clock: Clock,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    /// The home does not give one.
    #[error(transparent)]
    Home(#[from] PeerError),
    /// What it gives is not to be acted on.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// It gives a record of the future: its clock or this one is wrong.
    #[error("the record that the home gateway gives")]
    Time(#[from] TimeFault),
}

impl ThroughHome {
    /// Asks `client`, with the floors of `home`.
    pub fn open(client: GatewayClient, home: &Home, clock: Clock) -> Result<Self, FileError> {
        Ok(Self { client, floors: Floors::open(home)?, clock })
    }

    /// Answers `question`, following successors as [`Resolver`](crate::resolver::Resolver) does. Dropping the future is safe: no
    /// floor is half raised.
    pub async fn resolve(&self, question: Question) -> Result<Answer, HomeError> {
        let deadline = Instant::now() + question.deadline;
        let mut answer = self.one(question.grid, question, deadline).await?;
        let mut chain = Chain::new(question.grid);
        loop {
            let floor = self.floor(answer.record.grid())?;
            let Some(successor) = chain.onward(&answer, floor.as_ref())? else { return Ok(answer) };
            let found = match self.one(successor, question, deadline).await {
                Ok(answer) => Ok(answer),
                Err(HomeError::Resolve(error)) => Err(error),
                Err(error) => return Err(error),
            };
            answer = chain.arrived(&answer, successor, found)?;
        }
    }

    /// Answers it with the record of that very grid, wherever it says that it has moved.
    pub async fn resolve_in_place(&self, question: Question) -> Result<Answer, HomeError> {
        self.one(question.grid, question, Instant::now() + question.deadline).await
    }

    async fn one(&self, grid: GridId, question: Question, deadline: Instant) -> Result<Answer, HomeError> {
        if self.floor(&grid)?.as_ref().is_some_and(Floor::withdrawn) {
            // Final: nothing that anybody could say would change it.
            return Err(ResolveError::Withdrawn { grid }.into());
        }
        let freshness = match question.policy {
            Policy::Cached => Freshness::Cached,
            Policy::Fast => Freshness::Fast,
            Policy::Fresh => Freshness::Fresh,
        };
        let given = timeout_at(deadline, self.client.record(&grid, freshness)).await;
        let GivenRecord { record, evidence: proofs, age } =
            given.map_err(|_| ResolveError::TimedOut { deadline: question.deadline })??;
        let now = self.clock.now();
        match record.signed().time_fault(now) {
            None => {}
            Some(TimeFault::Expired { expires_at, .. }) => {
                return Err(ResolveError::Expired { grid, expired_at: expires_at }.into());
            }
            Some(fault) => return Err(fault.into()),
        }
        if let Some(floor) = self.floor(&grid)?.filter(|floor| !floor.admits(record.signed())) {
            return Err(ResolveError::RolledBack { grid, floor: floor.sequence() }.into());
        }
        self.floors.raise(&record, now).map_err(ResolveError::from)?;
        if record.signed().withdrawn() {
            return Err(ResolveError::Withdrawn { grid }.into());
        }
        let mut evidence = Evidence::default();
        proofs.into_iter().for_each(|proof| evidence.add(proof, now));
        // Only what the record really breaks.
        let evidence = evidence.against(Some(&record), now);
        Ok(Answer {
            record,
            source: Source::Home,
            age,
            agreeing_holders: 0,
            evidence,
            moved_from: None,
            own_node_silent: false,
        })
    }

    fn floor(&self, grid: &GridId) -> Result<Option<Floor>, ResolveError> {
        Ok(self.floors.of(grid, self.clock.now())?)
    }
}
