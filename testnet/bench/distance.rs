//! The rows in round trips: nodes behind relays that hold every packet for half of one. The other systems' nodes stand behind
//! the same relays.
//!
//! What the nodes cost the processor is in the figures: on two cores sixty nodes are not sixty machines.

use super::echo::measured_round_trip;
use super::network::{Network, Shape, ask, remove};
use super::others::{Answer, Deed, Others, System};
use super::process::clearinghouse;
use super::table::{Budget, Row, Table};
use super::{AnyError, PATIENCE, ResolveBench, say};
use crate::layout::{Layout, Size};
use crate::relay::Relay;
use lafs_clearinghouse::config::Home;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;
use tokio::time::{Instant, sleep, timeout};

/// Between two samples, so that what runs on after an answer does not stand in the next one's way.
const PAUSE_ROUND_TRIPS: u32 = 5;
/// One node in so many is dead where 20 % are.
const DEAD_ONE_IN: usize = 5;
/// How many programs are started for the row of whole programs.
const PROGRAMS: usize = 25;

/// What was measured of one system, in seconds, shortest first.
#[derive(Default)]
pub(super) struct Distances {
    warm: Times,
    cold: Times,
    stranger: Times,
    publish: Times,
    dead: Times,
}

/// The times of one deed, and how often it failed.
#[derive(Default)]
struct Times {
    seconds: Vec<f64>,
    failed: usize,
}

impl Times {
    fn of(mut seconds: Vec<f64>, failed: usize) -> Self {
        seconds.sort_unstable_by(f64::total_cmp);
        Self { seconds, failed }
    }

    fn at(&self, part: f64) -> Option<f64> {
        let last = self.seconds.len().checked_sub(1)?;
        self.seconds.get((last as f64 * part).round() as usize).copied()
    }
}

impl From<Answer> for Times {
    fn from(answer: Answer) -> Self {
        Self::of(answer.seconds, answer.failed)
    }
}

impl Distances {
    pub(super) async fn measure(
        bench: &ResolveBench,
        others: &mut Option<Others>,
        table: &mut Table,
    ) -> Result<(), AnyError> {
        let rtt = Duration::from_millis(bench.rtt_ms);
        let unit = measured_round_trip(rtt).await?.as_secs_f64();
        say(format_args!("raising {} nodes, {:.2} ms apart as measured", bench.nodes, unit * 1e3));
        let started = Instant::now();
        let shape = Shape {
            nodes: bench.nodes,
            in_process: bench.nodes,
            grids: bench.nodes,
            rtt: Some(rtt),
            whole_network_limit: bench.whole_network_limit,
        };
        let network = timeout(PATIENCE, Network::raise(&shape)).await.map_err(|_| "the network does not come up")??;
        network.settled().await?;
        say(format_args!("every record read back after {:.1} s", started.elapsed().as_secs_f64()));
        let value_bytes = network.record_bytes().await?;
        let (ours, programs, floor) = Self::of_ours(bench, network, rtt).await?;
        let mut theirs = Vec::new();
        if let Some(others) = others {
            theirs = Self::of_others(bench, others, rtt, value_bytes).await?;
        }
        let at = |times: fn(&Self) -> &Times, system: System, part| {
            theirs.iter().find(|(of, _)| *of == system).and_then(|(_, theirs)| times(theirs).at(part))
        };
        let mut row = |what: &str, times: fn(&Self) -> &Times, part: f64, scale: (f64, &'static str), budget: f64| {
            let Some(seconds) = times(&ours).at(part) else { return };
            let (scale, name) = scale;
            let failed = times(&ours).failed;
            let mut row = Row::new(format!("{what}, p{:.0}", part * 100.0), name, seconds / scale)
                .budget(Budget::AtMost(budget))
                .beside("mainline", at(times, System::Mainline, part).map(|seconds| seconds / scale))
                .beside("pkarr", at(times, System::Pkarr, part).map(|seconds| seconds / scale));
            let unanswered: Vec<String> = std::iter::once(("ours", failed))
                .chain(theirs.iter().map(|(system, theirs)| (system.name(), times(theirs).failed)))
                .filter(|(_, failed)| *failed > 0)
                .map(|(name, failed)| format!("{failed} of {name} unanswered"))
                .collect();
            if !unanswered.is_empty() {
                row = row.note(unanswered.join(", "));
            }
            table.push(row);
        };
        let (round_trips, milliseconds) = ((unit, "RTT"), (1e-3, "ms"));
        row("warm resolve", |of| &of.warm, 0.5, round_trips, 1.1);
        row("warm resolve", |of| &of.warm, 0.99, round_trips, 2.2);
        row("cold resolve, saved peers", |of| &of.cold, 0.5, round_trips, 2.3);
        row("cold resolve, one address", |of| &of.stranger, 0.5, round_trips, 3.3);
        row("cold resolve, 20 % dead", |of| &of.dead, 0.99, milliseconds, 1_000.0);
        row("publish to receipt", |of| &of.publish, 0.5, round_trips, 6.0);
        if let (Some(program), Some(floor)) = (programs.at(0.5), floor.at(0.5)) {
            let note = format!("the same from `exec` to exit, {} ms of which any program takes", (floor * 1e3).round());
            table.push(Row::new("cold `clearinghouse resolve`, p50", "RTT", program / unit).note(note));
        }
        Ok(())
    }

