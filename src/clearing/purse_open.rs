//! How a payer opens a lane: what it brings, and what it agrees to.

use crate::clearing::lane_documents::{LaneAgreed, LaneOffer, LaneOpened, LaneProposed, MAX_ANSWER_BYTES, Octets};
use crate::clearing::purse::{Inner, Purse, price_text};
use crate::clearing::purse_lane::PurseLane;
use crate::clearing::spent::Budget;
use crate::keys::GridId;
use crate::ledger::{LedgerError, Part};
use crate::peer::{GatewayClient, PeerError};
use crate::rate::Asset;
use crate::session::CLAIM_TOLERANCE;
use crate::signed::Identity;
use crate::tariff::lane::LaneSecret;
use crate::tariff::wire::{Deck, LaneOpenBody, LaneProposal};
use crate::units::{Bytes, PricePerGib};
use hyper::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;
use tracing::debug;

/// What is wrong with a proposal that is dated as no clock may be that opened a session with ours.
const OTHER_TIME: &str =
    "it is dated more than 2 min from now by the clock here: compare this machine's clock with another";
/// What is wrong with a proposal under terms that were not asked for.
const OTHER_TERMS: &str = "it is under other terms";

/// What came of asking for a lane.
pub(super) enum Found {
    /// It is open.
    Lane(PurseLane),
    /// It would be no cheaper than the one that there is.
    NoCheaper,
    /// The gateway knows no lanes.
    None,
}

impl Purse {
    /// Opens a lane; where there is one at `held`, only for less.
    pub(super) async fn open(
        &self,
        client: &GatewayClient,
        destination: &GridId,
        held: Option<(Asset, PricePerGib)>,
    ) -> Result<Found, PeerError> {
        let payee = client.place().grid;
        let mut may_ask_again = true;
        loop {
            match self.try_open(client, &payee, destination, held).await {
                Ok(found) => return Ok(found),
                // Terms were agreed on for another request meanwhile.
                Err(PeerError::Lane { what: OTHER_TERMS, .. }) if may_ask_again => may_ask_again = false,
                Err(error) => {
                    let refusal = error.refusal();
                    // A gateway of before there were lanes; 404 is also what one says of a grid that it does not find.
                    let is_without = |status| matches!(status, 405 | 501) || status == 404 && *destination == payee;
                    if refusal.is_some_and(|refusal| is_without(refusal.status)) {
                        debug!("a gateway without lanes");
                        return Ok(Found::None);
                    }
                    let offers =
                        refusal.filter(|refusal| refusal.status == 402).and_then(|refusal| refusal.offers.as_ref());
                    match offers {
                        Some(offers) if may_ask_again && self.0.judge.offered(client, offers).await? => {
                            may_ask_again = false;
                        }
                        _ => return Err(error),
                    }
                }
            }
        }
    }

