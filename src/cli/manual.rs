//! `completions` and `man`: what the tree of commands says of itself to shells and to `man`.

use crate::cli::args::command;
use crate::cli::failure::Outcome;
use crate::cli::terminal::Terminal;
use crate::config::FileError;
use clap::Args;
use clap_complete::Shell;
use serde::Serialize;
use std::fmt;
use std::path::PathBuf;

/// Print what makes a shell complete the words of this program
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  clearinghouse completions bash > ~/.local/share/bash-completion/completions/clearinghouse")]
pub(super) struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

/// Write the manual pages, one for each command
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  clearinghouse man ~/.local/share/man/man1")]
pub(super) struct ManArgs {
    /// The folder to write them into, which must exist
    #[arg(value_name = "DIR")]
    dir: PathBuf,
}

pub(super) fn completions(args: &CompletionsArgs, terminal: &Terminal) -> Outcome<()> {
    let mut script = Vec::new();
    let mut tree = command();
    let name = tree.get_name().to_owned();
    clap_complete::generate(args.shell, &mut tree, name, &mut script);
    terminal.print(&Script { script: String::from_utf8_lossy(&script).into_owned() })
}

pub(super) fn man(args: &ManArgs, terminal: &Terminal) -> Outcome<()> {
    clap_mangen::generate_to(command(), &args.dir).map_err(FileError::at("write manual pages into", &args.dir))?;
    terminal.print(&Pages { dir: args.dir.clone() })
}

#[derive(Serialize)]
struct Script {
    script: String,
}

impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.script)
    }
}

#[derive(Serialize)]
struct Pages {
    dir: PathBuf,
}

impl fmt::Display for Pages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.dir.display().fmt(f)
    }
}
