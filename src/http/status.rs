//! How a node stands: as JSON, and the same for people.

use crate::dht::DhtStatus;
use crate::http::views::count;
use crate::keys::GridId;
use crate::publisher::{Published, Receipt};
use crate::units::UnixSeconds;
use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::PathBuf;
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
    /// Which of the addresses that the settings state other servers do not reach, as they say.
    #[schema(value_type = Vec<String>)]
    pub unreached_addrs: Vec<Multiaddr>,
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
    /// When the record was signed.
    pub issued_at_unix_seconds: Option<u64>,
    /// Whether the record is the grid's last word: it has withdrawn, or names a successor.
    pub final_record: Option<FinalRecord>,
    /// The delegation under which this node signs.
    pub delegation: Option<DelegationView>,
    /// Another node publishes other settings for the same grid, and its record was left to stand.
    pub yields_to: Option<OtherNodeView>,
    /// Whether two different keys were announced to follow the grid's.
    pub contested: bool,
    /// How many clients may use this grid's gateway as their home; `null` where the node speaks for no grid.
    #[serde(default)]
    pub clients: Option<usize>,
    /// The NURL of this node's own gateway: what clients give to `join`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway_nurl: Option<String>,
    /// The same with an address for programs on this machine: what `get`, `ls` and `web` read through in this directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway_local_nurl: Option<String>,
    /// Where this machine's browser reads: `http://127.0.0.1:PORT/`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub web_url: Option<String>,
    /// Why nothing can be written to the disk.
    pub disk_problem: Option<String>,
    /// Where a damaged store was put at the start.
    #[schema(value_type = Option<String>)]
    pub store_set_aside: Option<PathBuf>,
    /// What other grids' books say otherwise than this one's.
    #[serde(default)]
    pub disagreements: Vec<DisagreementView>,
    /// Whether the settings state a public address.
    pub stated_external: bool,
    /// How many nodes the settings name to begin with.
    pub bootstraps: usize,
    /// Names the settings file that is in force.
    pub settings_digest: Option<String>,
    /// The keys whose new values wait for the next start.
    pub settings_at_next_start: Vec<String>,
    /// Why newer settings are not in force.
    pub settings_refused: Option<String>,
    /// The node's clock.
    pub now_unix_seconds: u64,
    /// The version of the program that runs.
    pub version: String,
}

/// How a grid ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FinalRecord {
    /// It has taken itself off the network.
    Withdrawn,
    /// It has moved to another key.
    Moved,
}

/// A delegation, as far as an operator has to mind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DelegationView {
    /// Until when it is good.
    pub not_after_unix_seconds: u64,
    /// Whether less than a third of its life is left.
    pub ends_soon: bool,
    /// Whether a higher serial has revoked it.
    pub revoked: bool,
}

/// Something that another grid's books say otherwise than this one's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DisagreementView {
    /// The lane that it is about, 64 hexadecimal digits, where it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lane: Option<String>,
    /// What it is, for people.
    pub what: String,
}

/// Another node that publishes for the same grid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OtherNodeView {
    /// The nodes that its record names beside this one.
    pub peer_ids: Vec<String>,
    /// Its record's sequence.
    pub sequence: u64,
}

impl StatusView {
    /// The view of a node of `network` that stands so. `published` is absent where the node speaks for no grid.
    ///
    /// What concerns the settings is left for whoever knows them.
    pub fn of(network: &str, dht: &DhtStatus, own: Option<(&GridId, &Published)>, now: UnixSeconds) -> Self {
        let receipt = own.and_then(|(_, published)| published.receipt.as_ref());
        let record = own.and_then(|(_, published)| published.record.as_ref()).map(|record| record.signed());
        Self {
            network: network.to_owned(),
            peer_id: dht.peer_id.to_string(),
            addrs: dht.external.iter().map(|addr| addr.clone().with(Protocol::P2p(dht.peer_id))).collect(),
            unreached_addrs: dht.unreached.clone(),
            grid_id: own.map(|(grid, _)| grid.to_string()),
            sequence: record.map(|record| record.sequence()),
            expires_at_unix_seconds: record.map(|record| record.expires_at().0),
            mode: if dht.serves { Mode::Server } else { Mode::Client },
            reachable: dht.serves && dht.external.iter().any(|addr| !dht.unreached.contains(addr)),
            published_to: receipt.map(|receipt| receipt.holders),
            published_networks: receipt.map(|receipt| receipt.networks),
            published_widely: own.is_none() || receipt.is_some_and(Receipt::is_wide),
            problem: own.and_then(|(_, published)| published.problem.clone()),
            servers_known: dht.servers_known,
            connected_peers: dht.connected,
            records_held: dht.records_held,
            clock_behind_seconds: dht.clock_behind_seconds,
            issued_at_unix_seconds: record.map(|record| record.issued_at().0),
            final_record: own.and_then(|(_, published)| published.record.as_ref()).and_then(|record| {
                let moved = record.successor().map(|_| FinalRecord::Moved);
                if record.signed().withdrawn() { Some(FinalRecord::Withdrawn) } else { moved }
            }),
            delegation: own.and_then(|(_, published)| published.delegation).map(|delegation| DelegationView {
                not_after_unix_seconds: delegation.not_after.0,
                ends_soon: delegation.ends_soon(now),
                revoked: delegation.revoked,
            }),
            yields_to: own.and_then(|(_, published)| published.yields_to.as_ref()).map(|other| OtherNodeView {
                peer_ids: other.peers.iter().map(ToString::to_string).collect(),
                sequence: other.sequence,
            }),
            contested: false,
            clients: None,
            gateway_nurl: None,
            gateway_local_nurl: None,
            web_url: None,
            disk_problem: dht.disk.unwritten.clone(),
            store_set_aside: dht.disk.set_aside.clone(),
            disagreements: Vec::new(),
            stated_external: false,
            bootstraps: 0,
            settings_digest: None,
            settings_at_next_start: Vec::new(),
            settings_refused: None,
            now_unix_seconds: now.0,
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
        for addr in &self.unreached_addrs {
            writeln!(f, "unreached  {addr}, by other servers: `status --check` says what to look at")?;
        }
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
                let expires = UnixSeconds(self.expires_at_unix_seconds.unwrap_or(0));
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
        if let Some(clients) = self.clients.filter(|clients| *clients > 0) {
            writeln!(f, "clients    {clients}")?;
        }
        if let Some(nurl) = &self.gateway_nurl {
            writeln!(f, "gateway    {nurl}")?;
        }
        if let Some(url) = &self.web_url {
            writeln!(f, "web        {url}")?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::DiskStanding;

    fn status() -> StatusView {
        let dht = DhtStatus {
            peer_id: libp2p::PeerId::random(),
            external: vec!["/ip4/192.0.2.1/tcp/1".parse().unwrap()],
            unreached: Vec::new(),
            listening: Vec::new(),
            serves: true,
            servers_known: 3,
            connected: 3,
            records_held: 5,
            clock_behind_seconds: None,
            disk: DiskStanding::default(),
        };
        StatusView::of("main", &dht, None, UnixSeconds(0))
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
