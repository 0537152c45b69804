//! Two grids' nodes, each a process: one with a gateway to storage servers, one that is the home of a reader.

use super::process::{NodeProcess, clearinghouse};
use super::{AnyError, PATIENCE};
use crate::grid_manager::{GridKeys, create};
use crate::layout::{Layout, NodePlace, Size};
use crate::ports::PortPair;
use crate::relay::Relay;
use crate::up::{CREDIT, POLICY};
use lafs_clearinghouse::address::PrivateAddresses;
use lafs_clearinghouse::config::{Home, NodeConfig, PUBLIC_MODE, create_new, create_private_dir, read_key};
use lafs_clearinghouse::furl::Nurl;
use lafs_clearinghouse::keys::GridId;
use lafs_clearinghouse::peer::{CallerIdentity, GatewayPlace, Named};
use lafs_clearinghouse::rate::RateLine;
use std::ffi::OsStr;
use std::net::SocketAddrV4;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;
use tokio::time::timeout;

/// A node with a gateway.
pub(super) struct GridNode {
    pub(super) grid: GridId,
    pub(super) home: Home,
    pub(super) node: NodeProcess,
    nurl: Nurl,
    _relays: Vec<Relay>,
}

/// The grid whose files are read.
pub(super) struct Abroad<'a> {
    pub(super) grid_id: GridId,
    /// The folder of its grid manager.
    pub(super) grid_manager: &'a Path,
    /// The folder of a Tahoe-LAFS node that knows its storage servers.
    pub(super) node: &'a Path,
    /// What it asks for. The home grid's clients may spend it, and both grids lend each other so much.
    pub(super) price: Option<RateLine>,
}

/// How a node's process is started on its data directory.
type Start = fn(&Path) -> Result<NodeProcess, AnyError>;

/// Both nodes, which know each other.
pub(super) struct Pair {
    pub(super) foreign: GridNode,
    pub(super) home: GridNode,
    layout: Layout,
}

/// Somebody who reads through a gateway.
pub(super) struct Member {
    pub(super) place: GatewayPlace,
    pub(super) me: CallerIdentity,
    pub(super) dir: PathBuf,
}

impl Pair {
    /// Starts the nodes, `rtt` apart from each other and from everybody, and waits until each holds the other's record.
    pub(super) async fn raise(abroad: Abroad<'_>, rtt: Option<Duration>) -> Result<Self, AnyError> {
        Self::raise_with(abroad, rtt, NodeProcess::start).await
    }

    /// The same, as near to each other as this machine allows; the home can be told what it reads on.
    pub(super) async fn raise_leashed(abroad: Abroad<'_>) -> Result<Self, AnyError> {
        Self::raise_with(abroad, None, NodeProcess::start_leashed).await
    }

    async fn raise_with(abroad: Abroad<'_>, rtt: Option<Duration>, start_home: Start) -> Result<Self, AnyError> {
        let mut layout = Layout::create(&Size { nodes: 2, grids: 2, relays: rtt.is_some() }, None)?;
        let credit_limit = abroad.price.as_ref().map(|_| CREDIT.parse()).transpose()?;
        let network = NodeConfig {
            network: layout.network.clone(),
            allow_private_addresses: PrivateAddresses::Allowed,
            rate: vec![RateLine::free(None)],
            credit_limit,
            ..NodeConfig::default()
        };
        let manager = layout.dir.join("manager");
        let home_grid = create(&manager, &GridKeys::Fresh.key(0))?;
        let config = NodeConfig { grid_manager: Some(manager), ..network.clone() };
        let (home, peer) = GridNode::start(&mut layout.nodes[0], home_grid, config, rtt, start_home).await?;
        if abroad.price.is_some() {
            create_new(&home.home.policy(), POLICY.as_bytes(), PUBLIC_MODE)?;
        }
        let at = super::network::quic(layout.nodes[0].external.into());
        let config = NodeConfig {
            grid_manager: Some(abroad.grid_manager.to_owned()),
            tahoe_node: Some(abroad.node.to_owned()),
            rate: abroad.price.map_or_else(|| network.rate.clone(), |price| vec![price]),
            bootstrap: vec![at.with(libp2p::multiaddr::Protocol::P2p(peer.parse()?))],
            ..network
        };
        let (foreign, _) =
            GridNode::start(&mut layout.nodes[1], abroad.grid_id, config, rtt, NodeProcess::start).await?;
        for node in [&home, &foreign] {
            run(["status", "--wait", "60", "-d"].map(OsStr::new).into_iter().chain([node.home.path().as_os_str()]))
                .await?;
        }
        Ok(Self { foreign, home, layout })
    }

