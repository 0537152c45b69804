//! The settings of a node: `clearinghouse.toml` in its data directory.

use crate::address::{Host, PrivateAddresses};
use crate::config::external::External;
use crate::config::files::{self, FileError};
use crate::config::gateway::GatewayEntry;
use crate::config::ledger_url::LedgerUrl;
use crate::config::network::NetworkName;
use crate::config::patience::Patience;
use crate::config::text;
use crate::furl::Nurl;
use crate::keys::{GridId, PublicKey};
use crate::rate::RateLine;
use crate::record::{ContactUri, DEFAULT_LIFETIME, KeyDigest, Limit, MAX_LIFETIME, Nickname, NodeEntry, RecordDraft};
use crate::units::Seconds;
use libp2p_identity::PeerId;
use multiaddr::{Multiaddr, Protocol};
use serde::Deserialize;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

/// Settings are written by hand: more than this is another file.
pub(super) const MAX_CONFIG_BYTES: usize = 1 << 18;

/// The port that nodes listen on where nothing else is said.
pub const DEFAULT_PORT: u16 = 25519;

/// Up to how many servers a network is small enough for each to hold every record.
pub const DEFAULT_WHOLE_NETWORK_LIMIT: usize = 200;

/// How long it is kept which file was read, where nothing else is said.
pub(super) const DEFAULT_USAGE_BY_FILE: Seconds = Seconds::days(90);

/// What the operator decided. Each field is the key of the same name in `clearinghouse.toml`, where its reason stands.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct NodeConfig {
    /// The grid that this node speaks for; `None` for a node that only holds others' records.
    #[serde(deserialize_with = "text::optional")]
    pub grid_id: Option<GridId>,
    /// The folder of the grid manager whose key signs here; `None` where the key stays elsewhere.
    pub grid_manager: Option<PathBuf>,
    /// The grid's name for people.
    #[serde(deserialize_with = "text::optional")]
    pub nickname: Option<Nickname>,
    /// Where the grid's operators are reached.
    #[serde(deserialize_with = "text::many")]
    pub contact: Vec<ContactUri>,
    /// The grid's gateways.
    #[serde(deserialize_with = "text::many")]
    pub gateway: Vec<GatewayEntry>,
    /// What the grid charges for downloads. Empty: it serves nobody without terms.
    #[serde(deserialize_with = "text::many")]
    pub rate: Vec<RateLine>,
    /// The grids that this grid settles through.
    #[serde(deserialize_with = "text::many")]
    pub clearing: Vec<GridId>,
    /// The grid key that would follow this one.
    #[serde(deserialize_with = "text::optional")]
    pub next: Option<GridId>,
    /// The grid that this one has become.
    #[serde(deserialize_with = "text::optional")]
    pub successor: Option<GridId>,
    /// The grid that this one was before.
    #[serde(deserialize_with = "text::optional")]
    pub predecessor: Option<GridId>,
    /// How long each record lives.
    #[serde(deserialize_with = "text::one")]
    pub lifetime: Seconds,
    /// The network of nodes to be part of.
    pub network: NetworkName,
    /// UDP (QUIC) and TCP, the same port for both; port 0 takes a free one at each start.
    #[serde(deserialize_with = "text::one")]
    pub listen: SocketAddr,
    /// The public address, where it is known.
    #[serde(deserialize_with = "text::optional")]
    pub external: Option<External>,
    /// Nodes to begin with; none starts a network.
    #[serde(deserialize_with = "text::many")]
    pub bootstrap: Vec<Multiaddr>,
    /// Whether addresses outside the public Internet may be dialled and handed on.
    #[serde(deserialize_with = "private_addresses")]
    pub allow_private_addresses: PrivateAddresses,
    /// Up to how many servers each holds every record; 0 for never.
    pub whole_network_limit: usize,
    /// Peers kept connected whatever the limits say.
    #[serde(deserialize_with = "text::many")]
    pub trusted_peers: Vec<PeerId>,
    /// Where the local API listens, on loopback.
    #[serde(deserialize_with = "text::one")]
    pub api: SocketAddr,
    /// Where records are given to anybody over HTTP; `None` for nowhere.
    #[serde(deserialize_with = "text::optional")]
    pub resolver_listen: Option<SocketAddr>,
    /// Reverse proxies in front of that address, which are believed when they say who asks.
    #[serde(deserialize_with = "text::many")]
    pub resolver_proxy: Vec<IpAddr>,
    /// The folder of the Tahoe-LAFS node whose storage servers the gateway reads from; `None` for a gateway that only fetches
    /// for its own clients.
    pub tahoe_node: Option<PathBuf>,
    /// Where the gateway listens, HTTPS; `None` for no gateway here.
    #[serde(deserialize_with = "text::optional")]
    pub gateway_listen: Option<SocketAddr>,
    /// The most that this gateway lends to another grid, or borrows, without a person; `None` for nothing.
    #[serde(deserialize_with = "text::optional")]
    pub credit_limit: Option<Limit>,
    /// Where others reach the gateway, where that is not the host of `external` with the port listened on.
    #[serde(deserialize_with = "text::optional")]
    pub gateway_external: Option<External>,
    /// Grid managers whose certificates count for the storage servers that the gateway reads from, beside those in the
    /// Tahoe-LAFS node's own settings.
    #[serde(deserialize_with = "text::many")]
    pub grid_managers: Vec<PublicKey>,
    /// The PostgreSQL database that keeps the books; `None` for the file in the data directory.
    #[serde(deserialize_with = "text::optional")]
    pub ledger: Option<LedgerUrl>,
    /// How long the books say which file was read, beside the totals of each day.
    #[serde(deserialize_with = "text::one")]
    pub usage_by_file: Seconds,
    /// Where this machine's browser reads through the gateway here, on loopback; `None` for nowhere.
    #[serde(deserialize_with = "text::optional")]
    pub web_listen: Option<SocketAddr>,
    /// How long another grid's gateway may send nothing.
    #[serde(deserialize_with = "text::one")]
    pub patience: Patience,
    /// The most that is paid for all that is read there from one start of the node to the next; `None` for nothing.
    #[serde(deserialize_with = "text::optional")]
    pub web_max_price: Option<Limit>,
}

