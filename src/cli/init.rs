//! `init`: a data directory with its keys and settings.

use crate::cli::exit::ExitCode;
use crate::cli::failure::{Failure, Outcome};
use crate::cli::gateways::refuse_storage_servers;
use crate::cli::network_args::NetworkArgs;
use crate::cli::table::Table;
use crate::cli::terminal::Terminal;
use crate::clock::Clock;
use crate::config::{
    DEFAULT_PORT, External, FileError, GatewayEntry, GridManager, Home, LedgerUrl, NodeConfig, PUBLIC_MODE, create_new,
    create_private_dir, peer_id, read_or_create_key,
};
use crate::keys::{GridId, PublicKey};
use crate::rate::RateLine;
use crate::record::{ContactUri, Limit, Nickname};
use crate::units::{Seconds, UnixSeconds};
use clap::{ArgGroup, Args};
use serde::Serialize;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

/// Make the data directory of a node: its keys, and its settings with a reason at each
#[derive(Debug, Args)]
#[command(
    group(ArgGroup::new("whose").required(true).args(["grid_manager", "grid_id", "no_grid"])),
    after_help = "\
Example:
  clearinghouse init node --grid-manager gm0 --nickname \"Example grid\" \\
      --contact mailto:operator@example.org --rate \"0.02 USD/GiB until 2027-06-01\" \\
      --external node.example.org"
)]
pub(super) struct InitArgs {
    /// The directory to make
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// The folder of the grid's manager, whose key signs here
    #[arg(long, value_name = "GM")]
    grid_manager: Option<PathBuf>,
    /// The grid, whose key stays elsewhere: it delegates to the publisher key that is made here
    #[arg(long, value_name = "ID")]
    grid_id: Option<GridId>,
    /// No grid: hold the records of others only
    #[arg(long)]
    no_grid: bool,
    /// The grid's name for people, at most 64 bytes
    #[arg(long, value_name = "TEXT", conflicts_with = "no_grid")]
    nickname: Option<Nickname>,
    /// Where the operators are reached (mailto: https: xmpp: matrix: tel:); may be repeated
    #[arg(long, value_name = "URI", conflicts_with = "no_grid")]
    contact: Vec<ContactUri>,
    /// A gateway's NURL ending in /gateway#v=1, and what it may do; may be repeated
    #[arg(long, value_name = "URL[,key=pub-v0-…][,roles=…][,limit=…]", conflicts_with = "no_grid")]
    gateway: Vec<GatewayEntry>,
    /// What a download costs, one for each asset, such as "0.02 USD/GiB until 2027-06-01" [default: free]
    #[arg(long, value_name = "RATE", conflicts_with = "no_grid")]
    rate: Vec<RateLine>,
    /// The grid key that would follow this one
    #[arg(long, value_name = "KEY", conflicts_with = "no_grid")]
    next: Option<GridId>,
    /// The grid that this one was before: see `clearinghouse record rotate`
    #[arg(long, value_name = "ID", conflicts_with = "no_grid")]
    predecessor: Option<GridId>,
    /// Where to listen, UDP (QUIC) and TCP on one port, 0 for a free one
    #[arg(long, value_name = "HOST:PORT", default_value_t = SocketAddr::from(([0, 0, 0, 0], DEFAULT_PORT)))]
    listen: SocketAddr,
    /// The public address, where it is known [default port: that of --listen]
    #[arg(long, value_name = "HOST[:PORT]")]
    external: Option<External>,
    /// Give the records held to anybody who asks here over HTTP
    #[arg(long, value_name = "HOST:PORT")]
    resolver_listen: Option<SocketAddr>,
    /// A reverse proxy in front of --resolver-listen; may be repeated
    #[arg(long, value_name = "IP", requires = "resolver_listen")]
    resolver_proxy: Vec<IpAddr>,
    /// A Tahoe-LAFS node's folder: the gateway here reads from the storage servers that it knows, and none of its secret
    /// addresses is taken for a gateway's
    #[arg(long, value_name = "DIR")]
    tahoe_node: Option<PathBuf>,
    /// Open this node's own gateway here (HTTPS); it goes into the record by itself
    #[arg(long, value_name = "HOST:PORT", conflicts_with = "no_grid")]
    gateway_listen: Option<SocketAddr>,
    /// Where others reach that gateway [default: the host of --external, the port of --gateway-listen]
    #[arg(long, value_name = "HOST[:PORT]", requires = "gateway_listen")]
    gateway_external: Option<External>,
    /// The most that the gateway lends to other grids, and borrows from them, without asking a person: `10 USD`
    #[arg(long, value_name = "AMOUNT ASSET", requires = "gateway_listen")]
    credit_limit: Option<Limit>,
    /// A grid manager whose certificates count for the storage servers, beside those in that node's tahoe.cfg; may be repeated
    #[arg(long, value_name = "KEY", requires = "tahoe_node")]
    grid_managers: Vec<PublicKey>,
    /// Keep the books in this PostgreSQL database [default: in ledger.sqlite in the data directory]; its password stands in
    /// ledger.password there
    #[arg(long, value_name = "URL", requires = "gateway_listen")]
    ledger: Option<LedgerUrl>,
    /// Serve this machine's browser here, through that gateway: `http://HOST:PORT/uri/CAP`
    #[arg(long, value_name = "HOST:PORT", requires = "gateway_listen")]
    web_listen: Option<SocketAddr>,
    /// The most that is paid for all that is read there from one start to the next: `1 USD` [default: nothing]
    #[arg(long, value_name = "AMOUNT ASSET", requires = "web_listen")]
    web_max_price: Option<Limit>,
    #[command(flatten)]
    network: NetworkArgs,
}

