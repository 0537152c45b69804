//! What a publisher can show for its work.

use crate::keys::GridId;
use crate::signed::Identity;
use std::fmt;
use std::time::Duration;

/// To whom a record is brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// To every server known: the network is small.
    WholeNetwork,
    /// To the region of the keyspace around its key.
    Region,
}

impl fmt::Display for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WholeNetwork => "whole-network",
            Self::Region => "region",
        })
    }
}

/// Who holds a record, by what was read back from them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The grid whose record it is.
    pub grid: GridId,
    /// Its sequence.
    pub sequence: u64,
    /// The record itself.
    pub identity: Identity,
    /// To whom it was brought.
    pub reach: Reach,
    /// How many servers this node knew of.
    pub servers_known: usize,
    /// How many servers were asked to hold it.
    pub asked: usize,
    /// From how many the very bytes were read back. Our own node does not count.
    pub holders: usize,
    /// In how many networks (/24, /48) these are.
    pub networks: usize,
    /// How long it took.
    pub elapsed: Duration,
}

impl Receipt {
    /// Whether the record is held as widely as the network allows: by every server of a small network, in twenty places of
    /// a large one; with nobody else there, by ourselves.
    pub fn is_wide(&self) -> bool {
        match self.reach {
            Reach::WholeNetwork => self.holders >= self.servers_known,
            Reach::Region => self.holders >= crate::dht::walk::WIDTH.min(self.servers_known),
        }
    }
}

impl fmt::Display for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.holders == 0 {
            return f.write_str("held by nobody yet but this node");
        }
        let (holders, networks) = (self.holders, self.networks);
        write!(f, "held by {holders} of {} servers in {networks} networks", self.servers_known)
    }
}
