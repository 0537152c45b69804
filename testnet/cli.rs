//! What people and scripts type, and what they are told.

use crate::bench::{ClearBench, FetchBench, ResolveBench};
use crate::commands::{NodesArgs, PartitionArgs, WhichArgs};
use crate::control::{Asked, Command, Control};
use crate::files::FilesOn;
use crate::grid_manager::GridKeys;
use crate::leash;
use crate::member;
use crate::play::{PlayArgs, play};
use crate::up::{Keep, Plan, Testnet, UpError};
use clap::{Args, Parser, Subcommand};
use lafs_clearinghouse::causes::chain;
use lafs_clearinghouse::clock::rehearse;
use lafs_clearinghouse::config::{Home, NodeConfig};
use lafs_clearinghouse::rate::RateLine;
use lafs_clearinghouse::units::parse_span;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::error::Error;
use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// The farthest that nodes may be apart: beyond it, time-outs are all one sees.
const MAX_RTT: Duration = Duration::from_secs(10);

/// What every second grid of a testnet with rates asks for.
const PRICE: &str = "5 USD/GiB";

/// As `clearinghouse` has it: malformed, unreachable or timed out, and any other failure.
pub(crate) const MALFORMED: u8 = 2;
pub(crate) const TIMED_OUT: u8 = 8;
pub(crate) const FAILED: u8 = 1;

/// A network of clearinghouse nodes on this machine.
///
/// Each node is a process of its own, with a loopback network of its own; some speak for a grid whose key is made here.
#[derive(Debug, Parser)]
#[command(
    name = "testnet",
    version,
    max_term_width = 100,
    after_help = "\
Example:
  testnet up --nodes 20 --grids 5 --rtt 50ms     in one terminal, and in another:
  testnet kill node-01 node-05..node-09
  testnet partition node-00..node-09 rest
  testnet status
  testnet heal && testnet start dead

  testnet play testnet/scenarios/churn.toml      raises and stops a testnet of its own"
)]
struct Cli {
    #[command(subcommand)]
    command: CliCommand,
}

#[derive(Debug, Subcommand)]
enum CliCommand {
    Up(UpArgs),
    /// End the processes of nodes of a running testnet at once, by SIGKILL
    Kill(NodesArgs),
    /// Start nodes again that were killed or ended, on the data they left
    Start(NodesArgs),
    /// Let nothing through to nodes and nothing from them, until they are resumed
    Pause(NodesArgs),
    /// End the pause of nodes; a partition stays
    Resume(NodesArgs),
    Partition(PartitionArgs),
    /// End the partition
    Heal(WhichArgs),
    /// Which nodes serve, are paused, are dead, and on which side of a partition they are
    Status(WhichArgs),
    Play(PlayArgs),
    /// Measure a network raised in this process, and print each figure beside its budget
    #[command(subcommand)]
    Bench(BenchCommand),
    /// One node of a testnet: what the testnet starts. Ends when its standard input does
    #[command(hide = true)]
    Node(NodeArgs),
    /// The program `clearinghouse` at another time than the machine's: what a scenario's clients and operators type
    #[command(hide = true)]
    Clearinghouse(ClearinghouseArgs),
}

#[derive(Debug, Subcommand)]
enum BenchCommand {
    /// Resolving and publishing, in round trips of a network whose packets are delayed; to be built with `--release`
    Resolve(ResolveBench),
    /// Reading files of a real Tahoe-LAFS grid, beside its own client; to be built with `--release`
    Fetch(FetchBench),
    /// What the books cost: durable vouchers, verifying a million of them, netting a million debts
    Clear(ClearBench),
}

/// Raise a network and keep it until Ctrl-C
///
/// Prints one table, or one line of JSON, once every grid's record has been read back from the other nodes; logs and all
/// else go to the folder and to standard error.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  testnet up --nodes 20 --grids 5 --rtt 50ms

