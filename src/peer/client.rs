//! A session with one gateway, kept open: requests go out on the connection that there is, and a new one is opened where that
//! was lost.

use crate::clock::Clock;
use crate::config::{NetworkName, Patience};
use crate::furl::Nurl;
use crate::keys::{GridId, PublicKey};
use crate::peer::body::{Answer, read_whole};
use crate::peer::connection::{ALPN, Connection, Sender};
use crate::peer::dial::{DialGuard, Named};
use crate::peer::error::PeerError;
use crate::peer::place::{CallerIdentity, GatewayPlace};
use crate::peer::refusal::Refusal;
use crate::peer::tls::pinned_client_config;
use crate::record::Nickname;
use crate::session::{Channel, NoClient, SessionClaim};
use crate::units::{Bytes as Octets, UnixSeconds};
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{Method, Request, StatusCode};
use rustls::ClientConfig;
use serde::Deserialize;
use std::fmt;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::timeout;

/// How long a gateway may take to say who it is or to open a session.
const GREETING_PATIENCE: Duration = Duration::from_secs(15);
/// The most octets of the JSON that a gateway says of itself or of a session.
const MAX_GREETING_BYTES: usize = 1 << 14;
/// How many connections of HTTP/1.1 that are idle are kept; each carries one request at a time.
const MAX_IDLE: usize = 8;

/// What a gateway says of itself to anybody. Nothing of it is signed: it is believed as far as the key is, that its NURL names.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct GatewayGreeting {
    /// Whose gateway it is.
    pub grid_id: GridId,
    /// The network of nodes that it resolves in.
    pub network: NetworkName,
    /// Its clock.
    pub now_unix_seconds: UnixSeconds,
    /// The key that it acts with, as text.
    pub key: String,
}

/// What a gateway says when it opens a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Welcome {
    /// What the caller is to it.
    pub caller: WelcomedAs,
    /// What it calls the caller, where it is a client.
    pub label: Option<Nickname>,
    /// Why the caller is no client, where it is none.
    pub reason: NoClient,
    /// The most that may be under way to this caller.
    pub window: Octets,
    /// The largest unit that is served to it.
    pub unit_limit: Octets,
}

/// What a caller is to a gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WelcomedAs {
    /// A client of its grid.
    Client,
    /// Another grid.
    Grid,
    /// A key that the operator has yet to add.
    Pending,
}

#[derive(Deserialize)]
struct WelcomeDocument {
    caller: WelcomedAs,
    label: Option<String>,
    reason: Option<String>,
    grid_id: GridId,
    window_bytes: Octets,
    unit_limit_bytes: Octets,
}

/// A session with one gateway. Cheap to clone; all clones share its connections.
#[derive(Clone)]
pub struct GatewayClient(Arc<Inner>);

struct Inner {
    place: GatewayPlace,
    me: CallerIdentity,
    clock: Clock,
    guard: DialGuard,
    config: Arc<ClientConfig>,
    patience: Patience,
    /// Held while a connection is opened, so that others wait for it instead of opening theirs.
    shared: tokio::sync::Mutex<Option<Sender>>,
    idle: Mutex<Vec<Sender>>,
    welcome: Mutex<Option<Welcome>>,
    /// The session that was opened last.
    session: AtomicU64,
}

/// How many sessions this process has opened.
static SESSIONS: AtomicU64 = AtomicU64::new(0);

/// A place on a connection with an open session, for one request.
pub(super) struct Lease {
    sender: Sender,
    client: GatewayClient,
}

/// Asks the gateway at `nurl` who it is, without a session.
pub async fn ask_gateway(nurl: &Nurl, named: Named, guard: &DialGuard) -> Result<GatewayGreeting, PeerError> {
    let config = Arc::new(pinned_client_config(*nurl.spki_hash(), &ALPN));
    let mut connection = Connection::open(nurl, named, guard, &config).await?;
    let request = request(Method::GET, "/v1/gateway", &[], Bytes::new());
    let body = greeted(&mut connection.sender, nurl, request).await?;
    parsed(nurl, &body)
}

