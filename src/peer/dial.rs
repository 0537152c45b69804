//! Reaching a place that somebody else named: the name resolved once, what it leads to looked at, and that very address
//! dialled.

use crate::address::{Host, HostPort, PrivateAddresses, undialable_ip};
use crate::peer::backoff::Backoff;
use crate::units::Seconds;
use futures::future::BoxFuture;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long a name may take to be resolved.
const LOOKUP_PATIENCE: Duration = Duration::from_secs(10);
/// How long one address may take to answer.
const CONNECT_PATIENCE: Duration = Duration::from_secs(5);
/// How many addresses of one name are tried.
const MAX_TRIED: usize = 4;

/// Who named a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Named {
    /// The user or the operator, in so many words: it is dialled as given.
    ByUser,
    /// A record, a message, a directory: whoever wrote it must not be able to send us against our neighbours, or many of us
    /// against one.
    ByOthers,
}

/// What resolves a name.
type Lookup = Arc<dyn Fn(HostPort) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> + Send + Sync>;

/// Dials, and remembers what was dialled lately. Cheap to clone; all clones share that.
#[derive(Clone)]
pub struct DialGuard {
    private: PrivateAddresses,
    lookup: Lookup,
    backoff: Arc<Mutex<Backoff>>,
}

/// Why a place was not reached.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// Nothing but addresses that are not to be dialled.
    #[error("`{place}` leads to an address that is {reason}: it is not dialled on somebody else's word")]
    Private {
        /// The place.
        place: HostPort,
        /// What the address is.
        reason: &'static str,
    },
    /// Dialled too often lately, or without success: not before this time has passed.
    #[error("`{place}` was dialled lately: again in {wait} at the earliest")]
    TooSoon {
        /// The place.
        place: HostPort,
        /// In whole seconds, rounded up.
        wait: Seconds,
    },
    /// The name leads nowhere.
    #[error("`{place}` cannot be found")]
    Lookup {
        /// The place.
        place: HostPort,
        /// What the resolver said.
        source: io::Error,
    },
    /// Nobody accepts connections there.
    #[error("`{place}` cannot be reached")]
    Connect {
        /// The place.
        place: HostPort,
        /// What the operating system said of the last address tried.
        source: io::Error,
    },
}

impl DialGuard {
    /// A guard that lets private addresses be dialled or not.
    pub fn new(private: PrivateAddresses) -> Self {
        Self::with_lookup(private, Arc::new(|place| Box::pin(system_lookup(place))))
    }

    fn with_lookup(private: PrivateAddresses, lookup: Lookup) -> Self {
        Self { private, lookup, backoff: Arc::new(Mutex::new(Backoff::new(Instant::now()))) }
    }

    /// A connection to `place`, and the address it leads to. Dropping the future gives the dial up.
    pub async fn connect(&self, place: &HostPort, named: Named) -> Result<(TcpStream, SocketAddr), DialError> {
        let found = match place.host() {
            Host::Ip(ip) => vec![SocketAddr::new(*ip, place.port())],
            Host::Name(_) => self.resolve(place).await?,
        };
        let mut refusal = None;
        for address in found.into_iter().take(MAX_TRIED) {
            if let Err(error) = self.leave(place, named, address.ip()) {
                refusal = refusal.or(Some(error));
                continue;
            }
            match timeout(CONNECT_PATIENCE, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    // Requests are small and complete: nothing is gained by waiting for more.
                    let _ = stream.set_nodelay(true);
                    return Ok((stream, address));
                }
                Ok(Err(source)) => refusal = Some(DialError::Connect { place: place.clone(), source }),
                Err(_) => {
                    let source = io::ErrorKind::TimedOut.into();
                    refusal = Some(DialError::Connect { place: place.clone(), source });
                }
            }
            self.failed(address);
        }
        let nowhere = || {
            let source = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
            DialError::Lookup { place: place.clone(), source }
        };
        Err(refusal.unwrap_or_else(nowhere))
    }

    /// Notes that what answered at `address` was not who was called, or would not speak.
    pub fn failed(&self, address: SocketAddr) {
        self.backoff().failed(address.ip(), Instant::now());
    }

    /// Notes that who was called answered.
    pub fn succeeded(&self, address: SocketAddr) {
        self.backoff().succeeded(address.ip());
    }

    async fn resolve(&self, place: &HostPort) -> Result<Vec<SocketAddr>, DialError> {
        let failed = |source| DialError::Lookup { place: place.clone(), source };
        match timeout(LOOKUP_PATIENCE, (self.lookup)(place.clone())).await {
            Ok(found) => found.map_err(failed),
            Err(_) => Err(failed(io::ErrorKind::TimedOut.into())),
        }
    }

    /// Whether `ip`, which `place` leads to, may be dialled now.
    fn leave(&self, place: &HostPort, named: Named, ip: IpAddr) -> Result<(), DialError> {
        if named == Named::ByUser {
            return Ok(());
        }
        if let Some(reason) = undialable_ip(ip, self.private) {
            return Err(DialError::Private { place: place.clone(), reason });
        }
        self.backoff().take(ip, Instant::now()).map_err(|wait| DialError::TooSoon {
            place: place.clone(),
            wait: Seconds(wait.as_millis().div_ceil(1000).try_into().unwrap_or(u64::MAX)),
        })
    }

    /// Nothing that is done under this lock can panic.
    fn backoff(&self) -> MutexGuard<'_, Backoff> {
        self.backoff.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn system_lookup(place: HostPort) -> io::Result<Vec<SocketAddr>> {
    let host = place.host().to_string();
    Ok(tokio::net::lookup_host((host, place.port())).await?.collect())
}

