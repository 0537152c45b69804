//! `run`: the node, until it is told to stop.

use crate::causes::chain;
use crate::cli::exit::ExitCode;
use crate::cli::failure::{Failure, Outcome};
use crate::cli::gateways::refuse_storage_furls;
use crate::cli::home_arg::HomeArg;
use crate::cli::network_args::NetworkArgs;
use crate::cli::terminal::{Form, Terminal};
use crate::clock::Clock;
use crate::config::{Home, NodeConfig};
use crate::http::ReloadedView;
use crate::node::{Node, Reloaded};
use clap::Args;
use serde::Serialize;
use std::fmt;
use std::io::IsTerminal;
use std::net::SocketAddr;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// Run the node of a data directory until SIGINT or SIGTERM
///
/// SIGHUP reads the settings, the grid manager's key and the delegation again: what a running node can change, it changes;
/// the rest is named and waits for the next start; a file with an error is refused, and the old settings stay.
///
/// What happens is told on standard error; $RUST_LOG says how much, `info` by default.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  clearinghouse run -d node")]
pub(super) struct RunArgs {
    #[command(flatten)]
    home: HomeArg,
    #[command(flatten)]
    network: NetworkArgs,
}

pub(super) fn run(args: RunArgs, terminal: &Terminal) -> Outcome<()> {
    let (home, config) = settings(&args, terminal)?;
    log();
    let runtime = tokio::runtime::Runtime::new();
    let runtime = runtime.map_err(|error| Failure::because(ExitCode::Failed, &error).about("cannot start"))?;
    runtime.block_on(serve(&args, &home, &config, terminal))
}

/// The settings of the directory, with what the command line says of the network.
fn settings(args: &RunArgs, terminal: &Terminal) -> Outcome<(Home, NodeConfig)> {
    let (home, mut config) = args.home.config()?;
    config.allow_private_addresses = args.network.private_addresses(config.allow_private_addresses);
    config.bootstrap.splice(0..0, args.network.bootstrap(config.allow_private_addresses)?);
    if let Some(network) = &args.network.network {
        config.network = network.clone();
    }
    refuse_storage_furls(&config.gateway, terminal)?;
    Ok((home, config))
}

async fn serve(args: &RunArgs, home: &Home, config: &NodeConfig, terminal: &Terminal) -> Outcome<()> {
    let no_signal = |error: std::io::Error| Failure::because(ExitCode::Failed, &error).about("cannot wait for signals");
    let mut interrupted = signal(SignalKind::interrupt()).map_err(no_signal)?;
    let mut terminated = signal(SignalKind::terminate()).map_err(no_signal)?;
    let mut hung_up = signal(SignalKind::hangup()).map_err(no_signal)?;
    let mut node = Node::start(home, config, Clock::system()).await?;
    if config.bootstrap.is_empty() && node.dht.servers().await.is_empty() {
        terminal.note(format_args!(
            "no other node is known: this one starts the network `{}`; `clearinghouse status` prints what others join with",
            config.network
        ));
    }
    if terminal.form() == Form::Json {
        let ready = Ready {
            ready: true,
            peer_id: node.dht.peer_id().to_string(),
            api: node.api_url().to_owned(),
            resolver: node.resolver_addr(),
            web: node.web_addr().map(|addr| format!("http://{addr}/")),
        };
        terminal.print(&ready)?;
    }
    loop {
        tokio::select! {
            _ = interrupted.recv() => break,
            _ = terminated.recv() => break,
            _ = hung_up.recv() => {
                // What came of it is in the log and in `status`; nobody waits for an answer to a signal.
                let _ = reload(&mut node, args, terminal).await;
            }
            request = node.reload_requested() => {
                let result = reload(&mut node, args, terminal).await;
                // Who asked may have gone.
                let _ = request.reply.send(result);
            }
        }
    }
    tokio::select! {
        () = node.stop() => Ok(()),
        // Asked a second time, it does not finish what it is doing.
        _ = interrupted.recv() => Err(Failure::new(ExitCode::Failed, "stopped before everything was written")),
    }
}

/// Reads the settings again and gives them to the node; what is wrong with them otherwise.
async fn reload(node: &mut Node, args: &RunArgs, terminal: &Terminal) -> Result<ReloadedView, String> {
    // Gateways are asked what they are, each within some seconds, and the node goes on meanwhile.
    let read = tokio::task::block_in_place(|| settings(args, terminal));
    let config = read.map(|(_, config)| config).map_err(|failure| failure.message);
    let result = match config {
        Ok(config) => node.reload(&config).await.map_err(|error| chain(&error)),
        Err(reason) => Err(reason),
    };
    match result {
        Ok(Reloaded { changed, at_next_start }) => {
            let texts = |keys: Vec<&str>| keys.into_iter().map(str::to_owned).collect();
            Ok(ReloadedView { changed: texts(changed), at_next_start: texts(at_next_start) })
        }
        Err(reason) => {
            node.refuse_settings(&reason);
            Err(reason)
        }
    }
}

fn log() {
    let filter =
        EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info,libp2p_swarm=warn,libp2p_kad=error"));
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    // An error means that somebody else set one up: then that one counts.
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colour);
    // A log on a full disk must not end the node: told of it, the subscriber would panic.
    let _ = logs.log_internal_errors(false).try_init();
}

#[derive(Serialize)]
struct Ready {
    ready: bool,
    peer_id: String,
    api: String,
    /// Where anybody may ask over HTTP.
    #[serde(skip_serializing_if = "Option::is_none")]
    resolver: Option<SocketAddr>,
    /// Where this machine's browser reads.
    #[serde(skip_serializing_if = "Option::is_none")]
    web: Option<String>,
}

impl fmt::Display for Ready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.peer_id, self.api)
    }
}
