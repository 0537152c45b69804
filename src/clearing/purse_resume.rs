//! How a payer takes up lanes with a gateway of which it may have missed something: of earlier processes, or from when it was away.

use crate::clearing::lane_documents::{
    LaneShown, LanesShown, LanesTaken, MAX_SHOWN, MAX_SHOWN_BYTES, NotTaken, Octets, lane_text,
};
use crate::clearing::late::is_over;
use crate::clearing::purse::Purse;
use crate::clearing::purse_lane::{PurseLane, is_final};
use crate::ledger::{LaneState, LedgerError, Part};
use crate::peer::{GatewayClient, PeerError};
use crate::tariff::lane::{Limits, PayerEffect, PayerLane};
use crate::tariff::wire::{LaneId, Voucher};
use hyper::Method;
use tracing::{debug, warn};

impl Purse {
    /// Tells a gateway what it may have missed of lanes that nothing is read on any more, of earlier processes or because it was
    /// away: each one's best voucher, 128 of them in one request. What it shows of our own signature that these books have
    /// forgotten is taken up.
    pub(super) async fn resume(&self, client: &GatewayClient) {
        let (gateway, session) = (*client.place().nurl.spki_hash(), client.session());
        if self.lanes().resumed.insert(gateway, session) == Some(session) {
            return;
        }
        let lanes = match self.lanes_to_show(client).await {
            Ok(lanes) => lanes,
            Err(error) => return warn!(%error, "lanes of before cannot be read"),
        };
        for some in lanes.chunks(MAX_SHOWN) {
            if let Err(error) = self.show(client, some).await {
                debug!(%error, "lanes of before could not be brought up to date");
                if !is_final(&error) {
                    self.0.left_unsent(client);
                }
                return;
            }
        }
    }

    async fn lanes_to_show(&self, client: &GatewayClient) -> Result<Vec<LaneState>, LedgerError> {
        let (ledger, now) = (&self.0.ledger, self.0.clock.now());
        let in_use: Vec<LaneId> = self.lanes().all.iter().filter(|lane| !lane.is_over()).map(PurseLane::id).collect();
        let mut lanes = ledger.lanes_to_show(&self.0.payer, &client.place().grid, now).await?;
        lanes.retain(|lane| {
            let body = lane.open.body();
            // Another gateway of ours that writes the same books may be reading on its own ones.
            let is_ours = body.payer_key == self.0.key.public() || body.not_after <= now;
            is_ours && !in_use.contains(&lane.open.identity())
        });
        let (mut to_show, mut over) = (Vec::with_capacity(lanes.len()), Vec::new());
        for lane in lanes {
            if is_over(ledger, lane.open.body(), now).await? {
                over.push(lane.open.identity());
            } else {
                to_show.push(lane);
            }
        }
        if !over.is_empty() {
            // They stay as they are in these books, and the payee's may say less.
            debug!(lanes = over.len(), "lanes ended so long ago that nobody is shown a voucher of them any more");
            ledger.told(over).await?;
        }
        Ok(to_show)
    }

    async fn show(&self, client: &GatewayClient, lanes: &[LaneState]) -> Result<(), PeerError> {
        let books = |error: LedgerError| PeerError::Books(error.to_string());
        let shown = lanes.iter().map(|lane| LaneShown {
            lane: lane_text(&lane.open.identity()),
            voucher_base64url: lane.voucher.as_ref().map(|voucher| Octets(voucher.bytes().to_vec())),
        });
        let shown = LanesShown { lanes: shown.collect() };
        let body = serde_json::to_vec(&shown).map_err(|error| PeerError::Books(error.to_string()))?;
        let path = "/v1/lanes/shown";
        let answer = client.send(Method::POST, path, "application/json", body.into(), MAX_SHOWN_BYTES).await?;
        let taken: LanesTaken =
            serde_json::from_slice(&answer).map_err(|_| client.malformed("not the JSON expected"))?;
        let mut told = Vec::with_capacity(lanes.len());
        for (lane, taken) in lanes.iter().zip(taken.lanes) {
            let id = lane.open.identity();
            if taken.lane != lane_text(&id) {
                return Err(client.malformed("an answer about another lane than was shown"));
            }
            match taken.refused {
                None => {}
                Some(why @ NotTaken::LaneClosed) => {
                    warn!(lane = %id, ?why, "the payee takes no voucher of a lane any more: its books may say less than these");
                    told.push(id);
                    continue;
                }
                // It came to nothing: it was never opened there, or nothing was acknowledged on it.
                Some(NotTaken::NotFound) if lane.voucher.is_none() => {
                    told.push(id);
                    continue;
                }
                // One of another gateway with books of its own, or of the machine that this one is a copy of: it is told when it is met.
                Some(why) => {
                    debug!(lane = %id, ?why, "a lane of before is not brought up to date");
                    continue;
                }
            }
            // What it shows was signed by us, or it is nothing.
            let theirs = taken.voucher_base64url.map(|voucher| Voucher::of_lane(&voucher.0, &lane.open)).transpose();
            let theirs = theirs.map_err(|_| client.malformed("not a voucher of this lane"))?;
            if let Some(theirs) = theirs.filter(|theirs| self.adopts(lane, theirs)) {
                self.0.ledger.voucher(Part::Payer, theirs, Vec::new(), self.0.clock.now()).await.map_err(books)?;
            }
            told.push(id);
        }
        if told.is_empty() { Ok(()) } else { self.0.ledger.told(told).await.map_err(books) }
    }

    /// Whether the payer's machine takes up what the payee shows.
    fn adopts(&self, lane: &LaneState, theirs: &Voucher) -> bool {
        let now = self.0.clock.now();
        let best = lane.voucher.as_ref().map(|voucher| voucher.body().clone());
        // Nothing more is read on it: how large its window was makes no difference.
        let mut machine = PayerLane::new(lane.open.identity(), lane.open.body().price, Limits::CLIENT_WINDOW, best);
        machine.reconnect(now);
        machine.acknowledged(theirs.body(), now).iter().any(|effect| matches!(effect, PayerEffect::Persist(..)))
    }
}
