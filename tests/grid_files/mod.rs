//! Storage servers of a grid with one file on them, and the folder of the Tahoe-LAFS node that knows them.

#[path = "../../testnet/storage/mod.rs"]
#[expect(unused_imports, reason = "a testnet uses more of it")]
mod storage;

use lafs_clearinghouse::capability::{Area, Capability, ForeignCap, ShareCounts};
use lafs_clearinghouse::keys::{GridId, SecretKey};
use lafs_clearinghouse::lafs::immutable::ChkEncoding;
use std::net::Ipv4Addr;
use std::path::Path;
use storage::{StorageServer, write_node_dir};

/// What stands there. The servers stop when it is dropped.
pub(crate) struct GridFiles {
    /// The cap of the file for readers anywhere.
    pub(crate) cap: String,
    pub(crate) content: Vec<u8>,
    _servers: Vec<StorageServer>,
    runtime: Option<tokio::runtime::Runtime>,
}

impl GridFiles {
    /// A file of `size` octets on the grid of `manager`, whose Tahoe-LAFS node is made at `node_dir`.
    pub(crate) fn store(manager: &SecretKey, node_dir: &Path, size: usize) -> Self {
        // One share is all of it: what is tried here is not the erasure code.
        Self::store_as(manager, node_dir, size, ChkEncoding::new(ShareCounts::new(1, 3).unwrap()))
    }

    /// The same, encoded in this way.
    pub(crate) fn store_as(manager: &SecretKey, node_dir: &Path, size: usize, encoding: ChkEncoding) -> Self {
        let grid = GridId::new(manager.public());
        let content: Vec<u8> =
            (0..size as u32).map(|place| place.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
        let mut shelves: Vec<_> = (0..storage::samples::SERVERS).map(|_| Default::default()).collect();
        let cap = storage::samples::store(&mut shelves, &content, grid.as_bytes(), encoding).unwrap();
        let cap = ForeignCap::from_home(Area::Grid(grid), &Capability::File(cap)).into_cap().to_string();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let inside = runtime.enter();
        let start = |shelf| StorageServer::start(Ipv4Addr::LOCALHOST, shelf).unwrap();
        let servers: Vec<_> = shelves.into_iter().map(start).collect();
        drop(inside);
        let nurls: Vec<_> = servers.iter().map(|server| server.nurl().clone()).collect();
        write_node_dir(node_dir, manager, &nurls).unwrap();
        Self { cap, content, _servers: servers, runtime: Some(runtime) }
    }
}

impl Drop for GridFiles {
    fn drop(&mut self) {
        // Also where the test is one of tokio's.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
