//! What strangers can make a node hold, in octets of its memory as the kernel counts them: the node is a process of its own.

use super::super::federation::{PATIENCE, eventually, own_network};
use super::super::records::{grid, record};
use super::super::stranger::{Stranger, peer_of};
use futures::StreamExt;
use futures::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use lafs_clearinghouse::address::PrivateAddresses;
use lafs_clearinghouse::config::{Home, NodeConfig, PUBLIC_MODE, create_new, create_private_dir};
use lafs_clearinghouse::dht::kad_protocol;
use lafs_clearinghouse::dht::message::Request;
use libp2p::kad::{self, QueryResult};
use libp2p::multiaddr::Protocol;
use libp2p::request_response::{self, ProtocolSupport};
use libp2p::swarm::dial_opts::DialOpts;
use libp2p::{Multiaddr, StreamProtocol, Swarm, SwarmBuilder};
use serde_json::Value;
use std::io;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

const MIB: u64 = 1 << 20;
/// As many streams as kad holds open on one connection.
const STREAMS: usize = 32;
/// How many strangers send what nobody reads, each over one connection.
const GREEDY: u64 = 8;

/// A node as a process of its own; it ends when this is dropped.
struct NodeProcess {
    child: Child,
    addr: Multiaddr,
    _dir: tempfile::TempDir,
}

impl NodeProcess {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::new(dir.path().join("node"));
        create_private_dir(home.path()).unwrap();
        let config = NodeConfig {
            network: "test".parse().unwrap(),
            listen: (own_network(), 0).into(),
            allow_private_addresses: PrivateAddresses::Allowed,
            ..NodeConfig::default()
        };
        create_new(&home.config(), config.to_commented_toml().as_bytes(), PUBLIC_MODE).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_clearinghouse"));
        command.args(["run", "--json", "-d"]).arg(home.path()).kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
        let ready = timeout(PATIENCE, output.next_line()).await.expect("it starts").unwrap().expect("it is ready");
        let api = serde_json::from_str::<Value>(&ready).unwrap()["api"].as_str().unwrap().to_owned();
        let addr = eventually(async || {
            let url = format!("{api}/v1/status");
            let status = tokio::task::spawn_blocking(move || ureq::get(url).call()?.body_mut().read_json::<Value>());
            let status = status.await.unwrap().ok()?;
            let addrs = status["addrs"].as_array()?;
            addrs.iter().filter_map(Value::as_str).find(|addr| addr.contains("quic-v1"))?.parse().ok()
        })
        .await;
        Self { child, addr, _dir: dir }
    }

    /// The memory it takes now.
    fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id().expect("it runs"))).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("the kernel tells");
        line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
    }

    /// A stranger that has met it.
    async fn asker(&self) -> Stranger {
        let mut asker = Stranger::asking();
        asker.meet(&self.addr).await;
        asker
    }
}

/// Writes a PUT, never reads what is answered, and goes on writing as long as somebody takes it.
#[derive(Debug, Clone)]
struct Greedy {
    taken: Arc<AtomicU64>,
}

impl request_response::Codec for Greedy {
    type Protocol = StreamProtocol;
    type Request = ();
    type Response = ();

    async fn read_request<T: AsyncRead + Unpin + Send>(&mut self, _: &StreamProtocol, _: &mut T) -> io::Result<()> {
        Ok(())
    }

    async fn read_response<T: AsyncRead + Unpin + Send>(&mut self, _: &StreamProtocol, _: &mut T) -> io::Result<()> {
        std::future::pending().await
    }

    async fn write_request<T: AsyncWrite + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        (): (),
    ) -> io::Result<()> {
        io.write_all(&put_message()).await?;
        let block = [0; 4096];
        loop {
            let written = io.write(&block).await?;
            io.flush().await?;
            self.taken.fetch_add(written as u64, Ordering::Relaxed);
        }
    }

    async fn write_response<T: AsyncWrite + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        _: &mut T,
        (): (),
    ) -> io::Result<()> {
        Ok(())
    }
}

/// A message of kad-dht that puts a kilobyte of nothing, with its length before it: the answer repeats it.
fn put_message() -> Vec<u8> {
    let field = |number: u8, bytes: &[u8]| {
        let length = u16::try_from(bytes.len()).unwrap();
        // A varint of two octets, which takes any length below 16,384.
        let length = [(length & 0x7f) as u8 | 0x80, (length >> 7) as u8];
        [&[number << 3 | 2][..], &length, bytes].concat()
    };
    let record = [field(1, b"/grid/nothing"), field(2, &[0; 1000])].concat();
    let message = [field(2, b"/grid/nothing"), field(3, &record)].concat();
    field(0, &message)[1..].to_vec()
}

