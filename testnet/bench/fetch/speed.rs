//! A whole file: read by the gateway's own reader, out of the gateway, end to end to the disk, and by the real client.

use super::arithmetic::Arithmetic;
use super::{FetchBench, MIB, RealGrid, TAHOE};
use crate::bench::pair::{Member, Pair, run};
use crate::bench::process::Process;
use crate::bench::table::{Budget, Row, Table};
use crate::bench::{AnyError, say};
use futures::{StreamExt, TryStreamExt};
use lafs_clearinghouse::address::PrivateAddresses;
use lafs_clearinghouse::capability::{Area, Capability, ForeignCap};
use lafs_clearinghouse::clock::Clock;
use lafs_clearinghouse::config::Patience;
use lafs_clearinghouse::gateway::Files;
use lafs_clearinghouse::grid::{Grid, GridSettings};
use lafs_clearinghouse::keys::GridId;
use lafs_clearinghouse::lafs::manifest::MAX_UNITS;
use lafs_clearinghouse::peer::{DialGuard, GatewayClient};
use std::ffi::OsStr;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// How many times as fast as the real client.
const GATEWAY_TIMES: f64 = 5.0;
const END_TO_END_TIMES: f64 = 3.0;

pub(super) async fn measure(
    bench: &FetchBench,
    grid: &RealGrid,
    pair: &Pair,
    arithmetic: Option<&Arithmetic>,
    table: &mut Table,
) -> Result<(), AnyError> {
    let size = bench.megabytes * 1_000_000;
    say(format_args!("the real client stores {} MB", bench.megabytes));
    let cap = grid.store(size, 1).await?;
    let reader = pair.member(&pair.home, "reader").await?;
    let local = pair.member(&pair.foreign, "local").await?;
    let mut times = Times::default();
    for round in 1..=bench.rounds {
        say(format_args!("reading it each way, {round} of {}", bench.rounds));
        times.tahoe.push(grid.read(&cap).await?);
        times.gateway.push(by_the_gateways_reader(grid, &cap).await?);
        let before = pair.foreign.node.process()?.cpu()?;
        times.served.push(out_of_the_gateway(&local, &pair.foreign.grid, &cap).await?);
        times.cpu.push(pair.foreign.node.process()?.cpu()? - before);
        let before = cpu_of_all(grid, pair)?;
        times.end_to_end.push(to_the_disk(pair, &reader, &cap, size).await?);
        let after = cpu_of_all(grid, pair)?;
        for (place, taken) in times.end_to_end_cpu.iter_mut().enumerate() {
            taken.push(after[place] - before[place]);
        }
    }
    let rate = |times: &[Duration]| size as f64 / 1e6 / median(times);
    let tahoe = rate(&times.tahoe);
    let name = format!("{} MB", bench.megabytes);
    let mut row = |what: &str, ours: f64, times: Option<f64>| {
        table.push(Row::new(format!("{name}, {what}"), "MB/s", ours).beside(TAHOE, Some(tahoe)));
        if let Some(times) = times {
            let row = Row::new(format!("{name}, {what}, as a multiple of the real client"), "×", ours / tahoe);
            table.push(row.budget(Budget::AtLeast(times)));
        }
    };
    row("read by the gateway", rate(&times.gateway), Some(GATEWAY_TIMES));
    row("out of the gateway, verified again", rate(&times.served), None);
    row("both gateways, plaintext on disk", rate(&times.end_to_end), Some(END_TO_END_TIMES));
    let cpu = median(&times.cpu);
    let mut row = Row::new(format!("processor time of the gateway for {name}"), "s", cpu);
    if let Some(arithmetic) = arithmetic {
        let alone = arithmetic.seconds_of_a_gateway(size);
        row = row.note(format!("{alone:.2} s of hashing and TLS alone: {:.2} times as much", cpu / alone));
    }
    table.push(row);
    for (who, taken) in PARTIES.iter().zip(&times.end_to_end_cpu) {
        table.push(Row::new(format!("processor time of {who} for {name} end to end"), "s", median(taken)));
    }
    let peak = pair.foreign.node.process()?.peak()? as f64 / MIB;
    table.push(Row::new(format!("memory of the gateway after {name}, at its most"), "MiB", peak));
    Ok(())
}

