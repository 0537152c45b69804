//! Answering: others' questions from the book, and what comes of ours.

use crate::address::Network;
use crate::dht::driver::task::{Driver, Purpose};
use crate::dht::handle::AskError;
use crate::dht::message::{
    Body, DIGESTS_PER_PAGE, FetchedRow, MAX_EVIDENCE, MAX_NEARER, Request, Response, RowDigest, SERVERS_PER_PAGE,
    WireVerdict,
};
use crate::dht::server::Point;
use crate::keys::{GridId, RecordKey};
use crate::metrics::Origin;
use crate::record::{HOLDERS, Verdict, Want, falls_to, want};
use libp2p::PeerId;
use libp2p::kad::{self, InboundRequest};
use libp2p::request_response::{self, InboundFailure, OutboundFailure};
use std::time::Instant;
use tracing::debug;

impl Driver {
    pub(super) fn on_record(&mut self, event: request_response::Event<Option<Request>, Response>) {
        match event {
            request_response::Event::Message { peer, connection_id, message } => match message {
                request_response::Message::Request { request, channel, .. } => {
                    self.connections.asked(&peer);
                    let network = self.connections.network_of(&peer, connection_id);
                    let body = request.map_or(Body::Unsupported, |request| self.answer(peer, network, request));
                    let response = Response { time: self.clock.now(), body };
                    // The peer may have hung up meanwhile.
                    let _ = self.swarm.behaviour_mut().record.send_response(channel, response);
                }
                request_response::Message::Response { request_id, response } => {
                    self.peers.answered(&peer);
                    self.note_clock(peer, &response);
                    // Where it was reached, whichever connection the answer took: one that it made itself may come from elsewhere.
                    let network = self.connections.network(&peer);
                    let Some((peer, purpose)) = self.close(&request_id) else { return };
                    match (purpose, response) {
                        (Purpose::Answer(reply), response) => drop(reply.send(Ok((response, network)))),
                        (Purpose::Page { after, left }, Response { body: Body::Servers { page, more }, .. }) => {
                            self.on_page(peer, after, left, page, more);
                        }
                        (Purpose::Page { .. }, _) => {}
                    }
                }
            },
            request_response::Event::OutboundFailure { request_id, error, .. } => {
                if let Some((_, Purpose::Answer(reply))) = self.close(&request_id) {
                    drop(reply.send(Err(ask_error(error))));
                }
            }
            request_response::Event::InboundFailure { peer, error, .. } => {
                if !matches!(error, InboundFailure::ConnectionClosed | InboundFailure::ResponseOmission) {
                    debug!(%peer, %error, "a question that could not be answered");
                }
            }
            request_response::Event::ResponseSent { .. } => {}
        }
    }

    pub(super) fn answer(&mut self, peer: PeerId, network: Option<Network>, request: Request) -> Body {
        self.metrics.question(request.kind());
        match request {
            Request::Resolve { grid } => {
                let nearer = self.peers.nearest_verified(Point::of(grid.record_key().as_bytes()), MAX_NEARER + 1);
                let nearer = nearer.into_iter().filter(|server| server.peer != peer).take(MAX_NEARER).collect();
                let record = self.book().current(&grid).map(|record| record.bytes().to_vec());
                let evidence = self.book().evidence(&grid);
                let evidence =
                    evidence.iter().take(MAX_EVIDENCE).map(|proof| proof.signed().bytes().to_vec()).collect();
                Body::Found { record, evidence, nearer }
            }
            Request::Store { grid, record } => self.verdict(peer, network, &grid, &record),
            Request::Servers { after } => {
                let (page, more) = self.peers.page(after, SERVERS_PER_PAGE);
                Body::Servers { page, more }
            }
            Request::Digest => Body::Digest { buckets: self.book().digests().buckets() },
            Request::Bucket { bucket, after } => {
                let (rows, more) = self.book().digests().page(bucket, after, DIGESTS_PER_PAGE);
                Body::Bucket { rows, more }
            }
            Request::Fetch { grids } => {
                Body::Fetched { rows: grids.into_iter().filter_map(|grid| self.fetched(grid)).collect() }
            }
        }
    }

    /// What we hold of a grid, for another node; `None` if that is nothing.
    pub(super) fn fetched(&mut self, grid: GridId) -> Option<FetchedRow> {
        let record = self.book().current(&grid).map(|record| record.bytes().to_vec());
        let evidence = self.book().all_evidence(&grid);
        let evidence: Vec<Vec<u8>> = evidence.iter().map(|proof| proof.signed().bytes().to_vec()).collect();
        (record.is_some() || !evidence.is_empty()).then_some(FetchedRow { grid, record, evidence })
    }

