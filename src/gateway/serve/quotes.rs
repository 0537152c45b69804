//! What a file of another grid, or of our own, will cost a client of ours: said before it is fetched.

use crate::capability::Capability;
use crate::clearing::{Quote, at_most};
use crate::gateway::away::page_units;
use crate::gateway::file::Opened;
use crate::gateway::serve::access::{Way, admit, caller};
use crate::gateway::serve::allowance::Allowance;
use crate::gateway::serve::connection::Connection;
use crate::gateway::serve::files::{named, opened};
use crate::gateway::serve::refusal::{Code, Refusal};
use crate::gateway::serve::rules::ruled;
use crate::gateway::serve::shared::Shared;
use crate::peer::{USUAL_UNIT, pages_of_manifest};
use crate::policy::{Confirmed, Outcome};
use crate::rate::{Asset, Money};
use crate::session::Caller;
use crate::units::{Bytes as Octets, MinorUnits, PricePerGib};
use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use std::sync::Arc;

pub(super) async fn quote(
    State(shared): State<Shared>,
    Extension(connection): Extension<Arc<Connection>>,
    path: Result<Path<(String, String)>, PathRejection>,
) -> Result<Json<Quote>, Refusal> {
    let (grid, cap) = named(path)?;
    let Caller::Client { key, .. } = caller(&shared, &connection)? else {
        return Err(Refusal::new(StatusCode::FORBIDDEN, Code::Refused, "a quote is for a client of this grid"));
    };
    let admitted = admit(&shared, &connection, grid, None)?;
    if admitted.way == Way::Own {
        let file = match cap.size() {
            Some(size) => Weight::of(size, Octets(USUAL_UNIT)),
            None => Weight::of_opened(&opened(&shared, &admitted, &cap, None, 0..1, None).await?.0, &cap).await?,
        };
        let free = || Money::new(Asset::FREE, MinorUnits(0));
        return Ok(Json(Quote {
            grid_id: grid.to_string(),
            decision: "allowed".to_owned(),
            message: None,
            steps: vec!["it is this grid's own".to_owned()],
            until_unix_seconds: shared.clock.now().0,
            price: free(),
            abroad: free(),
            content_bytes: file.content.0,
            manifest_bytes: file.manifest.0,
            unit_bytes: file.unit.0,
            total: free(),
            deck_base64url: None,
        }));
    }
    let file = match (cap.size(), shared.away.layout_of(&grid, &cap)) {
        (Some(size), None) => Weight::of(size, Octets(USUAL_UNIT)),
        (Some(_), Some(layout)) => Weight::of(layout.size, layout.unit),
        // Only its manifest says how long it is; that may cost the home something.
        (None, _) => {
            let page = page_units(&cap);
            let (allowance, _) = Allowance::new(&shared, &key, &grid, Confirmed::Yes).await?;
            let allowance = Arc::new(allowance);
            let (opened, _expected) = opened(&shared, &admitted, &cap, None, 0..page, Some(&allowance)).await?;
            Weight::of_opened(&opened, &cap).await?
        }
    };
    let ruled = ruled(&shared, &key, &grid, Confirmed::No).await?;
    let (decision, message) = match &ruled.decision.outcome {
        Outcome::Allowed { .. } => ("allowed", None),
        Outcome::Asked { message } => ("asked", Some(message.clone())),
        Outcome::Refused { message } => ("refused", Some(message.clone())),
    };
    let deck = ruled
        .deck(&shared.rules, &key, &grid, &shared.secret_key)
        .map_err(|error| Refusal::because(StatusCode::INTERNAL_SERVER_ERROR, Code::Failed, &error))?;
    let (asset, price) =
        deck.as_ref().map_or((Asset::FREE, PricePerGib(0)), |deck| (deck.body().asset, deck.body().price));
    let total = at_most(price, Octets(file.content.0.saturating_add(file.manifest.0)), 2 * file.pages);
    Ok(Json(Quote {
        grid_id: grid.to_string(),
        decision: decision.to_owned(),
        message,
        steps: ruled.steps(),
        until_unix_seconds: ruled.abroad.until.0,
        price: Money::new(asset, MinorUnits(price.0)),
        abroad: Money::new(ruled.abroad.asset, MinorUnits(ruled.abroad.price.0)),
        content_bytes: file.content.0,
        manifest_bytes: file.manifest.0,
        unit_bytes: file.unit.0,
        total: Money::new(asset, total),
        deck_base64url: deck.map(|deck| crate::clearing::Octets(deck.bytes().to_vec())),
    }))
}

/// What is fetched of a file: its content, and what verifies it in the pages in which a reader asks for that.
struct Weight {
    content: Octets,
    unit: Octets,
    pages: u64,
    manifest: Octets,
}

impl Weight {
    /// Of one that never changes.
    fn of(content: Octets, unit: Octets) -> Self {
        let (pages, manifest) = pages_of_manifest(content, unit);
        Self { content, unit, pages, manifest }
    }

    /// Of one whose manifest is at hand: one that may change has a longer one, as many times as it has pages.
    async fn of_opened(file: &Opened, cap: &Capability) -> Result<Self, Refusal> {
        let layout = file.layout();
        if !cap.is_mutable() {
            return Ok(Self::of(layout.size, layout.unit));
        }
        let page = page_units(cap);
        let first = file.manifest(0..page.min(layout.units())).await.map_err(|error| error.refusal())?;
        let pages = layout.units().div_ceil(page).max(1);
        let manifest = Octets(pages.saturating_mul(first.len() as u64));
        Ok(Self { content: layout.size, unit: layout.unit, pages, manifest })
    }
}
