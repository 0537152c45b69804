//! What is known of the shares of one file: on which servers they are, which are open, which are lost. All its readers share it.

use crate::capability::StorageIndex;
use crate::gateway::shares::error::{ReadError, ShareFault};
use crate::gateway::shares::pick::{Choice, pick};
use crate::gateway::shares::server::ShareServer;
use crate::grid::{ServerError, ShareKind};
use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};
use tracing::{debug, warn};

/// How long the other servers may still take to answer once enough shares are known: a better one may be among theirs.
const GRACE: Duration = Duration::from_millis(50);

/// What one server answered.
struct Found {
    server: Arc<dyn ShareServer>,
    shares: Result<Vec<u16>, ServerError>,
}

/// The shares of one file.
pub(super) struct Candidates<Open> {
    index: StorageIndex,
    state: Mutex<State<Open>>,
    answers: tokio::sync::Mutex<mpsc::Receiver<Found>>,
}

struct State<Open> {
    servers: Vec<Arc<dyn ShareServer>>,
    shares: Vec<Share<Open>>,
    answered: usize,
    faults: Vec<String>,
}

struct Share<Open> {
    number: u16,
    server: usize,
    slow: u32,
    standing: Standing<Open>,
}

enum Standing<Open> {
    New,
    Open(Arc<Open>),
    /// Its server did not give it: it is tried again where nothing else is left, by whoever begins to read afterwards.
    Away {
        since: Instant,
        open: Option<Arc<Open>>,
    },
    /// Its octets are wrong.
    Lost,
}

impl<Open> Standing<Open> {
    fn is_usable(&self) -> bool {
        matches!(self, Self::New | Self::Open(_))
    }
}

impl<Open> Candidates<Open> {
    /// Asks all `servers` which shares they have.
    pub(super) fn search(kind: ShareKind, index: StorageIndex, servers: Vec<Arc<dyn ShareServer>>) -> Self {
        let (sender, answers) = mpsc::channel(servers.len().max(1));
        for server in servers {
            let sender = sender.clone();
            tokio::spawn(async move {
                let shares = tokio::select! {
                    shares = server.shares(kind, index) => shares,
                    () = sender.closed() => return,
                };
                let _ = sender.send(Found { server, shares }).await;
            });
        }
        let state = State { servers: Vec::new(), shares: Vec::new(), answered: 0, faults: Vec::new() };
        Self { index, state: Mutex::new(state), answers: tokio::sync::Mutex::new(answers) }
    }

    /// Shares that are all known and open.
    pub(super) fn known(
        index: StorageIndex,
        shares: impl IntoIterator<Item = (Arc<dyn ShareServer>, u16, Arc<Open>)>,
    ) -> Self {
        let mut state = State { servers: Vec::new(), shares: Vec::new(), answered: 0, faults: Vec::new() };
        for (server, number, open) in shares {
            let same = |other: &Arc<dyn ShareServer>| Arc::ptr_eq(other, &server);
            let place = state.servers.iter().position(same).unwrap_or_else(|| {
                state.servers.push(Arc::clone(&server));
                state.answered += 1;
                state.servers.len() - 1
            });
            state.shares.push(Share { number, server: place, slow: 0, standing: Standing::Open(open) });
        }
        let (_, answers) = mpsc::channel(1);
        Self { index, state: Mutex::new(state), answers: tokio::sync::Mutex::new(answers) }
    }

    /// Waits until all servers have answered, but not longer than `patience`.
    pub(super) async fn settle_all(&self, patience: Duration) {
        let until = Instant::now() + patience;
        while let Ok(true) = timeout_at(until, self.more()).await {}
    }

    /// All shares that are known: each with its place among the candidates.
    pub(super) fn all(&self) -> Vec<(usize, Arc<dyn ShareServer>, u16)> {
        let state = self.state();
        let all = state.shares.iter().enumerate();
        all.map(|(candidate, share)| (candidate, Arc::clone(&state.servers[share.server]), share.number)).collect()
    }

