//! `gateway url`: what users of this grid give to `join`.

use crate::cli::api::Api;
use crate::cli::exit::ExitCode;
use crate::cli::failure::{Failure, Outcome};
use crate::cli::home_arg::HomeArg;
use crate::cli::terminal::Terminal;
use crate::gateway::GatewayIdentity;
use clap::{Args, Subcommand};
use serde::Serialize;
use std::fmt;

/// The node's own gateway
#[derive(Debug, Subcommand)]
pub(super) enum GatewayCommand {
    Url(UrlArgs),
}

/// Print the gateway's NURL, which names its place and its key and is no secret: what clients give to `join`
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  clearinghouse gateway url -d node")]
pub(super) struct UrlArgs {
    #[command(flatten)]
    home: HomeArg,
}

pub(super) fn run(command: &GatewayCommand, terminal: &Terminal) -> Outcome<()> {
    let GatewayCommand::Url(args) = command;
    let (home, config) = args.home.config()?;
    let Some(listen) = config.gateway_listen else {
        let message = format!("`{}` opens no gateway", home.config().display());
        return Err(Failure::new(ExitCode::NotFound, message)
            .hint("set `gateway-listen` in that file, and start the node again"));
    };
    // A node at work knows best: it may listen on a port that it took itself.
    let running = Api::of_running_node(&home)?.map(|api| api.status()).transpose()?;
    if let Some(nurl) = running.and_then(|status| status.gateway_nurl) {
        return terminal.print(&Url { nurl });
    }
    let identity = GatewayIdentity::open(&home)?;
    let nurl = identity.nurl(&config, listen.port()).ok_or_else(|| {
        Failure::new(ExitCode::Unreachable, "the gateway takes any free port, and no node is running here")
            .hint(format!("start it with `clearinghouse run -d {}`", home.path().display()))
    })?;
    terminal.print(&Url { nurl: nurl.to_string() })
}

#[derive(Serialize)]
struct Url {
    nurl: String,
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.nurl)
    }
}
