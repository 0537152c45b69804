//! The task that keeps the own record signed, current and held.

use crate::clock::Clock;
use crate::config::{Home, NodeConfig};
use crate::dht::Dht;
use crate::dht::server::Server;
use crate::dht::walk::WIDTH;
use crate::keys::GridId;
use crate::publisher::own::{OwnError, OwnRecord};
use crate::publisher::receipt::Receipt;
use crate::publisher::spread::{Spread, targets};
use crate::record::{GridRecord, MAX_NODE_ADDRS, NodeEntry};
use libp2p::PeerId;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot, watch};
use tracing::{info, warn};

/// How often the record is brought to everybody again. Holders keep it themselves; this heals what they missed.
const REPUBLISH: Duration = Duration::from_secs(3_600);
/// How often the task looks whether there is something to do: a record installed, a server come, a renewal due.
const LOOK: Duration = Duration::from_secs(30);
/// How long a newly found server waits, so that those that come together are served together.
const GATHER: Duration = Duration::from_millis(200);
/// Requests that may wait for the task.
const COMMANDS: usize = 16;

/// The handle of the publisher.
#[derive(Debug, Clone)]
pub struct Publisher {
    commands: mpsc::Sender<Command>,
    published: watch::Receiver<Published>,
    grid: GridId,
}

/// How things stand with the own record.
#[derive(Debug, Clone, Default)]
pub struct Published {
    /// The own record, once there is one.
    pub record: Option<GridRecord>,
    /// Who holds it, once it was published.
    pub receipt: Option<Receipt>,
    /// Why there is no record, or why it is not renewed.
    pub problem: Option<String>,
}

#[derive(Debug)]
enum Command {
    Publish { reply: oneshot::Sender<Result<Receipt, PublishError>> },
    Stop { reply: oneshot::Sender<()> },
}

impl Publisher {
    /// Starts the task for the node in `home`.
    pub fn start(home: &Home, config: &NodeConfig, grid: GridId, dht: Dht, clock: Clock) -> Self {
        let (commands, receiver) = mpsc::channel(COMMANDS);
        let (published, published_receiver) = watch::channel(Published::default());
        let task = Task {
            own: OwnRecord::new(home.clone(), config.clone(), grid),
            dht,
            clock,
            whole_network_limit: config.whole_network_limit,
            spread: Spread::default(),
            record: None,
            published,
        };
        tokio::spawn(task.run(receiver));
        Self { commands, published: published_receiver, grid }
    }

    /// The grid it publishes for.
    pub fn grid(&self) -> &GridId {
        &self.grid
    }

    /// Takes up what was installed since, signs anew where something changed, and brings the record to everybody. The
    /// receipt comes when the twenty nearest were read back; the rest follows.
    pub async fn publish(&self) -> Result<Receipt, PublishError> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(Command::Publish { reply }).await.map_err(|_| PublishError::Stopped)?;
        answer.await.map_err(|_| PublishError::Stopped)?
    }

    /// How things stand now.
    pub fn published(&self) -> Published {
        self.published.borrow().clone()
    }

    /// How things stand, as it changes.
    pub fn changes(&self) -> watch::Receiver<Published> {
        self.published.clone()
    }

    /// Stops the task.
    pub async fn stop(&self) {
        let (reply, answer) = oneshot::channel();
        if self.commands.send(Command::Stop { reply }).await.is_ok() {
            let _ = answer.await;
        }
    }
}

struct Task {
    own: OwnRecord,
    dht: Dht,
    clock: Clock,
    whole_network_limit: usize,
    spread: Spread,
    record: Option<GridRecord>,
    published: watch::Sender<Published>,
}

