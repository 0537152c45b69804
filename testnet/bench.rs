//! `testnet bench resolve`: how long resolving and publishing take, in round trips of a network that is measured in the
//! same run.
//!
//! The nodes run in this process, each behind a relay that holds every packet for half the round trip. What they cost the
//! CPU is in the figures: on two cores sixty nodes are not sixty machines.

use crate::grid_manager::{GridKeys, create};
use crate::layout::{Layout, Size};
use crate::ports::PortPair;
use crate::relay::Relay;
use lafs_clearinghouse::address::PrivateAddresses;
use lafs_clearinghouse::clock::Clock;
use lafs_clearinghouse::config::{Home, NodeConfig, create_private_dir};
use lafs_clearinghouse::keys::GridId;
use lafs_clearinghouse::node::{Client, ClientSettings, Node};
use lafs_clearinghouse::resolver::{Policy, Question};
use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;
use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::time::{Instant, sleep, timeout};

/// How long a whole phase may take before the bench gives up.
const PATIENCE: Duration = Duration::from_secs(180);
/// Between two samples, so that what runs on after an answer does not stand in the next one's way.
const PAUSE_ROUND_TRIPS: u32 = 6;

/// What is measured.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ResolveBench {
    /// How many nodes
    #[arg(long, default_value_t = 60)]
    nodes: usize,
    /// The round-trip time of the network, in milliseconds
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 50)]
    rtt_ms: u64,
    /// How many times each figure is measured
    #[arg(long, default_value_t = 100)]
    samples: usize,
    /// Up to how many servers each holds every record; 0 stores each record in its region only
    #[arg(long, default_value_t = 200)]
    whole_network_limit: usize,
}

type AnyError = Box<dyn Error + Send + Sync>;

/// A network of nodes behind relays, all in this process.
struct Network {
    layout: Layout,
    nodes: Vec<Node>,
    relays: Vec<Relay>,
    addrs: Vec<Multiaddr>,
    grids: Vec<GridId>,
    rtt: Duration,
}

/// Runs the bench and prints its table.
pub(crate) async fn resolve(bench: ResolveBench) -> Result<(), AnyError> {
    let rtt = Duration::from_millis(bench.rtt_ms);
    let unit = measured_round_trip(rtt).await?;
    eprintln!("raising {} nodes with {} grids…", bench.nodes, bench.nodes);
    let started = Instant::now();
    let network =
        timeout(PATIENCE, Network::raise(&bench, rtt)).await.map_err(|_| "the network does not come up")??;
    eprintln!("every record read back after {:.1} s", started.elapsed().as_secs_f64());
    println!(
        "{} nodes, whole-network limit {}, round trip {:.2} ms as measured",
        bench.nodes,
        bench.whole_network_limit,
        ms(unit)
    );
    println!("{:<42} {:>7} {:>9} {:>9} {:>9}   budget", "", "samples", "p50 RTT", "p99 RTT", "p99 ms");
    let report = |name: &str, samples: Vec<Duration>, budget: &str| print_row(name, samples, unit, budget);
    report("warm resolve", network.warm(bench.samples).await?, "p50 ≤ 1.1 RTT, p99 ≤ 2.2 RTT");
    let remembered = network.remembering_client().await?;
    let cold = network.cold(bench.samples, Some(&remembered)).await?;
    report("cold resolve, saved peers", cold, "p50 ≤ 2.3 RTT");
    report("cold resolve, one address", network.cold(bench.samples, None).await?, "p50 ≤ 3.3 RTT");
    report("publish to receipt", network.publish(bench.samples.min(bench.nodes)).await?, "p50 ≤ 6 RTT");
    for relay in network.relays.iter().skip(1).step_by(5) {
        relay.pause();
    }
    let cold = network.cold(bench.samples, Some(&remembered)).await?;
    report("cold resolve, saved peers, 20 % dead", cold, "p99 ≤ 1 s");
    network.stop().await;
    Ok(())
}

impl Network {
    async fn raise(bench: &ResolveBench, rtt: Duration) -> Result<Self, AnyError> {
        let size = Size { nodes: bench.nodes, grids: bench.nodes, relays: true };
        let mut layout = Layout::create(&size, None)?;
        let mut network =
            Self { nodes: Vec::new(), relays: Vec::new(), addrs: Vec::new(), grids: Vec::new(), rtt, layout };
        layout = network.layout;
        for (index, place) in layout.nodes.iter_mut().enumerate() {
            let manager = &layout.grids[index].dir;
            network.grids.push(create(manager, &GridKeys::Fresh.key(index))?);
            let ports = place.reserved.take().ok_or("each port is reserved once")?;
            network.relays.push(Relay::start(ports, place.listen.into(), rtt)?);
            create_private_dir(&place.dir)?;
            let config = NodeConfig {
                grid_manager: Some(manager.clone()),
                rate: vec!["free".parse()?],
                network: layout.network.clone(),
                listen: place.listen.into(),
                external: Some(place.external.to_string().parse()?),
                bootstrap: network.addrs.first().cloned().into_iter().collect(),
                allow_private_addresses: PrivateAddresses::Allowed,
                whole_network_limit: bench.whole_network_limit,
                ..NodeConfig::default()
            };
            let node = Node::start(&Home::new(&place.dir), &config, Clock::system()).await?;
            network.addrs.push(quic(place.external.into()).with(Protocol::P2p(node.dht.peer_id())));
            network.nodes.push(node);
        }
        network.layout = layout;
        let others = bench.nodes - 1;
        for publisher in network.nodes.iter().filter_map(|node| node.publisher.as_ref()) {
            while !publisher
                .published()
                .receipt
                .is_some_and(|receipt| receipt.is_wide() && receipt.servers_known >= others)
            {
                sleep(Duration::from_millis(50)).await;
            }
        }
        Ok(network)
    }

