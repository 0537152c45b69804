//! Bringing a record to those who should hold it, and reading it back from them.
//!
//! In a small network all servers hold every record; in a large one the whole region of the keyspace around it does, as
//! wide as the twenty nearest honest servers are expected to reach by the network's estimated size (SR-DHT-Store, de Moura
//! Netto et al., 2025): a few Sybils nearer than they cannot censor it. Nobody's "stored" counts: only a read-back does.

use crate::address::Network;
use crate::dht::message::{Body, Request, Response, WireVerdict};
use crate::dht::server::{Point, Server};
use crate::dht::walk::WIDTH;
use crate::dht::{Dht, Finding};
use crate::publisher::receipt::{Reach, Receipt};
use crate::publisher::region::region;
use crate::record::SignedRecord;
use futures::{StreamExt, stream};
use libp2p::PeerId;
use std::collections::{HashMap, HashSet};
use std::time::Instant;
use tracing::debug;

/// How many servers are spoken with at once: those whose read-back the receipt waits for. Setting up a connection costs 6 ms
/// of CPU at each end, and a standing one about 100 kB.
const AT_ONCE: usize = WIDTH;
/// How wide the walk is whose end the region is cut from: twice the twenty that must be in it.
const REGION_WALK: usize = 2 * WIDTH;

/// The holders of one record, as they were read back.
#[derive(Debug, Default)]
pub(crate) struct Spread {
    holders: HashMap<PeerId, Option<Network>>,
    tried: HashSet<PeerId>,
}

/// What a server turned out to hold.
enum Held {
    /// This one; and from which network it was read back.
    This(Option<Network>),
    Newer(Vec<u8>),
    Not,
}

impl Spread {
    /// Stores `record` with `servers` and reads it back. Returns a newer record of the same grid if one of them had it.
    pub(crate) async fn to(&mut self, dht: &Dht, record: &SignedRecord, servers: Vec<Server>) -> Option<Vec<u8>> {
        let mut newer = None;
        let mut results = stream::iter(servers)
            .map(|server| async move {
                let held = store_and_read_back(dht, record, &server).await;
                dht.part(server.peer).await;
                (server, held)
            })
            .buffer_unordered(AT_ONCE);
        while let Some((server, held)) = results.next().await {
            self.tried.insert(server.peer);
            match held {
                Held::This(network) => {
                    self.holders.insert(server.peer, network);
                }
                Held::Newer(bytes) => newer = Some(bytes),
                Held::Not => {
                    self.holders.remove(&server.peer);
                }
            }
        }
        newer
    }

    /// Whether the record was read back from this server.
    pub(crate) fn holds(&self, peer: &PeerId) -> bool {
        self.holders.contains_key(peer)
    }

    /// What there is to say of it so far.
    pub(crate) fn receipt(&self, record: &SignedRecord, reach: Reach, servers_known: usize, since: Instant) -> Receipt {
        let networks: HashSet<&Network> = self.holders.values().flatten().collect();
        Receipt {
            grid: *record.grid(),
            sequence: record.sequence(),
            identity: record.identity(),
            reach,
            servers_known,
            asked: self.tried.len(),
            holders: self.holders.len(),
            networks: networks.len(),
            elapsed: since.elapsed(),
        }
    }
}

async fn store_and_read_back(dht: &Dht, record: &SignedRecord, server: &Server) -> Held {
    let grid = *record.grid();
    let store = Request::Store { grid, record: record.bytes().to_vec() };
    match dht.ask(server, store).await {
        Ok(Response { body: Body::Verdict { verdict: WireVerdict::Stale, newer: Some(newer) }, .. }) => {
            return Held::Newer(newer);
        }
        Ok(Response { body: Body::Verdict { verdict: WireVerdict::Stored | WireVerdict::Held, .. }, .. }) => {}
        Ok(answer) => {
            debug!(peer = %server.peer, ?answer, "the record was not taken");
            return Held::Not;
        }
        Err(error) => {
            debug!(peer = %server.peer, %error, "the record could not be brought");
            return Held::Not;
        }
    }
    match dht.ask_whence(server, Request::Resolve { grid }).await {
        Ok((Response { body: Body::Found { record: Some(bytes), .. }, .. }, network)) if bytes == record.bytes() => {
            Held::This(network)
        }
        Ok(_) => {
            debug!(peer = %server.peer, "acknowledged and not kept");
            Held::Not
        }
        Err(error) => {
            debug!(peer = %server.peer, %error, "could not be read back");
            Held::Not
        }
    }
}

/// The servers that should hold a record, nearest to its key first, and by which rule.
pub(crate) async fn targets(dht: &Dht, record: &SignedRecord, whole_network_limit: usize) -> (Reach, Vec<Server>) {
    let target = Point::of(record.grid().record_key().as_bytes());
    let known = dht.known().borrow().counted;
    if known <= whole_network_limit {
        return (Reach::WholeNetwork, dht.everybody(target, whole_network_limit).await);
    }
    let mut findings = dht.lookup(*record.grid(), REGION_WALK);
    let mut answered = Vec::new();
    while let Some(finding) = findings.recv().await {
        if let Finding::Answer { server, network, .. } = finding {
            answered.push((server, network));
        }
    }
    answered.sort_by_key(|(server, _)| target.distance(&server.point()));
    let own = Point::of(&dht.peer_id().to_bytes());
    let around_us = dht.nearest_met(own, WIDTH).await;
    answered.truncate(region(target, &answered, own, &around_us));
    (Reach::Region, answered.into_iter().map(|(server, _)| server).collect())
}
