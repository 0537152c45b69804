//! `client`: who may use this grid's gateway as their home.

use crate::cli::exit::ExitCode;
use crate::cli::failure::{Failure, Outcome};
use crate::cli::home_arg::HomeArg;
use crate::cli::joined::gateway_nurl;
use crate::cli::table::Table;
use crate::cli::terminal::Terminal;
use crate::clock::Clock;
use crate::keys::PublicKey;
use crate::members::{Members, NewClient, membership_signer};
use crate::record::Nickname;
use crate::session::{Group, MAX_GROUPS, Membership};
use crate::units::UnixSeconds;
use clap::{Args, Subcommand};
use data_encoding::BASE64URL_NOPAD;
use serde::Serialize;
use std::fmt;

/// Say who may use this grid's gateway as their home; a running node knows at once
///
/// The list is the folder `members` of the data directory, one signed file for each client: another gateway of the grid needs
/// no more than a copy of it.
#[derive(Debug, Subcommand)]
pub(super) enum ClientCommand {
    Add(AddArgs),
    List(ListArgs),
    Remove(RemoveArgs),
}

/// Make somebody a client, or change what is said of one: their next request is served
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  clearinghouse client add Ada pub-v0-… -d node")]
pub(super) struct AddArgs {
    /// What you call the client, at most 64 bytes; each client has a name of its own
    #[arg(value_name = "NAME")]
    name: Nickname,
    /// The key that `clearinghouse join` printed there
    #[arg(value_name = "KEY")]
    key: PublicKey,
    /// The groups that the client is in, parted by commas, at most 8
    #[arg(long, value_name = "GROUPS", value_delimiter = ',')]
    groups: Vec<Group>,
    /// Until when: 00:00 UTC of a date [default: until it is removed]
    #[arg(long, value_name = "DATE")]
    until: Option<UnixSeconds>,
    /// Serve the client at this gateway of the grid only, which `clearinghouse gateway url` names there; may be repeated
    #[arg(long, value_name = "NURL")]
    gateway: Vec<String>,
    #[command(flatten)]
    home: HomeArg,
}

/// List the clients by name
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  clearinghouse client list -d node")]
pub(super) struct ListArgs {
    #[command(flatten)]
    home: HomeArg,
}

/// End a client's membership: their next request is refused
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  clearinghouse client remove Ada -d node")]
pub(super) struct RemoveArgs {
    /// The client's name, as `client list` shows it
    #[arg(value_name = "NAME")]
    name: Nickname,
    #[command(flatten)]
    home: HomeArg,
}

pub(super) fn run(command: &ClientCommand, terminal: &Terminal) -> Outcome<()> {
    match command {
        ClientCommand::Add(args) => add(args, terminal),
        ClientCommand::List(args) => list(args, terminal),
        ClientCommand::Remove(args) => remove(args, terminal),
    }
}

fn add(args: &AddArgs, terminal: &Terminal) -> Outcome<()> {
    let now = Clock::system().now();
    if args.groups.len() > MAX_GROUPS {
        return Err(Failure::new(ExitCode::Malformed, format!("--groups: at most {MAX_GROUPS} are allowed")));
    }
    if let Some(until) = args.until.filter(|until| *until <= now) {
        return Err(Failure::new(ExitCode::Malformed, format!("--until: {until} has passed")));
    }
    let mut servers = Vec::new();
    for text in &args.gateway {
        servers.push(*gateway_nurl(text)?.spki_hash());
    }
    let (home, config) = args.home.config()?;
    let grid = args.home.grid()?;
    let signer = membership_signer(&home, &config, &grid)?;
    let client = NewClient {
        label: args.name.clone(),
        key: args.key,
        groups: args.groups.clone(),
        not_after: args.until.unwrap_or(UnixSeconds::MAX),
        servers,
    };
    let membership = Members::open(&home, grid)?.add(&signer, client, now)?;
    terminal.print(&Changed { client: ClientView::of(&membership), removed: false })
}

fn list(args: &ListArgs, terminal: &Terminal) -> Outcome<()> {
    let (home, _) = args.home.config()?;
    let members = Members::open(&home, args.home.grid()?)?;
    let clients = members.clients(Clock::system().now());
    terminal.print(&ClientsView { clients: clients.iter().map(|membership| ClientView::of(membership)).collect() })
}

fn remove(args: &RemoveArgs, terminal: &Terminal) -> Outcome<()> {
    let (home, config) = args.home.config()?;
    let grid = args.home.grid()?;
    let signer = membership_signer(&home, &config, &grid)?;
    let membership = Members::open(&home, grid)?.remove(&signer, &args.name, Clock::system().now())?;
    terminal.print(&Changed { client: ClientView::of(&membership), removed: true })
}

#[derive(Serialize)]
struct ClientView {
    name: String,
    key: String,
    groups: Vec<String>,
    /// From when on it is none any more; `null`: until it is removed.
    not_after_unix_seconds: Option<u64>,
    /// The gateways that serve it, by the hashes of their keys that their NURLs begin with; none: every one of the grid.
    gateways: Vec<String>,
}

impl ClientView {
    fn of(membership: &Membership) -> Self {
        let draft = membership.draft();
        Self {
            name: draft.label.to_string(),
            key: draft.key.to_string(),
            groups: draft.groups.iter().map(ToString::to_string).collect(),
            gateways: draft.servers.iter().map(|hash| BASE64URL_NOPAD.encode(hash)).collect(),
            not_after_unix_seconds: Some(draft.not_after.0).filter(|end| *end != UnixSeconds::MAX.0),
        }
    }

    fn until(&self) -> String {
        self.not_after_unix_seconds.map_or_else(|| "it is removed".to_owned(), |end| UnixSeconds(end).to_string())
    }
}

#[derive(Serialize)]
struct Changed {
    #[serde(flatten)]
    client: ClientView,
    removed: bool,
}

impl fmt::Display for Changed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { client, removed } = self;
        match removed {
            true => writeln!(f, "`{}` is no client any more: {}", client.name, client.key),
            false => writeln!(f, "`{}` is a client until {}: {}", client.name, client.until(), client.key),
        }
    }
}

#[derive(Serialize)]
struct ClientsView {
    clients: Vec<ClientView>,
}

impl fmt::Display for ClientsView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.clients.is_empty() {
            return writeln!(f, "no clients yet: `clearinghouse client add NAME KEY` adds one");
        }
        let mut table = Table::new();
        for client in &self.clients {
            let groups =
                if client.groups.is_empty() { String::new() } else { format!("\n{}", client.groups.join(", ")) };
            let until = match client.not_after_unix_seconds {
                Some(_) => format!("\nuntil {}", client.until()),
                None => String::new(),
            };
            let gateways = client.gateways.iter().map(|hash| format!("\nonly at {hash}")).collect::<String>();
            table.row(&client.name, format!("{}{groups}{until}{gateways}", client.key));
        }
        table.fmt(f)
    }
}
