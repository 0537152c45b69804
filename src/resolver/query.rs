//! One query for one grid: it asks around, and tells everybody who waits for it how far it has come.

use crate::address::{Network, PrivateAddresses};
use crate::clock::Clock;
use crate::dht::message::{Body, Request, Response};
use crate::dht::server::Server;
use crate::dht::walk::{PARALLELISM, WIDTH};
use crate::dht::{AskError, Dht, Finding};
use crate::keys::GridId;
use crate::record::{SignedRecord, TimeFault};
use crate::resolver::own_nodes::{OwnNode, OwnNodes};
use crate::resolver::question::Source;
use crate::resolver::tally::Tally;
use crate::store::Floors;
use crate::units::UnixSeconds;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout, timeout_at};
use tracing::debug;

/// In how many networks holders must have been heard before the newest of theirs is believed to be the newest there is.
const FRESH_NETWORKS: usize = 3;
/// Once they have, those that are still silent are waited for so long after the last answer.
const FRESH_QUIET: Duration = Duration::from_secs(1);
/// How long the grid's own node is waited for: its silence is reported, and no reason to have no answer.
const OWN_NODE_PATIENCE: Duration = Duration::from_secs(3);
/// How many servers are asked beyond the nearest where those stand in fewer than three networks: a network served whole.
const MAX_OTHERS: usize = 200;
/// How long a query runs on that nobody waits for any more, to find a newer record and to repair stale holders.
const RUN_ON: Duration = Duration::from_secs(20);
/// How often it is looked whether somebody still waits.
const LOOK: Duration = Duration::from_secs(1);

/// What every query works with. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Parts {
    pub(crate) dht: Dht,
    pub(crate) clock: Clock,
    pub(crate) private: PrivateAddresses,
    pub(crate) floors: Arc<Floors>,
}

/// A query under way.
#[derive(Debug)]
pub(crate) struct Query {
    progress: watch::Sender<Progress>,
    /// Whether somebody waits who wants the newest there is.
    fresh: watch::Sender<bool>,
    pub(crate) task: OnceLock<AbortHandle>,
}

/// How far a query has come.
#[derive(Debug, Clone, Default)]
pub(crate) struct Progress {
    /// The newest valid record so far.
    pub(crate) best: Option<SignedRecord>,
    /// Where it came from first.
    pub(crate) source: Option<Source>,
    /// How many servers gave that very record.
    pub(crate) holders: u32,
    /// How many servers answered.
    pub(crate) answered: u32,
    /// How many did not.
    pub(crate) silent: u32,
    /// In how many networks a holder was heard.
    networks: usize,
    /// The floor's sequence, if a valid record below it was offered.
    pub(crate) rolled_back: Option<u64>,
    /// The latest expiry among the expired records offered.
    pub(crate) expired_at: Option<UnixSeconds>,
    /// What is wrong with a record that was offered and is dated in the future.
    pub(crate) ahead: Option<TimeFault>,
    /// What the grid's own node said; asked for `fresh` only.
    pub(crate) own_node: OwnNode,
    /// Everybody was asked who was to be.
    pub(crate) complete: bool,
    /// Nothing more will come.
    ended: bool,
}

impl Progress {
    /// Whether holders in enough networks were heard for the best to be called the newest.
    pub(crate) fn is_broad(&self) -> bool {
        self.networks >= FRESH_NETWORKS
    }
}

impl Query {
    pub(crate) fn new() -> Self {
        Self { progress: watch::Sender::default(), fresh: watch::Sender::new(false), task: OnceLock::new() }
    }

    /// Whether a question that comes now may share it. One that wants the newest there is may not take what was answered
    /// before it came.
    pub(crate) fn takes(&self, wants_fresh: bool) -> bool {
        let progress = self.progress.borrow();
        !(progress.ended || progress.complete || wants_fresh && progress.answered > 0)
    }

    /// Waits for it from now on.
    pub(crate) fn join(self: &Arc<Self>, wants_fresh: bool) -> Waiter {
        if wants_fresh {
            self.fresh.send_replace(true);
        }
        Waiter { progress: self.progress.subscribe(), _query: Arc::clone(self) }
    }

    /// Whether nobody waits for it any more.
    pub(crate) fn runs_on(&self) -> bool {
        self.progress.receiver_count() == 0
    }

    /// Says that nothing more will come.
    pub(crate) fn end(&self) {
        self.progress.send_modify(|progress| progress.ended = true);
    }