#[derive(Default)]
struct Times {
    tahoe: Vec<Duration>,
    gateway: Vec<Duration>,
    served: Vec<Duration>,
    /// The processor's time of the gateway's process while it served.
    cpu: Vec<Duration>,
    end_to_end: Vec<Duration>,
    /// The same of each of the [`PARTIES`] end to end.
    end_to_end_cpu: [Vec<Duration>; PARTIES.len()],
}

/// Who has work to do when a foreign file is read.
const PARTIES: [&str; 4] = ["the storage servers", "the foreign gateway", "the home gateway", "`get`"];

/// The processor's time that the [`PARTIES`] have taken so far.
fn cpu_of_all(grid: &RealGrid, pair: &Pair) -> Result<[Duration; PARTIES.len()], AnyError> {
    let (foreign, home) = (pair.foreign.node.process()?, pair.home.node.process()?);
    Ok([grid.cpu()?, foreign.cpu()?, home.cpu()?, Process(0).ended_children_cpu()?])
}

/// In seconds.
fn median(times: &[Duration]) -> f64 {
    let mut times = times.to_vec();
    times.sort_unstable();
    times.get(times.len() / 2).map_or(f64::NAN, Duration::as_secs_f64)
}

/// What the gateway reads from, with nothing remembered: verified ciphertext, handed to nobody.
async fn by_the_gateways_reader(grid: &RealGrid, cap: &Capability) -> Result<Duration, AnyError> {
    let verify_cap = cap.verify_cap().ok_or("an immutable file has a verify cap")?;
    let node = grid.node.clone();
    let started = Instant::now();
    let files = Files::of_grid(Grid::open(GridSettings::new(node), Clock::system())?);
    let file = files.open(&verify_cap, None).await?;
    let mut units = file.units(0..file.layout().units());
    while let Some(unit) = units.next().await {
        unit?;
    }
    Ok(started.elapsed())
}

/// As a client of the file's own grid: the gateway's ciphertext over TLS, verified by its manifest.
async fn out_of_the_gateway(member: &Member, grid: &GridId, cap: &Capability) -> Result<Duration, AnyError> {
    let started = Instant::now();
    let guard = DialGuard::new(PrivateAddresses::Allowed);
    let client =
        GatewayClient::connect(member.place.clone(), member.me.clone(), Clock::system(), guard, Patience::WITH_HOME)
            .await?;
    let mut first = 0;
    loop {
        let manifest = Arc::new(client.manifest(grid, cap, first, MAX_UNITS, None).await?);
        let units = manifest.units();
        let last = manifest.layout().units();
        let end = units.end;
        client.units(grid, cap, manifest, units, None)?.try_for_each(|_| async { Ok(()) }).await?;
        if end >= last {
            return Ok(started.elapsed());
        }
        first = end;
    }
}

/// `clearinghouse get`, from its start to its end.
async fn to_the_disk(pair: &Pair, reader: &Member, cap: &Capability, size: u64) -> Result<Duration, AnyError> {
    let foreign = ForeignCap::from_home(Area::Grid(pair.foreign.grid), cap).into_cap().to_string();
    let file = pair.dir().join("fetched");
    let started = Instant::now();
    let words = ["get", &foreign, "-d"].map(OsStr::new).into_iter();
    run(words.chain([reader.dir.as_os_str(), OsStr::new("-o"), file.as_os_str()])).await?;
    let took = started.elapsed();
    if std::fs::metadata(&file)?.len() != size {
        return Err("`get` wrote another number of bytes".into());
    }
    std::fs::remove_file(&file)?;
    Ok(took)
}
