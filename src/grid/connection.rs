//! One connection to a storage server: dialled, its key compared, one question at a time.

use crate::address::{Host, HostPort};
use crate::furl::Nurl;
use crate::grid::error::ServerError;
use crate::peer::{Socket, buffered, is_wrong_key, pinned_client_config, server_name};
use data_encoding::BASE64;
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{ACCEPT, AUTHORIZATION, HOST, HeaderValue, RANGE};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use std::future::poll_fn;
use std::io;
use std::ops::RangeInclusive;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::{TcpStream, lookup_host};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// How long a storage server may keep us waiting. How long a whole answer may take, its length decides, and the pace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadlines {
    /// To resolve, connect and shake hands, for each address.
    pub connect: Duration,
    /// From a question to the head of its answer.
    pub first_byte: Duration,
    /// Between two pieces of an answer.
    pub stall: Duration,
    /// How many octets an answer has to bring each second, once it has been coming for as long as it might stand still: else a
    /// server that sends an octet now and then could hold a reader for ever.
    pub octets_per_second: u32,
}

impl Deadlines {
    /// How long an answer of which so many octets have come may have been coming.
    fn allowed(&self, received: usize) -> Duration {
        let seconds = received as u64 / u64::from(self.octets_per_second.max(1));
        self.stall.saturating_add(Duration::from_secs(seconds))
    }
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            first_byte: Duration::from_secs(10),
            stall: Duration::from_secs(10),
            // Eight questions at once have that over 256 kbit/s.
            octets_per_second: 4_000,
        }
    }
}

/// An address of a storage server with what opens it. It bears secrets and has no `Debug`.
pub(super) struct Place {
    address: HostPort,
    tls: Arc<rustls::ClientConfig>,
    host: HeaderValue,
    authorization: HeaderValue,
}

impl Place {
    /// The place that `nurl` names; `None` for an onion service, which is not dialled.
    pub(super) fn new(nurl: &Nurl) -> Option<Self> {
        if nurl.host().is_onion() {
            return None;
        }
        let swissnum = BASE64.encode(nurl.swissnum().as_bytes());
        let mut authorization = HeaderValue::try_from(format!("Tahoe-LAFS {swissnum}")).ok()?;
        authorization.set_sensitive(true);
        Some(Self {
            address: nurl.place().clone(),
            // Tahoe's server knows no protocol names.
            tls: Arc::new(pinned_client_config(*nurl.spki_hash(), &[])),
            host: HeaderValue::try_from(nurl.place().to_string()).ok()?,
            authorization,
        })
    }

    /// Connects and compares the key; nothing else is sent before that.
    async fn dial(&self) -> io::Result<TlsStream<Socket>> {
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        let port = self.address.port();
        let addresses = match self.address.host() {
            Host::Ip(ip) => vec![(*ip, port).into()],
            Host::Name(name) => lookup_host((name.as_str(), port)).await?.collect(),
        };
        for address in addresses {
            match TcpStream::connect(address).await {
                Ok(socket) => {
                    socket.set_nodelay(true)?;
                    return TlsConnector::from(self.tls.clone()).connect(server_name(), buffered(socket)).await;
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

/// A connection that may be asked. Closed when it is dropped, also in the middle of an answer.
pub(super) struct Connection {
    sender: SendRequest<String>,
    driver: JoinHandle<()>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Connection {
    /// A new connection to `place`.
    pub(super) async fn open(place: &Place, deadlines: &Deadlines) -> Result<Self, ServerError> {
        let dialled = timeout(deadlines.connect, place.dial()).await.map_err(|_| ServerError::TimedOut)?;
        let stream = dialled.map_err(|error| {
            if is_wrong_key(&error) { ServerError::WrongKey } else { ServerError::Unreachable(error) }
        })?;
        let handshake = http1::handshake(TokioIo::new(stream)).await;
        let (sender, connection) = handshake.map_err(|source| ServerError::Broken { received: 0, source })?;
        // It ends with the connection; what went wrong is told to whoever waits for an answer.
        let driver = tokio::spawn(async move { drop(connection.await) });
        Ok(Self { sender, driver })
    }

    /// Whether it looks as if it might be asked again.
    pub(super) fn is_open(&self) -> bool {
        !self.sender.is_closed()
    }

    /// Asks for `path`, or the octets `range` of it, and waits for the head of the answer.
    pub(super) async fn ask(
        &mut self,
        place: &Place,
        path: &str,
        range: Option<RangeInclusive<u64>>,
        deadlines: &Deadlines,
    ) -> Result<Response<Incoming>, ServerError> {
        let mut request = Request::get(path)
            .header(HOST, &place.host)
            .header(AUTHORIZATION, &place.authorization)
            .header(ACCEPT, if range.is_some() { "application/octet-stream" } else { "application/cbor" });
        if let Some(range) = range {
            request = request.header(RANGE, format!("bytes={}-{}", range.start(), range.end()));
        }
        let request = request.body(String::new()).expect("a path of base32 and digits");
        let answered = async {
            self.sender.ready().await?;
            self.sender.send_request(request).await
        };
        let answer = timeout(deadlines.first_byte, answered).await.map_err(|_| ServerError::TimedOut)?;
        answer.map_err(|source| ServerError::Broken { received: 0, source })
    }
}

/// How much of a body came.
pub(super) struct Received {
    /// At most what was allowed.
    pub(super) bytes: Vec<u8>,
    /// Whether there was more; the connection is then of no further use.
    pub(super) more: bool,
}

/// The first `limit` octets of `body`, in one buffer that is never larger.
pub(super) async fn receive(mut body: Incoming, limit: u64, deadlines: &Deadlines) -> Result<Received, ServerError> {
    // `limit` is what we asked for. Memory that is not written to is not taken.
    let mut bytes = Vec::with_capacity(usize::try_from(limit).unwrap_or_default());
    let received = |bytes: &Vec<u8>| bytes.len() as u64;
    let began = Instant::now();
    loop {
        let next = poll_fn(|context| Pin::new(&mut body).poll_frame(context));
        let left = deadlines.allowed(bytes.len()).saturating_sub(began.elapsed());
        let Ok(frame) = timeout(left.min(deadlines.stall), next).await else {
            return Err(ServerError::Stalled { received: received(&bytes) });
        };
        match frame {
            None => return Ok(Received { bytes, more: false }),
            Some(Err(source)) => return Err(ServerError::Broken { received: received(&bytes), source }),
            Some(Ok(frame)) => {
                let piece = frame.into_data().unwrap_or_default();
                let room = usize::try_from(limit).unwrap_or_default() - bytes.len();
                if piece.len() > room {
                    bytes.extend_from_slice(&piece[..room]);
                    return Ok(Received { bytes, more: true });
                }
                bytes.extend_from_slice(&piece);
            }
        }
    }
}