Exit codes: 0 stopped when asked to · 1 failed · 2 wrong command line · 8 not ready in time")]
struct UpArgs {
    /// How many nodes
    #[arg(long, value_name = "N", default_value_t = 5)]
    nodes: usize,
    /// How many of them speak for a grid
    #[arg(long, value_name = "M", default_value_t = 2)]
    grids: usize,
    /// A new or empty folder for keys, data and logs, which stays [default: a temporary one, removed at the end]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// The round-trip time between any two nodes, such as 50ms: the relay in front of each delays every packet
    /// [default: as short as this machine allows]
    #[arg(long, value_name = "TIME", value_parser = rtt)]
    rtt: Option<Duration>,
    /// Grid keys that are the same for the same text, and known to all who know it [default: new keys]
    #[arg(long, value_name = "TEXT")]
    seed: Option<String>,
    /// All nodes in one process: lighter, and none can fail alone
    #[arg(long)]
    in_process: bool,
    /// Give each grid three storage servers with files to try, and its node a gateway to them
    #[arg(long)]
    files: bool,
    /// Give every second grid, from the second on, a price for downloads, and all of them credit with each other
    #[arg(long)]
    rates: bool,
    /// The grids settle through the grid of this node, such as node-00
    #[arg(long, value_name = "NODE", requires = "rates")]
    clearing: Option<String>,
    /// The same on grids of the real Tahoe-LAFS: an introducer, three storage servers and a client each, which a Python that has
    /// tahoe-lafs raises ($LAFS_TEST_PYTHON, the one that `scripts/setup` prepares, or that of `tahoe` on the PATH)
    #[arg(long, conflicts_with = "files")]
    tahoe: bool,
    /// Print one JSON value on one line, errors included
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct NodeArgs {
    /// Its data directory
    #[arg(short = 'd', value_name = "DIR")]
    dir: PathBuf,
    /// How far ahead of the machine's its clock is at first
    #[arg(long, value_name = "SECONDS", default_value_t = 0, allow_hyphen_values = true)]
    ahead: i64,
}

#[derive(Debug, Args)]
struct ClearinghouseArgs {
    /// How far ahead of the machine's its clock is
    #[arg(long, value_name = "SECONDS", default_value_t = 0, allow_hyphen_values = true)]
    ahead: i64,
    /// Lines on standard input say how far ahead it is from then on
    #[arg(long)]
    moved: bool,
    /// What is typed after `clearinghouse`
    #[arg(value_name = "WORD", trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<OsString>,
}

fn rtt(text: &str) -> Result<Duration, String> {
    let span = parse_span(text).map_err(|error| error.to_string())?;
    if span <= MAX_RTT { Ok(span) } else { Err(format!("at most {} s", MAX_RTT.as_secs())) }
}

/// Runs the program.
pub(crate) fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return wrong_words(&error),
    };
    if let CliCommand::Clearinghouse(ClearinghouseArgs { ahead, moved, words }) = cli.command {
        rehearse(ahead);
        if moved {
            std::thread::spawn(leash::follow_lines);
        }
        return lafs_clearinghouse::cli::run(std::iter::once("clearinghouse".into()).chain(words));
    }
    raise_open_files();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return fail(false, FAILED, &format!("cannot start: {error}"), None),
    };
    match cli.command {
        CliCommand::Up(args) => runtime.block_on(up(args)),
        CliCommand::Bench(command) => {
            let measured = runtime.block_on(async {
                match command {
                    BenchCommand::Resolve(args) => crate::bench::resolve(args).await,
                    BenchCommand::Fetch(args) => crate::bench::fetch(args).await,
                    BenchCommand::Clear(args) => crate::bench::clear(args).await,
                }
            });
            match measured {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => fail(false, FAILED, &chain(&*error), None),
            }
        }
        CliCommand::Node(args) => runtime.block_on(node(&args)),
        CliCommand::Clearinghouse(_) => unreachable!("it brings a runtime of its own"),
        CliCommand::Play(args) => runtime.block_on(async {
            match Signals::listen() {
                Ok(mut signals) => play(args, async move { signals.next().await }).await,
                Err(error) => fail(false, FAILED, &format!("cannot listen for signals: {error}"), None),
            }
        }),
        CliCommand::Kill(args) => runtime.block_on(args.tell(Command::Kill)),
        CliCommand::Start(args) => runtime.block_on(args.tell(Command::Start)),
        CliCommand::Pause(args) => runtime.block_on(args.tell(Command::Pause)),
        CliCommand::Resume(args) => runtime.block_on(args.tell(Command::Resume)),
        CliCommand::Partition(args) => runtime.block_on(args.tell()),
        CliCommand::Heal(args) => runtime.block_on(args.tell(Command::Heal)),
        CliCommand::Status(args) => runtime.block_on(args.tell(Command::Status)),
    }
}

