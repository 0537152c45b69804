//! What `get`, `ls` and `quote` share: what is to be read, through whom, and what happens on Ctrl-C.

use crate::address::PrivateAddresses;
use crate::clearing::Purse;
use crate::cli::api::Api;
use crate::cli::exit::ExitCode;
use crate::cli::failure::{Failure, Outcome};
use crate::cli::home_arg::HomeArg;
use crate::cli::input;
use crate::cli::spending::{self, Spending};
use crate::cli::terminal::Terminal;
use crate::clock::Clock;
use crate::config::{ClientConfig, Home, Patience, read_key};
use crate::peer::{CallerIdentity, DialGuard, GatewayPlace, Named};
use crate::reader::{CapPath, Reader};
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

/// What is to be read.
#[derive(Debug, Args)]
pub(super) struct Subject {
    /// A cap, foreign or of the home grid, and perhaps a path below it; `-` reads them from standard input, out of sight of `ps`
    #[arg(value_name = "CAP[/PATH]")]
    subject: String,
    #[command(flatten)]
    pub(super) spending: Spending,
    #[command(flatten)]
    home: HomeArg,
}

/// Does `work` with a reader and with what is to be read, until it is done or somebody interrupts it.
///
/// What was begun is brought to an end that can be gone on from before this returns.
pub(super) fn run(
    subject: &Subject,
    terminal: &Terminal,
    work: impl AsyncFnOnce(Reader, CapPath) -> Outcome<()>,
) -> Outcome<()> {
    let text = input::argument(&subject.subject)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|error| Failure::because(ExitCode::Failed, &error).about("cannot start"))?;
    let no_signal = |error: std::io::Error| Failure::because(ExitCode::Failed, &error).about("cannot wait for signals");
    let outcome = runtime.block_on(async {
        let mut interrupted = signal(SignalKind::interrupt()).map_err(no_signal)?;
        let mut terminated = signal(SignalKind::terminate()).map_err(no_signal)?;
        let all = async {
            let (reader, purse) = open(&subject.home, &subject.spending, terminal).await?;
            let path = CapPath::parse(&text, reader.home_grid())?;
            if path.diminished {
                terminal.note("the cap could write; it is only read by it");
            }
            let outcome = work(reader, path).await;
            spending::close(purse).await;
            outcome
        };
        tokio::select! {
            outcome = all => outcome,
            _ = interrupted.recv() => Err(interruption()),
            _ = terminated.recv() => Err(interruption()),
        }
    });
    // Waits for the threads that bring unfinished files to the disk.
    drop(runtime);
    outcome
}

/// A reader through the home gateway that the directory has joined, or through the gateway of the node that runs there; and the
/// purse that pays for it, to be closed at the end.
pub(super) async fn open(
    place: &HomeArg,
    spending: &Spending,
    terminal: &Terminal,
) -> Outcome<(Reader, Option<Purse>)> {
    let home = place.home()?;
    let (place, patience) = match ClientConfig::find(&home.client())? {
        Some(config) => {
            (GatewayPlace { nurl: config.home, grid: config.home_grid_id, named: Named::ByUser }, config.patience)
        }
        None if home.config().exists() => (own_gateway(place, &home)?, Patience::WITH_HOME),
        None => {
            let message = format!("`{}` has joined no home gateway", home.path().display());
            return Err(Failure::new(ExitCode::Refused, message)
                .hint("`clearinghouse join NURL` joins one: ask the operator of your grid for its address"));
        }
    };
    let key = read_key(&home.accounting_key())?;
    let purse = spending::open(&home, key.clone(), spending, terminal).await?;
    let me = CallerIdentity::Client(key);
    // What the user typed is dialled as given.
    let guard = DialGuard::new(PrivateAddresses::Allowed);
    let reader = Reader::through(place, me, &home, Clock::system(), guard, patience, purse.clone());
    Ok((reader, purse))
}

/// The gateway of the node that runs in `home`, whose operator is its client.
fn own_gateway(place: &HomeArg, home: &Home) -> Outcome<GatewayPlace> {
    let (_, config) = place.config()?;
    let file = home.config();
    if config.gateway_listen.is_none() {
        let message = format!("`{}` opens no gateway to read through", file.display());
        return Err(Failure::new(ExitCode::Refused, message).hint(
            "set `gateway-listen` in that file and start the node again, or `clearinghouse join` another gateway",
        ));
    }
    let status = Api::needed(home)?.status()?;
    let nurl = status.gateway_local_nurl.and_then(|nurl| nurl.parse().ok());
    let Some(nurl) = nurl else {
        return Err(Failure::new(ExitCode::Refused, "the node that runs there has no gateway yet")
            .hint(format!("`{}` was changed since it was started: start it again", file.display())));
    };
    Ok(GatewayPlace { nurl, grid: place.grid()?, named: Named::ByUser })
}

fn interruption() -> Failure {
    Failure::new(ExitCode::Interrupted, "interrupted").hint("the same command goes on where it stopped")
}
