//! `testnet play FILE`: raises a network of its own, lets happen to it what the file says, and tells whether what was
//! expected of it held.

mod act;
mod chronicle;
mod draw;
mod expect;
mod flood;
mod report;
mod scenario;
pub(crate) mod script;
mod stage;
mod thief;

pub(crate) use chronicle::Chronicle;
pub(crate) use draw::Draw;
pub(crate) use report::StepOutcome;
pub(crate) use scenario::{some_span, span};
pub(crate) use script::{Script, Theatre};
pub(crate) use stage::AnyError;

use crate::calls::{CallStage, Calls};
use crate::cli::{FAILED, MALFORMED, fail, log_to, print, say};
use crate::up::Keep;
use clap::Args;
use lafs_clearinghouse::causes::chain;
use lafs_clearinghouse::config::read_at_most;
use report::{Report, StepReport, Verdict};
use scenario::{Deed, MAX_SCENARIO_BYTES, Scenario};
use stage::{NetworkStage, is_malformed};
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
    /// How many clients call in a scenario of calls, whatever the file says
    #[arg(long, value_name = "N")]
    clients: Option<usize>,
    /// How many reads each of its steps has, whatever the file says
    #[arg(long, value_name = "N")]
    reads: Option<usize>,
    /// Another chance than the file's: other nodes die, others are asked
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Print one JSON value on one line at the end, and nothing else
    #[arg(long)]
    json: bool,
}

/// A scenario as the command line will have it: of one kind or the other.
enum Kind {
    Network(Scenario),
    Calls(Calls),
}

/// Plays, and tells.
pub(crate) async fn play(args: PlayArgs, interrupted: impl Future<Output = ()>) -> ExitCode {
    let wrong =
        |error: &str| fail(args.json, MALFORMED, error, Some("testnet/scenarios/README.md says how one is written"));
    let not_laid_out = |error: AnyError| {
        let code = if is_malformed(&error) { MALFORMED } else { FAILED };
        fail(args.json, code, &chain(&*error), None)
    };
    match read(&args) {
        Err(error) => wrong(&error),
        Ok(Kind::Network(Scenario { seed, network, script })) => match NetworkStage::lay_out(&network, seed) {
            Err(error) => not_laid_out(error),
            Ok(stage) => {
                let size = (network.nodes, network.liars, network.whole_network_limit);
                perform(&args, size, &script, stage, interrupted).await
            }
        },
        Ok(Kind::Calls(Calls { seed, cast, script })) => match CallStage::lay_out(&cast, seed) {
            Err(error) => not_laid_out(error),
            Ok(stage) => {
                let size = (cast.grids, 0, lafs_clearinghouse::config::DEFAULT_WHOLE_NETWORK_LIMIT);
                perform(&args, size, &script, stage, interrupted).await
            }
        },
    }
}

/// The scenario as the command line will have it.
fn read(args: &PlayArgs) -> Result<Kind, String> {
    let named = |error: &dyn std::fmt::Display| format!("`{}`: {error}", args.file.display());
    let bytes = read_at_most(&args.file, MAX_SCENARIO_BYTES).map_err(|error| chain(&error))?;
    let text = String::from_utf8(bytes).map_err(|error| named(&error))?;
    if Calls::is_one(&text) {
        let mut calls: Calls = text.parse().map_err(|error| named(&error))?;
        if let Some(clients) = args.clients {
            calls.cast.clients = clients;
        }
        if let Some(reads) = args.reads {
            calls.read_so_often(reads);
        }
        calls.seed = args.seed.unwrap_or(calls.seed);
        return Ok(Kind::Calls(calls));
    }
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
    for step in &mut scenario.script.steps {
        if let (Deed::Flood(flood), Some(keys)) = (&mut step.deed, args.keys) {
            flood.keys = keys;
        }
    }
    scenario.seed = args.seed.unwrap_or(scenario.seed);
    Ok(Kind::Network(scenario))
}

/// Raises the network, takes the steps, takes the network down, whatever came of it, and tells.
async fn perform<T: Theatre>(
    args: &PlayArgs,
    (nodes, liars, whole_network_limit): (usize, usize, usize),
    script: &Script<T::Deed>,
    mut stage: T,
    interrupted: impl Future<Output = ()>,
) -> ExitCode {
    log_to(&stage.dir().join("testnet.log"));
    let tell = |line: &dyn std::fmt::Display| {
        if !args.json {
            print(&line.to_string());
        }
    };
    tell(&script.about);
    let began = Instant::now();
    let mut report = Report {
        scenario: args.file.display().to_string(),
        nodes,
        liars,
        whole_network_limit,
        verdict: Verdict::Held,
        expectations: script.steps.iter().filter(|step| T::is_expectation(&step.deed)).count(),
        held: 0,
        reasons: Vec::new(),
        steps: Vec::new(),
        took_ms: 0,
    };
    let ended = {
        let steps = timeout_at(began + script.within, take_steps(script, &mut stage, &mut report, &tell));
        tokio::pin!(interrupted);
        tokio::select! {
            ended = steps => ended.unwrap_or_else(|_| Err(format!("not played to its end within {} s", script.within.as_secs()))),
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
        say("note", &format!("the nodes' data and their log are in `{}`", stage.dir().display()));
        Keep::Always
    };
    // What does not come down in time ends with this process.
    let _ = tokio::time::timeout(STRIKE_WITHIN, stage.strike(keep)).await;
    report.took_ms = milliseconds(began);
    if args.json {
        print(&serde_json::to_string(&report).unwrap_or_default());
    } else {
        print(&report.to_string());
    }
    if report.verdict == Verdict::Held { ExitCode::SUCCESS } else { FAILED.into() }
}

/// Takes the steps, and notes in `report` what came of each.
async fn take_steps<T: Theatre>(
    script: &Script<T::Deed>,
    stage: &mut T,
    report: &mut Report,
    tell: &impl Fn(&dyn std::fmt::Display),
) -> Result<(), String> {
    let began = Instant::now();
    let told = stage.raise().await.map_err(|error| format!("the network does not come up: {}", chain(&*error)))?;
    tell(&StepReport { line: 0, outcome: StepOutcome::Done, told, took_ms: milliseconds(began) });
    for step in &script.steps {
        let began = Instant::now();
        let taken = stage.take(&step.deed).await;
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

fn milliseconds(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}