    async fn of_ours(bench: &ResolveBench, network: Network, rtt: Duration) -> Result<(Self, Times, Times), AnyError> {
        let field = Field { network, rtt };
        say(format_args!("resolving and publishing"));
        let warm = field.warm(bench.samples).await?;
        let remembered = field.remembering_client().await?;
        let cold = field.cold(bench.samples, Some(&remembered)).await?;
        let stranger = field.cold(bench.samples, None).await?;
        let publish = field.publish(bench.samples.min(bench.nodes)).await?;
        let (programs, floor) = field.programs(&remembered, PROGRAMS.min(bench.samples)).await?;
        for relay in field.network.relays.iter().skip(1).step_by(DEAD_ONE_IN) {
            relay.pause();
        }
        let dead = field.cold(bench.samples, Some(&remembered)).await?;
        field.network.stop().await;
        Ok((Self { warm, cold, stranger, publish, dead }, programs, floor))
    }

    async fn of_others(
        bench: &ResolveBench,
        others: &mut Others,
        rtt: Duration,
        value_bytes: usize,
    ) -> Result<Vec<(System, Self)>, AnyError> {
        say(format_args!("the same with {}", others.versions.join(" and ")));
        let mut layout = Layout::create(&Size { nodes: bench.nodes, grids: 0, relays: true }, None)?;
        let mut relays = Vec::new();
        for place in &mut layout.nodes {
            let ports = place.reserved.take().ok_or("each port is reserved once")?;
            relays.push(Relay::start(ports, place.listen.into(), rtt)?);
        }
        others.raise(&layout.nodes, value_bytes).await?;
        let mut theirs: Vec<(System, Self)> = System::ALL.map(|system| (system, Self::default())).into();
        let (samples, pause) = (bench.other_samples, rtt * PAUSE_ROUND_TRIPS);
        for (system, of) in &mut theirs {
            of.warm = others.measure(*system, Deed::Warm, samples, pause).await?.into();
            of.cold = others.measure(*system, Deed::ColdWithSavedPeers, samples, pause).await?.into();
            of.stranger = others.measure(*system, Deed::ColdFromOneAddress, samples, pause).await?.into();
            of.publish = others.measure(*system, Deed::Publish, samples, pause).await?.into();
        }
        for relay in relays.iter().skip(1).step_by(DEAD_ONE_IN) {
            relay.pause();
        }
        for (system, of) in &mut theirs {
            of.dead = others.measure(*system, Deed::ColdWithSavedPeers, samples, pause).await?.into();
        }
        remove(&layout);
        Ok(theirs)
    }
}

/// Our own network, and how far its nodes are apart.
struct Field {
    network: Network,
    rtt: Duration,
}

