//! `resolve`: from a grid id or a foreign cap to the grid's signed record.

use crate::capability::GridOrCap;
use crate::cli::api::{Api, Successors, about_grid};
use crate::cli::exit::ExitCode;
use crate::cli::failure::{Failure, Outcome};
use crate::cli::home_arg::HomeArg;
use crate::cli::input;
use crate::cli::joined::open_session_as_client;
use crate::cli::network_args::NetworkArgs;
use crate::cli::resolver_address;
use crate::cli::terminal::Terminal;
use crate::clock::Clock;
use crate::config::{ClientConfig, Home, NodeConfig, create_private_dir};
use crate::http::{AnswerView, Problem};
use crate::node::{Client, ClientSettings};
use crate::resolver::{Answer, AtHand, Policy, Question, ThroughHome};
use crate::store::{DirectoryLock, LockError, StoreReader};
use crate::units::parse_span;
use clap::Args;
use std::time::{Duration, Instant};

/// How often it is looked whether another command is done with the directory.
const LOOK: Duration = Duration::from_millis(20);

/// Find a grid's signed record: its gateways, what a download costs, and until when that binds
///
/// A running node of the data directory is asked; without one the home gateway that it has joined; without that, or with
/// --bootstrap, this process asks the network itself and holds nothing for others. No cap and no key of one leaves it.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  clearinghouse resolve pub-v0-… --bootstrap /dns4/node.example.org/udp/25519/quic-v1/p2p/12D3KooW…")]
pub(super) struct ResolveArgs {
    /// A grid id, or a foreign cap; `-` reads it from standard input, out of sight of `ps`
    #[arg(value_name = "GRID_ID|FOREIGN_CAP")]
    subject: String,
    /// cached: what is at hand; fast: the first valid answer; fresh: the newest of three networks
    #[arg(long, value_name = "POLICY", default_value = "fast")]
    policy: Policy,
    /// How long it may take
    #[arg(long, value_name = "SPAN", default_value = "10s", value_parser = parse_span)]
    deadline: Duration,
    /// Ask this resolver address, and no node: the record is verified here
    #[arg(long, value_name = "URL", conflicts_with_all = ["policy", "bootstrap", "network", "allow_private_addresses"])]
    from: Option<String>,
    #[command(flatten)]
    network: NetworkArgs,
    #[command(flatten)]
    home: HomeArg,
}

pub(super) fn run(args: &ResolveArgs, terminal: &Terminal) -> Outcome<()> {
    let subject: GridOrCap = input::argument(&args.subject)?.parse()?;
    let grid = subject.grid()?;
    let question = Question { grid, policy: args.policy, deadline: args.deadline };
    let home = args.home.home()?;
    let started = Instant::now();
    let (answer, network) = match &args.from {
        Some(url) => {
            let answer = resolver_address::ask(url, &grid, args.deadline, &home, Clock::system().now());
            (answer, String::new())
        }
        None => ask(&home, &args.network, question, Successors::Followed)?,
    };
    let answer = answer.map_err(|failure| about_grid(failure, &grid, &network))?;
    let mut view = AnswerView::new(&answer, started.elapsed(), Clock::system().now());
    view.home_cap = subject.home_cap().map(ToString::to_string);
    terminal.print(&view)
}

/// The answer, or why there is none, and in which network it was looked for, as a person is told it. The answer is that of the
/// node that runs in `home`; of the files there, where nobody is to be asked; of the network itself.
pub(super) fn ask(
    home: &Home,
    network: &NetworkArgs,
    question: Question,
    successors: Successors,
) -> Outcome<(Outcome<Answer>, String)> {
    let running = if network.says_where() { None } else { Api::of_running_node(home)? };
    if let Some(api) = running {
        return Ok((api.resolve(question, successors), "that the node is part of".to_owned()));
    }
    if !network.says_where()
        && question.policy != Policy::Cached
        && let Some(client) = ClientConfig::find(&home.client())?
    {
        return Ok((ask_home(home, &client, question, successors), format!("`{}`", client.network)));
    }
    let settings = settings(home, network)?;
    let network = format!("`{}`", settings.network);
    let answer = match question.policy {
        Policy::Cached => ask_files(home, question, successors),
        Policy::Fast | Policy::Fresh => ask_network(home, settings, question, successors),
    };
    Ok((answer, network))
}

