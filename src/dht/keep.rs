//! Keep-alive and anti-entropy: holders compare their books and fetch what they lack.
//!
//! A record so lives as long as one holder does, its publisher gone or not, and a node that was away is up to date seconds
//! after its return. Only pulling: nobody can push a stale book on others. What is fetched passes the same judgement as
//! anything else, and what to want is decided in `record`.

use crate::dht::handle::{AskError, Dht};
use crate::dht::message::{Body, BucketDigest, GRIDS_PER_FETCH, Request, Response, RowDigest};
use crate::dht::server::{Point, Server};
use crate::dht::walk::WIDTH;
use crate::keys::GridId;
use futures::{StreamExt, stream};
use libp2p::PeerId;
use std::collections::HashSet;
use std::time::{Duration, Instant};
use tokio::sync::watch;
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
/// How soon after servers came or went the next comparison follows: what the lost ones held is now for others to hold.
const AFTER_CHANGE: Duration = Duration::from_secs(5);
/// A comparison older than this says nothing of what the others hold now.
const RECENT: Duration = Duration::from_secs(180);

/// How far our own book has been compared with those of others.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Compared {
    rounds: usize,
    last: Option<Instant>,
}

impl Compared {
    /// Whether every record of a network with `known` other servers is in our own book, as far as we can know.
    pub(super) fn whole(self, known: usize, whole_network_limit: usize, now: Instant) -> bool {
        let recent = self.last.is_some_and(|last| now.saturating_duration_since(last) < RECENT);
        (1..=whole_network_limit).contains(&known) && self.rounds >= known.min(AT_FIRST) && recent
    }
}

/// Compares and fetches until the node stops.
pub(super) async fn keep(dht: Dht, whole_network_limit: usize, compared: watch::Sender<Compared>) {
    dht.knows(1).await;
    let mut known = dht.known();
    tokio::time::sleep(GATHER).await;
    let mut seen = HashSet::new();
    let (mut rounds, mut failures, mut soon) = (0, 0, 0_usize);
    let mut silent = known.borrow().silent;
    loop {
        // What changes from here on, in the comparison too: what those held who are found dead by it is now for others to hold.
        if known.borrow_and_update().silent > silent {
            sound_out(&dht).await;
            soon = AT_FIRST;
        }
        silent = known.borrow().silent;
        let Some(partner) = partner(&dht, &mut seen, whole_network_limit, rounds).await else { return };
        let pause = match partner {
            None => COMPARE_EVERY,
            Some(partner) => match compare(&dht, &partner).await {
                Ok(news) => {
                    (rounds, failures) = (rounds + 1, 0);
                    compared.send_replace(Compared { rounds, last: Some(Instant::now()) });
                    dht.metrics().compared("done");
                    if news > 0 {
                        info!(records = news, "fetched records that other holders had");
                    }
                    let was_soon = soon > 0;
                    soon = soon.saturating_sub(1);
                    match rounds < AT_FIRST {
                        true => Duration::ZERO,
                        false if was_soon => AFTER_CHANGE,
                        false => COMPARE_EVERY,
                    }
                }
                Err(error) => {
                    failures += 1;
                    dht.metrics().compared("failed");
                    debug!(%error, "could not compare books");
                    // Whoever is not there says nothing of the others: the next one is asked at once.
                    if failures < AT_FIRST { Duration::ZERO } else { AFTER_FAILURE }
                }
            },
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            Ok(()) = known.changed() => tokio::time::sleep(AFTER_CHANGE.min(pause)).await,
        }
    }
}

/// Asks the nearest of those we met whether they are there, several at once: who is dead is seldom dead alone, and each is found
/// out by a dial that takes its time. Who does not answer is not counted among the living. Whom others only name is not dialled:
/// anybody could have us knock at twenty doors.
async fn sound_out(dht: &Dht) {
    let near = dht.nearest_met(Point::of(&dht.peer_id().to_bytes()), WIDTH).await;
    let asked = stream::iter(near).for_each_concurrent(AT_ONCE, |server| async move {
        let _ = ask(dht, &server, Request::Digest).await;
    });
    asked.await;
}

/// With whom to compare next: in turn, whoever was not asked in this turn; nearest first, since they hold what we should.
/// `None` if the node has stopped.
async fn partner(
    dht: &Dht,
    seen: &mut HashSet<PeerId>,
    whole_network_limit: usize,
    round: usize,
) -> Option<Option<Server>> {
    if dht.has_stopped() {
        return None;
    }
    let own = Point::of(&dht.peer_id().to_bytes());
    let known = dht.known().borrow().counted;
    let candidates = match known <= whole_network_limit {
        // Not with whom one network only names: each that is not there would cost the time of a dial.
        true => dht.everybody(own, 0).await,
        false => dht.nearest(own, WIDTH).await,
    };
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
    fn a_network_is_held_whole_while_it_is_small_and_was_compared_lately() {
        let now = Instant::now();
        let compared = |rounds| Compared { rounds, last: Some(now) };
        assert!(compared(4).whole(30, 200, now));
        assert!(compared(2).whole(2, 200, now), "there are no more to compare with");
        assert!(!compared(3).whole(30, 200, now), "one of them may know little");
        assert!(!compared(4).whole(201, 200, now));
        assert!(!compared(4).whole(0, 200, now), "nobody to tell of what is new");
        assert!(!compared(4).whole(30, 200, now + RECENT), "cut off since");
        assert!(!Compared::default().whole(1, 200, now));
    }

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
