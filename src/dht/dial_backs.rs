//! Whom to dial back: peers that came to us and claim to be servers where they did not come from.
//!
//! A few at a time, and fewest of all from one network: whoever comes with a thousand claims about a neighbour of theirs
//! must not turn us against that neighbour, nor keep us from an honest server behind another's address.

use crate::address::Network;
use libp2p_identity::PeerId;
use std::collections::HashMap;

/// How many peers are dialled back between two ticks. A handshake costs 6 ms of CPU.
const PER_TICK: usize = 8;
/// How many of them may have come from one network.
const PER_NETWORK: usize = 2;
/// How many wait for their turn. Who finds no place comes again with its next identify.
const WAITING: usize = 256;

/// The peers that wait, and the turns that are left until the next tick.
#[derive(Debug, Default)]
pub(super) struct DialBacks {
    waiting: Vec<(PeerId, Option<Network>)>,
    taken: HashMap<Option<Network>, usize>,
}

impl DialBacks {
    /// Notes a peer that came from `from` and is to be dialled back.
    pub(super) fn add(&mut self, peer: PeerId, from: Option<Network>) {
        if self.waiting.len() < WAITING && self.waiting.iter().all(|(known, _)| *known != peer) {
            self.waiting.push((peer, from));
        }
    }

    /// The next one to be dialled, if there is a turn left for one.
    pub(super) fn next(&mut self) -> Option<PeerId> {
        if self.taken.values().sum::<usize>() >= PER_TICK {
            return None;
        }
        let of = |from: &Option<Network>| self.taken.get(from).copied().unwrap_or_default();
        let place = self.waiting.iter().position(|(_, from)| of(from) < PER_NETWORK)?;
        let (peer, from) = self.waiting.remove(place);
        *self.taken.entry(from).or_default() += 1;
        Some(peer)
    }

    /// Gives new turns.
    pub(super) fn tick(&mut self) {
        self.taken.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(n: u8) -> Option<Network> {
        Network::of_multiaddr(&format!("/ip4/127.0.{n}.1/tcp/1").parse().unwrap())
    }

    #[test]
    fn a_crowd_from_one_network_gets_two_turns_and_all_networks_together_eight() {
        let mut dial_backs = DialBacks::default();
        for _ in 0..100 {
            dial_backs.add(PeerId::random(), network(1));
        }
        let honest = PeerId::random();
        dial_backs.add(honest, network(2));
        let turns: Vec<PeerId> = std::iter::from_fn(|| dial_backs.next()).collect();
        assert!(turns.len() == 3 && turns.contains(&honest));
        for n in 3..20 {
            dial_backs.add(PeerId::random(), network(n));
        }
        assert_eq!(std::iter::from_fn(|| dial_backs.next()).count(), PER_TICK - 3);
        dial_backs.tick();
        assert_eq!(std::iter::from_fn(|| dial_backs.next()).count(), PER_TICK);
    }

    #[test]
    fn a_flood_of_claims_takes_no_more_memory_than_its_queue() {
        let mut dial_backs = DialBacks::default();
        for _ in 0..10_000 {
            dial_backs.add(PeerId::random(), network(1));
        }
        assert_eq!(dial_backs.waiting.len(), WAITING);
    }
}
