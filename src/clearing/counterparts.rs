//! Sessions with the gateways of the grids that one has books with.

use crate::clearing::desk::{Fetched, Records};
use crate::clock::Clock;
use crate::config::Patience;
use crate::keys::GridId;
use crate::peer::{CallerIdentity, DialGuard, GatewayClient, GatewayPlace, Named, PeerError};
use crate::record::{GatewayAddress, GridRecord};
use crate::resolver::ResolveError;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// How many are kept open.
const KEPT: usize = 64;

/// Opens sessions in the own grid's name. Cheap to clone.
#[derive(Clone)]
pub(super) struct Counterparts(Arc<Inner>);

struct Inner {
    me: CallerIdentity,
    guard: DialGuard,
    clock: Clock,
    records: Records,
    open: Mutex<HashMap<GridId, GatewayClient>>,
}

/// Why there is no session.
#[derive(Debug, thiserror::Error)]
pub(super) enum CounterpartError {
    /// Its record is not found.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// Its gateway does not let us in.
    #[error(transparent)]
    Peer(#[from] PeerError),
    /// It has none that could be asked.
    #[error("the record of {0} names no gateway that could be asked")]
    NoGateway(GridId),
}

impl Counterparts {
    pub(super) fn new(me: CallerIdentity, guard: DialGuard, clock: Clock, records: Records) -> Self {
        Self(Arc::new(Inner { me, guard, clock, records, open: Mutex::default() }))
    }

    /// A session with a gateway of `grid`. One that has moved since its record was fetched is looked for again.
    pub(super) async fn session(&self, grid: &GridId) -> Result<GatewayClient, CounterpartError> {
        let mut failure = CounterpartError::NoGateway(*grid);
        for fetched in [Fetched::WithinTheHour, Fetched::Now] {
            let answer = (self.0.records)(*grid, fetched).await?;
            let places = places(&answer.record);
            let kept = self.open().get(grid).filter(|client| places.contains(client.place())).cloned();
            // What is kept is only as good as its last answer.
            if let Some(client) = kept.filter(|_| fetched == Fetched::WithinTheHour) {
                return Ok(client);
            }
            for place in places {
                let Inner { me, guard, clock, .. } = &*self.0;
                match GatewayClient::connect(place, me.clone(), *clock, guard.clone(), Patience::WITH_OTHERS).await {
                    Ok(client) => {
                        let mut open = self.open();
                        if open.len() >= KEPT {
                            open.clear();
                        }
                        open.insert(*grid, client.clone());
                        return Ok(client);
                    }
                    Err(error) => failure = error.into(),
                }
            }
        }
        Err(failure)
    }

    /// Lets go of a session that gave no answer.
    pub(super) fn forget(&self, grid: &GridId) {
        self.open().remove(grid);
    }

    fn open(&self) -> std::sync::MutexGuard<'_, HashMap<GridId, GatewayClient>> {
        self.0.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The gateways that can be called, those of any role: a clearing node need not have storage.
fn places(record: &GridRecord) -> Vec<GatewayPlace> {
    let nurls = record.gateways().iter().filter_map(|gateway| match gateway.address() {
        Some(GatewayAddress::Nurl(nurl)) => Some(nurl.clone()),
        Some(GatewayAddress::Furl(_)) | None => None,
    });
    nurls.map(|nurl| GatewayPlace { nurl, grid: *record.grid(), named: Named::ByOthers }).collect()
}
