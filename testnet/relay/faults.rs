//! What a relay does not let through, and how its streams wait for that to end.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use tokio::sync::watch;

/// A /24 of IPv4: in a testnet, one node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Network([u8; 3]);

impl Network {
    /// The network that `ip` is in.
    pub(crate) fn of(ip: Ipv4Addr) -> Self {
        let [a, b, c, _] = ip.octets();
        Self([a, b, c])
    }
}

/// The faults in force on one relay.
#[derive(Debug, Clone, Default)]
pub(crate) struct Faults {
    paused: bool,
    cut_off_from: BTreeSet<Network>,
}

impl Faults {
    /// Whether nothing passes between the node and a client at `client`.
    pub(crate) fn stop(&self, client: IpAddr) -> bool {
        self.paused || matches!(client, IpAddr::V4(ip) if self.cut_off_from.contains(&Network::of(ip)))
    }

    /// Nothing passes until it is resumed.
    pub(crate) fn set_paused(&mut self, paused: bool) {
        self.paused = paused;
    }

    /// Nothing passes from or to these networks. Replaces what was said before; none heals the partition.
    pub(crate) fn set_cut_off_from(&mut self, networks: impl IntoIterator<Item = Network>) {
        self.cut_off_from = networks.into_iter().collect();
    }
}

/// What the tasks of a relay ask before they let something through.
#[derive(Clone)]
pub(crate) struct Gate(watch::Receiver<Faults>);

impl Gate {
    /// A gate that follows `faults`.
    pub(crate) fn new(faults: &watch::Sender<Faults>) -> Self {
        Self(faults.subscribe())
    }

    /// Whether a datagram from or to `client` passes now.
    pub(crate) fn is_open(&self, client: IpAddr) -> bool {
        !self.0.borrow().stop(client)
    }

    /// Waits until something from or to `client` passes.
    pub(crate) async fn opened(&mut self, client: IpAddr) {
        // The sender lives in the relay's handle; when that is gone, so are the tasks that wait here.
        let _ = self.0.wait_for(|faults| !faults.stop(client)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_stops_the_named_networks_alone() {
        let mut faults = Faults::default();
        faults.set_cut_off_from([Network::of(Ipv4Addr::new(127, 9, 3, 1))]);
        assert!(faults.stop(IpAddr::V4(Ipv4Addr::new(127, 9, 3, 2))));
        assert!(!faults.stop(IpAddr::V4(Ipv4Addr::new(127, 9, 4, 1))));
        faults.set_cut_off_from([]);
        assert!(!faults.stop(IpAddr::V4(Ipv4Addr::new(127, 9, 3, 2))));
    }

    #[test]
    fn a_pause_stops_everybody() {
        let mut faults = Faults::default();
        faults.set_paused(true);
        assert!(faults.stop(IpAddr::V4(Ipv4Addr::LOCALHOST)));
    }
}