    /// Clients that stand connected, each grid asked for once.
    async fn warm(&self, samples: usize) -> Result<Vec<Duration>, AnyError> {
        let mut times = Vec::new();
        let mut number = 0;
        while times.len() < samples {
            number += 1;
            let client =
                self.client(&format!("warm-{number}"), vec![self.addrs[number % self.addrs.len()].clone()]).await?;
            // The first question makes the acquaintances.
            self.ask(&client, self.grids[number % self.grids.len()]).await?;
            timeout(PATIENCE, async {
                while client.dht.status().await.is_none_or(|status| status.connected < 5) {
                    sleep(self.rtt).await;
                }
            })
            .await?;
            sleep(Duration::from_secs(2)).await;
            for grid in self.grids.iter().skip(number + 1).take(samples - times.len()) {
                times.push(self.ask(&client, *grid).await?);
                sleep(self.rtt * PAUSE_ROUND_TRIPS).await;
            }
            client.stop().await;
        }
        Ok(times)
    }

    /// A client's directory that remembers servers, and nothing of most grids.
    async fn remembering_client(&self) -> Result<Home, AnyError> {
        let client = self.client("remembering", vec![self.addrs[0].clone()]).await?;
        self.ask(&client, self.grids[0]).await?;
        timeout(PATIENCE, client.dht.knows(self.nodes.len().min(20))).await?;
        sleep(Duration::from_secs(2)).await;
        client.stop().await;
        Ok(Home::new(self.layout.dir.join("remembering")))
    }

    /// New clients, each with one question: from opening its directory to the answer.
    async fn cold(&self, samples: usize, remembered: Option<&Home>) -> Result<Vec<Duration>, AnyError> {
        let mut times = Vec::new();
        for n in 0..samples {
            let name = format!("cold-{}-{n}", if remembered.is_some() { "remembering" } else { "stranger" });
            let home = self.layout.dir.join(&name);
            let bootstrap = match remembered {
                Some(remembered) => {
                    let _ = std::fs::remove_dir_all(&home);
                    copy_dir(remembered.path(), &home)?;
                    Vec::new()
                }
                None => vec![self.addrs[n % self.addrs.len()].clone()],
            };
            let started = Instant::now();
            let client = self.client(&name, bootstrap).await?;
            self.ask(&client, self.grids[1 + n % (self.grids.len() - 1)]).await?;
            times.push(started.elapsed());
            client.stop().await;
            sleep(self.rtt * PAUSE_ROUND_TRIPS).await;
        }
        Ok(times)
    }

    async fn publish(&self, samples: usize) -> Result<Vec<Duration>, AnyError> {
        let mut times = Vec::new();
        for publisher in self.nodes.iter().filter_map(|node| node.publisher.as_ref()).take(samples) {
            times.push(publisher.publish().await?.elapsed);
            sleep(self.rtt * PAUSE_ROUND_TRIPS).await;
        }
        Ok(times)
    }

    async fn client(&self, name: &str, bootstrap: Vec<Multiaddr>) -> Result<Client, AnyError> {
        let settings =
            ClientSettings { network: self.layout.network.clone(), bootstrap, private: PrivateAddresses::Allowed };
        Ok(Client::start(&Home::new(self.layout.dir.join(name)), settings, Clock::system()).await?)
    }

    async fn ask(&self, client: &Client, grid: GridId) -> Result<Duration, AnyError> {
        let started = Instant::now();
        let question = Question { grid, policy: Policy::Fast, deadline: Duration::from_secs(10) };
        client.resolver.resolve(question).await?;
        Ok(started.elapsed())
    }

    async fn stop(self) {
        for node in self.nodes {
            node.stop().await;
        }
        if self.layout.temporary {
            let _ = std::fs::remove_dir_all(&self.layout.dir);
        }
    }
}

/// What one datagram and its answer take through a relay: the unit of the table.
async fn measured_round_trip(rtt: Duration) -> Result<Duration, AnyError> {
    let echo = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let node = echo.local_addr()?;
    let relay = Relay::start(PortPair::any_with(Ipv4Addr::LOCALHOST, |_| Ok(()))?.0, node, rtt)?;
    let echoing = tokio::spawn(async move {
        let mut buffer = [0; 64];
        while let Ok((length, from)) = echo.recv_from(&mut buffer).await {
            let _ = echo.send_to(&buffer[..length], from).await;
        }
    });
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let mut times = Vec::new();
    for _ in 0..20 {
        let started = Instant::now();
        socket.send_to(b"ping", relay.address()).await?;
        timeout(PATIENCE, socket.recv_from(&mut [0; 64])).await??;
        times.push(started.elapsed());
    }
    echoing.abort();
    times.sort_unstable();
    Ok(times[times.len() / 2])
}

fn print_row(name: &str, mut samples: Vec<Duration>, unit: Duration, budget: &str) {
    samples.sort_unstable();
    let at = |part: f64| samples[((samples.len() - 1) as f64 * part).round() as usize];
    let round_trips = |time: Duration| time.as_secs_f64() / unit.as_secs_f64();
    let (p50, p99) = (at(0.5), at(0.99));
    println!(
        "{name:<42} {:>7} {:>9.2} {:>9.2} {:>9.1}   {budget}",
        samples.len(),
        round_trips(p50),
        round_trips(p99),
        ms(p99),
    );
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn quic(addr: SocketAddr) -> Multiaddr {
    Multiaddr::from(addr.ip()).with(Protocol::Udp(addr.port())).with(Protocol::QuicV1)
}

fn copy_dir(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in from.read_dir()? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_dir(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}
