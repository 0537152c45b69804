//! How a payer takes up lanes with a gateway of which it may have missed something: of earlier processes, or from when it was away.

use crate::clearing::lane_documents::{LaneStanding, MAX_ANSWER_BYTES, lane_text};
use crate::clearing::purse::Purse;
use crate::clearing::purse_lane::{PurseLane, send};
use crate::ledger::{LaneState, Part};
use crate::peer::{GatewayClient, PeerError};
use crate::tariff::lane::{PayerEffect, PayerLane, WriteOff};
use crate::tariff::wire::{LaneId, Voucher};
use hyper::Method;
use tracing::{debug, warn};

impl Purse {
    /// Tells a gateway what it may have missed of lanes that nothing is read on any more, of earlier processes or because it was
    /// away: each one's best voucher. What it shows of our own signature that these books have forgotten is taken up.
    pub(super) async fn resume(&self, client: &GatewayClient) {
        let gateway = *client.place().nurl.spki_hash();
        if !self.lanes().resumed.insert(gateway) {
            return;
        }
        let (ledger, now) = (&self.0.ledger, self.0.clock.now());
        let lanes = match ledger.open_lanes(Part::Payer, now).await {
            Ok(lanes) => lanes,
            Err(error) => return warn!(%error, "lanes of before cannot be read"),
        };
        let in_use: Vec<LaneId> = self.lanes().all.iter().filter(|lane| !lane.is_over()).map(PurseLane::id).collect();
        let of_payee = lanes.into_iter().filter(|lane| lane.open.body().payee == client.place().grid);
        for lane in of_payee.filter(|lane| !in_use.contains(&lane.open.identity())) {
            if let Err(error) = self.resume_lane(client, &lane).await {
                debug!(%error, "a lane of before could not be brought up to date");
            }
        }
    }

    async fn resume_lane(&self, client: &GatewayClient, lane: &LaneState) -> Result<(), PeerError> {
        let (id, price, now) = (lane.open.identity(), lane.open.body().price, self.0.clock.now());
        let path = format!("/v1/lanes/{}", lane_text(&id));
        let ours = lane.voucher.as_ref();
        // Nothing more is read on it: how large its window was makes no difference.
        let best = ours.map(|voucher| voucher.body().clone());
        let mut machine = PayerLane::new(id, price, WriteOff::CLIENT_WINDOW, best);
        machine.reconnect(now);
        let theirs = match ours {
            Some(voucher) => Some(send(client, &lane.open, voucher, None).await?),
            None => {
                let json = "application/json";
                let answer = client.send(Method::GET, &path, json, Vec::new().into(), MAX_ANSWER_BYTES).await?;
                let standing: Result<LaneStanding, _> = serde_json::from_slice(&answer);
                let standing = standing.map_err(|_| client.malformed("not the JSON expected"))?;
                standing.voucher_base64url.map(|voucher| voucher.0)
            }
        };
        // What it shows was signed by us, or it is nothing.
        let theirs = theirs.map(|voucher| Voucher::of_lane(&voucher, &lane.open)).transpose();
        if let Some(theirs) = theirs.map_err(|_| client.malformed("not a voucher of this lane"))? {
            let adopts = |effect: &PayerEffect| matches!(effect, PayerEffect::Persist(..));
            if machine.acknowledged(theirs.body(), now).iter().any(adopts) {
                let booked = self.0.ledger.voucher(Part::Payer, theirs, Vec::new(), now).await;
                booked.map_err(|error| PeerError::Books(error.to_string()))?;
            }
        }
        client.send(Method::DELETE, &path, "application/json", Vec::new().into(), MAX_ANSWER_BYTES).await?;
        Ok(())
    }
}