impl Default for NodeConfig {
    /// A node of the main network that has no grid and knows no other node.
    fn default() -> Self {
        Self {
            grid_id: None,
            grid_manager: None,
            nickname: None,
            contact: Vec::new(),
            gateway: Vec::new(),
            rate: Vec::new(),
            clearing: Vec::new(),
            next: None,
            successor: None,
            predecessor: None,
            lifetime: DEFAULT_LIFETIME,
            network: NetworkName::default(),
            listen: SocketAddr::from((Ipv4Addr::UNSPECIFIED, DEFAULT_PORT)),
            external: None,
            bootstrap: Vec::new(),
            allow_private_addresses: PrivateAddresses::Refused,
            whole_network_limit: DEFAULT_WHOLE_NETWORK_LIMIT,
            trusted_peers: Vec::new(),
            api: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            resolver_listen: None,
            resolver_proxy: Vec::new(),
            tahoe_node: None,
            gateway_listen: None,
            credit_limit: None,
            gateway_external: None,
            grid_managers: Vec::new(),
            ledger: None,
            usage_by_file: DEFAULT_USAGE_BY_FILE,
            web_listen: None,
            patience: Patience::WITH_OTHERS,
            web_max_price: None,
        }
    }
}

fn private_addresses<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<PrivateAddresses, D::Error> {
    bool::deserialize(deserializer)
        .map(|allowed| if allowed { PrivateAddresses::Allowed } else { PrivateAddresses::Refused })
}

/// Why settings are not used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file is no text.
    #[error("`{}` is not UTF-8 from byte {offset} on", path.display())]
    NotText {
        /// The file.
        path: PathBuf,
        /// Where.
        offset: usize,
    },
    /// Not TOML, an unknown key, or a value that is not what the key takes.
    #[error("`{}`, line {line}: {}{message}", path.display(), key.as_ref().map(|key| format!("`{key}`: ")).unwrap_or_default())]
    Toml {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// The key that the line belongs to.
        key: Option<String>,
        /// What is wrong. Never repeats a value.
        message: String,
    },
    /// The local API would be open to others.
    #[error("`{}`: `api` is {found}, and the local API listens on loopback only", path.display())]
    ApiNotLoopback {
        /// The file.
        path: PathBuf,
        /// The address.
        found: SocketAddr,
    },
    /// The web address would be open to others, who would read at this grid's cost.
    #[error("`{}`: `web-listen` is {found}, and the web address is for this machine alone: choose a port on 127.0.0.1", path.display())]
    WebNotLoopback {
        /// The file.
        path: PathBuf,
        /// The address.
        found: SocketAddr,
    },
    /// A web address without a gateway to read through.
    #[error("`{}`: `web-listen` reads through the gateway here, and there is none: set `gateway-listen`", .0.display())]
    WebWithoutGateway(PathBuf),
    /// An address for others that ends in no port they could use.
    #[error("`{}`: `external` names no port, and `listen` takes any: name the port in one of the two", .0.display())]
    ExternalPort(PathBuf),
    /// Records would live too long, or not at all.
    #[error("`{}`: `lifetime` is {found}, and a record lives 1 min to {MAX_LIFETIME}", path.display())]
    Lifetime {
        /// The file.
        path: PathBuf,
        /// The lifetime.
        found: Seconds,
    },
    /// A gateway of no grid.
    #[error("`{}`: `gateway-listen` opens a gateway, and a gateway is a grid's: name it in `grid-id` or `grid-manager`", .0.display())]
    GatewayWithoutGrid(PathBuf),
    /// A gateway that nobody could be told to call.
    #[error(
        "`{}`: `gateway-listen` takes any address of this machine: say in `gateway-external` or `external` where others reach it",
        .0.display()
    )]
    GatewayNowhere(PathBuf),
}

