//! The listener: TLS 1.3, HTTP/2 and 1.1, with a bound on everything that one caller could hold on to.

use crate::address::Network;
use crate::gateway::serve::connection::Connection;
use crate::gateway::serve::watched::{Movement, Watched};
use crate::metrics::Metrics;
use crate::peer::channel_binding;
use axum::Router;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use std::collections::HashMap;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tracing::debug;

/// Connections at once, of everybody.
const CONNECTIONS: usize = 1_024;
/// Connections at once from one /24 or /48.
const CONNECTIONS_PER_NETWORK: usize = 64;
/// How long the handshake may take, and how long a connection may go without a session.
const GREETING: Duration = Duration::from_secs(15);
/// How long nothing may move on a connection with a session, whether it is idle or its reader takes nothing.
const STILL: Duration = Duration::from_secs(120);
/// How often it is looked whether something moves.
const LOOK: Duration = Duration::from_secs(5);
/// The head of a request: a path of at most 1,100 octets and a few headers.
const HEAD_BYTES: usize = 16 * 1024;
/// Lines in it.
const HEADERS: usize = 64;
/// Requests at once on one connection.
const STREAMS: u32 = 64;
/// What HTTP/2 keeps of each answer for a reader that takes its time.
const SEND_BUFFER_BYTES: usize = 1 << 20;
/// The largest frame that is sent where the reader allows it: fewer heads, fewer wakings.
const FRAME_BYTES: u32 = 256 * 1024;
/// What the callers may send at once: requests have no bodies but claims.
const RECEIVE_WINDOW_BYTES: u32 = 64 * 1024;
/// How long answers that are on their way may go on when the gateway is to end.
const GRACE: Duration = Duration::from_secs(1);
/// The pause after a connection that could not be accepted: no file descriptor was free, mostly.
const AFTER_FAILURE: Duration = Duration::from_millis(100);

/// Accepts connections until told to stop.
pub(super) struct Acceptor {
    pub(super) tls: TlsAcceptor,
    pub(super) router: Router,
    pub(super) stopping: watch::Receiver<bool>,
    /// How many connections there are, for whoever watches.
    pub(super) connections: Arc<AtomicUsize>,
    pub(super) metrics: Metrics,
}

impl Acceptor {
    pub(super) async fn run(self, listener: TcpListener) {
        let mut stopping = self.stopping.clone();
        let mut connections = JoinSet::new();
        let places = Arc::<Mutex<HashMap<Network, usize>>>::default();
        let server = Arc::new(server());
        loop {
            tokio::select! {
                () = end(&mut stopping) => break,
                Some(_) = connections.join_next() => self.connections.store(connections.len(), Ordering::Relaxed),
                accepted = listener.accept() => match accepted {
                    Ok((stream, peer)) => {
                        let network = Network::of(peer.ip());
                        if connections.len() >= CONNECTIONS {
                            self.metrics.gateway_refused("connections");
                            continue;
                        }
                        let Some(place) = Place::take(&places, &network) else {
                            self.metrics.gateway_refused("connections_of_network");
                            continue;
                        };
                        let (tls, router, stopping) = (self.tls.clone(), self.router.clone(), self.stopping.clone());
                        let (server, metrics) = (Arc::clone(&server), self.metrics.clone());
                        connections.spawn(async move {
                            serve(stream, network, tls, router, &server, stopping, &metrics).await;
                            drop(place);
                        });
                        self.connections.store(connections.len(), Ordering::Relaxed);
                    }
                    Err(error) => {
                        debug!(%error, "a connection could not be accepted");
                        sleep(AFTER_FAILURE).await;
                    }
                },
            }
        }
        drop(listener);
        while connections.join_next().await.is_some() {}
    }
}

/// One of a network's connections; free again when dropped.
struct Place {
    network: Network,
    places: Arc<Mutex<HashMap<Network, usize>>>,
}

impl Place {
    fn take(places: &Arc<Mutex<HashMap<Network, usize>>>, network: &Network) -> Option<Self> {
        let mut taken = places.lock().unwrap_or_else(PoisonError::into_inner);
        let count = taken.entry(network.clone()).or_default();
        if *count >= CONNECTIONS_PER_NETWORK {
            return None;
        }
        *count += 1;
        Some(Self { network: network.clone(), places: Arc::clone(places) })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = taken.get_mut(&self.network) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.network);
            }
        }
    }
}

fn server() -> auto::Builder<TokioExecutor> {
    let mut server = auto::Builder::new(TokioExecutor::new());
    server
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(STILL)
        .max_buf_size(HEAD_BYTES)
        .max_headers(HEADERS)
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(HEAD_BYTES as u32)
        .max_concurrent_streams(STREAMS)
        .max_send_buf_size(SEND_BUFFER_BYTES)
        .max_frame_size(FRAME_BYTES)
        .initial_stream_window_size(RECEIVE_WINDOW_BYTES)
        .initial_connection_window_size(RECEIVE_WINDOW_BYTES);
    server
}

async fn serve(
    stream: TcpStream,
    network: Network,
    tls: TlsAcceptor,
    router: Router,
    server: &auto::Builder<TokioExecutor>,
    mut stopping: watch::Receiver<bool>,
    metrics: &Metrics,
) {
    // What is sent is complete: nothing is gained by waiting for more.
    let _ = stream.set_nodelay(true);
    let movement = Movement::new();
    let began = Instant::now();
    // What a stranger's connection died of is nobody's business.
    let stream = tokio::select! {
        shaken = timeout(GREETING, tls.accept(Watched { stream, movement: Arc::clone(&movement) })) => match shaken {
            Ok(Ok(stream)) => stream,
            _ => return metrics.gateway_refused("handshake"),
        },
        () = end(&mut stopping) => return,
    };
    let Ok(exporter) = channel_binding(stream.get_ref().1) else { return };
    let connection = Arc::new(Connection::new(network, exporter));
    let routes = TowerToHyperService::new(router);
    let known = Arc::clone(&connection);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(Arc::clone(&known));
        routes.call(request)
    });
    let mut serving = pin!(server.serve_connection(TokioIo::new(stream), service));
    let mut look = tokio::time::interval(LOOK);
    loop {
        tokio::select! {
            _ = serving.as_mut() => return,
            () = end(&mut stopping) => break,
            _ = look.tick() => {
                if connection.caller().is_none() && began.elapsed() > GREETING {
                    metrics.gateway_refused("no_session");
                    break;
                }
                if movement.still_for() > STILL {
                    // Whoever takes nothing does not take an end either.
                    return;
                }
            }
        }
    }
    serving.as_mut().graceful_shutdown();
    let _ = timeout(GRACE, serving).await;
}

async fn end(stopping: &mut watch::Receiver<bool>) {
    // An error means that the handle was dropped, which is an end too.
    let _ = stopping.wait_for(|stopping| *stopping).await;
}
