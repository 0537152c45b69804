//! The last gate before a dial: an address that may not be dialled is not, whoever named it.
//!
//! What comes to our own list and questions is filtered there. But kad walks by itself to whatever peers name, AutoNAT
//! dials whoever asks for it, and a name leads where its owner says: here the address stands as it will be dialled, its
//! name resolved.

use crate::address::{PrivateAddresses, dialable};
use libp2p::Multiaddr;
use libp2p::core::Transport;
use libp2p::core::transport::{DialOpts, ListenerId, TransportError, TransportEvent};
use std::pin::Pin;
use std::task::{Context, Poll};

/// A transport that dials only what may be dialled.
pub(crate) struct Gate<T> {
    inner: T,
    private: PrivateAddresses,
}

impl<T> Gate<T> {
    pub(crate) fn new(inner: T, private: PrivateAddresses) -> Self {
        Self { inner, private }
    }
}

impl<T: Transport + Unpin> Transport for Gate<T> {
    type Output = T::Output;
    type Error = T::Error;
    type ListenerUpgrade = T::ListenerUpgrade;
    type Dial = T::Dial;

    fn listen_on(&mut self, id: ListenerId, addr: Multiaddr) -> Result<(), TransportError<Self::Error>> {
        self.inner.listen_on(id, addr)
    }

    fn remove_listener(&mut self, id: ListenerId) -> bool {
        self.inner.remove_listener(id)
    }

    fn dial(&mut self, addr: Multiaddr, opts: DialOpts) -> Result<Self::Dial, TransportError<Self::Error>> {
        if !dialable(&addr, self.private) {
            return Err(TransportError::MultiaddrNotSupported(addr));
        }
        self.inner.dial(addr, opts)
    }

    fn poll(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<TransportEvent<Self::ListenerUpgrade, Self::Error>> {
        Pin::new(&mut self.inner).poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use libp2p::core::Endpoint;
    use libp2p::core::transport::PortUse;
    use libp2p::tcp;

    #[tokio::test]
    async fn a_private_address_is_not_dialled_whoever_names_it() {
        let dials = |private, addr: &str| {
            let mut gate = Gate::new(tcp::tokio::Transport::new(tcp::Config::default()), private);
            gate.dial(addr.parse().unwrap(), DialOpts { role: Endpoint::Dialer, port_use: PortUse::New }).is_ok()
        };
        for addr in ["/ip4/127.0.0.1/tcp/1", "/ip4/192.168.1.1/tcp/80", "/ip6/::1/tcp/1", "/ip4/100.64.0.1/tcp/1"] {
            assert!(!dials(PrivateAddresses::Refused, addr), "{addr}");
            assert!(dials(PrivateAddresses::Allowed, addr), "{addr}");
        }
        assert!(dials(PrivateAddresses::Refused, "/ip4/8.8.8.8/tcp/1"), "not connected to: the future is dropped");
    }
}
