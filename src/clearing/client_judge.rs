//! What a client agrees to when it pays its home: a price that the home has signed for it. What may be spent is the purse's.

use crate::clearing::purse::{Judge, Judged, Wanted};
use crate::keys::{GridId, PublicKey};
use crate::peer::{GatewayClient, PeerError};
use crate::tariff::wire::{Deck, LaneOpenBody};
use futures::FutureExt;
use futures::future::BoxFuture;

/// Judges for a client.
#[derive(Debug)]
pub struct ClientJudge {
    /// The client's accounting key.
    pub client: PublicKey,
    /// Whether a person has confirmed what the home's policy asks about.
    pub confirmed: bool,
}

impl ClientJudge {
    /// What is wrong with a proposal. The gateway's key is the one behind the connection that the user's NURL pins.
    fn fault(&self, body: &LaneOpenBody, deck: Option<&Deck>) -> Option<&'static str> {
        if body.price.0 == 0 {
            return None;
        }
        let Some(deck) = deck else { return Some("it has a price, and no deck that says so") };
        let says = deck.body();
        match says {
            _ if Some(deck.identity()) != body.evidence => Some("its evidence is not the deck"),
            _ if says.seller != body.payee || says.signer != body.payee_key => Some("its deck is somebody else's"),
            _ if (says.asset, says.price) != (body.asset, body.price) => Some("its deck says another price"),
            _ if !says.covers(&self.client, &body.destination(), body.opened_at) => Some("its deck does not cover it"),
            _ => None,
        }
    }
}

impl Judge for ClientJudge {
    fn wanted<'a>(&'a self, _: &'a GridId, _: &'a GridId) -> BoxFuture<'a, Judged<Wanted>> {
        async { Ok(Wanted { confirmed: self.confirmed, ..Wanted::default() }) }.boxed()
    }

    fn price<'a>(
        &'a self,
        client: &'a GatewayClient,
        proposed: &'a LaneOpenBody,
        deck: Option<&'a Deck>,
    ) -> BoxFuture<'a, Judged<()>> {
        let judged = match self.fault(proposed, deck) {
            None => Ok(()),
            Some(what) => Err(PeerError::Lane { place: client.place().nurl.place().clone(), what }),
        };
        async { judged }.boxed()
    }

    fn offered<'a>(&'a self, _: &'a GatewayClient, _: &'a serde_json::Value) -> BoxFuture<'a, Judged<bool>> {
        // A client has no terms but its membership.
        async { Ok(false) }.boxed()
    }
}
