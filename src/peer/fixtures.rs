//! A gateway for the tests of this room: real TLS, real claims, and faults to order.

use crate::address::PrivateAddresses;
use crate::clock::Clock;
use crate::config::Patience;
use crate::furl::Nurl;
use crate::keys::{GridId, SecretKey};
use crate::peer::client::GatewayClient;
use crate::peer::dial::{DialGuard, Named};
use crate::peer::error::PeerError;
use crate::peer::identity::TlsIdentity;
use crate::peer::place::{CallerIdentity, GatewayPlace};
use crate::peer::tls::channel_binding;
use crate::record::{self, GridRecord, RecordDraft, Roles, Signer};
use crate::session::{Channel, Claimant, Nonces, SessionClaim};
use futures::stream::{self, StreamExt};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::header;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinHandle};
use tokio_rustls::TlsAcceptor;

pub(super) const UNIT_BYTES: u64 = 100_000;
pub(super) const CONTENT_BYTES: u64 = 2_345_678;

type Body = BoxBody<Bytes, io::Error>;

/// Which protocols it speaks.
#[derive(Debug, Clone, Copy)]
pub(super) enum Speaks {
    Both,
    OneOnly,
}

/// What goes wrong with one answer of ciphertext.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fault {
    CutAfter(usize),
    Flip(usize),
    OtherRange,
    WholeFile,
    TooMuch,
    Problem,
    Endless,
}

pub(super) struct Gateway {
    pub(super) nurl: Nurl,
    pub(super) grid: GridId,
    state: Arc<State>,
    server: JoinHandle<()>,
}

struct State {
    grid: GridId,
    spki_hash: [u8; 32],
    content: Arc<Vec<u8>>,
    nonces: Mutex<Nonces>,
    faults: Mutex<VecDeque<Fault>>,
    record: Mutex<(&'static str, Vec<u8>)>,
    counts: Mutex<(usize, usize)>,
    open: Mutex<Vec<(AbortHandle, watch::Receiver<()>)>>,
    /// Held by each body that is being sent.
    bodies: watch::Sender<()>,
}

pub(super) fn secret(n: u8) -> SecretKey {
    SecretKey::from_seed(&[n; 32])
}

/// The record of the grid of key `grid`, whose gateway with the key `gateway` spends.
pub(super) fn record_of(grid: u8, gateway: u8) -> GridRecord {
    let entry = record::Gateway::new(None, Some(secret(gateway).public()), Roles::SPEND, None).unwrap();
    let draft = RecordDraft { gateways: vec![entry], ..RecordDraft::new(GridId::new(secret(grid).public())) };
    let now = Clock::system().now();
    draft.sign(Signer::Grid { key: &secret(grid), serial: now }, None, &[], now).unwrap()
}

/// A calling grid, whose gateway has key 8; it has a record if that names one.
pub(super) fn grid_of(grid: u8, gateway: Option<u8>) -> CallerIdentity {
    let record = gateway.map(|gateway| record_of(grid, gateway).signed().clone());
    CallerIdentity::Grid { key: secret(8), record: Arc::new(move || record.clone()) }
}

pub(super) async fn client_of(gateway: &Gateway, me: CallerIdentity) -> Result<GatewayClient, PeerError> {
    let place = GatewayPlace { nurl: gateway.nurl.clone(), grid: gateway.grid, named: Named::ByOthers };
    GatewayClient::connect(place, me, Clock::system(), gateway.guard(), Patience::WITH_HOME).await
}

impl Gateway {
    pub(super) async fn start(speaks: Speaks) -> Self {
        let identity = TlsIdentity::generate();
        let alpn: &[&[u8]] = match speaks {
            Speaks::Both => &[b"h2", b"http/1.1"],
            Speaks::OneOnly => &[b"http/1.1"],
        };
        let acceptor = TlsAcceptor::from(Arc::new(identity.server_config(alpn)));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let nurl = Nurl::gateway(*identity.spki_hash(), address.ip().into(), address.port()).unwrap();
        let grid = GridId::new(secret(1).public());
        let content = (0..CONTENT_BYTES).map(|i| (i * 7 + i / 251) as u8).collect();
        let state = Arc::new(State {
            grid,
            spki_hash: *identity.spki_hash(),
            content: Arc::new(content),
            nonces: Mutex::default(),
            faults: Mutex::default(),
            record: Mutex::new(("application/cose", Vec::new())),
            counts: Mutex::default(),
            open: Mutex::default(),
            bodies: watch::Sender::new(()),
        });
        let shared = state.clone();
        let server = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (closed, closing) = watch::channel(());
                let serving = tokio::spawn(serve(stream, acceptor.clone(), shared.clone(), closed));
                shared.open.lock().unwrap().push((serving.abort_handle(), closing));
            }
        });
        Self { nurl, grid, state, server }
    }

    pub(super) fn guard(&self) -> DialGuard {
        DialGuard::new(PrivateAddresses::Allowed)
    }

    pub(super) fn content(&self) -> Arc<Vec<u8>> {
        self.state.content.clone()
    }

    /// What goes wrong with the next answers.
    pub(super) fn next(&self, faults: impl IntoIterator<Item = Fault>) {
        self.state.faults.lock().unwrap().extend(faults);
    }

    pub(super) fn faults_left(&self) -> usize {
        self.state.faults.lock().unwrap().len()
    }

    pub(super) fn give_record(&self, kind: &'static str, body: Vec<u8>) {
        *self.state.record.lock().unwrap() = (kind, body);
    }

    /// How many connections spoke TLS with it to the end.
    pub(super) fn connections(&self) -> usize {
        self.state.counts.lock().unwrap().0
    }

    /// How many requests came.
    pub(super) fn requests(&self) -> usize {
        self.state.counts.lock().unwrap().1
    }

    /// Ends every connection that there is, and waits until it is closed.
    pub(super) async fn close_connections(&self) {
        let open = std::mem::take(&mut *self.state.open.lock().unwrap());
        for (serving, mut closing) in open {
            serving.abort();
            // An error is what it waits for: the other half is dropped with the connection.
            while closing.changed().await.is_ok() {}
        }
    }

    /// Waits until no body is being sent.
    pub(super) async fn is_rid_of_bodies(&self) {
        self.state.bodies.closed().await;
    }

    pub(super) async fn stop(self) {
        self.server.abort();
        let _ = self.server.await;
        let open = std::mem::take(&mut *self.state.open.lock().unwrap());
        open.iter().for_each(|(serving, _)| serving.abort());
    }
}

