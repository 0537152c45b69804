//! Room for the units of one answer: on the lane that it is read on, in the strangers' pool, or both.

use crate::capability::Capability;
use crate::clearing::{Delivery, LaneUse};
use crate::gateway::serve::access::Admitted;
use crate::gateway::serve::allowance::Allowance;
use crate::gateway::serve::lanes::refusal;
use crate::gateway::serve::leases::{Lease, Leases, Payer};
use crate::gateway::serve::refusal::Refusal;
use crate::gateway::serve::sales::gateways;
use crate::gateway::serve::shared::Shared;
use crate::keys::GridId;
use crate::peer::Came;
use crate::record::Roles;
use crate::units::Bytes;
use std::sync::Arc;

/// Where the units of one answer find room.
pub(super) struct Room {
    leases: Arc<Leases>,
    payer: Payer,
    lane: Option<LaneUse>,
    /// What the quotas give it, where a client reads what lies abroad.
    allowance: Option<Arc<Allowance>>,
}

/// Room for one unit. What goes out on a lane is given back by a voucher; of the pool, when this is dropped.
pub(super) struct Place {
    lease: Option<Lease>,
    delivery: Option<Delivery>,
    taken: Option<Taken>,
}

/// Of an allowance what one unit has taken, put back unless the unit goes out.
pub(super) struct Taken {
    allowance: Arc<Allowance>,
    unit: Bytes,
    out: bool,
}

impl Room {
    /// The room of whoever was admitted, for an answer about `file` of `grid`.
    pub(super) fn of(
        shared: &Shared,
        admitted: &Admitted,
        grid: &GridId,
        file: &Capability,
        allowance: Option<Allowance>,
    ) -> Result<Self, Refusal> {
        let payer = match &admitted.payer {
            Payer::Client(key) => key,
            Payer::Stranger(stranger) => {
                split_pool(shared);
                stranger.grid.key()
            }
        };
        let lane = admitted.lane.map(|lane| shared.till.take(lane, payer, grid, &index(file)));
        let lane = lane.transpose().map_err(|error| refusal(&error))?;
        let allowance = allowance.map(Arc::new);
        Ok(Self { leases: Arc::clone(&shared.leases), payer: admitted.payer.clone(), lane, allowance })
    }

    /// The largest unit that ever gets through.
    pub(super) fn unit_limit(&self) -> Bytes {
        self.lane.as_ref().and_then(LaneUse::window).unwrap_or_else(|| self.leases.unit_limit(&self.payer))
    }

    /// Waits for room for this unit; `ahead` is what the answer may bring from here on. Dropping the future gives the place in the
    /// queue up.
    pub(super) async fn reserve(&self, came: Came, unit: Bytes, ahead: Bytes) -> Result<Place, Refusal> {
        let taken = match &self.allowance {
            Some(allowance) => {
                allowance.take(unit, ahead).await?;
                Some(Taken { allowance: Arc::clone(allowance), unit, out: false })
            }
            None => None,
        };
        let pooled = self.lane.as_ref().and_then(LaneUse::window).is_none();
        let lease = if pooled { Some(self.leases.reserve(&self.payer, unit).await?) } else { None };
        let delivery = match &self.lane {
            Some(lane) => Some(lane.reserve(came, unit, ahead).await.map_err(|error| refusal(&error))?),
            None => None,
        };
        Ok(Place { lease, delivery, taken })
    }

    /// What the quotas give it.
    pub(super) fn allowance(&self) -> Option<&Arc<Allowance>> {
        self.allowance.as_ref()
    }

    /// Holds of the quotas what is about to be asked of the other grid, until it has come and counts there.
    pub(super) async fn expect(&self, octets: Bytes) -> Result<Option<Taken>, Refusal> {
        match &self.allowance {
            Some(allowance) => Taken::expected(allowance, octets).await.map(Some),
            None => Ok(None),
        }
    }

    /// How much may be asked of the other grid at once, what [`Room::reserve`] has given included; `None`: as much as one likes.
    pub(super) fn held(&self) -> Option<Bytes> {
        self.allowance.as_ref().and_then(|allowance| allowance.held())
    }

    /// Asks the rules once more, which may have changed.
    pub(super) async fn still_allowed(&self) -> Result<(), Refusal> {
        match &self.allowance {
            Some(allowance) => allowance.again().await,
            None => Ok(()),
        }
    }

    /// All of the answer has gone out.
    pub(super) fn finish(self) {
        if let Some(lane) = self.lane {
            lane.finish();
        }
    }
}

/// The storage index of the file: of a literal none ever comes here.
fn index(cap: &Capability) -> [u8; 16] {
    cap.storage_index().map_or([0; 16], |index| *index.as_bytes())
}

/// Gives strangers this gateway's part of what the grid gives them, by the record as it is now.
pub(super) fn split_pool(shared: &Shared) {
    shared.leases.split(gateways(shared, Roles::SERVE));
}

impl Place {
    /// The unit is handed to the connection.
    pub(super) fn goes_out(&mut self) {
        if let Some(lease) = &mut self.lease {
            lease.sent();
        }
        if let Some(delivery) = self.delivery.take() {
            delivery.goes_out();
        }
        // Only now: what goes out is counted by the lane from here on.
        if let Some(taken) = &mut self.taken {
            taken.out = true;
        }
        self.taken = None;
    }
}

impl Taken {
    /// Holds so much of the quotas for what is about to be asked of the other grid, until this is dropped.
    pub(super) async fn expected(allowance: &Arc<Allowance>, octets: Bytes) -> Result<Self, Refusal> {
        allowance.take(octets, octets).await?;
        Ok(Self { allowance: Arc::clone(allowance), unit: octets, out: true })
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        if self.out {
            self.allowance.out(self.unit);
        } else {
            self.allowance.back(self.unit);
        }
    }
}
