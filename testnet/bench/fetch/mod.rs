//! `testnet bench fetch`: how fast files of a real Tahoe-LAFS grid are read, beside its own client in the same run, from the same
//! storage servers; what a gateway takes for it, and how far that is from the arithmetic alone.
//!
//! Nothing here passes or fails: a figure on a loaded machine says something about the machine, whose load is printed.

mod arithmetic;
mod first_byte;
mod memory;
mod real_grid;
mod speed;

use super::pair::Pair;
use super::table::Table;
use super::{AnyError, say};
pub(super) use real_grid::Noise;
use real_grid::RealGrid;
use std::path::PathBuf;
use tokio::time::Instant;

/// The column of the real client.
const TAHOE: &str = "Tahoe-LAFS";
const MIB: f64 = 1024.0 * 1024.0;

/// What is measured.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct FetchBench {
    /// A Python with the real Tahoe-LAFS, as `scripts/setup` prints it
    #[arg(long, value_name = "PROGRAM")]
    python: PathBuf,
    /// `scripts/tahoe_nodes.py`, which raises the real grid
    #[arg(long, value_name = "FILE")]
    tahoe_nodes: PathBuf,
    /// How many storage servers the grid has; a file becomes a share for each
    #[arg(long, default_value_t = 3)]
    servers: u16,
    /// How many shares give a file back
    #[arg(long, default_value_t = 2)]
    needed: u16,
    /// The size of the file whose reading is timed, in millions of bytes
    #[arg(long, default_value_t = 200)]
    megabytes: u64,
    /// How many times it is read each way
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// How many small files are read where the first byte is timed
    #[arg(long, default_value_t = 20)]
    samples: usize,
    /// The round-trip time to the home gateway, and from there to the foreign one, where the first byte is timed
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 50)]
    rtt_ms: u64,
    /// How many read at once where memory is measured
    #[arg(long, default_value_t = 100)]
    readers: usize,
    /// The size of the file that they read, in MiB
    #[arg(long, default_value_t = 1024)]
    large_mib: u64,
    /// Leave out a part; may be given more than once
    #[arg(long, value_name = "PART")]
    without: Vec<Part>,
    /// Print one object of JSON
    #[arg(long)]
    json: bool,
}

/// What can be left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// Whole files, by the gateway alone and end to end.
    Speed,
    /// The first byte, in round trips.
    FirstByte,
    /// A gateway with many readers.
    Memory,
    /// The erasure code, hashes and ciphers by themselves.
    Arithmetic,
}

/// Runs the bench and prints its table.
pub(crate) async fn fetch(bench: FetchBench) -> Result<(), AnyError> {
    let began = Instant::now();
    let wanted = |part| !bench.without.contains(&part);
    let mut table = Table::new(&[TAHOE], vec!["the real client of Tahoe-LAFS, on the same servers".to_owned()]);
    let arithmetic = wanted(Part::Arithmetic).then(|| arithmetic::measure(&mut table)).transpose()?;
    if wanted(Part::Speed) || wanted(Part::FirstByte) || wanted(Part::Memory) {
        say(format_args!("raising a real grid of {} storage servers", bench.servers));
        let grid = RealGrid::raise(&bench).await?;
        if wanted(Part::Speed) || wanted(Part::Memory) {
            let pair = Pair::raise(grid.abroad(), None).await?;
            if wanted(Part::Speed) {
                speed::measure(&bench, &grid, &pair, arithmetic.as_ref(), &mut table).await?;
                say(format_args!("{:.0} s have passed", began.elapsed().as_secs_f64()));
            }
            if wanted(Part::Memory) {
                memory::measure(&bench, &grid, &pair, &mut table).await?;
                say(format_args!("{:.0} s have passed", began.elapsed().as_secs_f64()));
            }
            pair.end().await?;
        }
        if wanted(Part::FirstByte) {
            first_byte::measure(&bench, &grid, &mut table).await?;
        }
        grid.end().await?;
    }
    table.print(bench.json, began.elapsed());
    Ok(())
}