impl Field {
    /// Clients that stand connected, each grid asked for once.
    async fn warm(&self, samples: usize) -> Result<Times, AnyError> {
        let Network { addrs, grids, .. } = &self.network;
        let (mut times, mut number) = (Vec::new(), 0);
        while times.len() < samples {
            number += 1;
            let begin = vec![addrs[number % addrs.len()].clone()];
            let client = self.network.client(&format!("warm-{number}"), begin).await?;
            // The first question makes the acquaintances.
            ask(&client, grids[number % grids.len()]).await?;
            timeout(PATIENCE, async {
                while client.dht.status().await.is_none_or(|status| status.connected < 5) {
                    sleep(self.rtt).await;
                }
            })
            .await?;
            sleep(Duration::from_secs(2)).await;
            for grid in grids.iter().skip(number + 1).take(samples - times.len()) {
                times.push(ask(&client, *grid).await?.as_secs_f64());
                sleep(self.rtt * PAUSE_ROUND_TRIPS).await;
            }
            client.stop().await;
        }
        Ok(Times::of(times, 0))
    }

    /// A client's directory that remembers servers, and nothing of most grids.
    async fn remembering_client(&self) -> Result<Home, AnyError> {
        let client = self.network.client("remembering", vec![self.network.addrs[0].clone()]).await?;
        ask(&client, self.network.grids[0]).await?;
        timeout(PATIENCE, client.dht.knows(self.network.nodes.len().min(20))).await?;
        sleep(Duration::from_secs(2)).await;
        client.stop().await;
        Ok(Home::new(self.network.layout.dir.join("remembering")))
    }

    /// New clients, each with one question: from opening its directory to the answer.
    async fn cold(&self, samples: usize, remembered: Option<&Home>) -> Result<Times, AnyError> {
        let Network { addrs, grids, .. } = &self.network;
        let (mut times, mut failed) = (Vec::new(), 0);
        for n in 0..samples {
            let name = format!("cold-{}-{n}", if remembered.is_some() { "remembering" } else { "stranger" });
            let begin = match remembered {
                Some(remembered) => {
                    self.copy(remembered, &name)?;
                    Vec::new()
                }
                None => vec![addrs[n % addrs.len()].clone()],
            };
            let started = Instant::now();
            let client = self.network.client(&name, begin).await?;
            match ask(&client, grids[1 + n % (grids.len() - 1)]).await {
                Ok(_) => times.push(started.elapsed().as_secs_f64()),
                Err(_) => failed += 1,
            }
            client.stop().await;
            sleep(self.rtt * PAUSE_ROUND_TRIPS).await;
        }
        Ok(Times::of(times, failed))
    }

    async fn publish(&self, samples: usize) -> Result<Times, AnyError> {
        let mut times = Vec::new();
        for publisher in self.network.nodes.iter().filter_map(|node| node.publisher.as_ref()).take(samples) {
            times.push(publisher.publish().await?.elapsed.as_secs_f64());
            sleep(self.rtt * PAUSE_ROUND_TRIPS).await;
        }
        Ok(Times::of(times, 0))
    }

    /// `clearinghouse resolve` as a program, from its start to its end; and the same program doing nothing.
    async fn programs(&self, remembered: &Home, samples: usize) -> Result<(Times, Times), AnyError> {
        let program = clearinghouse()?;
        let network = self.network.layout.network.to_string();
        let (mut times, mut failed, mut floor) = (Vec::new(), 0, Vec::new());
        for n in 0..samples {
            let home = self.copy(remembered, &format!("program-{n}"))?;
            let grid = self.network.grids[1 + n % (self.network.grids.len() - 1)].to_string();
            let mut resolve = Command::new(&program);
            resolve.args(["resolve", &grid, "--network", &network, "--allow-private-addresses", "-d"]).arg(home);
            match run(resolve).await? {
                Some(seconds) => times.push(seconds),
                None => failed += 1,
            }
            let mut nothing = Command::new(&program);
            nothing.arg("--version");
            floor.extend(run(nothing).await?);
            sleep(self.rtt * PAUSE_ROUND_TRIPS).await;
        }
        Ok((Times::of(times, failed), Times::of(floor, 0)))
    }

    fn copy(&self, remembered: &Home, name: &str) -> Result<PathBuf, AnyError> {
        let home = self.network.layout.dir.join(name);
        let _ = std::fs::remove_dir_all(&home);
        copy_dir(remembered.path(), &home)?;
        Ok(home)
    }
}

/// How long a program took, if it ended well.
async fn run(mut program: Command) -> Result<Option<f64>, AnyError> {
    program.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let started = Instant::now();
    let ended = timeout(PATIENCE, program.status()).await??;
    Ok(ended.success().then(|| started.elapsed().as_secs_f64()))
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
