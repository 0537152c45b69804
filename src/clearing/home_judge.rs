//! What a grid agrees to when it pays another one: the price that the other has published and is bound to, under terms that
//! both have signed.

use crate::clearing::agreed_terms::AgreedTerms;
use crate::clearing::fresh_records::{FreshRecords, has_role, may_agree};
use crate::clearing::house_rules::HouseRules;
use crate::clearing::lane_documents::{MAX_ANSWER_BYTES, Octets};
use crate::clearing::purse::{Judge, Judged, Wanted};
use crate::clock::Clock;
use crate::keys::{GridId, SecretKey};
use crate::ledger::Ledger;
use crate::peer::{GatewayClient, PeerError};
use crate::rate::Asset;
use crate::record::{GridRecord, Limit, Roles, binding};
use crate::resolver::Answer;
use crate::tariff::wire::{Deck, LaneOpenBody, Terms, TermsProposal};
use crate::units::{MinorUnits, PricePerGib};
use futures::FutureExt;
use futures::future::BoxFuture;
use hyper::Method;
use std::fmt;
use tracing::info;

/// Judges for a grid.
pub struct HomeJudge {
    /// The grid that pays.
    pub grid: GridId,
    /// Its gateway's key.
    pub key: SecretKey,
    /// Other grids' records.
    pub fresh: FreshRecords,
    /// What is agreed with them.
    pub terms: AgreedTerms,
    /// Where the evidence of prices is kept.
    pub ledger: Ledger,
    /// The most credit that this gateway's key may agree to.
    pub limit: Option<Limit>,
    /// The grid manager's rules: which terms are accepted without a person.
    pub rules: HouseRules,
    /// The time.
    pub clock: Clock,
    /// Held while terms are agreed on: several requests meet the same refusal at once.
    pub agreeing: tokio::sync::Mutex<()>,
}

impl HomeJudge {
    async fn wants(&self, payee: &GridId) -> Judged<Wanted> {
        let answer = self.record(payee).await?;
        if binding(Asset::FREE, Some(&answer.record), &answer.evidence, self.clock.now()).is_some() {
            return Ok(Wanted::default());
        }
        let terms = self.terms.between(&self.grid, payee).await.map_err(|error| PeerError::Books(error.to_string()))?;
        let Some(terms) = terms.first() else { return Ok(Wanted::default()) };
        let body = terms.body();
        let position = match body.clearing {
            Some(clearing) => {
                let (first, second) = if self.grid < *payee { (self.grid, *payee) } else { (*payee, self.grid) };
                let last = self.ledger.last_position(clearing, first, second, body.asset).await;
                last.map_err(|error| PeerError::Books(error.to_string()))?.map(|position| position.identity())
            }
            None => None,
        };
        Ok(Wanted { asset: Some(body.asset), terms: Some(terms.identity()), position, confirmed: false })
    }

    async fn judged(&self, client: &GatewayClient, body: &LaneOpenBody, deck: Option<&Deck>) -> Judged<()> {
        let known = self.record(&body.payee).await?;
        if self.fault(&known, body, deck).is_none() {
            return self.keep(&known, body).await;
        }
        // Something may have changed within the hour: a new price, a new key.
        let known = self.fresh.anew(&body.payee).await.map_err(|error| unresolved(&error))?;
        match self.fault(&known, body, deck) {
            None => self.keep(&known, body).await,
            Some(what) => Err(PeerError::Lane { place: client.place().nurl.place().clone(), what }),
        }
    }

