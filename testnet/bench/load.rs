//! What one node among many carries, and what it takes: questions answered in a second, the processor's time for each, and
//! memory. No distances: here the cores are what counts.
//!
//! The node that is measured is a process of its own. The others share this one, in which the questions are asked too.

use super::network::{Network, Shape, quic};
use super::others::{Others, System};
use super::process::{NodeProcess, Process};
use super::table::{Budget, Row, Table};
use super::{AnyError, ResolveBench, say};
use futures::future::try_join_all;
use lafs_clearinghouse::config::{Home, NodeConfig, PUBLIC_MODE, create_new, create_private_dir};
use lafs_clearinghouse::dht::message::{Body, Request, Response};
use lafs_clearinghouse::dht::server::Server;
use lafs_clearinghouse::dht::walk::WIDTH;
use lafs_clearinghouse::dht::{Dht, Finding};
use lafs_clearinghouse::keys::GridId;
use std::path::Path;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How many grids publish in it: all nodes hold all their records.
const GRIDS: usize = 10;
/// How many clients ask the one node, and how many questions each has open: below what one connection may.
const CLIENTS: usize = 4;
const OPEN_QUESTIONS: usize = 16;
/// How long it is asked.
const FLOOD: Duration = Duration::from_secs(5);
/// When connections that nobody uses are down to those kept for a minute.
const QUIET: Duration = Duration::from_secs(20);
/// How long an idle process is given to be as large as it gets.
const IDLE: Duration = Duration::from_secs(3);
/// How many times more than the other system's lookups one node is to serve.
const TIMES_MORE: f64 = 10.0;
const MIB: f64 = 1024.0 * 1024.0;

pub(super) async fn measure(
    bench: &ResolveBench,
    others: &mut Option<Others>,
    table: &mut Table,
) -> Result<(), AnyError> {
    say(format_args!("raising {} nodes without distances, one of them a process of its own", bench.crowd));
    let shape = Shape {
        nodes: bench.crowd,
        in_process: bench.crowd - 1,
        grids: GRIDS.min(bench.crowd - 1),
        rtt: None,
        whole_network_limit: bench.whole_network_limit,
    };
    let mut network = Network::raise(&shape).await?;
    let idle = idle_resident(&network.layout.dir.join("idle")).await?;
    for grid in &network.grids {
        network.hold(grid).await?;
    }
    let (home, grid) = network.prepare(bench.crowd - 1)?;
    let mut node = NodeProcess::start(home.path())?;
    let peer = node.ready().await?.parse()?;
    let external = network.layout.nodes[bench.crowd - 1].external;
    let server = Server { peer, addrs: vec![quic(external.into())] };
    // It fetches their records, publishes its own to all of them, and is not busy with either any more.
    network.hold(&grid).await?;
    sleep(QUIET).await;
    let process = node.process()?;
    let (resident, peak) = (process.resident()?, process.peak()?);
    let served = Served::measure(&network, &server, process).await?;
    let (lookups, lookup_cpu) = look_up(&network, process).await?;
    let value_bytes = network.record_bytes().await?;
    node.end().await?;
    network.stop().await;

    let mut theirs = Theirs::default();
    if let Some(others) = others {
        say(format_args!("the same with {}", others.versions.join(" and ")));
        theirs = Theirs::measure(others, bench.crowd, value_bytes).await?;
    }
    let mut row =
        Row::new("resolves served by one node", "1/s", served.per_second).beside("mainline", theirs.lookups[0]);
    if let Some(lookups) = theirs.lookups[0] {
        row = row.budget(Budget::AtLeast(TIMES_MORE * lookups));
    }
    table.push(row.note(format!(
        "beside lookups by one client, {} open at once; our node had {:.0} % of a core",
        CLIENTS * OPEN_QUESTIONS,
        served.share * 100.0
    )));
    table.push(Row::new("its processor time for each", "µs", served.cpu * 1e6));
    table.push(
        Row::new("lookups by one client", "1/s", lookups)
            .beside("mainline", theirs.lookups[0])
            .beside("pkarr", theirs.lookups[1]),
    );
    table.push(
        Row::new("processor time of each, all nodes", "µs", lookup_cpu * 1e6)
            .beside("mainline", theirs.cpu[0].map(|seconds| seconds * 1e6))
            .beside("pkarr", theirs.cpu[1].map(|seconds| seconds * 1e6)),
    );
    let above = |octets: u64| (octets as f64 - idle as f64) / MIB;
    table.push(
        Row::new(format!("memory of a node among {}, above idle", bench.crowd), "MiB", above(resident))
            .budget(Budget::AtMost(8.0))
            .beside("mainline", theirs.node_bytes.map(|octets| octets / MIB))
            .note(format!("idle {:.1} MiB; at its most {:.1} above", idle as f64 / MIB, above(peak))),
    );
    Ok(())
}

/// The memory of a node that knows nobody.
pub(super) async fn idle_resident(dir: &Path) -> Result<u64, AnyError> {
    let home = Home::new(dir);
    create_private_dir(home.path())?;
    let config = NodeConfig { listen: "127.0.0.1:0".parse()?, ..NodeConfig::default() };
    create_new(&home.config(), config.to_commented_toml().as_bytes(), PUBLIC_MODE)?;
    let mut node = NodeProcess::start(home.path())?;
    node.ready().await?;
    sleep(IDLE).await;
    let resident = node.process()?.resident()?;
    node.end().await?;
    Ok(resident)
}