/// Lets this process open as many files as it may: a relay has a socket for each peer of its node, and many systems allow
/// 1,024 by themselves.
fn raise_open_files() {
    let allowed = getrlimit(Resource::Nofile);
    // Where it is refused, what is allowed may do.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: allowed.maximum, maximum: allowed.maximum });
}

/// Help and the version, or what is wrong with the command line.
fn wrong_words(error: &clap::Error) -> ExitCode {
    if error.use_stderr() && std::env::args_os().any(|word| word == "--json") {
        let text = error.render().to_string();
        let first = text.lines().next().unwrap_or_default();
        return fail(true, MALFORMED, first.trim_start_matches("error: "), Some("testnet --help"));
    }
    // To standard output or standard error, as it belongs.
    let _ = error.print();
    if error.use_stderr() { MALFORMED.into() } else { ExitCode::SUCCESS }
}

async fn up(args: UpArgs) -> ExitCode {
    let json = args.json;
    let mut signals = match Signals::listen() {
        Ok(signals) => signals,
        Err(error) => return fail(json, FAILED, &format!("cannot listen for signals: {error}"), None),
    };
    let files = match (args.files, args.tahoe) {
        (_, true) => match crate::tahoe::python() {
            Ok(python) => FilesOn::Tahoe(python),
            Err(error) => return fail(json, FAILED, &chain(&error), error.hint()),
        },
        (true, false) => FilesOn::OurServers,
        (false, false) => FilesOn::Nothing,
    };
    let plan = Plan {
        nodes: args.nodes,
        grids: args.grids,
        dir: args.dir,
        keys: args.seed.map_or(GridKeys::Fresh, GridKeys::FromSeed),
        rtt: args.rtt,
        in_process: args.in_process,
        rates: if args.rates { vec![RateLine::free(None), PRICE.parse().expect("a rate")] } else { Vec::new() },
        clearing: args.clearing,
        files,
    };
    let mut testnet = match Testnet::prepare(plan) {
        Ok(testnet) => testnet,
        Err(error) => return fail_up(json, &error),
    };
    log_to(&testnet.own_log());
    let raised = tokio::select! {
        raised = testnet.raise() => Some(raised),
        () = signals.next() => None,
    };
    let (code, keep) = match raised {
        None => (ExitCode::SUCCESS, Keep::IfSomethingFailed),
        Some(Err(error)) => (fail_up(json, &error), Keep::Always),
        Some(Ok(ready)) => {
            let mut control = listen_for_commands(&ready.dir);
            print(&if json { serde_json::to_string(&ready).unwrap_or_default() } else { ready.to_string() });
            loop {
                let asked = tokio::select! {
                    () = signals.next() => break,
                    ended = testnet.next_end() => {
                        say("warning", &ended.to_string());
                        continue;
                    }
                    asked = next_command(control.as_mut()) => asked,
                };
                let (reply, ended) = tokio::select! {
                    () = signals.next() => break,
                    carried_out = testnet.carry_out(&asked.command) => carried_out,
                };
                for ended in ended {
                    say("warning", &ended.to_string());
                }
                // Whoever asked may have gone away.
                let _ = asked.reply.send(reply);
            }
            (ExitCode::SUCCESS, Keep::IfSomethingFailed)
        }
    };
    let stopped = testnet.stop(keep).await;
    for ended in &stopped.badly {
        say("warning", &ended.to_string());
    }
    if stopped.dropped > 0 {
        say("warning", &format!("the relays dropped {} datagrams for want of room", stopped.dropped));
    }
    if let Some(dir) = stopped.left {
        say("note", &format!("its keys, data and logs are in `{}`", dir.display()));
    }
    code
}

