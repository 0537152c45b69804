//! Records that say who may spend and agree: fetched from the holders themselves within the hour.

use crate::clearing::desk::{Fetched, Records};
use crate::clock::Clock;
use crate::keys::{GridId, PublicKey};
use crate::rate::Asset;
use crate::record::{GridRecord, Roles};
use crate::resolver::{Answer, DEFAULT_DEADLINE, Policy, Question, ResolveError, Resolver};
use crate::units::{MinorUnits, Seconds, UnixSeconds};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// How long a record gives authority over money.
const GOOD_FOR: Seconds = Seconds(3_600);
/// How many grids' records are kept.
const KEPT: usize = 1_024;

/// Records that were fetched within the hour. Cheap to clone.
#[derive(Clone)]
pub struct FreshRecords(Arc<Inner>);

struct Inner {
    resolver: Resolver,
    clock: Clock,
    kept: Mutex<HashMap<GridId, (UnixSeconds, Arc<Answer>)>>,
}

impl FreshRecords {
    /// Nothing fetched yet.
    pub fn new(resolver: Resolver, clock: Clock) -> Self {
        Self(Arc::new(Inner { resolver, clock, kept: Mutex::default() }))
    }

    /// The record of `grid` with what binds beside it, as the holders had it within the hour.
    pub async fn of(&self, grid: &GridId) -> Result<Arc<Answer>, ResolveError> {
        let now = self.0.clock.now();
        let kept = self.0.kept.lock().unwrap_or_else(PoisonError::into_inner).get(grid).cloned();
        if let Some((at, answer)) = kept
            && now < at.plus(GOOD_FOR)
            && now < answer.record.signed().expires_at()
        {
            return Ok(answer);
        }
        self.anew(grid).await
    }

    /// As a function, for those who need no more of it.
    pub fn as_records(&self) -> Records {
        let fresh = self.clone();
        Arc::new(move |grid, fetched| {
            let fresh = fresh.clone();
            Box::pin(async move {
                match fetched {
                    Fetched::WithinTheHour => fresh.of(&grid).await,
                    Fetched::Now => fresh.anew(&grid).await,
                }
            })
        })
    }

    /// The same, asked for now: something has changed.
    pub async fn anew(&self, grid: &GridId) -> Result<Arc<Answer>, ResolveError> {
        let question = Question { grid: *grid, policy: Policy::Fresh, deadline: DEFAULT_DEADLINE };
        let answer = Arc::new(self.0.resolver.resolve(question).await?);
        let now = self.0.clock.now();
        let mut kept = self.0.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|_, (at, _)| now < at.plus(GOOD_FOR));
        if kept.len() < KEPT {
            kept.insert(*grid, (now, Arc::clone(&answer)));
        }
        Ok(answer)
    }
}

impl std::fmt::Debug for FreshRecords {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FreshRecords")
    }
}

/// Whether `key` may sign positions, receipts and statements for the grid of `record`: the grid key, its publisher, or a gateway
/// with any of the roles of money.
pub fn speaks_for(record: &GridRecord, key: &PublicKey) -> bool {
    is_own_key(record, key) || has_role(record, key, Roles::SERVE.and(Roles::SPEND).and(Roles::TERMS))
}

/// Whether `key` is a gateway's that `record` gives this role.
pub(super) fn has_role(record: &GridRecord, key: &PublicKey, role: Roles) -> bool {
    record.gateways().iter().any(|gateway| gateway.key() == Some(key) && gateway.roles().any_of(role))
}

/// Whether `key` may agree to so much credit in the name of the grid of `record`: the grid key, its publisher, or a gateway with
/// such a limit.
pub(super) fn may_agree(record: &GridRecord, key: &PublicKey, asset: Asset, credit: MinorUnits) -> bool {
    let within = |limit: &crate::record::Limit| limit.asset() == asset && limit.amount() >= credit;
    key == record.grid().key()
        || record.signed().authority().publisher() == Some(key)
        || record.gateways().iter().any(|gateway| {
            gateway.key() == Some(key) && gateway.roles().any_of(Roles::TERMS) && gateway.limit().is_some_and(within)
        })
}

/// Whether `key` is the grid key or its publisher's.
pub(super) fn is_own_key(record: &GridRecord, key: &PublicKey) -> bool {
    key == record.grid().key() || record.signed().authority().publisher() == Some(key)
}
