//! Where everything of a testnet lies: names, folders, and one network of loopback addresses for each node.
//!
//! Node number *n* has 127.X.Y.0/24 to itself: people and peers use 127.X.Y.1, and with a relay there the node itself is
//! at 127.X.Y.2. Rules about distinct networks so see as many as there are nodes. X is claimed by listening on a port of
//! 127.X.0.1: two testnets never share one, and the kernel ends the claim with the process, however it dies.

use crate::ports::PortPair;
use lafs_clearinghouse::base32;
use lafs_clearinghouse::config::{FileError, NetworkName, create_private_dir};
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener};
use std::path::{Path, PathBuf};

/// The largest testnet. What a machine carries is less; this keeps the claimed addresses to a few blocks.
pub(crate) const MAX_NODES: usize = 1_000;

/// Nodes in one 127.X.0.0/16: Y from 1 on, Y = 0 being the claim.
const NODES_PER_BLOCK: usize = 250;

/// The port of 127.X.0.1 that stands for all of 127.X.0.0/16. Outside the range that Linux gives out by itself.
const CLAIM_PORT: u16 = 27_127;

/// The values of X: without 0 and 1, where machines keep names of their own (127.0.0.53, 127.0.1.1).
const BLOCKS: std::ops::RangeInclusive<u8> = 2..=254;

