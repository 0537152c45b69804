//! Peers that lie. Each is a libp2p peer of its own, with a network of its own, that joins as a server does, so that honest
//! nodes list it; it knows every record there is, and tells its kind of lie about each: when asked, when books are
//! compared, and unasked.

mod kind;
mod stranger;

pub(crate) use kind::Kind;
pub(crate) use stranger::{Place, Stranger};

use crate::layout::NodePlace;
use crate::play::Chronicle;
use lafs_clearinghouse::clock::Clock;
use lafs_clearinghouse::config::NetworkName;
use lafs_clearinghouse::dht::message::{BUCKETS, Body, FetchedRow, Request, Response, RowDigest, WireVerdict};
use lafs_clearinghouse::dht::server::{Point, Server};
use lafs_clearinghouse::keys::GridId;
use libp2p::identity::Keypair;
use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, kad};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::task::JoinHandle;

/// How often a liar lies unasked.
const EVERY: Duration = Duration::from_secs(2);
/// To how many honest nodes, each time.
const AT_A_TIME: usize = 3;
/// How many acquaintances it makes.
const MEETS: usize = 30;
/// How many peers it makes up, to have some near to any key.
const INVENTED: usize = 400;
/// How many of them it names.
const NAMED: usize = 20;

pub(crate) type AnyError = Box<dyn std::error::Error + Send + Sync>;

/// A liar at work.
pub(crate) struct Liar {
    kind: Kind,
    stranger: Stranger,
    honest: Arc<Mutex<Vec<Server>>>,
    told: Arc<AtomicU64>,
    tasks: [JoinHandle<()>; 2],
}

impl Liar {
    /// The liar numbered `number` at `place`, behind its relay as an honest node would be.
    pub(crate) async fn start(
        number: usize,
        place: &NodePlace,
        network: &NetworkName,
        chronicle: Chronicle,
        clock: Clock,
    ) -> Result<Self, AnyError> {
        let kind = Kind::ALL[number % Kind::ALL.len()];
        let honest = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::new(AtomicU64::new(0));
        let mind = Mind {
            kind,
            chronicle,
            clock,
            honest: Arc::clone(&honest),
            invented: if kind == Kind::FakePeers { invent(*place.external.ip()) } else { Vec::new() },
            told: Arc::clone(&told),
        };
        let at = Place { network: network.clone(), listen: both(place.listen), external: both(place.external) };
        let answering = mind.clone();
        let (stranger, task) = Stranger::start(at, Box::new(move |question| Some(answering.answer(question)))).await?;
        let unasked = tokio::spawn(mind.lie_unasked(stranger.clone()));
        Ok(Self { kind, stranger, honest, told, tasks: [task, unasked] })
    }

    /// How it lies.
    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    /// How often it has lied.
    pub(crate) fn lies_told(&self) -> u64 {
        self.told.load(Ordering::Relaxed)
    }

    /// Tells it who is honest, and makes it known to some of them.
    pub(crate) async fn meet(&self, honest: Vec<Server>) {
        let step = honest.len().div_ceil(MEETS).max(1);
        for server in honest.iter().step_by(step) {
            self.stranger.meet(server.clone()).await;
        }
        *self.honest.lock().expect("nothing panics while it holds it") = honest;
    }

    pub(crate) async fn stop(self) {
        let [task, unasked] = self.tasks;
        unasked.abort();
        self.stranger.stop().await;
        let _ = task.await;
    }
}

/// What a liar knows, and makes of it.
#[derive(Clone)]
struct Mind {
    kind: Kind,
    chronicle: Chronicle,
    clock: Clock,
    honest: Arc<Mutex<Vec<Server>>>,
    invented: Vec<Server>,
    told: Arc<AtomicU64>,
}

