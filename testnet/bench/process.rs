//! What a process costs, as the kernel counts it, and programs that are started to be measured.

use super::{AnyError, PATIENCE};
use crate::leash::line_of;
use lafs_clearinghouse::clearing::ReadOn;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

/// Linux tells a process's time in hundredths of a second, whatever its own clock is.
const TICK: Duration = Duration::from_millis(10);

/// A process that is measured; 0 is this one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Process(pub(super) u32);

impl Process {
    /// The processor's time it has taken, its ended children's not included.
    pub(super) fn cpu(self) -> Result<Duration, AnyError> {
        self.times(11)
    }

    /// The processor's time that each of its threads has taken, in nanoseconds as the scheduler counts them.
    pub(super) fn tasks(self) -> Result<BTreeMap<u32, Duration>, AnyError> {
        let mut tasks = BTreeMap::new();
        for task in std::fs::read_dir(self.place("task"))? {
            let name = task?.file_name();
            let id = name.to_str().and_then(|name| name.parse().ok()).ok_or("a thread is called by a number")?;
            // One that has ended meanwhile is not there.
            let Ok(times) = self.read(&format!("task/{id}/schedstat")) else { continue };
            let time = times.split_whitespace().next().and_then(|time| time.parse().ok());
            tasks.insert(id, Duration::from_nanos(time.ok_or("the kernel tells no times of a thread")?));
        }
        Ok(tasks)
    }

    /// What its children have taken that have ended.
    pub(super) fn ended_children_cpu(self) -> Result<Duration, AnyError> {
        self.times(13)
    }

    /// What it has taken and all that descend from it and are alive.
    pub(super) fn family_cpu(self) -> Result<Duration, AnyError> {
        let mut sum = self.cpu()?;
        for child in self.read(&format!("task/{}/children", self.0))?.split_whitespace() {
            sum += Self(child.parse()?).family_cpu()?;
        }
        Ok(sum)
    }

    /// Two times that stand beside each other, of the program and of the kernel for it.
    fn times(self, place: usize) -> Result<Duration, AnyError> {
        let stat = self.read("stat")?;
        // The name of the program, in brackets, may hold anything.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = |place: usize| fields.get(place).and_then(|field| field.parse::<u32>().ok());
        let user_and_system = ticks(place).zip(ticks(place + 1)).ok_or("the kernel tells no times of a process")?;
        Ok(TICK * (user_and_system.0 + user_and_system.1))
    }

    /// The memory it takes now, in octets.
    pub(super) fn resident(self) -> Result<u64, AnyError> {
        self.status("VmRSS:")
    }

    /// The most it ever took, in octets.
    pub(super) fn peak(self) -> Result<u64, AnyError> {
        self.status("VmHWM:")
    }

    /// Begins anew to note the most it takes, and tells what it takes now.
    pub(super) fn begin_peak(self) -> Result<u64, AnyError> {
        // 5 is the kernel's word for just that.
        std::fs::write(self.place("clear_refs"), "5")?;
        self.resident()
    }

    fn status(self, name: &str) -> Result<u64, AnyError> {
        let status = self.read("status")?;
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
        Ok(kibibytes.ok_or("the kernel tells no memory of a process")? * 1024)
    }

    fn read(self, file: &str) -> Result<String, AnyError> {
        Ok(std::fs::read_to_string(self.place(file))?)
    }

    fn place(self, file: &str) -> String {
        let who = if self.0 == 0 { "self".to_owned() } else { self.0.to_string() };
        format!("/proc/{who}/{file}")
    }
}

/// `clearinghouse`, which is built beside this program.
pub(super) fn clearinghouse() -> Result<PathBuf, AnyError> {
    let program = std::env::current_exe()?.with_file_name("clearinghouse");
    if program.exists() {
        return Ok(program);
    }
    Err(format!("`{}` is missing: cargo build --release --bins", program.display()).into())
}

