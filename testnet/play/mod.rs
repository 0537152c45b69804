//! `testnet play FILE`: raises a network of its own, lets happen to it what the file says, and tells whether what was
//! expected of it held.

mod act;
mod chronicle;
mod draw;
mod expect;
mod flood;
mod report;
mod scenario;
mod stage;
mod thief;

pub(crate) use chronicle::Chronicle;

use crate::cli::{FAILED, MALFORMED, fail, log_to, print, say};
use crate::up::Keep;
use clap::Args;
use expect::{Outcome, Told};
use lafs_clearinghouse::causes::chain;
use lafs_clearinghouse::config::read_at_most;
use report::{Report, StepOutcome, StepReport, Verdict};
use scenario::{Deed, MAX_SCENARIO_BYTES, Scenario, Step};
use stage::{AnyError, Stage, is_malformed};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// How long a network may take to come down before it is left to the end of the process.
const STRIKE_WITHIN: Duration = Duration::from_secs(30);

/// Play a scenario: raise a network, let things happen to it, and tell whether what is expected held
///
/// Prints a line for each step with the time it took, and the verdict as the last one. The network is the scenario's own,
/// in this process, and is gone at the end.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  testnet play testnet/scenarios/churn.toml
  testnet play testnet/scenarios/liars.toml --whole-network-limit 0 --nodes 30

The scenarios at hand and how one is written: testnet/scenarios/README.md

Exit codes: 0 all that was expected held · 1 something did not, or could not be played · 2 wrong command line or file")]
pub(crate) struct PlayArgs {
    /// The scenario
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Up to how many servers each holds every record, whatever the file says; 0: each record in its region only
    #[arg(long, value_name = "N")]
    whole_network_limit: Option<usize>,
    /// How many honest nodes, whatever the file says; there are fewer or more liars in proportion
    #[arg(long, value_name = "N")]
    nodes: Option<usize>,
    /// How many keys a flood brings, whatever the file says
    #[arg(long, value_name = "N")]
    keys: Option<usize>,
    /// Another chance than the file's: other nodes die, others are asked
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Print one JSON value on one line at the end, and nothing else
    #[arg(long)]
    json: bool,
}

/// Plays, and tells.
pub(crate) async fn play(args: PlayArgs, interrupted: impl Future<Output = ()>) -> ExitCode {
    let scenario = match read(&args) {
        Ok(scenario) => scenario,
        Err(error) => {
            return fail(args.json, MALFORMED, &error, Some("testnet/scenarios/README.md says how one is written"));
        }
    };
    let stage = match Stage::lay_out(&scenario.network, scenario.seed) {
        Ok(stage) => stage,
        Err(error) => {
            let code = if is_malformed(&error) { MALFORMED } else { FAILED };
            return fail(args.json, code, &chain(&*error), None);
        }
    };
    log_to(&stage.layout.dir.join("testnet.log"));
    let tell = |line: &dyn std::fmt::Display| {
        if !args.json {
            print(&line.to_string());
        }
    };
    tell(&scenario.about);
    let report = perform(&args, &scenario, stage, &tell, interrupted).await;
    if args.json {
        print(&serde_json::to_string(&report).unwrap_or_default());
    } else {
        print(&report.to_string());
    }
    if report.verdict == Verdict::Held { ExitCode::SUCCESS } else { FAILED.into() }
}

/// The scenario as the command line will have it.
fn read(args: &PlayArgs) -> Result<Scenario, String> {
    let named = |error: &dyn std::fmt::Display| format!("`{}`: {error}", args.file.display());
    let bytes = read_at_most(&args.file, MAX_SCENARIO_BYTES).map_err(|error| chain(&error))?;
    let text = String::from_utf8(bytes).map_err(|error| named(&error))?;
    let mut scenario: Scenario = text.parse().map_err(|error| named(&error))?;
    let network = &mut scenario.network;
    if let Some(limit) = args.whole_network_limit {
        network.whole_network_limit = limit;
    }
    if let Some(nodes) = args.nodes {
        if nodes < network.grids {
            return Err(format!("{nodes} nodes are too few: `{}` has {} grids", args.file.display(), network.grids));
        }
        network.liars = (network.liars * nodes).div_ceil(network.nodes);
        network.nodes = nodes;
    }
    for step in &mut scenario.steps {
        if let (Deed::Flood(flood), Some(keys)) = (&mut step.deed, args.keys) {
            flood.keys = keys;
        }
    }
    scenario.seed = args.seed.unwrap_or(scenario.seed);
    Ok(scenario)
}

