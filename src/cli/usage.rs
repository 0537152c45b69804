//! What clap says of a wrong command line, said as every other failure is.

use crate::cli::exit::ExitCode;
use crate::cli::failure::{Failure, chain};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use std::error::Error;

/// The failure that `error` stands for; `None` where it is help or a version, which clap prints.
pub(super) fn failure(error: &clap::Error) -> Option<Failure> {
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
    Some(failure.hint(hint(error)))
}

fn first_paragraph(text: &str) -> String {
    let text = text.strip_prefix("error: ").unwrap_or(text);
    let lines: Vec<&str> = text.lines().take_while(|line| !line.trim().is_empty()).map(str::trim).collect();
    lines.join(" ").replace('\'', "`")
}

fn hint(error: &clap::Error) -> String {
    let text = error.to_string();
    if let Some(tip) = text.lines().find_map(|line| line.trim().strip_prefix("tip: ")) {
        return tip.replace('\'', "`");
    }
    match text.lines().find_map(|line| line.trim().strip_prefix("Usage: ")) {
        Some(usage) => format!("usage: {usage}"),
        None => "`clearinghouse --help` lists the commands".to_owned(),
    }
}
