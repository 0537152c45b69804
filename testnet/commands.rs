//! The commands to a testnet that runs already.

use crate::cli::{FAILED, MALFORMED, TIMED_OUT, fail, print};
use crate::control::{Command, TellError, tell};
use crate::status::TestnetStatus;
use clap::Args;
use lafs_clearinghouse::causes::chain;
use std::path::PathBuf;
use std::process::ExitCode;

/// Which testnet is meant, and how the answer is to look.
#[derive(Debug, Args)]
pub(crate) struct WhichArgs {
    /// The folder of the testnet [default: that of the only one that runs]
    #[arg(short = 'd', long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Print one JSON value on one line, errors included
    #[arg(long)]
    json: bool,
}

/// Some of its nodes.
#[derive(Debug, Args)]
#[command(after_help = "\
Nodes are named `node-03` or `3`, ranges `node-03..node-09`; `all`, `alive`, `dead`, `paused` and `publishers` are names too.

Exit codes: 0 done, and how things stand is printed · 1 refused, or failed · 2 wrong command line · 8 no testnet is running")]
pub(crate) struct NodesArgs {
    /// The nodes
    #[arg(required = true, value_name = "NODE")]
    nodes: Vec<String>,
    #[command(flatten)]
    which: WhichArgs,
}

/// Let nothing through between groups of nodes, until `heal`
///
/// A node in no group goes on speaking with all. A new partition takes the place of the one before.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  testnet partition node-00..node-09 rest        two halves
  testnet partition 0,3,4 1,2 5..9               three groups
  testnet partition node-07                      one node, cut off from all others

Exit codes: 0 done, and how things stand is printed · 1 refused, or failed · 2 wrong command line · 8 no testnet is running")]
pub(crate) struct PartitionArgs {
    /// The groups: each a list of nodes with commas between them
    #[arg(required = true, value_name = "GROUP")]
    groups: Vec<String>,
    #[command(flatten)]
    which: WhichArgs,
}

impl NodesArgs {
    pub(crate) async fn tell(self, command: impl FnOnce(Vec<String>) -> Command) -> ExitCode {
        self.which.tell(command(self.nodes)).await
    }
}

impl PartitionArgs {
    pub(crate) async fn tell(self) -> ExitCode {
        self.which.tell(Command::Partition(self.groups)).await
    }
}

impl WhichArgs {
    pub(crate) async fn tell(self, command: Command) -> ExitCode {
        match tell(self.dir, &command).await {
            Ok(status) => {
                print(&said(&status, self.json));
                ExitCode::SUCCESS
            }
            Err(error) => {
                let (code, hint) = match &error {
                    TellError::NotRunning(_) | TellError::None(_) => {
                        (TIMED_OUT, Some("`testnet up` raises one; one with a folder of its own is named with -d DIR"))
                    }
                    TellError::Several(_) => (MALFORMED, Some("name one with -d DIR")),
                    TellError::TimedOut(_) => (TIMED_OUT, Some("its own terminal and `testnet.log` may tell more")),
                    TellError::Refused(_) | TellError::Broken { .. } => (FAILED, None),
                };
                fail(self.json, code, &chain(&error), hint)
            }
        }
    }
}

fn said(status: &TestnetStatus, json: bool) -> String {
    if json { serde_json::to_string(status).unwrap_or_default() } else { status.to_string() }
}
