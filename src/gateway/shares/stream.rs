//! Units in order, with a little read ahead: more the longer somebody reads, and less the more others do.

use crate::gateway::shares::budget::{Budget, Held};
use crate::gateway::shares::error::ReadError;
use crate::gateway::unit::Unit;
use crate::lafs::manifest::UnitLayout;
use crate::units::Bytes as Octets;
use futures::Stream;
use futures::future::BoxFuture;
use std::collections::VecDeque;
use std::ops::Range;
use tokio::task::JoinHandle;

/// How much the first run has, so that the first octets come soon.
const FIRST_RUN: u64 = 1 << 20;
/// How much a run has at most, whatever its units: one range of several MiB is read faster than several ranges.
const LONGEST_RUN: u64 = 8 << 20;
/// How many runs are under way beside the one that is being handed on.
const AHEAD: usize = 2;

/// What can be read in runs.
pub(super) trait Runs: Send + Sync + 'static {
    /// How it is cut.
    fn layout(&self) -> UnitLayout;
    /// Where a run that begins with unit `from` must end at the latest.
    fn run_end(&self, from: u64) -> u64;
    /// Reads and verifies a run.
    fn read(&self, units: Range<u64>, held: Held) -> BoxFuture<'static, Result<Vec<Unit>, ReadError>>;
}

struct Reader<F> {
    file: F,
    budget: Budget,
    left: Range<u64>,
    run: u64,
    reading: VecDeque<Run>,
    ready: VecDeque<Unit>,
    failed: bool,
}

/// A run under way; ended when dropped.
struct Run(JoinHandle<Result<Vec<Unit>, ReadError>>);

impl Drop for Run {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The units of `units` in order. After an error nothing more comes.
pub(super) fn units(file: impl Runs, budget: Budget, units: Range<u64>) -> impl Stream<Item = Result<Unit, ReadError>> {
    let reader = Reader {
        file,
        budget,
        left: units,
        run: FIRST_RUN,
        reading: VecDeque::new(),
        ready: VecDeque::new(),
        failed: false,
    };
    futures::stream::unfold(reader, |mut reader| async move {
        let unit = reader.next().await?;
        Some((unit, reader))
    })
}

impl<F: Runs> Reader<F> {
    async fn next(&mut self) -> Option<Result<Unit, ReadError>> {
        if self.failed {
            return None;
        }
        loop {
            self.read_ahead();
            if let Some(unit) = self.ready.pop_front() {
                return Some(Ok(unit));
            }
            if self.reading.is_empty() {
                if self.left.is_empty() {
                    return None;
                }
                // Nothing is under way, so what is waited for is held by others, who go on.
                let units = self.next_run(FIRST_RUN);
                let held = self.budget.take(self.size(&units)).await;
                self.begin(units, held);
            }
            let mut run = self.reading.pop_front()?;
            match (&mut run.0).await {
                Ok(Ok(units)) => self.ready.extend(units),
                Ok(Err(error)) => {
                    self.failed = true;
                    return Some(Err(error));
                }
                Err(_) => {
                    self.failed = true;
                    return Some(Err(ReadError::Stopped));
                }
            }
        }
    }

    fn read_ahead(&mut self) {
        while self.reading.len() < AHEAD && !self.left.is_empty() {
            let units = self.next_run(self.run);
            let Some(held) = self.budget.try_take(self.size(&units)) else { return };
            self.begin(units, held);
            self.run = (self.run * 2).min(LONGEST_RUN);
        }
    }

    /// The units of a run of about so many octets, at least one.
    fn next_run(&self, octets: u64) -> Range<u64> {
        let unit = self.file.layout().unit.0.max(1);
        let end = self.left.start + (octets / unit).max(1);
        self.left.start..end.min(self.left.end).min(self.file.run_end(self.left.start))
    }

    fn size(&self, units: &Range<u64>) -> Octets {
        let layout = self.file.layout();
        Octets(units.clone().map(|unit| layout.unit_len(unit).0).sum())
    }

    fn begin(&mut self, units: Range<u64>, held: Held) {
        self.left.start = units.end;
        self.reading.push_back(Run(tokio::spawn(self.file.read(units, held))));
    }
}
