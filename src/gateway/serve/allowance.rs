//! What one answer may take of the quotas that the operator's rules give: held before the other grid is asked for it, so that
//! answers side by side do not pass one together.

use crate::clearing::Ruled;
use crate::gateway::serve::access::{Admitted, Way};
use crate::gateway::serve::holds::Hold;
use crate::gateway::serve::leases::Payer;
use crate::gateway::serve::refusal::{Code, Refusal};
use crate::gateway::serve::rules::{allowed, ruled, ruled_beside, under_way};
use crate::gateway::serve::shared::Shared;
use crate::keys::{GridId, PublicKey};
use crate::policy::{Confirmed, Outcome, Step};
use crate::units::{Bytes, Seconds, UnixSeconds};
use axum::http::StatusCode;
use futures::FutureExt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How much is held ahead: this part of what a quota leaves, so that others find some too,
const PART: u64 = 8;
/// at least so much, so that the books are not asked for every unit,
const LEAST_AHEAD: u64 = 1 << 20;
/// and at most so much.
const MOST_AHEAD: u64 = 64 << 20;
/// How long it is waited for what others hold and may give back.
const PATIENCE: Duration = Duration::from_secs(3);
/// How often the books are asked meanwhile: a voucher comes without a word.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// When somebody may come again who found all that is left held by others.
const HELD: Seconds = Seconds(5);

/// What one answer may take of the quotas.
pub(super) struct Allowance {
    shared: Shared,
    client: PublicKey,
    grid: GridId,
    confirmed: Confirmed,
    /// Whether a quota speaks of it.
    limited: AtomicBool,
    hold: Hold,
    /// Of what is held, what units that are not out yet have taken.
    taken: AtomicU64,
}

impl Allowance {
    /// The allowance of whoever was admitted; `None` for what no rule speaks of. What is read on a lane was confirmed when the
    /// lane was opened.
    pub(super) async fn of(shared: &Shared, admitted: &Admitted) -> Result<Option<Self>, Refusal> {
        let (Way::Away(grid), Payer::Client(client)) = (admitted.way, &admitted.payer) else { return Ok(None) };
        let confirmed = if admitted.lane.is_some() { Confirmed::Yes } else { Confirmed::No };
        let (allowance, has_price) = Self::new(shared, client, &grid, confirmed).await?;
        // Without a lane nobody vouches for what was read, and no quota would ever count it.
        if admitted.lane.is_none() && (has_price || allowance.held().is_some()) {
            return Err(Refusal::new(
                StatusCode::PAYMENT_REQUIRED,
                Code::Refused,
                "this has a price or a quota, and is read on a lane alone",
            )
            .hint("a newer `clearinghouse` opens lanes by itself")
            .offers(serde_json::json!([])));
        }
        Ok(Some(allowance))
    }

    /// The allowance of `client` at `grid`, for what is told it and not read by it, and whether it has a price for it.
    pub(super) async fn new(
        shared: &Shared,
        client: &PublicKey,
        grid: &GridId,
        confirmed: Confirmed,
    ) -> Result<(Self, bool), Refusal> {
        let ruled = ruled(shared, client, grid, confirmed).await?;
        let (limited, has_price) = (allowed(&ruled)?.is_some(), ruled.retail.0 > 0);
        let allowance = Self {
            shared: shared.clone(),
            client: *client,
            grid: *grid,
            confirmed,
            limited: AtomicBool::new(limited),
            hold: shared.holds.begin(*client, *grid, ruled),
            taken: AtomicU64::new(0),
        };
        Ok((allowance, has_price))
    }

    /// Asks the rules once more, which may have changed.
    pub(super) async fn again(&self) -> Result<(), Refusal> {
        let ruled = ruled(&self.shared, &self.client, &self.grid, self.confirmed).await?;
        self.limited.store(allowed(&ruled)?.is_some(), Ordering::Relaxed);
        self.hold.by(ruled);
        Ok(())
    }

