//! How a node stands, what was published and what was installed: as JSON, and the same for people.

use crate::dht::DhtStatus;
use crate::publisher::{Installed, Published, Receipt};
use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;
use serde::{Deserialize, Serialize};
use std::fmt;
use utoipa::ToSchema;

/// What a node does for others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// It stores their records.
    Server,
    /// It only asks: nobody has confirmed yet that it can be reached.
    Client,
}

/// Which node answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HealthView {
    /// `ok`.
    pub status: String,
    /// Its libp2p identity.
    pub peer_id: String,
}

/// How a node stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StatusView {
    /// The network that it is part of.
    pub network: String,
    /// Its libp2p identity.
    pub peer_id: String,
    /// Where others reach it, best first, each ending in `/p2p/` and the peer id: what they give to `--bootstrap`.
    #[schema(value_type = Vec<String>)]
    pub addrs: Vec<Multiaddr>,
    /// The grid that it speaks for.
    pub grid_id: Option<String>,
    /// The sequence of that grid's record.
    pub sequence: Option<u64>,
    /// When that record ends.
    pub expires_at_unix_seconds: Option<u64>,
    /// What it does for others.
    pub mode: Mode,
    /// Whether others reach it, as far as is known.
    pub reachable: bool,
    /// How many other nodes the record was read back from; `null` before it was published.
    pub published_to: Option<usize>,
    /// In how many networks (/24, /48) these are.
    pub published_networks: Option<usize>,
    /// Whether the record is held as widely as the network allows, or there is no grid to hold one of.
    pub published_widely: bool,
    /// Why there is no record, or why it is not renewed.
    pub problem: Option<String>,
    /// How many servers it knows.
    pub servers_known: usize,
    /// How many peers it is connected to.
    pub connected_peers: usize,
    /// How many records it holds.
    pub records_held: usize,
    /// By how many seconds the median of the others' clocks is ahead of this one's, once three have told theirs.
    pub clock_behind_seconds: Option<i64>,
    /// The version of the program that runs.
    pub version: String,
}

