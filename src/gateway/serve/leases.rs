//! Room for units under way: asks the windows of `tariff`, and waits for a turn.

use crate::clock::Clock;
use crate::gateway::serve::refusal::{Code, Refusal};
use crate::keys::PublicKey;
use crate::tariff::{Ask, Pool, PoolRefusal, Stranger, Ticket, Window, WindowRefusal};
use crate::units::{Bytes, Seconds};
use axum::http::StatusCode;
use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// How much is under way to one client at most that reads on no lane.
pub(crate) const CLIENT_WINDOW: Bytes = Bytes(16 << 20);
/// When somebody who found too many waiting may come again.
const CROWDED: Seconds = Seconds(5);

/// For whom a unit is under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Payer {
    /// A client of our own grid.
    Client(PublicKey),
    /// A grid without terms.
    Stranger(Stranger),
}

/// What is under way to everybody.
#[derive(Debug)]
pub(crate) struct Leases {
    clock: Clock,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    pool: Pool,
    clients: HashMap<PublicKey, Window<()>>,
    /// Who waits, and is woken by this.
    waiting: HashMap<Place, oneshot::Sender<()>>,
}

/// A ticket of one of the windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Place {
    Pool(Ticket),
    Client([u8; 32], Ticket),
}

/// Room for one unit, given back when dropped: when the connection has taken its octets, or is gone.
#[derive(Debug)]
pub(crate) struct Lease {
    leases: Arc<Leases>,
    payer: Payer,
    ticket: Ticket,
    unit: Bytes,
    sent: bool,
}

impl Leases {
    /// Nothing under way, and a pool that remembers what it gave today.
    pub(crate) fn new(pool: Pool, clock: Clock) -> Arc<Self> {
        let state = State { pool, clients: HashMap::new(), waiting: HashMap::new() };
        Arc::new(Self { clock, state: Mutex::new(state) })
    }

    /// Strangers are given the part of one of so many gateways from now on.
    pub(crate) fn split(&self, gateways: NonZeroU32) {
        let mut state = self.state();
        let granted = state.pool.split(gateways);
        state.wake(granted.into_iter().map(Place::Pool));
    }

    /// The largest unit that ever gets through to `payer`.
    pub(crate) fn unit_limit(&self, payer: &Payer) -> Bytes {
        match payer {
            Payer::Client(_) => CLIENT_WINDOW,
            Payer::Stranger(_) => self.stranger_window(),
        }
    }

    /// How much is under way to all strangers at most.
    pub(crate) fn stranger_window(&self) -> Bytes {
        self.state().pool.window()
    }

    /// Waits for room for `unit`. Dropping the future gives the place in the queue up.
    pub(crate) async fn reserve(self: &Arc<Self>, payer: &Payer, unit: Bytes) -> Result<Lease, Refusal> {
        let (lease, turn) = {
            let mut state = self.state();
            let ask = state.ask(payer, unit, self.clock)?;
            let (Ask::Granted(ticket) | Ask::Waits(ticket)) = ask;
            let lease = Lease { leases: Arc::clone(self), payer: payer.clone(), ticket, unit, sent: false };
            let turn = matches!(ask, Ask::Waits(_)).then(|| {
                let (wake, turn) = oneshot::channel();
                state.waiting.insert(lease.place(), wake);
                turn
            });
            (lease, turn)
        };
        if let Some(turn) = turn {
            // Who wakes us keeps the sender until then.
            let _ = turn.await;
        }
        Ok(lease)
    }

    /// What is under way to strangers, and what they were given today.
    pub(crate) fn pool(&self) -> (Bytes, Bytes) {
        let state = self.state();
        (state.pool.out(), state.pool.given())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn ask(&mut self, payer: &Payer, unit: Bytes, clock: Clock) -> Result<Ask, Refusal> {
        match payer {
            Payer::Client(key) => {
                let window = self.clients.entry(*key).or_insert_with(|| Window::new(CLIENT_WINDOW));
                window.ask(&[], unit).map_err(window_refusal)
            }
            Payer::Stranger(stranger) => self.pool.ask(stranger, unit, clock.now()).map_err(|refusal| match refusal {
                PoolRefusal::Window(refusal) => window_refusal(refusal),
                PoolRefusal::Spent(spent) => {
                    Refusal::because(StatusCode::TOO_MANY_REQUESTS, Code::Refused, &refusal).after(spent.retry_after)
                }
            }),
        }
    }

    fn end(&mut self, lease: &Lease) {
        self.waiting.remove(&lease.place());
        let granted: Vec<Place> = match &lease.payer {
            Payer::Client(key) => {
                let Some(window) = self.clients.get_mut(key) else { return };
                let granted = window.end(lease.ticket);
                if window.is_idle() {
                    self.clients.remove(key);
                }
                granted.into_iter().map(|ticket| Place::Client(*key.as_bytes(), ticket)).collect()
            }
            Payer::Stranger(_) => {
                let sent = if lease.sent { lease.unit } else { Bytes(0) };
                self.pool.end(lease.ticket, sent).into_iter().map(Place::Pool).collect()
            }
        };
        self.wake(granted);
    }

    fn wake(&mut self, granted: impl IntoIterator<Item = Place>) {
        for place in granted {
            if let Some(wake) = self.waiting.remove(&place) {
                // Who is gone ends his own lease.
                let _ = wake.send(());
            }
        }
    }
}

impl Lease {
    /// Notes that the unit is handed to the connection.
    pub(crate) fn sent(&mut self) {
        self.sent = true;
    }

