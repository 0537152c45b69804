//! `record draft`: what the settings and the node make a record say, to be signed where the grid key is.

use crate::cli::api::Api;
use crate::cli::exit::ExitCode;
use crate::cli::failure::{Failure, Outcome};
use crate::cli::home_arg::HomeArg;
use crate::cli::terminal::Terminal;
use crate::config::{Home, NodeConfig, PUBLIC_MODE, peer_id, read_key, write_atomically};
use crate::record::{DraftFile, MAX_NODE_ADDRS, NodeEntry};
use crate::store::{load_evidence, load_own_record};
use clap::Args;
use multiaddr::{Multiaddr, Protocol};
use serde::Serialize;
use std::fmt;
use std::path::PathBuf;

/// Write a draft of the grid's record from the settings, with the addresses of the node
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  clearinghouse record draft -d node -o draft.toml")]
pub(in crate::cli) struct DraftArgs {
    /// Where to write the draft; a file that is there is replaced
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    #[command(flatten)]
    home: HomeArg,
}

pub(in crate::cli) fn run(args: &DraftArgs, terminal: &Terminal) -> Outcome<()> {
    let (home, config) = args.home.config()?;
    let grid = args.home.grid()?;
    let addrs = node_addrs(&home, &config)?;
    if addrs.is_empty() {
        terminal.warn(
            "no address of this node is known, and the draft names none: start the node first, or set `external`; readers then \
             find the record with its holders only",
        );
    }
    let nodes = match addrs.is_empty() {
        true => Vec::new(),
        false => {
            let peer = peer_id(&read_key(&home.node_key())?);
            let entry = NodeEntry::new(peer, addrs);
            vec![entry.map_err(|error| Failure::because(ExitCode::Failed, &error).about("this node's address"))?]
        }
    };
    let draft = config.draft(grid, nodes);
    let previous = load_own_record(&home, &grid)?;
    let evidence = load_evidence(&home, &grid);
    let file = DraftFile { draft, previous, evidence };
    write_atomically(&args.output, file.to_string().as_bytes(), PUBLIC_MODE)?;
    terminal.print(&Drafted { file: args.output.clone() })
}

/// Where the node answers: as it says itself while it runs, else as the settings say.
fn node_addrs(home: &Home, config: &NodeConfig) -> Outcome<Vec<Multiaddr>> {
    let mut addrs = match Api::of_running_node(home)? {
        Some(api) => api.status()?.addrs,
        None => config.external_addrs(),
    };
    for addr in &mut addrs {
        if let Some(Protocol::P2p(_)) = addr.iter().last() {
            addr.pop();
        }
    }
    addrs.truncate(MAX_NODE_ADDRS);
    Ok(addrs)
}

#[derive(Serialize)]
struct Drafted {
    file: PathBuf,
}

impl fmt::Display for Drafted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.file.display().fmt(f)
    }
}
