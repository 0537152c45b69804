//! A record before it is signed, as a file that can be carried to where the grid key is.
//!
//! Beside what the record is to say, the file holds the record that it replaces and the evidence of what was promised, so
//! that who signs far from the node breaks no promise unknowingly.

use crate::config::gateway::GatewayEntry;
use crate::config::node_config::{ConfigError, NodeConfig, from_toml};
use crate::config::text;
use crate::keys::GridId;
use crate::rate::RateLine;
use crate::record::{
    ContactUri, GridRecord, KeyDigest, KeyDigestError, Nickname, NodeEntry, NodeError, RecordDraft, RecordError,
};
use crate::units::Seconds;
use data_encoding::BASE64URL_NOPAD;
use libp2p_identity::PeerId;
use multiaddr::{Multiaddr, Protocol};
use serde::Deserialize;
use std::fmt::{Display, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use toml::Value;

const HEADER: &str = "\
# A record to be signed. Edit what it is to say, then, where the grid key is:
#   clearinghouse record sign FILE --grid-manager GM
";

/// A draft with what its signer must know of the records before it.
#[derive(Debug, Clone, PartialEq)]
pub struct DraftFile {
    /// What the record is to say.
    pub draft: RecordDraft,
    /// The record that it replaces.
    pub previous: Option<GridRecord>,
    /// Earlier records whose commitments still bind.
    pub evidence: Vec<GridRecord>,
}

/// Why a draft is not used.
#[derive(Debug, thiserror::Error)]
pub enum DraftError {
    /// Not TOML, an unknown key, or a value that is not what the key takes.
    #[error(transparent)]
    Toml(#[from] ConfigError),
    /// An address of a node without a peer id, or too many of one node.
    #[error("`{}`: `node`", path.display())]
    Node {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: NodeTextError,
    },
    /// An earlier record in it is none of this grid.
    #[error("`{}`: `{key}` is no record of this grid", path.display())]
    Earlier {
        /// The file.
        path: PathBuf,
        /// `previous` or `evidence`.
        key: &'static str,
        /// What is wrong with it.
        source: RecordError,
    },
}

/// Why addresses make no nodes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NodeTextError {
    /// Nobody could tell who answers there.
    #[error("`{0}` does not end in `/p2p/` and the node's peer id")]
    NoPeer(Multiaddr),
    /// Not a node for a record.
    #[error(transparent)]
    Node(#[from] NodeError),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct DraftToml {
    #[serde(deserialize_with = "text::one")]
    grid_id: GridId,
    #[serde(default)]
    withdrawn: bool,
    #[serde(default, deserialize_with = "text::optional")]
    lifetime: Option<Seconds>,
    #[serde(default, deserialize_with = "text::optional")]
    nickname: Option<Nickname>,
    #[serde(default, deserialize_with = "text::many")]
    contact: Vec<ContactUri>,
    #[serde(default, deserialize_with = "text::many")]
    gateway: Vec<GatewayEntry>,
    #[serde(default, deserialize_with = "text::many")]
    rate: Vec<RateLine>,
    #[serde(default, deserialize_with = "text::many")]
    node: Vec<Multiaddr>,
    #[serde(default, deserialize_with = "text::many")]
    clearing: Vec<GridId>,
    #[serde(default, deserialize_with = "text::optional")]
    next: Option<NextKey>,
    #[serde(default, deserialize_with = "text::optional")]
    successor: Option<GridId>,
    #[serde(default, deserialize_with = "text::optional")]
    predecessor: Option<GridId>,
    #[serde(default, deserialize_with = "text::optional")]
    previous: Option<RecordText>,
    #[serde(default, deserialize_with = "text::many")]
    evidence: Vec<RecordText>,
}

/// A grid key to come: the key itself, or its digest as it stands in a record.
struct NextKey(KeyDigest);

impl FromStr for NextKey {
    type Err = KeyDigestError;

    fn from_str(text: &str) -> Result<Self, KeyDigestError> {
        match text.parse::<GridId>() {
            Ok(grid) => Ok(Self(KeyDigest(grid.digest()))),
            Err(_) => text.parse().map(Self),
        }
    }
}

/// The bytes of a record.
struct RecordText(Vec<u8>);

/// A text that holds no bytes.
#[derive(Debug, thiserror::Error)]
#[error("not base64url without padding: cut off or mistyped")]
struct RecordTextError;

impl FromStr for RecordText {
    type Err = RecordTextError;

    fn from_str(text: &str) -> Result<Self, RecordTextError> {
        BASE64URL_NOPAD.decode(text.as_bytes()).map(Self).map_err(|_| RecordTextError)
    }
}

impl NodeConfig {
    /// What the settings make a record of `grid` say, with these nodes.
    pub fn draft(&self, grid: GridId, nodes: Vec<NodeEntry>) -> RecordDraft {
        RecordDraft {
            lifetime: Some(self.lifetime),
            nickname: self.nickname.clone(),
            contact: self.contact.clone(),
            gateways: self.gateway.iter().map(|entry| entry.gateway().clone()).collect(),
            rates: self.rate.clone(),
            nodes,
            clearing: self.clearing.clone(),
            next: self.next.map(|grid| KeyDigest(grid.digest())),
            successor: self.successor,
            predecessor: self.predecessor,
            ..RecordDraft::new(grid)
        }
    }
}

impl DraftFile {
    /// Parses `text`; `origin` stands in errors. The records in it are verified.
    pub fn from_toml(text: &str, origin: &Path) -> Result<Self, DraftError> {
        let toml: DraftToml = from_toml(text, origin)?;
        let grid = toml.grid_id;
        let nodes = nodes(&toml.node).map_err(|source| DraftError::Node { path: origin.to_owned(), source })?;
        let earlier = |key, RecordText(bytes): RecordText| {
            GridRecord::from_bytes(&bytes, &grid).map_err(|source| DraftError::Earlier {
                path: origin.to_owned(),
                key,
                source,
            })
        };
        Ok(Self {
            draft: RecordDraft {
                grid,
                lifetime: toml.lifetime,
                withdrawn: toml.withdrawn,
                nickname: toml.nickname,
                contact: toml.contact,
                gateways: toml.gateway.into_iter().map(|entry| entry.gateway().clone()).collect(),
                rates: toml.rate,
                nodes,
                clearing: toml.clearing,
                next: toml.next.map(|NextKey(digest)| digest),
                successor: toml.successor,
                predecessor: toml.predecessor,
            },
            previous: toml.previous.map(|text| earlier("previous", text)).transpose()?,
            evidence: toml.evidence.into_iter().map(|text| earlier("evidence", text)).collect::<Result<_, _>>()?,
        })
    }

    /// The text that parses to this draft.
    pub fn to_toml(&self) -> String {
        let draft = &self.draft;
        let node_addrs = draft
            .nodes
            .iter()
            .flat_map(|node| node.addrs().iter().map(|addr| addr.clone().with(Protocol::P2p(*node.peer_id()))));
        let base64 = |record: &GridRecord| BASE64URL_NOPAD.encode(record.signed().bytes());
        let mut out = Out(HEADER.to_owned());
        out.one("grid-id", "Whose record it is.", Some(draft.grid));
        if draft.withdrawn {
            out.value("withdrawn", "The grid takes itself off the network, for good.", &Value::Boolean(true));
        }
        out.one("lifetime", "From signing to expiry.", draft.lifetime);
        out.one("nickname", "What people call the grid.", draft.nickname.as_ref());
        out.many("contact", "Where its operators are reached.", &draft.contact);
        let gateways: Vec<_> = draft.gateways.iter().cloned().map(GatewayEntry::from).collect();
        out.many("gateway", "Its gateways: `URL[,key=…][,roles=…][,limit=…]`.", &gateways);
        out.many("rate", "What a download costs, and until when that binds.", &draft.rates);
        out.many("node", "Its own nodes, where the freshest record is.", &node_addrs.collect::<Vec<_>>());
        out.many("clearing", "The grids that it settles through.", &draft.clearing);
        out.one("next", "The grid key that would follow: the key, or the SHA-256 of its 32 bytes.", draft.next);
        out.one("successor", "The grid that this one has become.", draft.successor);
        out.one("predecessor", "The grid that this one was before.", draft.predecessor);
        out.one(
            "previous",
            "The record that this one replaces. Leave it as it is.",
            self.previous.as_ref().map(base64),
        );
        let evidence: Vec<_> = self.evidence.iter().map(base64).collect();
        out.many("evidence", "Earlier records whose promises still bind. Leave them as they are.", &evidence);
        out.0
    }
}

/// Groups addresses by the peer that each ends in, in the order they stand.
fn nodes(addrs: &[Multiaddr]) -> Result<Vec<NodeEntry>, NodeTextError> {
    let mut peers: Vec<(PeerId, Vec<Multiaddr>)> = Vec::new();
    for addr in addrs {
        let mut place = addr.clone();
        let Some(Protocol::P2p(peer)) = place.pop() else { return Err(NodeTextError::NoPeer(addr.clone())) };
        match peers.iter_mut().find(|(known, _)| *known == peer) {
            Some((_, places)) => places.push(place),
            None => peers.push((peer, vec![place])),
        }
    }
    peers.into_iter().map(|(peer, places)| Ok(NodeEntry::new(peer, places)?)).collect()
}

struct Out(String);

impl Out {
    fn value(&mut self, key: &str, reason: &str, value: &Value) {
        let _ = write!(self.0, "\n# {reason}\n{key} = {value}\n");
    }

    fn one(&mut self, key: &str, reason: &str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.value(key, reason, &Value::String(value.to_string()));
        }
    }

    fn many(&mut self, key: &str, reason: &str, values: &[impl Display]) {
        if !values.is_empty() {
            let values = values.iter().map(|value| Value::String(value.to_string())).collect();
            self.value(key, reason, &Value::Array(values));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::SecretKey;
    use crate::record::Signer;
    use crate::units::UnixSeconds;

    const NOW: UnixSeconds = UnixSeconds(1_800_000_000);

    fn key() -> SecretKey {
        SecretKey::from_seed(&[1; 32])
    }

    fn full() -> DraftFile {
        let other = |n| GridId::new(SecretKey::from_seed(&[n; 32]).public());
        let peer = PeerId::random();
        let addrs = ["/ip4/192.0.2.1/udp/1/quic-v1", "/dns4/node.example.org/tcp/1"];
        let draft = RecordDraft {
            lifetime: Some(Seconds::days(3)),
            nickname: Some("Grille".parse().unwrap()),
            contact: vec!["https://example.org/".parse().unwrap()],
            gateways: vec![format!("key={},limit=10 USD", other(2)).parse::<GatewayEntry>().unwrap().gateway().clone()],
            rates: vec!["0.02 USD/GiB until 2027-06-01".parse().unwrap()],
            nodes: vec![NodeEntry::new(peer, addrs.map(|addr| addr.parse().unwrap()).to_vec()).unwrap()],
            clearing: vec![other(3)],
            next: Some(KeyDigest(other(4).digest())),
            ..RecordDraft::new(GridId::new(key().public()))
        };
        let sign = |now| draft.sign(Signer::Grid { key: &key(), serial: NOW }, None, &[], now).unwrap();
        DraftFile { previous: Some(sign(UnixSeconds(NOW.0 + 1))), evidence: vec![sign(NOW)], draft }
    }

    fn parse(text: &str) -> Result<DraftFile, DraftError> {
        DraftFile::from_toml(text, Path::new("draft.toml"))
    }

    #[test]
    fn a_draft_is_read_as_it_is_written() {
        let full = full();
        assert_eq!(parse(&full.to_toml()).unwrap(), full);
        let bare = RecordDraft::withdrawal(full.draft.grid);
        let bare = DraftFile { draft: bare, previous: None, evidence: Vec::new() };
        assert_eq!(parse(&bare.to_toml()).unwrap(), bare);
    }

    #[test]
    fn the_next_key_may_be_written_as_a_key() {
        let next = GridId::new(SecretKey::from_seed(&[4; 32]).public());
        let file = parse(&format!("grid-id = \"{}\"\nnext = \"{next}\"\n", full().draft.grid)).unwrap();
        assert_eq!(file.draft.next, Some(KeyDigest(next.digest())));
    }

    #[test]
    fn what_is_no_draft_is_named() {
        let grid = full().draft.grid;
        let error = |line: &str| {
            let error = parse(&format!("grid-id = \"{grid}\"\n{line}\n")).expect_err(line);
            std::error::Error::source(&error).map_or(error.to_string(), |source| format!("{error}: {source}"))
        };
        assert!(parse("").unwrap_err().to_string().contains("missing field `grid-id`"));
        assert!(error("gateways = []").contains("line 2: unknown field `gateways`"));
        assert!(error("node = [\"/ip4/192.0.2.1/tcp/1\"]").contains("does not end in `/p2p/`"));
        assert!(error("previous = \"AAAA\"").contains("`previous` is no record of this grid: "));
        assert!(error("previous = \"A=\"").contains("line 2: `previous`: not base64url"));
        assert!(error("next = \"soon\"").contains("line 2: `next`: "));
    }

    #[test]
    fn a_record_of_another_grid_is_not_taken_for_the_previous_one() {
        let mut file = full();
        file.draft.grid = GridId::new(SecretKey::from_seed(&[9; 32]).public());
        assert!(matches!(parse(&file.to_toml()), Err(DraftError::Earlier { key: "previous", .. })));
    }
}
