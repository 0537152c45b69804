//! The nodes that the grid's record names as its own: they have the freshest copy, and a `fresh` question asks one.

use crate::address::{PrivateAddresses, dialable};
use crate::dht::server::Server;
use crate::record::{GridRecord, SignedRecord};
use crate::resolver::tally::Tally;
use libp2p_identity::PeerId;
use std::collections::HashSet;

/// How many are asked in all, while ever newer records name ever other ones: twice what one record may name.
const MAX_ASKED: usize = 8;

/// How far it has come with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum OwnNode {
    /// No record is known yet that could name one.
    #[default]
    Unknown,
    /// The record names none that could be asked.
    Nobody,
    /// One is being asked.
    Waiting,
    /// One answered.
    Answered,
    /// None answered.
    Silent,
}

/// Who of them was asked.
#[derive(Debug, Default)]
pub(crate) struct OwnNodes {
    looked_at: Option<crate::signed::Identity>,
    asked: HashSet<PeerId>,
    open: usize,
    answered: bool,
}

impl OwnNodes {
    /// Those that the best record names and that are to be asked now; they count as asked. Whoever answered anyway, or is
    /// ourselves, needs no second question.
    pub(crate) fn due(&mut self, tally: &Tally, local: PeerId, private: PrivateAddresses) -> Vec<Server> {
        let Some((best, _)) = tally.best() else { return Vec::new() };
        if self.looked_at == Some(best.identity()) {
            return Vec::new();
        }
        self.looked_at = Some(best.identity());
        let mut to_ask = Vec::new();
        for server in named(best, private) {
            if server.peer == local || tally.has_answered(&server.peer) {
                self.answered = true;
            } else if self.asked.len() < MAX_ASKED && self.asked.insert(server.peer) {
                self.open += 1;
                to_ask.push(server);
            }
        }
        to_ask
    }

    /// Notes that one that was asked answered, or did not.
    pub(crate) fn heard(&mut self, answered: bool) {
        self.open = self.open.saturating_sub(1);
        self.answered |= answered;
    }

    /// How far it has come.
    pub(crate) fn state(&self, tally: &Tally) -> OwnNode {
        let heard_otherwise = || self.asked.iter().any(|peer| tally.has_answered(peer));
        match self {
            Self { looked_at: None, .. } => OwnNode::Unknown,
            Self { answered: true, .. } => OwnNode::Answered,
            _ if heard_otherwise() => OwnNode::Answered,
            Self { open: 1.., .. } => OwnNode::Waiting,
            Self { asked, .. } if asked.is_empty() => OwnNode::Nobody,
            _ => OwnNode::Silent,
        }
    }
}

/// The nodes that a record names, with the addresses that may be dialled: a record could send us against anybody.
fn named(record: &SignedRecord, private: PrivateAddresses) -> Vec<Server> {
    let Ok(record) = GridRecord::read(record.clone()) else { return Vec::new() };
    let server = |node: &crate::record::NodeEntry| {
        let addrs: Vec<_> = node.addrs().iter().filter(|addr| dialable(addr, private)).cloned().collect();
        (!addrs.is_empty()).then_some(Server { peer: *node.peer_id(), addrs })
    };
    record.nodes().iter().filter_map(server).collect()
}
