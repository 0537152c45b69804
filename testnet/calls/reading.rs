//! Clients read, several at once; and what that must come to at least and at most.

use crate::calls::crash::crash;
use crate::calls::readers::{Call, Fetched};
use crate::calls::scenario::{Part, Reads};
use crate::calls::stage::CallStage;
use crate::play::AnyError;
use crate::storage::{large, letter};
use futures::{StreamExt, TryStreamExt};

/// Where our files stand among those of a grid.
const LETTER: usize = 0;
const LARGE: usize = 1;
/// How many reads are under way at once.
const AT_ONCE: usize = 4;
/// The most octets of a manifest of one of our files: a URI extension block, and hashes of two dozen segments.
const MANIFEST_BYTES: u64 = 8_192;

/// What clients have read, counted beside all books.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Reading {
    /// Files that came whole.
    pub(super) whole: u64,
    /// Processes that ended before their file was whole.
    pub(super) broken_off: u64,
    /// Octets of files that a client has verified and acknowledged, since its process ended well.
    pub(super) at_least: u64,
    /// And all that it may have verified: manifests too, and what came before a process was killed.
    pub(super) at_most: u64,
    /// What homes that were killed have verified and never paid for, at most.
    pub(super) lost_at_most: u64,
    /// Names of files to read into.
    numbers: usize,
}

impl Reading {
    /// Counts a read that came to its end.
    pub(super) fn count(&mut self, call: &Call, fetched: Fetched) {
        let size = call.content.len() as u64;
        self.whole += 1;
        self.broken_off += fetched.broken_off;
        self.at_least += fetched.fetched;
        self.at_most += (size + MANIFEST_BYTES) * (1 + fetched.broken_off);
    }

    /// Counts a read that was refused somewhere on its way.
    pub(super) fn count_refused(&mut self, call: &Call) {
        self.broken_off += 1;
        self.at_most += call.content.len() as u64 + MANIFEST_BYTES;
    }

    /// Numbers for so many files; the first of them.
    pub(super) fn numbers(&mut self, files: usize) -> usize {
        let first = self.numbers;
        self.numbers += files;
        first
    }
}

/// Which file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    Letter,
    Large,
}

impl CallStage {
    /// Clients read files by chance; meanwhile those crash who are to.
    pub(super) async fn read(&mut self, reads: &Reads) -> Result<String, AnyError> {
        let calls: Vec<Call> = (0..reads.reads).map(|_| self.call_by_chance(reads)).collect::<Result<_, _>>()?;
        let mut victims = Vec::new();
        for part in &reads.crash {
            victims.push((*part, Call { content: large(), ..self.call_by_chance(reads)? }));
        }
        for (_, victim) in &mut victims {
            victim.cap = self.grids.cap(victim.at, LARGE);
        }
        if !victims.is_empty() {
            // So that what is lost is of what is read from here on.
            self.grids.vouch().await;
        }
        let ahead = self.grids.ahead;
        let Self { grids, readers, reading, .. } = self;
        let before = reading.at_most;
        let first = reading.numbers(calls.len() + victims.len());
        let by_chance = futures::stream::iter(calls.iter().enumerate())
            .map(|(number, call)| readers.read(ahead, call, first + number))
            .buffered(AT_ONCE)
            .try_collect::<Vec<_>>();
        let crashes = async {
            let mut fetched = Vec::new();
            for (number, (part, victim)) in victims.iter().enumerate() {
                fetched.push(crash(grids, readers, *part, victim, first + calls.len() + number).await?);
            }
            Ok::<_, AnyError>(fetched)
        };
        let (fetched, after_crashes) = futures::try_join!(by_chance, crashes)?;
        for (call, fetched) in calls.iter().zip(fetched) {
            reading.count(call, fetched);
        }
        for ((part, call), fetched) in victims.iter().zip(after_crashes) {
            reading.count(call, fetched);
            // A client has what a killed home has verified and not acknowledged yet, and the other grid is never paid for it.
            if *part == Part::Home {
                reading.lost_at_most += reading.at_most - before;
            }
        }
        let octets: usize = calls.iter().map(|call| call.content.len()).sum();
        let killed = reads.crash.iter().map(|part| format!(", {part} killed")).collect::<String>();
        Ok(format!("{} reads, {octets} octets of files{killed}", calls.len()))
    }

    /// Every client reads a letter, and of every two grids that may the clients of one read from the other: whoever was interrupted
    /// shows what it has verified.
    pub(super) async fn everybody_calls(&mut self) -> Result<(), AnyError> {
        let grids = self.cast.grids;
        let mut calls = Vec::new();
        for reader in 0..self.readers.all.len() {
            let home = self.readers.all[reader].home;
            let may = (0..grids).filter(|at| *at != home && !self.cast.apart.contains(&(home, *at)));
            let may: Vec<usize> = may.collect();
            // The first client of each grid calls everybody, the others one each.
            let turn = reader / grids;
            let whom = if turn == 0 { &may[..] } else { &may[turn % may.len().max(1)..][..may.len().min(1)] };
            calls.extend(whom.iter().map(|at| self.call(reader, *at, Which::Letter)));
        }
        let first = self.reading.numbers(calls.len());
        let (ahead, readers) = (self.grids.ahead, &self.readers);
        let fetched: Vec<_> = futures::stream::iter(calls.iter().enumerate())
            .map(|(number, call)| readers.read(ahead, call, first + number))
            .buffered(AT_ONCE)
            .try_collect()
            .await?;
        for (call, fetched) in calls.iter().zip(fetched) {
            self.reading.count(call, fetched);
        }
        Ok(())
    }

    /// A file that some client reads from some other grid.
    fn call_by_chance(&mut self, reads: &Reads) -> Result<Call, AnyError> {
        // Who is sent somewhere is to owe something there.
        let which = if self.draw.below(2) == 0 && reads.at.is_none() { Which::Letter } else { Which::Large };
        for _ in 0..1_000 {
            let reader = self.draw.below(self.readers.all.len());
            let home = self.readers.all[reader].home;
            let at = reads.at.unwrap_or_else(|| self.draw.below(self.cast.grids));
            let is_meant = reads.home.is_none_or(|meant| meant == home) && at != home;
            if is_meant && (reads.at.is_some() || !self.cast.apart.contains(&(home, at))) {
                return Ok(self.call(reader, at, which));
            }
        }
        Err("no client may read from any of these grids".into())
    }

    /// One file of a grid, for one client.
    pub(super) fn call(&self, reader: usize, at: usize, which: Which) -> Call {
        let (place, content) = match which {
            Which::Letter => (LETTER, letter(self.grids.id(at))),
            Which::Large => (LARGE, large()),
        };
        Call { reader, at, cap: self.grids.cap(at, place), content }
    }
}
