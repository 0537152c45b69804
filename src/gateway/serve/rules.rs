//! The operator's own rules for a client's call to another grid, asked before each request and again when the file changes.

use crate::clearing::{Asker, RuleError, Ruled};
use crate::gateway::refusals::resolve_refusal;
use crate::gateway::serve::access::{Admitted, Way};
use crate::gateway::serve::leases::Payer;
use crate::gateway::serve::refusal::{Code, Refusal};
use crate::gateway::serve::shared::Shared;
use crate::keys::{GridId, PublicKey};
use crate::policy::{Confirmed, Outcome};
use crate::units::{Bytes, Seconds};
use axum::http::StatusCode;

/// What comes of a call of `client` to `grid`, whatever it is.
pub(super) async fn ruled(
    shared: &Shared,
    client: &PublicKey,
    grid: &GridId,
    confirmed: Confirmed,
) -> Result<Ruled, Refusal> {
    // The operator is a client too, without a membership.
    let label = shared.client(client).ok_or_else(|| {
        Refusal::new(StatusCode::FORBIDDEN, Code::Refused, format!("the key {client} is no client's here"))
    })?;
    let membership = shared.members.client(client, &shared.spki_hash, shared.clock.now());
    let groups = membership.map(|membership| membership.draft().groups.clone()).unwrap_or_default();
    let asker = Asker { key: *client, label, groups };
    shared.rules.decide(&asker, grid, confirmed).await.map_err(|error| match &error {
        RuleError::Resolve(error) => resolve_refusal(error),
        RuleError::Books(_) => {
            Refusal::because(StatusCode::SERVICE_UNAVAILABLE, Code::Failed, &error).after(Seconds(30))
        }
        RuleError::Fault(_) => Refusal::because(StatusCode::FORBIDDEN, Code::Refused, &error)
            .hint("the operator of your grid has to mend it: until then only its own files are served"),
        RuleError::Unpriced(_) | RuleError::NoRetail(_) | RuleError::Wire(_) => {
            Refusal::because(StatusCode::FORBIDDEN, Code::Refused, &error)
        }
    })
}

/// The refusal in the rule's own words, where it refuses or asks; otherwise how much may be read before it is asked again.
pub(super) fn allowed(ruled: &Ruled) -> Result<Option<Bytes>, Refusal> {
    match &ruled.decision.outcome {
        Outcome::Allowed { remaining } => Ok(*remaining),
        Outcome::Refused { message } => Err(Refusal::new(StatusCode::FORBIDDEN, Code::Refused, message.clone())),
        Outcome::Asked { message } => Err(Refusal::new(StatusCode::FORBIDDEN, Code::Refused, message.clone())
            .hint("`--yes` says yes to what the policy of your grid asks")),
    }
}

/// Whether whoever was admitted may have what lies abroad. What is read on a lane was confirmed when the lane was opened.
pub(super) async fn may_read(shared: &Shared, admitted: &Admitted) -> Result<Option<Bytes>, Refusal> {
    let (Way::Away(grid), Payer::Client(client)) = (admitted.way, &admitted.payer) else { return Ok(None) };
    let confirmed = if admitted.lane.is_some() { Confirmed::Yes } else { Confirmed::No };
    let ruled = ruled(shared, client, &grid, confirmed).await?;
    let remaining = allowed(&ruled)?;
    if admitted.lane.is_none() && ruled.retail.0 > 0 {
        return Err(Refusal::new(
            StatusCode::PAYMENT_REQUIRED,
            Code::Refused,
            "this has a price, and is read on a lane alone",
        )
        .hint("a newer `clearinghouse` opens lanes by itself")
        .offers(serde_json::json!([])));
    }
    Ok(remaining)
}
