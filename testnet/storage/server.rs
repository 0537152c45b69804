//! One storage server: TLS, and the few requests of GBS that read.

use super::shelf::{ShareKind, Shelf};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Request, State};
use axum::http::header::{ACCEPT, AUTHORIZATION, CONTENT_RANGE, CONTENT_TYPE, RANGE};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use data_encoding::BASE64;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use lafs_clearinghouse::base32;
use lafs_clearinghouse::furl::Nurl;
use lafs_clearinghouse::peer::TlsIdentity;
use minicbor::Encoder;
use minicbor::data::Tag;
use std::io;
use std::net::Ipv4Addr;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

/// As Tahoe-LAFS's servers have it: how long a connection may wait for its next request.
const IDLE: Duration = Duration::from_secs(60);

/// The CBOR tag of a set, under which share numbers are listed.
const SET: Tag = Tag::new(258);

/// Why a storage server does not serve.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StorageServerError {
    /// Its address is not to be had.
    #[error("a storage server cannot listen on {ip}")]
    Listen {
        /// The address.
        ip: Ipv4Addr,
        /// What the operating system said.
        source: io::Error,
    },
}

/// A running storage server. It ends when it is dropped.
pub(crate) struct StorageServer {
    nurl: Nurl,
    task: JoinHandle<()>,
}

impl StorageServer {
    /// Serves `shelf` at a free port of `ip`, on the current tokio runtime, to whoever knows the NURL.
    pub(crate) fn start(ip: Ipv4Addr, shelf: Shelf) -> Result<Self, StorageServerError> {
        let failed = |source| StorageServerError::Listen { ip, source };
        let listener = std::net::TcpListener::bind((ip, 0)).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let listener = TcpListener::from_std(listener).map_err(failed)?;
        let port = listener.local_addr().map_err(failed)?.port();
        let identity = TlsIdentity::generate();
        let swissnum = base32::encode(&random::<20>());
        let hash = data_encoding::BASE64URL_NOPAD.encode(identity.spki_hash());
        let nurl = format!("pb://{hash}@{ip}:{port}/{swissnum}#v=1").parse().expect("the form of a NURL");
        let acceptor = TlsAcceptor::from(Arc::new(identity.server_config(&[b"http/1.1"])));
        let expected = format!("Tahoe-LAFS {}", BASE64.encode(swissnum.as_bytes()));
        let router = Router::new()
            .route("/storage/v1/version", get(version))
            .route("/storage/v1/{kind}/{index}/shares", get(shares))
            .route("/storage/v1/{kind}/{index}/{number}", get(share))
            .with_state(Arc::new(shelf))
            .layer(from_fn_with_state(Arc::<str>::from(expected), authorised));
        Ok(Self { nurl, task: tokio::spawn(accept(listener, acceptor, router)) })
    }

    /// Its address with its secret: for the servers' list of its own grid alone.
    pub(crate) fn nurl(&self) -> &Nurl {
        &self.nurl
    }
}

impl Drop for StorageServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, acceptor: TlsAcceptor, router: Router) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                connections.spawn(serve(stream, acceptor.clone(), router.clone()));
            }
        }
    }
}

async fn serve(stream: TcpStream, acceptor: TlsAcceptor, router: Router) {
    let _ = stream.set_nodelay(true);
    let Ok(stream) = acceptor.accept(stream).await else { return };
    // What a connection died of is its client's business.
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
        .await;
}

async fn authorised(State(expected): State<Arc<str>>, request: Request, next: Next) -> Response {
    let given = request.headers().get(AUTHORIZATION);
    if given.is_some_and(|given| given.as_bytes() == expected.as_bytes()) {
        next.run(request).await
    } else {
        (StatusCode::UNAUTHORIZED, "Wrong Authorization header").into_response()
    }
}

