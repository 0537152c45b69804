//! What every scenario is: steps, and a place where they are taken.

use crate::play::report::StepOutcome;
use crate::play::stage::AnyError;
use crate::up::Keep;
use serde::de::DeserializeOwned;
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

/// Why a file is no scenario.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub(crate) struct ScenarioError {
    /// Where, counted from 1.
    pub(crate) line: usize,
    /// What is wrong.
    pub(crate) message: String,
}

impl ScenarioError {
    /// That `message` is wrong with what stands at `line`.
    pub(crate) fn at(line: usize, message: impl Into<String>) -> Self {
        Self { line, message: message.into() }
    }
}

/// In which line of `text` the octet at `offset` stands, counted from 1.
pub(crate) fn line_of(text: &str, offset: usize) -> usize {
    text.get(..offset).unwrap_or(text).matches('\n').count() + 1
}

/// What is written in a scenario file.
pub(crate) fn read<T: DeserializeOwned>(text: &str) -> Result<T, ScenarioError> {
    toml::from_str(text)
        .map_err(|error| ScenarioError::at(line_of(text, error.span().map_or(0, |span| span.start)), error.message()))
}

/// The one thing that stands in the step at `line`.
pub(crate) fn only<D>(mut deeds: Vec<D>, line: usize) -> Result<D, ScenarioError> {
    let deed = deeds.pop().ok_or_else(|| ScenarioError::at(line, "a step that does and expects nothing"))?;
    if !deeds.is_empty() {
        let message = "more than one thing in a step: each stands in a `[[step]]` of its own";
        return Err(ScenarioError::at(line, message));
    }
    Ok(deed)
}

impl<D> Script<D> {
    /// The same, if something is expected in it.
    pub(crate) fn expecting(self, is_expectation: impl Fn(&D) -> bool) -> Result<Self, ScenarioError> {
        match self.steps.iter().any(|step| is_expectation(&step.deed)) {
            true => Ok(self),
            false => Err(ScenarioError::at(1, "nothing is expected, so nothing could be broken")),
        }
    }
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