impl Mind {
    fn answer(&self, question: Request) -> Vec<u8> {
        let body = match question {
            Request::Resolve { grid } => {
                let target = Point::of(grid.record_key().as_bytes());
                let record = self.kind.record(&grid, &self.chronicle);
                if self.kind.lies_in_records() {
                    self.lied();
                }
                let among = if self.invented.is_empty() { self.honest() } else { self.invented.clone() };
                Body::Found { record, evidence: Vec::new(), nearer: nearest(among, target, NAMED) }
            }
            Request::Store { grid, .. } => self.verdict(&grid),
            Request::Servers { after } => {
                let mut servers = if self.invented.is_empty() { self.honest() } else { self.invented.clone() };
                servers.sort_by_key(|server| server.peer);
                servers.retain(|server| after.is_none_or(|after| server.peer > after));
                let more = servers.len() > 60;
                servers.truncate(60);
                Body::Servers { page: servers, more }
            }
            Request::Digest => {
                let mut buckets = Box::new([[0; 8]; BUCKETS]);
                for (key, _) in self.rows() {
                    buckets[usize::from(key[0])] = [0xab; 8];
                }
                Body::Digest { buckets }
            }
            Request::Bucket { bucket, after } => {
                let mut rows = self.rows();
                rows.retain(|(key, _)| key[0] == bucket && after.is_none_or(|after| *key > after));
                Body::Bucket { rows, more: false }
            }
            Request::Fetch { grids } => {
                self.lied();
                let row = |grid: GridId| {
                    let record = Some(self.kind.record(&grid, &self.chronicle)?);
                    Some(FetchedRow { grid, record, evidence: Vec::new() })
                };
                Body::Fetched { rows: grids.into_iter().filter_map(row).collect() }
            }
        };
        Response { time: self.clock.now(), body }.encode()
    }

    /// What it says when a record is brought to it: that it keeps it, or that it knows a newer one.
    fn verdict(&self, grid: &GridId) -> Body {
        self.lied();
        let newer = match self.kind {
            Kind::RolledBack | Kind::Forged | Kind::WrongKey | Kind::Padded => self.kind.record(grid, &self.chronicle),
            _ => None,
        };
        let verdict = if newer.is_some() { WireVerdict::Stale } else { WireVerdict::Stored };
        Body::Verdict { verdict, newer }
    }

    /// The rows of the book that it claims to have: of all grids, none of them as anybody else has it.
    fn rows(&self) -> Vec<([u8; 32], RowDigest)> {
        let grids = self.chronicle.grids();
        let claimed = grids.iter().filter(|grid| self.kind.record(grid, &self.chronicle).is_some());
        claimed.map(|grid| (*grid.as_bytes(), [0xcd; 16])).collect()
    }

    async fn lie_unasked(self, stranger: Stranger) {
        let mut turn = 0;
        loop {
            tokio::time::sleep(EVERY).await;
            let grids = self.chronicle.grids();
            for grid in &grids {
                if let Some(record) = self.kad_record(grid) {
                    stranger.hold(record).await;
                }
            }
            let honest = self.honest();
            if grids.is_empty() || honest.is_empty() {
                continue;
            }
            let grid = grids[turn % grids.len()];
            for number in 0..AT_A_TIME {
                let server = &honest[(turn * AT_A_TIME + number) % honest.len()];
                if let Some(record) = self.kad_record(&grid) {
                    self.lied();
                    stranger.put(server, record).await;
                }
                if let Some(record) = self.kind.record(&grid, &self.chronicle).filter(|_| self.kind.lies_in_records()) {
                    self.lied();
                    stranger.ask(server, Request::Store { grid, record }.encode()).await;
                }
            }
            turn += 1;
        }
    }

    /// Its record as kad carries it: with a second to live, where that is the lie.
    fn kad_record(&self, grid: &GridId) -> Option<kad::Record> {
        let value = self.kind.record(grid, &self.chronicle)?;
        let expires = (self.kind == Kind::ShortLived).then(|| std::time::Instant::now() + Duration::from_secs(1));
        let key = kad::RecordKey::new(&grid.record_key().as_bytes());
        Some(kad::Record { key, value, publisher: None, expires })
    }

    fn honest(&self) -> Vec<Server> {
        self.honest.lock().expect("nothing panics while it holds it").clone()
    }

    fn lied(&self) {
        self.told.fetch_add(1, Ordering::Relaxed);
    }
}

fn nearest(mut servers: Vec<Server>, target: Point, count: usize) -> Vec<Server> {
    servers.sort_by_key(|server| target.distance(&server.point()));
    servers.truncate(count);
    servers
}

/// Peers that do not exist, each in a network of its own next to this one, where nothing answers.
fn invent(near: Ipv4Addr) -> Vec<Server> {
    let [a, b, _, _] = near.octets();
    let peer = |number: usize| {
        let third = u8::try_from(number % 250 + 1).expect("at most 250");
        let nowhere = SocketAddrV4::new(Ipv4Addr::new(a, b, third, 200), 9);
        Server { peer: Keypair::generate_ed25519().public().to_peer_id(), addrs: both(nowhere) }
    };
    (0..INVENTED).map(peer).collect()
}

/// The QUIC and the TCP address of a place.
pub(crate) fn both(at: SocketAddrV4) -> Vec<Multiaddr> {
    let ip = Multiaddr::from(*at.ip());
    vec![ip.clone().with(Protocol::Udp(at.port())).with(Protocol::QuicV1), ip.with(Protocol::Tcp(at.port()))]
}