    /// Which of the rows that `from` holds we want.
    pub(super) fn wanted(&mut self, from: PeerId, rows: &[([u8; 32], RowDigest)]) -> Vec<GridId> {
        let network = self.connections.network(&from);
        let now = Instant::now();
        let mut wanted = Vec::new();
        for (key, theirs) in rows {
            let Ok(grid) = GridId::from_bytes(key) else { continue };
            if self.book().digests().of(key).is_none() {
                // A row of the disk that was not verified yet has no digest until it is asked for.
                self.book().row(&grid);
            }
            let ours = self.book().digests().of(key).copied();
            let wants = match want(ours.as_ref(), theirs, || self.falls_to_us(&grid)) {
                Want::No => false,
                Want::Yes => true,
                Want::IfVouched => {
                    let others = self.peers.networks();
                    self.vouchers.vouch(*key, network.clone(), others)
                        || self.admission.admits_new_key(from, network.clone(), now)
                }
            };
            if wants {
                wanted.push(grid);
            }
        }
        wanted
    }

    /// Whether we are among those who hold a grid's record.
    fn falls_to_us(&self, grid: &GridId) -> bool {
        let target = Point::of(grid.record_key().as_bytes());
        let own = target.distance(&Point::of(&self.swarm.local_peer_id().to_bytes()));
        let nearest = self.peers.nearest_living(target, HOLDERS);
        let distances = nearest.iter().map(|server| target.distance(&server.point()));
        falls_to(&own, self.peers.counted(), distances, self.whole_network_limit)
    }

    pub(super) fn take_in(&mut self, rows: Vec<FetchedRow>) -> usize {
        let mut news = 0;
        for row in rows {
            for evidence in &row.evidence {
                self.book().offer_evidence(&row.grid, evidence);
            }
            if let Some(record) = &row.record {
                news += usize::from(matches!(self.offer(Origin::Fetched, &row.grid, record), Verdict::Stored));
            }
        }
        news
    }

    pub(super) fn verdict(&mut self, peer: PeerId, network: Option<Network>, grid: &GridId, record: &[u8]) -> Body {
        let verdict = self.offer_from(Origin::Peer, peer, network, grid, record);
        let wire = match &verdict {
            Verdict::Stored => WireVerdict::Stored,
            Verdict::Held => WireVerdict::Held,
            Verdict::Stale(_) => WireVerdict::Stale,
            Verdict::Bad(_) => WireVerdict::Bad,
            Verdict::Expired => WireVerdict::Expired,
            Verdict::TooBig => WireVerdict::TooBig,
            Verdict::Busy => WireVerdict::Busy,
        };
        let newer = match verdict {
            Verdict::Stale(newer) => Some(newer.bytes().to_vec()),
            _ => None,
        };
        Body::Verdict { verdict: wire, newer }
    }

    /// Offers a stranger's record to the book, within the rate for keys that are new.
    pub(super) fn offer_from(
        &mut self,
        origin: Origin,
        peer: PeerId,
        network: Option<Network>,
        grid: &GridId,
        record: &[u8],
    ) -> Verdict {
        if self.book().row(grid).is_none() && !self.admission.admits_new_key(peer, network, Instant::now()) {
            return self.refused_for_now(origin);
        }
        let verdict = self.offer(origin, grid, record);
        if let Verdict::Bad(error) = &verdict {
            debug!(%peer, %grid, %error, "refused a record");
        }
        verdict
    }

    pub(super) fn on_kad(&mut self, event: kad::Event) {
        match event {
            kad::Event::InboundRequest {
                request: InboundRequest::PutRecord { source, connection, record: Some(record) },
            } => {
                self.connections.asked(&source);
                if let Some(grid) = RecordKey::grid_id(record.key.as_ref()) {
                    let network = self.connections.network_of(&source, connection);
                    self.offer_from(Origin::Kad, source, network, &grid, &record.value);
                }
            }
            kad::Event::RoutingUpdated { peer, is_new_peer, addresses, .. } => {
                self.on_routed(peer, is_new_peer, &addresses);
            }
            _ => {}
        }
    }
}

fn ask_error(error: OutboundFailure) -> AskError {
    match error {
        OutboundFailure::DialFailure | OutboundFailure::ConnectionClosed => AskError::Unreachable,
        OutboundFailure::Timeout => AskError::TimedOut,
        OutboundFailure::UnsupportedProtocols => AskError::Unsupported,
        OutboundFailure::Io(error) => AskError::Malformed(error.to_string()),
    }
}
