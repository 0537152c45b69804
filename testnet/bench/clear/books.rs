//! The books by themselves: durable vouchers, and computing a million of them again.

use super::{ClearBench, NOW, lane, voucher};
use crate::bench::process::Process;
use crate::bench::table::{Budget, Row, Table};
use crate::bench::{AnyError, say};
use futures::future::try_join_all;
use lafs_clearinghouse::ledger::{Ledger, Location, Part};
use lafs_clearinghouse::tariff::wire::{LaneOpen, Voucher};
use lafs_clearinghouse::units::Seconds;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Vouchers of a lane that is verified: one in each hour of its life.
const HOURS: u32 = 20;
/// Lanes that are signed, and then written, at once: nearly as many as the ledger commits together.
const SHEAF: u32 = 1_000;

pub(super) async fn measure(bench: &ClearBench, folder: &Path, table: &mut Table) -> Result<(), AnyError> {
    let syncs = syncs_in_a_second(folder)?;
    say(format_args!("{} durable vouchers on {} lanes", bench.durable, bench.lanes));
    let each = (bench.durable / bench.lanes).max(1);
    let written = Arc::new(
        tokio::task::spawn_blocking({
            let lanes = bench.lanes;
            move || signed(0..lanes, each)
        })
        .await??,
    );
    let sqlite = durable(Location::Sqlite(folder.join("durable.sqlite")), written.clone()).await?;
    let postgres = match &bench.postgres {
        Some(location) => Some(durable(location.clone(), written).await?),
        None => None,
    };
    let row = Row::new("durable vouchers, group commit", "1/s", sqlite).budget(Budget::AtLeast(5_000.0));
    table.push(row.beside("postgresql", postgres).note(format!("the disk syncs {syncs:.0} times a second")));

    let lanes = bench.verified.div_ceil(HOURS);
    say(format_args!("{} vouchers of {lanes} lanes to be verified", lanes * HOURS));
    let ledger = Ledger::open(Location::Sqlite(folder.join("verified.sqlite")), NOW).await?;
    let began = Instant::now();
    fill(&ledger, lanes).await?;
    let took = began.elapsed().as_secs_f64();
    let rate = f64::from(lanes * HOURS) / took;
    table.push(
        Row::new("vouchers in as many hours, and their bookings", "1/s", rate).note(format!("{took:.0} s for all")),
    );
    let (cpu, before) = (Process(0).cpu()?, Process(0).begin_peak()?);
    let began = Instant::now();
    let verified = ledger.verify().await?;
    let took = began.elapsed().as_secs_f64();
    let cpu = (Process(0).cpu()? - cpu).as_secs_f64();
    let peak = Process(0).peak()?.saturating_sub(before) as f64 / 1e6;
    ledger.close().await;
    if verified.vouchers != u64::from(lanes * HOURS) {
        return Err(format!("{} vouchers were verified", verified.vouchers).into());
    }
    let note = format!("{} vouchers, {} lanes; {cpu:.0} s of processor time", verified.vouchers, verified.lanes);
    table.push(Row::new("ledger verify", "s", took).budget(Budget::AtMost(120.0)).note(note));
    table.push(Row::new("ledger verify, memory", "MB", peak).note("at its most, above what this process had"));
    Ok(())
}

/// Fills a ledger with lanes that have a voucher in each hour: nothing is added up with what was there before, so every voucher
/// is a booking. One sheaf of lanes is signed while the one before it is written, hour by hour as time would have it: a lane's next
/// voucher comes when the last one is acknowledged, since one that overtook it would leave it nothing to book.
async fn fill(ledger: &Ledger, lanes: u32) -> Result<(), AnyError> {
    let sign = |first: u32| {
        let until = lanes.min(first.saturating_add(SHEAF));
        tokio::task::spawn_blocking(move || signed(first..until, HOURS))
    };
    let mut next = sign(0);
    for first in (0..lanes).step_by(SHEAF as usize) {
        let sheaf = next.await??;
        next = sign(first + SHEAF);
        try_join_all(sheaf.iter().map(|(lane, _)| ledger.open_lane(Part::Payee, lane.clone(), NOW))).await?;
        let of_lane = async |vouchers: Vec<Voucher>| {
            for (hour, voucher) in (0..).zip(vouchers) {
                ledger.voucher(Part::Payee, voucher, vec![], NOW.plus(Seconds::hours(hour))).await?;
            }
            Ok::<(), AnyError>(())
        };
        try_join_all(sheaf.into_iter().map(|(_, vouchers)| of_lane(vouchers))).await?;
    }
    Ok(())
}

type Signed = Vec<(LaneOpen, Vec<Voucher>)>;

/// Lanes with their vouchers, signed beforehand on every core: what is measured is the books.
fn signed(lanes: std::ops::Range<u32>, each: u32) -> Result<Signed, String> {
    let of_lane = |nth| {
        let opened = lane(nth)?;
        let vouchers = (1..=each).map(|mib| voucher(&opened, mib)).collect::<Result<Vec<_>, _>>()?;
        Ok::<_, AnyError>((opened, vouchers))
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let lanes: Vec<u32> = lanes.collect();
    std::thread::scope(|scope| {
        let parts = lanes.chunks(lanes.len().div_ceil(cores).max(1));
        let parts: Vec<_> = parts
            .map(|part| {
                scope.spawn(move || {
                    part.iter()
                        .map(|nth| of_lane(*nth))
                        .collect::<Result<Signed, _>>()
                        .map_err(|error| error.to_string())
                })
            })
            .collect();
        let parts: Result<Vec<_>, String> =
            parts.into_iter().map(|part| part.join().map_err(|_| "a thread that signs ended".to_owned())?).collect();
        Ok(parts?.into_iter().flatten().collect())
    })
}

/// How many vouchers are acknowledged in a second.
async fn durable(location: Location, written: Arc<Signed>) -> Result<f64, AnyError> {
    let ledger = Ledger::open(location, NOW).await?;
    for (opened, _) in written.iter() {
        ledger.open_lane(Part::Payee, opened.clone(), NOW).await?;
    }
    let began = Instant::now();
    let mut tasks = JoinSet::new();
    for place in 0..written.len() {
        let (ledger, written) = (ledger.clone(), written.clone());
        tasks.spawn(async move {
            for voucher in &written[place].1 {
                ledger.voucher(Part::Payee, voucher.clone(), vec![], NOW).await?;
            }
            Ok::<usize, AnyError>(written[place].1.len())
        });
    }
    let mut count = 0;
    while let Some(done) = tasks.join_next().await {
        count += done??;
    }
    let took = began.elapsed();
    ledger.close().await;
    Ok(count as f64 / took.as_secs_f64())
}

/// How often the disk under a folder can be told to keep a page.
fn syncs_in_a_second(folder: &Path) -> Result<f64, AnyError> {
    use std::io::Write;
    let mut file = std::fs::File::create(folder.join("synced"))?;
    let began = Instant::now();
    let mut count = 0_u32;
    while began.elapsed() < Duration::from_secs(1) {
        file.write_all(&[0; 4_096])?;
        file.sync_data()?;
        count += 1;
    }
    Ok(f64::from(count) / began.elapsed().as_secs_f64())
}
