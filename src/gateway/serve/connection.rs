//! One TLS connection: where it comes from, what ties a claim to it, and who has opened a session on it.

use crate::address::Network;
use crate::gateway::serve::ahead::Ahead;
use crate::session::Caller;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

/// How many claims may be made on one connection: each costs a signature to check.
const MAX_CLAIMS: u32 = 8;

/// What is known of a connection.
#[derive(Debug)]
pub(super) struct Connection {
    /// The network that it comes from.
    pub(super) network: Network,
    /// What both ends know and nobody between (RFC 9266).
    pub(super) exporter: [u8; 32],
    /// What was begun before it was asked for.
    pub(super) ahead: Ahead,
    caller: Mutex<Option<Caller>>,
    claims: AtomicU32,
}

impl Connection {
    pub(super) fn new(network: Network, exporter: [u8; 32]) -> Self {
        Self { network, exporter, ahead: Ahead::default(), caller: Mutex::default(), claims: AtomicU32::new(0) }
    }

    /// Whose requests come on it, once a session is open.
    pub(super) fn caller(&self) -> Option<Caller> {
        self.caller.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether one more claim may be made.
    pub(super) fn may_claim(&self) -> bool {
        self.claims.fetch_add(1, Ordering::Relaxed) < MAX_CLAIMS
    }

    /// Ends the session: who calls has to open another one.
    pub(super) fn close(&self) {
        self.ahead.clear();
        *self.caller.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Opens a session. A later one on the same connection takes its place.
    pub(super) fn open(&self, caller: Caller) {
        self.ahead.clear();
        *self.caller.lock().unwrap_or_else(PoisonError::into_inner) = Some(caller);
    }
}