impl NodeConfig {
    /// Reads and parses the file at `path`.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let bytes = files::read_at_most(path, MAX_CONFIG_BYTES)?;
        let text = std::str::from_utf8(&bytes)
            .map_err(|error| ConfigError::NotText { path: path.to_owned(), offset: error.valid_up_to() })?;
        Self::from_toml(text, path)
    }

    /// Parses `text`; `origin` stands in errors.
    pub fn from_toml(text: &str, origin: &Path) -> Result<Self, ConfigError> {
        let config: Self = from_toml(text, origin)?;
        if !config.api.ip().is_loopback() {
            return Err(ConfigError::ApiNotLoopback { path: origin.to_owned(), found: config.api });
        }
        if !(Seconds::minutes(1)..=MAX_LIFETIME).contains(&config.lifetime) {
            return Err(ConfigError::Lifetime { path: origin.to_owned(), found: config.lifetime });
        }
        if config.external.as_ref().is_some_and(|external| external.port().is_none()) && config.listen.port() == 0 {
            return Err(ConfigError::ExternalPort(origin.to_owned()));
        }
        if config.gateway_listen.is_some() && config.grid_id.is_none() && config.grid_manager.is_none() {
            return Err(ConfigError::GatewayWithoutGrid(origin.to_owned()));
        }
        if config.gateway_listen.is_some() && config.gateway_host().is_none() {
            return Err(ConfigError::GatewayNowhere(origin.to_owned()));
        }
        if let Some(found) = config.web_listen.filter(|listen| !listen.ip().is_loopback()) {
            return Err(ConfigError::WebNotLoopback { path: origin.to_owned(), found });
        }
        if config.web_listen.is_some() && config.gateway_listen.is_none() {
            return Err(ConfigError::WebWithoutGateway(origin.to_owned()));
        }
        Ok(config)
    }

    /// What the settings make a record of `grid` say, with these nodes.
    ///
    /// Once they name a successor, it is the grid's last word: short, and good for years. What it promised stays promised.
    pub fn draft(&self, grid: GridId, nodes: Vec<NodeEntry>) -> RecordDraft {
        let next = self.next.map(|grid| KeyDigest(grid.digest()));
        if self.successor.is_some() {
            let rates = self.rate.clone();
            return RecordDraft { rates, next, successor: self.successor, ..RecordDraft::new(grid) };
        }
        RecordDraft {
            lifetime: Some(self.lifetime),
            nickname: self.nickname.clone(),
            contact: self.contact.clone(),
            gateways: self.gateway.iter().map(|entry| entry.gateway().clone()).collect(),
            rates: self.rate.clone(),
            nodes,
            clearing: self.clearing.clone(),
            next,
            predecessor: self.predecessor,
            ..RecordDraft::new(grid)
        }
    }

    /// The NURL of the gateway here, whose TLS key has this hash and which listens on `port`; `None` where there is none.
    pub fn gateway_nurl(&self, spki_hash: [u8; 32], port: u16) -> Option<Nurl> {
        self.gateway_listen?;
        let stated = self.gateway_external.as_ref().and_then(External::port);
        Nurl::gateway(spki_hash, self.gateway_host()?, stated.unwrap_or(port)).ok()
    }

    /// Where others reach the gateway here: as stated for it, or for the node, or where it listens.
    fn gateway_host(&self) -> Option<Host> {
        let stated = self.gateway_external.as_ref().or(self.external.as_ref());
        let listened = || self.gateway_listen.map(|listen| listen.ip()).filter(|ip| !ip.is_unspecified()).map(Host::Ip);
        stated.map(|external| external.host().clone()).or_else(listened)
    }

    /// These settings with the gateway here in the record, unless the operator has written that entry by hand.
    #[must_use]
    pub fn with_own_gateway(&self, own: &GatewayEntry) -> Self {
        let mut config = self.clone();
        let is_own = |entry: &GatewayEntry| {
            let (own, entry) = (own.gateway(), entry.gateway());
            entry.key().is_some() && entry.key() == own.key() || entry.address() == own.address()
        };
        if !config.gateway.iter().any(is_own) {
            config.gateway.push(own.clone());
        }
        config
    }

    /// The public addresses that the operator states, QUIC first; none if nothing was stated.
    pub fn external_addrs(&self) -> Vec<Multiaddr> {
        let Some(external) = &self.external else { return Vec::new() };
        let host = match external.host() {
            Host::Ip(ip) => Multiaddr::from(*ip),
            Host::Name(name) => Multiaddr::from(Protocol::Dns(name.as_str().into())),
        };
        let port = external.port().unwrap_or(self.listen.port());
        vec![host.clone().with(Protocol::Udp(port)).with(Protocol::QuicV1), host.with(Protocol::Tcp(port))]
    }
}

