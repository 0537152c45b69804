//! The least of a home gateway: sessions over real TLS for the clients of a data directory, and records to hand out.

use crate::given::given;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use lafs_clearinghouse::clock::Clock;
use lafs_clearinghouse::config::Home;
use lafs_clearinghouse::furl::Nurl;
use lafs_clearinghouse::keys::{GridId, PublicKey};
use lafs_clearinghouse::members::Members;
use lafs_clearinghouse::peer::{TlsIdentity, channel_binding};
use lafs_clearinghouse::record::GridRecord;
use lafs_clearinghouse::session::{Channel, SessionClaim};
use std::collections::HashMap;
use std::convert::Infallible;
use std::path::Path;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// A gateway that runs until it is dropped.
pub(crate) struct HomeGateway {
    pub(crate) nurl: Nurl,
    shared: Arc<Shared>,
    _runtime: tokio::runtime::Runtime,
}

struct Shared {
    grid: GridId,
    members: Members,
    spki_hash: [u8; 32],
    records: Mutex<HashMap<String, GridRecord>>,
}

impl HomeGateway {
    /// The gateway of `grid`, whose clients are those of the data directory at `dir`.
    pub(crate) fn start(dir: &Path, grid: GridId) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let identity = TlsIdentity::generate();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let nurl = Nurl::gateway(*identity.spki_hash(), address.ip().into(), address.port()).unwrap();
        let shared = Arc::new(Shared {
            grid,
            members: Members::open(&Home::new(dir), grid).unwrap(),
            spki_hash: *identity.spki_hash(),
            records: Mutex::default(),
        });
        let acceptor = TlsAcceptor::from(Arc::new(identity.server_config(&[b"http/1.1"])));
        let state = shared.clone();
        runtime.spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (acceptor, state) = (acceptor.clone(), state.clone());
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let exporter = channel_binding(stream.get_ref().1).unwrap();
                    let caller: Arc<Mutex<Option<PublicKey>>> = Arc::default();
                    let service = service_fn(move |request| {
                        let (state, caller) = (state.clone(), caller.clone());
                        async move { Ok::<_, Infallible>(answer(request, &state, exporter, &caller).await) }
                    });
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        Self { nurl, shared, _runtime: runtime }
    }

    /// What it gives for the record of `grid` from now on.
    pub(crate) fn holds(&self, grid: &GridId, record: &GridRecord) {
        self.shared.records.lock().unwrap().insert(grid.to_string(), record.clone());
    }
}

async fn answer(
    request: Request<Incoming>,
    shared: &Shared,
    exporter: [u8; 32],
    caller: &Mutex<Option<PublicKey>>,
) -> Response<Full<Bytes>> {
    let now = Clock::system().now();
    let path = request.uri().path().to_owned();
    let is_client = |key: &PublicKey| shared.members.client(key, &shared.spki_hash, now);
    if path == "/v1/gateway" {
        let key = shared.grid.to_string();
        let json = serde_json::json!({"grid_id": key, "network": "a-house", "now_unix_seconds": now, "key": key});
        return given(StatusCode::OK, &json);
    }
    if path == "/v1/session" {
        let body = request.into_body().collect().await.unwrap().to_bytes();
        let channel = Channel { grid: shared.grid, spki_hash: shared.spki_hash, exporter };
        let claim = SessionClaim::from_bytes(&body, &channel, now).unwrap();
        *caller.lock().unwrap() = Some(*claim.key());
        let membership = is_client(claim.key());
        let kind = if membership.is_some() { "client" } else { "pending" };
        let label = membership.map(|membership| membership.label().to_string());
        let json = serde_json::json!({
            "caller": kind, "label": label, "grid_id": shared.grid, "window_bytes": 1, "unit_limit_bytes": 1,
        });
        return given(StatusCode::OK, &json);
    }
    let caller = *caller.lock().unwrap();
    if caller.and_then(|key| is_client(&key)).is_none() {
        return given(StatusCode::FORBIDDEN, &serde_json::json!({"code": "refused", "detail": "no client here"}));
    }
    let records = shared.records.lock().unwrap();
    match path.strip_prefix("/v1/grids/").and_then(|grid| records.get(grid)) {
        Some(record) => {
            let text = data_encoding::BASE64URL_NOPAD.encode(record.signed().bytes());
            given(StatusCode::OK, &serde_json::json!({"record_base64url": text, "evidence_base64url": []}))
        }
        None => given(StatusCode::NOT_FOUND, &serde_json::json!({"code": "not_found", "detail": "nobody has it"})),
    }
}
