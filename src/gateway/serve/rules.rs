//! The operator's own rules for a client's call to another grid, asked before each request and again when the file changes.
//! What they leave of quotas is held by [`Allowance`].
//!
//! [`Allowance`]: crate::gateway::serve::allowance::Allowance

use crate::clearing::{Asker, RuleError, Ruled};
use crate::gateway::refusals::resolve_refusal;
use crate::gateway::serve::refusal::{Code, Refusal};
use crate::gateway::serve::shared::Shared;
use crate::keys::{GridId, PublicKey};
use crate::ledger::UsageLine;
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
    let elsewhere = shared.holds.elsewhere(shared.clock.now()).await?;
    ruled_beside(shared, client, grid, confirmed, elsewhere).await
}

/// What this gateway has under way, as lines that the books do not have.
pub(super) fn under_way(shared: &Shared) -> Vec<UsageLine> {
    // In this order: what goes out meanwhile is counted twice, and never not at all.
    let mut lines = shared.holds.lines(shared.clock.now());
    lines.extend(shared.till.not_in_the_books());
    lines.extend(shared.away.not_in_the_books());
    lines
}

/// The same, where other gateways that write the same books have this under way. It is asked for before the books are, so that
/// what comes into them meanwhile is counted twice, and never not at all.
pub(super) async fn ruled_beside(
    shared: &Shared,
    client: &PublicKey,
    grid: &GridId,
    confirmed: Confirmed,
    elsewhere: Vec<UsageLine>,
) -> Result<Ruled, Refusal> {
    // The operator is a client too, without a membership.
    let label = shared.client(client).ok_or_else(|| {
        Refusal::new(StatusCode::FORBIDDEN, Code::Refused, format!("the key {client} is no client's here"))
    })?;
    let membership = shared.members.client(client, &shared.spki_hash, shared.clock.now());
    let groups = membership.map(|membership| membership.draft().groups.clone()).unwrap_or_default();
    let asker = Asker { key: *client, label, groups };
    let under_way = || {
        let mut lines = under_way(shared);
        lines.extend(elsewhere);
        lines
    };
    shared.rules.decide(&asker, grid, confirmed, under_way).await.map_err(|error| match &error {
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
