//! At what price and under which terms a caller is served.

use crate::clearing::Sale;
use crate::gateway::serve::refusal::{Code, Refusal};
use crate::gateway::serve::rules::{allowed, ruled};
use crate::gateway::serve::shared::Shared;
use crate::keys::{GridId, PublicKey};
use crate::policy::Confirmed;
use crate::rate::Asset;
use crate::record::{Binding, Gateway, GridRecord, MAX_GATEWAYS, Roles, binding};
use crate::resolver::{DEFAULT_DEADLINE, Policy, Question};
use crate::session::Caller;
use crate::signed::{Envelope, Identity, ObjectType};
use crate::tariff::lane::{Counted, Limits, WriteOff};
use crate::tariff::wire::{Deck, LaneOpenBody, Terms};
use crate::units::{PricePerGib, Seconds, UnixSeconds};
use axum::http::StatusCode;
use serde_json::json;
use std::num::NonZeroU32;

/// When somebody may come again to whom a gateway has no price to name yet.
const STARTING: Seconds = Seconds(5);

/// What `caller` pays for files of `destination`, in `asset` if it says one, under `terms` if it names some that are in force, and
/// the deck that gives the price where that is no record.
pub(super) async fn sale(
    shared: &Shared,
    caller: &Caller,
    destination: &GridId,
    asset: Option<Asset>,
    terms: Option<Identity>,
    confirmed: bool,
) -> Result<(Sale, Option<Deck>), Refusal> {
    match caller {
        Caller::Grid { id, key } => {
            if *destination != shared.grid {
                let detail = "a grid's gateway is asked for that grid's files only; others are for its own clients";
                return Err(Refusal::new(StatusCode::FORBIDDEN, Code::Refused, detail));
            }
            Ok((to_grid(shared, id, key, asset, terms).await?, None))
        }
        Caller::Client { key, .. } | Caller::Pending { key } => to_client(shared, key, destination, confirmed).await,
    }
}

async fn to_grid(
    shared: &Shared,
    grid: &GridId,
    key: &PublicKey,
    asset: Option<Asset>,
    terms: Option<Identity>,
) -> Result<Sale, Refusal> {
    let now = shared.clock.now();
    let Some(record) = (shared.own_record)() else {
        let detail = "this gateway was started a moment ago, and does not know its grid's record yet";
        return Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, Code::Unreachable, detail).after(STARTING));
    };
    let promised = promised(shared).await;
    let latest = now.plus(LaneOpenBody::MAX_LIFETIME);
    if let Some(free) = bound(Asset::FREE, &record, &promised, now) {
        return Ok(Sale {
            payer: *grid.key(),
            payer_key: *key,
            asset: Asset::FREE,
            price: PricePerGib(0),
            evidence: Some(free.record),
            terms: None,
            grant: None,
            not_after: latest.min(free.stands_until),
            limits: Limits { window: None, credit: None, write_off: WriteOff::Nothing },
        });
    }
    let agreed = shared.terms.between(grid, &shared.grid).await;
    let agreed = agreed.map_err(|error| Refusal::because(StatusCode::SERVICE_UNAVAILABLE, Code::Failed, &error))?;
    let named = |of: &&Terms| Some(of.identity()) == terms;
    let wanted = |of: &&Terms| asset.is_none_or(|asset| asset == of.body().asset);
    let Some(terms) = agreed.iter().find(named).filter(wanted).or_else(|| agreed.iter().find(wanted)) else {
        return Err(no_terms(shared, grid, key, &record).await);
    };
    let body = terms.body();
    let Some(bound) = bound(body.asset, &record, &promised, now) else {
        return Err(Refusal::new(
            StatusCode::PAYMENT_REQUIRED,
            Code::Refused,
            format!("this grid has published no price in {}, which the terms with yours are in", body.asset.code()),
        )
        .offers(json!([])));
    };
    let shares_books = shared.till.ledger().is_shared();
    let counted = if shares_books { Counted::Together(bound.promise.price) } else { Counted::Apart };
    Ok(Sale {
        payer: *grid.key(),
        payer_key: *key,
        asset: body.asset,
        price: bound.promise.price,
        evidence: Some(bound.record),
        terms: Some(terms.identity()),
        grant: None,
        not_after: latest.min(bound.stands_until).min(body.not_after),
        limits: Limits { window: Some(body.window), credit: Some(body.credit_limit), write_off: WriteOff::KNOWN }
            .split(gateways(shared, Roles::SERVE), counted),
    })
}

/// The records by which this grid is bound beside the one that it publishes: it charges what it has promised, whatever it says now.
async fn promised(shared: &Shared) -> Vec<GridRecord> {
    let question = Question { grid: shared.grid, policy: Policy::Cached, deadline: DEFAULT_DEADLINE };
    shared.resolver.resolve(question).await.map(|answer| answer.evidence).unwrap_or_default()
}

