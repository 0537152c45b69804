//! A gateway that opens a session for anybody, serves one file, and lies about it as it is told.

use crate::given::{given, problem};
use futures::StreamExt;
use futures::future::{BoxFuture, FutureExt, ready};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use lafs_clearinghouse::capability::{Capability, StorageIndex};
use lafs_clearinghouse::furl::Nurl;
use lafs_clearinghouse::gateway::{Files, ShareServer};
use lafs_clearinghouse::grid::{Health, ServerError, ShareKind};
use lafs_clearinghouse::keys::GridId;
use lafs_clearinghouse::peer::TlsIdentity;
use serde_json::json;
use std::convert::Infallible;
use std::io;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// What it says instead of the truth.
#[derive(Debug, Clone)]
pub(crate) enum Lie {
    Nothing,
    /// One octet of the manifest is another one.
    Manifest(usize),
    /// The manifest is cut off there.
    ManifestCut(usize),
    /// One octet of the ciphertext is another one.
    Ciphertext(usize),
    /// These ranges of the ciphertext change places.
    Swapped(usize, usize, usize),
    /// The ciphertext ends there, each time that it is asked for.
    CutOff(usize),
    /// The ciphertext stands still there, each time that it is asked for.
    Stalled(usize),
    /// The same, the first time that it is asked for.
    StalledOnce(usize),
    /// No answer comes about a file.
    Silent,
    /// There is more of it.
    More,
    /// The right file's manifest, and this file's ciphertext.
    CiphertextOf(Arc<Served>),
    /// All of another file.
    All(Arc<Served>),
}

/// A file as a gateway serves it.
#[derive(Debug, Clone)]
pub(crate) struct Served {
    pub(crate) manifest: Vec<u8>,
    pub(crate) ciphertext: Vec<u8>,
    pub(crate) etag: String,
}

/// Each share of a file, in memory.
#[derive(Debug)]
struct Shares(Vec<Vec<u8>>);

impl Served {
    /// The file of `cap`, out of all of its shares.
    pub(crate) fn of(cap: &Capability, shares: &[Vec<u8>]) -> Self {
        let server: Arc<dyn ShareServer> = Arc::new(Shares(shares.to_vec()));
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async move {
            let files = Files::on(Arc::new(move || vec![server.clone()]));
            let file = files.open(&cap.verify_cap().unwrap(), None).await.unwrap();
            let units = file.layout().units();
            let manifest = file.manifest(0..units).await.unwrap().encode();
            let pieces: Vec<_> = file.units(0..units).collect().await;
            let ciphertext = pieces.into_iter().flat_map(|unit| unit.unwrap().pieces.concat()).collect();
            Self { manifest, ciphertext, etag: file.etag() }
        })
    }
}

impl ShareServer for Shares {
    fn name(&self) -> String {
        "memory".to_owned()
    }

    fn health(&self) -> Health {
        Health::default()
    }

    fn blame(&self) {}

    fn shares(&self, _: ShareKind, _: StorageIndex) -> BoxFuture<'_, Result<Vec<u16>, ServerError>> {
        ready(Ok((0..self.0.len() as u16).collect())).boxed()
    }

    fn read(
        &self,
        _: ShareKind,
        _: StorageIndex,
        share: u16,
        offset: u64,
        length: u64,
    ) -> BoxFuture<'_, Result<Bytes, ServerError>> {
        let share = &self.0[usize::from(share)];
        let start = (offset as usize).min(share.len());
        let end = (offset.saturating_add(length) as usize).min(share.len());
        ready(Ok(Bytes::copy_from_slice(&share[start..end]))).boxed()
    }
}

/// The gateway. It runs until it is dropped.
pub(crate) struct LyingGateway {
    pub(crate) nurl: Nurl,
    shared: Arc<Shared>,
    _runtime: tokio::runtime::Runtime,
}

struct Shared {
    grid: GridId,
    /// `client` or `grid`: what it takes everybody for.
    caller: &'static str,
    served: Mutex<(Arc<Served>, Lie)>,
    claims: Mutex<Vec<Vec<u8>>>,
    connections: Mutex<usize>,
    /// The ranges of ciphertext that were asked for.
    ranges: Mutex<Vec<String>>,
}

impl LyingGateway {
    /// The gateway of `grid`, which takes everybody for a `caller`.
    pub(crate) fn start(grid: GridId, caller: &'static str, served: &Arc<Served>) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let identity = TlsIdentity::generate();
        // Each at an address of its own: a home calls none too often.
        let [first, second, ..] = *grid.as_bytes();
        let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::new(127, first.max(1), second, 2), 0))).unwrap();
        let address = listener.local_addr().unwrap();
        let nurl = Nurl::gateway(*identity.spki_hash(), address.ip().into(), address.port()).unwrap();
        let served = Mutex::new((Arc::clone(served), Lie::Nothing));
        let shared = Arc::new(Shared {
            grid,
            caller,
            served,
            claims: Mutex::default(),
            connections: Mutex::default(),
            ranges: Mutex::default(),
        });
        let acceptor = TlsAcceptor::from(Arc::new(identity.server_config(&[b"http/1.1"])));
        let state = shared.clone();
        runtime.spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                *state.connections.lock().unwrap() += 1;
                let (acceptor, state) = (acceptor.clone(), state.clone());
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let service = service_fn(move |request| {
                        let state = state.clone();
                        async move { Ok::<_, Infallible>(answer(request, &state).await) }
                    });
                    let http = hyper::server::conn::http1::Builder::new();
                    let _ = http.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Self { nurl, shared, _runtime: runtime }
    }

    /// What it serves, and how it lies about it, from now on.
    pub(crate) fn serves(&self, served: &Arc<Served>, lie: Lie) {
        *self.shared.served.lock().unwrap() = (Arc::clone(served), lie);
    }

    /// The claims to sessions that it was given.
    pub(crate) fn claims(&self) -> Vec<Vec<u8>> {
        self.shared.claims.lock().unwrap().clone()
    }

    /// The ranges of ciphertext that it was asked for.
    pub(crate) fn ranges(&self) -> Vec<String> {
        self.shared.ranges.lock().unwrap().clone()
    }

    /// How many connections were opened to it.
    pub(crate) fn connections(&self) -> usize {
        *self.shared.connections.lock().unwrap()
    }
}