    /// Where they are.
    pub(super) fn index(&self) -> StorageIndex {
        self.index
    }

    /// Waits until so many different shares are known, or all servers have answered.
    pub(super) async fn settle(&self, needed: usize) {
        let mut until = None;
        loop {
            if self.different() >= needed {
                let until = *until.get_or_insert_with(|| Instant::now() + GRACE);
                match timeout_at(until, self.more()).await {
                    Ok(true) => continue,
                    Ok(false) | Err(_) => return,
                }
            }
            if !self.more().await {
                return;
            }
        }
    }

    /// Waits for the answer of one more server. `false` once all have answered.
    pub(super) async fn more(&self) -> bool {
        let found = self.answers.lock().await.recv().await;
        match found {
            Some(found) => {
                self.note(found);
                true
            }
            None => false,
        }
    }

    fn note(&self, found: Found) {
        let mut state = self.state();
        match found.shares {
            Ok(numbers) => {
                state.answered += 1;
                let server = state.servers.len();
                state.servers.push(found.server);
                let share = |number| Share { number, server, slow: 0, standing: Standing::New };
                state.shares.extend(numbers.into_iter().map(share));
            }
            Err(error) => {
                debug!(server = found.server.name(), %error, "a storage server does not say which shares it has");
                state.faults.push(format!("server {}: {error}", found.server.name()));
            }
        }
    }

    /// Up to `wanted` shares to read beside those with the numbers `taken`; `busy` are the candidates that are read already.
    pub(super) fn pick(&self, taken: &HashSet<u16>, busy: &[usize], wanted: usize, needed: u16) -> Vec<Choice> {
        let state = self.state();
        let mut order: Vec<usize> = (0..state.servers.len()).collect();
        let health: Vec<_> = state.servers.iter().map(|server| server.health()).collect();
        order.sort_by(|a, b| health[*a].compare(&health[*b]));
        let rank = |server: usize| order.iter().position(|other| *other == server).unwrap_or(usize::MAX);
        let usable = state.shares.iter().enumerate().filter(|(_, share)| share.standing.is_usable());
        let choices: Vec<Choice> = usable
            .map(|(candidate, share)| Choice {
                candidate,
                number: share.number,
                server: share.server,
                // Quicker by a little is no reason to leave a share that needs no decoding; a failure is.
                rank: if health[share.server].consecutive_failures == 0 { 0 } else { 1 + rank(share.server) },
                slow: share.slow + u32::from(!health[share.server].pause.is_zero()),
            })
            .collect();
        let busy: Vec<usize> = busy.iter().filter_map(|candidate| Some(state.shares.get(*candidate)?.server)).collect();
        pick(&choices, taken, &busy, wanted, needed)
    }

    /// The server of a candidate, and the share as it was opened, if it was.
    pub(super) fn get(&self, candidate: usize) -> (Arc<dyn ShareServer>, Option<Arc<Open>>) {
        let state = self.state();
        let share = &state.shares[candidate];
        let open = match &share.standing {
            Standing::Open(open) => Some(Arc::clone(open)),
            Standing::New | Standing::Away { .. } | Standing::Lost => None,
        };
        (Arc::clone(&state.servers[share.server]), open)
    }

    /// All shares that are open.
    pub(super) fn open(&self) -> Vec<(usize, Arc<Open>)> {
        let state = self.state();
        let open = state.shares.iter().enumerate().filter_map(|(candidate, share)| match &share.standing {
            Standing::Open(open) => Some((candidate, Arc::clone(open))),
            Standing::New | Standing::Away { .. } | Standing::Lost => None,
        });
        open.collect()
    }

    /// Keeps a share that was opened.
    pub(super) fn opened(&self, candidate: usize, open: Arc<Open>) {
        let mut state = self.state();
        if matches!(state.shares[candidate].standing, Standing::New) {
            state.shares[candidate].standing = Standing::Open(open);
        }
    }