/// The price for `asset`, by what the grid publishes, and where that breaks a promise by the promise: who pays may not know of an
/// earlier record that says the same.
fn bound(asset: Asset, record: &GridRecord, promised: &[GridRecord], now: UnixSeconds) -> Option<Binding> {
    let (says, promise) = (binding(asset, Some(record), &[], now), binding(asset, None, promised, now));
    match (says, promise) {
        (Some(says), Some(promise)) if says.promise.price <= promise.promise.price => Some(says),
        (says, promise) => promise.or(says),
    }
}

/// The record of this grid that gives the price of a sale, where one does.
pub(super) async fn evidence(shared: &Shared, sale: &Sale) -> Option<GridRecord> {
    let gives = |record: &GridRecord| Some(record.signed().identity()) == sale.evidence;
    match (shared.own_record)().filter(gives) {
        Some(record) => Some(record),
        None => promised(shared).await.into_iter().find(gives),
    }
}

/// Downloads are not free, and nothing is agreed: what would be.
async fn no_terms(shared: &Shared, grid: &GridId, key: &PublicKey, record: &GridRecord) -> Refusal {
    let refusal = Refusal::new(
        StatusCode::PAYMENT_REQUIRED,
        Code::Refused,
        "downloads from this grid are not free, and your grid has no terms with it",
    );
    let priced = |asset: Asset| binding(asset, Some(record), &[], shared.clock.now()).is_some();
    let Some(limit) = shared.credit_limit.as_ref().filter(|limit| priced(limit.asset())) else {
        return refusal.offers(json!([]));
    };
    let clearing = record.clearing().first().copied();
    match shared.terms.draft(grid, *key, clearing, limit, &shared.secret_key).await {
        Ok(draft) => refusal.offers(json!([{
            "kind": "terms",
            "asset": limit.asset().code(),
            "scale": limit.asset().scale(),
            "credit_limit": limit.amount().to_string(),
            "draft_base64url": data_encoding::BASE64URL_NOPAD.encode(draft.bytes()),
        }])),
        Err(_) => refusal.offers(json!([])),
    }
}

async fn to_client(
    shared: &Shared,
    key: &PublicKey,
    destination: &GridId,
    confirmed: bool,
) -> Result<(Sale, Option<Deck>), Refusal> {
    let now = shared.clock.now();
    let latest = now.plus(LaneOpenBody::MAX_LIFETIME);
    let membership = shared.members.client(key, &shared.spki_hash, now);
    let grant = membership.and_then(|membership| {
        let envelope = Envelope::from_bytes(membership.bytes()).ok()?;
        Some(Identity::of(ObjectType::Membership, &shared.grid, envelope.payload()))
    });
    let priced = if *destination == shared.grid {
        None
    } else {
        let confirmed = if confirmed { Confirmed::Yes } else { Confirmed::No };
        let ruled = ruled(shared, key, destination, confirmed).await?;
        allowed(&ruled)?;
        let deck = ruled.deck(&shared.rules, key, destination, &shared.secret_key);
        deck.map_err(|error| Refusal::because(StatusCode::SERVICE_UNAVAILABLE, Code::Failed, &error))?
    };
    let (asset, price, deck) = match priced {
        None => (Asset::FREE, PricePerGib(0), None),
        Some(deck) => (deck.body().asset, deck.body().price, Some(deck)),
    };
    let not_after = deck.as_ref().map_or(latest, |deck| deck.body().not_after.min(latest));
    let sale = Sale {
        payer: *key,
        payer_key: *key,
        asset,
        price,
        evidence: deck.as_ref().map(Deck::identity),
        terms: None,
        grant,
        not_after,
        limits: Limits { window: Some(Limits::CLIENT_WINDOW), credit: None, write_off: WriteOff::KNOWN }
            .split(gateways(shared, Roles::SERVE.and(Roles::SPEND)), Counted::Apart),
    };
    Ok((sale, deck))
}

/// How many gateways of this grid deliver to the same payers, this one among them: those that its record lists with one of these
/// roles. Each of them counts for itself, and gives its part of a window. As long as the record is not known here, as many as it
/// could list.
pub(super) fn gateways(shared: &Shared, roles: Roles) -> NonZeroU32 {
    let others = (shared.own_record)().map_or(MAX_GATEWAYS - 1, |record| {
        let is_another = |gateway: &&Gateway| gateway.key() != Some(&shared.key) && gateway.roles().any_of(roles);
        record.gateways().iter().filter(is_another).count()
    });
    NonZeroU32::MIN.saturating_add(u32::try_from(others).unwrap_or(u32::MAX))
}
