//! What every request may look at.

use crate::clearing::{AgreedTerms, Till};
use crate::clock::Clock;
use crate::gateway::away::Away;
use crate::gateway::serve::leases::Leases;
use crate::gateway::shares::Files;
use crate::gateway::traffic::Traffic;
use crate::keys::{GridId, PublicKey, SecretKey};
use crate::members::Members;
use crate::metrics::Metrics;
use crate::record::{GridRecord, Limit};
use crate::resolver::Resolver;
use crate::session::Nonces;
use std::sync::{Arc, Mutex};
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
    pub(super) members: Members,
    pub(super) resolver: Resolver,
    /// The own grid's files; `None` where there are no storage servers to read from.
    pub(super) files: Option<Files>,
    /// Other grids' files, by their gateways.
    pub(super) away: Away,
    pub(super) nonces: Mutex<Nonces>,
    pub(super) leases: Arc<Leases>,
    /// Delivers on lanes.
    pub(super) till: Till,
    /// What is agreed with other grids.
    pub(super) terms: AgreedTerms,
    /// The most that is lent without a person.
    pub(super) credit_limit: Option<Limit>,
    /// The secret half of `key`.
    pub(super) secret_key: SecretKey,
    pub(super) traffic: Traffic,
    pub(super) metrics: Metrics,
    pub(super) streams: Arc<Semaphore>,
}

impl std::ops::Deref for Shared {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}