impl StatusView {
    /// The view of a node of `network` that stands so. `published` is absent where the node speaks for no grid.
    pub fn of(network: &str, dht: &DhtStatus, own: Option<(&crate::keys::GridId, &Published)>) -> Self {
        let receipt = own.and_then(|(_, published)| published.receipt.as_ref());
        let record = own.and_then(|(_, published)| published.record.as_ref()).map(|record| record.signed());
        Self {
            network: network.to_owned(),
            peer_id: dht.peer_id.to_string(),
            addrs: dht.external.iter().map(|addr| addr.clone().with(Protocol::P2p(dht.peer_id))).collect(),
            grid_id: own.map(|(grid, _)| grid.to_string()),
            sequence: record.map(|record| record.sequence()),
            expires_at_unix_seconds: record.map(|record| record.expires_at().0),
            mode: if dht.serves { Mode::Server } else { Mode::Client },
            reachable: dht.serves && !dht.external.is_empty(),
            published_to: receipt.map(|receipt| receipt.holders),
            published_networks: receipt.map(|receipt| receipt.networks),
            published_widely: own.is_none() || receipt.is_some_and(Receipt::is_wide),
            problem: own.and_then(|(_, published)| published.problem.clone()),
            servers_known: dht.servers_known,
            connected_peers: dht.connected,
            records_held: dht.records_held,
            clock_behind_seconds: dht.clock_behind_seconds,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }

    /// Whether the node serves and its record, if it has a grid, is held as widely as the network allows.
    pub fn is_ready(&self) -> bool {
        self.mode == Mode::Server && !self.addrs.is_empty() && self.published_widely
    }

    /// What is still missing before [`StatusView::is_ready`].
    pub fn waits_for(&self) -> Option<String> {
        match self {
            view if view.is_ready() => None,
            Self { mode: Mode::Client, .. } => {
                Some("nobody has confirmed yet that this node can be reached".to_owned())
            }
            Self { addrs, .. } if addrs.is_empty() => Some("no address of this node is known yet".to_owned()),
            Self { problem: Some(problem), .. } => Some(problem.clone()),
            Self { published_to, servers_known, .. } => {
                Some(format!("the record is held by {} of {servers_known} servers", published_to.unwrap_or(0)))
            }
        }
    }
}

impl fmt::Display for StatusView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "node       {}", self.peer_id)?;
        writeln!(f, "network    {}", self.network)?;
        let mode = match self.mode {
            Mode::Server => "server: it holds the records of others",
            Mode::Client => "client: nobody has confirmed yet that it can be reached",
        };
        writeln!(f, "mode       {mode}")?;
        writeln!(
            f,
            "knows      {}, connected to {}, {} held",
            count(self.servers_known, "server"),
            count(self.connected_peers, "peer"),
            count(self.records_held, "record")
        )?;
        match (&self.grid_id, self.sequence) {
            (Some(grid), Some(sequence)) => {
                writeln!(f, "grid       {grid}")?;
                let expires = crate::units::UnixSeconds(self.expires_at_unix_seconds.unwrap_or(0));
                writeln!(f, "record     sequence {sequence}, expires {expires}")?;
                match (self.published_to, self.published_networks) {
                    (None, _) => writeln!(f, "held by    nobody yet: it is being published")?,
                    (Some(0), _) => writeln!(f, "held by    nobody yet but this node")?,
                    (Some(holders), networks) => {
                        let networks = count(networks.unwrap_or(0), "network");
                        writeln!(f, "held by    {} in {networks}", count(holders, "other server"))?;
                    }
                }
            }
            (Some(grid), None) => writeln!(f, "grid       {grid}\nrecord     none yet")?,
            (None, _) => writeln!(f, "grid       none: it holds the records of others only")?,
        }
        if let Some(problem) = &self.problem {
            writeln!(f, "problem    {problem}")?;
        }
        if let Some(behind) = self.clock_behind_seconds.filter(|seconds| seconds.unsigned_abs() > 600) {
            let direction = if behind > 0 { "behind" } else { "ahead of" };
            writeln!(f, "clock      {} s {direction} the others'", behind.unsigned_abs())?;
        }
        if let Some(best) = self.addrs.first() {
            writeln!(f, "\nOthers join with:\n  --bootstrap {best}")?;
        }
        Ok(())
    }
}

/// `1 server`, `2 servers`.
pub(super) fn count(number: usize, of: &str) -> String {
    format!("{number} {of}{}", if number == 1 { "" } else { "s" })
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

#[cfg(test)]
mod tests {
    use super::*;

    fn status() -> StatusView {
        let dht = DhtStatus {
            peer_id: libp2p::PeerId::random(),
            external: vec!["/ip4/192.0.2.1/tcp/1".parse().unwrap()],
            listening: Vec::new(),
            serves: true,
            servers_known: 3,
            connected: 3,
            records_held: 5,
            clock_behind_seconds: None,
        };
        StatusView::of("main", &dht, None)
    }

    #[test]
    fn a_node_without_a_grid_is_ready_once_it_serves_and_can_be_named() {
        assert_eq!(status().waits_for(), None);
        let client = StatusView { mode: Mode::Client, ..status() };
        assert!(client.waits_for().unwrap().contains("nobody has confirmed"));
        let nowhere = StatusView { addrs: Vec::new(), ..status() };
        assert!(nowhere.waits_for().unwrap().contains("no address"));
    }

    #[test]
    fn a_node_with_a_grid_waits_until_its_record_is_held_widely() {
        let publishing = StatusView { published_widely: false, published_to: Some(2), ..status() };
        assert_eq!(publishing.waits_for().unwrap(), "the record is held by 2 of 3 servers");
        let failing = StatusView { problem: Some("no key".to_owned()), ..publishing };
        assert_eq!(failing.waits_for().unwrap(), "no key");
    }

    #[test]
    fn addresses_are_those_that_others_paste() {
        let status = status();
        assert_eq!(status.addrs[0].to_string(), format!("/ip4/192.0.2.1/tcp/1/p2p/{}", status.peer_id));
    }
}