/// Parses TOML with errors that name the line and the key and repeat no value.
pub(super) fn from_toml<T: serde::de::DeserializeOwned>(text: &str, origin: &Path) -> Result<T, ConfigError> {
    toml::from_str(text).map_err(|error| {
        let start = error.span().map_or(0, |span| span.start).min(text.len());
        let before = text.get(..start).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        // serde names an unknown or missing key itself.
        let named = error.message().contains("field `");
        let key = if named { None } else { key_at(text, line) };
        ConfigError::Toml { path: origin.to_owned(), line, key, message: error.message().to_owned() }
    })
}

/// The key of the assignment that `line` is part of.
fn key_at(text: &str, line: usize) -> Option<String> {
    let assignments = text.lines().take(line).filter_map(|line| {
        let (key, _) = line.split_once('=')?;
        let key = key.trim();
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        (!key.is_empty() && key.chars().all(plain)).then(|| key.to_owned())
    });
    assignments.last()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn nothing_makes_the_settings_panic(key in "[a-z-]{1,12}|rate|gateway|listen|external|bootstrap|lifetime", value in ".{0,40}") {
            for text in [value.clone(), format!("{key} = {value}"), format!("{key} = [{value:?}]"), format!("{key} = {value:?}")] {
                let _ = NodeConfig::from_toml(&text, Path::new("c.toml"));
            }
        }
    }

    fn error(text: &str) -> String {
        NodeConfig::from_toml(text, Path::new("c.toml")).expect_err(text).to_string()
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_line() {
        let error = error("network = \"main\"\nnick = \"x\"\n");
        assert!(error.starts_with("`c.toml`, line 2: unknown field `nick`"), "{error}");
    }

    #[test]
    fn a_bad_value_is_named_by_line_and_key() {
        let listen = error("# a comment\nlisten = \"nowhere\"\n");
        assert!(listen.starts_with("`c.toml`, line 2: `listen`: invalid socket address"), "{listen}");
        let rate = error("rate = [\n  \"free\",\n  \"0.02 US/GiB\",\n]\n");
        assert!(rate.starts_with("`c.toml`, line 3: `rate`: `US` is not an asset"), "{rate}");
        let kind = error("nickname = 5\n");
        assert!(kind.starts_with("`c.toml`, line 1: `nickname`: invalid type: integer `5`"), "{kind}");
        assert!(error("a = = 1").starts_with("`c.toml`, line 1: "));
    }

    #[test]
    fn a_secret_url_is_not_repeated() {
        let secret = "hbqzvb2sdpnqvuibad52ofau7by5zotp";
        let nurl = format!("pb://CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk@127.0.0.1:4101/{secret}#v=1");
        for text in [format!("gateway = \"{nurl}\""), format!("gateway = [\"{nurl}\"]"), format!("api = \"{nurl}\"")] {
            let error = error(&text);
            assert!(!error.contains(secret), "{error}");
        }
    }

    #[test]
    fn what_cannot_be_run_is_refused() {
        assert!(error("api = \"0.0.0.0:80\"").contains("loopback only"));
        assert!(error("external = \"node.example.org\"\nlisten = \"0.0.0.0:0\"").contains("names no port"));
        assert!(error("lifetime = \"31 days\"").contains("1 min to 30 d"));
        assert!(error("lifetime = \"0 s\"").contains("1 min to 30 d"));
    }

    #[test]
    fn a_gateway_is_of_a_grid_and_somewhere() {
        let grid = GridId::new(crate::keys::SecretKey::from_seed(&[1; 32]).public());
        assert!(error("gateway-listen = \"127.0.0.1:4101\"").contains("a gateway is a grid's"));
        assert!(
            error(&format!("grid-id = \"{grid}\"\ngateway-listen = \"0.0.0.0:4101\""))
                .contains("where others reach it")
        );
        let nurl = |text: &str, port| {
            let config = NodeConfig::from_toml(&format!("grid-id = \"{grid}\"\n{text}"), Path::new("c.toml")).unwrap();
            config.gateway_nurl([9; 32], port).map(|nurl| nurl.place().to_string())
        };
        let listen = "gateway-listen = \"0.0.0.0:0\"\n";
        assert_eq!(nurl("", 4101), None);
        assert_eq!(nurl("gateway-listen = \"192.0.2.1:0\"", 4101).unwrap(), "192.0.2.1:4101");
        assert_eq!(
            nurl(&format!("{listen}external = \"node.example.org:4100\""), 4101).unwrap(),
            "node.example.org:4101"
        );
        let stated = format!("{listen}external = \"node.example.org\"\ngateway-external = \"gw.example.org:443\"");
        assert_eq!(nurl(&stated, 4101).unwrap(), "gw.example.org:443");
    }

    #[test]
    fn a_web_address_is_for_this_machine_and_reads_through_the_gateway_here() {
        let grid = GridId::new(crate::keys::SecretKey::from_seed(&[1; 32]).public());
        let gateway = format!("grid-id = \"{grid}\"\ngateway-listen = \"127.0.0.1:0\"\n");
        assert!(error("web-listen = \"127.0.0.1:8459\"").contains("set `gateway-listen`"));
        assert!(error(&format!("{gateway}web-listen = \"0.0.0.0:8459\"")).contains("this machine alone"));
        let text = format!("{gateway}web-listen = \"[::1]:8459\"");
        assert!(NodeConfig::from_toml(&text, Path::new("c.toml")).is_ok());
    }

    #[test]
    fn the_own_gateway_is_added_once() {
        let key = crate::keys::SecretKey::from_seed(&[2; 32]).public();
        let nurl = "pb://CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk@gw.example.org:4101/gateway#v=1";
        let own: GatewayEntry = format!("{nurl},key={key},roles=serve+spend").parse().unwrap();
        let config = NodeConfig::default().with_own_gateway(&own);
        assert_eq!(config.gateway, std::slice::from_ref(&own));
        assert_eq!(config.with_own_gateway(&own), config);
        // Written by hand, with more rights: that is what the operator means.
        let by_hand: GatewayEntry = format!("{nurl},key={key}").parse().unwrap();
        let config = NodeConfig { gateway: vec![by_hand.clone()], ..NodeConfig::default() };
        assert_eq!(config.with_own_gateway(&own).gateway, [by_hand]);
    }

    #[test]
    fn the_draft_says_what_the_settings_say() {
        let grid = GridId::new(crate::keys::SecretKey::from_seed(&[1; 32]).public());
        let text =
            format!("grid-id = \"{grid}\"\nnickname = \"x\"\nlifetime = \"3 d\"\nrate = [\"free\"]\nnext = \"{grid}\"");
        let config = NodeConfig::from_toml(&text, Path::new("c.toml")).unwrap();
        let draft = config.draft(grid, Vec::new());
        assert_eq!((draft.grid, draft.lifetime), (grid, Some(Seconds::days(3))));
        assert_eq!(draft.nickname, config.nickname);
        assert_eq!(draft.rates, config.rate);
        assert_eq!(draft.next, Some(KeyDigest(grid.digest())));
    }

    #[test]
    fn the_stated_address_is_given_for_both_transports() {
        let addrs = |text: &str| {
            let config = NodeConfig::from_toml(text, Path::new("c.toml")).unwrap();
            config.external_addrs().iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(addrs(""), Vec::<String>::new());
        let expected = ["/dns/node.example.org/udp/4100/quic-v1", "/dns/node.example.org/tcp/4100"];
        assert_eq!(addrs("external = \"node.example.org\"\nlisten = \"0.0.0.0:4100\""), expected);
        let expected = ["/ip6/2001:db8::7/udp/4200/quic-v1", "/ip6/2001:db8::7/tcp/4200"];
        assert_eq!(addrs("external = \"[2001:db8::7]:4200\""), expected);
    }

    #[test]
    fn a_file_that_is_no_text_or_too_long_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c.toml");
        std::fs::write(&path, b"nickname = \"\xff\"").unwrap();
        assert!(matches!(NodeConfig::read(&path), Err(ConfigError::NotText { offset: 12, .. })));
        std::fs::write(&path, vec![b'#'; MAX_CONFIG_BYTES + 1]).unwrap();
        assert!(matches!(NodeConfig::read(&path), Err(ConfigError::File(_))));
    }
}
