//! A question carried out: floor, what is at hand, then the query.

use crate::address::PrivateAddresses;
use crate::clock::Clock;
use crate::config::FileError;
use crate::dht::Dht;
use crate::keys::GridId;
use crate::record::{Floor, GridRecord, SignedRecord};
use crate::resolver::absent::Absent;
use crate::resolver::at_hand::{answer, usable, why_unusable};
use crate::resolver::own_nodes::OwnNode;
use crate::resolver::query::{Parts, Progress};
use crate::resolver::question::{Answer, Policy, Question, ResolveError};
use crate::resolver::succession::Chain;
use crate::resolver::table::Table;
use crate::resolver::tally::Tally;
use crate::store::{FloorFileError, Floors, Row};
use crate::units::{Seconds, UnixSeconds};
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;
use tracing::debug;

/// For how long a copy is believed without asking again, unless this node holds the whole network's records and hears of
/// every change.
const COPY_BELIEVED: Seconds = Seconds::minutes(10);
/// How long `fast` asks around before it takes a copy that is at hand and still current.
const AT_HAND_PATIENCE: Duration = Duration::from_secs(2);

/// Answers questions. Cheap to clone; all clones share floors and queries.
#[derive(Debug, Clone)]
pub struct Resolver {
    parts: Parts,
    table: Arc<Table>,
    absent: Arc<Mutex<Absent>>,
}

impl Resolver {
    /// A resolver over `dht`, whose reader has these floors.
    pub fn new(dht: Dht, clock: Clock, private: PrivateAddresses, floors: Floors) -> Self {
        Self {
            parts: Parts { dht, clock, private, floors: Arc::new(floors) },
            table: Arc::default(),
            absent: Arc::default(),
        }
    }

    /// Answers `question`, following successors. Dropping the future is safe: no floor is half raised, and whoever shares
    /// the query keeps it.
    pub async fn resolve(&self, question: Question) -> Result<Answer, ResolveError> {
        self.counted(self.follow(question)).await
    }

    /// Answers `question` with the record of that very grid, wherever it says that it has moved.
    pub async fn resolve_in_place(&self, question: Question) -> Result<Answer, ResolveError> {
        self.counted(self.one(question, Instant::now() + question.deadline)).await
    }

    /// Whether two different keys were announced to follow `grid`'s.
    pub async fn is_contested(&self, grid: &GridId) -> bool {
        self.floor(grid).is_ok_and(|floor| floor.is_some_and(|floor| floor.contested()))
    }

    /// Writes the floors that a full disk did not take. Returns why not, if not.
    pub async fn write_floors(&self) -> Option<String> {
        let floors = Arc::clone(&self.parts.floors);
        tokio::task::spawn_blocking(move || floors.catch_up()).await.ok().flatten()
    }

    async fn counted(&self, asked: impl Future<Output = Result<Answer, ResolveError>>) -> Result<Answer, ResolveError> {
        let started = Instant::now();
        let outcome = asked.await;
        match &outcome {
            Ok(answer) => self.parts.dht.metrics().resolved(answer.source.name(), started.elapsed()),
            Err(error) => self.parts.dht.metrics().unresolved(error.name()),
        }
        outcome
    }

    async fn follow(&self, question: Question) -> Result<Answer, ResolveError> {
        let deadline = Instant::now() + question.deadline;
        let mut answer = self.one(question, deadline).await?;
        let mut chain = Chain::new(question.grid);
        while answer.record.successor().is_some() {
            let floor = self.floor(answer.record.grid())?;
            let Some(grid) = chain.onward(&answer, floor.as_ref())? else { break };
            let found = self.one(Question { grid, ..question }, deadline).await;
            answer = chain.arrived(&answer, grid, found)?;
        }
        Ok(answer)
    }