impl GatewayClient {
    /// Opens a session with the gateway at `place` as `me`; one that then sends nothing for `patience` is left. Dropping the future halfway leaves nothing open.
    pub async fn connect(
        place: GatewayPlace,
        me: CallerIdentity,
        clock: Clock,
        guard: DialGuard,
        patience: Patience,
    ) -> Result<Self, PeerError> {
        let config = Arc::new(pinned_client_config(*place.nurl.spki_hash(), &ALPN));
        let client = Self(Arc::new(Inner {
            place,
            me,
            clock,
            guard,
            config,
            patience,
            shared: tokio::sync::Mutex::new(None),
            idle: Mutex::default(),
            welcome: Mutex::default(),
            session: AtomicU64::new(0),
        }));
        client.lease().await?.give_back();
        Ok(client)
    }

    /// Which gateway it is.
    pub fn place(&self) -> &GatewayPlace {
        &self.0.place
    }

    /// The key that this caller is known by.
    pub fn key(&self) -> PublicKey {
        self.0.me.key().public()
    }

    /// The session that was opened last, by its number in this process: a gateway that was lost and found again has another one.
    pub fn session(&self) -> u64 {
        self.0.session.load(Ordering::Relaxed)
    }

    /// What the gateway said when the session was opened last.
    pub fn welcome(&self) -> Welcome {
        let nobody = || Welcome {
            caller: WelcomedAs::Pending,
            label: None,
            reason: NoClient::default(),
            window: Octets::default(),
            unit_limit: Octets::default(),
        };
        self.0.welcome.lock().unwrap_or_else(PoisonError::into_inner).clone().unwrap_or_else(nobody)
    }

    /// Asks for what is at `path`, and once more on a new connection where the one there was is lost. Whatever the status is.
    pub(super) async fn get(&self, path: &str, headers: &[(HeaderName, HeaderValue)]) -> Result<Answer, PeerError> {
        self.ask(Method::GET, path, headers, Bytes::new()).await
    }

