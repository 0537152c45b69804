//! What clap says of a wrong command line, said as every other failure is.

use crate::causes::chain;
use crate::cli::args::command;
use crate::cli::exit::ExitCode;
use crate::cli::failure::Failure;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use std::error::Error;
use std::ffi::OsString;

/// The failure that `error` stands for; `None` where it is help or a version, which clap prints.
pub(super) fn failure(error: &clap::Error, words: &[OsString]) -> Option<Failure> {
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        return None;
    }
    let failure = match (error.kind(), error.get(ContextKind::InvalidArg), error.source()) {
        // The offered value is not repeated: it may be a cap or a private key, and standard error may be a log.
        (ErrorKind::ValueValidation, Some(ContextValue::String(argument)), Some(cause)) => {
            Failure::new(ExitCode::Malformed, format!("{argument}: {}", chain(cause)))
        }
        (ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand, ..) => {
            Failure::new(ExitCode::Malformed, "a command is missing")
        }
        _ => Failure::new(ExitCode::Malformed, first_paragraph(&error.to_string())),
    };
    Some(failure.hint(hint(error, words)))
}

fn first_paragraph(text: &str) -> String {
    let text = text.strip_prefix("error: ").unwrap_or(text);
    let lines: Vec<&str> = text.lines().take_while(|line| !line.trim().is_empty()).map(str::trim).collect();
    lines.join(" ").replace('\'', "`")
}

fn hint(error: &clap::Error, words: &[OsString]) -> String {
    let text = error.to_string();
    if let Some(tip) = text.lines().find_map(|line| line.trim().strip_prefix("tip: ")) {
        return tip.replace('\'', "`");
    }
    match text.lines().find_map(|line| line.trim().strip_prefix("Usage: ")) {
        Some(usage) => format!("usage: {usage}"),
        None => format!("`{} --help` says what it takes", command_of(words)),
    }
}

/// The command that the words name, as far as they do.
fn command_of(words: &[OsString]) -> String {
    let program = command();
    let (mut command, mut name) = (&program, program.get_name().to_owned());
    for word in words.iter().skip(1).filter_map(|word| word.to_str()).filter(|word| !word.starts_with('-')) {
        let Some(found) = command.find_subcommand(word) else { break };
        name = format!("{name} {word}");
        command = found;
    }
    name
}
