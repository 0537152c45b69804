//! The listener of the web address: on loopback, gone with its handle.

use crate::http::web::routes::router;
use crate::reader::Reader;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::{debug, info};

/// How long transfers that are under way may go on when the address closes.
const GRACE: Duration = Duration::from_secs(1);

/// An open web address.
#[derive(Debug)]
pub struct WebAddress {
    addr: SocketAddr,
    stop: watch::Sender<bool>,
    server: JoinHandle<()>,
}

/// Why the web address did not open.
#[derive(Debug, thiserror::Error)]
pub enum WebAddressError {
    /// It would be open to others, who would read at the user's cost.
    #[error("the web address would listen on {0}, and it is for this machine alone: choose a port on 127.0.0.1")]
    NotLoopback(SocketAddr),
    /// The port is in use.
    #[error("the web address cannot listen on {addr}")]
    Listen {
        /// Where.
        addr: SocketAddr,
        /// What the operating system said.
        source: io::Error,
    },
}

impl WebAddress {
    /// Serves what `reader` reads, on `listen` (port 0: any free one).
    pub async fn start(listen: SocketAddr, reader: Reader) -> Result<Self, WebAddressError> {
        if !listen.ip().is_loopback() {
            return Err(WebAddressError::NotLoopback(listen));
        }
        let failed = |source| WebAddressError::Listen { addr: listen, source };
        let listener = TcpListener::bind(listen).await.map_err(failed)?;
        let addr = listener.local_addr().map_err(failed)?;
        let (stop, mut stopping) = watch::channel(false);
        let server = axum::serve(listener, router(reader)).with_graceful_shutdown(async move {
            // An error means that the handle was dropped, which is an end too.
            let _ = stopping.wait_for(|stopping| *stopping).await;
        });
        let server = tokio::spawn(async move {
            if let Err(error) = server.await {
                debug!(%error, "the web address ended");
            }
        });
        info!(%addr, "the web address is open");
        Ok(Self { addr, stop, server })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Takes no more requests, and gives those under way a moment.
    pub async fn stop(mut self) {
        let _ = self.stop.send(true);
        if tokio::time::timeout(GRACE, &mut self.server).await.is_err() {
            self.server.abort();
        }
    }
}

impl Drop for WebAddress {
    /// Without [`WebAddress::stop`] the server ends all the same.
    fn drop(&mut self) {
        self.server.abort();
    }
}
