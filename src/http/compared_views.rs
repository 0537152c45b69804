//! What came of comparing lanes, and of closing what differed: as JSON, and the same for people.

use serde::{Deserialize, Serialize};
use std::fmt;
use utoipa::ToSchema;

/// What came of comparing lanes with another grid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ComparedLanesView {
    /// How many were compared.
    pub compared: u64,
    /// Those that differ; of one lane that was named, that one.
    pub lanes: Vec<ComparedView>,
    /// Those of which the other side shows nothing.
    pub not_shown: Vec<NotShownView>,
    /// Where to go on, if there may be more.
    pub next: Option<String>,
}

/// A lane of which the other side shows nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NotShownView {
    /// The lane.
    pub lane: String,
    /// Why not, for people.
    pub reason: String,
}

/// A dispute that is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ClosedView {
    /// The lane.
    pub lane: String,
}

impl fmt::Display for ClosedView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Nothing of lane {} is in dispute any more.", self.lane)
    }
}

impl fmt::Display for ComparedLanesView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let differing = self.lanes.iter().filter(|lane| lane.differ_at_bytes.is_some()).count();
        match (self.compared, differing) {
            (1, 0) => writeln!(f, "Compared one lane, which does not differ.")?,
            (1, _) => writeln!(f, "Compared one lane, which differs.")?,
            (lanes, 1) => writeln!(f, "Compared {lanes} lanes, of which one differs.")?,
            (lanes, differ) => writeln!(f, "Compared {lanes} lanes, of which {differ} differ.")?,
        }
        self.lanes.iter().try_for_each(|lane| write!(f, "\n{lane}"))?;
        self.not_shown.iter().try_for_each(|it| writeln!(f, "\nLane {} was not compared: {}", it.lane, it.reason))
    }
}

/// How two sides' vouchers of a lane compare. Amounts are strings of digits in minor units of the lane's asset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ComparedView {
    /// The lane.
    pub lane: String,
    /// The grid on the other side.
    pub other: String,
    /// What our best voucher is for.
    pub our_bytes: u64,
    /// Its charge.
    pub our_amount: String,
    /// What theirs is for.
    pub their_bytes: u64,
    /// Its charge.
    pub their_amount: String,
    /// The last point that both have and at which they agree; 0 if there is none.
    pub agree_to_bytes: u64,
    /// The first point that both have and at which they differ.
    pub differ_at_bytes: Option<u64>,
}

impl fmt::Display for ComparedView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Lane {}", self.lane)?;
        writeln!(
            f,
            "We hold an acknowledgement of {} bytes, {} one of {}.",
            self.our_bytes, self.other, self.their_bytes
        )?;
        match self.differ_at_bytes {
            Some(at) => writeln!(
                f,
                "Both agree on the deliveries up to {} bytes and differ at {at}: what lies beyond is in dispute.",
                self.agree_to_bytes
            ),
            None => writeln!(f, "Wherever both have a point they agree, up to {} bytes.", self.agree_to_bytes),
        }
    }
}