async fn serve(stream: TcpStream, acceptor: TlsAcceptor, state: Arc<State>, closed: watch::Sender<()>) {
    let Ok(stream) = acceptor.accept(stream).await else { return };
    state.counts.lock().unwrap().0 += 1;
    let (_, tls) = stream.get_ref();
    let exporter = channel_binding(tls).unwrap();
    let two = tls.alpn_protocol() == Some(b"h2");
    let caller: Arc<Mutex<Option<String>>> = Arc::default();
    let service = service_fn(move |request: Request<Incoming>| {
        let (state, caller) = (state.clone(), caller.clone());
        async move { Ok::<_, io::Error>(answer(request, &state, exporter, &caller).await) }
    });
    let stream = TokioIo::new(stream);
    let _ = match two {
        true => hyper::server::conn::http2::Builder::new(TokioExecutor::new()).serve_connection(stream, service).await,
        false => hyper::server::conn::http1::Builder::new().serve_connection(stream, service).await,
    };
    drop(closed);
}

async fn answer(
    request: Request<Incoming>,
    state: &Arc<State>,
    exporter: [u8; 32],
    caller: &Mutex<Option<String>>,
) -> Response<Body> {
    state.counts.lock().unwrap().1 += 1;
    let (head, body) = request.into_parts();
    if (&head.method, head.uri.path()) == (&Method::GET, "/v1/gateway") {
        let now = Clock::system().now().0;
        let key = secret(2).public().to_string();
        let json = serde_json::json!({"grid_id": state.grid, "network": "test", "now_unix_seconds": now, "key": key});
        return given(StatusCode::OK, "application/json", json.to_string());
    }
    if (&head.method, head.uri.path()) == (&Method::POST, "/v1/session") {
        assert_eq!(head.headers[header::CONTENT_TYPE], "application/cose");
        let body = body.collect().await.unwrap().to_bytes();
        return open(&body, state, exporter, caller);
    }
    let Some(caller) = caller.lock().unwrap().clone() else {
        return problem(StatusCode::UNAUTHORIZED, "refused", "no session");
    };
    match head.uri.path() {
        "/v1/whoami" => given(StatusCode::OK, "text/plain", caller),
        "/v1/content" => content(&head.headers, state),
        path if path.starts_with("/v1/grids/pub-v0-") => {
            let (kind, body) = state.record.lock().unwrap().clone();
            let mut response = given(StatusCode::OK, kind, body);
            response.headers_mut().insert(header::AGE, 3.into());
            response
        }
        _ => problem(StatusCode::NOT_FOUND, "not_found", "no such path"),
    }
}