/// What one node answered.
struct Served {
    per_second: f64,
    /// The processor's time of the node for each answer, in seconds.
    cpu: f64,
    /// How much of a core it had.
    share: f64,
}

impl Served {
    async fn measure(network: &Network, server: &Server, process: Process) -> Result<Self, AnyError> {
        let mut clients = Vec::new();
        for n in 0..CLIENTS {
            let client = network.client(&format!("asker-{n}"), vec![network.addrs[n].clone()]).await?;
            // The connection is made before the clock runs.
            client.dht.ask(server, Request::Resolve { grid: network.grids[0] }).await?;
            clients.push(client);
        }
        let before = process.cpu()?;
        let started = Instant::now();
        let asking = clients.iter().flat_map(|client| (0..OPEN_QUESTIONS).map(move |n| (client.dht.clone(), n)));
        let askers = asking.map(|(dht, n)| {
            let (server, grids) = (server.clone(), network.grids.clone());
            tokio::spawn(async move { ask_again_and_again(&dht, &server, &grids, n, started + FLOOD).await })
        });
        let mut answered = 0;
        for asker in askers.collect::<Vec<_>>() {
            answered += asker.await??;
        }
        let elapsed = started.elapsed().as_secs_f64();
        let cpu = (process.cpu()? - before).as_secs_f64();
        for client in clients {
            client.stop().await;
        }
        Ok(Self { per_second: f64::from(answered) / elapsed, cpu: cpu / f64::from(answered), share: cpu / elapsed })
    }
}

/// Returns how many answers with a record came.
async fn ask_again_and_again(
    dht: &Dht,
    server: &Server,
    grids: &[GridId],
    first: usize,
    until: Instant,
) -> Result<u32, AnyError> {
    let mut answered = 0;
    for grid in grids.iter().cycle().skip(first) {
        if Instant::now() >= until {
            break;
        }
        let answer = dht.ask(server, Request::Resolve { grid: *grid }).await?;
        match answer {
            Response { body: Body::Found { record: Some(_), .. }, .. } => answered += 1,
            _ => return Err("the node does not hold every record".into()),
        }
    }
    Ok(answered)
}

/// Walks of one client, each until its first record: how many in a second, and the processor's time of all nodes for each.
async fn look_up(network: &Network, apart: Process) -> Result<(f64, f64), AnyError> {
    let client = network.client("walker", vec![network.addrs[0].clone()]).await?;
    // A whole walk first, which makes the acquaintances.
    let mut findings = client.dht.lookup(network.grids[0], WIDTH);
    while findings.recv().await.is_some() {}
    sleep(Duration::from_secs(1)).await;
    let cpu = || -> Result<Duration, AnyError> { Ok(Process(0).cpu()? + apart.cpu()?) };
    let (before, started) = (cpu()?, Instant::now());
    let walkers = (0..CLIENTS * OPEN_QUESTIONS).map(|n| {
        let (dht, grids) = (client.dht.clone(), network.grids.clone());
        async move {
            let mut found = 0_u32;
            for grid in grids.into_iter().cycle().skip(n) {
                if started.elapsed() >= FLOOD {
                    break;
                }
                find(&dht, grid).await?;
                found += 1;
            }
            Ok::<u32, AnyError>(found)
        }
    });
    let found: u32 = try_join_all(walkers).await?.into_iter().sum();
    let elapsed = started.elapsed().as_secs_f64();
    let cpu = (cpu()? - before).as_secs_f64();
    client.stop().await;
    Ok((f64::from(found) / elapsed, cpu / f64::from(found)))
}

async fn find(dht: &Dht, grid: GridId) -> Result<(), AnyError> {
    let mut findings = dht.lookup(grid, WIDTH);
    while let Some(finding) = findings.recv().await {
        if let Finding::Answer { record: Some(_), .. } = finding {
            return Ok(());
        }
    }
    Err("no node knew a record that all hold".into())
}

/// The figures of the other systems, [`System::ALL`] in order.
#[derive(Default)]
struct Theirs {
    lookups: [Option<f64>; 2],
    /// In seconds, of all nodes.
    cpu: [Option<f64>; 2],
    node_bytes: Option<f64>,
}

impl Theirs {
    async fn measure(others: &mut Others, nodes: usize, value_bytes: usize) -> Result<Self, AnyError> {
        let process = others.process()?;
        let before = process.resident()?;
        others.raise_testnet(nodes, GRIDS, value_bytes).await?;
        let grown = process.resident()?.saturating_sub(before) as f64;
        let mut theirs = Self { node_bytes: Some(grown / nodes as f64), ..Self::default() };
        for (place, system) in System::ALL.into_iter().enumerate() {
            let before = process.cpu()?;
            let answer = others.flood(system, CLIENTS * OPEN_QUESTIONS, FLOOD.as_secs_f64()).await?;
            let cpu = (process.cpu()? - before).as_secs_f64();
            if answer.answered > 0 {
                theirs.lookups[place] = Some(answer.answered as f64 / answer.elapsed_seconds);
                theirs.cpu[place] = Some(cpu / answer.answered as f64);
            }
        }
        Ok(theirs)
    }
}