impl fmt::Debug for DialGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DialGuard").field("private", &self.private).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::net::TcpListener;

    /// A guard for which every name leads to these addresses, and how often it was asked.
    fn leading_to(private: PrivateAddresses, found: &[SocketAddr]) -> (DialGuard, Arc<AtomicUsize>) {
        let asked = Arc::new(AtomicUsize::new(0));
        let (found, count) = (found.to_vec(), asked.clone());
        let lookup: Lookup = Arc::new(move |_| {
            count.fetch_add(1, Ordering::SeqCst);
            let found = found.clone();
            Box::pin(async move { Ok(found) })
        });
        (DialGuard::with_lookup(private, lookup), asked)
    }

    async fn listener() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    fn named(text: &str) -> HostPort {
        text.parse().unwrap()
    }

    #[tokio::test]
    async fn a_name_that_leads_to_a_private_place_is_not_followed() {
        let (_listener, address) = listener().await;
        let (guard, asked) = leading_to(PrivateAddresses::Refused, &[address]);
        let refused = guard.connect(&named("gateway.example.org:443"), Named::ByOthers).await;
        assert!(matches!(refused, Err(DialError::Private { reason: "loopback", .. })), "{refused:?}");
        assert_eq!(asked.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn every_form_of_a_private_address_is_refused() {
        let guard = DialGuard::new(PrivateAddresses::Refused);
        for place in [
            "127.0.0.1:80",
            "10.0.0.1:80",
            "100.64.0.1:80",
            "169.254.169.254:80",
            "192.168.1.1:80",
            "224.0.0.1:80",
            "[::1]:80",
            "[::ffff:10.0.0.1]:80",
            "[fe80::1]:80",
            "[fc00::1]:80",
            "[64:ff9b::a00:1]:80",
            "[ff02::1]:80",
        ] {
            let refused = guard.connect(&named(place), Named::ByOthers).await;
            assert!(matches!(refused, Err(DialError::Private { .. })), "{place}: {refused:?}");
        }
        let allowing = DialGuard::new(PrivateAddresses::Allowed);
        for place in ["0.0.0.0:80", "224.0.0.1:80", "255.255.255.255:80", "[::]:80"] {
            let refused = allowing.connect(&named(place), Named::ByOthers).await;
            assert!(matches!(refused, Err(DialError::Private { .. })), "{place}: {refused:?}");
        }
    }

    #[tokio::test]
    async fn what_was_looked_at_is_what_is_dialled() {
        // A name that would lead elsewhere if it were asked twice.
        let (listener, address) = listener().await;
        let (guard, asked) = leading_to(PrivateAddresses::Allowed, &[address]);
        let (_stream, found) = guard.connect(&named("gateway.example.org:1"), Named::ByOthers).await.unwrap();
        assert_eq!((found, asked.load(Ordering::SeqCst)), (address, 1));
        listener.accept().await.unwrap();
    }

    #[tokio::test]
    async fn what_a_user_typed_is_dialled_wherever_it_leads() {
        let (listener, private) = listener().await;
        let (guard, _) = leading_to(PrivateAddresses::Refused, &[private]);
        guard.connect(&named("gateway.example.org:1"), Named::ByUser).await.unwrap();
        listener.accept().await.unwrap();
    }

    #[tokio::test]
    async fn a_door_that_does_not_open_is_left_alone_for_a_while() {
        let (listener, address) = listener().await;
        drop(listener);
        let guard = DialGuard::new(PrivateAddresses::Allowed);
        let place = named(&address.to_string());
        let first = guard.connect(&place, Named::ByOthers).await;
        assert!(matches!(first, Err(DialError::Connect { .. })), "{first:?}");
        let again = guard.connect(&place, Named::ByOthers).await;
        assert!(matches!(again, Err(DialError::TooSoon { wait: Seconds(1), .. })), "{again:?}");
        let typed = guard.connect(&place, Named::ByUser).await;
        assert!(matches!(typed, Err(DialError::Connect { .. })), "{typed:?}");
    }

    #[tokio::test]
    async fn a_name_without_an_address_cannot_be_found() {
        let (guard, _) = leading_to(PrivateAddresses::Allowed, &[]);
        let nowhere = guard.connect(&named("gateway.example.org:1"), Named::ByOthers).await;
        assert!(matches!(nowhere, Err(DialError::Lookup { .. })), "{nowhere:?}");
    }
}
