//! The walk towards a point of the keyspace, without the network: whom to ask next, and when there is nobody left.
//!
//! Kademlia's iterative lookup (Maymounkov and Mazières, 2002, 2.3) over our own question, which brings the record and
//! nearer peers in one round trip. It ends when as many of the nearest as its width says, those that failed not counted,
//! have all answered.

use crate::dht::server::{Point, Server};
use crate::record::HOLDERS;
use libp2p_identity::PeerId;
use std::collections::{BTreeMap, HashMap};

/// Kademlia's k: the usual width of a walk.
pub const WIDTH: usize = HOLDERS;
/// Kademlia's α: how many questions are open at once. Ten, so that two dead peers of ten do not hold up the others.
pub const PARALLELISM: usize = 10;
/// How many servers a walk takes note of in all. A liar may name twenty that do not exist in each answer.
const MAX_CANDIDATES: usize = 1_000;
/// How many addresses of one server are tried, whoever names them.
const MAX_ADDRESSES: usize = 8;
/// After so many dead ends, what a peer named is asked last.
const DEAD_ENDS_FORGIVEN: u32 = 2;

/// A walk in progress.
#[derive(Debug)]
pub struct Walk {
    target: Point,
    width: usize,
    candidates: BTreeMap<[u8; 32], Candidate>,
    place: HashMap<PeerId, [u8; 32]>,
    dead_ends: HashMap<PeerId, u32>,
    open: usize,
}

#[derive(Debug)]
struct Candidate {
    server: Server,
    state: State,
    /// Who named it; `None` if we knew it before.
    named_by: Option<PeerId>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Fresh,
    Asked,
    Answered,
    Failed,
}

impl Walk {
    /// A walk to `target` that begins with the servers known and ends when the `width` nearest have answered.
    pub fn new(target: Point, width: usize, known: impl IntoIterator<Item = Server>) -> Self {
        let mut walk = Self {
            target,
            width,
            candidates: BTreeMap::new(),
            place: HashMap::new(),
            dead_ends: HashMap::new(),
            open: 0,
        };
        for server in known {
            walk.note(server, None);
        }
        walk
    }

    /// The next server to ask, if one may be asked now; it counts as asked.
    pub fn next_to_ask(&mut self) -> Option<Server> {
        if self.open >= PARALLELISM {
            return None;
        }
        let mut alive = 0;
        let mut doubtful = None;
        let mut chosen = None;
        for (place, candidate) in &self.candidates {
            match candidate.state {
                State::Failed => continue,
                State::Fresh if self.is_doubtful(candidate) => {
                    doubtful = doubtful.or(Some(*place));
                    continue;
                }
                State::Fresh => {
                    chosen = Some(*place);
                    break;
                }
                State::Asked | State::Answered => alive += 1,
            }
            if alive == self.width {
                break;
            }
        }
        // What liars named is tried only when the width cannot be filled without it.
        let chosen = chosen.or(if alive < self.width { doubtful } else { None })?;
        let candidate = self.candidates.get_mut(&chosen)?;
        candidate.state = State::Asked;
        self.open += 1;
        Some(candidate.server.clone())
    }

    /// Takes note of a server that we have come to know since.
    pub fn learn(&mut self, server: Server) {
        self.note(server, None);
    }

    /// Takes note of a server that is to be asked at once, wherever it lies; it counts as asked.
    pub fn ask_first(&mut self, server: &Server) {
        self.note(server.clone(), None);
        if let Some(candidate) = self.place.get(&server.peer).and_then(|place| self.candidates.get_mut(place))
            && candidate.state == State::Fresh
        {
            candidate.state = State::Asked;
            self.open += 1;
        }
    }

    /// Notes an answer and the peers it named. Returns whether the peer had been known before the walk began.
    pub fn answered(&mut self, peer: &PeerId, nearer: Vec<Server>) -> bool {
        let known_before = self.close(peer, State::Answered).is_some_and(|named_by| named_by.is_none());
        for server in nearer {
            self.note(server, Some(*peer));
        }
        known_before
    }

    /// Notes that a peer did not answer.
    pub fn failed(&mut self, peer: &PeerId) {
        if let Some(Some(named_by)) = self.close(peer, State::Failed) {
            *self.dead_ends.entry(named_by).or_default() += 1;
        }
    }

