//! The listener that is open to strangers, with a bound on everything that one of them could hold on to.

use crate::address::Network;
use crate::clock::Clock;
use crate::dht::Dht;
use crate::http::resolver_address::client::Client;
use crate::http::resolver_address::routes::router;
use axum::Router;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};
use tracing::{debug, info};

/// Connections at once, of everybody. Each holds a head of at most [`HEAD_BYTES`] and an answer of 20 kB.
const CONNECTIONS: usize = 512;
/// Connections at once from one /24 or /48.
const CONNECTIONS_PER_NETWORK: usize = 32;
/// The head of a request: a path of 80 characters and what browsers add.
const HEAD_BYTES: usize = 16 * 1024;
/// Lines in it.
const HEADERS: usize = 64;
/// How long a head may take to come, and how long a connection may wait for its next request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest that one connection lives, so that whoever never reads an answer does not keep it for ever.
const LIFETIME: Duration = Duration::from_secs(300);
/// How long a request that is being worked on may go on when its connection is to end.
const GRACE: Duration = Duration::from_secs(1);
/// The pause after a connection that could not be accepted: no file descriptor was free, mostly.
const AFTER_FAILURE: Duration = Duration::from_millis(100);

/// Where and for whom to answer.
#[derive(Debug, Clone)]
pub struct ResolverSettings {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Reverse proxies that are believed when they say who asks.
    pub proxies: Vec<IpAddr>,
}

/// A running resolver address.
#[derive(Debug)]
pub struct ResolverAddress {
    addr: SocketAddr,
    stop: watch::Sender<bool>,
    server: JoinHandle<()>,
}

/// Why the resolver address did not open.
#[derive(Debug, thiserror::Error)]
#[error("the resolver address cannot listen on {addr}: choose another in `resolver-listen`")]
pub struct ResolverAddressError {
    addr: SocketAddr,
    source: io::Error,
}

