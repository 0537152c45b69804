//! `testnet bench resolve`: what resolving and publishing cost, beside their budgets and beside what other DHTs of signed
//! records cost on the same machine in the same run. `testnet bench fetch` is in `fetch/`, `testnet bench clear` in `clear/`.
//!
//! Times are told in round trips of a network that is measured first; where the cores and not the network bound a figure,
//! the processor's time is told too. Nothing here passes or fails: a figure on a loaded machine says something about the
//! machine, whose load is printed.

mod clear;
mod distance;
mod echo;
mod fetch;
mod load;
mod network;
mod others;
mod pair;
mod process;
mod startup;
mod table;

pub(crate) use clear::{ClearBench, clear};
use distance::Distances;
pub(crate) use fetch::{FetchBench, fetch};
use others::Others;
use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;
use table::Table;
use tokio::time::Instant;

/// How long a whole phase may take before the bench gives up: raising a hundred nodes is three thousand handshakes.
const PATIENCE: Duration = Duration::from_secs(600);

/// What is measured.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ResolveBench {
    /// How many nodes stand apart from each other
    #[arg(long, default_value_t = 60)]
    nodes: usize,
    /// The round-trip time between them, in milliseconds
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 50)]
    rtt_ms: u64,
    /// How many times each figure is measured
    #[arg(long, default_value_t = 60)]
    samples: usize,
    /// How many times each figure of another system is
    #[arg(long, default_value_t = 20)]
    other_samples: usize,
    /// Up to how many servers each holds every record; 0 stores each record in its region only
    #[arg(long, default_value_t = 200)]
    whole_network_limit: usize,
    /// How many nodes there are where load and memory are measured, without any distance
    #[arg(long, default_value_t = 100)]
    crowd: usize,
    /// How many records the node holds that is started anew
    #[arg(long, default_value_t = 100_000)]
    records: usize,
    /// The program with the other systems, as `scripts/bench` builds it; without it, ours is measured alone
    #[arg(long, value_name = "PROGRAM")]
    others: Option<PathBuf>,
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
    /// The rows in round trips.
    Distance,
    /// Questions answered in a second, and the memory of a node.
    Load,
    /// A start with many records, and the memory of a record.
    Startup,
}

type AnyError = Box<dyn Error + Send + Sync>;

/// Runs the bench and prints its table.
pub(crate) async fn resolve(bench: ResolveBench) -> Result<(), AnyError> {
    let began = Instant::now();
    let mut others = match &bench.others {
        Some(program) => Some(Others::start(program).await?),
        None => None,
    };
    let mut table =
        Table::new(&["mainline", "pkarr"], others.as_ref().map(|others| others.versions.clone()).unwrap_or_default());
    let stages = [Part::Distance, Part::Load, Part::Startup].into_iter().filter(|part| !bench.without.contains(part));
    for part in stages {
        match part {
            Part::Distance => Distances::measure(&bench, &mut others, &mut table).await?,
            Part::Load => load::measure(&bench, &mut others, &mut table).await?,
            Part::Startup => startup::measure(&bench, &mut table).await?,
        }
        say(format_args!("{:.0} s have passed", began.elapsed().as_secs_f64()));
    }
    if let Some(others) = others {
        others.stop().await?;
    }
    table.print(bench.json, began.elapsed());
    Ok(())
}

/// What is going on, for people.
fn say(text: std::fmt::Arguments<'_>) {
    eprintln!("testnet: {text}");
}
