//! What a resolver is asked, and what it answers.

use crate::config::FileError;
use crate::keys::GridId;
use crate::record::{GridRecord, RecordError, TimeFault};
use crate::resolver::succession::MoveRefusal;
use crate::store::FloorFileError;
use crate::units::{Seconds, UnixSeconds};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// The deadline of a question that states none.
pub const DEFAULT_DEADLINE: Duration = Duration::from_secs(10);

/// Which record does this grid have?
#[derive(Debug, Clone, Copy)]
pub struct Question {
    /// The grid.
    pub grid: GridId,
    /// How fresh the answer must be.
    pub policy: Policy,
    /// How long it may take.
    pub deadline: Duration,
}

/// How fresh an answer must be. None ever goes below the floor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Policy {
    /// What is at hand; no network.
    Cached,
    /// The first valid answer; the query runs on and repairs.
    #[default]
    Fast,
    /// The newest among holders in at least three networks, or among all servers where there are fewer.
    Fresh,
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cached => "cached",
            Self::Fast => "fast",
            Self::Fresh => "fresh",
        })
    }
}

/// A text that names no policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no policy: choose `cached`, `fast` or `fresh`")]
pub struct PolicyError(String);

impl FromStr for Policy {
    type Err = PolicyError;

    fn from_str(text: &str) -> Result<Self, PolicyError> {
        [Self::Cached, Self::Fast, Self::Fresh]
            .into_iter()
            .find(|policy| policy.to_string() == text)
            .ok_or_else(|| PolicyError(text.to_owned()))
    }
}

/// A verified record and how it was come by.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The record: signed by its grid, current, not below the floor.
    pub record: GridRecord,
    /// Where it came from.
    pub source: Source,
    /// How long ago the network last confirmed it; 0 unless it came from the cache.
    pub age: Seconds,
    /// How many servers gave this very record; 0 from the cache.
    pub agreeing_holders: u32,
    /// Earlier records of this grid whose commitments still bind.
    pub evidence: Vec<GridRecord>,
    /// The grid that was asked for, where it has moved to this one.
    pub moved_from: Option<GridId>,
    /// With [`Policy::Fresh`]: the grid's own node was asked and did not answer.
    pub own_node_silent: bool,
}

/// Where an answer came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// What this node or client holds.
    Cache,
    /// A server that was known beforehand: one question.
    Direct,
    /// A server that was found on the way.
    Walk,
    /// The home gateway, which asked for us.
    Home,
}

impl Source {
    /// Its name in answers and figures.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cache => "cache",
            Self::Direct => "direct",
            Self::Walk => "walk",
            Self::Home => "home",
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// Servers were asked, and none holds a record of this grid; with the policy `cached`: nothing is at hand.
    #[error("no record of {grid} was found; {}", asked_when(*asked, *age))]
    NotFound {
        /// The grid.
        grid: GridId,
        /// How many servers said so; 0 where only what is at hand was looked at.
        asked: u32,
        /// How long ago they said so: "not found" is remembered for some seconds.
        age: Seconds,
    },
    /// Only records older than one seen before were found: somebody is withholding the newer one.
    #[error("only records of {grid} were found that are older than one seen before (sequence {floor})")]
    RolledBack {
        /// The grid.
        grid: GridId,
        /// The sequence of the newest record seen.
        floor: u64,
    },
    /// The newest record found has expired: its grid has not renewed it.
    #[error("the record of {grid} expired at {expired_at}")]
    Expired {
        /// The grid.
        grid: GridId,
        /// When it expired.
        expired_at: UnixSeconds,
    },
    /// The record found is dated in the future: the clock here is wrong, or that of who signed it.
    #[error("the record of {grid} is dated in the future")]
    Ahead {
        /// The grid.
        grid: GridId,
        /// What its date is, and the time here.
        source: TimeFault,
    },
    /// The grid has withdrawn itself, for good.
    #[error("the grid {grid} has withdrawn its record")]
    Withdrawn {
        /// The grid.
        grid: GridId,
    },
    /// The grid names a successor that cannot be followed.
    #[error("the grid {grid} has moved to {successor}, which cannot be followed")]
    Moved {
        /// The grid that was asked for.
        grid: GridId,
        /// The grid it names.
        successor: GridId,
        /// Why it is not followed.
        source: Box<MoveRefusal>,
    },
    /// The record has words that this version does not know.
    #[error("the record of {grid} needs a newer version of this program")]
    Upgrade {
        /// The grid.
        grid: GridId,
        /// What is not known.
        source: RecordError,
    },
    /// No server was known, or none answered.
    #[error("no server of the network could be reached ({tried} tried)")]
    Unreachable {
        /// How many were tried.
        tried: u32,
    },
    /// The deadline passed first.
    #[error("no answer within {}.{:03} s", deadline.as_secs(), deadline.subsec_millis())]
    TimedOut {
        /// The deadline.
        deadline: Duration,
    },
    /// This node carries out as many queries as it takes on at once.
    #[error("too many questions are being asked here at once: try again")]
    Busy,
    /// What was seen before is not known, so that any answer might be a rolled-back one.
    #[error(transparent)]
    Floor(#[from] FloorFileError),
}

impl ResolveError {
    /// The kind of failure in a word, for figures.
    pub fn name(&self) -> &'static str {
        match self {
            Self::NotFound { .. } => "not_found",
            Self::RolledBack { .. } => "rolled_back",
            Self::Expired { .. } => "expired",
            Self::Ahead { .. } => "ahead",
            Self::Withdrawn { .. } => "withdrawn",
            Self::Moved { .. } => "moved",
            Self::Upgrade { .. } => "upgrade",
            Self::Unreachable { .. } => "unreachable",
            Self::TimedOut { .. } => "timed_out",
            Self::Busy => "busy",
            Self::Floor(_) => "floor",
        }
    }
}

impl From<FileError> for ResolveError {
    fn from(error: FileError) -> Self {
        Self::Floor(error.into())
    }
}

fn asked_when(asked: u32, age: Seconds) -> String {
    match (asked, age) {
        (0, _) => "nothing is at hand".to_owned(),
        (1, Seconds(0)) => "1 server was asked".to_owned(),
        (1, _) => format!("1 server was asked {age} ago"),
        (_, Seconds(0)) => format!("{asked} servers were asked"),
        _ => format!("{asked} servers were asked {age} ago"),
    }
}