fn open(body: &[u8], state: &State, exporter: [u8; 32], caller: &Mutex<Option<String>>) -> Response<Body> {
    let now = Clock::system().now();
    let channel = Channel { grid: state.grid, spki_hash: state.spki_hash, exporter };
    let claim = match SessionClaim::from_bytes(body, &channel, now) {
        Ok(claim) => claim,
        Err(error) => return problem(StatusCode::FORBIDDEN, "refused", &error.to_string()),
    };
    if state.nonces.lock().unwrap().take(claim.nonce(), now).is_err() {
        return problem(StatusCode::FORBIDDEN, "refused", "replayed");
    }
    let (kind, name) = match claim.claimant() {
        Claimant::Client => ("client", "Ada".to_owned()),
        Claimant::Grid(record) => ("grid", record.grid().to_string()),
    };
    *caller.lock().unwrap() = Some(format!("{kind} {name}"));
    let json = serde_json::json!({
        "caller": kind, "label": name, "grid_id": state.grid, "window_bytes": 16 << 20, "unit_limit_bytes": 4 << 20,
    });
    given(StatusCode::OK, "application/json", json.to_string())
}

fn content(headers: &header::HeaderMap, state: &Arc<State>) -> Response<Body> {
    assert_eq!(headers[header::IF_MATCH], "\"0\"");
    let range = headers[header::RANGE].to_str().unwrap().strip_prefix("bytes=").unwrap();
    let (first, last) = range.split_once('-').unwrap();
    let (first, last): (usize, usize) = (first.parse().unwrap(), last.parse().unwrap());
    let fault = state.faults.lock().unwrap().pop_front();
    let mut octets = state.content[first..=last].to_vec();
    let mut stated = format!("bytes {first}-{last}/{CONTENT_BYTES}");
    let (mut status, mut cut, mut endless) = (StatusCode::PARTIAL_CONTENT, false, false);
    match fault {
        None => {}
        Some(Fault::CutAfter(after)) => {
            octets.truncate(after);
            cut = true;
        }
        Some(Fault::Flip(at)) => octets[at] ^= 1,
        Some(Fault::OtherRange) => stated = format!("bytes {}-{last}/{CONTENT_BYTES}", first + 1),
        Some(Fault::WholeFile) => status = StatusCode::OK,
        Some(Fault::TooMuch) => octets.push(0),
        Some(Fault::Problem) => return problem(StatusCode::BAD_GATEWAY, "too_few_shares", "2 of 3 shares"),
        Some(Fault::Endless) => endless = true,
    }
    let pieces: Vec<Bytes> = octets.chunks(33_333).map(Bytes::copy_from_slice).collect();
    let sent = state.bodies.subscribe();
    let frames = stream::iter(pieces).map(|piece| Ok(Frame::data(piece)));
    let end = match (cut, endless) {
        (true, _) => stream::iter([Err(io::Error::other("cut"))]).boxed(),
        (_, true) => stream::pending().boxed(),
        _ => stream::empty().boxed(),
    };
    let body = frames.chain(end).inspect(move |_| {
        let _ = &sent;
    });
    let mut response = Response::new(BodyExt::boxed(SyncStream(Mutex::new(StreamBody::new(body.boxed())))));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_RANGE, stated.parse().unwrap());
    response
}

/// A body that is `Sync` because one holder alone polls it.
struct SyncStream<S>(Mutex<S>);

impl<S: hyper::body::Body<Data = Bytes, Error = io::Error> + Unpin> hyper::body::Body for SyncStream<S> {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        std::pin::Pin::new(self.0.get_mut().unwrap()).poll_frame(context)
    }
}

fn given(status: StatusCode, kind: &str, body: impl Into<Bytes>) -> Response<Body> {
    let body = Full::new(body.into()).map_err(|never| match never {}).boxed();
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, kind.parse().unwrap());
    response
}

fn problem(status: StatusCode, code: &str, detail: &str) -> Response<Body> {
    let json = serde_json::json!({"status": status.as_u16(), "code": code, "detail": detail});
    given(status, "application/problem+json", json.to_string())
}
