//! One node of a testnet, wherever it runs: as the child process `testnet node`, or as a task of the testnet itself.
//!
//! It runs the library's node as it is, and tells how it stands whenever that changes: a child on its standard output, a
//! line of JSON each time.

use futures::{Stream, StreamExt};
use lafs_clearinghouse::clock::Clock;
use lafs_clearinghouse::config::{Home, NodeConfig};
use lafs_clearinghouse::dht::Dht;
use lafs_clearinghouse::node::{Node, NodeError};
use lafs_clearinghouse::publisher::{Published, Publisher};
use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;
use serde::{Deserialize, Serialize};
use std::pin::pin;
use tokio::sync::watch;

/// How a node stands. It is told only once the node serves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Standing {
    /// Its libp2p identity.
    pub(crate) peer_id: String,
    /// Where others reach it, best first, each ending in `/p2p/` and the peer id.
    pub(crate) addrs: Vec<Multiaddr>,
    /// Where its local API answers.
    pub(crate) api: String,
    /// From how many other nodes its record was read back; `None` for a node without a grid, and before it was published.
    pub(crate) holders: Option<usize>,
    /// Why there is no record.
    pub(crate) problem: Option<String>,
}

/// Runs the node in `home` until `released` completes, then stops it. `tell` is called when it serves, and after that
/// whenever its record is held otherwise than before. For each item of `reloads` it reads its settings again.
pub(crate) async fn run(
    home: &Home,
    config: &NodeConfig,
    mut tell: impl FnMut(Standing),
    released: impl Future<Output = ()>,
    reloads: impl Stream<Item = ()>,
) -> Result<(), NodeError> {
    let mut node = Node::start(home, config, Clock::system()).await?;
    let following = follow(node.dht.clone(), node.api_url().to_owned(), node.publisher.clone(), &mut tell);
    let (mut following, mut released, mut reloads) = (pin!(following), pin!(released), pin!(reloads));
    loop {
        tokio::select! {
            () = &mut following => break,
            () = &mut released => break,
            Some(()) = reloads.next() => match NodeConfig::read(&home.config()) {
                // What came of it is in the log.
                Ok(config) => drop(node.reload(&config).await),
                Err(error) => node.refuse_settings(&error.to_string()),
            },
        }
    }
    node.stop().await;
    Ok(())
}

/// Never ends while the node runs.
async fn follow(dht: Dht, api: String, publisher: Option<Publisher>, tell: &mut impl FnMut(Standing)) {
    dht.is_listening().await;
    let Some(status) = dht.status().await else { return };
    let peer_id = status.peer_id;
    let mut standing = Standing {
        peer_id: peer_id.to_string(),
        addrs: status.external.into_iter().map(|addr| addr.with(Protocol::P2p(peer_id))).collect(),
        api,
        holders: None,
        problem: None,
    };
    tell(standing.clone());
    // A node without a grid has nothing more to tell.
    let Some(publisher) = publisher else { return std::future::pending().await };
    let mut changes: watch::Receiver<Published> = publisher.changes();
    loop {
        let (holders, problem) = {
            let published = changes.borrow_and_update();
            (published.receipt.as_ref().map(|receipt| receipt.holders), published.problem.clone())
        };
        if (holders, &problem) != (standing.holders, &standing.problem) {
            (standing.holders, standing.problem) = (holders, problem);
            tell(standing.clone());
        }
        if changes.changed().await.is_err() {
            return std::future::pending().await;
        }
    }
}
