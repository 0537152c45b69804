//! The server of the local API: bound to loopback, found through `api.json`, gone with its node.

use crate::config::FileError;
use crate::http::api_file::ApiFile;
use crate::http::routes::{ApiParts, router};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::debug;

/// How long requests that are being worked on may go on when the node stops.
const GRACE: Duration = Duration::from_secs(1);

/// A running API.
#[derive(Debug)]
pub struct Api {
    file: ApiFile,
    home: crate::config::Home,
    stop: watch::Sender<bool>,
    server: JoinHandle<()>,
}

/// Why the API did not start.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The port is in use, or the address is none of this machine's.
    #[error("the local API cannot listen on {addr}")]
    Listen {
        /// Where it should have listened.
        addr: SocketAddr,
        /// What the operating system said.
        source: io::Error,
    },
    /// `api.json` could not be written.
    #[error(transparent)]
    File(#[from] FileError),
}

impl Api {
    /// Serves `parts` on `addr` (port 0: any free one), and says where in `api.json`.
    pub async fn start(addr: SocketAddr, parts: ApiParts) -> Result<Self, ApiError> {
        let listen = |source| ApiError::Listen { addr, source };
        let listener = TcpListener::bind(addr).await.map_err(listen)?;
        let url = format!("http://{}", listener.local_addr().map_err(listen)?);
        let home = parts.home.clone();
        let file = ApiFile::of_this_process(&url, parts.dht.peer_id());
        let (stop, stopping) = watch::channel(false);
        let app = router(parts, stopping.clone());
        let mut stopping = stopping;
        let server = axum::serve(listener, app).with_graceful_shutdown(async move {
            // An error means that the handle was dropped, which is an end too.
            let _ = stopping.wait_for(|stopping| *stopping).await;
        });
        let server = tokio::spawn(async move {
            if let Err(error) = server.await {
                debug!(%error, "the local API ended");
            }
        });
        file.write(&home)?;
        Ok(Self { file, home, stop, server })
    }

    /// Where it answers: `http://127.0.0.1:PORT`.
    pub fn url(&self) -> &str {
        &self.file.url
    }

    /// Stops taking requests, takes `api.json` away, and gives those being worked on a moment.
    pub async fn stop(mut self) {
        self.file.remove(&self.home);
        let _ = self.stop.send(true);
        if tokio::time::timeout(GRACE, &mut self.server).await.is_err() {
            self.server.abort();
        }
    }
}

impl Drop for Api {
    /// Without [`Api::stop`] the server ends all the same.
    fn drop(&mut self) {
        self.server.abort();
        self.file.remove(&self.home);
    }
}
