//! The program that `testnet bench` starts to measure other DHTs of signed records in the same run: `mainline`, and `pkarr`
//! on top of it.
//!
//! It does what it is told: a line of JSON on standard input each, answered with one on standard output. What it costs the
//! processor and how much memory it takes is read from outside, as it is for our own nodes.

mod network;
mod orders;
mod system;

use network::Network;
use orders::{Answer, Order};
use std::io::{BufRead, Write};
use std::process::ExitCode;

fn main() -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("cannot start: {error}")),
    };
    match runtime.block_on(serve()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error.to_string()),
    }
}

fn fail(message: &str) -> ExitCode {
    eprintln!("lafs-bench-others: error: {message}");
    ExitCode::FAILURE
}

type AnyError = Box<dyn std::error::Error + Send + Sync>;

/// Ends with its input: the bench has gone.
async fn serve() -> Result<(), AnyError> {
    let mut network = None;
    for line in std::io::stdin().lock().lines() {
        let answer = match serde_json::from_str(&line?)? {
            Order::Versions => Answer { versions: versions(), ..Answer::default() },
            Order::Raise { places, records, value_bytes } => {
                network = Some(Network::raise(&places, records, value_bytes).await?);
                Answer::default()
            }
            Order::RaiseTestnet { nodes, records, value_bytes } => {
                // The one before goes first: its threads would be measured too.
                drop(network.take());
                network = Some(Network::testnet(nodes, records, value_bytes).await?);
                Answer::default()
            }
            Order::Warm { system, samples, pause_ms } => standing(&network)?.warm(system, samples, pause_ms).await?,
            Order::Cold { system, samples, pause_ms, start } => {
                standing(&network)?.cold(system, samples, pause_ms, start).await?
            }
            Order::Publish { system, samples, pause_ms } => {
                standing(&network)?.publish(system, samples, pause_ms).await?
            }
            Order::Flood { system, in_flight, seconds } => {
                standing(&network)?.flood(system, in_flight, seconds).await?
            }
        };
        let mut out = std::io::stdout().lock();
        writeln!(out, "{}", serde_json::to_string(&answer)?)?;
        out.flush()?;
    }
    Ok(())
}

fn standing(network: &Option<Network>) -> Result<&Network, AnyError> {
    network.as_ref().ok_or_else(|| "no network was raised".into())
}

/// The versions in the lock file, which are those that were built.
fn versions() -> Vec<String> {
    let lock = include_str!("../Cargo.lock");
    let version = |name: &str| {
        let after = lock.split(&format!("name = \"{name}\"\nversion = \"")).nth(1)?;
        Some(format!("{name} {}", after.split('"').next()?))
    };
    ["mainline", "pkarr"].into_iter().filter_map(version).collect()
}