    /// Sends `body` to `path`, which may be done twice; what is answered with a status of success, in at most `limit` octets.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        kind: &'static str,
        body: Bytes,
        limit: usize,
    ) -> Result<Vec<u8>, PeerError> {
        let headers = [(header::CONTENT_TYPE, HeaderValue::from_static(kind))];
        let answer = self.ask(method, path, &headers, body).await?;
        if !answer.status().is_success() {
            return Err(answer.refusal(self).await);
        }
        answer.whole(self, limit).await
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        headers: &[(HeaderName, HeaderValue)],
        body: Bytes,
    ) -> Result<Answer, PeerError> {
        let mut again = true;
        loop {
            let mut lease = self.lease().await?;
            let request = request(method.clone(), path, headers, body.clone());
            match timeout(self.patience(), lease.sender.send(request, self.0.place.nurl.place())).await {
                Err(_) => return Err(self.timed_out()),
                // The connection may have ended while it was idle, and its session with it.
                Ok(Err(_)) if again => self.forget().await,
                Ok(Ok(response)) if again && response.status() == StatusCode::UNAUTHORIZED => self.forget().await,
                Ok(Err(error)) => return Err(self.lost(error)),
                Ok(Ok(response)) => return Ok(Answer::new(response, lease)),
            }
            again = false;
        }
    }

    /// As [`GatewayClient::get`], for an answer of at most `limit` octets with status 200; its headers and its body.
    pub(super) async fn get_whole(
        &self,
        path: &str,
        headers: &[(HeaderName, HeaderValue)],
        limit: usize,
    ) -> Result<(hyper::HeaderMap, Vec<u8>), PeerError> {
        let answer = self.get(path, headers).await?;
        if answer.status() != StatusCode::OK {
            return Err(answer.refusal(self).await);
        }
        let headers = answer.headers().clone();
        Ok((headers, answer.whole(self, limit).await?))
    }

    /// An answer that is none.
    pub(crate) fn malformed(&self, what: &'static str) -> PeerError {
        PeerError::Malformed { place: self.0.place.nurl.place().clone(), what }
    }

    /// How long an answer may take to begin, and a body may stand still.
    pub(super) fn patience(&self) -> Duration {
        self.0.patience.time()
    }

    pub(super) fn timed_out(&self) -> PeerError {
        PeerError::TimedOut { place: self.0.place.nurl.place().clone() }
    }

    pub(super) fn lost(&self, error: hyper::Error) -> PeerError {
        PeerError::Lost { place: self.0.place.nurl.place().clone(), source: io::Error::other(error) }
    }

    /// A place for a request on a connection with an open session; opens one where there is none.
    async fn lease(&self) -> Result<Lease, PeerError> {
        let mut shared = self.0.shared.lock().await;
        let leased = |sender| Lease { sender, client: self.clone() };
        if let Some(sender) = shared.as_ref().filter(|sender| !sender.is_closed()).and_then(Sender::share) {
            return Ok(leased(sender));
        }
        while let Some(mut sender) = self.take_idle() {
            if timeout(GREETING_PATIENCE, sender.ready()).await.is_ok_and(|ready| ready.is_ok()) {
                return Ok(leased(sender));
            }
        }
        let sender = self.open().await?;
        if let Some(second) = sender.share() {
            *shared = Some(second);
        }
        Ok(leased(sender))
    }

    /// Lets go of all connections: none of them is used again.
    async fn forget(&self) {
        *self.0.shared.lock().await = None;
        self.idle().clear();
    }

    /// A new connection with an open session.
    async fn open(&self) -> Result<Sender, PeerError> {
        let Inner { place: GatewayPlace { nurl, grid, named }, me, clock, guard, config, .. } = &*self.0;
        let record = match me {
            CallerIdentity::Client(_) => None,
            CallerIdentity::Grid { record, .. } => Some(record().ok_or(PeerError::NoRecord)?),
        };
        let mut connection = Connection::open(nurl, *named, guard, config).await?;
        let channel = Channel { grid: *grid, spki_hash: *nurl.spki_hash(), exporter: connection.exporter };
        let mut nonce = [0; 16];
        getrandom::fill(&mut nonce)
            .map_err(|error| PeerError::Handshake { place: nurl.place().clone(), source: io::Error::other(error) })?;
        let claim = SessionClaim::sign(&channel, me.key(), record.as_ref(), clock.now(), nonce);
        let cose = (header::CONTENT_TYPE, HeaderValue::from_static("application/cose"));
        let request = request(Method::POST, "/v1/session", &[cose], claim.into());
        let body = match greeted(&mut connection.sender, nurl, request).await {
            Ok(body) => body,
            Err(error) => {
                // Who does not want us is not asked again at once.
                guard.failed(connection.address);
                return Err(error);
            }
        };
        let document: WelcomeDocument = parsed(nurl, &body)?;
        if document.grid_id != *grid {
            return Err(PeerError::OtherGrid { place: nurl.place().clone(), found: document.grid_id });
        }
        let welcome = Welcome {
            caller: document.caller,
            label: document.label.and_then(|label| label.parse().ok()),
            reason: document.reason.as_deref().map(NoClient::of_word).unwrap_or_default(),
            window: document.window_bytes,
            unit_limit: document.unit_limit_bytes,
        };
        *self.0.welcome.lock().unwrap_or_else(PoisonError::into_inner) = Some(welcome);
        self.0.session.store(SESSIONS.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
        Ok(connection.sender)
    }

    fn take_idle(&self) -> Option<Sender> {
        self.idle().pop()
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Sender>> {
        self.0.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lease {
    /// Gives the place back once its answer is read.
    pub(super) fn give_back(self) {
        let Self { sender, client } = self;
        if matches!(sender, Sender::One(_)) && !sender.is_closed() {
            let mut idle = client.idle();
            if idle.len() < MAX_IDLE {
                idle.push(sender);
            }
        }
    }
}

impl fmt::Debug for GatewayClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GatewayClient of {:?} at {}", self.0.me, self.0.place.nurl.place())
    }
}

/// A request for a path of ours.
fn request(method: Method, path: &str, headers: &[(HeaderName, HeaderValue)], body: Bytes) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = method;
    *request.uri_mut() = path.parse().expect("a path of ours");
    request.headers_mut().extend(headers.iter().cloned());
    request
}

