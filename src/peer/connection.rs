//! One TLS connection to a gateway, and HTTP on it.

use crate::address::HostPort;
use crate::furl::{Nurl, Transport};
use crate::peer::dial::{DialGuard, Named};
use crate::peer::error::PeerError;
use crate::peer::tls::{Socket, buffered, channel_binding, is_wrong_key, server_name};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::{http1, http2};
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::ClientConfig;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// The protocols offered, the preferred one first.
pub(super) const ALPN: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// How long TLS and HTTP may take to come about.
const HANDSHAKE_PATIENCE: Duration = Duration::from_secs(10);
/// What one answer may have under way: at 10 Gbit/s and 10 ms the pipe is full, and so it is at 1 Gbit/s and 100 ms.
const STREAM_WINDOW: u32 = 12 << 20;
/// What all answers of a connection may have under way together.
const CONNECTION_WINDOW: u32 = 32 << 20;
/// How large a frame may be. Each is held whole, and has an overhead: larger than HTTP/2's 16 KiB, no larger than a segment.
const FRAME_BYTES: u32 = 128 << 10;
/// How often a silent connection is asked whether it is there, and how long the answer may take.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// Where requests go. Cheap to clone where the protocol allows several at once.
pub(super) enum Sender {
    /// HTTP/2: many requests at once.
    Two(http2::SendRequest<Full<Bytes>>),
    /// HTTP/1.1: one after the other.
    One(http1::SendRequest<Full<Bytes>>),
}

/// A connection that is ready for requests.
pub(super) struct Connection {
    pub(super) sender: Sender,
    /// The exporter: what ties a claim to this connection.
    pub(super) exporter: [u8; 32],
    /// Where it leads.
    pub(super) address: SocketAddr,
}

impl Connection {
    /// Dials the gateway at `nurl`. Nothing is sent to anybody who does not have its key.
    pub(super) async fn open(
        nurl: &Nurl,
        named: Named,
        guard: &DialGuard,
        config: &Arc<ClientConfig>,
    ) -> Result<Self, PeerError> {
        let place = nurl.place();
        if nurl.transport() == Transport::Tor {
            return Err(PeerError::Tor(place.clone()));
        }
        let (stream, address) = guard.connect(place, named).await?;
        let opened = match timeout(HANDSHAKE_PATIENCE, speak(stream, config)).await {
            Ok(Ok((sender, exporter))) => Ok(Self { sender, exporter, address }),
            Ok(Err(error)) if is_wrong_key(&error) => Err(PeerError::WrongKey { place: place.clone() }),
            Ok(Err(source)) => Err(PeerError::Handshake { place: place.clone(), source }),
            Err(_) => Err(PeerError::TimedOut { place: place.clone() }),
        };
        match &opened {
            Ok(_) => guard.succeeded(address),
            Err(_) => guard.failed(address),
        }
        opened
    }
}

async fn speak(stream: TcpStream, config: &Arc<ClientConfig>) -> io::Result<(Sender, [u8; 32])> {
    let stream = TlsConnector::from(config.clone()).connect(server_name(), buffered(stream)).await?;
    let (_, tls) = stream.get_ref();
    let exporter = channel_binding(tls).map_err(io::Error::other)?;
    let two = tls.alpn_protocol() == Some(ALPN[0]);
    let sender = if two { speak_two(stream).await } else { speak_one(stream).await };
    Ok((sender.map_err(io::Error::other)?, exporter))
}

async fn speak_two(stream: TlsStream<Socket>) -> hyper::Result<Sender> {
    let (sender, connection) = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(FRAME_BYTES)
        .keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE)
        .handshake(TokioIo::new(stream))
        .await?;
    // It ends once nobody holds a sender or reads an answer; what it died of, those who wait for one are told.
    tokio::spawn(async move {
        let _ = connection.await;
    });
    Ok(Sender::Two(sender))
}

async fn speak_one(stream: TlsStream<Socket>) -> hyper::Result<Sender> {
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(async move {
        let _ = connection.await;
    });
    Ok(Sender::One(sender))
}

impl Sender {
    /// A second one for another request at the same time, where the protocol allows it.
    pub(super) fn share(&self) -> Option<Self> {
        match self {
            Self::Two(sender) => Some(Self::Two(sender.clone())),
            Self::One(_) => None,
        }
    }

    /// Whether nothing can be sent any more.
    pub(super) fn is_closed(&self) -> bool {
        match self {
            Self::Two(sender) => sender.is_closed(),
            Self::One(sender) => sender.is_closed(),
        }
    }

    /// Waits until a request can be sent.
    pub(super) async fn ready(&mut self) -> hyper::Result<()> {
        match self {
            Self::Two(sender) => sender.ready().await,
            Self::One(sender) => sender.ready().await,
        }
    }

    /// Sends a request whose target is the path alone, to `place`.
    pub(super) async fn send(
        &mut self,
        mut request: Request<Full<Bytes>>,
        place: &HostPort,
    ) -> hyper::Result<Response<Incoming>> {
        match self {
            Self::Two(sender) => {
                // HTTP/2 has the place in the target, HTTP/1.1 in a header.
                let target = format!("https://{place}{}", request.uri());
                *request.uri_mut() = target.parse().expect("a place and a path of ours");
                sender.send_request(request).await
            }
            Self::One(sender) => {
                let host = place.to_string().parse().expect("a place is ASCII");
                request.headers_mut().insert(hyper::header::HOST, host);
                sender.send_request(request).await
            }
        }
    }
}
