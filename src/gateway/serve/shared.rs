//! What every request may look at.

use crate::clearing::{AgreedTerms, HouseRules, Settler, Till};
use crate::clock::Clock;
use crate::gateway::away::Away;
use crate::gateway::serve::holds::Holds;
use crate::gateway::serve::leases::Leases;
use crate::gateway::serve::refresh::Refreshes;
use crate::gateway::shares::Files;
use crate::gateway::traffic::Traffic;
use crate::keys::{GridId, PublicKey, SecretKey};
use crate::members::{Members, OPERATOR};
use crate::metrics::Metrics;
use crate::record::{GridRecord, Limit, Nickname};
use crate::resolver::Resolver;
use crate::session::Nonces;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Semaphore;

/// How many ciphertexts are under way at once, to everybody. Each is a task, a queue of one unit, and what is read ahead.
pub(super) const MAX_STREAMS: usize = 512;

/// Gives the own grid's record as it is now.
pub type OwnRecord = Arc<dyn Fn() -> Option<GridRecord> + Send + Sync>;

/// The parts that requests need. Cheap to clone.
#[derive(Clone)]
pub(super) struct Shared(pub(super) Arc<Parts>);

pub(super) struct Parts {
    /// The grid whose gateway this is.
    pub(super) grid: GridId,
    /// The network of nodes.
    pub(super) network: String,
    /// The SPKI hash of the TLS key.
    pub(super) spki_hash: [u8; 32],
    /// The key that the gateway acts with.
    pub(super) key: PublicKey,
    pub(super) clock: Clock,
    pub(super) own_record: OwnRecord,
    /// The key of whoever works in this gateway's own directory.
    pub(super) operator: PublicKey,
    pub(super) members: Members,
    pub(super) resolver: Resolver,
    /// What the grid is owed and owes, and the clearing node.
    pub(super) settler: Settler,
    /// The own grid's files; `None` where there are no storage servers to read from.
    pub(super) files: Option<Files>,
    /// Other grids' files, by their gateways.
    pub(super) away: Away,
    pub(super) nonces: Mutex<Nonces>,
    pub(super) refreshes: Mutex<Refreshes>,
    pub(super) leases: Arc<Leases>,
    /// Delivers on lanes.
    pub(super) till: Till,
    /// What is agreed with other grids.
    pub(super) terms: AgreedTerms,
    /// What our clients may fetch of other grids.
    pub(super) rules: HouseRules,
    /// What of their quotas is held by answers that are under way.
    pub(super) holds: Arc<Holds>,
    /// The most that is lent without a person.
    pub(super) credit_limit: Option<Limit>,
    /// The secret half of `key`.
    pub(super) secret_key: SecretKey,
    pub(super) traffic: Traffic,
    pub(super) metrics: Metrics,
    pub(super) streams: Arc<Semaphore>,
}

impl Shared {
    /// What was looked up of calling grids lately.
    pub(super) fn refreshes(&self) -> MutexGuard<'_, Refreshes> {
        // Nothing that is done under this lock can panic.
        self.refreshes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the client whose key this is is called, if it is one now.
    pub(super) fn client(&self, key: &PublicKey) -> Option<Nickname> {
        if *key == self.operator {
            return Some(OPERATOR.parse().expect("a short plain text"));
        }
        let membership = self.members.client(key, &self.spki_hash, self.clock.now())?;
        Some(membership.label().clone())
    }
}

impl std::ops::Deref for Shared {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}