/// A stranger with room for half a kilobyte of answers on each stream.
fn greedy(taken: Arc<AtomicU64>) -> Swarm<request_response::Behaviour<Greedy>> {
    SwarmBuilder::with_new_identity()
        .with_tokio()
        .with_quic_config(|mut config| {
            config.max_stream_data = 512;
            config
        })
        .with_behaviour(|_| {
            let protocol = kad_protocol(&"test".parse().unwrap());
            let config = request_response::Config::default().with_request_timeout(2 * PATIENCE);
            request_response::Behaviour::with_codec(Greedy { taken }, [(protocol, ProtocolSupport::Outbound)], config)
        })
        .unwrap()
        .with_swarm_config(|config| config.with_idle_connection_timeout(2 * PATIENCE))
        .build()
}

/// kad reads nothing more of a stream until its answer is taken, for as long as that may be; what is sent meanwhile lies in
/// the node's memory, and libp2p's QUIC would take 15 MB of it for each connection.
#[tokio::test(flavor = "multi_thread")]
async fn streams_whose_answers_nobody_reads_take_no_more_than_two_megabytes_for_each_connection() {
    let node = NodeProcess::start().await;
    let mut asker = node.asker().await;
    let before = node.resident();
    let taken = Arc::new(AtomicU64::new(0));
    let mut at_work = tokio::task::JoinSet::new();
    for _ in 0..GREEDY {
        let mut swarm = greedy(taken.clone());
        let mut at = node.addr.clone();
        let peer = peer_of(&at);
        assert!(matches!(at.pop(), Some(Protocol::P2p(_))));
        swarm.dial(DialOpts::peer_id(peer).addresses(vec![at]).build()).unwrap();
        for _ in 0..STREAMS {
            swarm.behaviour_mut().send_request(&peer, ());
        }
        at_work.spawn(async move {
            loop {
                swarm.select_next_some().await;
            }
        });
    }
    // Nothing tells that no more is taken; a while without an octet does.
    let (mut last, mut still) = (0, 0);
    eventually(async || {
        let now = taken.load(Ordering::Relaxed);
        still = if now == last && now > 0 { still + 1 } else { 0 };
        last = now;
        (still == 200).then_some(())
    })
    .await;
    let grown = node.resident().saturating_sub(before);
    let told = format!("{GREEDY} connections sent {} kB, and the node grew by {} kB", last / 1024, grown / 1024);
    assert!(last > GREEDY * 256 * 1024, "the streams were not stuck: {told}");
    // What lies unread, and what a connection with so many streams costs by itself.
    assert!(grown <= GREEDY * 2 * MIB, "{told}");
    assert!(asker.ask(peer_of(&node.addr), &Request::Resolve { grid: grid(410) }).await.is_ok());
    println!("{told}");
}

/// kad hands on each PUT and answers it, whatever becomes of it: none of it may stay.
#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_puts_leaves_nothing_in_memory() {
    const PUTS: usize = 8_000;
    let node = NodeProcess::start().await;
    let mut flooder = node.asker().await;
    let peer = peer_of(&node.addr);
    // As much at once as will be at once later: what that takes comes before the measurement.
    flood(&mut flooder, peer, 0..PUTS / 4).await;
    let before = node.resident();
    flood(&mut flooder, peer, PUTS / 4..PUTS).await;
    let grown = node.resident().saturating_sub(before);
    let told = format!("{} kB came, and the node grew by {} kB", PUTS / 4 * 3, grown / 1024);
    assert!(grown <= 2 * MIB, "{told}");
    println!("{told}");
}

async fn flood(flooder: &mut Stranger, node: libp2p::PeerId, numbers: std::ops::Range<usize>) {
    /// kad waits for a place among the streams of a connection.
    const AT_ONCE: usize = 24;
    let numbers: Vec<usize> = numbers.collect();
    let key = kad::RecordKey::new(&grid(411).record_key().as_bytes());
    let signed = record(411).signed().bytes().to_vec();
    for chunk in numbers.chunks(AT_ONCE) {
        for number in chunk {
            // A valid key and a kilobyte that differs each time.
            let mut value = [&number.to_be_bytes()[..], &signed].concat();
            value.resize(1000, 0);
            let record = kad::Record { key: key.clone(), value, publisher: None, expires: None };
            flooder.swarm.behaviour_mut().kad.put_record_to(record, [node].into_iter(), kad::Quorum::One);
        }
        let mut ended = 0;
        let all = flooder.until(|event| {
            let is_it = |result: &QueryResult| matches!(result, QueryResult::PutRecord(_));
            ended += usize::from(Stranger::query_ended(event).is_some_and(is_it));
            (ended == chunk.len()).then_some(())
        });
        timeout(Duration::from_secs(60), all).await.expect("they are answered");
    }
}
