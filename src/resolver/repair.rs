//! What a query leaves behind: whoever held an older record, or none though it is among the nearest, is given the newest.

use crate::dht::message::{Body, Request, Response, WireVerdict};
use crate::dht::server::Server;
use crate::dht::walk::WIDTH;
use crate::record::{GridRecord, SignedRecord};
use crate::resolver::query::Parts;
use crate::resolver::tally::Tally;
use futures::{StreamExt, stream};
use tracing::{debug, warn};

/// How many servers are repaired after one query: three times the nearest. Others compare their books.
const MAX_REPAIRS: usize = 3 * WIDTH;
/// How many at once.
const AT_ONCE: usize = 8;

/// Raises the floor to the newest record found, and gives it to those who should have had it.
pub(crate) async fn repair(parts: &Parts, tally: &Tally) {
    let Some((newest, _)) = tally.best() else { return };
    raise(parts, newest).await;
    let servers = tally.outdated(WIDTH).into_iter().take(MAX_REPAIRS);
    stream::iter(servers).for_each_concurrent(AT_ONCE, |server| give(parts, server, newest)).await;
}

async fn give(parts: &Parts, server: Server, newest: &SignedRecord) {
    let grid = *newest.grid();
    let request = Request::Store { grid, record: newest.bytes().to_vec() };
    match parts.dht.ask(&server, request).await {
        Ok(Response { body: Body::Verdict { verdict: WireVerdict::Stored, .. }, .. }) => {
            debug!(peer = %server.peer, %grid, "repaired a stale holder");
        }
        // It was repaired meanwhile, with something newer still.
        Ok(Response { body: Body::Verdict { verdict: WireVerdict::Stale, newer: Some(newer) }, .. }) => {
            let newer = SignedRecord::from_bytes(&newer, &grid).ok().filter(|newer| newer.supersedes(newest));
            let newer = newer.filter(|newer| newer.time_fault(parts.clock.now()).is_none());
            if let Some(newer) = newer {
                parts.dht.confirm(&newer).await;
                raise(parts, &newer).await;
            }
        }
        Ok(_) => {}
        Err(error) => debug!(peer = %server.peer, %error, "a stale holder could not be repaired"),
    }
}

async fn raise(parts: &Parts, record: &SignedRecord) {
    // What we cannot read raises no floor.
    let Ok(record) = GridRecord::read(record.clone()) else { return };
    if let Err(error) = parts.raise(&record).await {
        warn!(%error, "a newer record was found and its floor could not be written");
    }
}