/// Why a testnet cannot be laid out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LayoutError {
    /// More nodes than addresses are kept for.
    #[error("{0} nodes are too many: at most {MAX_NODES}")]
    TooManyNodes(usize),
    /// A grid's record is published by a node of its own.
    #[error("{grids} grids need as many nodes, and there are {nodes}")]
    MoreGridsThanNodes {
        /// Grids asked for.
        grids: usize,
        /// Nodes asked for.
        nodes: usize,
    },
    /// The folder holds something, perhaps another testnet: its keys are not to be mixed with new ones.
    #[error("`{}` is not empty: name a new folder", .0.display())]
    NotEmpty(PathBuf),
    /// The folder could not be made or read.
    #[error(transparent)]
    Folder(#[from] FileError),
    /// Every 127.X.0.0/16 is claimed, or something listens on the claiming port of all addresses.
    #[error("no loopback addresses are left: every 127.X.0.1:{CLAIM_PORT} is taken")]
    NoAddresses(#[source] io::Error),
    /// No port was to be had on an address of ours.
    #[error("no free port on {ip}")]
    NoPort {
        /// The address.
        ip: Ipv4Addr,
        /// What the operating system said.
        source: io::Error,
    },
}

/// What a testnet is to consist of.
#[derive(Debug, Clone)]
pub(crate) struct Size {
    pub(crate) nodes: usize,
    pub(crate) grids: usize,
    /// Whether a relay stands in front of each node.
    pub(crate) relays: bool,
}

/// One node's place.
pub(crate) struct NodePlace {
    /// `node-00`, `node-01`, …
    pub(crate) name: String,
    pub(crate) dir: PathBuf,
    pub(crate) log: PathBuf,
    /// The address that others use.
    pub(crate) external: SocketAddrV4,
    /// The address that the node itself listens on: the same without a relay.
    pub(crate) listen: SocketAddrV4,
    /// Holds the port of `external` until the relay takes it over or the node is about to start.
    pub(crate) reserved: Option<PortPair>,
}

/// One grid's place.
pub(crate) struct GridPlace {
    /// The folder of its grid manager.
    pub(crate) dir: PathBuf,
    /// Which node publishes its record.
    pub(crate) node: usize,
}

/// A testnet's places. Its addresses stay claimed as long as it lives.
pub(crate) struct Layout {
    pub(crate) network: NetworkName,
    pub(crate) dir: PathBuf,
    /// The folder was made by us under the system's folder for temporary files.
    pub(crate) temporary: bool,
    pub(crate) nodes: Vec<NodePlace>,
    pub(crate) grids: Vec<GridPlace>,
    _claims: Vec<TcpListener>,
}

impl Layout {
    /// Claims addresses, reserves ports and makes `dir`, or a new temporary folder. Writes nothing into it.
    pub(crate) fn create(size: &Size, dir: Option<PathBuf>) -> Result<Self, LayoutError> {
        if size.nodes > MAX_NODES {
            return Err(LayoutError::TooManyNodes(size.nodes));
        }
        if size.grids > size.nodes {
            return Err(LayoutError::MoreGridsThanNodes { grids: size.grids, nodes: size.nodes });
        }
        let network_text = format!("testnet-{}", base32::encode(&random::<5>()));
        let temporary = dir.is_none();
        let dir = dir.unwrap_or_else(|| std::env::temp_dir().join(format!("lafs-{network_text}")));
        make_empty(&dir)?;
        let dir = dir.canonicalize().map_err(FileError::at("find", &dir))?;
        let (blocks, claims) = claim_blocks(size.nodes.div_ceil(NODES_PER_BLOCK))?;
        let width = (size.nodes.saturating_sub(1)).to_string().len().max(2);
        let nodes = (0..size.nodes)
            .map(|index| place_node(index, blocks[index / NODES_PER_BLOCK], width, size.relays, &dir))
            .collect::<Result<_, _>>()?;
        let grids =
            (0..size.grids).map(|node| GridPlace { dir: dir.join(format!("grid-{node:0width$}")), node }).collect();
        let network = network_text.parse().expect("`testnet-` and 8 characters of base32 name a network");
        Ok(Self { network, dir, temporary, nodes, grids, _claims: claims })
    }
}

fn place_node(index: usize, block: u8, width: usize, relay: bool, dir: &Path) -> Result<NodePlace, LayoutError> {
    let name = format!("node-{index:0width$}");
    let third = u8::try_from(index % NODES_PER_BLOCK + 1).expect("a block has fewer than 256 nodes");
    let (ip, behind) = (Ipv4Addr::new(127, block, third, 1), Ipv4Addr::new(127, block, third, 2));
    // The port behind the relay has the same number, for people who read logs.
    let free_behind = |port| if relay { PortPair::at(SocketAddrV4::new(behind, port)).map(drop) } else { Ok(()) };
    let (reserved, ()) = PortPair::any_with(ip, free_behind).map_err(|source| LayoutError::NoPort { ip, source })?;
    let port = reserved.address().map_err(|source| LayoutError::NoPort { ip, source })?.port();
    let dir = dir.join(&name);
    Ok(NodePlace {
        log: dir.join("node.log"),
        name,
        dir,
        external: SocketAddrV4::new(ip, port),
        listen: SocketAddrV4::new(if relay { behind } else { ip }, port),
        reserved: Some(reserved),
    })
}

/// Claims `count` values of X, beginning at a random one.
fn claim_blocks(count: usize) -> Result<(Vec<u8>, Vec<TcpListener>), LayoutError> {
    let (first, last) = (*BLOCKS.start(), *BLOCKS.end());
    let number = last - first + 1;
    let start = random::<1>()[0] % number;
    let (mut blocks, mut claims) = (Vec::new(), Vec::new());
    let mut last_error = io::ErrorKind::AddrInUse.into();
    for block in (0..number).map(|step| first + (u16::from(start) + u16::from(step)).rem_euclid(number.into()) as u8) {
        if blocks.len() == count {
            break;
        }
        match claim(block) {
            Ok(claim) => {
                blocks.push(block);
                claims.push(claim);
            }
            Err(error) => last_error = error,
        }
    }
    if blocks.len() == count { Ok((blocks, claims)) } else { Err(LayoutError::NoAddresses(last_error)) }
}

fn claim(block: u8) -> io::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::new(127, block, 0, 1), CLAIM_PORT))
}

