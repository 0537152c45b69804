//! Child processes that are stopped together, and that end with this process however it ends.
//!
//! Each child's standard input is a pipe whose other end is held here and closed to stop it; [`leash`](crate::leash) is
//! the child's side. Children are in process groups of their own, so that Ctrl-C reaches this process alone and the order
//! of stopping is ours. Their standard error goes to a log file each; their standard output is read here.

use std::fmt;
use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// How long a child may take to end once it is asked to, before it is killed.
const STOP_GRACE: Duration = Duration::from_secs(10);

/// A child that could not be started.
#[derive(Debug, thiserror::Error)]
#[error("cannot start {name} (its log would be `{}`)", log.display())]
pub(crate) struct StartError {
    name: String,
    log: PathBuf,
    source: io::Error,
}

/// A child that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// Its name.
    pub(crate) name: String,
    /// Where its standard error went.
    pub(crate) log: PathBuf,
    /// How it ended.
    pub(crate) how: End,
}

/// How a child ended.
#[derive(Debug)]
pub(crate) enum End {
    /// By itself, before it was asked to.
    ByItself(ExitStatus),
    /// After it was asked to, in time.
    Asked(ExitStatus),
    /// It did not end when asked to, and was killed.
    Killed,
    /// The operating system would not say.
    Unknown(io::Error),
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, log, how } = self;
        match how {
            End::ByItself(status) => write!(f, "{name} ended unexpectedly ({status})")?,
            End::Asked(status) if status.success() => write!(f, "{name} stopped")?,
            End::Asked(status) => write!(f, "{name} stopped badly ({status})")?,
            End::Killed => write!(f, "{name} did not stop within {} s and was killed", STOP_GRACE.as_secs())?,
            End::Unknown(error) => write!(f, "{name}: how it ended is unknown ({error})")?,
        }
        write!(f, "; its log is `{}`", log.display())
    }
}

/// Children. Dropped without [`stop`](Self::stop), it kills them.
pub(crate) struct Supervisor {
    stopping: watch::Sender<bool>,
    children: JoinSet<Ended>,
}

impl Supervisor {
    /// No children yet.
    pub(crate) fn new() -> Self {
        Self { stopping: watch::Sender::new(false), children: JoinSet::new() }
    }

    /// Starts `command` as the child `name`. Its standard output must be read: it is a pipe of limited length.
    pub(crate) fn start(&mut self, name: &str, log: &Path, command: Command) -> Result<ChildStdout, StartError> {
        let (mut child, leash) =
            start(log, command).map_err(|source| StartError { name: name.to_owned(), log: log.to_owned(), source })?;
        let output = child.stdout.take().expect("standard output was asked for as a pipe");
        let (name, log, stopping) = (name.to_owned(), log.to_owned(), self.stopping.subscribe());
        self.children.spawn(async move { Ended { how: mind(child, leash, stopping).await, name, log } });
        Ok(output)
    }

    /// Waits until a child ends; for ever if there is none. Dropping it halfway is safe.
    pub(crate) async fn next_end(&mut self) -> Ended {
        match self.children.join_next().await {
            Some(Ok(ended)) => ended,
            Some(Err(error)) => std::panic::resume_unwind(error.into_panic()),
            None => std::future::pending().await,
        }
    }

    /// Stops all children at once and waits until each has ended. Returns those that did not end well.
    pub(crate) async fn stop(mut self) -> Vec<Ended> {
        self.stopping.send_replace(true);
        let mut badly = Vec::new();
        while let Some(ended) = self.children.join_next().await {
            match ended {
                Ok(Ended { how: End::Asked(status), .. }) if status.success() => {}
                Ok(ended) => badly.push(ended),
                Err(error) => std::panic::resume_unwind(error.into_panic()),
            }
        }
        badly
    }
}

fn start(log: &Path, mut command: Command) -> io::Result<(Child, ChildStdin)> {
    let log = OpenOptions::new().create(true).append(true).open(log)?;
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log).process_group(0).kill_on_drop(true);
    let mut child = command.spawn()?;
    // Taken out, because waiting for the child would close it.
    let leash = child.stdin.take().expect("standard input was asked for as a pipe");
    Ok((child, leash))
}

