//! `web`: the web address without a node.

use crate::cli::exit::ExitCode;
use crate::cli::failure::{Failure, Outcome};
use crate::cli::home_arg::HomeArg;
use crate::cli::reading;
use crate::cli::spending::{self, Spending};
use crate::cli::terminal::Terminal;
use crate::http::{WebAddress, WebAddressError};
use clap::Args;
use serde::Serialize;
use std::fmt;
use std::net::SocketAddr;
use tokio::signal::unix::{SignalKind, signal};

/// Serve a web address for this machine's browser, until SIGINT or SIGTERM
///
/// `http://ADDRESS/uri/CAP[/PATH]` is a file, with `Range`, or a directory as a page, as Tahoe-LAFS's web API has them; the start
/// page has a form for a cap. It answers this machine alone, and no page of another site.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  clearinghouse web -d client
  mpv http://127.0.0.1:8459/uri/URI:FOREIGN:pub-v0-…:CHK:…")]
pub(super) struct WebArgs {
    /// Where to listen, on loopback; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8459")]
    listen: SocketAddr,
    #[command(flatten)]
    spending: Spending,
    #[command(flatten)]
    home: HomeArg,
}

pub(super) fn run(args: &WebArgs, terminal: &Terminal) -> Outcome<()> {
    let runtime = tokio::runtime::Runtime::new();
    let runtime = runtime.map_err(|error| Failure::because(ExitCode::Failed, &error).about("cannot start"))?;
    let no_signal = |error: std::io::Error| Failure::because(ExitCode::Failed, &error).about("cannot wait for signals");
    runtime.block_on(async {
        let mut interrupted = signal(SignalKind::interrupt()).map_err(no_signal)?;
        let mut terminated = signal(SignalKind::terminate()).map_err(no_signal)?;
        let (reader, purse) = reading::open(&args.home, &args.spending, terminal).await?;
        let address = WebAddress::start(args.listen, reader).await?;
        terminal.print(&OpenView { url: format!("http://{}/", address.addr()) })?;
        tokio::select! {
            _ = interrupted.recv() => {}
            _ = terminated.recv() => {}
        }
        address.stop().await;
        spending::close(purse).await;
        Ok(())
    })
}

impl From<WebAddressError> for Failure {
    fn from(error: WebAddressError) -> Self {
        match error {
            WebAddressError::NotLoopback(_) => Self::because(ExitCode::Malformed, &error),
            WebAddressError::Listen { .. } => {
                Self::because(ExitCode::Failed, &error).hint("choose another with `--listen`; port 0 takes a free one")
            }
        }
    }
}

#[derive(Serialize)]
struct OpenView {
    url: String,
}

impl fmt::Display for OpenView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.url)
    }
}