impl ResolverAddress {
    /// Opens the address and answers from what `dht` holds.
    pub async fn start(settings: ResolverSettings, dht: Dht, clock: Clock) -> Result<Self, ResolverAddressError> {
        let ResolverSettings { listen, proxies } = settings;
        let failed = |source| ResolverAddressError { addr: listen, source };
        let listener = TcpListener::bind(listen).await.map_err(failed)?;
        let addr = listener.local_addr().map_err(failed)?;
        let (stop, stopping) = watch::channel(false);
        let acceptor = Acceptor {
            router: router(dht, clock, proxies.clone()),
            places: Arc::default(),
            proxies: proxies.into(),
            lifetime: LIFETIME,
            stopping,
        };
        info!(%addr, "the resolver address is open");
        Ok(Self { addr, stop, server: tokio::spawn(acceptor.run(listener)) })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Takes no more connections, and gives those being worked on a moment.
    pub async fn stop(mut self) {
        let _ = self.stop.send(true);
        if timeout(GRACE * 2, &mut self.server).await.is_err() {
            self.server.abort();
        }
    }
}

impl Drop for ResolverAddress {
    /// Without [`ResolverAddress::stop`] the server ends all the same.
    fn drop(&mut self) {
        self.server.abort();
    }
}

struct Acceptor {
    router: Router,
    places: Arc<Mutex<HashMap<Network, usize>>>,
    proxies: Arc<[IpAddr]>,
    /// The longest that one connection lives.
    lifetime: Duration,
    stopping: watch::Receiver<bool>,
}

impl Acceptor {
    async fn run(self, listener: TcpListener) {
        let mut stopping = self.stopping.clone();
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                () = end(&mut stopping) => break,
                Some(_) = connections.join_next() => {}
                accepted = listener.accept() => match accepted {
                    Ok((stream, peer)) => {
                        if connections.len() < CONNECTIONS && let Some(place) = self.place(peer.ip()) {
                            let (router, stopping) = (self.router.clone(), self.stopping.clone());
                            let lifetime = self.lifetime;
                            connections.spawn(async move {
                                serve(stream, Client(peer.ip()), router, lifetime, stopping).await;
                                drop(place);
                            });
                        }
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

    /// A place for a connection from `peer`, if its network has not taken all of its own. A proxy brings everybody's.
    fn place(&self, peer: IpAddr) -> Option<Place> {
        let peer = peer.to_canonical();
        let network = Network::of(peer);
        let is_proxy = self.proxies.iter().any(|proxy| proxy.to_canonical() == peer);
        let mut taken = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let count = taken.entry(network.clone()).or_default();
        if *count >= CONNECTIONS_PER_NETWORK && !is_proxy {
            return None;
        }
        *count += 1;
        Some(Place { network, places: Arc::clone(&self.places) })
    }
}

/// One of a network's connections; free again when dropped.
struct Place {
    network: Network,
    places: Arc<Mutex<HashMap<Network, usize>>>,
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

async fn serve(
    stream: TcpStream,
    client: Client,
    router: Router,
    lifetime: Duration,
    mut stopping: watch::Receiver<bool>,
) {
    // Answers are small and complete: nothing is gained by waiting for more.
    let _ = stream.set_nodelay(true);
    let routes = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(client);
        routes.call(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_BYTES)
        .max_headers(HEADERS)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    tokio::select! {
        // What a stranger's connection died of is nobody's business.
        _ = connection.as_mut() => return,
        () = end(&mut stopping) => {}
        () = sleep(lifetime) => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = timeout(GRACE, connection).await;
}

async fn end(stopping: &mut watch::Receiver<bool>) {
    // An error means that the handle was dropped, which is an end too.
    let _ = stopping.wait_for(|stopping| *stopping).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use axum::routing::get;
    use std::net::Ipv4Addr;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    /// A server whose connections live so long.
    async fn open(lifetime: Duration, router: Router) -> (SocketAddr, watch::Sender<bool>) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let (addr, (stop, stopping)) = (listener.local_addr().unwrap(), watch::channel(false));
        let acceptor = Acceptor { router, places: Arc::default(), proxies: [].into(), lifetime, stopping };
        tokio::spawn(acceptor.run(listener));
        (addr, stop)
    }

    /// How often `act` can be done until the connection is at its end.
    async fn until_it_ends(mut act: impl AsyncFnMut() -> io::Result<usize>) -> usize {
        let ended = timeout(Duration::from_secs(60), async {
            let mut times = 0;
            while act().await.is_ok_and(|octets| octets > 0) {
                times += 1;
            }
            times
        });
        ended.await.expect("the connection ends")
    }

    #[tokio::test]
    async fn a_connection_that_asks_for_ever_is_ended_all_the_same() {
        let (addr, _stop) = open(Duration::from_millis(200), Router::new().route("/", get(|| async { "yes" }))).await;
        let mut stream = TcpStream::connect(addr).await.unwrap();
        let mut answer = [0; 4_096];
        let answers = until_it_ends(async || {
            stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await?;
            stream.read(&mut answer).await
        });
        assert!(answers.await > 1, "until then it is answered");
        // Whoever asks again gets another one.
        let mut again = TcpStream::connect(addr).await.unwrap();
        again.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        assert!(again.read(&mut answer).await.unwrap() > 0);
    }

    #[tokio::test]
    async fn a_connection_whose_answer_is_never_taken_is_ended_all_the_same() {
        // An answer without an end, of which the client takes an octet now and then.
        let endless = || async {
            let chunks = futures::stream::repeat_with(|| Ok::<_, io::Error>(vec![b'y'; 1_024]));
            Body::from_stream(chunks)
        };
        let (addr, _stop) = open(Duration::from_millis(200), Router::new().route("/", get(endless))).await;
        let mut stream = TcpStream::connect(addr).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        let mut answer = vec![0; 1 << 20];
        assert!(until_it_ends(async || stream.read(&mut answer).await).await > 0);
    }
}