    /// Notes that somebody waited too long for a share.
    pub(super) fn slow(&self, candidate: usize) {
        let (server, number) = {
            let mut state = self.state();
            let share = &mut state.shares[candidate];
            share.slow = share.slow.saturating_add(1);
            let (server, number) = (share.server, share.number);
            (Arc::clone(&state.servers[server]), number)
        };
        debug!(server = server.name(), share = number, "a share is slow: another is read beside it");
    }

    /// Gives a share up, and says so where its octets are wrong: then somebody should repair it.
    pub(super) fn lose(&self, candidate: usize, fault: &ShareFault) {
        let mut state = self.state();
        let share = &mut state.shares[candidate];
        share.standing = match std::mem::replace(&mut share.standing, Standing::Lost) {
            Standing::Lost => return,
            _ if fault.is_corruption() => Standing::Lost,
            Standing::New => Standing::Away { since: Instant::now(), open: None },
            Standing::Open(open) => Standing::Away { since: Instant::now(), open: Some(open) },
            away @ Standing::Away { .. } => {
                share.standing = away;
                return;
            }
        };
        let (server, number) = (share.server, share.number);
        let server = Arc::clone(&state.servers[server]);
        let name = server.name();
        if fault.is_corruption() {
            server.blame();
            warn!(server = name, share = number, index = %self.index, %fault, "a share is corrupt");
        } else {
            debug!(server = name, share = number, %fault, "a share cannot be read");
        }
        state.faults.push(format!("share {number} on server {name}: {fault}"));
    }

    /// Has the shares tried again whose servers did not give them before `began`: a file stays open for minutes, in which
    /// servers come back. Whether there are any.
    pub(super) fn revive(&self, began: Instant) -> bool {
        let mut state = self.state();
        let State { servers, shares, faults, .. } = &mut *state;
        let mut revived = false;
        for share in shares {
            match &mut share.standing {
                Standing::Away { since, open } if *since < began => {
                    share.standing = open.take().map_or(Standing::New, Standing::Open);
                    let told = format!("share {} on server {}: ", share.number, servers[share.server].name());
                    faults.retain(|fault| !fault.starts_with(&told));
                    revived = true;
                }
                _ => {}
            }
        }
        revived
    }

    /// Adds a share that was found just now. One that was away is back.
    pub(super) fn learn(&self, server: Arc<dyn ShareServer>, number: u16, open: Arc<Open>) {
        let mut state = self.state();
        let State { servers, shares, answered, .. } = &mut *state;
        let place = servers.iter().position(|other| Arc::ptr_eq(other, &server)).unwrap_or_else(|| {
            servers.push(server);
            *answered += 1;
            servers.len() - 1
        });
        match shares.iter_mut().find(|share| (share.server, share.number) == (place, number)) {
            Some(share) if matches!(share.standing, Standing::New | Standing::Away { .. }) => {
                (share.standing, share.slow) = (Standing::Open(open), 0);
            }
            Some(_) => {}
            None => shares.push(Share { number, server: place, slow: 0, standing: Standing::Open(open) }),
        }
    }

    /// How many different shares are not lost.
    pub(super) fn different(&self) -> usize {
        let state = self.state();
        let usable = state.shares.iter().filter(|share| share.standing.is_usable());
        usable.map(|share| share.number).collect::<HashSet<_>>().len()
    }

    /// Why the file cannot be read, now that no share is left to try.
    pub(super) fn too_few(&self, needed: usize) -> ReadError {
        let found = self.different();
        let state = self.state();
        match state.shares.is_empty() && state.faults.is_empty() {
            true if state.answered == 0 => ReadError::NoServers,
            true => ReadError::NotFound { servers: state.answered },
            false => ReadError::TooFewShares { found, needed, faults: state.faults.clone() },
        }
    }

    /// Why a version cannot be read of which `found` different shares of the `needed` are there.
    pub(super) fn too_few_of(&self, found: usize, needed: usize) -> ReadError {
        ReadError::TooFewShares { found, needed, faults: self.state().faults.clone() }
    }

    fn state(&self) -> MutexGuard<'_, State<Open>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
