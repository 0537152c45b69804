//! What a play tells: a line for each step, and the verdict at last.

use serde::Serialize;
use std::fmt;
use std::time::Duration;

/// How a play ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Report {
    /// The file.
    pub(crate) scenario: String,
    pub(crate) nodes: usize,
    pub(crate) liars: usize,
    pub(crate) whole_network_limit: usize,
    pub(crate) verdict: Verdict,
    /// How many expectations there were.
    pub(crate) expectations: usize,
    /// How many of them held.
    pub(crate) held: usize,
    /// Why it is broken, or failed.
    pub(crate) reasons: Vec<String>,
    pub(crate) steps: Vec<StepReport>,
    pub(crate) took_ms: u64,
}

/// Whether what was expected held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    /// All of it.
    Held,
    /// Not all of it.
    Broken,
    /// It could not be played to its end.
    Failed,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct StepReport {
    /// In which line of the file it begins.
    pub(crate) line: usize,
    pub(crate) outcome: StepOutcome,
    /// What was done, or seen.
    pub(crate) told: String,
    pub(crate) took_ms: u64,
}

/// What became of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum StepOutcome {
    /// An act.
    Done,
    /// An expectation that held.
    Held,
    /// One that did not.
    Broken,
}

impl fmt::Display for StepReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.outcome {
            StepOutcome::Done => "",
            StepOutcome::Held => "held",
            StepOutcome::Broken => "BROKEN",
        };
        write!(f, "{:>7.1} s  {word:6}  {}", Duration::from_millis(self.took_ms).as_secs_f64(), self.told)
    }
}

impl fmt::Display for Report {
    /// The verdict, on one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { held, expectations, .. } = self;
        let noun = if *expectations == 1 { "expectation" } else { "expectations" };
        let reasons = self.reasons.join("; ");
        match self.verdict {
            Verdict::Held => write!(f, "held: {held} {noun}"),
            Verdict::Broken => write!(f, "BROKEN: {} of {expectations} {noun}: {reasons}", expectations - held),
            Verdict::Failed => write!(f, "FAILED: {reasons}; {held} of {expectations} {noun} had held"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verdict_is_one_line() {
        let report = |verdict, held, reasons: &[&str]| Report {
            scenario: "s.toml".to_owned(),
            nodes: 4,
            liars: 0,
            whole_network_limit: 200,
            verdict,
            expectations: 3,
            held,
            reasons: reasons.iter().map(|&reason| reason.to_owned()).collect(),
            steps: Vec::new(),
            took_ms: 1,
        };
        assert_eq!(report(Verdict::Held, 3, &[]).to_string(), "held: 3 expectations");
        assert_eq!(report(Verdict::Broken, 2, &["why", "how"]).to_string(), "BROKEN: 1 of 3 expectations: why; how");
        let failed = report(Verdict::Failed, 1, &["line 4: why"]).to_string();
        assert_eq!(failed, "FAILED: line 4: why; 1 of 3 expectations had held");
    }
}
