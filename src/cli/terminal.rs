//! Standard output for data, standard error for everything else.

use crate::cli::exit::ExitCode;
use crate::cli::failure::{Failure, Outcome};
use serde::Serialize;
use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

/// What a person or a script at the other end is shown.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terminal {
    form: Form,
}

/// How data is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// For people.
    Text,
    /// One JSON value on one line.
    Json,
}

impl Terminal {
    /// Prints in this form.
    pub(super) fn new(form: Form) -> Self {
        Self { form }
    }

    /// How data is printed.
    pub(super) fn form(&self) -> Form {
        self.form
    }

    /// Prints the result of a command: `value` as JSON, or its text and a line end.
    ///
    /// A reader that has gone away wanted no more: that is no failure.
    pub(super) fn print<T: Serialize + Display>(&self, value: &T) -> Outcome<()> {
        let text = match self.form {
            Form::Text => value.to_string(),
            Form::Json => serde_json::to_string(value).map_err(|error| Failure::because(ExitCode::Failed, &error))?,
        };
        let mut out = io::stdout().lock();
        let end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
        match write!(out, "{text}{end}").and_then(|()| out.flush()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(Failure::because(ExitCode::Failed, &error).about("cannot write to standard output"))
            }
            _ => Ok(()),
        }
    }

    /// Tells people something beside the data.
    pub(super) fn note(&self, text: impl Display) {
        say("note", &text);
    }

    /// Tells people of something that may be wrong.
    pub(super) fn warn(&self, text: impl Display) {
        say("warning", &text);
    }

    /// Has a person type `word` before something that cannot be undone. Where nobody sits at a terminal, it is not done.
    pub(super) fn confirm(&self, warning: &str, word: &str) -> Outcome<()> {
        if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
            return Err(Failure::new(ExitCode::Refused, format!("{warning}: nobody is there to be asked"))
                .hint("`--yes` does it without asking"));
        }
        self.warn(warning);
        let _ = write!(io::stderr(), "Type `{word}` to go on: ");
        let mut answer = String::new();
        io::stdin().read_line(&mut answer).map_err(|error| Failure::because(ExitCode::Failed, &error))?;
        if answer.trim() == word { Ok(()) } else { Err(Failure::new(ExitCode::Refused, "nothing was done")) }
    }

    /// Tells of a failure: on standard error, or as `{"error":…}` where JSON was asked for.
    pub(super) fn fail(&self, failure: &Failure) {
        if failure.told {
            return;
        }
        match self.form {
            Form::Text => {
                say("error", &failure.message);
                if let Some(hint) = &failure.hint {
                    say("hint", hint);
                }
            }
            Form::Json => {
                let error = serde_json::json!({"error": {
                    "code": failure.exit.name(), "message": failure.message, "hint": failure.hint,
                }});
                // Nobody is left to be told if this fails.
                let _ = writeln!(io::stdout(), "{error}");
            }
        }
    }
}

fn say(kind: &str, text: &dyn Display) {
    let _ = writeln!(io::stderr(), "clearinghouse: {kind}: {text}");
}
