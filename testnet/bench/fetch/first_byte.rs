//! The first byte of a file that nobody has asked for before, through both gateways, where everything stands connected: the
//! home gateway has the record and a session, the reader a connection.

use super::{FetchBench, RealGrid};
use crate::bench::echo::measured_round_trip;
use crate::bench::pair::Pair;
use crate::bench::table::{Budget, Row, Table};
use crate::bench::{AnyError, say};
use futures::StreamExt;
use lafs_clearinghouse::address::PrivateAddresses;
use lafs_clearinghouse::capability::{Area, Capability, ForeignCap};
use lafs_clearinghouse::clock::Clock;
use lafs_clearinghouse::config::{Home, Patience};
use lafs_clearinghouse::gateway::Files;
use lafs_clearinghouse::grid::{Grid, GridSettings};
use lafs_clearinghouse::peer::DialGuard;
use lafs_clearinghouse::reader::{CapPath, Reader};
use std::time::Duration;
use tokio::time::Instant;

/// Below the segment of 1 MiB that Tahoe-LAFS 1.20 makes by default, so one unit.
const SIZE: u64 = 500_000;
const BUDGET: f64 = 4.0;

pub(super) async fn measure(bench: &FetchBench, grid: &RealGrid, table: &mut Table) -> Result<(), AnyError> {
    let rtt = Duration::from_millis(bench.rtt_ms);
    let unit = measured_round_trip(rtt).await?;
    say(format_args!(
        "two gateways, {:.2} ms apart as measured, and a reader as far from its home",
        unit.as_secs_f64() * 1e3
    ));
    let pair = Pair::raise(grid.abroad(), Some(rtt)).await?;
    let member = pair.member(&pair.home, "reader").await?;
    let guard = DialGuard::new(PrivateAddresses::Allowed);
    let home_grid = member.place.grid;
    let dir = Home::new(&member.dir);
    let patience = Patience::WITH_HOME;
    let reader = Reader::through(member.place, member.me, &dir, Clock::system(), guard, patience, None);
    let mut times = Vec::new();
    for sample in 0..=bench.samples {
        let cap = grid.store(SIZE, 1_000 + sample as u64).await?;
        let foreign = ForeignCap::from_home(Area::Grid(pair.foreign.grid), &cap).into_cap().to_string();
        let path = CapPath::parse(&foreign, &home_grid)?;
        let started = Instant::now();
        let found = reader.walk(&path).await?;
        // As `get` does it.
        let file = reader.open_before(&found.target, 0..u64::MAX).await?;
        let first = file.read(0..SIZE).next().await.ok_or("the file ends before it begins")??;
        let took = started.elapsed();
        assert!(!first.is_empty(), "a piece has bytes");
        // The first of all opens the sessions.
        if sample > 0 {
            times.push(took);
        }
        tokio::time::sleep(rtt).await;
    }
    times.sort_unstable();
    let servers = servers_alone(bench, grid).await?;
    let at = |part: f64| times[((times.len() - 1) as f64 * part).round() as usize].as_secs_f64() / unit.as_secs_f64();
    let note = format!(
        "of {:.1} ms; the real servers' part in it, as the gateway's reader alone has it: {:.2} RTT",
        unit.as_secs_f64() * 1e3,
        servers.as_secs_f64() / unit.as_secs_f64()
    );
    table.push(
        Row::new("first byte, warm, both legs as long, p50", "RTT", at(0.5)).budget(Budget::AtMost(BUDGET)).note(note),
    );
    table.push(Row::new("first byte, warm, both legs as long, p95", "RTT", at(0.95)));
    pair.end().await
}

/// How long the gateway's reader takes for the first unit of a file, on loopback: the median.
async fn servers_alone(bench: &FetchBench, grid: &RealGrid) -> Result<Duration, AnyError> {
    let files = Files::of_grid(Grid::open(GridSettings::new(grid.node.clone()), Clock::system())?);
    let mut times = Vec::new();
    for sample in 0..=bench.samples {
        let cap: Capability = grid.store(SIZE, 2_000 + sample as u64).await?;
        let verify_cap = cap.verify_cap().ok_or("an immutable file has a verify cap")?;
        let started = Instant::now();
        let file = files.open(&verify_cap, None).await?;
        file.manifest(0..file.layout().units()).await?;
        file.units(0..1).next().await.ok_or("the file ends before it begins")??;
        // The first opens the connections.
        if sample > 0 {
            times.push(started.elapsed());
        }
    }
    times.sort_unstable();
    Ok(times[times.len() / 2])
}
