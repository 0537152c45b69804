//! A question carried out: floor, what is at hand, then the walk.

use crate::address::{PrivateAddresses, dialable};
use crate::clock::Clock;
use crate::dht::message::{Body, Request, Response, WireVerdict};
use crate::dht::server::Server;
use crate::dht::walk::WIDTH;
use crate::dht::{Dht, Finding};
use crate::keys::GridId;
use crate::record::{GridRecord, RecordError, SignedRecord};
use crate::resolver::question::{Answer, Policy, Question, ResolveError, Source};
use crate::resolver::tally::{Tally, Worth};
use crate::store::Floors;
use crate::units::{Seconds, UnixSeconds};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, mpsc};
use tokio::time::{Instant, timeout_at};
use tracing::{debug, warn};

/// For how long a client believes its own copy without asking again. Servers are told of changes and believe theirs always.
const CLIENT_COPY_FRESH: Seconds = Seconds::minutes(10);
/// For how long a query runs on after its answer was given, to find a newer record and to repair stale holders.
const RUN_ON: Duration = Duration::from_secs(20);
/// How many successors are followed one after the other.
const MAX_MOVES: usize = 4;

/// Answers questions. Cheap to clone; all clones share the floors.
#[derive(Debug, Clone)]
pub struct Resolver {
    dht: Dht,
    clock: Clock,
    private: PrivateAddresses,
    holds_for_others: bool,
    floors: Arc<Mutex<Floors>>,
}

impl Resolver {
    /// A resolver over `dht`. `holds_for_others`: this node is a server, which is told of new records as they come.
    pub fn new(dht: Dht, clock: Clock, private: PrivateAddresses, holds_for_others: bool, floors: Floors) -> Self {
        Self { dht, clock, private, holds_for_others, floors: Arc::new(Mutex::new(floors)) }
    }

    /// Whether two different keys were announced to follow `grid`'s.
    pub async fn is_contested(&self, grid: &GridId) -> bool {
        self.floors.lock().await.of(grid).is_ok_and(|floor| floor.is_some_and(|floor| floor.contested()))
    }

    /// Writes the floors that a full disk did not take. Returns why not, if not.
    pub async fn write_floors(&self) -> Option<String> {
        self.floors.lock().await.catch_up().map(str::to_owned)
    }

    /// Answers `question`, following successors. Dropping the future is safe: no floor is half raised.
    pub async fn resolve(&self, question: Question) -> Result<Answer, ResolveError> {
        let started = Instant::now();
        let outcome = self.follow(question).await;
        match &outcome {
            Ok(answer) => self.dht.metrics().resolved(answer.source.name(), started.elapsed()),
            Err(error) => self.dht.metrics().unresolved(error.name()),
        }
        outcome
    }

    async fn follow(&self, question: Question) -> Result<Answer, ResolveError> {
        let deadline = Instant::now() + question.deadline;
        let mut answer = self.resolve_one(question, deadline).await?;
        let mut chain = vec![question.grid];
        while let Some(successor) = answer.record.successor().copied() {
            let grid = *answer.record.signed().grid();
            let moved = |reason| ResolveError::Moved { grid, successor, reason };
            if chain.contains(&successor) {
                return Err(moved("the successors go round in a circle"));
            }
            if chain.len() > MAX_MOVES {
                return Err(moved("too many moves in a row"));
            }
            let floor = self.floors.lock().await.of(&grid)?.copied();
            // Whoever stole the grid key could name any successor; the digest was published before that.
            match floor.and_then(|floor| floor.next().filter(|_| !floor.contested())) {
                Some(next) if next.0 == successor.digest() => {}
                Some(_) => return Err(moved("it is not the key that was announced as the next")),
                None if floor.is_some_and(|floor| floor.contested()) => {
                    return Err(moved("two different keys were announced as the next"));
                }
                None => return Err(moved("it was never announced as the next key")),
            }
            let next = Question { grid: successor, ..question };
            let next = match self.resolve_one(next, deadline).await {
                Ok(next) => next,
                Err(error) => {
                    debug!(%grid, %successor, %error, "the successor does not resolve");
                    return Err(moved("its own record cannot be found"));
                }
            };
            if next.record.predecessor() != Some(&grid) {
                return Err(moved("it does not name this grid as its predecessor"));
            }
            chain.push(successor);
            answer = Answer { moved_from: Some(question.grid), ..next };
        }
        Ok(answer)
    }

