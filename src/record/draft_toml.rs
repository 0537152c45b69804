//! A draft as a file, to be read by a person, carried to the machine that has the grid key, and signed there.
//!
//! It brings the record before and the evidence along, so that the signer, who has seen neither, can refuse to break what
//! they promise. Unknown keys are refused: what is signed must not say less than the file.

use super::contact::ContactUri;
use super::draft::RecordDraft;
use super::error::RecordError;
use super::gateway::{Gateway, GatewayAddress, GatewayError, Roles};
use super::grid_record::GridRecord;
use super::key_digest::KeyDigest;
use super::limit::Limit;
use super::nickname::Nickname;
use super::node_entry::{NodeEntry, NodeError};
use crate::keys::{GridId, PublicKey};
use crate::rate::RateLine;
use crate::units::Seconds;
use data_encoding::BASE64;
use libp2p_identity::PeerId;
use multiaddr::Multiaddr;
use serde::{Deserialize, Deserializer};
use std::fmt;
use std::str::FromStr;

/// A draft and what its signer needs to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DraftFile {
    /// What the record is to say.
    pub draft: RecordDraft,
    /// The record that it will replace.
    pub previous: Option<GridRecord>,
    /// Earlier records whose promises bind.
    pub evidence: Vec<GridRecord>,
}

/// Why a text is no draft.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DraftFileError {
    /// Not TOML, a key that is unknown, or a value that is malformed.
    #[error("line {line}: {message}")]
    Toml {
        /// Where, counted from 1.
        line: usize,
        /// What is wrong. Repeats no value: an address put here by mistake may hold a secret.
        message: String,
    },
    /// A gateway that makes no sense.
    #[error("gateways[{index}]: {error}")]
    Gateway {
        /// Which one, counted from 0.
        index: usize,
        /// What is wrong.
        error: GatewayError,
    },
    /// A node that does not go into a record.
    #[error("nodes[{index}]: {error}")]
    Node {
        /// Which one, counted from 0.
        index: usize,
        /// What is wrong.
        error: NodeError,
    },
    /// An earlier record that is not a valid one of this grid.
    #[error("{name}: {error}")]
    Earlier {
        /// Its key in the file.
        name: String,
        /// What is wrong.
        error: RecordError,
    },
    /// An earlier record that is not base64.
    #[error("{name}: not base64")]
    Base64 {
        /// Its key in the file.
        name: String,
    },
}

impl FromStr for DraftFile {
    type Err = DraftFileError;

    fn from_str(text: &str) -> Result<Self, DraftFileError> {
        let raw: Raw = toml::from_str(text).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start);
            let line = 1 + text.bytes().take(start).filter(|byte| *byte == b'\n').count();
            DraftFileError::Toml { line, message: error.message().to_owned() }
        })?;
        let grid = raw.grid;
        let record = |name: String, text: &str| {
            let bytes = BASE64.decode(text.as_bytes()).map_err(|_| DraftFileError::Base64 { name: name.clone() })?;
            GridRecord::from_bytes(&bytes, &grid).map_err(|error| DraftFileError::Earlier { name, error })
        };
        let previous = raw.earlier.previous.map(|text| record("earlier.previous".to_owned(), &text)).transpose()?;
        let evidence = raw.earlier.evidence.iter().enumerate();
        let evidence = evidence.map(|(index, text)| record(format!("earlier.evidence[{index}]"), text));
        let evidence = evidence.collect::<Result<_, _>>()?;
        let gateways = raw.gateways.into_iter().enumerate().map(|(index, raw)| {
            let roles = raw.roles.map_or(Roles::SERVE, |roles| roles.0);
            Gateway::new(
                raw.address.map(|text| text.0),
                raw.key.map(|text| text.0),
                roles,
                raw.limit.map(|text| text.0),
            )
            .map_err(|error| DraftFileError::Gateway { index, error })
        });
        let nodes = raw.nodes.into_iter().enumerate().map(|(index, raw)| {
            NodeEntry::new(raw.peer_id.0, raw.addrs.into_iter().map(|text| text.0).collect())
                .map_err(|error| DraftFileError::Node { index, error })
        });
        let draft = RecordDraft {
            grid,
            lifetime: raw.lifetime_seconds.map(Seconds),
            withdrawn: raw.withdrawn,
            nickname: raw.nickname.map(|text| text.0),
            contact: raw.contact.into_iter().map(|text| text.0).collect(),
            gateways: gateways.collect::<Result<_, _>>()?,
            rates: raw.rates.into_iter().map(|text| text.0).collect(),
            nodes: nodes.collect::<Result<_, _>>()?,
            clearing: raw.clearing,
            next: raw.next_key_digest.map(|text| text.0),
            successor: raw.successor,
            predecessor: raw.predecessor,
        };
        Ok(Self { draft, previous, evidence })
    }
}