    async fn one(&self, question: Question, deadline: Instant) -> Result<Answer, ResolveError> {
        let Question { grid, policy, .. } = question;
        let now = self.parts.clock.now();
        let floor = self.floor(&grid)?;
        if floor.as_ref().is_some_and(Floor::withdrawn) {
            // Final: nothing that anybody could say would change it.
            return Err(ResolveError::Withdrawn { grid });
        }
        let row = self.parts.dht.row(&grid).await;
        let at_hand = usable(row.as_ref(), floor.as_ref(), now);
        if let Some(row) = at_hand
            && self.believes(row, policy, now).await
        {
            return self.accept_held(row).await;
        }
        match policy {
            Policy::Cached => return Err(why_unusable(grid, row.as_ref(), floor.as_ref(), now)),
            Policy::Fast if row.is_none() && floor.is_none() => {
                if let Some((asked, age)) = self.absent().of(&grid, now) {
                    return Err(ResolveError::NotFound { grid, asked, age });
                }
            }
            Policy::Fast | Policy::Fresh => {}
        }
        if at_hand.is_none() && self.parts.dht.is_alone().await {
            // Then this node is the whole network.
            return Err(why_unusable(grid, row.as_ref(), floor.as_ref(), now));
        }
        let deadline = match policy {
            Policy::Fast if at_hand.is_some() => deadline.min(Instant::now() + AT_HAND_PATIENCE),
            _ => deadline,
        };
        let progress = self.ask_around(question, floor.clone(), at_hand, deadline).await;
        let concluded = match progress {
            Ok(progress) => self.conclude(question, progress, floor.is_some()).await,
            Err(busy) => Err(busy),
        };
        match (concluded, at_hand) {
            // The network is out of reach, or nobody else has it; what is at hand is still signed and current.
            (
                Err(
                    ResolveError::Unreachable { .. }
                    | ResolveError::TimedOut { .. }
                    | ResolveError::Busy
                    | ResolveError::NotFound { .. }
                    | ResolveError::Expired { .. }
                    | ResolveError::Ahead { .. }
                    | ResolveError::RolledBack { .. },
                ),
                Some(row),
            ) if policy == Policy::Fast => self.accept_held(row).await,
            (concluded, _) => concluded,
        }
    }

    /// Whether a copy may be answered without asking. Whoever sent it chose when, and might send the same old one for ever:
    /// so it counts when *we* asked last, or that we compare the whole book with others.
    async fn believes(&self, row: &Row, policy: Policy, now: UnixSeconds) -> bool {
        let asked_lately = row.asked_at <= now && now.since(row.asked_at) < COPY_BELIEVED;
        match policy {
            Policy::Cached => true,
            Policy::Fast => asked_lately || self.parts.dht.holds_whole_network() || self.parts.dht.is_alone().await,
            // Then everybody has been asked.
            Policy::Fresh => self.parts.dht.is_alone().await,
        }
    }

    async fn ask_around(
        &self,
        question: Question,
        floor: Option<Floor>,
        at_hand: Option<&Row>,
        deadline: Instant,
    ) -> Result<Progress, ResolveError> {
        let mut tally = Tally::new(question.grid, floor);
        if let Some(row) = at_hand {
            tally.own(row.record.clone());
        }
        let wants_fresh = question.policy == Policy::Fresh;
        let waiter = self.table.join(&self.parts, question.grid, wants_fresh, tally, deadline).await?;
        Ok(if wants_fresh { waiter.newest(deadline).await } else { waiter.first(deadline).await })
    }

