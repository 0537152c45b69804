//! Nodes that are stopped together, and that end with this process however it ends: child processes, or tasks.
//!
//! Each child's standard input is a pipe whose other end is held here and closed to stop it; [`leash`](crate::leash) is
//! the child's side. Children are in process groups of their own, so that Ctrl-C reaches this process alone and the order
//! of stopping is ours. Their standard error goes to a log file each; their standard output is read here.

use std::collections::HashMap;
use std::fmt;
use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::{mpsc, watch};
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

/// A node that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// Its name.
    pub(crate) name: String,
    /// Where its standard error went.
    pub(crate) log: PathBuf,
    /// How it ended.
    pub(crate) how: End,
}

/// How a node ended.
#[derive(Debug)]
pub(crate) enum End {
    /// By itself, before it was asked to; the text says how.
    ByItself(String),
    /// Well, after it was asked to.
    Asked,
    /// Badly, after it was asked to; the text says how.
    Badly(String),
    /// It did not end when asked to, and was killed.
    Killed,
    /// It was killed because somebody wanted it dead.
    OnDemand,
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, log, how } = self;
        match how {
            End::ByItself(how) => write!(f, "{name} ended unexpectedly ({how})")?,
            End::Asked => write!(f, "{name} stopped")?,
            End::Badly(how) => write!(f, "{name} stopped badly ({how})")?,
            End::Killed => write!(f, "{name} did not stop within {} s and was killed", STOP_GRACE.as_secs())?,
            End::OnDemand => write!(f, "{name} was killed, as it was to be")?,
        }
        write!(f, "; its log is `{}`", log.display())
    }
}

/// Nodes. Dropped without [`stop`](Self::stop), it kills them.
pub(crate) struct Supervisor {
    stopping: watch::Sender<bool>,
    nodes: JoinSet<Ended>,
    /// For each child that may still run, what it is to be told.
    orders: HashMap<String, mpsc::UnboundedSender<Order>>,
}

/// What becomes of a child while it runs.
enum Order {
    /// It is killed.
    Kill,
    /// It reads this line.
    Read(String),
}

impl Supervisor {
    /// No nodes yet.
    pub(crate) fn new() -> Self {
        Self { stopping: watch::Sender::new(false), nodes: JoinSet::new(), orders: HashMap::new() }
    }

    /// Starts `command` as the child `name`. Its standard output must be read: it is a pipe of limited length.
    pub(crate) fn start(&mut self, name: &str, log: &Path, command: Command) -> Result<ChildStdout, StartError> {
        let (mut child, leash) =
            start(log, command).map_err(|source| StartError { name: name.to_owned(), log: log.to_owned(), source })?;
        let output = child.stdout.take().expect("standard output was asked for as a pipe");
        let (name, log, stopping) = (name.to_owned(), log.to_owned(), self.stopping.subscribe());
        let (order, orders) = mpsc::unbounded_channel();
        self.orders.insert(name.clone(), order);
        self.nodes.spawn(async move { Ended { how: mind(child, leash, stopping, orders).await, name, log } });
        Ok(output)
    }

    /// Kills the child `name` by SIGKILL. Returns whether there was one to kill; that it has ended, [`Self::next_end`] tells.
    pub(crate) fn kill(&mut self, name: &str) -> bool {
        self.orders.remove(name).is_some_and(|order| order.send(Order::Kill).is_ok())
    }

    /// Has every child read this line.
    pub(crate) fn tell_all(&self, line: &str) {
        for order in self.orders.values() {
            // Who has ended needs to be told nothing.
            let _ = order.send(Order::Read(line.to_owned()));
        }
    }

    /// Runs `node` as the task `name` of this process. It is given the end that it is to stop at, and says what went wrong.
    pub(crate) fn run<F>(&mut self, name: &str, log: &Path, node: impl FnOnce(Released) -> F)
    where
        F: Future<Output = Result<(), String>> + Send + 'static,
    {
        let (name, log, stopping) = (name.to_owned(), log.to_owned(), self.stopping.subscribe());
        let node = node(Released(self.stopping.subscribe()));
        self.nodes.spawn(async move { Ended { how: mind_task(node, stopping).await, name, log } });
    }

    /// Waits until a node ends; for ever if there is none. Dropping it halfway is safe.
    pub(crate) async fn next_end(&mut self) -> Ended {
        match self.nodes.join_next().await {
            Some(Ok(ended)) => ended,
            Some(Err(error)) => std::panic::resume_unwind(error.into_panic()),
            None => std::future::pending().await,
        }
    }

