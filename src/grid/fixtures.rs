//! A storage server that does as a test tells it, over real TLS on loopback: right, wrong, late, or not at all. For the tests
//! of every room that reads from a grid.

use crate::base32;
use crate::furl::Nurl;
use crate::grid::blessing::AnnouncedCertificate;
use crate::grid::connection::{Deadlines, Place};
use crate::grid::server::StorageServer;
use crate::grid::server_id::ServerId;
use crate::keys::SecretKey;
use crate::peer::TlsIdentity;
use data_encoding::{BASE64, BASE64URL_NOPAD};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinHandle};
use tokio_rustls::TlsAcceptor;

/// Long enough for anything that is to come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// Opens every fake server.
const SWISSNUM: &str = "hbqzvb2sdpnqvuibad52ofau7by5zotp";

/// A certificate as Tahoe's `grid-manager` makes it: `manager` takes `server` in until `expires`, a text.
pub(super) fn certificate(manager: &SecretKey, server: &ServerId, expires: &str) -> AnnouncedCertificate {
    let certificate = format!("{{\"expires\":\"{expires}\",\"public_key\":\"pub-{server}\",\"version\":1}}");
    let signature = base32::encode(&manager.sign(certificate.as_bytes()));
    AnnouncedCertificate { certificate, signature }
}

/// What a fake server was asked.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) path: String,
    /// First and last octet.
    pub(crate) range: Option<(u64, u64)>,
    /// Whether the right swissnum came with it.
    pub(crate) has_the_secret: bool,
    headers: Vec<(String, String)>,
}

impl Asked {
    /// A header by its name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    fn parse(head: &str) -> Self {
        let mut lines = head.lines();
        let path = lines.next().unwrap_or_default().split(' ').nth(1).unwrap_or_default().to_owned();
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
            .collect();
        let mut asked = Self { path, range: None, has_the_secret: false, headers };
        asked.has_the_secret =
            asked.header("authorization") == Some(&format!("Tahoe-LAFS {}", BASE64.encode(SWISSNUM.as_bytes())));
        asked.range = asked.header("range").and_then(|range| {
            let (start, end) = range.strip_prefix("bytes=")?.split_once('-')?;
            Some((start.parse().ok()?, end.parse().ok()?))
        });
        asked
    }
}

/// What a fake server does.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// Sends these octets, HTTP and all, and waits for the next question.
    Raw(Vec<u8>),
    /// Sends these octets and then nothing, with the connection open.
    Stall(Vec<u8>),
    /// Sends these octets and closes.
    Close(Vec<u8>),
    /// Sends this head, without its last empty line, and zeros in chunks until the other side has enough.
    Endless { head: Vec<u8> },
    /// Sends these octets, and then one more each time so long has passed.
    Trickle { head: Vec<u8>, pause: Duration },
}

impl Reply {
    /// An answer with this status and body.
    pub(crate) fn status(status: u16, body: &[u8]) -> Self {
        let head = format!("HTTP/1.1 {status} x\r\nContent-Length: {}\r\n\r\n", body.len());
        Self::Raw([head.as_bytes(), body].concat())
    }

    /// The part of a share that begins at `start`.
    pub(crate) fn part(start: u64, body: &[u8]) -> Self {
        let head = Self::head_of_part(start, start + body.len() as u64 - 1);
        let length = format!("Content-Length: {}\r\n\r\n", body.len());
        Self::Raw([&head, length.as_bytes(), body].concat())
    }

    /// Status and range of such an answer, without its length and the end of its head.
    pub(crate) fn head_of_part(start: u64, end: u64) -> Vec<u8> {
        format!("HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {start}-{end}/*\r\n").into()
    }

    /// What an honest server that has `share` answers to a question for a range of it.
    pub(crate) fn of_share(share: &[u8], asked: &Asked) -> Self {
        let Some((start, end)) = asked.range else { return Self::status(200, share) };
        let end = (end + 1).min(share.len() as u64);
        if start >= end { Self::status(204, b"") } else { Self::part(start, &share[start as usize..end as usize]) }
    }

    /// What an honest server that has shares of these numbers, none above 23, answers to the question for their list.
    pub(crate) fn share_numbers(numbers: &[u8]) -> Self {
        Self::status(200, &[&[0xd9, 1, 2, 0x80 | numbers.len() as u8], numbers].concat())
    }
}

/// How a fake server answers each question.
pub(crate) trait Answers: Fn(&Asked) -> Reply + Send + Sync + 'static {}
impl<F: Fn(&Asked) -> Reply + Send + Sync + 'static> Answers for F {}

/// A storage server of a test. It ends when it is dropped.
pub(crate) struct FakeServer {
    address: SocketAddr,
    identity: TlsIdentity,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

#[derive(Default)]
struct State {
    asked: Vec<Asked>,
    connections: Vec<AbortHandle>,
    open: usize,
}

struct Shared {
    state: Mutex<State>,
    changed: watch::Sender<()>,
}

impl Shared {
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let outcome = change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.send_replace(());
        outcome
    }
}

