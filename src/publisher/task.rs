//! The task that keeps the own record signed, current and held.

use crate::causes::chain;
use crate::clock::Clock;
use crate::config::{Home, NodeConfig};
use crate::dht::server::Server;
use crate::dht::walk::WIDTH;
use crate::dht::{Dht, Finding};
use crate::keys::GridId;
use crate::publisher::own::{DelegationStanding, OwnError, OwnRecord, Says, Situation};
use crate::publisher::receipt::Receipt;
use crate::publisher::spread::{Spread, targets};
use crate::record::{GridRecord, MAX_NODE_ADDRS, NodeEntry};
use crate::units::{Seconds, UnixSeconds};
use libp2p::PeerId;
use std::collections::VecDeque;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot, watch};
use tracing::{info, warn};

/// How often the record is brought to everybody again. Holders keep it themselves; this heals what they missed.
const REPUBLISH: Duration = Duration::from_secs(3_600);
/// How often the task looks whether there is something to do: a record installed, a server come, a renewal due.
const LOOK: Duration = Duration::from_secs(30);
/// How often it looks whether somebody else has published for this grid: a look at our own book.
const NOTICE: Duration = Duration::from_secs(5);
/// How long the network may take to say at the start what it holds of this grid. After that we begin with what is here.
const CATCH_UP: Duration = Duration::from_secs(5);
/// How often an operator is told again that the delegation ends soon.
const REMIND: Seconds = Seconds::days(1);
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
    /// How the delegation stands, if there is one.
    pub delegation: Option<DelegationStanding>,
    /// Another node of this grid, whose settings differ from ours: its record was left to stand.
    pub yields_to: Option<OtherNode>,
}

/// Another node that publishes for the same grid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherNode {
    /// The nodes that its record names beside ours.
    pub peers: Vec<PeerId>,
    /// Its record's sequence.
    pub sequence: u64,
}

#[derive(Debug)]
enum Command {
    Publish { reply: oneshot::Sender<Result<Receipt, PublishError>> },
    Settings { config: Box<NodeConfig>, reply: oneshot::Sender<Result<(), PublishError>> },
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
            reminded: UnixSeconds(0),
        };
        let has_network = !config.bootstrap.is_empty();
        tokio::spawn(task.run(receiver, has_network));
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

    /// Goes on with other settings. What changes the record is signed and published at once, or as soon as disk and clock
    /// allow; if it may not be signed, the settings stay as they were and the reason is returned.
    pub async fn apply(&self, config: NodeConfig) -> Result<(), PublishError> {
        let (reply, answer) = oneshot::channel();
        let config = Box::new(config);
        self.commands.send(Command::Settings { config, reply }).await.map_err(|_| PublishError::Stopped)?;
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
    reminded: UnixSeconds,
}

impl Task {
    async fn run(mut self, mut commands: mpsc::Receiver<Command>, has_network: bool) {
        let mut early = VecDeque::new();
        if let Ended::Stopped = self.begin(&mut commands, has_network, &mut early).await {
            return;
        }
        let mut known = self.dht.known();
        let mut look = tokio::time::interval(LOOK);
        let mut notice = tokio::time::interval(NOTICE);
        let mut republish = tokio::time::interval(jittered(REPUBLISH, self.dht.peer_id()));
        republish.reset();
        self.look().await;
        look.reset();
        for command in early {
            self.on_command(command).await;
        }
        loop {
            tokio::select! {
                command = commands.recv() => match command {
                    Some(Command::Stop { reply }) => {
                        let _ = reply.send(());
                        return;
                    }
                    Some(command) => self.on_command(command).await,
                    None => return,
                },
                _ = look.tick() => self.look().await,
                _ = notice.tick() => self.notice().await,
                Ok(()) = known.changed() => {
                    tokio::time::sleep(GATHER).await;
                    known.mark_unchanged();
                    self.look().await;
                }
                _ = republish.tick() => {
                    let receipt = self.publish_anew(None).await;
                    self.note_failure(receipt);
                }
            };
        }
    }

    /// Waits until it is known where this node answers, which is part of its record, and what the network holds of this grid
    /// already. Whoever wants it to stop meanwhile need not wait; other commands do.
    async fn begin(
        &mut self,
        commands: &mut mpsc::Receiver<Command>,
        has_network: bool,
        early: &mut VecDeque<Command>,
    ) -> Ended {
        let ready = async {
            self.dht.is_listening().await;
            self.catch_up(has_network).await;
        };
        tokio::pin!(ready);
        loop {
            tokio::select! {
                () = &mut ready => return Ended::Ready,
                command = commands.recv(), if early.len() < COMMANDS => match command {
                    Some(Command::Stop { reply }) => {
                        let _ = reply.send(());
                        return Ended::Stopped;
                    }
                    Some(command) => early.push_back(command),
                    None => return Ended::Stopped,
                },
            }
        }
    }

    async fn on_command(&mut self, command: Command) {
        match command {
            Command::Publish { reply } => {
                let receipt = self.publish_anew(Some(reply)).await;
                self.note_failure(receipt);
            }
            Command::Settings { config, reply } => {
                let own = self.own.with_settings(*config);
                let before = std::mem::replace(&mut self.own, own);
                let result = match self.renew().await {
                    Err(error @ PublishError::Own(OwnError::Sign(_) | OwnError::Key(_))) => {
                        self.own = before;
                        Err(error)
                    }
                    // A full disk or a clock is no fault of the settings: the record follows when it can.
                    Ok(()) | Err(_) => Ok(()),
                };
                self.look().await;
                let _ = reply.send(result);
            }
            // Whoever stops us is heard before it comes here.
            Command::Stop { reply } => drop(reply.send(())),
        }
    }