    /// Whether nobody is left to ask and no question is open.
    pub fn is_finished(&mut self) -> bool {
        if self.open > 0 {
            return false;
        }
        match self.next_to_ask() {
            None => true,
            Some(server) => {
                self.reopen(&server.peer);
                false
            }
        }
    }

    /// The servers that answered, nearest first.
    pub fn nearest(&self) -> impl Iterator<Item = &Server> {
        self.candidates.values().filter(|c| c.state == State::Answered).map(|c| &c.server)
    }

    fn note(&mut self, server: Server, named_by: Option<PeerId>) {
        if let Some(known) = self.place.get(&server.peer).and_then(|place| self.candidates.get_mut(place)) {
            known.learn(server, named_by);
            return;
        }
        if self.candidates.len() >= MAX_CANDIDATES || server.addrs.is_empty() {
            return;
        }
        let place = self.target.distance(&server.point());
        self.place.insert(server.peer, place);
        self.candidates.insert(place, Candidate { server, state: State::Fresh, named_by });
    }

    fn is_doubtful(&self, candidate: &Candidate) -> bool {
        candidate.named_by.is_some_and(|peer| self.dead_ends.get(&peer).is_some_and(|n| *n > DEAD_ENDS_FORGIVEN))
    }

    /// Ends the open question to `peer`; `None` if there was none.
    fn close(&mut self, peer: &PeerId, state: State) -> Option<Option<PeerId>> {
        let candidate = self.candidates.get_mut(self.place.get(peer)?)?;
        if candidate.state != State::Asked {
            return None;
        }
        candidate.state = state;
        self.open -= 1;
        Some(candidate.named_by)
    }

    fn reopen(&mut self, peer: &PeerId) {
        if let Some(candidate) = self.place.get(peer).and_then(|place| self.candidates.get_mut(place)) {
            candidate.state = State::Fresh;
            self.open -= 1;
        }
    }
}