pub(super) fn run(args: InitArgs, terminal: &Terminal) -> Outcome<()> {
    let home = Home::new(&args.dir);
    if home.config().exists() {
        return Err(exists(&home));
    }
    // All that can be wrong is looked at before anything is written.
    let (grid_id, grid_manager) = whose(&args)?;
    refuse_storage_servers(&args.gateway, args.tahoe_node.as_deref(), terminal)?;
    let publishes_alone = args.grid_id.is_some();
    let has_gateway = args.gateway_listen.is_some();
    if has_gateway && args.tahoe_node.is_none() {
        terminal.note(
            "no `--tahoe-node` was given: this gateway fetches for its own clients, and has no storage servers to serve from",
        );
    }
    let config = config(args, grid_id, grid_manager, terminal)?;
    let text = config.to_commented_toml();
    NodeConfig::from_toml(&text, &home.config())?;

    create_private_dir(home.path())?;
    let node_key = read_or_create_key(&home.node_key())?;
    let publisher_key = if publishes_alone { Some(read_or_create_key(&home.publisher_key())?.public()) } else { None };
    // Last: where this file is, everything is.
    create_new(&home.config(), text.as_bytes(), PUBLIC_MODE).map_err(|error| match error.source.kind() {
        io::ErrorKind::AlreadyExists => exists(&home),
        _ => error.into(),
    })?;

    if config.bootstrap.is_empty() {
        terminal.note(format_args!(
            "no `--bootstrap` was given: this node starts the network `{}` by itself, and others join it with the address \
             that `clearinghouse status` prints",
            config.network
        ));
    }
    let made = Made {
        dir: home.path().to_owned(),
        grid_id,
        peer_id: peer_id(&node_key).to_string(),
        network: config.network.to_string(),
        delegate_command: publisher_key.map(delegate_command),
        publisher_key,
        gateway_command: has_gateway.then(|| format!("clearinghouse gateway url -d {}", home.path().display())),
    };
    terminal.print(&made)
}

fn exists(home: &Home) -> Failure {
    Failure::new(ExitCode::Failed, format!("`{}` is there already", home.config().display()))
        .hint("edit that file, or choose another directory: `init` overwrites nothing")
}

