//! What was published, installed and taken up: as JSON, and the same for people.

use crate::publisher::{Installed, Receipt};
use serde::{Deserialize, Serialize};
use std::fmt;
use utoipa::ToSchema;

/// Which node answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HealthView {
    /// `ok`.
    pub status: String,
    /// Its libp2p identity.
    pub peer_id: String,
}

/// `1 server`, `2 servers`.
pub(super) fn count(number: usize, of: &str) -> String {
    format!("{number} {of}{}", if number == 1 { "" } else { "s" })
}

/// What a round of settling came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SettledView {
    /// How many lanes there is a receipt for.
    pub claimed: u64,
    /// How many positions were received, agree with the own books and are kept.
    pub positions: u64,
    /// What went wrong, for people.
    pub problems: Vec<String>,
}

impl fmt::Display for SettledView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (claimed, positions) = (self.claimed, self.positions);
        writeln!(f, "Claimed {claimed} lanes; {positions} new positions agree with the books here.")?;
        self.problems.iter().try_for_each(|problem| writeln!(f, "Not done: {problem}"))
    }
}

/// What was taken into the books.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TakenView {
    /// `terms`, `payment`, `consent`, `revoke`, or `withdrawal` of a consent, which is in the books once its clearing node is told.
    pub kind: String,
    /// Its identity.
    pub identity: String,
    /// The grids that were told.
    pub told: Vec<String>,
    /// Those that could not be.
    pub untold: Vec<UntoldView>,
}

/// A grid that could not be told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UntoldView {
    /// The grid.
    pub grid_id: String,
    /// Why not, for people.
    pub reason: String,
}

impl fmt::Display for TakenView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = if self.kind == "withdrawal" && !self.untold.is_empty() { "To be told" } else { "In the books" };
        writeln!(f, "{place}: {} {}", self.kind, self.identity)?;
        self.told.iter().try_for_each(|grid| writeln!(f, "Told {grid}"))?;
        self.untold.iter().try_for_each(|untold| writeln!(f, "Could not tell {}: {}", untold.grid_id, untold.reason))
    }
}

/// What came of publishing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReceiptView {
    /// The grid whose record it is.
    pub grid_id: String,
    /// Its sequence.
    pub sequence: u64,
    /// Its identity.
    pub identity: String,
    /// To whom it was brought: `whole-network` or `region`.
    pub reach: String,
    /// How many servers the node knows.
    pub servers_known: usize,
    /// How many were asked to hold it.
    pub asked: usize,
    /// From how many others the very bytes were read back.
    pub holders: usize,
    /// In how many networks (/24, /48) these are.
    pub networks: usize,
    /// How long it took.
    pub elapsed_ms: u64,
}

impl From<&Receipt> for ReceiptView {
    fn from(receipt: &Receipt) -> Self {
        Self {
            grid_id: receipt.grid.to_string(),
            sequence: receipt.sequence,
            identity: receipt.identity.to_string(),
            reach: receipt.reach.to_string(),
            servers_known: receipt.servers_known,
            asked: receipt.asked,
            holders: receipt.holders,
            networks: receipt.networks,
            elapsed_ms: u64::try_from(receipt.elapsed.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

impl fmt::Display for ReceiptView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sequence, holders, networks, servers_known, elapsed_ms, .. } = self;
        if *holders == 0 {
            return writeln!(f, "sequence {sequence} is held by nobody yet but this node");
        }
        let (servers, networks) = (count(*servers_known, "server"), count(*networks, "network"));
        writeln!(f, "sequence {sequence} was read back from {holders} of {servers} in {networks}, in {elapsed_ms} ms")
    }
}

/// What was taken in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InstalledView {
    /// `record` or `delegation`.
    pub installed: String,
    /// The record's sequence.
    pub sequence: Option<u64>,
    /// The serial of the record or the delegation.
    pub serial: u64,
    /// Until when it is good.
    pub expires_at_unix_seconds: u64,
}

impl From<&Installed> for InstalledView {
    fn from(installed: &Installed) -> Self {
        match installed {
            Installed::Record(record) => Self {
                installed: "record".to_owned(),
                sequence: Some(record.signed().sequence()),
                serial: record.signed().serial().0,
                expires_at_unix_seconds: record.signed().expires_at().0,
            },
            Installed::Delegation(delegation) => Self {
                installed: "delegation".to_owned(),
                sequence: None,
                serial: delegation.serial().0,
                expires_at_unix_seconds: delegation.not_after().0,
            },
        }
    }
}

impl fmt::Display for InstalledView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let until = crate::units::UnixSeconds(self.expires_at_unix_seconds);
        match self.sequence {
            Some(sequence) => writeln!(f, "installed the record with sequence {sequence}, good until {until}"),
            None => writeln!(f, "installed the {}, good until {until}", self.installed),
        }
    }
}

/// What came of reading the settings again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReloadedView {
    /// The keys whose new values are in force.
    pub changed: Vec<String>,
    /// The keys whose new values take effect at the next start.
    pub at_next_start: Vec<String>,
}