    /// Takes up what the network holds of this grid: this directory may be a backup that was restored, or a new one beside
    /// another. What the settings here say is published above it.
    async fn catch_up(&mut self, has_network: bool) {
        let mut found: Vec<Vec<u8>> =
            self.dht.row(self.own.grid()).await.map(|row| row.record.bytes().to_vec()).into_iter().collect();
        if has_network || !self.dht.servers().await.is_empty() {
            let asked = tokio::time::timeout(CATCH_UP, async {
                let mut findings = self.dht.lookup(*self.own.grid(), WIDTH);
                while let Some(finding) = findings.recv().await {
                    if let Finding::Answer { record: Some(record), .. } = finding
                        && !found.contains(&record)
                    {
                        found.push(record);
                    }
                }
            });
            if asked.await.is_err() {
                info!(seconds = CATCH_UP.as_secs(), "the network has not said in time what it holds of this grid");
            }
        }
        let had_one = self.own.held().is_ok_and(|held| held.is_some());
        let mut behind = false;
        for record in found {
            match self.own.take_over(&record, self.clock.now()) {
                Ok(Some(_)) => {
                    info!("the network holds a newer record of this grid than this directory: going on from that");
                    behind = had_one;
                }
                Ok(None) => {}
                Err(error) => {
                    warn!(error = chain(&error), "a record of this grid that others hold could not be taken over")
                }
            }
        }
        if behind {
            // The record is made good from the network; of who is no client any more nobody else knows.
            warn!(
                "this directory is behind its grid: if it was restored from a backup, type `clearinghouse client remove` again for \
                 each client that was removed since"
            );
        }
        self.own.insist();
    }

    /// Looks whether another node of this grid has published since.
    async fn notice(&mut self) {
        let Some(row) = self.dht.row(self.own.grid()).await else { return };
        if self.record.as_ref().is_some_and(|own| row.record.supersedes(own.signed())) {
            self.take_over(Some(row.record.bytes().to_vec())).await;
            self.look().await;
        }
    }

    /// Renews the record where that is due, and brings it to servers that came since.
    async fn look(&mut self) {
        // What cannot be renewed is still brought to those who lack it.
        let renewed = self.renew().await;
        self.note_failure(renewed);
        let Some(record) = self.record.clone() else { return };
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
        let situation = self.situation().await;
        let record = match self.own.current(&situation) {
            Ok(record) => record,
            Err(error) => {
                // What was signed before is as good as it was.
                if self.record.is_none() {
                    let held = self.own.held().ok().flatten();
                    self.show(held, situation.now).await;
                }
                return Err(error.into());
            }
        };
        let missing = record.is_none();
        self.show(record, situation.now).await;
        if missing { Err(PublishError::NoRecord { grid: *self.own.grid() }) } else { Ok(()) }
    }

    /// Makes `record` the one that is published.
    async fn show(&mut self, record: Option<GridRecord>, now: UnixSeconds) {
        if let Some(record) = &record
            && self.record.as_ref().map(|held| held.signed().identity()) != Some(record.signed().identity())
        {
            self.dht.offer(record.signed()).await;
            // Nobody holds this one yet.
            self.spread = Spread::default();
        }
        if record.is_some() {
            self.record.clone_from(&record);
        }
        let delegation = self.own.delegation(record.as_ref());
        if let Some(delegation) = delegation.filter(|delegation| delegation.ends_soon(now))
            && now.since(self.reminded) >= REMIND
        {
            self.reminded = now;
            warn!(until = %delegation.not_after, "the delegation ends soon: the grid key must sign the next with `clearinghouse delegate`");
        }
        let yields_to = record.as_ref().filter(|record| self.own.yields_to(record)).map(|record| OtherNode {
            peers: record
                .nodes()
                .iter()
                .map(|node| *node.peer_id())
                .filter(|peer| *peer != self.dht.peer_id())
                .collect(),
            sequence: record.signed().sequence(),
        });
        self.published.send_modify(|published| {
            published.problem = None;
            published.record = record;
            published.delegation = delegation;
            published.yields_to = yields_to;
        });
    }

    async fn situation(&self) -> Situation {
        let status = self.dht.status().await;
        let node = status.as_ref().map(|status| {
            let addrs: Vec<_> = status.external.iter().take(MAX_NODE_ADDRS).cloned().collect();
            NodeEntry::new(status.peer_id, addrs).into_iter().collect()
        });
        Situation {
            node: node.unwrap_or_default(),
            servers: self.dht.servers().await.into_iter().map(|server| server.peer).collect(),
            clock_behind_seconds: status.and_then(|status| status.clock_behind_seconds),
            now: self.clock.now(),
        }
    }

    /// Puts a newer record of our own grid, which somebody else holds, in its place: another node of this grid signed it.
    async fn take_over(&mut self, newer: Option<Vec<u8>>) {
        let Some(bytes) = newer else { return };
        match self.own.take_over(&bytes, self.clock.now()) {
            Ok(Some(Says::TheSame)) => info!("another node of this grid has published: its record is taken up"),
            Ok(Some(Says::SomethingElse)) => warn!(
                "another node of this grid has published other settings than those here: its record stands; make the \
                 settings of both the same"
            ),
            Ok(None) => {}
            Err(error) => warn!(error = chain(&error), "a newer record of this grid could not be taken over"),
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

/// How the beginning ended.
enum Ended {
    Ready,
    Stopped,
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
