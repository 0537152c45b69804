//! What every scenario is: steps, and a place where they are taken.

use crate::play::report::StepOutcome;
use crate::play::stage::AnyError;
use crate::up::Keep;
use std::path::Path;
use std::time::Duration;

/// What is played.
#[derive(Debug)]
pub(crate) struct Script<D> {
    /// What it shows, in a sentence.
    pub(crate) about: String,
    /// How long all of it may take.
    pub(crate) within: Duration,
    pub(crate) steps: Vec<Step<D>>,
}

/// One step: an act or an expectation.
#[derive(Debug)]
pub(crate) struct Step<D> {
    /// In which line of the file it begins.
    pub(crate) line: usize,
    /// What a person is told; without it, what it does.
    pub(crate) say: Option<String>,
    pub(crate) deed: D,
}

/// Where a scenario is played.
pub(crate) trait Theatre {
    /// What a step does.
    type Deed;

    /// Whether something is expected, and nothing done.
    fn is_expectation(deed: &Self::Deed) -> bool;

    /// Raises what the steps happen to. Returns what there is to tell of it.
    async fn raise(&mut self) -> Result<String, AnyError>;

    /// Does what `deed` says, or sees whether it holds. Returns what there is to tell about it.
    async fn take(&mut self, deed: &Self::Deed) -> Result<(StepOutcome, String), AnyError>;

    /// Takes everything down, and its folder away unless it is to be kept.
    async fn strike(self, keep: Keep);

    /// Where everything of it lies.
    fn dir(&self) -> &Path;
}