    async fn try_open(
        &self,
        client: &GatewayClient,
        payee: &GridId,
        destination: &GridId,
        held: Option<(Asset, PricePerGib)>,
    ) -> Result<Found, PeerError> {
        let Inner { ledger, payer, key, judge, clock, session, .. } = &*self.0;
        let wanted = judge.wanted(payee, destination).await?;
        let mut random = [0_u8; 48];
        getrandom::fill(&mut random).map_err(|error| PeerError::Books(error.to_string()))?;
        let (nonce, secret) = random.split_at(16);
        let (nonce, secret): ([u8; 16], [u8; 32]) = match (nonce.try_into(), secret.try_into()) {
            (Ok(nonce), Ok(secret)) => (nonce, secret),
            _ => return Err(PeerError::Books("no random numbers".to_owned())),
        };
        let secret = LaneSecret::new(secret);
        let secret_hash = secret.hash();
        let octets = |identity: Option<Identity>| identity.map(|identity| Octets(identity.0.to_vec()));
        let offer = LaneOffer {
            destination: *destination,
            asset: wanted.asset.map(|asset| asset.code().to_owned()),
            payer_instance_base64url: Octets(ledger.instance().to_vec()),
            payer_session_base64url: Octets(session.public().as_bytes().to_vec()),
            payer_nonce_base64url: Octets(nonce.to_vec()),
            secret_hash_base64url: Octets(secret_hash.to_vec()),
            position_base64url: octets(wanted.position),
            terms_base64url: octets(wanted.terms),
            confirmed: wanted.confirmed,
        };
        let answer: LaneProposed = post(client, "/v1/lanes/offer", &offer).await?;
        let refused = |what| PeerError::Lane { place: client.place().nurl.place().clone(), what };
        let proposal = LaneProposal::from_bytes(&answer.proposal_base64url.0)
            .map_err(|_| refused("it is no lane-open that the gateway has signed"))?;
        let body = proposal.body();
        let now = clock.now();
        // What was asked for, and nobody else's key or counter.
        let differs = match body {
            _ if body.payer != *payer || body.payer_key != key.public() => Some("it is for another payer"),
            _ if body.payee != *payee => Some("it is another grid's"),
            _ if body.destination() != *destination => Some("it is for another grid's files"),
            _ if body.payer_instance != ledger.instance() => Some("it is for another process"),
            _ if body.payer_session != session.public() => Some("another key would sign vouchers"),
            _ if body.payer_nonce != nonce => Some("it answers another offer"),
            _ if body.secret_hash != secret_hash => Some("it has another secret"),
            _ if body.position != wanted.position => Some("it names another position"),
            _ if wanted.asset.is_some_and(|asset| body.price.0 > 0 && asset != body.asset) => {
                Some("it is in another asset")
            }
            _ if body.price.0 > 0 && body.terms != wanted.terms => Some(OTHER_TERMS),
            // What gives its price is judged for that time.
            _ if body.opened_at > now.plus(CLAIM_TOLERANCE) || now > body.opened_at.plus(CLAIM_TOLERANCE) => {
                Some(OTHER_TIME)
            }
            // One that is over soon is read on as long as it lasts: so it is in the last seconds of a price.
            _ if body.not_after <= now => Some("it is over already"),
            _ => None,
        };
        if let Some(what) = differs {
            return Err(refused(what));
        }
        let deck = answer.deck_base64url.as_ref().map(|deck| Deck::from_bytes(&deck.0));
        let deck = deck.transpose().map_err(|_| refused("the deck is none"))?;
        judge.price(client, body, deck.as_ref()).await?;
        let is_cheaper = |(asset, price)| body.price.0 == 0 || (body.asset == asset && body.price < price);
        if !held.is_none_or(is_cheaper) {
            return Ok(Found::NoCheaper);
        }
        self.affordable(body)?;
        let open = proposal.accept(key).map_err(|_| refused("it cannot be signed"))?;
        let books = |error: LedgerError| PeerError::Books(error.to_string());
        if let Some(deck) = deck {
            ledger.keep(&deck, now).await.map_err(books)?;
        }
        // Before the other side may deliver on it.
        ledger.open_lane(Part::Payer, open.clone(), now).await.map_err(books)?;
        let agreed = LaneAgreed {
            lane_open_base64url: Octets(open.bytes().to_vec()),
            secret_base64url: Octets(secret.octets().to_vec()),
        };
        let _: LaneOpened = post(client, "/v1/lanes", &agreed).await?;
        let lane = PurseLane::start(Arc::clone(&self.0), client.clone(), open, secret, Bytes(answer.window_bytes));
        let mut lanes = self.lanes();
        lanes.all.retain(|lane| !lane.is_over());
        lanes.all.push(lane.clone());
        Ok(Found::Lane(lane))
    }

    /// Refuses a price that may not be paid at all.
    fn affordable(&self, body: &LaneOpenBody) -> Result<(), PeerError> {
        let price = || price_text(body.asset, body.price);
        match self.0.spent().budget() {
            _ if body.price.0 == 0 => Ok(()),
            Budget::Open => Ok(()),
            Budget::UpTo(asset, _) if asset == body.asset => Ok(()),
            Budget::UpTo(asset, _) => {
                Err(PeerError::Price { price: price(), limit: format!("only {} may be paid", asset.code()) })
            }
            Budget::Nothing => Err(PeerError::Price { price: price(), limit: "nothing may be paid".to_owned() }),
        }
    }
}

async fn post<T: DeserializeOwned>(client: &GatewayClient, path: &str, body: &impl Serialize) -> Result<T, PeerError> {
    let body = serde_json::to_vec(body).map_err(|error| PeerError::Books(error.to_string()))?;
    let answer = client.send(Method::POST, path, "application/json", body.into(), MAX_ANSWER_BYTES).await?;
    serde_json::from_slice(&answer).map_err(|_| client.malformed("not the JSON expected"))
}
