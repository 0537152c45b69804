//! Sessions with the gateways of other grids: one is kept open with each, and one that failed is asked last for a while.

use crate::clock::Clock;
use crate::config::Patience;
use crate::keys::GridId;
use crate::peer::{CallerIdentity, DialGuard, GatewayClient, GatewayPlace, Named, PeerError};
use crate::record::{GatewayAddress, GridRecord, Roles};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How many grids a session is kept open with.
const OPEN_GRIDS: usize = 64;
/// How long a gateway that failed is asked after the others of its grid.
const LEFT_FOR: Duration = Duration::from_secs(300);
/// How many such gateways are remembered.
const LEFT_GATEWAYS: usize = 1_024;

/// Opens sessions, and keeps them.
pub(super) struct Sessions {
    me: CallerIdentity,
    guard: DialGuard,
    clock: Clock,
    patience: Patience,
    open: Mutex<HashMap<GridId, Session>>,
    /// When a gateway failed, by its grid and its key's hash.
    left: Mutex<HashMap<(GridId, [u8; 32]), Instant>>,
}

/// A session with a gateway that a record named.
#[derive(Clone)]
struct Session {
    client: GatewayClient,
    used: Instant,
}

/// The gateways that failed at what is being done, and how the first of them did: the others are second choices.
#[derive(Default)]
pub(super) struct Tried {
    places: Vec<GatewayPlace>,
    failure: Option<PeerError>,
}

impl Tried {
    /// How the first of them failed, or else `error`.
    pub(super) fn first_failure(&mut self, error: PeerError) -> PeerError {
        self.failure.take().unwrap_or(error)
    }
}

impl Sessions {
    pub(super) fn new(me: CallerIdentity, guard: DialGuard, clock: Clock, patience: Patience) -> Self {
        Self { me, guard, clock, patience, open: Mutex::default(), left: Mutex::default() }
    }

    /// A session with a gateway that `record` says serves, and that is none of `tried`: of those that have not failed lately
    /// the first. `Err(None)` where the record names none.
    pub(super) async fn with_one_of(
        &self,
        record: &GridRecord,
        tried: &mut Tried,
    ) -> Result<GatewayClient, Option<PeerError>> {
        let grid = *record.grid();
        let mut places = places(record);
        places.retain(|place| !tried.places.contains(place));
        places.sort_by_key(|place| self.left_at(place));
        for place in places {
            let kept = self.open().get(&grid).filter(|session| *session.client.place() == place).cloned();
            let client = match kept {
                Some(session) => Ok(session.client),
                None => {
                    let (me, guard) = (self.me.clone(), self.guard.clone());
                    GatewayClient::connect(place.clone(), me, self.clock, guard, self.patience).await
                }
            };
            match client {
                Ok(client) => {
                    self.keep(grid, client.clone());
                    return Ok(client);
                }
                Err(error) => self.leave(place, error, tried),
            }
        }
        Err(tried.failure.take())
    }

    /// Notes that the gateway at `place` failed: others of its grid are asked before it.
    pub(super) fn leave(&self, place: GatewayPlace, error: PeerError, tried: &mut Tried) {
        if error.is_of_that_gateway() {
            let mut left = self.left();
            left.retain(|_, since| since.elapsed() < LEFT_FOR);
            if left.len() < LEFT_GATEWAYS {
                left.insert(key(&place), Instant::now());
            }
        }
        tried.places.push(place);
        tried.failure.get_or_insert(error);
    }

    fn left_at(&self, place: &GatewayPlace) -> Option<Instant> {
        self.left().get(&key(place)).copied().filter(|since| since.elapsed() < LEFT_FOR)
    }

    fn keep(&self, grid: GridId, client: GatewayClient) {
        let mut open = self.open();
        if open.len() >= OPEN_GRIDS && !open.contains_key(&grid) {
            let oldest = open.iter().min_by_key(|(_, session)| session.used).map(|(grid, _)| *grid);
            oldest.and_then(|grid| open.remove(&grid));
        }
        open.insert(grid, Session { client, used: Instant::now() });
    }

    fn open(&self) -> MutexGuard<'_, HashMap<GridId, Session>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn left(&self) -> MutexGuard<'_, HashMap<(GridId, [u8; 32]), Instant>> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(place: &GatewayPlace) -> (GridId, [u8; 32]) {
    (place.grid, *place.nurl.spki_hash())
}

/// The gateways that a record says serve, in its order.
fn places(record: &GridRecord) -> Vec<GatewayPlace> {
    let serves = record.gateways().iter().filter(|gateway| gateway.roles().any_of(Roles::SERVE));
    let nurls = serves.filter_map(|gateway| match gateway.address() {
        Some(GatewayAddress::Nurl(nurl)) => Some(nurl.clone()),
        Some(GatewayAddress::Furl(_)) | None => None,
    });
    nurls.map(|nurl| GatewayPlace { nurl, grid: *record.grid(), named: Named::ByOthers }).collect()
}
