//! What a gateway holds while many read a large file at once, each at a place of its own.

use super::{FetchBench, MIB, RealGrid};
use crate::bench::pair::{Member, Pair};
use crate::bench::table::{Budget, Row, Table};
use crate::bench::{AnyError, say};
use futures::StreamExt;
use futures::future::try_join_all;
use lafs_clearinghouse::address::PrivateAddresses;
use lafs_clearinghouse::capability::Capability;
use lafs_clearinghouse::clock::Clock;
use lafs_clearinghouse::config::Patience;
use lafs_clearinghouse::keys::GridId;
use lafs_clearinghouse::lafs::manifest::MAX_UNITS;
use lafs_clearinghouse::peer::{DialGuard, GatewayClient};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// How long they read.
const FOR: Duration = Duration::from_secs(30);
/// From one network come so many connections at most (`docs/spec/gateway.md`, "Limits"): readers share them.
const CONNECTIONS: usize = 50;
const BUDGET_MIB: f64 = 256.0;

pub(super) async fn measure(
    bench: &FetchBench,
    grid: &RealGrid,
    pair: &Pair,
    table: &mut Table,
) -> Result<(), AnyError> {
    let size = bench.large_mib << 20;
    say(format_args!("the real client stores {} MiB", bench.large_mib));
    let cap = grid.store(size, 2).await?;
    let mut members = Vec::new();
    for number in 0..CONNECTIONS.min(bench.readers) {
        members.push(pair.member(&pair.foreign, &format!("member-{number}")).await?);
    }
    say(format_args!("{} readers of it, for {} s", bench.readers, FOR.as_secs()));
    let process = pair.foreign.node.process()?;
    let before = process.resident()?;
    let until = Instant::now() + FOR;
    let clients = try_join_all(members.iter().map(connect)).await?;
    let reading = (0..bench.readers).map(|number| {
        let client = clients[number % clients.len()].clone();
        let (grid, cap) = (pair.foreign.grid, cap.clone());
        let part = number as f64 / bench.readers as f64;
        tokio::spawn(async move { read(&client, &grid, &cap, part, until).await })
    });
    let mut octets = 0;
    for reader in reading.collect::<Vec<_>>() {
        octets += reader.await??;
    }
    // The most it ever took, what came before this part included.
    let peak = process.peak()? as f64 / MIB;
    let row =
        Row::new(format!("memory of a gateway with {} readers of {} MiB", bench.readers, bench.large_mib), "MiB", peak);
    table.push(row.budget(Budget::AtMost(BUDGET_MIB)).note(format!(
        "at its most; {:.0} MiB before; they were given {:.0} MB/s in all",
        before as f64 / MIB,
        octets as f64 / 1e6 / FOR.as_secs_f64()
    )));
    Ok(())
}

async fn connect(member: &Member) -> Result<GatewayClient, AnyError> {
    let guard = DialGuard::new(PrivateAddresses::Allowed);
    Ok(GatewayClient::connect(member.place.clone(), member.me.clone(), Clock::system(), guard, Patience::WITH_HOME)
        .await?)
}

/// Reads from a place in the file on, round and round, and tells how many octets came.
async fn read(
    client: &GatewayClient,
    grid: &GridId,
    cap: &Capability,
    part: f64,
    until: Instant,
) -> Result<u64, AnyError> {
    let mut octets = 0;
    let mut manifest = Arc::new(client.manifest(grid, cap, 0, MAX_UNITS, None).await?);
    let all = manifest.layout().units();
    let mut at = ((all as f64 * part) as u64).min(all - 1);
    loop {
        if !manifest.covers(at) {
            manifest = Arc::new(client.manifest(grid, cap, at / MAX_UNITS * MAX_UNITS, MAX_UNITS, None).await?);
        }
        let end = manifest.units().end;
        let mut units = client.units(grid, cap, Arc::clone(&manifest), at..end, None)?;
        loop {
            let unit = tokio::select! {
                unit = units.next() => unit,
                () = sleep_until(until) => return Ok(octets),
            };
            let Some(unit) = unit else { break };
            octets += unit?.1.len() as u64;
        }
        at = if end >= all { 0 } else { end };
    }
}
