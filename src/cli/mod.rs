//! The program `clearinghouse`: what people and scripts type, and what they are told.
//!
//! A command parses its words into values, asks the rooms below, and prints one result. It keeps no rule of its own.

mod api;
mod cap;
mod delegate;
mod exit;
mod failure;
mod failures;
mod home_arg;
mod init;
mod input;
mod network_args;
mod record;
mod resolve;
mod run;
mod status;
mod table;
mod terminal;
mod usage;

use crate::cli::exit::ExitCode;
use crate::cli::failure::Outcome;
use crate::cli::terminal::{Form, Terminal};
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use std::ffi::OsString;

/// The telephone exchange between Tahoe-LAFS grids.
///
/// A foreign cap names a file and the grid it lives on. `resolve` finds that grid's signed record: where its gateways are, what a
/// download costs, and until when that binds.
#[derive(Debug, Parser)]
#[command(name = "clearinghouse", version, max_term_width = 100, subcommand_required = true)]
struct Cli {
    /// Print one JSON value on standard output, errors included
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

const EXAMPLE: &str = "\
Example:
  clearinghouse init node --grid-manager gm0 --nickname \"Example grid\"
  clearinghouse run -d node";

#[derive(Debug, Subcommand)]
enum Command {
    Init(Box<init::InitArgs>),
    Run(run::RunArgs),
    Status(status::StatusArgs),
    Resolve(resolve::ResolveArgs),
    #[command(subcommand)]
    Record(record::RecordCommand),
    Delegate(delegate::DelegateArgs),
    #[command(subcommand)]
    Cap(cap::CapCommand),
}

/// Runs the program with these words, the program's name first, and says how the process is to end.
pub fn run(words: impl IntoIterator<Item = OsString>) -> std::process::ExitCode {
    let words: Vec<OsString> = words.into_iter().collect();
    // Asked before the words are understood, because an error among them is told in JSON too.
    let form = if words.iter().any(|word| word == "--json") { Form::Json } else { Form::Text };
    let terminal = Terminal::new(form);
    let code = match parse(words) {
        Ok(cli) => match dispatch(cli.command, &terminal) {
            Ok(()) => ExitCode::Done,
            Err(failure) => {
                terminal.fail(&failure);
                failure.exit
            }
        },
        Err(error) => match usage::failure(&error) {
            Some(failure) => {
                terminal.fail(&failure);
                failure.exit
            }
            None => {
                // Who closed the pipe wanted no more of it.
                let _ = error.print();
                ExitCode::Done
            }
        },
    };
    code.into()
}

fn parse(words: Vec<OsString>) -> Result<Cli, clap::Error> {
    let command = Cli::command().after_help(format!("{EXAMPLE}\n\n{}", ExitCode::table()));
    Cli::from_arg_matches(&command.try_get_matches_from(words)?)
}

fn dispatch(command: Command, terminal: &Terminal) -> Outcome<()> {
    match command {
        Command::Init(args) => init::run(*args, terminal),
        Command::Run(args) => run::run(args, terminal),
        Command::Status(args) => status::run(&args, terminal),
        Command::Resolve(args) => resolve::run(&args, terminal),
        Command::Record(command) => record::run(&command, terminal),
        Command::Delegate(args) => delegate::run(&args, terminal),
        Command::Cap(command) => cap::run(&command, terminal),
    }
}
