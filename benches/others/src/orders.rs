//! What the bench says and what it is told: one line of JSON each. The other side is `testnet/bench/others.rs`.

use serde::{Deserialize, Serialize};
use std::net::SocketAddrV4;

/// What is to be done.
#[derive(Debug, Deserialize)]
#[serde(tag = "order", rename_all = "kebab-case")]
pub enum Order {
    /// Tell what is compared with.
    Versions,
    /// Raise a network behind relays and publish that many records.
    Raise { places: Vec<Place>, records: usize, value_bytes: usize },
    /// Raise a network without any distance, by `mainline`'s own builder, and publish that many records.
    RaiseTestnet { nodes: usize, records: usize, value_bytes: usize },
    /// Questions of a client that stands in the network.
    Warm { system: System, samples: usize, pause_ms: u64 },
    /// Questions of clients that are new each time.
    Cold { system: System, samples: usize, pause_ms: u64, start: Start },
    /// Publish records anew.
    Publish { system: System, samples: usize, pause_ms: u64 },
    /// As many questions as one client gets answered, so many of them open at once.
    Flood { system: System, in_flight: usize, seconds: f64 },
}

/// One node's place.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct Place {
    /// Where it listens.
    pub listen: SocketAddrV4,
    /// Where the others reach it.
    pub external: SocketAddrV4,
}

/// Whose client asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum System {
    /// `mainline`: the first item that verifies.
    Mainline,
    /// `pkarr` with the DHT alone: the first packet that verifies.
    Pkarr,
}

/// What a new client begins with.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Start {
    /// The routing table of a client before it.
    SavedPeers,
    /// One node's address.
    OneAddress,
}

/// What came of it.
#[derive(Debug, Default, Serialize)]
pub struct Answer {
    /// To [`Order::Versions`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub versions: Vec<String>,
    /// How long each took that was answered.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub seconds: Vec<f64>,
    /// How many were not.
    pub failed: usize,
    /// With [`Order::Flood`]: how many were answered, and within which time.
    pub answered: usize,
    /// See there.
    pub elapsed_seconds: f64,
}