    /// Makes `name` a client of one of the grids.
    pub(super) async fn member(&self, of: &GridNode, name: &str) -> Result<Member, AnyError> {
        let dir = self.layout.dir.join(name);
        let nurl = of.nurl.to_string();
        let words = ["join", &nurl, "--json", "-d"].map(OsStr::new);
        let joined: serde_json::Value = serde_json::from_str(&run(words.into_iter().chain([dir.as_os_str()])).await?)?;
        let key = joined["key"].as_str().ok_or("`join` prints the key")?;
        let words = ["client", "add", name, key, "-d"].map(OsStr::new);
        run(words.into_iter().chain([of.home.path().as_os_str()])).await?;
        let me = CallerIdentity::Client(read_key(&Home::new(&dir).accounting_key())?);
        Ok(Member { place: GatewayPlace { nurl: of.nurl.clone(), grid: of.grid, named: Named::ByUser }, me, dir })
    }

    /// Where files may be put.
    pub(super) fn dir(&self) -> &Path {
        &self.layout.dir
    }

    pub(super) async fn end(self) -> Result<(), AnyError> {
        self.foreign.node.end().await?;
        self.home.node.end().await?;
        crate::bench::network::remove(&self.layout);
        Ok(())
    }
}

impl GridNode {
    /// Starts a node with a gateway. Returns its peer id too.
    async fn start(
        place: &mut NodePlace,
        grid: GridId,
        config: NodeConfig,
        rtt: Option<Duration>,
        start: Start,
    ) -> Result<(Self, String), AnyError> {
        let ports = place.reserved.take().ok_or("each port is reserved once")?;
        let mut relays = Vec::new();
        let mut config = NodeConfig {
            listen: place.listen.into(),
            external: Some(place.external.to_string().parse()?),
            gateway_listen: Some(SocketAddrV4::new(*place.listen.ip(), 0).into()),
            ..config
        };
        match rtt {
            Some(rtt) => {
                relays.push(Relay::start(ports, place.listen.into(), rtt)?);
                let behind = *place.listen.ip();
                let free = |port| PortPair::at(SocketAddrV4::new(behind, port)).map(drop);
                let (ports, ()) = PortPair::any_with(*place.external.ip(), free)?;
                let listen = SocketAddrV4::new(behind, ports.address()?.port());
                let relay = Relay::start(ports, listen.into(), rtt)?;
                config.gateway_listen = Some(listen.into());
                config.gateway_external = Some(relay.address().to_string().parse()?);
                relays.push(relay);
            }
            // Let go of a moment before the node takes it.
            None => drop(ports),
        }
        let home = Home::new(&place.dir);
        create_private_dir(home.path())?;
        create_new(&home.config(), config.to_commented_toml().as_bytes(), PUBLIC_MODE)?;
        let mut node = start(home.path())?;
        let peer = node.ready().await?;
        let words = ["gateway", "url", "-d"].map(OsStr::new);
        let nurl = run(words.into_iter().chain([home.path().as_os_str()])).await?.trim().parse()?;
        Ok((Self { grid, home, node, nurl, _relays: relays }, peer))
    }
}

/// Runs `clearinghouse` to its end, which must be a good one, and returns what it printed.
pub(super) async fn run<'w>(words: impl IntoIterator<Item = &'w OsStr>) -> Result<String, AnyError> {
    let mut program = Command::new(clearinghouse()?);
    program.args(words).stdin(Stdio::null()).kill_on_drop(true);
    let done = timeout(PATIENCE, program.output()).await??;
    if !done.status.success() {
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        return Err(format!("`clearinghouse` ended with {}: {said}", done.status).into());
    }
    Ok(String::from_utf8(done.stdout)?)
}