async fn mind(mut child: Child, leash: ChildStdin, mut stopping: watch::Receiver<bool>) -> End {
    tokio::select! {
        ended = child.wait() => return ended.map_or_else(End::Unknown, End::ByItself),
        _ = stopping.wait_for(|stopping| *stopping) => {}
    }
    drop(leash);
    match tokio::time::timeout(STOP_GRACE, child.wait()).await {
        Ok(ended) => ended.map_or_else(End::Unknown, End::Asked),
        Err(_) => child.kill().await.map_or_else(End::Unknown, |()| End::Killed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};

    fn log() -> (tempfile::TempDir, PathBuf) {
        let temp = tempfile::tempdir().unwrap();
        let log = temp.path().join("log");
        (temp, log)
    }

    /// A test of this file as a child process, which is the leashed or the leashing side of another test.
    fn this_test(name: &str) -> Command {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--ignored", "--exact", "--nocapture", &format!("supervise::tests::{name}")]);
        command
    }

    #[tokio::test]
    async fn children_end_when_they_are_let_go() {
        let (_temp, log) = log();
        let mut supervisor = Supervisor::new();
        for name in ["one", "two"] {
            supervisor.start(name, &log, Command::new("cat")).unwrap();
        }
        let badly = supervisor.stop().await;
        assert!(badly.is_empty(), "{badly:?}");
    }

    #[tokio::test]
    async fn a_child_that_dies_is_named_with_its_log() {
        let (_temp, log) = log();
        let mut supervisor = Supervisor::new();
        let mut command = Command::new("sh");
        command.args(["-c", "echo why >&2; exit 3"]);
        supervisor.start("node-07", &log, command).unwrap();
        let told = supervisor.next_end().await.to_string();
        assert!(told.starts_with("node-07 ended unexpectedly (exit status: 3); its log is `/"), "{told}");
        assert_eq!(std::fs::read_to_string(&log).unwrap(), "why\n");
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_is_an_error() {
        let (_temp, log) = log();
        let error = Supervisor::new().start("node-00", &log, Command::new("/nonexistent/program")).unwrap_err();
        assert!(error.to_string().starts_with("cannot start node-00"), "{error}");
    }

    #[tokio::test]
    async fn a_dropped_supervisor_kills_children_that_do_not_listen() {
        let (_temp, log) = log();
        let mut supervisor = Supervisor::new();
        let mut command = Command::new("sh");
        command.args(["-c", "echo up; exec tail -f /dev/null"]);
        let mut output = BufReader::new(supervisor.start("deaf", &log, command).unwrap());
        output.read_line(&mut String::new()).await.unwrap();
        drop(supervisor);
        // The pipe ends when the last process that holds it is gone.
        output.read_to_end(&mut Vec::new()).await.unwrap();
    }

    #[tokio::test]
    async fn children_end_with_a_testnet_that_is_killed() {
        let mut testnet = this_test("a_testnet_of_two").stderr(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
        let mut errors = BufReader::new(testnet.stderr.take().unwrap());
        let mut line = String::new();
        while !line.contains("up") {
            line.clear();
            assert_ne!(errors.read_line(&mut line).await.unwrap(), 0, "it ended before it was up");
        }
        // SIGKILL: nothing of its own runs any more.
        testnet.kill().await.unwrap();
        // The children hold this pipe too, so its end is theirs.
        errors.read_to_end(&mut Vec::new()).await.unwrap();
    }

    #[tokio::test]
    #[ignore = "a process that another test starts"]
    async fn a_testnet_of_two() {
        let mut supervisor = Supervisor::new();
        for name in ["one", "two"] {
            let output = supervisor.start(name, Path::new("/dev/stderr"), this_test("a_leashed_node")).unwrap();
            let mut output = BufReader::new(output);
            let mut line = String::new();
            while !line.contains("leashed") {
                line.clear();
                assert_ne!(output.read_line(&mut line).await.unwrap(), 0, "it ended before it was leashed");
            }
        }
        eprintln!("up");
        supervisor.next_end().await;
    }

    #[tokio::test]
    #[ignore = "a process that another test starts"]
    async fn a_leashed_node() {
        let released = crate::leash::released().unwrap();
        println!("leashed");
        released.await.unwrap();
    }
}
