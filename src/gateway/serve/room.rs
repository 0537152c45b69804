//! Room for the units of one answer: on the lane that it is read on, in the strangers' pool, or both.

use crate::clearing::{Delivery, LaneUse};
use crate::gateway::serve::access::Admitted;
use crate::gateway::serve::lanes::refusal;
use crate::gateway::serve::leases::{Lease, Leases, Payer};
use crate::gateway::serve::refusal::{Code, Refusal};
use crate::gateway::serve::shared::Shared;
use crate::keys::GridId;
use crate::peer::Came;
use crate::units::Bytes;
use axum::http::StatusCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Where the units of one answer find room.
pub(super) struct Room {
    leases: Arc<Leases>,
    payer: Payer,
    lane: Option<LaneUse>,
    /// What the quotas leave.
    remaining: Option<AtomicU64>,
}

/// Room for one unit. What goes out on a lane is given back by a voucher; of the pool, when this is dropped.
pub(super) struct Place {
    lease: Option<Lease>,
    delivery: Option<Delivery>,
}

impl Room {
    /// The room of whoever was admitted, for an answer about files of `grid`.
    pub(super) fn of(
        shared: &Shared,
        admitted: &Admitted,
        grid: &GridId,
        remaining: Option<Bytes>,
    ) -> Result<Self, Refusal> {
        let payer = match &admitted.payer {
            Payer::Client(key) => key,
            Payer::Stranger(stranger) => stranger.grid.key(),
        };
        let lane = admitted.lane.map(|lane| shared.till.take(lane, payer, grid));
        let lane = lane.transpose().map_err(|error| refusal(&error))?;
        let remaining = remaining.map(|octets| AtomicU64::new(octets.0));
        Ok(Self { leases: Arc::clone(&shared.leases), payer: admitted.payer.clone(), lane, remaining })
    }

    /// The largest unit that ever gets through.
    pub(super) fn unit_limit(&self) -> Bytes {
        self.lane.as_ref().and_then(LaneUse::window).unwrap_or(self.payer.unit_limit())
    }

    /// Waits for room for a unit; `ahead` is what the answer may bring from here on. Dropping the future gives the place in
    /// the queue up.
    pub(super) async fn reserve(&self, unit: Bytes, ahead: Bytes) -> Result<Place, Refusal> {
        if let Some(remaining) = &self.remaining {
            // One answer is one task: nobody else counts here.
            let left = remaining.load(Ordering::Relaxed);
            if unit.0 > left {
                let detail = "the quota that the policy of your grid gives is used up";
                return Err(Refusal::new(StatusCode::FORBIDDEN, Code::Refused, detail));
            }
            remaining.store(left - unit.0, Ordering::Relaxed);
        }
        let pooled = self.lane.as_ref().and_then(LaneUse::window).is_none();
        let lease = if pooled { Some(self.leases.reserve(&self.payer, unit).await?) } else { None };
        let delivery = match &self.lane {
            Some(lane) => Some(lane.reserve(unit, ahead).await.map_err(|error| refusal(&error))?),
            None => None,
        };
        Ok(Place { lease, delivery })
    }

    /// All of the answer has gone out.
    pub(super) fn finish(self) {
        if let Some(lane) = self.lane {
            lane.finish();
        }
    }
}

impl Place {
    /// The unit is handed to the connection: this of the file with this storage index.
    pub(super) fn goes_out(&mut self, storage_index: &[u8; 16], came: Came) {
        if let Some(lease) = &mut self.lease {
            lease.sent();
        }
        if let Some(delivery) = self.delivery.take() {
            delivery.goes_out(storage_index, came);
        }
    }
}
