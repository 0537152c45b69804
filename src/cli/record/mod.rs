//! `record`: the grid's record from draft to publication, and anybody's record looked at.

mod broken;
mod draft;
mod install;
mod publish;
mod rotate;
mod show;
mod sign;
mod withdraw;

use crate::cli::failure::Outcome;
use crate::cli::terminal::Terminal;
use clap::Subcommand;

/// Draft, sign, install and publish the grid's record; show and verify anybody's, and what it breaks
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum RecordCommand {
    Draft(draft::DraftArgs),
    Sign(sign::SignArgs),
    Install(install::InstallArgs),
    Show(show::ShowArgs),
    Verify(show::VerifyArgs),
    Publish(publish::PublishArgs),
    Rotate(rotate::RotateArgs),
    Withdraw(withdraw::WithdrawArgs),
    Broken(broken::BrokenArgs),
}

pub(in crate::cli) fn run(command: &RecordCommand, terminal: &Terminal) -> Outcome<()> {
    match command {
        RecordCommand::Draft(args) => draft::run(args, terminal),
        RecordCommand::Sign(args) => sign::run(args, terminal),
        RecordCommand::Install(args) => install::run(args, terminal),
        RecordCommand::Show(args) => show::show(args, terminal),
        RecordCommand::Verify(args) => show::verify(args, terminal),
        RecordCommand::Publish(args) => publish::run(args, terminal),
        RecordCommand::Rotate(args) => rotate::run(args, terminal),
        RecordCommand::Withdraw(args) => withdraw::run(args, terminal),
        RecordCommand::Broken(args) => broken::run(args, terminal),
    }
}
