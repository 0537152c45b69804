//! The options of every command that reaches the network.

use crate::address::{PrivateAddresses, Undialable, undialable};
use crate::cli::exit::ExitCode;
use crate::cli::failure::{Failure, Outcome};
use crate::config::NetworkName;
use clap::Args;
use multiaddr::Multiaddr;

/// Which network, and where it begins.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct NetworkArgs {
    /// A node to begin with, as `clearinghouse status` prints it; may be repeated
    #[arg(long, value_name = "ADDR")]
    bootstrap: Vec<Multiaddr>,
    /// The network of nodes [default: main, or as the data directory says]
    #[arg(long, value_name = "NAME")]
    pub(super) network: Option<NetworkName>,
    /// Dial addresses outside the public Internet too: on a network inside one house, or for tests
    #[arg(long)]
    allow_private_addresses: bool,
}

impl NetworkArgs {
    /// Whether the command line says where to begin, or in which network.
    pub(super) fn says_where(&self) -> bool {
        !self.bootstrap.is_empty() || self.network.is_some()
    }

    /// What the command line allows, or what the settings allow anyway.
    pub(super) fn private_addresses(&self, otherwise: PrivateAddresses) -> PrivateAddresses {
        if self.allow_private_addresses { PrivateAddresses::Allowed } else { otherwise }
    }

    /// The nodes to begin with; an address that would never be dialled is refused by name.
    pub(super) fn bootstrap(&self, private: PrivateAddresses) -> Outcome<Vec<Multiaddr>> {
        for addr in &self.bootstrap {
            if let Some(reason) = undialable(addr, private) {
                let failure = Failure::because(ExitCode::Malformed, &reason).about(format_args!("--bootstrap {addr}"));
                return Err(match reason {
                    // The error says what to do.
                    Undialable::Private(_) => failure,
                    _ => failure.hint("`clearinghouse status` of a running node prints its addresses"),
                });
            }
        }
        Ok(self.bootstrap.clone())
    }
}