    async fn resolve_one(&self, question: Question, deadline: Instant) -> Result<Answer, ResolveError> {
        let grid = question.grid;
        let floor = self.floors.lock().await.of(&grid)?.copied();
        let now = self.clock.now();
        let row = self.dht.row(&grid).await;
        let at_hand = row
            .clone()
            .filter(|row| row.record.time_fault(now).is_none())
            .filter(|row| floor.as_ref().is_none_or(|floor| floor.admits(&row.record)));
        if let Some(row) = &at_hand {
            let believed = self.holds_for_others || now.since(row.confirmed_at) < CLIENT_COPY_FRESH;
            if question.policy == Policy::Cached || (question.policy == Policy::Fast && believed) {
                return self.accept_held(row.record.clone(), row.confirmed_at).await;
            }
        }
        if question.policy == Policy::Cached {
            return Err(match row {
                Some(row) if row.record.withdrawn() => ResolveError::Withdrawn { grid },
                Some(row) if row.record.expires_at() <= now => {
                    ResolveError::Expired { grid, expired_at: row.record.expires_at() }
                }
                _ => ResolveError::NotFound { grid, asked: 0 },
            });
        }
        let mut tally = Tally::new(grid, floor);
        if let Some(row) = &at_hand {
            // Our own copy is a candidate like any other, but no holder's word.
            tally.own(row.record.clone());
        }
        let outcome = self.ask_around(question, deadline, tally).await;
        match outcome {
            // The network is out of reach; what is at hand is still signed and current.
            Err(ResolveError::Unreachable { .. } | ResolveError::TimedOut { .. })
                if question.policy == Policy::Fast && at_hand.is_some() =>
            {
                match at_hand {
                    Some(row) => self.accept_held(row.record, row.confirmed_at).await,
                    None => outcome,
                }
            }
            outcome => outcome,
        }
    }

    async fn ask_around(
        &self,
        question: Question,
        deadline: Instant,
        mut tally: Tally,
    ) -> Result<Answer, ResolveError> {
        let grid = question.grid;
        let mut findings = self.dht.lookup(grid, WIDTH);
        let mut stale: Vec<Server> = Vec::new();
        let mut complete = false;
        loop {
            match timeout_at(deadline, findings.recv()).await {
                Err(_) => break,
                Ok(None) => {
                    complete = true;
                    break;
                }
                Ok(Some(finding)) => {
                    let worth = self.count(&mut tally, &finding);
                    if let (Finding::Answer { server, .. }, Worth::Stale | Worth::Nothing) = (finding, worth) {
                        stale.push(server);
                    }
                    if question.policy == Policy::Fast && tally.best().is_some_and(|(_, _, holders)| holders > 0) {
                        break;
                    }
                }
            }
        }
        let mut own_node_silent = false;
        if question.policy == Policy::Fresh {
            own_node_silent = !self.ask_own_nodes(&mut tally, deadline).await;
            let broad = complete || tally.is_broad();
            if !broad {
                return Err(ResolveError::TimedOut { deadline: question.deadline });
            }
        }
        let Some((record, source, holders)) = tally.best().filter(|(_, _, holders)| *holders > 0 || tally.answered > 0)
        else {
            return Err(failure(&tally, question, complete));
        };
        let record = record.clone();
        self.dht.offer(&record).await;
        self.dht.offer_evidence(grid, tally.evidence().to_vec()).await;
        let answer = self.accept(record, source, holders, Seconds(0), own_node_silent).await;
        self.run_on(tally, findings, stale);
        answer
    }

    /// Looks at one finding.
    fn count(&self, tally: &mut Tally, finding: &Finding) -> Worth {
        match finding {
            Finding::Answer { known_before, network, record, evidence, .. } => {
                let source = if *known_before { Source::Direct } else { Source::Walk };
                tally.answer(source, network.clone(), record.as_deref(), evidence, self.clock.now())
            }
            Finding::NoAnswer { server, error } => {
                debug!(peer = %server.peer, %error, "no answer");
                tally.silence();
                Worth::Nothing
            }
        }
    }