/// A node as a process of its own. Killed when it is dropped.
pub(super) struct NodeProcess {
    child: Child,
    /// Where one is told things that nobody else can tell it.
    leash: Option<ChildStdin>,
    /// What it tells: that it is ready, and its log.
    output: Lines<BufReader<ChildStdout>>,
    log: Lines<BufReader<ChildStderr>>,
}

impl NodeProcess {
    /// Starts `clearinghouse run` on a data directory.
    pub(super) fn start(dir: &Path) -> Result<Self, AnyError> {
        let mut command = Command::new(clearinghouse()?);
        command.args(["run", "--json", "-d"]).arg(dir).stdin(Stdio::null());
        Self::spawn(command)
    }

    /// Starts the same node as one of a testnet, which can be told what it reads on.
    pub(super) fn start_leashed(dir: &Path) -> Result<Self, AnyError> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["node", "-d"]).arg(dir).stdin(Stdio::piped());
        Self::spawn(command)
    }

    fn spawn(mut command: Command) -> Result<Self, AnyError> {
        command.env("RUST_LOG", "info").env("NO_COLOR", "1");
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn()?;
        let leash = child.stdin.take();
        let output = child.stdout.take().map(|output| BufReader::new(output).lines());
        let log = child.stderr.take().map(|log| BufReader::new(log).lines());
        let (output, log) = output.zip(log).ok_or("its output was asked for")?;
        Ok(Self { child, leash, output, log })
    }

    /// Tells one that was started leashed what it reads on from now on, and waits until it is so.
    pub(super) async fn read_on(&mut self, what: ReadOn) -> Result<(), AnyError> {
        let leash = self.leash.as_mut().ok_or("only a node that was started leashed is told so")?;
        leash.write_all(format!("{}\n", line_of(what)).as_bytes()).await?;
        timeout(PATIENCE, async {
            while let Some(line) = self.output.next_line().await? {
                if line == line_of(what) {
                    return Ok(());
                }
            }
            Err("a node ended before it read on something else".into())
        })
        .await?
    }

    /// Waits until it serves. Returns its peer id.
    pub(super) async fn ready(&mut self) -> Result<String, AnyError> {
        let line = timeout(PATIENCE, self.output.next_line()).await??.ok_or("a node ended before it was ready")?;
        let ready: serde_json::Value = serde_json::from_str(&line)?;
        Ok(ready["peer_id"].as_str().ok_or("a node that is ready tells its peer id")?.to_owned())
    }

    /// Waits until it logs a line with `text`.
    pub(super) async fn logs(&mut self, text: &str) -> Result<(), AnyError> {
        timeout(PATIENCE, async {
            while let Some(line) = self.log.next_line().await? {
                if line.contains(text) {
                    return Ok(());
                }
            }
            Err(format!("a node ended before it logged \"{text}\"").into())
        })
        .await?
    }

    pub(super) fn process(&self) -> Result<Process, AnyError> {
        Ok(Process(self.child.id().ok_or("a node has ended")?))
    }

    /// Ends it, without ceremony: what it wrote is not needed any more.
    pub(super) async fn end(mut self) -> Result<(), AnyError> {
        Ok(self.child.kill().await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_takes_time_and_memory() {
        let before = Process(0).cpu().unwrap();
        let held = vec![1_u8; 32 << 20];
        loop {
            assert_eq!(held.iter().map(|octet| u64::from(*octet)).sum::<u64>(), 32 << 20);
            if Process(0).cpu().unwrap() > before {
                break;
            }
        }
        assert!(Process(0).resident().unwrap() > 32 << 20);
        assert!(Process(0).peak().unwrap() >= 32 << 20);
        drop(held);
        let now = Process(0).begin_peak().unwrap();
        assert!(Process(0).peak().unwrap() < now + (16 << 20), "what was let go of counts no more");
    }

    #[test]
    fn a_process_that_is_not_there_is_an_error() {
        assert!(Process(u32::MAX).cpu().is_err() && Process(u32::MAX).resident().is_err());
    }
}
