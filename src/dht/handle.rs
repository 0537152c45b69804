//! The handle of the task that owns the swarm: cheap to clone, each method one question with one answer.

use crate::address::Network;
use crate::dht::census::Census;
use crate::dht::keep::Compared;
use crate::dht::message::{BUCKETS, BucketDigest, FetchedRow, Request, Response, RowDigest};
use crate::dht::server::{Point, Server};
use crate::keys::GridId;
use crate::metrics::Metrics;
use crate::record::{GridRecord, SignedRecord, Verdict};
use crate::store::{DiskStanding, Row, Unverified, Verified};
use libp2p::{Multiaddr, PeerId};
use std::time::Instant;
use tokio::sync::{mpsc, oneshot, watch};

/// How many commands may wait for the task: more than all services ask at once.
pub(crate) const COMMANDS: usize = 256;

pub(crate) enum Command {
    Ask { server: Server, request: Request, reply: oneshot::Sender<Result<(Response, Option<Network>), AskError>> },
    Nearest { target: Point, count: usize, reply: oneshot::Sender<Vec<Server>> },
    NearestMet { target: Point, count: usize, reply: oneshot::Sender<Vec<Server>> },
    Part { peer: PeerId },
    Everybody { target: Point, hearsay: usize, reply: oneshot::Sender<Vec<Server>> },
    Connected { target: Point, reply: oneshot::Sender<Vec<Server>> },
    Servers { reply: oneshot::Sender<Vec<Server>> },
    Note { servers: Vec<Server> },
    Row { grid: GridId, reply: oneshot::Sender<Option<Row>> },
    Evidence { grid: GridId, reply: oneshot::Sender<Vec<GridRecord>> },
    OfferEvidence { grid: GridId, records: Vec<Vec<u8>> },
    Offer { grid: GridId, record: Vec<u8>, reply: oneshot::Sender<Verdict> },
    Unverified { reply: oneshot::Sender<Option<Unverified>> },
    Verified { rows: Verified, reply: oneshot::Sender<()> },
    OfferFrom { network: Network, grid: GridId, record: Vec<u8>, reply: oneshot::Sender<Option<Verdict>> },
    Confirm { record: SignedRecord },
    IsAlone { reply: oneshot::Sender<bool> },
    Buckets { reply: oneshot::Sender<Box<[BucketDigest; BUCKETS]>> },
    Wanted { from: PeerId, rows: Vec<([u8; 32], RowDigest)>, reply: oneshot::Sender<Vec<GridId>> },
    Pulled { rows: Vec<FetchedRow>, reply: oneshot::Sender<usize> },
    Status { reply: oneshot::Sender<DhtStatus> },
    Census { reply: oneshot::Sender<Census> },
    AddExternal { addr: Multiaddr },
    Bootstrap { addrs: Vec<Multiaddr> },
    Trust { peers: Vec<PeerId> },
    Stop { reply: oneshot::Sender<()> },
}

/// How a node stands in the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DhtStatus {
    /// The node's libp2p identity.
    pub peer_id: PeerId,
    /// Where others reach it, best first, without `/p2p`; empty for a client.
    pub external: Vec<Multiaddr>,
    /// Which of those that the settings state other servers do not reach, as they say.
    pub unreached: Vec<Multiaddr>,
    /// Where it listens.
    pub listening: Vec<Multiaddr>,
    /// Whether it stores records for others.
    pub serves: bool,
    /// How many servers it knows.
    pub servers_known: usize,
    /// How many peers it is connected to.
    pub connected: usize,
    /// How many records it holds.
    pub records_held: usize,
    /// By how much the median of the others' clocks is ahead of ours, once at least three told theirs.
    pub clock_behind_seconds: Option<i64>,
    /// What is wrong with the disk behind the book, if something is.
    pub disk: DiskStanding,
}

/// How many servers are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// All, made-up ones among them until they are tried.
    pub all: usize,
    /// Those that are there as far as can be known: met, remembered, or named from two networks.
    pub counted: usize,
    /// Those that we met and could not reach when they were tried last.
    pub silent: usize,
}

/// What tells whether the whole network is in our own book.
#[derive(Debug, Clone)]
pub(crate) struct Wholeness {
    /// Up to how many servers each holds every record.
    pub(super) limit: usize,
    /// How far the books were compared.
    pub(super) compared: watch::Receiver<Compared>,
}

/// The DHT as the services see it.
#[derive(Debug, Clone)]
pub struct Dht {
    commands: mpsc::Sender<Command>,
    local: PeerId,
    known: watch::Receiver<Known>,
    seeking: watch::Receiver<bool>,
    listening: watch::Receiver<bool>,
    wholeness: Wholeness,
    metrics: Metrics,
}

