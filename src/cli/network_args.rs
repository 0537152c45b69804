//! The options of every command that reaches the network.

use crate::address::PrivateAddresses;
use crate::config::NetworkName;
use clap::Args;
use multiaddr::Multiaddr;

/// Which network, and where it begins.
#[derive(Debug, Clone, Args)]
pub(super) struct NetworkArgs {
    /// A node to begin with, as `clearinghouse status` prints it; may be repeated
    #[arg(long, value_name = "ADDR")]
    pub(super) bootstrap: Vec<Multiaddr>,
    /// The network of nodes [default: main, or as the data directory says]
    #[arg(long, value_name = "NAME")]
    pub(super) network: Option<NetworkName>,
    /// Dial addresses outside the public Internet too: on a network inside one house, or for tests
    #[arg(long)]
    allow_private_addresses: bool,
}

impl NetworkArgs {
    /// What the command line allows, or what the settings allow anyway.
    pub(super) fn private_addresses(&self, otherwise: PrivateAddresses) -> PrivateAddresses {
        if self.allow_private_addresses { PrivateAddresses::Allowed } else { otherwise }
    }
}