impl Candidate {
    /// Takes in addresses that somebody else names for it: whoever names an honest server first, with addresses where
    /// nobody is, must not keep us from it. So one that failed is asked again where there is something new to try.
    fn learn(&mut self, server: Server, named_by: Option<PeerId>) {
        let news: Vec<_> = server.addrs.into_iter().filter(|addr| !self.server.addrs.contains(addr)).collect();
        if news.is_empty() || self.server.addrs.len() + news.len() > MAX_ADDRESSES {
            return;
        }
        self.server.addrs.extend(news);
        if self.state == State::Failed {
            self.state = State::Fresh;
            self.named_by = named_by;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn server(n: u16) -> Server {
        let mut seed = [0; 32];
        seed[..2].copy_from_slice(&n.to_be_bytes());
        Server {
            peer: libp2p_identity::Keypair::ed25519_from_bytes(seed).unwrap().public().to_peer_id(),
            addrs: vec![format!("/ip4/127.{}.{}.1/tcp/1", n >> 8, n & 255).parse().unwrap()],
        }
    }

    fn sorted(servers: &[Server], target: Point) -> Vec<Server> {
        let mut servers = servers.to_vec();
        servers.sort_by_key(|s| target.distance(&s.point()));
        servers
    }

    /// A network in which each server knows its 20 nearest neighbours and 20 others.
    fn nearer(all: &[Server], of: &Server, target: Point) -> Vec<Server> {
        let mut known = sorted(all, of.point());
        known.truncate(20);
        known.extend(all.iter().skip(usize::from(of.addrs[0].to_string().len() as u8)).step_by(13).take(20).cloned());
        let mut known = sorted(&known, target);
        known.truncate(20);
        known
    }

    #[test]
    fn a_walk_from_one_server_ends_at_the_nearest() {
        let all: Vec<Server> = (0..300).map(server).collect();
        let target = Point::of(b"target");
        let mut walk = Walk::new(target, WIDTH, [all[7].clone()]);
        let mut asked = 0;
        while let Some(next) = walk.next_to_ask() {
            asked += 1;
            walk.answered(&next.peer, nearer(&all, &next, target));
        }
        assert!(walk.is_finished());
        let found: Vec<Server> = walk.nearest().take(WIDTH).cloned().collect();
        assert_eq!(found, sorted(&all, target)[..WIDTH]);
        assert!(asked < 100, "{asked}");
    }

    #[test]
    fn no_more_than_ten_questions_are_open() {
        let mut walk = Walk::new(Point::of(b"t"), WIDTH, (0..30).map(server));
        let open: Vec<Server> = std::iter::from_fn(|| walk.next_to_ask()).collect();
        assert_eq!(open.len(), PARALLELISM);
        assert!(!walk.is_finished());
        walk.failed(&open[0].peer);
        assert!(walk.next_to_ask().is_some());
    }

    #[test]
    fn the_dead_are_passed_over() {
        let all: Vec<Server> = (0..40).map(server).collect();
        let target = Point::of(b"t");
        let order = sorted(&all, target);
        let dead: HashSet<PeerId> = order.iter().step_by(2).map(|s| s.peer).collect();
        let mut walk = Walk::new(target, WIDTH, all);
        while let Some(next) = walk.next_to_ask() {
            if dead.contains(&next.peer) {
                walk.failed(&next.peer);
            } else {
                walk.answered(&next.peer, Vec::new());
            }
        }
        assert_eq!(walk.nearest().count(), 20);
    }

    #[test]
    fn what_a_liar_names_is_asked_last() {
        let target = Point::of(b"t");
        let all = sorted(&(0..200).map(server).collect::<Vec<_>>(), target);
        // The liar and one honest server are known; the liar names the 20 nearest, all dead, the honest one 20 farther ones.
        let (fakes, honest) = (&all[..20], &all[100..120]);
        let (liar, truthful) = (all[150].clone(), all[151].clone());
        let mut walk = Walk::new(target, WIDTH, [liar.clone(), truthful.clone()]);
        let mut fakes_asked_before_the_last_honest = 0;
        let mut honest_asked = 0;
        while let Some(next) = walk.next_to_ask() {
            if next == liar {
                walk.answered(&next.peer, fakes.to_vec());
            } else if next == truthful {
                walk.answered(&next.peer, honest.to_vec());
            } else if fakes.contains(&next) {
                fakes_asked_before_the_last_honest += usize::from(honest_asked < 18);
                walk.failed(&next.peer);
            } else {
                honest_asked += 1;
                walk.answered(&next.peer, Vec::new());
            }
        }
        assert!(honest_asked >= 18, "{honest_asked}");
        assert!(fakes_asked_before_the_last_honest <= 3, "{fakes_asked_before_the_last_honest}");
    }

    #[test]
    fn a_wrong_address_does_not_hide_a_server() {
        let (liar, honest) = (server(1), server(2));
        let hidden = server(3);
        let elsewhere = Server { addrs: server(4).addrs, ..hidden.clone() };
        let mut walk = Walk::new(Point::of(b"t"), WIDTH, [liar.clone(), honest.clone()]);
        assert!(walk.next_to_ask().is_some() && walk.next_to_ask().is_some());
        walk.answered(&liar.peer, vec![elsewhere.clone()]);
        assert_eq!(walk.next_to_ask(), Some(elsewhere.clone()));
        walk.failed(&hidden.peer);
        walk.answered(&honest.peer, vec![hidden.clone()]);
        let again = walk.next_to_ask().expect("there is a new address");
        assert_eq!(again.addrs, [elsewhere.addrs, hidden.addrs].concat());
        walk.failed(&hidden.peer);
        assert!(walk.is_finished(), "nothing new is named");
    }

    #[test]
    fn nobody_is_asked_for_ever_at_ever_new_addresses() {
        let (liar, dead) = (server(0), server(1));
        let mut walk = Walk::new(Point::of(b"t"), WIDTH, [liar.clone(), dead.clone()]);
        let mut asked = 0;
        for port in 1..100 {
            while let Some(next) = walk.next_to_ask() {
                asked += u32::from(next.peer == dead.peer);
                walk.failed(&next.peer);
            }
            let addrs = vec![format!("/ip4/127.0.0.9/tcp/{port}").parse().unwrap()];
            walk.answered(&liar.peer, vec![Server { addrs, ..dead.clone() }]);
        }
        assert_eq!(asked, MAX_ADDRESSES as u32);
    }

    #[test]
    fn who_was_known_before_is_told_apart_from_who_was_named() {
        let mut walk = Walk::new(Point::of(b"t"), WIDTH, [server(1)]);
        let first = walk.next_to_ask().unwrap();
        assert!(walk.answered(&first.peer, vec![server(2)]));
        let second = walk.next_to_ask().unwrap();
        assert!(!walk.answered(&second.peer, Vec::new()));
    }
}