impl Dht {
    pub(crate) fn new(
        commands: mpsc::Sender<Command>,
        local: PeerId,
        known: watch::Receiver<Known>,
        seeking: watch::Receiver<bool>,
        listening: watch::Receiver<bool>,
        wholeness: Wholeness,
        metrics: Metrics,
    ) -> Self {
        Self { commands, local, known, seeking, listening, wholeness, metrics }
    }

    /// Where this node counts what happens.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Whether every record of the network is in our own book, as far as a node can know: the network is small enough to be
    /// held whole, and our book was compared with others' lately. Then what we hold is what an honest server would answer.
    pub fn holds_whole_network(&self) -> bool {
        let Wholeness { limit, compared } = &self.wholeness;
        compared.borrow().whole(self.known.borrow().counted, *limit, Instant::now())
    }

    /// Our own libp2p identity.
    pub fn peer_id(&self) -> PeerId {
        self.local
    }

    /// Asks one server, dialling it first where needed. Dropping the future forgets the answer, not the question.
    pub async fn ask(&self, server: &Server, request: Request) -> Result<Response, AskError> {
        self.ask_whence(server, request).await.map(|(response, _)| response)
    }

    /// The same, and the network in which the server is: where it was dialled, else whence it came, whatever it says of itself.
    pub async fn ask_whence(&self, server: &Server, request: Request) -> Result<(Response, Option<Network>), AskError> {
        let server = server.clone();
        self.call(|reply| Command::Ask { server, request, reply }).await.unwrap_or(Err(AskError::Stopped))
    }

    /// Says that there is nothing more to ask a peer for now: a connection that was made for it goes at once, where more stand
    /// than are kept. A hundred of them, one for each question, would stay in a process's memory when they are closed.
    pub async fn part(&self, peer: PeerId) {
        let _ = self.commands.send(Command::Part { peer }).await;
    }

    /// The `count` known servers nearest to `target`, nearest first.
    pub async fn nearest(&self, target: Point, count: usize) -> Vec<Server> {
        self.call(|reply| Command::Nearest { target, count, reply }).await.unwrap_or_default()
    }

    /// The same, of those that we met, with the addresses at which we did: no hearsay.
    pub async fn nearest_met(&self, target: Point, count: usize) -> Vec<Server> {
        self.call(|reply| Command::NearestMet { target, count, reply }).await.unwrap_or_default()
    }

    /// All servers that count, nearest to `target` first, and after them up to `hearsay` of those that only one network names.
    pub async fn everybody(&self, target: Point, hearsay: usize) -> Vec<Server> {
        self.call(|reply| Command::Everybody { target, hearsay, reply }).await.unwrap_or_default()
    }

    /// The servers that stand connected, nearest to `target` first: a question to one of them takes one round trip.
    pub async fn connected(&self, target: Point) -> Vec<Server> {
        self.call(|reply| Command::Connected { target, reply }).await.unwrap_or_default()
    }

    /// Waits until the node listens, or has stopped: from then on its addresses are known.
    pub async fn is_listening(&self) {
        let _ = self.listening.clone().wait_for(|listening| *listening).await;
    }

    /// Waits until at least `count` servers are known. Never ends if that never happens: the caller has the deadline.
    pub async fn knows(&self, count: usize) {
        // An error means that the node has stopped, and then every question says so.
        let _ = self.known.clone().wait_for(|known| known.all >= count).await;
    }

    /// Ends once there is nobody to ask: no server is known, and no dial is under way that could change that. Never ends once
    /// a server is known.
    pub async fn has_nobody_to_ask(&self) {
        tokio::select! {
            biased;
            () = self.knows(1) => std::future::pending().await,
            () = self.seeks_nobody() => {}
        }
    }

    /// Ends once no dial is under way to an address of which it is not known who is there.
    pub(super) async fn seeks_nobody(&self) {
        // Whoever is found is known before the search is said to be over. An error means that the node has stopped.
        let _ = self.seeking.clone().wait_for(|seeking| !*seeking).await;
    }

    /// How many servers are known, as it changes.
    pub fn known(&self) -> watch::Receiver<Known> {
        self.known.clone()
    }

    /// All servers known.
    pub async fn servers(&self) -> Vec<Server> {
        self.call(|reply| Command::Servers { reply }).await.unwrap_or_default()
    }

    /// Takes note of servers that somebody named.
    pub async fn note(&self, servers: Vec<Server>) {
        // The task is gone only when the whole node stops, and then nobody asks.
        let _ = self.commands.send(Command::Note { servers }).await;
    }

    /// What we ourselves hold of a grid.
    pub async fn row(&self, grid: &GridId) -> Option<Row> {
        self.call(|reply| Command::Row { grid: *grid, reply }).await.flatten()
    }

    /// Offers a record to our own book, and tells what became of it.
    pub async fn offer(&self, record: &SignedRecord) -> Verdict {
        let (grid, record) = (*record.grid(), record.bytes().to_vec());
        self.call(|reply| Command::Offer { grid, record, reply }).await.unwrap_or(Verdict::Busy)
    }

