//! What `get` and `ls` share: what is to be read, through whom, and what happens on Ctrl-C.

use crate::address::PrivateAddresses;
use crate::cli::exit::ExitCode;
use crate::cli::failure::{Failure, Outcome};
use crate::cli::home_arg::HomeArg;
use crate::cli::input;
use crate::cli::spending::{self, Spending};
use crate::cli::terminal::Terminal;
use crate::clearing::Purse;
use crate::clock::Clock;
use crate::config::{ClientConfig, read_key};
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
    spending: Spending,
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

/// A reader through the home gateway that the directory has joined, and the purse that pays for it, to be closed at the end.
pub(super) async fn open(
    home: &HomeArg,
    spending: &Spending,
    terminal: &Terminal,
) -> Outcome<(Reader, Option<Purse>)> {
    let home = home.home()?;
    let Some(config) = ClientConfig::find(&home.client())? else {
        let message = format!("`{}` has joined no home gateway", home.path().display());
        return Err(Failure::new(ExitCode::Refused, message)
            .hint("`clearinghouse join NURL` joins one: ask the operator of your grid for its address"));
    };
    let place = GatewayPlace { nurl: config.home, grid: config.home_grid_id, named: Named::ByUser };
    let key = read_key(&home.accounting_key())?;
    let purse = spending::open(&home, key.clone(), spending, terminal).await?;
    let me = CallerIdentity::Client(key);
    // What the user typed is dialled as given.
    let guard = DialGuard::new(PrivateAddresses::Allowed);
    let reader = Reader::through(place, me, &home, Clock::system(), guard, purse.clone());
    Ok((reader, purse))
}

fn interruption() -> Failure {
    Failure::new(ExitCode::Interrupted, "interrupted").hint("the same command goes on where it stopped")
}
