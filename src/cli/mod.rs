//! The program `clearinghouse`: what people and scripts type, and what they are told.
//!
//! A command parses its words into values, asks the rooms below, and prints one result. It keeps no rule of its own.

mod api;
mod args;
mod cap;
mod check;
mod client;
mod delegate;
mod directory;
mod dispute;
mod dispute_views;
mod exit;
mod failure;
mod failures;
mod gateway;
mod gateways;
mod get;
mod get_tree;
mod home_arg;
mod init;
mod input;
mod join;
mod joined;
mod ledger;
mod ls;
mod manual;
mod netting;
mod netting_view;
mod network_args;
mod plot;
mod policy;
mod progress;
mod quote;
mod rates;
mod read_failures;
mod reading;
mod record;
mod resolve;
mod resolver_address;
mod run;
mod spending;
mod spent;
mod spent_months;
mod statement;
mod status;
mod table;
mod terminal;
mod terms;
mod usage;
mod wait;
mod web;

use crate::cli::args::{Cli, Command};
use crate::cli::exit::ExitCode;
use crate::cli::failure::Outcome;
use crate::cli::terminal::{Form, Terminal};
use clap::FromArgMatches;
use std::ffi::OsString;

/// Runs the program with these words, the program's name first, and says how the process is to end.
pub fn run(words: impl IntoIterator<Item = OsString>) -> std::process::ExitCode {
    let words: Vec<OsString> = words.into_iter().collect();
    // Asked before the words are understood, because an error among them is told in JSON too.
    let form = if words.iter().any(|word| word == "--json") { Form::Json } else { Form::Text };
    let terminal = Terminal::new(form);
    let code = match parse(&words) {
        Ok(cli) => match dispatch(cli.command, &terminal) {
            Ok(()) => ExitCode::Done,
            Err(failure) => {
                terminal.fail(&failure);
                failure.exit
            }
        },
        Err(error) => match usage::failure(&error, &words) {
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

fn parse(words: &[OsString]) -> Result<Cli, clap::Error> {
    Cli::from_arg_matches(&args::command().try_get_matches_from(words)?)
}

fn dispatch(command: Command, terminal: &Terminal) -> Outcome<()> {
    match command {
        Command::Init(args) => init::run(*args, terminal),
        Command::Run(args) => run::run(args, terminal),
        Command::Status(args) => status::run(&args, terminal),
        Command::Resolve(args) => resolve::run(&args, terminal),
        Command::Get(args) => get::run(&args, terminal),
        Command::Ls(args) => ls::run(&args, terminal),
        Command::Web(args) => web::run(&args, terminal),
        Command::Policy(command) => policy::run(&command, terminal),
        Command::Quote(args) => quote::run(&args, terminal),
        Command::Rates(args) => rates::run(&args, terminal),
        Command::Usage(args) => spent::run(&args, terminal),
        Command::Record(command) => record::run(&command, terminal),
        Command::Delegate(args) => delegate::run(&args, terminal),
        Command::Join(args) => join::run(&args, terminal),
        Command::Client(command) => client::run(&command, terminal),
        Command::Terms(command) => terms::run(&command, terminal),
        Command::Dispute(command) => dispute::run(&command, terminal),
        Command::Netting(command) => netting::run(&command, terminal),
        Command::Statement(args) => statement::run(&args, terminal),
        Command::Gateway(command) => gateway::run(&command, terminal),
        Command::Ledger(command) => ledger::run(&command, terminal),
        Command::Cap(command) => cap::run(&command, terminal),
        Command::Completions(args) => manual::completions(&args, terminal),
        Command::Man(args) => manual::man(&args, terminal),
    }
}