/// Raises the network, takes the steps, and takes the network down, whatever came of it.
async fn perform(
    args: &PlayArgs,
    scenario: &Scenario,
    mut stage: Stage,
    tell: &impl Fn(&dyn std::fmt::Display),
    interrupted: impl Future<Output = ()>,
) -> Report {
    let began = Instant::now();
    let mut report = Report {
        scenario: args.file.display().to_string(),
        nodes: scenario.network.nodes,
        liars: scenario.network.liars,
        whole_network_limit: scenario.network.whole_network_limit,
        verdict: Verdict::Held,
        expectations: scenario.steps.iter().filter(|step| step.deed.is_expectation()).count(),
        held: 0,
        reasons: Vec::new(),
        steps: Vec::new(),
        took_ms: 0,
    };
    let ended = {
        let steps = timeout_at(began + scenario.within, take_steps(scenario, &mut stage, &mut report, tell));
        tokio::pin!(interrupted);
        tokio::select! {
            ended = steps => ended.unwrap_or_else(|_| Err(format!("not played to its end within {} s", scenario.within.as_secs()))),
            () = &mut interrupted => Err("interrupted".to_owned()),
        }
    };
    if let Err(why) = ended {
        report.verdict = Verdict::Failed;
        report.reasons.insert(0, why);
    }
    let keep = if report.verdict == Verdict::Held {
        Keep::IfSomethingFailed
    } else {
        say("note", &format!("the nodes' data and their log are in `{}`", stage.layout.dir.display()));
        Keep::Always
    };
    // What does not come down in time ends with this process.
    let _ = tokio::time::timeout(STRIKE_WITHIN, stage.strike(keep)).await;
    report.took_ms = milliseconds(began);
    report
}

/// Takes the steps, and notes in `report` what came of each.
async fn take_steps(
    scenario: &Scenario,
    stage: &mut Stage,
    report: &mut Report,
    tell: &impl Fn(&dyn std::fmt::Display),
) -> Result<(), String> {
    let began = Instant::now();
    stage.raise().await.map_err(|error| format!("the network does not come up: {}", chain(&*error)))?;
    let network = &scenario.network;
    let liars = if network.liars > 0 { format!(", {} liars", network.liars) } else { String::new() };
    let told = format!(
        "{} nodes{liars} and {} grids, whole-network limit {}: every record is held",
        network.nodes, network.grids, network.whole_network_limit
    );
    tell(&StepReport { line: 0, outcome: StepOutcome::Done, told, took_ms: milliseconds(began) });
    let mut told = Told::new();
    for step in &scenario.steps {
        let began = Instant::now();
        let taken = take(step, stage, &mut told).await;
        let (outcome, seen) = taken.map_err(|error| format!("line {}: {}", step.line, chain(&*error)))?;
        let said = step.say.as_ref().map(|say| format!("{say}: ")).unwrap_or_default();
        let done = StepReport { line: step.line, outcome, told: format!("{said}{seen}"), took_ms: milliseconds(began) };
        match outcome {
            StepOutcome::Done => {}
            StepOutcome::Held => report.held += 1,
            StepOutcome::Broken => {
                report.verdict = Verdict::Broken;
                report.reasons.push(format!("line {}: {}", step.line, done.told));
            }
        }
        tell(&done);
        report.steps.push(done);
    }
    Ok(())
}

async fn take(step: &Step, stage: &mut Stage, told: &mut Told) -> Result<(StepOutcome, String), AnyError> {
    if !step.deed.is_expectation() {
        return Ok((StepOutcome::Done, stage.act(&step.deed).await?));
    }
    Ok(match stage.expect(&step.deed, told).await? {
        Outcome::Held(seen) => (StepOutcome::Held, seen),
        Outcome::Broken(faults) => (StepOutcome::Broken, faults.join(", ")),
    })
}

fn milliseconds(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}