/// The grid, and the folder of its manager where the key signs here.
fn whose(args: &InitArgs) -> Outcome<(Option<GridId>, Option<PathBuf>)> {
    let Some(path) = &args.grid_manager else { return Ok((args.grid_id, None)) };
    if path == Path::new("-") {
        return Err(Failure::new(
            ExitCode::Malformed,
            "--grid-manager: the node reads the key at each start, and `-` cannot be read again",
        )
        .hint("keep the key elsewhere with `--grid-id`, and delegate"));
    }
    let manager = GridManager::open(path)?;
    let absolute = path.canonicalize().map_err(FileError::at("find", path))?;
    Ok((Some(manager.grid_id()), Some(absolute)))
}

fn config(
    args: InitArgs,
    grid_id: Option<GridId>,
    grid_manager: Option<PathBuf>,
    terminal: &Terminal,
) -> Outcome<NodeConfig> {
    let mut rate = args.rate;
    if rate.is_empty() && grid_id.is_some() {
        terminal.note("no `--rate` was given: downloads are free for everybody, and the settings say so");
        rate.push(RateLine::free(None));
    }
    let absolute = |path: &PathBuf| path.canonicalize().map_err(FileError::at("find", path));
    let tahoe_node = args.tahoe_node.as_ref().map(absolute).transpose()?;
    let defaults = NodeConfig::default();
    let private = args.network.private_addresses(defaults.allow_private_addresses);
    Ok(NodeConfig {
        grid_id,
        grid_manager,
        nickname: args.nickname,
        contact: args.contact,
        gateway: args.gateway,
        rate,
        next: args.next,
        predecessor: args.predecessor,
        listen: args.listen,
        external: args.external,
        resolver_listen: args.resolver_listen,
        resolver_proxy: args.resolver_proxy,
        tahoe_node,
        gateway_listen: args.gateway_listen,
        gateway_external: args.gateway_external,
        credit_limit: args.credit_limit,
        grid_managers: args.grid_managers,
        ledger: args.ledger,
        web_listen: args.web_listen,
        web_max_price: args.web_max_price,
        allow_private_addresses: private,
        bootstrap: args.network.bootstrap(private)?,
        network: args.network.network.unwrap_or_default(),
        ..defaults
    })
}

/// What the grid's operator types where the grid key is.
fn delegate_command(publisher: PublicKey) -> String {
    let until = Clock::system().now().plus(Seconds::days(365));
    format!("clearinghouse delegate {publisher} --grid-manager GM --until {}", day(until))
}

fn day(time: UnixSeconds) -> String {
    time.to_string().chars().take("2027-06-01".len()).collect()
}

#[derive(Serialize)]
struct Made {
    dir: PathBuf,
    grid_id: Option<GridId>,
    peer_id: String,
    network: String,
    #[serde(serialize_with = "as_text")]
    publisher_key: Option<PublicKey>,
    delegate_command: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gateway_command: Option<String>,
}

fn as_text<S: serde::Serializer>(key: &Option<PublicKey>, serializer: S) -> Result<S::Ok, S::Error> {
    key.map(|key| key.to_string()).serialize(serializer)
}

impl fmt::Display for Made {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new();
        table.row("directory", self.dir.display());
        table.optional("grid", self.grid_id);
        table.row("node", &self.peer_id);
        table.row("network", &self.network);
        table.optional("publisher key", self.publisher_key);
        write!(f, "{table}")?;
        let dir = self.dir.display();
        if let Some(command) = &self.delegate_command {
            write!(
                f,
                "\nWhere the grid key is (GM is the grid manager's folder):\n  {command}\n\
                 Back here, with the file that this writes:\n  clearinghouse record install FILE -d {dir}\n"
            )?;
        }
        write!(f, "\nStart the node:\n  clearinghouse run -d {dir}\n")?;
        match &self.gateway_command {
            Some(command) => write!(f, "\nWhat your users give to `clearinghouse join`:\n  {command}\n"),
            None => Ok(()),
        }
    }
}