type Body = BoxBody<Bytes, io::Error>;

async fn answer(request: Request<Incoming>, shared: &Shared) -> Response<Body> {
    let (head, body) = request.into_parts();
    let path = head.uri.path();
    let (served, lie) = shared.served.lock().unwrap().clone();
    let grid = shared.grid.to_string();
    if path == "/v1/gateway" {
        let now = lafs_clearinghouse::clock::Clock::system().now();
        let json = json!({"grid_id": grid, "network": "a-house", "now_unix_seconds": now, "key": grid});
        return boxed(given(StatusCode::OK, &json));
    }
    if path == "/v1/session" {
        let claim = body.collect().await.unwrap().to_bytes().to_vec();
        shared.claims.lock().unwrap().push(claim);
        let json = json!({
            "caller": shared.caller, "label": "anybody", "grid_id": grid, "window_bytes": 16 << 20, "unit_limit_bytes": 16 << 20,
        });
        return boxed(given(StatusCode::OK, &json));
    }
    let served = match &lie {
        Lie::All(other) => Arc::clone(other),
        _ => served,
    };
    if matches!(lie, Lie::Silent) {
        futures::future::pending::<()>().await;
    }
    if path.contains("/manifest/") {
        let mut manifest = served.manifest.clone();
        match lie {
            Lie::Manifest(at) => manifest[at] ^= 1,
            Lie::ManifestCut(at) => manifest.truncate(at),
            _ => {}
        }
        return whole("application/cbor", &served.etag, manifest);
    }
    match head.headers.get(header::RANGE).and_then(|range| range.to_str().ok()) {
        Some(range) if path.contains("/ciphertext/") => {
            if matches!(lie, Lie::StalledOnce(_)) {
                shared.served.lock().unwrap().1 = Lie::Nothing;
            }
            shared.ranges.lock().unwrap().push(range.to_owned());
            ciphertext(range, &served, lie)
        }
        _ if path.starts_with("/v1/lanes") => boxed(problem(StatusCode::NOT_IMPLEMENTED, "failed", "no lanes here")),
        _ => boxed(problem(StatusCode::NOT_FOUND, "not_found", "no such path")),
    }
}

fn whole(kind: &str, etag: &str, octets: Vec<u8>) -> Response<Body> {
    let response = Response::builder().header(header::CONTENT_TYPE, kind).header(header::ETAG, etag);
    boxed(response.body(http_body_util::Full::new(Bytes::from(octets))).unwrap())
}

fn ciphertext(range: &str, served: &Served, lie: Lie) -> Response<Body> {
    let mut octets = served.ciphertext.clone();
    let size = octets.len();
    let (mut end, mut still) = (None, None);
    match &lie {
        Lie::Ciphertext(at) => octets[*at] ^= 1,
        Lie::Swapped(one, other, length) => {
            let (low, high) = octets.split_at_mut(*other);
            low[*one..one + length].swap_with_slice(&mut high[..*length]);
        }
        Lie::CutOff(at) => end = Some(*at),
        Lie::Stalled(at) | Lie::StalledOnce(at) => still = Some(*at),
        Lie::CiphertextOf(other) => octets = other.ciphertext.clone(),
        _ => {}
    }
    let (first, last) = range.strip_prefix("bytes=").and_then(|range| range.split_once('-')).unwrap();
    let (first, last): (usize, usize) = (first.parse().unwrap(), last.parse().unwrap());
    let mut part = octets[first..=last].to_vec();
    let mut frames = Vec::new();
    if matches!(lie, Lie::More) {
        part.push(0);
    }
    let length = part.len();
    if let Some(end) = end.or(still) {
        part.truncate(end.saturating_sub(first));
    }
    frames.extend(part.chunks(10_000).map(|piece| Ok(Frame::data(Bytes::copy_from_slice(piece)))));
    if end.is_some() {
        frames.push(Err(io::Error::other("cut off")));
    }
    let response = Response::builder()
        .status(StatusCode::PARTIAL_CONTENT)
        .header(header::ETAG, &served.etag)
        .header(header::CONTENT_LENGTH, length)
        .header(header::CONTENT_RANGE, format!("bytes {first}-{last}/{size}"));
    let frames = futures::stream::iter(frames);
    match still {
        Some(_) => response.body(BodyExt::boxed(StreamBody::new(frames.chain(futures::stream::pending())))).unwrap(),
        None => response.body(BodyExt::boxed(StreamBody::new(frames))).unwrap(),
    }
}

fn boxed<B>(response: Response<B>) -> Response<Body>
where
    B: hyper::body::Body<Data = Bytes, Error = Infallible> + Send + Sync + 'static,
{
    response.map(|body| body.map_err(|never| match never {}).boxed())
}