    /// Asks around until everybody was asked, or nobody has waited for long.
    pub(crate) async fn run(&self, parts: &Parts, mut tally: Tally, grid: GridId) -> Tally {
        let started = Instant::now();
        let mut look = tokio::time::interval(LOOK);
        let mut fresh = self.fresh.subscribe();
        let mut findings = parts.dht.lookup(grid, WIDTH);
        let mut walking = true;
        let nobody = parts.dht.has_nobody_to_ask();
        tokio::pin!(nobody);
        let mut own_nodes = OwnNodes::default();
        let mut others: Option<VecDeque<Server>> = None;
        let mut asked_besides = FuturesUnordered::new();
        let mut confirmed = None;
        loop {
            if *fresh.borrow_and_update() {
                for server in own_nodes.due(&tally, parts.dht.peer_id(), parts.private) {
                    asked_besides.push(ask(parts, grid, server, Besides::OwnNode));
                }
                if !walking && others.is_none() {
                    others = Some(if tally.networks() < FRESH_NETWORKS {
                        unasked(parts, &tally).await
                    } else {
                        VecDeque::new()
                    });
                }
                while asked_besides.len() < PARALLELISM
                    && let Some(server) = others.as_mut().and_then(VecDeque::pop_front)
                {
                    asked_besides.push(ask(parts, grid, server, Besides::Other));
                }
            }
            self.take_in(parts, &mut tally, grid, &mut confirmed).await;
            let complete = !walking && asked_besides.is_empty();
            self.tell(&tally, own_nodes.state(&tally), complete);
            if complete {
                return tally;
            }
            tokio::select! {
                finding = findings.recv(), if walking => match finding {
                    Some(finding) => count(&mut tally, finding, parts.clock.now()),
                    None => walking = false,
                },
                // The walk waits for a first server, and none is in sight.
                () = &mut nobody, if walking => walking = false,
                Some((server, besides, answer)) = asked_besides.next() => {
                    if besides == Besides::OwnNode {
                        own_nodes.heard(answer.is_some());
                    }
                    match answer {
                        Some(Given { network, record, evidence }) => {
                            tally.answer(server, network, Source::Direct, record.as_deref(), &evidence, parts.clock.now());
                        }
                        None => tally.silence(),
                    }
                }
                Ok(()) = fresh.changed() => {}
                _ = look.tick() => {
                    if self.runs_on() && started.elapsed() >= RUN_ON {
                        return tally;
                    }
                }
            }
        }
    }

    /// Hands what was found to our own book: what binds is looked up there, and the next question may be answered from it.
    async fn take_in(
        &self,
        parts: &Parts,
        tally: &mut Tally,
        grid: GridId,
        confirmed: &mut Option<crate::signed::Identity>,
    ) {
        if let Some((best, _)) = tally.best()
            && *confirmed != Some(best.identity())
            && tally.holders() > 0
        {
            *confirmed = Some(best.identity());
            parts.dht.confirm(best).await;
        }
        parts.dht.offer_evidence(grid, tally.take_evidence()).await;
    }

    fn tell(&self, tally: &Tally, own_node: OwnNode, complete: bool) {
        let best = tally.best();
        self.progress.send_replace(Progress {
            best: best.map(|(record, _)| record.clone()),
            source: best.map(|(_, source)| source),
            holders: tally.holders(),
            answered: tally.answered(),
            silent: tally.silent(),
            networks: tally.networks(),
            rolled_back: tally.rolled_back(),
            expired_at: tally.expired_at(),
            ahead: tally.ahead(),
            own_node,
            complete,
            ended: false,
        });
    }
}

/// Somebody who waits for a query. Dropping it ends nobody else's waiting, and not the query.
#[derive(Debug)]
pub(crate) struct Waiter {
    progress: watch::Receiver<Progress>,
    /// Keeps the sender, so that the last word can be read.
    _query: Arc<Query>,
}

impl Waiter {
    /// How far it has come when a first holder gave a record, or when nothing more comes, or at the deadline.
    pub(crate) async fn first(mut self, deadline: Instant) -> Progress {
        let enough = |progress: &Progress| progress.holders > 0 || progress.complete || progress.ended;
        // At the deadline what there is must do.
        let _ = timeout_at(deadline, self.progress.wait_for(enough)).await;
        self.progress.borrow().clone()
    }

    /// How far it has come when everybody was asked; or when holders in enough networks and the grid's own node were heard
    /// and the others keep silent; or at the deadline.
    pub(crate) async fn newest(mut self, deadline: Instant) -> Progress {
        loop {
            let progress = self.progress.borrow_and_update().clone();
            if progress.complete || progress.ended {
                return progress;
            }
            let own_node_is_heard = !matches!(progress.own_node, OwnNode::Unknown | OwnNode::Waiting);
            let until = match progress.is_broad() && own_node_is_heard {
                true => deadline.min(Instant::now() + FRESH_QUIET),
                false => deadline,
            };
            if !matches!(timeout_at(until, self.progress.changed()).await, Ok(Ok(()))) {
                return progress;
            }
        }
    }
}

/// Who is asked beside the walk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Besides {
    OwnNode,
    Other,
}

/// What a server gave, and from which network the answer came.
struct Given {
    network: Option<Network>,
    record: Option<Vec<u8>>,
    evidence: Vec<Vec<u8>>,
}

async fn ask(parts: &Parts, grid: GridId, server: Server, besides: Besides) -> (Server, Besides, Option<Given>) {
    let answer = timeout(OWN_NODE_PATIENCE, parts.dht.ask_whence(&server, Request::Resolve { grid })).await;
    let answer = match answer.unwrap_or(Err(AskError::TimedOut)) {
        Ok((Response { body: Body::Found { record, evidence, .. }, .. }, network)) => {
            Some(Given { network, record, evidence })
        }
        Ok(_) => None,
        Err(error) => {
            debug!(peer = %server.peer, %error, "no answer");
            None
        }
    };
    (server, besides, answer)
}

/// The servers known that have not answered.
async fn unasked(parts: &Parts, tally: &Tally) -> VecDeque<Server> {
    let known = parts.dht.servers().await.into_iter();
    known.filter(|server| !tally.has_answered(&server.peer)).take(MAX_OTHERS).collect()
}

fn count(tally: &mut Tally, finding: Finding, now: UnixSeconds) {
    match finding {
        Finding::Answer { server, known_before, network, record, evidence } => {
            let source = if known_before { Source::Direct } else { Source::Walk };
            tally.answer(server, network, source, record.as_deref(), &evidence, now);
        }
        Finding::NoAnswer { server, error } => {
            debug!(peer = %server.peer, %error, "no answer");
            tally.silence();
        }
    }
}