impl Task {
    async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        let mut known = self.dht.known();
        let mut look = tokio::time::interval(LOOK);
        let mut republish = tokio::time::interval(jittered(REPUBLISH, self.dht.peer_id()));
        republish.reset();
        // The first record waits until it is known where this node answers: that is part of it.
        self.dht.is_listening().await;
        loop {
            let stopped = tokio::select! {
                command = commands.recv() => match command {
                    Some(Command::Publish { reply }) => {
                        let receipt = self.publish_anew(Some(reply)).await;
                        self.note_failure(receipt);
                        None
                    }
                    Some(Command::Stop { reply }) => Some(Some(reply)),
                    None => Some(None),
                },
                _ = look.tick() => { self.look().await; None }
                Ok(()) = known.changed() => {
                    tokio::time::sleep(GATHER).await;
                    known.mark_unchanged();
                    self.look().await;
                    None
                }
                _ = republish.tick() => {
                    let receipt = self.publish_anew(None).await;
                    self.note_failure(receipt);
                    None
                }
            };
            if let Some(reply) = stopped {
                if let Some(reply) = reply {
                    let _ = reply.send(());
                }
                return;
            }
        }
    }

    /// Renews the record where that is due, and brings it to servers that came since.
    async fn look(&mut self) {
        let before = self.record.as_ref().map(|record| record.signed().identity());
        if let Err(error) = self.renew().await {
            self.note_failure(Err(error));
            return;
        }
        let Some(record) = self.record.clone() else { return };
        if before != Some(record.signed().identity()) {
            self.spread = Spread::default();
        }
        let started = Instant::now();
        let (reach, targets) = targets(&self.dht, record.signed(), self.whole_network_limit).await;
        let missing: Vec<Server> = targets.into_iter().filter(|server| !self.spread.holds(&server.peer)).collect();
        let newer = self.spread.to(&self.dht, record.signed(), missing).await;
        self.take_over(newer).await;
        let known = self.dht.servers().await.len();
        let receipt = self.spread.receipt(record.signed(), reach, known, started);
        self.published.send_modify(|published| published.receipt = Some(receipt));
    }

    /// Brings the record to everybody, whoever holds it already.
    async fn publish_anew(
        &mut self,
        reply: Option<oneshot::Sender<Result<Receipt, PublishError>>>,
    ) -> Result<(), PublishError> {
        let started = Instant::now();
        let renewed = self.renew().await;
        let record = match (renewed, self.record.clone()) {
            (Ok(()), Some(record)) => record,
            (Ok(()), None) => return answer(reply, PublishError::NoRecord { grid: *self.own.grid() }),
            (Err(error), _) => return answer(reply, error),
        };
        self.spread = Spread::default();
        let (reach, mut nearest) = targets(&self.dht, record.signed(), self.whole_network_limit).await;
        let rest = nearest.split_off(nearest.len().min(WIDTH));
        let mut newer = self.spread.to(&self.dht, record.signed(), nearest).await;
        let known = self.dht.servers().await.len();
        let receipt = self.spread.receipt(record.signed(), reach, known, started);
        info!(sequence = receipt.sequence, %receipt, "published");
        self.dht.metrics().published(receipt.elapsed);
        self.published.send_modify(|published| published.receipt = Some(receipt.clone()));
        if let Some(reply) = reply {
            let _ = reply.send(Ok(receipt));
        }
        if !rest.is_empty() {
            newer = self.spread.to(&self.dht, record.signed(), rest).await.or(newer);
            let receipt = self.spread.receipt(record.signed(), reach, known, started);
            self.published.send_modify(|published| published.receipt = Some(receipt));
        }
        self.take_over(newer).await;
        Ok(())
    }

    /// Brings the own record up to date: on the disk, in our own book, in what we show.
    async fn renew(&mut self) -> Result<(), PublishError> {
        let nodes = self.own_node().await;
        let record = self.own.current(nodes, self.clock.now())?;
        if let Some(record) = &record
            && self.record.as_ref().map(|held| held.signed().identity()) != Some(record.signed().identity())
        {
            self.dht.offer(record.signed()).await;
        }
        if record.is_none() {
            return Err(PublishError::NoRecord { grid: *self.own.grid() });
        }
        self.record.clone_from(&record);
        self.published.send_modify(|published| {
            published.record = record;
            published.problem = None;
        });
        Ok(())
    }

    /// Our own node as the record names it; `None` while nobody could reach it.
    async fn own_node(&self) -> Vec<NodeEntry> {
        let Some(status) = self.dht.status().await else { return Vec::new() };
        let addrs: Vec<_> = status.external.into_iter().take(MAX_NODE_ADDRS).collect();
        NodeEntry::new(status.peer_id, addrs).into_iter().collect()
    }

    /// Puts a newer record of our own grid, which somebody else holds, in its place: another node of this grid signed it,
    /// or this one came back from an old backup.
    async fn take_over(&self, newer: Option<Vec<u8>>) {
        let Some(bytes) = newer else { return };
        match self.own.take_over(&bytes) {
            Ok(true) => info!("took over a newer record of this grid from its holders"),
            Ok(false) => {}
            Err(error) => {
                warn!(error = &error as &dyn std::error::Error, "a newer record of this grid could not be taken over")
            }
        }
    }

    fn note_failure(&self, result: Result<(), PublishError>) {
        if let Err(error) = result {
            self.dht.metrics().not_published();
            let problem = chain(&error);
            let news = self.published.borrow().problem.as_deref() != Some(&problem);
            if news {
                warn!(problem, "the record is not up to date");
            }
            self.published.send_modify(|published| published.problem = Some(problem));
        }
    }
}

/// Gives `error` to whoever waits; the caller notes what it was.
fn answer(
    reply: Option<oneshot::Sender<Result<Receipt, PublishError>>>,
    error: PublishError,
) -> Result<(), PublishError> {
    match reply {
        Some(reply) => {
            let noted = Err(PublishError::Reported(chain(&error)));
            let _ = reply.send(Err(error));
            noted
        }
        None => Err(error),
    }
}

/// An error and its sources in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

/// Nodes that were started together do not publish together: up to a tenth earlier, by their peer id.
fn jittered(interval: Duration, peer: PeerId) -> Duration {
    let byte = peer.to_bytes().last().copied().unwrap_or(0);
    interval - interval / 10 * u32::from(byte) / 255
}

/// Why a record was not published.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// There is neither a record nor a key to sign one.
    #[error("there is no record of {grid} yet, and no key here that could sign one")]
    NoRecord {
        /// The grid.
        grid: GridId,
    },
    /// The record cannot be brought up to date.
    #[error(transparent)]
    Own(#[from] OwnError),
    /// What was wrong, as it was told to whoever asked.
    #[error("{0}")]
    Reported(String),
    /// The node is stopping.
    #[error("the node is stopping")]
    Stopped,
}
