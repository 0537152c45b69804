//! What clients and operators type, run as the program `clearinghouse` at the time of the scenario.

use crate::play::AnyError;
use serde_json::Value;
use std::process::Stdio;
use tokio::process::Command;

/// How far ahead of the machine's the clocks are, and how what is typed then is run.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Ahead(pub(super) i64);

/// How a program ended that somebody typed.
#[derive(Debug)]
pub(super) struct Typed {
    pub(super) code: Option<i32>,
    pub(super) printed: String,
    pub(super) errors: String,
}

impl Ahead {
    /// `clearinghouse` with these words, at this time. Killed if it is dropped.
    pub(super) fn command(self, words: &[&str]) -> Result<Command, AnyError> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("clearinghouse").arg(format!("--ahead={}", self.0)).arg("--").args(words);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        Ok(command)
    }

    /// Types these words, and waits for what comes of it.
    pub(super) async fn types(self, words: &[&str]) -> Result<Typed, AnyError> {
        let output = self.command(words)?.output().await?;
        let text = |octets: Vec<u8>| String::from_utf8_lossy(&octets).trim_end().to_owned();
        Ok(Typed { code: output.status.code(), printed: text(output.stdout), errors: text(output.stderr) })
    }

    /// The same, to be done; its JSON.
    pub(super) async fn has(self, words: &[&str]) -> Result<Value, AnyError> {
        let Typed { code, printed, errors } = self.types(words).await?;
        match code {
            Some(0) => Ok(serde_json::from_str(&printed)?),
            _ => Err(format!("`clearinghouse {}`: {errors}{printed}", words.join(" ")).into()),
        }
    }
}
