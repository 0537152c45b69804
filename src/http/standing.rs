//! How a node stands, gathered from its parts for whoever watches it.

use crate::grid::{self, Grid};
use crate::http::routes::ApiParts;
use crate::metrics::{OwnStanding, Process, Standing, StorageStanding};
use crate::store::disk_usage;
use tokio::task::spawn_blocking;

/// The figures now; `None` if the node has stopped.
pub(super) async fn standing(parts: &ApiParts) -> Option<Standing> {
    let status = parts.dht.status().await?;
    let census = parts.dht.census().await?;
    let home = parts.home.clone();
    let disk = spawn_blocking(move || disk_usage(&home)).await.ok().flatten();
    let own = parts.publisher.as_ref().map(|publisher| {
        let published = publisher.published();
        OwnStanding {
            expires_at: published.record.map(|record| record.signed().expires_at()),
            holders: published.receipt.as_ref().map(|receipt| receipt.holders),
            networks: published.receipt.as_ref().map(|receipt| receipt.networks),
        }
    });
    let listed = parts.storage.as_ref().map(Grid::listed).unwrap_or_default();
    let storage = listed.into_iter().map(|listed| {
        let health = listed.server.as_ref().map(|server| server.health()).unwrap_or_default();
        StorageStanding {
            server: listed.id.short(),
            used: listed.standing == grid::Standing::Used,
            latency: health.latency,
            failures: health.consecutive_failures,
            corrupt_shares: health.corrupt_shares,
        }
    });
    let mut storage: Vec<_> = storage.collect();
    // Two keys with one beginning would be one figure twice.
    storage.dedup_by(|one, before| one.server == before.server);
    Some(Standing {
        version: env!("CARGO_PKG_VERSION"),
        serves: status.serves,
        servers_known: status.servers_known,
        server_networks: census.server_networks,
        network_size: census.network_size,
        connected_peers: status.connected,
        records: status.records_held,
        record_bytes: census.held.record_bytes,
        evidence: census.held.evidence,
        disk,
        clock_offset_seconds: status.clock_behind_seconds,
        own,
        storage,
        process: Process::now(),
    })
}
