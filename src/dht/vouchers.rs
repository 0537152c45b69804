//! Which keys new to us are worth fetching: those that servers of two networks hold.
//!
//! A server that we compare books with could hold a hundred thousand grids that exist nowhere else. What two networks hold
//! has passed both their doors; what only one does passes ours at the rate of any stranger (`admission`).

use crate::address::Network;
use std::collections::{HashMap, HashSet};

/// How many keys are remembered that one network alone holds; beyond it the memory begins anew.
const MAX_KEYS: usize = 50_000;

/// The networks that hold keys which are new to us.
#[derive(Debug, Default)]
pub(super) struct Vouchers(HashMap<[u8; 32], HashSet<Option<Network>>>);

impl Vouchers {
    /// Notes that a server of `network` holds `key`. Returns whether that is enough: two networks do, or all there are
    /// where `others` says that we know of one only.
    pub(super) fn vouch(&mut self, key: [u8; 32], network: Option<Network>, others: usize) -> bool {
        if others <= 1 {
            return true;
        }
        if self.0.len() >= MAX_KEYS {
            self.0.clear();
        }
        let networks = self.0.entry(key).or_default();
        networks.insert(network);
        let enough = networks.len() >= 2;
        if enough {
            self.0.remove(&key);
        }
        enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(n: u8) -> Option<Network> {
        Network::of_multiaddr(&format!("/ip4/127.0.{n}.1/tcp/1").parse().unwrap())
    }

    #[test]
    fn a_key_needs_two_networks() {
        let mut vouchers = Vouchers::default();
        assert!(!vouchers.vouch([1; 32], network(1), 5));
        assert!(!vouchers.vouch([1; 32], network(1), 5), "the same network twice");
        assert!(!vouchers.vouch([2; 32], network(2), 5), "another key");
        assert!(vouchers.vouch([1; 32], network(2), 5));
    }

    #[test]
    fn the_only_network_there_is_suffices() {
        assert!(Vouchers::default().vouch([1; 32], network(1), 1));
    }
}
