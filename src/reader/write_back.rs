//! Bringing a file to the disk while it is still being written, so that who waits for its end does not wait for all of it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;

/// How much is written from one turn to the next. A file that is smaller needs no thread.
const TURN_BYTES: u64 = 16 << 20;

/// What follows the writer of one file to the disk. Nothing is known to be there because of it: the writer's own sync says so, and
/// finds less to do.
#[derive(Debug)]
pub(super) struct WriteBack {
    path: PathBuf,
    /// What was written since the last turn.
    written: u64,
    turns: Option<SyncSender<()>>,
}

impl WriteBack {
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), written: 0, turns: None }
    }

    /// Notes that so many octets more were written. Waits for nothing: a turn that is not over yet takes them along.
    pub(super) fn wrote(&mut self, octets: u64) {
        self.written = self.written.saturating_add(octets);
        if self.written < TURN_BYTES {
            return;
        }
        self.written = 0;
        if self.turns.is_none() {
            self.turns = follow(&self.path);
        }
        if let Some(turns) = &self.turns {
            let _ = turns.try_send(());
        }
    }
}

/// A thread that brings what there is of the file to the disk at each turn, until there are no more.
fn follow(path: &Path) -> Option<SyncSender<()>> {
    // Opened anew: an error of the disk is told once to each opening, and the writer's must be told.
    let file = File::open(path).ok()?;
    let (turns, wanted) = sync_channel(1);
    let syncing = move || {
        while wanted.recv().is_ok() {
            let _ = file.sync_data();
        }
    };
    thread::Builder::new().name("write-back".to_owned()).spawn(syncing).ok()?;
    Some(turns)
}
