//! A grid with files: its storage servers, the directory of a Tahoe-LAFS node that knows them, and the relay before its gateway.
//!
//! The storage servers are tasks of this process, on the grid's own loopback network, or processes of the real Tahoe-LAFS: they
//! are no part of what dies, is paused or parted, and are as far from their gateway as loopback is.

use crate::layout::NodePlace;
use crate::ports::PortPair;
use crate::relay::Relay;
use crate::storage::{Sample, SampleError, StorageServer, StorageServerError, stock, write_node_dir};
use crate::tahoe;
use lafs_clearinghouse::config::{FileError, NodeConfig};
use lafs_clearinghouse::keys::{GridId, SecretKey};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::PathBuf;
use std::time::Duration;

/// Why a grid has no files.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FilesError {
    /// The files could not be made.
    #[error(transparent)]
    Sample(#[from] SampleError),
    /// A storage server did not start.
    #[error(transparent)]
    Server(#[from] StorageServerError),
    /// The directory of the Tahoe-LAFS node could not be written.
    #[error(transparent)]
    Directory(#[from] FileError),
    /// The relay before the gateway did not start.
    #[error("the relay of the gateway at {ip} did not start")]
    Relay {
        /// Its address.
        ip: Ipv4Addr,
        /// What the operating system said.
        source: io::Error,
    },
}

/// The files of one grid, and what serves them. Dropped, its servers and its relay stop.
pub(crate) struct GridFiles {
    /// The number of the node whose gateway reads them.
    pub(crate) node: usize,
    /// What there is, the directory of it all last.
    pub(crate) samples: Vec<Sample>,
    /// Before the gateway.
    pub(crate) relay: Relay,
    tahoe_node: PathBuf,
    listen: SocketAddrV4,
    /// Ours; a real grid's are processes.
    _servers: Vec<StorageServer>,
}

/// Whether grids have files, and on what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum FilesOn {
    /// They have none.
    Nothing,
    /// On storage servers of this program.
    OurServers,
    /// On grids of the real Tahoe-LAFS, which this Python raises.
    Tahoe(PathBuf),
}

impl GridFiles {
    /// Makes files, starts the storage servers that hold them, and makes way for a gateway, at `rtt` from everybody, in the node
    /// at `place`.
    pub(crate) fn start(
        node: usize,
        place: &NodePlace,
        manager: &SecretKey,
        rtt: Duration,
    ) -> Result<Self, FilesError> {
        let grid = GridId::new(manager.public());
        let (shelves, samples) = stock(grid, grid.as_bytes())?;
        let behind = *place.listen.ip();
        let servers =
            shelves.into_iter().map(|shelf| StorageServer::start(behind, shelf)).collect::<Result<Vec<_>, _>>()?;
        let nurls: Vec<_> = servers.iter().map(|server| server.nurl().clone()).collect();
        let tahoe_node = place.dir.join("tahoe");
        write_node_dir(&tahoe_node, manager, &nurls)?;
        let (relay, listen) = before_gateway(place, rtt)?;
        Ok(Self { node, samples, relay, tahoe_node, listen, _servers: servers })
    }

    /// Makes way for the same gateway to a grid of the real Tahoe-LAFS, which has no files yet.
    pub(crate) fn on_tahoe(node: usize, place: &NodePlace, rtt: Duration) -> Result<Self, FilesError> {
        let (relay, listen) = before_gateway(place, rtt)?;
        let tahoe_node = tahoe::client_dir(&place.dir);
        Ok(Self { node, samples: Vec::new(), relay, tahoe_node, listen, _servers: Vec::new() })
    }

    /// The settings of its node, with a gateway to these files.
    pub(crate) fn settings(&self, settings: NodeConfig) -> NodeConfig {
        NodeConfig {
            tahoe_node: Some(self.tahoe_node.clone()),
            gateway_listen: Some(SocketAddr::from(self.listen)),
            gateway_external: Some(self.relay.address().to_string().parse().expect("an address and its port")),
            ..settings
        }
    }
}

/// The relay before the gateway of the node at `place`, and where that gateway is to listen.
fn before_gateway(place: &NodePlace, rtt: Duration) -> Result<(Relay, SocketAddrV4), FilesError> {
    let (external, behind) = (*place.external.ip(), *place.listen.ip());
    let relay = |source| FilesError::Relay { ip: external, source };
    let free_behind = |port| PortPair::at(SocketAddrV4::new(behind, port)).map(drop);
    let (ports, ()) = PortPair::any_with(external, free_behind).map_err(relay)?;
    let listen = SocketAddrV4::new(behind, ports.address().map_err(relay)?.port());
    Ok((Relay::start(ports, listen.into(), rtt).map_err(relay)?, listen))
}