impl fmt::Display for DraftFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let draft = &self.draft;
        writeln!(f, "# A grid record to be signed. Dates and the sequence are set when it is signed.\n")?;
        writeln!(f, "grid = {}", quoted(&draft.grid))?;
        if draft.withdrawn {
            writeln!(f, "\n# Takes the grid off the network, for good.\nwithdrawn = true")?;
        }
        if let Some(lifetime) = draft.lifetime {
            writeln!(f, "\n# From signing to expiry: {lifetime}.\nlifetime_seconds = {}", lifetime.0)?;
        }
        line(f, "The name that the grid gives itself, shown to people.", "nickname", draft.nickname.as_ref())?;
        list(f, "Where its people can be reached.", "contact", &draft.contact)?;
        list(f, "What it charges, one line for each asset. Until its date a line binds.", "rates", &draft.rates)?;
        list(f, "The grids that it settles through.", "clearing", &draft.clearing)?;
        line(f, "SHA-256 of the grid key that would follow this one.", "next_key_digest", draft.next.as_ref())?;
        line(f, "The grid that this one has become.", "successor", draft.successor.as_ref())?;
        line(f, "The grid that this one was before.", "predecessor", draft.predecessor.as_ref())?;
        for gateway in &draft.gateways {
            writeln!(
                f,
                "\n# A gateway. Without `roles` it serves; `limit` is the largest credit its key may agree to."
            )?;
            writeln!(f, "[[gateways]]")?;
            entry(f, "address", gateway.address())?;
            entry(f, "key", gateway.key())?;
            entry(f, "roles", Some(gateway.roles()).filter(|roles| *roles != Roles::SERVE).as_ref())?;
            entry(f, "limit", gateway.limit())?;
        }
        for node in &draft.nodes {
            writeln!(f, "\n# A node of the grid's own, where the freshest copy of the record is.\n[[nodes]]")?;
            entry(f, "peer_id", Some(node.peer_id()))?;
            writeln!(f, "addrs = {}", quoted_list(node.addrs()))?;
        }
        if self.previous.is_some() || !self.evidence.is_empty() {
            let bytes = |record: &GridRecord| BASE64.encode(record.signed().bytes());
            writeln!(
                f,
                "\n# Signed records of the grid, for the signer to see what is promised. Leave them as they are."
            )?;
            writeln!(f, "[earlier]")?;
            entry(f, "previous", self.previous.as_ref().map(bytes).as_ref())?;
            if !self.evidence.is_empty() {
                writeln!(f, "evidence = {}", quoted_list(&self.evidence.iter().map(bytes).collect::<Vec<_>>()))?;
            }
        }
        Ok(())
    }
}

fn quoted(value: &impl fmt::Display) -> String {
    toml::Value::String(value.to_string()).to_string()
}

fn quoted_list(values: &[impl fmt::Display]) -> String {
    let items: Vec<String> = values.iter().map(|value| format!("\n    {},", quoted(value))).collect();
    format!("[{}\n]", items.concat())
}

fn entry(f: &mut fmt::Formatter<'_>, name: &str, value: Option<&impl fmt::Display>) -> fmt::Result {
    value.map_or(Ok(()), |value| writeln!(f, "{name} = {}", quoted(value)))
}

fn line(f: &mut fmt::Formatter<'_>, comment: &str, name: &str, value: Option<&impl fmt::Display>) -> fmt::Result {
    value.map_or(Ok(()), |value| writeln!(f, "\n# {comment}\n{name} = {}", quoted(value)))
}

fn list(f: &mut fmt::Formatter<'_>, comment: &str, name: &str, values: &[impl fmt::Display]) -> fmt::Result {
    if values.is_empty() {
        return Ok(());
    }
    writeln!(f, "\n# {comment}\n{name} = {}", quoted_list(values))
}