/// What the command line says, then what the data directory says if `init` made it.
fn settings(home: &Home, args: &NetworkArgs) -> Outcome<ClientSettings> {
    let config = if home.config().exists() { NodeConfig::read(&home.config())? } else { NodeConfig::default() };
    let private = args.private_addresses(config.allow_private_addresses);
    let mut bootstrap = args.bootstrap(private)?;
    bootstrap.extend(config.bootstrap);
    Ok(ClientSettings { network: args.network.clone().unwrap_or(config.network), bootstrap, private })
}

/// What is at hand needs nobody, and nobody is to see that it is looked at: no node is started for it.
fn ask_files(home: &Home, question: Question, successors: Successors) -> Outcome<Answer> {
    create_private_dir(home.path())?;
    let lock = lock(home, Instant::now() + question.deadline)?;
    let store = StoreReader::open(home, lock).map_err(|error| {
        Failure::because(ExitCode::Failed, &error).hint("the next `run`, or `resolve` by another policy, sets it aside")
    })?;
    let at_hand = AtHand::open(home, store, Clock::system())?;
    let answer = match successors {
        Successors::Followed => at_hand.resolve(question.grid),
        Successors::Left => at_hand.resolve_in_place(question.grid),
    };
    answer.map_err(|error| Problem::from(error).into())
}

/// Takes the directory, once another command that works there for a moment is done.
#[expect(
    clippy::disallowed_methods,
    reason = "nothing tells when another process lets go of a lock that is only tried"
)]
fn lock(home: &Home, until: Instant) -> Result<DirectoryLock, LockError> {
    loop {
        match DirectoryLock::acquire(home) {
            Err(LockError::InUse { .. }) if Instant::now() < until => std::thread::sleep(LOOK),
            outcome => return outcome,
        }
    }
}

fn ask_network(home: &Home, settings: ClientSettings, question: Question, successors: Successors) -> Outcome<Answer> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|error| Failure::because(ExitCode::Failed, &error).about("cannot start"))?;
    let named = !settings.bootstrap.is_empty();
    runtime.block_on(async {
        let client = Client::start(home, settings, Clock::system()).await?;
        let answer = if !named && client.dht.servers().await.is_empty() {
            Err(no_network())
        } else {
            let answer = match successors {
                Successors::Followed => client.resolver.resolve(question).await,
                Successors::Left => client.resolver.resolve_in_place(question).await,
            };
            answer.map_err(|error| Failure::from(Problem::from(error)))
        };
        client.stop().await;
        answer
    })
}

/// The home gateway looks; what it gives is verified here, and held against the floors here.
fn ask_home(home: &Home, config: &ClientConfig, question: Question, successors: Successors) -> Outcome<Answer> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::because(ExitCode::Failed, &error).about("cannot start"))?;
    runtime.block_on(async {
        let client = open_session_as_client(home, config).await?;
        let through_home = ThroughHome::open(client, home, Clock::system())?;
        let answer = match successors {
            Successors::Followed => through_home.resolve(question).await,
            Successors::Left => through_home.resolve_in_place(question).await,
        };
        Ok(answer?)
    })
}

/// What is said where no node of any network is known.
pub(super) fn no_network() -> Failure {
    Failure::new(ExitCode::Unreachable, "no network is known: this program has no address built in").hint(
        "name a node with `--bootstrap ADDR`, or a home gateway once with `clearinghouse join`, or raise a network on this \
         machine with `testnet up`",
    )
}