    fn place(&self) -> Place {
        match &self.payer {
            Payer::Client(key) => Place::Client(*key.as_bytes(), self.ticket),
            Payer::Stranger(_) => Place::Pool(self.ticket),
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let leases = Arc::clone(&self.leases);
        leases.state().end(self);
    }
}

fn window_refusal(refusal: WindowRefusal) -> Refusal {
    match refusal {
        WindowRefusal::TooLarge { .. } => Refusal::because(StatusCode::FORBIDDEN, Code::Refused, &refusal)
            .hint("the file was stored in segments that are larger than this gateway serves"),
        WindowRefusal::Adrift { .. } => Refusal::because(StatusCode::TOO_MANY_REQUESTS, Code::Refused, &refusal)
            .hint("what is verified is acknowledged by itself; what is not is written off little by little"),
        WindowRefusal::Crowded => {
            Refusal::because(StatusCode::TOO_MANY_REQUESTS, Code::Refused, &refusal).after(CROWDED)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::Network;
    use crate::keys::{GridId, SecretKey};
    use std::net::Ipv4Addr;

    fn key(n: u8) -> PublicKey {
        SecretKey::from_seed(&[n; 32]).public()
    }

    fn stranger(n: u8) -> Payer {
        let network = Network::of(Ipv4Addr::new(192, 0, n, 1).into());
        Payer::Stranger(Stranger { grid: GridId::new(key(n)), network })
    }

    #[tokio::test]
    async fn who_waits_is_woken_when_another_unit_has_left() {
        let leases = Leases::new(Pool::new(), Clock::system());
        for payer in [Payer::Client(key(1)), stranger(1)] {
            let first = leases.reserve(&payer, leases.unit_limit(&payer)).await.unwrap();
            let waiting = tokio::spawn({
                let (leases, payer) = (Arc::clone(&leases), payer.clone());
                async move { leases.reserve(&payer, Bytes(1)).await.map(drop) }
            });
            while leases.state().waiting.is_empty() {
                tokio::task::yield_now().await;
            }
            drop(first);
            waiting.await.unwrap().unwrap();
            assert!(leases.state().waiting.is_empty() && leases.state().clients.is_empty());
        }
        assert_eq!(leases.pool(), (Bytes(0), Bytes(0)), "nothing was sent");
    }

    #[tokio::test]
    async fn who_gives_up_waiting_leaves_no_trace() {
        let leases = Leases::new(Pool::new(), Clock::system());
        let payer = stranger(1);
        let mut first = leases.reserve(&payer, Pool::WINDOW).await.unwrap();
        let waiting = tokio::spawn({
            let (leases, payer) = (Arc::clone(&leases), payer.clone());
            async move { leases.reserve(&payer, Bytes(1)).await.map(drop) }
        });
        while leases.state().waiting.is_empty() {
            tokio::task::yield_now().await;
        }
        waiting.abort();
        assert!(waiting.await.unwrap_err().is_cancelled());
        assert!(leases.state().waiting.is_empty());
        first.sent();
        drop(first);
        assert_eq!(leases.pool(), (Bytes(0), Pool::WINDOW));
    }

    #[tokio::test]
    async fn a_unit_that_never_fits_is_refused_by_name() {
        let leases = Leases::new(Pool::new(), Clock::system());
        let refusal = leases.reserve(&Payer::Client(key(1)), Bytes((16 << 20) + 1)).await.unwrap_err();
        assert_eq!(refusal.status(), StatusCode::FORBIDDEN);
        assert!(refusal.detail().contains("does not fit into the window of"), "{}", refusal.detail());
    }
}