    /// What is wrong with a proposal by what its grid has published for the time at which the lane is opened.
    fn fault(&self, known: &Answer, body: &LaneOpenBody, deck: Option<&Deck>) -> Option<&'static str> {
        let (record, now) = (&known.record, body.opened_at);
        if !has_role(record, &body.payee_key, Roles::SERVE) {
            return Some("its grid's record does not let that key serve");
        }
        if body.price.0 == 0 {
            return None;
        }
        let Some(bound) = binding(body.asset, Some(record), &known.evidence, now) else {
            return Some("its grid has published no price in that asset");
        };
        if body.price > bound.promise.price {
            return Some("it is dearer than its grid has promised");
        }
        if let Some(deck) = deck {
            let says = deck.body();
            let role = |signer| {
                signer == record.grid().key()
                    || record.signed().authority().publisher() == Some(signer)
                    || has_role(record, signer, Roles::SERVE)
            };
            let covers = says.seller == body.payee
                && role(&says.signer)
                && says.covers(self.grid.key(), &body.destination(), now)
                && (says.asset, says.price) == (body.asset, body.price)
                && Some(deck.identity()) == body.evidence;
            return (!covers).then_some("its deck does not give that price");
        }
        let mut records = std::iter::once(record).chain(&known.evidence);
        let given = records.any(|record| Some(record.signed().identity()) == body.evidence);
        (!given).then_some("it names a record that is not known as evidence of its price")
    }

    /// Keeps what gives the price, for whoever is to recompute the bill.
    async fn keep(&self, known: &Answer, body: &LaneOpenBody) -> Judged<()> {
        let mut records = std::iter::once(&known.record).chain(&known.evidence);
        let evidence: Option<&GridRecord> = records.find(|record| Some(record.signed().identity()) == body.evidence);
        if let Some(record) = evidence.filter(|_| body.price.0 > 0) {
            let kept = self.ledger.keep(record.signed(), self.clock.now()).await;
            kept.map_err(|error| PeerError::Books(error.to_string()))?;
        }
        Ok(())
    }

    async fn accepted(&self, client: &GatewayClient, offers: &serde_json::Value) -> Judged<bool> {
        let payee = client.place().grid;
        let mut drafts = Vec::new();
        for offer in offers.as_array().into_iter().flatten().filter(|offer| offer["kind"] == "terms") {
            drafts.extend(serde_json::from_value::<Octets>(offer["draft_base64url"].clone()));
        }
        if drafts.is_empty() {
            return Ok(false);
        }
        let _one_at_a_time = self.agreeing.lock().await;
        let books = |error: crate::ledger::LedgerError| PeerError::Books(error.to_string());
        // What is agreed already the other side may not have heard of.
        for terms in self.terms.between(&self.grid, &payee).await.map_err(books)? {
            match self.hand_over(client, &terms).await {
                Ok(()) => return Ok(true),
                Err(error) if error.refusal().is_none() => return Err(error),
                Err(error) => info!(%payee, %error, "the other grid does not take terms that both have signed"),
            }
        }
        for draft in drafts {
            let wanted = TermsProposal::from_bytes(&draft.0).map_err(|error| error.to_string()).and_then(|draft| {
                let policy = self.rules.policy().map_err(|error| error.to_string())?;
                policy.accepts(draft.body(), self.clock.now()).map_err(|error| error.to_string())
            });
            if let Err(reason) = wanted {
                info!(%payee, reason, "offered terms are for a person to accept");
                continue;
            }
            let terms = match self.terms.accept(&draft.0, &payee, self.limit.as_ref(), &self.key).await {
                Ok(terms) => terms,
                Err(error) => {
                    info!(%payee, %error, "offered terms are not accepted");
                    continue;
                }
            };
            info!(%payee, terms = %terms.identity(), "accepted offered terms");
            self.hand_over(client, &terms).await?;
            return Ok(true);
        }
        Ok(false)
    }

    /// Brings terms that both have signed to the other side, which may know them.
    async fn hand_over(&self, client: &GatewayClient, terms: &Terms) -> Judged<()> {
        let body = terms.bytes().to_vec().into();
        client.send(Method::POST, "/v1/terms", "application/cose", body, MAX_ANSWER_BYTES).await.map(drop)
    }

    async fn record(&self, grid: &GridId) -> Judged<std::sync::Arc<Answer>> {
        self.fresh.of(grid).await.map_err(|error| unresolved(&error))
    }

    /// Whether the own record lets the gateway's key agree to `credit`.
    pub fn may_agree(record: &GridRecord, key: &SecretKey, asset: Asset, credit: MinorUnits) -> bool {
        may_agree(record, &key.public(), asset, credit)
    }
}

fn unresolved(error: &crate::resolver::ResolveError) -> PeerError {
    PeerError::Books(format!("no record from within the hour says who may be paid: {error}"))
}

impl Judge for HomeJudge {
    fn wanted<'a>(&'a self, payee: &'a GridId, _: &'a GridId) -> BoxFuture<'a, Judged<Wanted>> {
        self.wants(payee).boxed()
    }

    fn price<'a>(
        &'a self,
        client: &'a GatewayClient,
        proposed: &'a LaneOpenBody,
        deck: Option<&'a Deck>,
    ) -> BoxFuture<'a, Judged<()>> {
        self.judged(client, proposed, deck).boxed()
    }

    fn known<'a>(&'a self, payee: &'a GridId, _: &'a GridId, asset: Asset) -> BoxFuture<'a, Option<PricePerGib>> {
        async move {
            let known = self.record(payee).await.ok()?;
            let now = self.clock.now();
            // Free is less than any price.
            let prices = [Asset::FREE, asset].into_iter();
            let bound = prices.filter_map(|asset| binding(asset, Some(&known.record), &known.evidence, now));
            bound.map(|bound| bound.promise.price).min()
        }
        .boxed()
    }

    fn offered<'a>(&'a self, client: &'a GatewayClient, offers: &'a serde_json::Value) -> BoxFuture<'a, Judged<bool>> {
        self.accepted(client, offers).boxed()
    }
}

impl fmt::Debug for HomeJudge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the judge of {}", self.grid)
    }
}
