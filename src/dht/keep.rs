//! Keep-alive and anti-entropy: holders compare their books and fetch what they lack.
//!
//! A record so lives as long as one holder does, its publisher gone or not, and a node that was away is up to date seconds
//! after its return. Only pulling: nobody can push a stale book on others. What is fetched passes the same judgement as
//! anything else, and what to want is decided where the servers and the book are known (`driver`).

use crate::dht::handle::{AskError, Dht};
use crate::dht::message::{Body, BucketDigest, GRIDS_PER_FETCH, Request, Response, RowDigest};
use crate::dht::server::{Point, Server};
use crate::dht::walk::WIDTH;
use crate::keys::GridId;
use futures::{StreamExt, stream};
use libp2p::PeerId;
use std::collections::HashSet;
use std::time::Duration;
use tracing::{debug, info};

/// How often a node of a small network compares its book with somebody's: equal books cost one round trip and 2 KiB.
const COMPARE_EVERY: Duration = Duration::from_secs(60);
/// With how many others a node compares when it comes: the second one vouches for what the first one holds.
const AT_FIRST: usize = 4;
/// How many buckets, or batches of records, are asked for at once from one server.
const AT_ONCE: usize = 8;
/// How long servers that come together are waited for before the first comparison.
const GATHER: Duration = Duration::from_millis(500);
/// How long after a failed comparison the next one is tried.
const AFTER_FAILURE: Duration = Duration::from_secs(5);

/// Compares and fetches until the node stops.
pub(super) async fn keep(dht: Dht, whole_network_limit: usize) {
    dht.knows(1).await;
    tokio::time::sleep(GATHER).await;
    let mut seen = HashSet::new();
    let mut round = 0;
    loop {
        let Some(partner) = partner(&dht, &mut seen, whole_network_limit, round).await else { return };
        let partner_asked = partner.is_some();
        let outcome = match partner {
            Some(partner) => compare(&dht, &partner).await,
            None => Ok(0),
        };
        round += 1;
        if partner_asked {
            dht.metrics().compared(if outcome.is_ok() { "done" } else { "failed" });
        }
        match &outcome {
            Ok(0) => {}
            Ok(news) => info!(records = news, "fetched records that other holders had"),
            Err(error) => debug!(%error, "could not compare books"),
        }
        let pause = match outcome {
            Err(_) => AFTER_FAILURE,
            Ok(_) if round < AT_FIRST => Duration::ZERO,
            Ok(_) => COMPARE_EVERY,
        };
        tokio::time::sleep(pause).await;
    }
}

/// With whom to compare next: in turn, whoever was not asked in this turn; nearest first, since they hold what we should.
/// `None` if the node has stopped.
async fn partner(
    dht: &Dht,
    seen: &mut HashSet<PeerId>,
    whole_network_limit: usize,
    round: usize,
) -> Option<Option<Server>> {
    let known = dht.status().await?.servers_known;
    let own = Point::of(&dht.peer_id().to_bytes());
    let among = if known <= whole_network_limit { known } else { WIDTH };
    let candidates = dht.nearest(own, among).await;
    let mut fresh: Vec<Server> = candidates.iter().filter(|server| !seen.contains(&server.peer)).cloned().collect();
    if fresh.is_empty() {
        seen.clear();
        fresh = candidates;
    }
    // The first rounds go to the nearest; later ones anywhere, so that differences do not stay among neighbours.
    let place = if round < AT_FIRST || fresh.is_empty() { 0 } else { round % fresh.len() };
    let chosen = fresh.get(place).cloned();
    seen.extend(chosen.as_ref().map(|server| server.peer));
    Some(chosen)
}

/// Fetches from `server` what our book lacks of its. Returns how many records were news.
async fn compare(dht: &Dht, server: &Server) -> Result<usize, AskError> {
    let Body::Digest { buckets: theirs } = ask(dht, server, Request::Digest).await? else {
        return Err(other_answer());
    };
    let Some(ours) = dht.buckets().await else { return Err(AskError::Stopped) };
    let mut news = 0;
    let mut wanted = stream::iter(differing(&ours[..], &theirs[..]))
        .map(|bucket| async move { rows(dht, server, bucket).await })
        .buffer_unordered(AT_ONCE);
    let mut grids: Vec<GridId> = Vec::new();
    while let Some(rows) = wanted.next().await {
        grids.extend(dht.wanted(server.peer, rows?).await);
    }
    let batches: Vec<Vec<GridId>> = grids.chunks(GRIDS_PER_FETCH).map(<[_]>::to_vec).collect();
    let mut fetched = stream::iter(batches)
        .map(|grids| async move { ask(dht, server, Request::Fetch { grids }).await })
        .buffer_unordered(AT_ONCE);
    while let Some(answer) = fetched.next().await {
        let Body::Fetched { rows } = answer? else { return Err(other_answer()) };
        news += dht.pulled(rows).await;
    }
    Ok(news)
}

fn differing(ours: &[BucketDigest], theirs: &[BucketDigest]) -> Vec<u8> {
    let pairs = ours.iter().zip(theirs).enumerate();
    pairs.filter(|(_, (ours, theirs))| ours != theirs).filter_map(|(n, _)| u8::try_from(n).ok()).collect()
}

/// All rows of one bucket, page by page.
async fn rows(dht: &Dht, server: &Server, bucket: u8) -> Result<Vec<([u8; 32], RowDigest)>, AskError> {
    let mut all: Vec<([u8; 32], RowDigest)> = Vec::new();
    let mut after = None;
    loop {
        let Body::Bucket { rows, more } = ask(dht, server, Request::Bucket { bucket, after }).await? else {
            return Err(other_answer());
        };
        let last = rows.last().map(|(key, _)| *key);
        all.extend(rows);
        // A page that does not lead on would be asked for for ever.
        if !more || last.is_none() || last <= after || all.len() > MAX_ROWS_PER_BUCKET {
            return Ok(all);
        }
        after = last;
    }
}

/// More rows than a full book has in one bucket, by ten times.
const MAX_ROWS_PER_BUCKET: usize = 4_000;

async fn ask(dht: &Dht, server: &Server, request: Request) -> Result<Body, AskError> {
    dht.ask(server, request).await.map(|Response { body, .. }| body)
}

fn other_answer() -> AskError {
    AskError::Malformed("an answer to another question".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_buckets_that_differ_are_asked_for() {
        let ours = [[0; 8]; 256];
        let mut theirs = ours;
        assert!(differing(&ours, &theirs).is_empty());
        theirs[0] = [1; 8];
        theirs[255] = [1; 8];
        assert_eq!(differing(&ours, &theirs), [0, 255]);
    }
}
