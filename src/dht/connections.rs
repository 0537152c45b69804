//! Which connections stand, when each was last used, and which may go.
//!
//! libp2p closes none of ours for idleness: setting one up costs 6 ms of CPU and two round trips, so the five most useful
//! are kept; a standing one costs about 100 kB, so no more than eight idle ones are.

use crate::address::Network;
use libp2p_identity::PeerId;
use multiaddr::Multiaddr;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// A connection unused for this long is idle: a walk of another node may still be using it before.
const IDLE_AFTER: Duration = Duration::from_secs(10);
/// Idle connections beyond the warm ones are closed after this long.
const CLOSE_AFTER: Duration = Duration::from_secs(60);

/// The peers that we are connected to.
#[derive(Debug, Default)]
pub(super) struct Connections(HashMap<PeerId, Connection>);

#[derive(Debug)]
struct Connection {
    remote: Option<Multiaddr>,
    dialled: bool,
    last_used: Instant,
    open_questions: u32,
    established: bool,
}

impl Connections {
    /// How many connections are kept, used or not.
    pub(super) const WARM: usize = 5;
    /// How many idle ones are kept for a minute.
    pub(super) const IDLE: usize = 8;

    /// Notes a new connection.
    pub(super) fn opened(&mut self, peer: PeerId, remote: Multiaddr, dialled: bool) {
        let connection = self.0.entry(peer).or_insert_with(Connection::new);
        connection.established = true;
        connection.last_used = Instant::now();
        if dialled || connection.remote.is_none() {
            connection.remote = Some(remote);
            connection.dialled = dialled;
        }
    }

    /// Notes that the last connection to a peer is gone.
    pub(super) fn closed(&mut self, peer: &PeerId) {
        self.0.remove(peer);
    }

    /// Notes that a question to a peer is open, connected or not.
    pub(super) fn begin(&mut self, peer: &PeerId) {
        self.0.entry(*peer).or_insert_with(Connection::new).open_questions += 1;
        self.used(peer);
    }

    /// Notes that a question to a peer is answered or given up.
    pub(super) fn end(&mut self, peer: &PeerId) {
        let Some(connection) = self.0.get_mut(peer) else { return };
        connection.open_questions = connection.open_questions.saturating_sub(1);
        connection.last_used = Instant::now();
        if !connection.established && connection.open_questions == 0 {
            self.0.remove(peer);
        }
    }

    /// Notes that a connection was of use.
    pub(super) fn used(&mut self, peer: &PeerId) {
        if let Some(connection) = self.0.get_mut(peer) {
            connection.last_used = Instant::now();
        }
    }

    /// The address under which we reached a peer, if it was we who dialled.
    pub(super) fn dialled(&self, peer: &PeerId) -> Option<&Multiaddr> {
        self.0.get(peer).filter(|connection| connection.dialled)?.remote.as_ref()
    }

    /// The network from which a peer speaks.
    pub(super) fn network(&self, peer: &PeerId) -> Option<Network> {
        Network::of_multiaddr(self.0.get(peer)?.remote.as_ref()?)
    }

    /// The peers connected to.
    pub(super) fn peers(&self) -> impl Iterator<Item = PeerId> + '_ {
        self.0.iter().filter(|(_, connection)| connection.established).map(|(peer, _)| *peer)
    }

    /// How many peers are connected to.
    pub(super) fn len(&self) -> usize {
        self.peers().count()
    }

    /// Whether nobody is connected to.
    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The connections to close: idle ones beyond [`Self::IDLE`], and after a minute those beyond [`Self::WARM`]; the
    /// longest unused first.
    pub(super) fn superfluous(&self, now: Instant) -> Vec<PeerId> {
        let mut idle: Vec<(PeerId, Duration)> = self
            .0
            .iter()
            .filter(|(_, connection)| connection.established && connection.open_questions == 0)
            .map(|(peer, connection)| (*peer, now.saturating_duration_since(connection.last_used)))
            .filter(|(_, unused)| *unused >= IDLE_AFTER)
            .collect();
        idle.sort_unstable_by_key(|(peer, unused)| (*unused, *peer));
        let keep = |(i, (_, unused)): (usize, &(PeerId, Duration))| {
            i < Self::WARM || (i < Self::IDLE && *unused < CLOSE_AFTER)
        };
        idle.iter().enumerate().filter(|item| !keep((item.0, item.1))).map(|(_, (peer, _))| *peer).collect()
    }
}

impl Connection {
    fn new() -> Self {
        Self { remote: None, dialled: false, last_used: Instant::now(), open_questions: 0, established: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connected(count: usize) -> (Connections, Vec<PeerId>) {
        let mut connections = Connections::default();
        let peers: Vec<PeerId> = (0..count).map(|_| PeerId::random()).collect();
        for (n, peer) in peers.iter().enumerate() {
            connections.opened(*peer, format!("/ip4/127.0.{n}.1/tcp/1").parse().unwrap(), true);
        }
        (connections, peers)
    }

    #[test]
    fn eight_idle_connections_stay_for_a_minute_and_five_for_good() {
        let (connections, _) = connected(20);
        let now = Instant::now();
        assert!(connections.superfluous(now).is_empty(), "none is idle yet");
        assert_eq!(connections.superfluous(now + Duration::from_secs(11)).len(), 12);
        assert_eq!(connections.superfluous(now + Duration::from_secs(61)).len(), 15);
    }

    #[test]
    fn a_connection_with_an_open_question_stays() {
        let (mut connections, peers) = connected(9);
        connections.begin(&peers[3]);
        let later = Instant::now() + Duration::from_secs(3_600);
        assert!(!connections.superfluous(later).contains(&peers[3]));
        connections.end(&peers[3]);
        assert_eq!(connections.superfluous(later).len(), 4);
    }

    #[test]
    fn a_question_to_somebody_unreachable_leaves_nothing_behind() {
        let mut connections = Connections::default();
        let peer = PeerId::random();
        connections.begin(&peer);
        assert!(connections.is_empty());
        connections.end(&peer);
        assert!(connections.0.is_empty());
    }
}