/// The file as TOML has it, its texts parsed so that errors say where they stand.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    grid: GridId,
    #[serde(default)]
    withdrawn: bool,
    lifetime_seconds: Option<u64>,
    nickname: Option<Text<Nickname>>,
    #[serde(default)]
    contact: Vec<Text<ContactUri>>,
    #[serde(default)]
    rates: Vec<Text<RateLine>>,
    #[serde(default)]
    clearing: Vec<GridId>,
    next_key_digest: Option<Text<KeyDigest>>,
    successor: Option<GridId>,
    predecessor: Option<GridId>,
    #[serde(default)]
    gateways: Vec<RawGateway>,
    #[serde(default)]
    nodes: Vec<RawNode>,
    #[serde(default)]
    earlier: RawEarlier,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawGateway {
    address: Option<Text<GatewayAddress>>,
    key: Option<Text<PublicKey>>,
    roles: Option<Text<Roles>>,
    limit: Option<Text<Limit>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawNode {
    peer_id: Text<PeerId>,
    addrs: Vec<Text<Multiaddr>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct RawEarlier {
    previous: Option<String>,
    #[serde(default)]
    evidence: Vec<String>,
}

/// A value written as a string.
struct Text<T>(T);

impl<'de, T: FromStr<Err: fmt::Display>> Deserialize<'de> for Text<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map(Self).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::super::SignError;
    use super::super::fixtures::{DAY, NOW, by_grid, grid, grid_key, other_grid, realistic, with_rates};
    use super::*;

    fn full() -> DraftFile {
        let evidence = vec![with_rates(&["0.02 USD/GiB until 2027-06-01"], NOW)];
        let mut draft = realistic();
        draft.lifetime = Some(Seconds::days(3));
        draft.next = Some(KeyDigest(other_grid(7).digest()));
        draft.successor = Some(other_grid(8));
        draft.predecessor = Some(other_grid(9));
        draft.nickname = Some(Nickname::new("a \"quoted\" \\ name'").expect("a name"));
        let previous = Some(with_rates(&["0.02 USD/GiB until 2027-06-01"], NOW.plus(DAY)));
        DraftFile { draft, previous, evidence }
    }

    #[test]
    fn a_draft_prints_as_it_parses() {
        let plain = DraftFile { draft: RecordDraft::new(grid()), previous: None, evidence: vec![] };
        let gone = DraftFile { draft: RecordDraft::withdrawal(grid()), previous: None, evidence: vec![] };
        for file in [full(), plain, gone] {
            assert_eq!(file.to_string().parse::<DraftFile>(), Ok(file));
        }
    }

    #[test]
    fn an_offline_signer_refuses_to_break_what_the_file_brings_along() {
        let mut file = full();
        file.draft = RecordDraft::new(grid());
        file.previous = None;
        let read: DraftFile = file.to_string().parse().expect("own text");
        let signed = read.draft.sign(by_grid(&grid_key()), read.previous.as_ref(), &read.evidence, NOW.plus(DAY));
        assert!(matches!(signed, Err(SignError::Breach(_))), "{signed:?}");
    }

    #[test]
    fn what_is_wrong_is_named_and_placed() {
        let error =
            |text: &str| format!("grid = \"{}\"\n{text}\n", grid()).parse::<DraftFile>().expect_err(text).to_string();
        assert!(error("nicknam = 'x'").contains("unknown field `nicknam`"));
        assert!(error("nicknam = 'x'").contains("line 2"));
        assert!(error("rates = ['0.02 USD']").contains("expected `USD/GiB`"));
        assert!(error("rates = ['0.02 USD']").contains("line 2"));
        assert!(error("nickname = \"a\\nb\"").contains("U+000A"));
        assert!(error("[[gateways]]\nkeys = 1").contains("unknown field `keys`"));
        assert!(error("[[gateways]]\nroles = 'spend'").contains("gateways[0]: "));
        assert!(error("[[nodes]]\npeer_id = 'x'\naddrs = []").contains("line 3"));
        assert!(error("[earlier]\nprevious = '?'").contains("earlier.previous: not base64"));
        assert!(error("[earlier]\nevidence = ['']").contains("earlier.evidence[0]: the record is empty"));
        assert!("".parse::<DraftFile>().expect_err("no grid").to_string().contains("missing field `grid`"));
    }

    #[test]
    fn a_storage_server_s_nurl_is_no_gateway() {
        let text = format!(
            "grid = \"{}\"\n[[gateways]]\naddress = \"pb://{}@192.0.2.1:443/{}#v=1\"\n",
            grid(),
            "CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk",
            "secretsecretsecret"
        );
        let error = text.parse::<DraftFile>().expect_err("a secret").to_string();
        assert!(error.contains("its last part is a secret") && !error.contains("secretsecret"), "{error}");
        let error = text.replace("@192", "192").parse::<DraftFile>().expect_err("malformed").to_string();
        assert!(error.starts_with("line 3: `@` is missing") && !error.contains("secretsecret"), "{error}");
    }
}
