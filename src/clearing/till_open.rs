//! How a lane is opened at a till: what is proposed, at what price, and what of it comes back signed.

use crate::clearing::lane_documents::CheckedOffer;
use crate::clearing::till::Till;
use crate::clearing::till_account::AccountKey;
use crate::clearing::till_error::TillError;
use crate::clearing::till_lane::Lane;
use crate::keys::PublicKey;
use crate::ledger::{LedgerError, Part};
use crate::rate::Asset;
use crate::signed::Identity;
use crate::tariff::lane::{LaneSecret, Limits};
use crate::tariff::wire::{LaneId, LaneOpen, LaneOpenBody, LaneProposal};
use crate::units::{PricePerGib, Seconds, UnixSeconds};

/// How long a proposal may take to come back signed.
const PROPOSED: Seconds = Seconds(300);
/// How many lanes one payer has open at once.
const LANES: usize = 1_024;

/// At what a lane is sold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sale {
    /// Who pays: a grid, or a client.
    pub payer: PublicKey,
    /// The key that signs for it.
    pub payer_key: PublicKey,
    /// What in.
    pub asset: Asset,
    /// How much.
    pub price: PricePerGib,
    /// What gives this price.
    pub evidence: Option<Identity>,
    /// Under which terms.
    pub terms: Option<Identity>,
    /// Under which membership.
    pub grant: Option<Identity>,
    /// How long at most.
    pub not_after: UnixSeconds,
    /// What may be out to this payer, over all of its lanes.
    pub limits: Limits,
}

impl Till {
    /// Signs what is offered at `sale`, for the payer to sign.
    pub fn propose(&self, offer: &CheckedOffer, sale: &Sale) -> Result<LaneProposal, TillError> {
        let now = self.0.clock.now();
        let mut nonce = [0; 16];
        getrandom::fill(&mut nonce).map_err(|_| TillError::Books(LedgerError::Closed))?;
        let body = LaneOpenBody {
            payer: sale.payer,
            payer_key: sale.payer_key,
            payee: self.0.grid,
            payee_key: self.0.key.public(),
            destination: (offer.destination != self.0.grid).then_some(offer.destination),
            asset: sale.asset,
            price: sale.price,
            evidence: sale.evidence,
            terms: sale.terms,
            grant: sale.grant,
            position: offer.position,
            payer_instance: offer.payer_instance,
            payee_instance: self.0.ledger.instance(),
            payer_session: offer.payer_session,
            payee_session: self.0.session.public(),
            payer_nonce: offer.payer_nonce,
            payee_nonce: nonce,
            secret_hash: offer.secret_hash,
            opened_at: now,
            not_after: sale.not_after.min(now.plus(LaneOpenBody::MAX_LIFETIME)),
        };
        Ok(LaneProposal::sign(&body, &self.0.key)?)
    }

    /// Opens a lane that was proposed here at `sale`: kept in the books when this returns.
    pub async fn agree(&self, agreed: &[u8], secret: [u8; 32], sale: &Sale) -> Result<LaneId, TillError> {
        let open = LaneOpen::from_bytes(agreed)?;
        let (body, now, id) = (open.body(), self.0.clock.now(), open.identity());
        let secret = LaneSecret::new(secret);
        match body {
            _ if body.payee_key != self.0.key.public() || body.payee != self.0.grid => {
                return Err(TillError::NotProposed("another gateway's key signs for the payee"));
            }
            _ if body.payer != sale.payer || body.payer_key != sale.payer_key => {
                return Err(TillError::NotProposed("it is another payer's"));
            }
            _ if body.payee_instance != self.0.ledger.instance() || body.payee_session != self.0.session.public() => {
                return Err(TillError::Closed("it was proposed before this gateway was started"));
            }
            _ if secret.hash() != body.secret_hash => return Err(TillError::NotProposed("the secret is another one")),
            _ if now > body.opened_at.plus(PROPOSED) || now >= body.not_after => {
                return Err(TillError::Closed("the proposal is too old"));
            }
            // What is asked may have changed since.
            _ if (body.asset, body.price, body.terms) != (sale.asset, sale.price, sale.terms) => {
                return Err(TillError::Closed("the price is another one by now"));
            }
            _ => {}
        }
        if self.state().lanes.contains_key(&id) {
            return Ok(id);
        }
        let of_payer = |lane: &&Lane| lane.open.body().payer == sale.payer && lane.closed.is_none();
        if self.state().lanes.values().filter(of_payer).count() >= LANES {
            return Err(TillError::Closed("too many lanes of this payer are open"));
        }
        let account = AccountKey::of(sale.payer, sale.asset, &sale.limits);
        let (price, not_after) = (body.price, body.not_after);
        self.0.ledger.open_lane(Part::Payee, open.clone(), now).await?;
        self.opened(account, sale.limits).await?;
        let opened = self.with_account(account, |lanes, account_of, _| {
            account_of.pair.open(id, price, not_after);
            lanes.entry(id).or_insert_with(|| Lane::new(open, secret, account, sale.limits.window));
            ((), Vec::new())
        });
        opened.map(|()| id).ok_or(TillError::Closed("its time is over"))
    }
}
