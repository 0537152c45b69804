//! What a file of another grid, or of our own, will cost a client of ours: said before it is fetched.

use crate::capability::Capability;
use crate::clearing::Octets;
use crate::gateway::serve::access::{Way, admit, caller};
use crate::gateway::serve::allowance::Allowance;
use crate::gateway::serve::connection::Connection;
use crate::gateway::serve::files::{named, opened};
use crate::gateway::serve::refusal::{Code, Refusal};
use crate::gateway::serve::rules::ruled;
use crate::gateway::serve::shared::Shared;
use crate::peer::manifest_estimate;
use crate::policy::{Confirmed, Outcome};
use crate::rate::Asset;
use crate::session::Caller;
use crate::units::{Bytes, MinorUnits, PricePerGib};
use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use serde::Serialize;
use std::sync::Arc;

/// How many units a reader asks to have the manifest of at once, and how much content that is in segments of the usual size.
const PAGE_UNITS: u64 = 1_024;
const PAGE_BYTES: u64 = PAGE_UNITS << 17;

/// What a file will cost.
#[derive(Serialize)]
pub(super) struct Quote {
    grid_id: String,
    /// `allowed`, `asked` or `refused`.
    decision: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    /// Rule by rule.
    steps: Vec<String>,
    /// The price is in force until then, at least.
    until_unix_seconds: u64,
    /// Per 2^30 octets.
    price: Amount,
    /// What the grid abroad asks of ours.
    abroad: Amount,
    content_bytes: u64,
    /// At most.
    manifest_bytes: u64,
    /// For both, read once: a second time it costs as much again.
    total: Amount,
    #[serde(skip_serializing_if = "Option::is_none")]
    deck_base64url: Option<Octets>,
}

#[derive(Serialize)]
struct Amount {
    asset: &'static str,
    scale: u32,
    amount: String,
}

impl Amount {
    fn new(asset: Asset, units: u64) -> Self {
        Self { asset: asset.code(), scale: asset.scale(), amount: units.to_string() }
    }
}

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
    let content = match size_in(&cap) {
        Some(size) => size,
        None => {
            // Only its manifest's head says how long it is; that may cost the home something.
            let _hold = match admitted.way {
                Way::Own => None,
                Way::Away(_) => {
                    let (allowance, _) = Allowance::new(&shared, &key, &grid, Confirmed::Yes).await?;
                    allowance.hold(Bytes(1), manifest_estimate(Bytes(0), 1)).await?;
                    Some(allowance)
                }
            };
            opened(&shared, &admitted, &cap, None, 0..1).await?.layout().size.0
        }
    };
    let manifest = manifest_bytes(content);
    if admitted.way == Way::Own {
        let free = || Amount::new(Asset::FREE, 0);
        return Ok(Json(Quote {
            grid_id: grid.to_string(),
            decision: "allowed",
            message: None,
            steps: vec!["it is this grid's own".to_owned()],
            until_unix_seconds: shared.clock.now().0,
            price: free(),
            abroad: free(),
            content_bytes: content,
            manifest_bytes: manifest,
            total: free(),
            deck_base64url: None,
        }));
    }
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
    let total = price.charge(Bytes(content.saturating_add(manifest))).unwrap_or(MinorUnits::MAX);
    Ok(Json(Quote {
        grid_id: grid.to_string(),
        decision,
        message,
        steps: ruled.steps(),
        until_unix_seconds: ruled.abroad.until.0,
        price: Amount::new(asset, price.0),
        abroad: Amount::new(ruled.abroad.asset, ruled.abroad.price.0),
        content_bytes: content,
        manifest_bytes: manifest,
        total: Amount::new(asset, total.0),
        deck_base64url: deck.map(|deck| Octets(deck.bytes().to_vec())),
    }))
}

/// The size that a verify cap says.
fn size_in(cap: &Capability) -> Option<u64> {
    cap.size().map(|size| size.0)
}

/// How many octets of manifests come with so many of content, at most: readers ask for them a page at a time.
fn manifest_bytes(content: u64) -> u64 {
    let pages = content.div_ceil(PAGE_BYTES).max(1);
    pages.saturating_mul(manifest_estimate(Bytes(content), PAGE_UNITS).0)
}
