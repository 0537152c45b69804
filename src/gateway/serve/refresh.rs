//! Whether what a calling grid showed of itself is the newest that the network holds: looked up beside its first requests, as
//! far as a budget of walks goes.
//!
//! A grid that took a gateway's key out of its record must not have that gateway spend in its name for as long as the older
//! record lives. Nobody walks for strangers without end either: whoever makes up grids would have us ask the whole network.

use crate::address::Network;
use crate::gateway::serve::connection::Connection;
use crate::gateway::serve::shared::Shared;
use crate::keys::{GridId, PublicKey};
use crate::resolver::{DEFAULT_DEADLINE, Policy, Question, ResolveError};
use crate::session::may_spend;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::debug;

/// For how long what was looked up of a grid is new enough.
const FRESH_FOR: Duration = Duration::from_secs(3_600);
/// Walks for the grids that call from one /24 or /48, in that time.
const WALKS_PER_NETWORK: usize = 16;
/// Walks for all of them, in that time.
const WALKS: usize = 256;
/// Walks at once.
const AT_ONCE: usize = 4;

/// What was looked up lately.
#[derive(Debug)]
pub(super) struct Refreshes {
    /// Each of the last hour, with the network that it was for.
    done: HashMap<GridId, (Instant, Network)>,
    places: Arc<Semaphore>,
}

impl Refreshes {
    pub(super) fn new() -> Self {
        Self { done: HashMap::new(), places: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// Whether `grid`, which calls from `network`, is to be looked up now; it then counts as looked up.
    fn take(&mut self, grid: GridId, network: &Network, now: Instant) -> Option<OwnedSemaphorePermit> {
        self.done.retain(|_, (at, _)| now.saturating_duration_since(*at) < FRESH_FOR);
        let of_network = self.done.values().filter(|(_, of)| of == network).count();
        if self.done.contains_key(&grid) || self.done.len() >= WALKS || of_network >= WALKS_PER_NETWORK {
            return None;
        }
        let place = Arc::clone(&self.places).try_acquire_owned().ok()?;
        self.done.insert(grid, (now, network.clone()));
        Some(place)
    }
}

/// Looks up the newest record of `grid`, whose gateway with `key` has opened a session on `connection`, if that is due. Where
/// that record does not let the key spend any more, the session ends, and what was found keeps it from being opened again.
pub(super) fn refresh(shared: &Shared, connection: &Arc<Connection>, grid: GridId, key: PublicKey) {
    let place = shared.refreshes().take(grid, &connection.network, Instant::now());
    let Some(place) = place else { return };
    let (shared, connection) = (shared.clone(), Arc::clone(connection));
    tokio::spawn(async move {
        let _place = place;
        let question = Question { grid, policy: Policy::Fresh, deadline: DEFAULT_DEADLINE };
        let may = match shared.resolver.resolve_in_place(question).await {
            Ok(answer) => may_spend(&answer.record, &key),
            Err(ResolveError::Withdrawn { .. }) => false,
            // Nothing newer is known, so that what it showed counts.
            Err(_) => true,
        };
        if !may {
            debug!(%grid, "a newer record takes the right to spend from the gateway that calls");
            connection.close();
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::SecretKey;
    use std::net::Ipv4Addr;

    fn grid(n: u32) -> GridId {
        let mut seed = [3; 32];
        seed[..4].copy_from_slice(&n.to_be_bytes());
        GridId::new(SecretKey::from_seed(&seed).public())
    }

    fn network(n: u32) -> Network {
        Network::of(Ipv4Addr::from(n << 8).into())
    }

    #[test]
    fn a_grid_is_looked_up_once_an_hour_and_all_of_them_within_a_budget() {
        let (mut refreshes, now) = (Refreshes::new(), Instant::now());
        let mut take = |n, of, at| refreshes.take(grid(n), &network(of), at).is_some();
        assert!(take(0, 0, now));
        assert!(!take(0, 0, now + FRESH_FOR - Duration::from_secs(1)), "it is fresh");
        assert!(take(0, 0, now + FRESH_FOR));
        let later = now + FRESH_FOR * 2;
        assert_eq!((0..100).filter(|n| take(*n, 7, later)).count(), WALKS_PER_NETWORK);
        assert_eq!((1_000..2_000).filter(|n| take(*n, *n, later)).count(), WALKS - WALKS_PER_NETWORK);
        assert!(take(5_000, 7, later + FRESH_FOR));
    }

    #[test]
    fn few_walks_are_under_way_at_once() {
        let (mut refreshes, now) = (Refreshes::new(), Instant::now());
        let under_way: Vec<_> = (0..100).filter_map(|n| refreshes.take(grid(n), &network(n), now)).collect();
        assert_eq!(under_way.len(), AT_ONCE);
        drop(under_way);
        assert!(refreshes.take(grid(99), &network(99), now).is_some(), "it was not counted as looked up");
    }
}