/// The body of the answer with status 200 to a request that opens something.
async fn greeted(sender: &mut Sender, nurl: &Nurl, request: Request<Full<Bytes>>) -> Result<Vec<u8>, PeerError> {
    let place = nurl.place();
    let lost = |error| PeerError::Lost { place: place.clone(), source: io::Error::other(error) };
    let asked = async {
        let response = sender.send(request, place).await.map_err(lost)?;
        let (head, body) = response.into_parts();
        let body = read_whole(body, MAX_GREETING_BYTES).await.map_err(lost)?;
        let body = body.ok_or(PeerError::Malformed { place: place.clone(), what: "too long an answer" })?;
        if head.status == StatusCode::OK {
            return Ok(body);
        }
        let refusal = Box::new(Refusal::new(head.status, &head.headers, &body));
        Err(PeerError::Refused { place: place.clone(), refusal })
    };
    timeout(GREETING_PATIENCE, asked).await.unwrap_or_else(|_| Err(PeerError::TimedOut { place: place.clone() }))
}

fn parsed<T: serde::de::DeserializeOwned>(nurl: &Nurl, body: &[u8]) -> Result<T, PeerError> {
    serde_json::from_slice(body)
        .map_err(|_| PeerError::Malformed { place: nurl.place().clone(), what: "not the JSON expected" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::PrivateAddresses;
    use crate::keys::SecretKey;
    use crate::peer::fixtures::{Gateway, Speaks, client_of, grid_of, secret};
    use crate::peer::identity::TlsIdentity;
    use crate::peer::refusal::RefusalCode;
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;

    async fn as_client(gateway: &Gateway) -> Result<GatewayClient, PeerError> {
        client_of(gateway, CallerIdentity::Client(secret(9))).await
    }

    #[tokio::test]
    async fn a_client_is_told_what_it_is_to_the_gateway() {
        for speaks in [Speaks::Both, Speaks::OneOnly] {
            let gateway = Gateway::start(speaks).await;
            let client = as_client(&gateway).await.unwrap();
            let welcome = client.welcome();
            assert_eq!((welcome.caller, welcome.label), (WelcomedAs::Client, Some("Ada".parse().unwrap())));
            assert_eq!(welcome.window, Octets(16 << 20));
            let greeting = ask_gateway(&gateway.nurl, Named::ByUser, &gateway.guard()).await.unwrap();
            assert_eq!((greeting.grid_id, greeting.network.as_str()), (gateway.grid, "test"));
        }
    }

    #[tokio::test]
    async fn a_grid_shows_its_record_as_it_is_at_that_time() {
        let gateway = Gateway::start(Speaks::Both).await;
        let client = client_of(&gateway, grid_of(7, Some(8))).await.unwrap();
        assert_eq!(client.welcome().caller, WelcomedAs::Grid);
        let without = client_of(&gateway, grid_of(7, None)).await;
        assert!(matches!(without, Err(PeerError::NoRecord)), "{without:?}");
        assert_eq!(gateway.connections(), 1, "without a record nobody is dialled");
    }

    #[tokio::test]
    async fn who_hangs_up_before_a_session_is_open_is_unreachable() {
        let before_tls: Option<&'static [&'static [u8]]> = None;
        for protocols in [before_tls, Some(&[b"h2"]), Some(&[b"http/1.1"])] {
            let identity = TlsIdentity::generate();
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let nurl = Nurl::gateway(*identity.spki_hash(), address.ip().into(), address.port()).unwrap();
            let acceptor = protocols.map(|alpn| TlsAcceptor::from(Arc::new(identity.server_config(alpn))));
            let server = tokio::spawn(async move {
                while let Ok((socket, _)) = listener.accept().await {
                    if let Some(acceptor) = &acceptor {
                        drop(acceptor.accept(socket).await);
                    }
                }
            });
            let guard = DialGuard::new(PrivateAddresses::Allowed);
            let greeting = ask_gateway(&nurl, Named::ByUser, &guard).await.unwrap_err();
            assert_eq!(greeting.code(), RefusalCode::Unreachable, "{protocols:?}: {greeting:?}");
            let place = GatewayPlace { nurl, grid: GridId::new(secret(1).public()), named: Named::ByUser };
            let me = CallerIdentity::Client(secret(9));
            let session =
                GatewayClient::connect(place, me, Clock::system(), guard, Patience::WITH_HOME).await.unwrap_err();
            assert_eq!(session.code(), RefusalCode::Unreachable, "{protocols:?}: {session:?}");
            server.abort();
        }
    }

    #[tokio::test]
    async fn who_has_another_key_is_told_nothing() {
        let gateway = Gateway::start(Speaks::Both).await;
        let nurl = Nurl::gateway([1; 32], gateway.nurl.host().clone(), gateway.nurl.port()).unwrap();
        let place = GatewayPlace { nurl, grid: gateway.grid, named: Named::ByUser };
        let me = CallerIdentity::Client(SecretKey::generate());
        let refused = GatewayClient::connect(place, me, Clock::system(), gateway.guard(), Patience::WITH_HOME).await;
        assert!(matches!(refused, Err(PeerError::WrongKey { .. })), "{refused:?}");
        assert_eq!(gateway.requests(), 0);
    }

    #[tokio::test]
    async fn a_gateway_of_another_grid_opens_no_session() {
        let gateway = Gateway::start(Speaks::Both).await;
        let place =
            GatewayPlace { nurl: gateway.nurl.clone(), grid: GridId::new(secret(5).public()), named: Named::ByUser };
        let me = CallerIdentity::Client(secret(9));
        let refused =
            GatewayClient::connect(place, me, Clock::system(), gateway.guard(), Patience::WITH_HOME).await.unwrap_err();
        assert_eq!(refused.code(), RefusalCode::Refused, "{refused}");
        assert!(refused.to_string().contains("made for a gateway of"), "{refused}");
    }

    #[tokio::test]
    async fn a_wrong_clock_is_told() {
        let gateway = Gateway::start(Speaks::Both).await;
        let place = GatewayPlace { nurl: gateway.nurl.clone(), grid: gateway.grid, named: Named::ByUser };
        let late = Clock::with_offset(-130);
        let refused = GatewayClient::connect(
            place,
            CallerIdentity::Client(secret(9)),
            late,
            gateway.guard(),
            Patience::WITH_HOME,
        )
        .await;
        assert!(refused.unwrap_err().to_string().contains("clocks may differ"));
    }

    #[tokio::test]
    async fn a_lost_connection_is_opened_again_with_a_session_of_its_own() {
        for speaks in [Speaks::Both, Speaks::OneOnly] {
            let gateway = Gateway::start(speaks).await;
            let client = as_client(&gateway).await.unwrap();
            for n in 1..4 {
                let (_, body) = client.get_whole("/v1/whoami", &[], 100).await.unwrap();
                assert_eq!(body, b"client Ada");
                assert_eq!(gateway.connections(), n);
                gateway.close_connections().await;
            }
        }
    }

    #[tokio::test]
    async fn requests_share_a_connection_as_far_as_the_protocol_lets_them() {
        for (speaks, connections) in [(Speaks::Both, 1), (Speaks::OneOnly, 4)] {
            let gateway = Gateway::start(speaks).await;
            let client = as_client(&gateway).await.unwrap();
            let mut open = Vec::new();
            for _ in 0..4 {
                open.push(client.get("/v1/whoami", &[]).await.unwrap());
            }
            assert_eq!(gateway.connections(), connections);
            for answer in open {
                answer.whole(&client, 100).await.unwrap();
            }
            // What was read to its end makes room.
            for _ in 0..4 {
                client.get_whole("/v1/whoami", &[], 100).await.unwrap();
            }
            assert_eq!(gateway.connections(), connections);
        }
    }

    #[tokio::test]
    async fn a_refusal_keeps_the_gateways_words_and_a_long_answer_is_cut() {
        let gateway = Gateway::start(Speaks::Both).await;
        let client = as_client(&gateway).await.unwrap();
        let refused = client.get_whole("/nowhere", &[], 100).await.unwrap_err();
        assert_eq!(refused.code(), RefusalCode::NotFound);
        assert!(refused.to_string().ends_with("answers 404: no such path"), "{refused}");
        let long = client.get_whole("/v1/whoami", &[], 9).await.unwrap_err();
        assert!(matches!(long, PeerError::Malformed { .. }), "{long}");
    }

    #[tokio::test]
    async fn who_does_not_listen_is_unreachable() {
        let gateway = Gateway::start(Speaks::Both).await;
        let nurl = gateway.nurl.clone();
        let guard = gateway.guard();
        gateway.stop().await;
        let error = ask_gateway(&nurl, Named::ByUser, &guard).await.unwrap_err();
        assert_eq!(error.code(), RefusalCode::Unreachable, "{error}");
    }
}