    /// Offers a record that a stranger in `network` brought to our own book; `None` where too many new grids came from
    /// there, and it was not looked at.
    pub async fn offer_from(&self, network: Network, grid: &GridId, record: &[u8]) -> Option<Verdict> {
        let (grid, record) = (*grid, record.to_vec());
        self.call(|reply| Command::OfferFrom { network, grid, record, reply }).await.unwrap_or(Some(Verdict::Busy))
    }

    /// Whether the task is gone: what it would not answer is then no answer.
    pub fn has_stopped(&self) -> bool {
        self.commands.is_closed()
    }

    /// Offers our own book a record that is the newest of those that the network was asked for just now. What is asked of
    /// the book afterwards sees it.
    pub async fn confirm(&self, record: &SignedRecord) {
        let _ = self.commands.send(Command::Confirm { record: record.clone() }).await;
    }

    /// Whether there is no other server, and none to begin with: a network of one. Never for a client.
    pub async fn is_alone(&self) -> bool {
        self.call(|reply| Command::IsAlone { reply }).await.unwrap_or_default()
    }

    /// The records held of a grid that prove commitments which its current record does not keep.
    pub async fn evidence(&self, grid: &GridId) -> Vec<GridRecord> {
        self.call(|reply| Command::Evidence { grid: *grid, reply }).await.unwrap_or_default()
    }

    /// Offers evidence to our own book, which looks at it first.
    pub async fn offer_evidence(&self, grid: GridId, records: Vec<Vec<u8>>) {
        if !records.is_empty() {
            let _ = self.commands.send(Command::OfferEvidence { grid, records }).await;
        }
    }

    /// Rows of our own book as they lay on the disk, to be verified; `None` once all were handed out.
    pub(super) async fn unverified(&self) -> Option<Unverified> {
        self.call(|reply| Command::Unverified { reply }).await.flatten()
    }

    /// Brings verified rows back.
    pub(super) async fn verified(&self, rows: Verified) {
        let _ = self.call(|reply| Command::Verified { rows, reply }).await;
    }

    /// The digests of our own book.
    pub(super) async fn buckets(&self) -> Option<Box<[BucketDigest; BUCKETS]>> {
        self.call(|reply| Command::Buckets { reply }).await
    }

    /// Which of the rows that `from` holds are to be fetched from it.
    pub(super) async fn wanted(&self, from: PeerId, rows: Vec<([u8; 32], RowDigest)>) -> Vec<GridId> {
        self.call(|reply| Command::Wanted { from, rows, reply }).await.unwrap_or_default()
    }

    /// Offers fetched rows to our own book. Returns how many brought something new.
    pub(super) async fn pulled(&self, rows: Vec<FetchedRow>) -> usize {
        self.call(|reply| Command::Pulled { rows, reply }).await.unwrap_or_default()
    }

    /// How the node stands. `None` if it has stopped.
    pub async fn status(&self) -> Option<DhtStatus> {
        self.call(|reply| Command::Status { reply }).await
    }

    /// What the node counts of itself, beside its status. Looks at every row: for whoever watches, not for each question.
    /// `None` if it has stopped.
    pub async fn census(&self) -> Option<Census> {
        self.call(|reply| Command::Census { reply }).await
    }

    /// States an address under which others reach this node.
    pub async fn add_external(&self, addr: Multiaddr) {
        let _ = self.commands.send(Command::AddExternal { addr }).await;
    }

    /// Begins with these nodes from now on, whenever nobody is connected.
    pub async fn set_bootstrap(&self, addrs: Vec<Multiaddr>) {
        let _ = self.commands.send(Command::Bootstrap { addrs }).await;
    }

    /// Keeps these peers connected, and no others, whatever the limits say.
    pub async fn set_trusted(&self, peers: Vec<PeerId>) {
        let _ = self.commands.send(Command::Trust { peers }).await;
    }

    /// Stops the task and waits until the store is written.
    pub async fn stop(&self) {
        let _ = self.call(|reply| Command::Stop { reply }).await;
    }

    async fn call<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(command(reply)).await.ok()?;
        answer.await.ok()
    }
}

/// Why a server gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// No connection: nobody there, or not under these addresses.
    #[error("not reachable")]
    Unreachable,
    /// Connected, but no answer in time.
    #[error("no answer in time")]
    TimedOut,
    /// It answered with something that is no message, or hung up.
    #[error("no proper answer: {0}")]
    Malformed(String),
    /// It does not speak our protocol: another network, or no node of ours.
    #[error("it does not speak this network's protocol")]
    Unsupported,
    /// Too many questions wait for it already.
    #[error("too many questions wait for it")]
    Crowded,
    /// Our own node is stopping.
    #[error("the node is stopping")]
    Stopped,
}