async fn version(headers: HeaderMap) -> Response {
    const PROTOCOL: &[u8] = b"http://allmydata.org/tahoe/protocols/storage/v1";
    let mut body = Vec::new();
    Encoder::new(&mut body)
        .map(2)
        .and_then(|e| e.bytes(PROTOCOL))
        .and_then(|e| e.map(1))
        .and_then(|e| e.bytes(b"available-space"))
        .and_then(|e| e.u64(0))
        .and_then(|e| e.bytes(b"application-version"))
        .and_then(|e| e.bytes(b"testnet"))
        .expect("memory takes every byte");
    cbor(&headers, body)
}

async fn shares(
    State(shelf): State<Arc<Shelf>>,
    Path((kind, index)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    let Some(kind) = ShareKind::from_word(&kind) else { return StatusCode::NOT_FOUND.into_response() };
    let numbers = shelf.numbers(kind, &index);
    let mut body = Vec::new();
    let mut encoder = Encoder::new(&mut body);
    encoder.tag(SET).and_then(|e| e.array(numbers.len() as u64)).expect("memory takes every byte");
    for number in numbers {
        encoder.u16(number).expect("memory takes every byte");
    }
    cbor(&headers, body)
}

/// CBOR to whoever asks for it, as Tahoe-LAFS's servers have it: to `*/*` too they answer 406.
fn cbor(headers: &HeaderMap, body: Vec<u8>) -> Response {
    const TYPE: &str = "application/cbor";
    if headers.get(ACCEPT).is_none_or(|accept| accept != TYPE) {
        return StatusCode::NOT_ACCEPTABLE.into_response();
    }
    ([(CONTENT_TYPE, TYPE)], body).into_response()
}

async fn share(
    State(shelf): State<Arc<Shelf>>,
    Path((kind, index, number)): Path<(String, String, u16)>,
    headers: HeaderMap,
) -> Response {
    let kind = ShareKind::from_word(&kind);
    let Some(share) = kind.and_then(|kind| shelf.share(kind, &index, number)) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    const TYPE: &str = "application/octet-stream";
    let Some(range) = headers.get(RANGE) else {
        return ([(CONTENT_TYPE, TYPE)], share.clone()).into_response();
    };
    let Some(range) = range.to_str().ok().and_then(asked) else {
        return StatusCode::RANGE_NOT_SATISFIABLE.into_response();
    };
    match cut(share, &range) {
        None => StatusCode::NO_CONTENT.into_response(),
        Some(part) => {
            let last = range.start + part.len() - 1;
            let content_range = format!("bytes {}-{last}/*", range.start);
            let headers = [(CONTENT_TYPE, TYPE.to_owned()), (CONTENT_RANGE, content_range)];
            (StatusCode::PARTIAL_CONTENT, headers, Body::from(part)).into_response()
        }
    }
}

/// The one form of range that Tahoe-LAFS's servers take: `bytes=a-b`, both ends included.
fn asked(text: &str) -> Option<Range<usize>> {
    let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
    let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last).then_some(first..last.checked_add(1)?)
}

/// What there is of `range`; `None` where it begins behind the end.
fn cut(share: &Bytes, range: &Range<usize>) -> Option<Bytes> {
    (range.start < share.len()).then(|| share.slice(range.start..range.end.min(share.len())))
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system gives randomness");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_has_two_ends_and_is_cut_at_the_shares_end() {
        let share = Bytes::from_static(b"0123456789");
        let read = |text| asked(text).map(|range| cut(&share, &range));
        assert_eq!(read("bytes=2-4"), Some(Some(Bytes::from_static(b"234"))));
        assert_eq!(read("bytes=8-99"), Some(Some(Bytes::from_static(b"89"))));
        assert_eq!(read("bytes=10-12"), Some(None));
        for refused in ["bytes=4-2", "bytes=2-", "bytes=-2", "bytes=0-1,3-4", "2-4", "bytes=0-18446744073709551615"] {
            assert_eq!(read(refused), None, "{refused}");
        }
    }
}