    /// Stops all nodes at once and waits until each has ended. Returns those that did not end well.
    pub(crate) async fn stop(mut self) -> Vec<Ended> {
        self.stopping.send_replace(true);
        let mut badly = Vec::new();
        while let Some(ended) = self.nodes.join_next().await {
            match ended {
                Ok(Ended { how: End::Asked | End::OnDemand, .. }) => {}
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

/// When a node that runs as a task is to stop.
pub(crate) struct Released(watch::Receiver<bool>);

impl Released {
    /// Completes when the node is to stop.
    pub(crate) async fn wait(mut self) {
        // An error means that the supervisor is gone, which is an end too.
        let _ = self.0.wait_for(|stopping| *stopping).await;
    }
}

async fn mind(
    mut child: Child,
    mut leash: ChildStdin,
    mut stopping: watch::Receiver<bool>,
    mut orders: mpsc::UnboundedReceiver<Order>,
) -> End {
    let kill = loop {
        let order = tokio::select! {
            // First: what ends at the same moment was asked to.
            biased;
            _ = stopping.wait_for(|stopping| *stopping) => None,
            // The sender goes with the supervisor, which kills by dropping; its end is no wish.
            Some(order) = orders.recv() => Some(order),
            ended = child.wait() => return End::ByItself(said(&ended)),
        };
        match order {
            None => break false,
            Some(Order::Kill) => break true,
            // One that reads no more has ended or is about to.
            Some(Order::Read(line)) => drop(leash.write_all(format!("{line}\n").as_bytes()).await),
        }
    };
    if kill {
        return child.kill().await.map_or_else(|error| End::Badly(error.to_string()), |()| End::OnDemand);
    }
    drop(leash);
    match tokio::time::timeout(STOP_GRACE, child.wait()).await {
        Ok(Ok(status)) if status.success() => End::Asked,
        Ok(ended) => End::Badly(said(&ended)),
        Err(_) => child.kill().await.map_or_else(|error| End::Badly(error.to_string()), |()| End::Killed),
    }
}

fn said(ended: &io::Result<ExitStatus>) -> String {
    match ended {
        Ok(status) => status.to_string(),
        Err(error) => error.to_string(),
    }
}

async fn mind_task(node: impl Future<Output = Result<(), String>>, mut stopping: watch::Receiver<bool>) -> End {
    tokio::pin!(node);
    tokio::select! {
        biased;
        _ = stopping.wait_for(|stopping| *stopping) => {}
        ended = &mut node => return End::ByItself(ended.err().unwrap_or_else(|| "without an error".to_owned())),
    }
    match tokio::time::timeout(STOP_GRACE, node).await {
        Ok(ended) => ended.map_or_else(End::Badly, |()| End::Asked),
        Err(_) => End::Killed,
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
    async fn a_leashed_node_ends_well_when_it_is_let_go() {
        let (_temp, log) = log();
        let mut supervisor = Supervisor::new();
        let _output = supervisor.start("node-00", &log, this_test("a_leashed_node")).unwrap();
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
    async fn a_child_that_is_to_die_dies_and_may_be_started_again() {
        let (_temp, log) = log();
        let mut supervisor = Supervisor::new();
        assert!(!supervisor.kill("node-00"), "nobody is there");
        for _ in 0..2 {
            supervisor.start("node-00", &log, Command::new("cat")).unwrap();
            assert!(supervisor.kill("node-00"));
            let ended = supervisor.next_end().await;
            assert!(matches!(ended.how, End::OnDemand), "{ended:?}");
        }
        supervisor.start("node-00", &log, Command::new("cat")).unwrap();
        assert!(supervisor.stop().await.is_empty());
    }

    #[tokio::test]
    async fn children_read_what_they_are_told() {
        let (_temp, log) = log();
        let mut supervisor = Supervisor::new();
        let output = supervisor.start("node-00", &log, Command::new("cat")).unwrap();
        supervisor.tell_all("86400");
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line).await.unwrap();
        assert_eq!(line, "86400\n");
        assert!(supervisor.stop().await.is_empty());
    }

    #[tokio::test]
    async fn a_task_is_stopped_and_told_of_as_a_process_is() {
        let (_temp, log) = log();
        let mut supervisor = Supervisor::new();
        supervisor.run("good", &log, |released| async move {
            released.wait().await;
            Ok(())
        });
        supervisor.run("dies", &log, |_| async { Err("why".to_owned()) });
        let told = supervisor.next_end().await.to_string();
        assert!(told.starts_with("dies ended unexpectedly (why); its log is `"), "{told}");
        supervisor.run("bad", &log, |released| async move {
            released.wait().await;
            Err("disk full".to_owned())
        });
        let badly = supervisor.stop().await;
        assert_eq!(badly.len(), 1);
        assert!(badly[0].to_string().starts_with("bad stopped badly (disk full)"), "{}", badly[0]);
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
