//! Where a command takes its input from: the command line, standard input, files.

use crate::cli::exit::ExitCode;
use crate::cli::failure::{Failure, Outcome};
use crate::config::GridManager;
use std::io::{self, Read};
use std::path::Path;
use zeroize::Zeroizing;

/// The longest text taken from standard input.
const MAX_STDIN_BYTES: u64 = 1 << 20;

/// The argument itself, or the one line of standard input where it is `-`: what stands on a command line, other users of the
/// machine can see.
pub(super) fn argument(argument: &str) -> Outcome<Zeroizing<String>> {
    if argument != "-" {
        return Ok(Zeroizing::new(argument.to_owned()));
    }
    let text = stdin()?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    Ok(Zeroizing::new(line.strip_suffix('\r').unwrap_or(line).to_owned()))
}

/// All of standard input, as text.
pub(super) fn stdin() -> Outcome<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::new());
    io::stdin()
        .take(MAX_STDIN_BYTES)
        .read_to_string(&mut text)
        .map_err(|error| Failure::because(ExitCode::Failed, &error).about("cannot read standard input"))?;
    Ok(text)
}

/// The grid manager at `path`; `-` takes the text of its `config.json` from standard input, out of a drawer or a safe.
pub(super) fn grid_manager(path: &Path) -> Outcome<GridManager> {
    if path == Path::new("-") {
        return Ok(GridManager::from_json(&stdin()?, Path::new("standard input"))?);
    }
    Ok(GridManager::open(path)?)
}