/// Where commands come from; without it the testnet runs all the same.
fn listen_for_commands(dir: &Path) -> Option<Control> {
    let listening = Control::listen(dir);
    listening.map_err(|error| say("warning", &format!("`testnet kill` and the like will not work: {error}"))).ok()
}

async fn next_command(control: Option<&mut Control>) -> Asked {
    match control {
        Some(control) => control.next().await,
        None => std::future::pending().await,
    }
}

/// The child's side of `up`.
async fn node(args: &NodeArgs) -> ExitCode {
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter()).with_writer(io::stderr).with_ansi(false);
    subscriber.init();
    rehearse(args.ahead);
    let run = async || -> Result<(), Box<dyn Error>> {
        let released = leash::released()?;
        let mut signals = Signals::of_a_node()?;
        let hung_up = signal(SignalKind::hangup())?;
        // As `clearinghouse run` does.
        let reloads =
            futures::stream::unfold(hung_up, |mut hung_up| async move { hung_up.recv().await.map(|()| ((), hung_up)) });
        let home = Home::new(&args.dir);
        let config = NodeConfig::read(&home.config())?;
        let tell = |standing| print(&serde_json::to_string(&standing).unwrap_or_default());
        let released = async {
            tokio::select! {
                _ = released => {}
                () = signals.next() => {}
            }
        };
        Ok(member::run(&home, &config, tell, released, reloads).await?)
    };
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(false, FAILED, &chain(&*error), None),
    }
}

/// The signals that ask this program to end: Ctrl-C, `kill`, and a terminal that went away.
struct Signals(Vec<Signal>);

impl Signals {
    fn listen() -> io::Result<Self> {
        Self::of([SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()])
    }

    /// A node has other plans for a hang-up.
    fn of_a_node() -> io::Result<Self> {
        Self::of([SignalKind::interrupt(), SignalKind::terminate()])
    }

    fn of(kinds: impl IntoIterator<Item = SignalKind>) -> io::Result<Self> {
        kinds.into_iter().map(signal).collect::<io::Result<_>>().map(Self)
    }

    async fn next(&mut self) {
        let signals = self.0.iter_mut().map(|signal| Box::pin(signal.recv()));
        futures::future::select_all(signals).await;
    }
}

fn filter() -> EnvFilter {
    EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"))
}

/// What the relays say, and the nodes of `--in-process`, goes to a file: standard error is for people.
pub(crate) fn log_to(path: &Path) {
    match OpenOptions::new().create(true).append(true).open(path) {
        Ok(file) => tracing_subscriber::fmt().with_env_filter(filter()).with_ansi(false).with_writer(file).init(),
        Err(error) => say("warning", &format!("no log: cannot write `{}`: {error}", path.display())),
    }
}

fn fail_up(json: bool, error: &UpError) -> ExitCode {
    let (code, hint) = match error {
        UpError::Layout(_) => (MALFORMED, None),
        UpError::NotReady { .. } => (TIMED_OUT, Some("fewer nodes, or a faster machine; the logs tell more")),
        _ => (FAILED, None),
    };
    fail(json, code, &chain(error), hint)
}

pub(crate) fn fail(json: bool, code: u8, message: &str, hint: Option<&str>) -> ExitCode {
    if json {
        let name = match code {
            MALFORMED => "malformed",
            TIMED_OUT => "unreachable",
            _ => "failed",
        };
        print(&serde_json::json!({"error": {"code": name, "message": message, "hint": hint}}).to_string());
    } else {
        say("error", message);
        if let Some(hint) = hint {
            say("hint", hint);
        }
    }
    code.into()
}

/// One line of data. A reader that has gone away wanted no more.
pub(crate) fn print(line: &str) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

pub(crate) fn say(kind: &str, text: &str) {
    let _ = writeln!(io::stderr(), "testnet: {kind}: {text}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_distance_is_a_span_of_at_most_ten_seconds() {
        assert_eq!(rtt("50ms"), Ok(Duration::from_millis(50)));
        assert_eq!(rtt("0ms"), Ok(Duration::ZERO));
        assert!(rtt("11s").is_err());
        assert!(rtt("50").is_err());
    }
}
