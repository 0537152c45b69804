//! A caller of gateways that does and sends what it is told, and believes nothing for anybody.

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use lafs_clearinghouse::clock::Clock;
use lafs_clearinghouse::furl::Nurl;
use lafs_clearinghouse::keys::{GridId, SecretKey};
use lafs_clearinghouse::peer::{Pin, channel_binding, client_config, server_name, spki_hash};
use lafs_clearinghouse::session::{Channel, SessionClaim};
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// One connection.
pub(crate) struct RawClient {
    sender: SendRequest<Full<Bytes>>,
    spki_hash: [u8; 32],
    exporter: [u8; 32],
}

/// What came of a request.
pub(crate) struct RawAnswer {
    pub(crate) status: u16,
    pub(crate) etag: Option<String>,
    /// As far as it came.
    pub(crate) body: Vec<u8>,
    /// Whether it came to its end.
    pub(crate) whole: bool,
}

impl RawClient {
    /// A connection to the gateway at `nurl`, over which nothing was said yet.
    pub(crate) async fn connect(nurl: &Nurl) -> Self {
        let stream = TcpStream::connect(nurl.place().to_string()).await.expect("it listens");
        let tls = TlsConnector::from(Arc::new(client_config(Pin::Any, &[b"http/1.1"])));
        let stream = tls.connect(server_name(), stream).await.expect("it speaks TLS");
        let (_, session) = stream.get_ref();
        let exporter = channel_binding(session).expect("a handshake that is complete");
        let certificate = &session.peer_certificates().expect("a certificate")[0];
        let spki_hash = spki_hash(certificate).expect("a key");
        let (sender, connection) = handshake(TokioIo::new(stream)).await.expect("HTTP");
        tokio::spawn(connection);
        Self { sender, spki_hash, exporter }
    }

    /// A claim of `key` to a session with the gateway of `grid` on this connection.
    pub(crate) fn claim(&self, grid: GridId, key: &SecretKey, nonce: u8) -> Vec<u8> {
        let channel = Channel { grid, spki_hash: self.spki_hash, exporter: self.exporter };
        SessionClaim::sign(&channel, key, None, Clock::system().now(), [nonce; 16])
    }

    /// Sends a claim, whoever made it.
    pub(crate) async fn open(&mut self, claim: &[u8]) -> RawAnswer {
        self.ask(Method::POST, "/v1/session", &[("content-type", "application/cose")], claim).await
    }

    pub(crate) async fn get(&mut self, path: &str, headers: &[(&str, &str)]) -> RawAnswer {
        self.ask(Method::GET, path, headers, b"").await
    }

    async fn ask(&mut self, method: Method, path: &str, headers: &[(&str, &str)], body: &[u8]) -> RawAnswer {
        let mut request = Request::builder().method(method).uri(path).header("host", "gateway");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(Bytes::copy_from_slice(body))).expect("a request");
        self.sender.ready().await.expect("an open connection");
        let answer = self.sender.send_request(request).await.expect("an answer");
        let (head, mut frames) = answer.into_parts();
        let (mut body, mut whole) = (Vec::new(), true);
        while let Some(frame) = frames.frame().await {
            match frame {
                Ok(frame) => body.extend_from_slice(&frame.into_data().unwrap_or_default()),
                Err(_) => {
                    whole = false;
                    break;
                }
            }
        }
        let etag = head.headers.get("etag").and_then(|etag| etag.to_str().ok()).map(str::to_owned);
        RawAnswer { status: head.status.as_u16(), etag, body, whole }
    }
}

impl RawAnswer {
    /// What the problem in the body says.
    pub(crate) fn problem(&self) -> String {
        let json: serde_json::Value = serde_json::from_slice(&self.body).unwrap_or_default();
        format!("{} {}: {}", self.status, json["code"].as_str().unwrap_or("?"), json["detail"].as_str().unwrap_or("?"))
    }
}
