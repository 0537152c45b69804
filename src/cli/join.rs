//! `join`: a data directory becomes a client of a home gateway.

use crate::address::PrivateAddresses;
use crate::cli::exit::ExitCode;
use crate::cli::failure::{Failure, Outcome};
use crate::cli::home_arg::HomeArg;
use crate::cli::input;
use crate::cli::joined::{about_home, add_command, gateway_nurl, open_session};
use crate::cli::table::Table;
use crate::cli::terminal::Terminal;
use crate::config::{ClientConfig, Home, Patience, create_private_dir, read_or_create_key};
use crate::furl::Nurl;
use crate::keys::GridId;
use crate::peer::{DialGuard, Named, WelcomedAs, ask_gateway};
use crate::session::NoClient;
use crate::store::read_format;
use clap::Args;
use serde::Serialize;
use std::fmt;
use std::path::PathBuf;

/// Make this directory a client of a home gateway: the grid whose files are yours, and which fetches those of others for you
///
/// The address is trusted as typed; network and grid are learnt from the gateway. It ends well although the operator has yet to
/// add the key: what to send them is printed. Typed again, it tells how that stands.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  clearinghouse join pb://…@gateway.example.org:25520/gateway#v=1 -d me")]
pub(super) struct JoinArgs {
    /// The home gateway's address, as `clearinghouse gateway url` prints it there; `-` reads it from standard input
    #[arg(value_name = "HOME_GATEWAY_NURL")]
    nurl: String,
    #[command(flatten)]
    home: HomeArg,
}

pub(super) fn run(args: &JoinArgs, terminal: &Terminal) -> Outcome<()> {
    let nurl = gateway_nurl(&input::argument(&args.nurl)?)?;
    let home = args.home.home()?;
    read_format(&home)?;
    let before = ClientConfig::find(&home.client())?;
    if let Some(before) = before.as_ref().filter(|before| before.home.spki_hash() != nurl.spki_hash()) {
        let message = format!("`{}` has joined another home gateway: {}", home.path().display(), before.home);
        return Err(Failure::new(ExitCode::Refused, message)
            .hint(format!("choose another directory, or delete `{}` first", home.client().display())));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::because(ExitCode::Failed, &error).about("cannot start"))?;
    terminal.print(&runtime.block_on(join(&home, nurl, before))?)
}

async fn join(home: &Home, nurl: Nurl, before: Option<ClientConfig>) -> Outcome<Joined> {
    // Nothing is made in the directory until somebody with that key has answered.
    let guard = DialGuard::new(PrivateAddresses::Allowed);
    let greeting = ask_gateway(&nurl, Named::ByUser, &guard).await.map_err(|error| about_home(&error))?;
    let patience = before.as_ref().map_or(Patience::WITH_HOME, |before| before.patience);
    let config = ClientConfig { home: nurl, home_grid_id: greeting.grid_id, network: greeting.network, patience };
    if let Some(before) = before.filter(|before| before.home_grid_id != config.home_grid_id) {
        let message = format!(
            "the home gateway says that it is one of {}, and was one of {}",
            config.home_grid_id, before.home_grid_id
        );
        return Err(Failure::new(ExitCode::Refused, message)
            .hint(format!("ask its operator; if that is right, delete `{}` and join again", home.client().display())));
    }
    create_private_dir(home.path())?;
    let key = read_or_create_key(&home.accounting_key())?.public();
    let client = open_session(home, &config).await?;
    config.write(&home.client())?;
    let welcome = client.welcome();
    let known = welcome.caller == WelcomedAs::Client;
    Ok(Joined {
        dir: home.path().to_owned(),
        home: config.home.to_string(),
        home_grid_id: config.home_grid_id,
        network: config.network.to_string(),
        key: key.to_string(),
        known,
        reason: (!known).then_some(welcome.reason),
        label: welcome.label.map(|label| label.to_string()),
        client_add_command: (!known).then(|| add_command(&key)),
    })
}

#[derive(Serialize)]
struct Joined {
    dir: PathBuf,
    home: String,
    home_grid_id: GridId,
    network: String,
    key: String,
    /// Whether the operator has added the key.
    known: bool,
    /// What the operator calls this client.
    label: Option<String>,
    /// Why not, where it is not: a word of `docs/spec/gateway.md`, "Sessions".
    #[serde(serialize_with = "as_word")]
    reason: Option<NoClient>,
    /// What the operator has yet to type.
    client_add_command: Option<String>,
}

fn as_word<S: serde::Serializer>(reason: &Option<NoClient>, serializer: S) -> Result<S::Ok, S::Error> {
    reason.map(NoClient::word).serialize(serializer)
}

impl fmt::Display for Joined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new();
        table.row("directory", self.dir.display());
        table.row("home", &self.home);
        table.row("home grid", self.home_grid_id);
        table.row("network", &self.network);
        table.row("key", &self.key);
        let nobody = match self.reason {
            None => "a client",
            Some(NoClient::Unknown) => "nobody yet",
            Some(NoClient::Removed) => "nobody any more: it was removed",
            Some(NoClient::Ended) => "nobody any more: its day has passed",
            Some(NoClient::Elsewhere) => "nobody here: other gateways of the grid serve it",
        };
        table.row("known as", self.label.as_deref().unwrap_or(nobody));
        write!(f, "{table}")?;
        if let Some(command) = &self.client_add_command {
            write!(f, "\nSend this to the operator of your home grid, who puts a name for NAME:\n  {command}\n")?;
        }
        Ok(())
    }
}