    /// Asks the nodes that the record itself names, which have the freshest copy. Returns whether one answered, or there
    /// is none to ask.
    async fn ask_own_nodes(&self, tally: &mut Tally, deadline: Instant) -> bool {
        let Some((best, _, _)) = tally.best() else { return true };
        let grid = *best.grid();
        let Ok(record) = GridRecord::read(best.clone()) else { return true };
        let own = self.dht.peer_id();
        let mut asked = false;
        for node in record.nodes().iter().filter(|node| *node.peer_id() != own) {
            let addrs: Vec<_> = node.addrs().iter().filter(|addr| dialable(addr, self.private)).cloned().collect();
            if addrs.is_empty() {
                continue;
            }
            asked = true;
            let server = Server { peer: *node.peer_id(), addrs };
            let answer = timeout_at(deadline, self.dht.ask_whence(&server, Request::Resolve { grid })).await;
            if let Ok(Ok((Response { body: Body::Found { record, evidence, .. }, .. }, network))) = answer {
                tally.answer(Source::Direct, network, record.as_deref(), &evidence, self.clock.now());
                return true;
            }
        }
        !asked
    }

    /// Lets the query run on in the background: a newer record found late raises the floor and replaces ours, and holders
    /// of an older one, or of none though they are among the nearest, are given the newest.
    fn run_on(&self, mut tally: Tally, mut findings: mpsc::Receiver<Finding>, mut stale: Vec<Server>) {
        let this = self.clone();
        tokio::spawn(async move {
            let until = Instant::now() + RUN_ON;
            let answered_with = tally.best().map(|(record, _, _)| record.identity());
            while let Ok(Some(finding)) = timeout_at(until, findings.recv()).await {
                let worth = this.count(&mut tally, &finding);
                if let (Finding::Answer { server, .. }, Worth::Stale | Worth::Nothing) = (finding, worth) {
                    stale.push(server);
                }
            }
            let Some((newest, _, _)) = tally.best() else { return };
            if answered_with != Some(newest.identity()) {
                this.dht.offer(newest).await;
                if let Ok(record) = GridRecord::read(newest.clone())
                    && let Err(error) = this.floors.lock().await.raise(&record, this.clock.now())
                {
                    warn!(%error, "a newer record was found and its floor could not be written");
                }
            }
            for server in stale {
                this.repair(&server, newest).await;
            }
        });
    }

    async fn repair(&self, server: &Server, newest: &SignedRecord) {
        let request = Request::Store { grid: *newest.grid(), record: newest.bytes().to_vec() };
        match self.dht.ask(server, request).await {
            Ok(Response { body: Body::Verdict { verdict: WireVerdict::Stored, .. }, .. }) => {
                debug!(peer = %server.peer, grid = %newest.grid(), "repaired a stale holder");
            }
            Ok(_) => {}
            Err(error) => debug!(peer = %server.peer, %error, "a stale holder could not be repaired"),
        }
    }

    async fn accept_held(&self, record: SignedRecord, confirmed_at: UnixSeconds) -> Result<Answer, ResolveError> {
        let age = self.clock.now().since(confirmed_at);
        self.accept(record, Source::Cache, 0, age, false).await
    }

    /// Reads the record, raises the floor, and makes the answer: in this order, so that no answer outruns its floor.
    async fn accept(
        &self,
        record: SignedRecord,
        source: Source,
        agreeing_holders: u32,
        age: Seconds,
        own_node_silent: bool,
    ) -> Result<Answer, ResolveError> {
        let grid: GridId = *record.grid();
        let upgrade = |source: RecordError| ResolveError::Upgrade { grid, source };
        let record = GridRecord::read(record).map_err(upgrade)?;
        let now = self.clock.now();
        self.floors.lock().await.raise(&record, now)?;
        if record.signed().withdrawn() {
            return Err(ResolveError::Withdrawn { grid });
        }
        let evidence = self.dht.evidence(&grid).await;
        Ok(Answer { record, source, age, agreeing_holders, evidence, moved_from: None, own_node_silent })
    }
}

/// What to say when no record came of it.
fn failure(tally: &Tally, question: Question, complete: bool) -> ResolveError {
    let grid = question.grid;
    if tally.rolled_back {
        return ResolveError::RolledBack { grid, floor: tally.floor_sequence() };
    }
    if let Some(expired_at) = tally.expired_at {
        return ResolveError::Expired { grid, expired_at };
    }
    match (complete, tally.answered) {
        (_, 0) => ResolveError::Unreachable { tried: tally.silent },
        (true, asked) => ResolveError::NotFound { grid, asked },
        (false, _) => ResolveError::TimedOut { deadline: question.deadline },
    }
}
