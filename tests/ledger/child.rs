//! A process of its own that writes vouchers and says which were acknowledged, to be killed.

use crate::objects::{MIB, NOW, lane, voucher};
use lafs_clearinghouse::ledger::{Ledger, Location, Part};
use std::io::{BufRead, BufReader, Lines, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

const LEDGER: &str = "LEDGER_OF_CHILD";
/// How many lanes it writes at once.
pub(crate) const LANES: u32 = 48;

/// The process, this same program started for one test.
pub(crate) struct Writer {
    pub(crate) process: Child,
    pub(crate) said: Lines<BufReader<ChildStdout>>,
    pub(crate) stdin: ChildStdin,
}

impl Writer {
    pub(crate) fn start(location: &Location) -> Self {
        Self::of(location, "child::writes_until_it_is_killed")
    }

    /// The same for another test that is a child.
    pub(crate) fn of(location: &Location, test: &str) -> Self {
        let text = match location {
            Location::Sqlite(path) => path.display().to_string(),
            Location::Postgres(url) => url.clone(),
        };
        let program = std::env::current_exe().unwrap();
        // A file that may grow no further is told by a signal, which ends whoever does not ignore it.
        let mut command = Command::new("sh");
        command.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""]).arg(program);
        command.args([test, "--exact", "--ignored", "--nocapture"]).env(LEDGER, text);
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let said = BufReader::new(process.stdout.take().unwrap()).lines();
        let stdin = process.stdin.take().unwrap();
        Self { process, said, stdin }
    }

    /// The next line that begins with this word; `None` when the process has ended.
    pub(crate) fn next(&mut self, word: &str) -> Option<String> {
        self.said.by_ref().map_while(Result::ok).find_map(|line| line.strip_prefix(word).map(str::to_owned))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The ledger that a child is to work on.
pub(crate) fn location() -> Location {
    std::env::var(LEDGER).expect("started by another test").parse().unwrap()
}

/// Run by [`Writer::start`] alone. For each lane a task that raises it by a mebibyte, waits for the acknowledgement, and says
/// so. What is refused because the disk is full is tried again for each line that comes in.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the child of other tests"]
async fn writes_until_it_is_killed() {
    let ledger = Ledger::open(location(), NOW).await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    let (again, _) = tokio::sync::watch::channel(0_u64);
    for nth in 0..LANES {
        let (ledger, mut again) = (ledger.clone(), again.subscribe());
        tasks.spawn(async move {
            let opened = lane(1, 2, nth);
            ledger.open_lane(Part::Payee, opened.clone(), NOW).await.unwrap();
            let stood = ledger.lane(Part::Payee, opened.identity()).await.unwrap().unwrap();
            let from = stood.voucher.map_or(0, |voucher| voucher.body().cum_bytes.0 / MIB);
            for mib in from + 1.. {
                let voucher = voucher(&opened, mib * MIB);
                while let Err(error) = ledger.voucher(Part::Payee, voucher.clone(), vec![], NOW).await {
                    assert!(error.is_full(), "{error:?}");
                    // What is there can still be read.
                    let balances = ledger.balances().await.unwrap();
                    say(&format!("full {}", balances.len()));
                    again.changed().await.unwrap();
                }
                say(&format!("acked {nth} {mib}"));
            }
        });
    }
    say("ready");
    let lines = tokio::task::spawn_blocking(move || {
        for _ in std::io::stdin().lines().map_while(Result::ok) {
            again.send_modify(|times| *times += 1);
        }
    });
    tokio::select! {
        lines = lines => lines.unwrap(),
        // It has said why. Who waits for a line is not to wait for ever.
        _ = tasks.join_next() => std::process::exit(101),
    }
    tasks.join_all().await;
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    // Whoever started this may be gone.
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}