impl FakeServer {
    /// A server on a free port of loopback that answers every question so.
    pub(crate) async fn start(answers: impl Answers) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let identity = TlsIdentity::generate();
        let shared = Arc::new(Shared { state: Mutex::default(), changed: watch::Sender::new(()) });
        let acceptor = TlsAcceptor::from(Arc::new(identity.server_config(&[])));
        let (answers, known) = (Arc::new(answers), shared.clone());
        let accepting = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (acceptor, answers, shared) = (acceptor.clone(), answers.clone(), known.clone());
                shared.change(|state| state.open += 1);
                let end = End(shared.clone());
                let connection = tokio::spawn(async move {
                    let _end = end;
                    if let Ok(stream) = acceptor.accept(socket).await {
                        converse(stream, &*answers, &shared).await;
                    }
                });
                known.change(|state| state.connections.push(connection.abort_handle()));
            }
        });
        Self { address, identity, shared, accepting }
    }

    /// The NURL that opens it.
    pub(crate) fn nurl(&self) -> Nurl {
        self.nurl_with(self.identity.spki_hash())
    }

    /// The same with the hash of another key.
    pub(crate) fn nurl_with_another_key(&self) -> Nurl {
        self.nurl_with(&[7; 32])
    }

    fn nurl_with(&self, spki_hash: &[u8; 32]) -> Nurl {
        let hash = BASE64URL_NOPAD.encode(spki_hash);
        format!("pb://{hash}@{}/{SWISSNUM}#v=1", self.address).parse().expect("a NURL")
    }

    /// Its client, patient.
    pub(crate) fn storage_server(&self) -> StorageServer {
        self.storage_server_at(&[self.nurl()])
    }

    /// A client of a server with these NURLs, patient.
    pub(crate) fn storage_server_at(&self, nurls: &[Nurl]) -> StorageServer {
        let places = nurls.iter().filter_map(Place::new).collect();
        let deadlines = Deadlines { connect: PATIENCE, first_byte: PATIENCE, stall: PATIENCE, octets_per_second: 1 };
        StorageServer::new(ServerId::new(*self.identity.spki_hash()), "fake".into(), places, deadlines)
    }

    /// What it was asked so far, in the order of arrival.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.shared.change(|state| state.asked.clone())
    }

    /// How many connections were made to it so far, those that failed in the handshake too.
    pub(crate) fn connections(&self) -> usize {
        self.shared.change(|state| state.connections.len())
    }

    /// How many of them are still open.
    pub(crate) fn open_connections(&self) -> usize {
        self.shared.change(|state| state.open)
    }

    /// Closes those that are open.
    pub(crate) fn close_connections(&self) {
        self.shared.change(|state| state.connections.iter().for_each(AbortHandle::abort));
    }

    /// Waits until `condition` holds.
    ///
    /// # Panics
    /// If it does not within [`PATIENCE`].
    pub(crate) async fn until(&self, condition: impl Fn(&Self) -> bool) {
        let mut changed = self.shared.changed.subscribe();
        let held = async {
            while !condition(self) {
                changed.changed().await.expect("the server is there");
            }
        };
        tokio::time::timeout(PATIENCE, held).await.expect("the condition holds in the end");
    }

    /// Ends it: its port is closed when this returns.
    pub(crate) async fn stop(self) {
        self.close_connections();
        self.accepting.abort();
        let mut this = self;
        let _ = (&mut this.accepting).await;
    }
}

impl Drop for FakeServer {
    fn drop(&mut self) {
        self.accepting.abort();
        self.close_connections();
    }
}

/// Tells of the end of a connection.
struct End(Arc<Shared>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.change(|state| state.open -= 1);
    }
}

async fn converse(mut stream: impl AsyncRead + AsyncWrite + Unpin, answers: &impl Answers, shared: &Shared) {
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read_u8().await {
                Ok(byte) => head.push(byte),
                Err(_) => return,
            }
        }
        let asked = Asked::parse(&String::from_utf8_lossy(&head));
        let reply = answers(&asked);
        shared.change(|state| state.asked.push(asked));
        let (Reply::Raw(bytes)
        | Reply::Stall(bytes)
        | Reply::Close(bytes)
        | Reply::Endless { head: bytes }
        | Reply::Trickle { head: bytes, .. }) = &reply;
        if stream.write_all(bytes).await.is_err() || stream.flush().await.is_err() {
            return;
        }
        match reply {
            Reply::Raw(_) => {}
            Reply::Stall(_) => {
                // Until the other side has had enough.
                while stream.read_u8().await.is_ok() {}
                return;
            }
            Reply::Close(_) => {
                let _ = stream.shutdown().await;
                return;
            }
            Reply::Trickle { pause, .. } => {
                while stream.write_all(&[0]).await.is_ok() && stream.flush().await.is_ok() {
                    tokio::time::sleep(pause).await;
                }
                return;
            }
            Reply::Endless { .. } => {
                let mut chunk = b"Transfer-Encoding: chunked\r\n\r\n".to_vec();
                while stream.write_all(&chunk).await.is_ok() {
                    chunk = [b"400\r\n".as_slice(), &[0; 0x400], b"\r\n"].concat();
                }
                return;
            }
        }
    }
}
