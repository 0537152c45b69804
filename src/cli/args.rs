//! The words that the program understands.

use crate::cli::cap::CapCommand;
use crate::cli::client::ClientCommand;
use crate::cli::delegate::DelegateArgs;
use crate::cli::dispute::DisputeCommand;
use crate::cli::exit::ExitCode;
use crate::cli::gateway::GatewayCommand;
use crate::cli::get::GetArgs;
use crate::cli::init::InitArgs;
use crate::cli::join::JoinArgs;
use crate::cli::ledger::LedgerCommand;
use crate::cli::ls::LsArgs;
use crate::cli::manual::{CompletionsArgs, ManArgs};
use crate::cli::netting::NettingCommand;
use crate::cli::policy::PolicyCommand;
use crate::cli::quote::QuoteArgs;
use crate::cli::rates::RatesArgs;
use crate::cli::record::RecordCommand;
use crate::cli::resolve::ResolveArgs;
use crate::cli::run::RunArgs;
use crate::cli::spent::UsageArgs;
use crate::cli::statement::StatementArgs;
use crate::cli::status::StatusArgs;
use crate::cli::terms::TermsCommand;
use crate::cli::web::WebArgs;
use clap::{CommandFactory, Parser, Subcommand};

const EXAMPLE: &str = "\
Example:
  clearinghouse init node --grid-manager gm0 --nickname \"Example grid\"
  clearinghouse run -d node";

/// The tree of commands, with the exit codes at its root.
pub(super) fn command() -> clap::Command {
    Cli::command().after_help(format!("{EXAMPLE}\n\n{}", ExitCode::table()))
}

/// The telephone exchange between Tahoe-LAFS grids.
///
/// A foreign cap names a file and the grid it lives on. `resolve` finds that grid's signed record: where its gateways are, what a
/// download costs, and until when that binds.
#[derive(Debug, Parser)]
#[command(name = "clearinghouse", version, max_term_width = 100, subcommand_required = true)]
pub(super) struct Cli {
    /// Print one JSON value on standard output, errors included
    #[arg(long, global = true)]
    pub(super) json: bool,
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    Init(Box<InitArgs>),
    Run(RunArgs),
    Status(StatusArgs),
    Resolve(ResolveArgs),
    Get(GetArgs),
    Ls(LsArgs),
    Web(WebArgs),
    #[command(subcommand)]
    Policy(PolicyCommand),
    Quote(QuoteArgs),
    Rates(RatesArgs),
    Usage(UsageArgs),
    #[command(subcommand)]
    Record(RecordCommand),
    Delegate(DelegateArgs),
    Join(JoinArgs),
    #[command(subcommand)]
    Client(ClientCommand),
    #[command(subcommand)]
    Gateway(GatewayCommand),
    #[command(subcommand)]
    Terms(TermsCommand),
    Statement(StatementArgs),
    #[command(subcommand)]
    Netting(NettingCommand),
    #[command(subcommand)]
    Dispute(DisputeCommand),
    #[command(subcommand)]
    Ledger(LedgerCommand),
    #[command(subcommand)]
    Cap(CapCommand),
    Completions(CompletionsArgs),
    Man(ManArgs),
}
