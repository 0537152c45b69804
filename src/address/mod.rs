//! Where a node or a gateway can be reached: host names and IP addresses as text, which of them are public, which
//! multiaddrs may be dialled, and which network an address counts for.
//!
//! It decides by the text alone. A DNS name says nothing of where it leads: who dials it checks, with [`reach`], the
//! address it resolved to, and dials that one.

mod dial;
mod host;
mod network;
mod reach;

pub use dial::{PrivateAddresses, Undialable, dialable, undialable, undialable_ip};
pub use host::{DnsName, Host, HostError, HostPort};
pub use network::{Network, is_localhost};
pub use reach::{Reach, reach};
