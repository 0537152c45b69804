//! The node's end of the pipe that ties it to its testnet.
//!
//! A node of a testnet holds the reading end of a pipe as its standard input; the testnet holds the other end. When the testnet
//! ends, even by `kill -9`, the kernel closes that end, and the node reads the end of the file. Before that a line on it says how
//! many seconds the node's clock is to be ahead from now on, or whether what it reads elsewhere is read on lanes, which it says
//! again when it is so.

use lafs_clearinghouse::clearing::{ReadOn, read_on};
use lafs_clearinghouse::clock::rehearse;
use std::io::BufRead;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;
use tokio::sync::oneshot;

/// How long a node may take to close its files once it is released. Less than the testnet waits before it kills.
pub(crate) const GRACE: Duration = Duration::from_secs(8);

/// The line that says what a node reads on from now on.
pub(crate) const fn line_of(what: ReadOn) -> &'static str {
    match what {
        ReadOn::Lanes => "lanes",
        ReadOn::Nothing => "no lanes",
    }
}

/// Completes when the testnet lets go. The process ends [`GRACE`] later, whatever it is doing.
///
/// Reads standard input to its end on a thread of its own: tokio's reading would keep the runtime from shutting down.
pub(crate) fn released() -> std::io::Result<oneshot::Receiver<()>> {
    let (sender, receiver) = oneshot::channel();
    std::thread::Builder::new().name("leash".to_owned()).spawn(move || {
        follow_lines();
        let _ = sender.send(());
        let (_keep, never) = mpsc::channel::<()>();
        if never.recv_timeout(GRACE) == Err(RecvTimeoutError::Timeout) {
            eprintln!("the node did not stop within {} s of its testnet's end", GRACE.as_secs());
            std::process::exit(1);
        }
    })?;
    Ok(receiver)
}

/// Does what each line on standard input says, of the clock or of lanes, until that ends.
pub(crate) fn follow_lines() {
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        if let Ok(ahead_seconds) = line.parse() {
            rehearse(ahead_seconds);
        }
        if let Some(what) = [ReadOn::Lanes, ReadOn::Nothing].into_iter().find(|what| line == line_of(*what)) {
            read_on(what);
            println!("{line}");
        }
    }
}