    /// Takes room for a unit out of what is held, of which more is held where that is too little; `ahead` is what the answer may
    /// bring from here on, the unit included.
    pub(super) async fn take(&self, unit: Bytes, ahead: Bytes) -> Result<(), Refusal> {
        self.hold(unit, ahead).await?;
        self.taken.fetch_add(unit.0, Ordering::Relaxed);
        Ok(())
    }

    /// A unit that was taken room for is out, and counts there.
    pub(super) fn out(&self, unit: Bytes) {
        self.hold.less(unit.0);
        self.back(unit);
    }

    /// A unit that was taken room for does not go out.
    pub(super) fn back(&self, unit: Bytes) {
        self.taken.fetch_sub(unit.0, Ordering::Relaxed);
    }

    /// How much may be asked of the other grid at once, what units have taken included; `None`: no quota speaks of it.
    pub(super) fn held(&self) -> Option<Bytes> {
        self.limited.load(Ordering::Relaxed).then(|| Bytes(self.hold.octets()))
    }

    /// Holds at least `least`, and as much of `ahead` as is its part.
    pub(super) async fn hold(&self, least: Bytes, ahead: Bytes) -> Result<(), Refusal> {
        let began = Instant::now();
        loop {
            let free = self.hold.octets().saturating_sub(self.taken.load(Ordering::Relaxed));
            let missing = least.0.saturating_sub(free);
            if missing == 0 {
                return Ok(());
            }
            if !self.limited.load(Ordering::Relaxed) {
                self.hold.add(missing);
                return Ok(());
            }
            let given_back = self.shared.holds.given_back.notified();
            let wants = |ruled: &Ruled| match ruled.for_now {
                Outcome::Allowed { remaining: None } => Some(missing),
                Outcome::Allowed { remaining: Some(left) } if left.0 >= missing => {
                    let part = (left.0 / PART).clamp(LEAST_AHEAD, MOST_AHEAD);
                    Some(ahead.0.saturating_sub(free).min(part).max(missing).min(left.0))
                }
                _ => None,
            };
            let decide =
                |elsewhere| ruled_beside(&self.shared, &self.client, &self.grid, self.confirmed, elsewhere).boxed();
            let (holds, now) = (&self.shared.holds, self.shared.clock.now());
            let (holds_more, ruled) = holds.more(&self.hold, now, || under_way(&self.shared), decide, wants).await?;
            if holds_more {
                return Ok(());
            }
            // By the books alone: nobody gives back what was used.
            if allowed(&ruled)?.is_some_and(|left| left.0 < missing) {
                let left = ruled.decision.steps.iter().filter_map(|step| match step {
                    Step::Quota { left: Some(left), .. } => Some((left, step)),
                    _ => None,
                });
                let least_left =
                    left.min_by_key(|(left, _)| **left).map_or(String::new(), |(_, step)| step.to_string());
                let detail = format!("{}, and what comes next is {least}", least_left.trim());
                return Err(Refusal::new(StatusCode::FORBIDDEN, Code::Refused, detail));
            }
            if began.elapsed() >= PATIENCE {
                return Err(held(self.shared.till.broken_off(&self.client)));
            }
            let _ = tokio::time::timeout(LOOK_EVERY, given_back).await;
        }
    }
}

/// The refusal to somebody who finds what a quota leaves held: of its own by requests that broke off, or by what is being read.
fn held(broken_off: Option<(Bytes, UnixSeconds)>) -> Refusal {
    let (detail, hint) = match broken_off {
        Some((octets, until)) => (
            format!(
                "{octets} of what your quota leaves are held by a request of yours that broke off: they went out to you, and were \
                 never acknowledged"
            ),
            format!(
                "whoever of you was stopped in it acknowledges what came when it reads again, and the rest counts until {until} at the \
                 latest; or ask the operator of your grid for a larger quota"
            ),
        ),
        None => (
            "what your quota leaves is held by what is being read at this moment".to_owned(),
            "the same once more, when that has ended, reads what it leaves".to_owned(),
        ),
    };
    Refusal::new(StatusCode::TOO_MANY_REQUESTS, Code::Refused, detail).hint(hint).after(HELD)
}