    /// What a query's progress is to a question.
    async fn conclude(
        &self,
        question: Question,
        progress: Progress,
        was_seen_before: bool,
    ) -> Result<Answer, ResolveError> {
        let Question { grid, policy, deadline } = question;
        let fresh = policy == Policy::Fresh;
        if progress.answered == 0 {
            return Err(ResolveError::Unreachable { tried: progress.silent });
        }
        if fresh && !progress.complete && !progress.is_broad() {
            return Err(ResolveError::TimedOut { deadline });
        }
        // Our own copy, though nobody else has one, counts for `fresh` once everybody was asked.
        if let (Some(record), Some(source)) = (progress.best, progress.source)
            && (progress.holders > 0 || fresh)
        {
            let own_node_silent = fresh && matches!(progress.own_node, OwnNode::Silent | OwnNode::Waiting);
            let record = self.accept(record).await?;
            let evidence = self.parts.dht.evidence(&grid).await;
            let agreeing_holders = progress.holders;
            let age = Seconds(0);
            return Ok(Answer { record, source, age, agreeing_holders, evidence, moved_from: None, own_node_silent });
        }
        Err(match progress {
            Progress { rolled_back: Some(floor), .. } => ResolveError::RolledBack { grid, floor },
            Progress { expired_at: Some(expired_at), .. } => ResolveError::Expired { grid, expired_at },
            Progress { ahead: Some(source), .. } => ResolveError::Ahead { grid, source },
            Progress { complete: true, answered, .. } => {
                if !was_seen_before {
                    self.absent().note(grid, answered, self.parts.clock.now());
                }
                ResolveError::NotFound { grid, asked: answered, age: Seconds(0) }
            }
            _ => ResolveError::TimedOut { deadline },
        })
    }

    async fn accept_held(&self, row: &Row) -> Result<Answer, ResolveError> {
        let record = self.accept(row.record.clone()).await?;
        let evidence = self.parts.dht.evidence(record.grid()).await;
        Ok(answer(record, row.confirmed_at, evidence, self.parts.clock.now()))
    }

    /// Reads a record and raises the floor, so that no answer outruns its floor. A record that another question's answer has
    /// put below it meanwhile is refused.
    async fn accept(&self, record: SignedRecord) -> Result<GridRecord, ResolveError> {
        let grid = *record.grid();
        let record = GridRecord::read(record).map_err(|source| ResolveError::Upgrade { grid, source })?;
        self.parts.raise(&record).await?;
        if let Some(floor) = self.floor(&grid)?
            && !floor.admits(record.signed())
        {
            return Err(match floor.withdrawn() {
                true => ResolveError::Withdrawn { grid },
                false => ResolveError::RolledBack { grid, floor: floor.sequence() },
            });
        }
        if record.signed().withdrawn() {
            return Err(ResolveError::Withdrawn { grid });
        }
        self.absent().forget(&grid);
        Ok(record)
    }

    /// Refuses a record, shown by who speaks for its grid, that is below the floor. It raises a floor that there is; it makes
    /// none, for a stranger can show any number of grids.
    pub async fn admits_shown(&self, record: &GridRecord) -> Result<(), ResolveError> {
        if self.floor(record.grid())?.is_none() {
            return Ok(());
        }
        let record = self.accept(record.signed().clone()).await?;
        // What the floor asks for from now on is at hand here, though it has not reached those who hold it for everybody.
        let verdict = self.parts.dht.offer(record.signed()).await;
        debug!(grid = %record.grid(), ?verdict, "a grid has shown its record");
        Ok(())
    }

    fn floor(&self, grid: &GridId) -> Result<Option<Floor>, FloorFileError> {
        self.parts.floors.of(grid, self.parts.clock.now())
    }

    /// Nothing that is done under this lock can panic.
    fn absent(&self) -> std::sync::MutexGuard<'_, Absent> {
        self.absent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Parts {
    /// Raises the floor to `record`, where that is newer. On the disk when this returns; the disk is waited for elsewhere than
    /// on the threads that answer.
    pub(crate) async fn raise(&self, record: &GridRecord) -> Result<(), FloorFileError> {
        let now = self.clock.now();
        if !self.floors.rises(record, now)? {
            return Ok(());
        }
        let (floors, record) = (Arc::clone(&self.floors), record.clone());
        let raised = tokio::task::spawn_blocking(move || floors.raise(&record, now)).await;
        raised.unwrap_or_else(|_| {
            let source = io::Error::other("the program is ending");
            Err(FileError { action: "write", path: "floors".into(), source }.into())
        })
    }
}