fn make_empty(dir: &Path) -> Result<(), LayoutError> {
    create_private_dir(dir)?;
    let mut entries = dir.read_dir().map_err(FileError::at("read", dir))?;
    if entries.next().is_some() { Err(LayoutError::NotEmpty(dir.to_owned())) } else { Ok(()) }
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system gives randomness");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn size(nodes: usize, grids: usize, relays: bool) -> Size {
        Size { nodes, grids, relays }
    }

    fn create(size: &Size) -> (tempfile::TempDir, Layout) {
        let temp = tempfile::tempdir().unwrap();
        let layout = Layout::create(size, Some(temp.path().join("net"))).unwrap();
        (temp, layout)
    }

    fn network(address: SocketAddrV4) -> [u8; 3] {
        let [a, b, c, _] = address.ip().octets();
        [a, b, c]
    }

    #[test]
    fn each_node_has_a_network_of_its_own() {
        let (_temp, layout) = create(&size(20, 5, false));
        let networks: HashSet<_> = layout.nodes.iter().map(|node| network(node.external)).collect();
        assert_eq!(networks.len(), 20);
        assert!(layout.nodes.iter().all(|node| node.external == node.listen && node.external.ip().octets()[3] == 1));
        assert_eq!(layout.grids.iter().map(|grid| grid.node).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
        assert_eq!(
            (layout.nodes[7].name.as_str(), layout.nodes[7].dir.clone()),
            ("node-07", layout.dir.join("node-07"))
        );
    }

    #[test]
    fn behind_a_relay_a_node_is_in_the_same_network_on_the_same_port() {
        let (_temp, layout) = create(&size(3, 1, true));
        for node in &layout.nodes {
            assert_eq!((network(node.listen), node.listen.port()), (network(node.external), node.external.port()));
            assert_ne!(node.listen, node.external);
            PortPair::at(node.listen).unwrap();
        }
    }

    #[test]
    fn an_external_port_is_reserved_until_it_is_let_go() {
        let (_temp, mut layout) = create(&size(1, 1, false));
        assert!(PortPair::at(layout.nodes[0].external).is_err());
        layout.nodes[0].reserved = None;
        PortPair::at(layout.nodes[0].external).unwrap();
    }

    #[test]
    fn two_testnets_share_neither_addresses_nor_a_name() {
        let ((_a, one), (_b, two)) = (create(&size(2, 1, false)), create(&size(2, 1, false)));
        assert_ne!(one.nodes[0].external.ip(), two.nodes[0].external.ip());
        assert_ne!(one.network, two.network);
    }

    #[test]
    fn a_claimed_block_is_not_claimed_again() {
        let (blocks, claims) = claim_blocks(2).unwrap();
        assert_ne!(blocks[0], blocks[1]);
        assert!(blocks.iter().all(|block| BLOCKS.contains(block) && claim(*block).is_err()));
        drop(claims);
        claim(blocks[0]).unwrap();
    }

    #[test]
    fn a_large_testnet_goes_on_in_the_next_block() {
        let (_temp, layout) = create(&size(NODES_PER_BLOCK + 1, 1, false));
        assert_ne!(layout.nodes[0].external.ip().octets()[1], layout.nodes[NODES_PER_BLOCK].external.ip().octets()[1]);
        assert_eq!(layout.nodes[7].name, "node-007");
    }

    #[test]
    fn what_cannot_be_laid_out_is_said_before_anything_is_made() {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("net");
        let create = |size| Layout::create(&size, Some(dir.clone())).map(drop);
        assert!(matches!(create(size(2, 3, false)), Err(LayoutError::MoreGridsThanNodes { grids: 3, nodes: 2 })));
        assert!(matches!(create(size(MAX_NODES + 1, 0, false)), Err(LayoutError::TooManyNodes(_))));
        assert!(!dir.exists());
        std::fs::create_dir(&dir).unwrap();
        std::fs::write(dir.join("file"), "").unwrap();
        assert!(matches!(create(size(1, 1, false)), Err(LayoutError::NotEmpty(_))));
    }
}
