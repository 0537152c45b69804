//! Whether a storage server answers at an address: one question of the grid's HTTPS protocol.
//!
//! Protocol: Tahoe-LAFS `docs/specifications/http-storage-node-protocol.rst`; certificate and pin: `docs/specifications/url.rst`.

use crate::address::HostPort;
use crate::furl::{Furl, GATEWAY_SWISSNUM};
use crate::peer::{Pin, client_config, server_name};
use data_encoding::BASE64;
use rustls::{ClientConnection, StreamOwned};
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

/// The status line that tells: `HTTP/1.1 200`.
const STATUS_BYTES: usize = 12;

/// What opens the service that is asked for.
#[derive(Debug, Clone, Copy)]
pub enum Secret<'a> {
    /// The constant of our own gateways: anybody may see it.
    Gateway,
    /// A FURL's name: sent only to the tub that the FURL names.
    Of(&'a Furl),
}

/// What an address answers to the question for the storage protocol's version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answers {
    /// As a storage server does that this secret opens: 200.
    StorageServer,
    /// As a storage server does that wants another secret: 401.
    PerhapsStorageServer,
    /// Otherwise.
    Otherwise,
}

/// Why nothing was learnt of an address.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The name has no address, or nothing accepts connections there, or it does not answer in time.
    #[error("`{place}` cannot be reached")]
    Unreachable {
        /// The address.
        place: HostPort,
        /// What the operating system said.
        source: io::Error,
    },
    /// Something answers that speaks no TLS 1.3, or whose certificate is not the one that the FURL names.
    #[error("`{place}` does not answer as the owner of that FURL would")]
    Stranger {
        /// The address.
        place: HostPort,
        /// What went wrong.
        source: io::Error,
    },
}

/// Asks what answers at `place`; each step waits for `patience` at most.
pub fn probe(place: &HostPort, secret: Secret<'_>, patience: Duration) -> Result<Answers, ProbeError> {
    let unreachable = |source| ProbeError::Unreachable { place: place.clone(), source };
    let socket = connect(place, patience).map_err(unreachable)?;
    let config = Arc::new(client_config(secret.pin(), &[]));
    let connection = ClientConnection::new(config, server_name()).expect("a complete configuration");
    let mut stream = StreamOwned::new(connection, socket);
    ask(&mut stream, place, secret).map_err(|source| ProbeError::Stranger { place: place.clone(), source })
}

impl Secret<'_> {
    fn pin(&self) -> Pin {
        match self {
            Self::Gateway => Pin::Any,
            Self::Of(furl) => Pin::Tub(*furl.tub_id()),
        }
    }

    fn swissnum(&self) -> &str {
        match self {
            Self::Gateway => GATEWAY_SWISSNUM,
            Self::Of(furl) => furl.swissnum(),
        }
    }
}

fn connect(place: &HostPort, patience: Duration) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in (place.host().to_string().as_str(), place.port()).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, patience) {
            Ok(socket) => {
                socket.set_read_timeout(Some(patience))?;
                socket.set_write_timeout(Some(patience))?;
                return Ok(socket);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn ask(stream: &mut (impl Read + Write), place: &HostPort, secret: Secret<'_>) -> io::Result<Answers> {
    let authorization = BASE64.encode(secret.swissnum().as_bytes());
    // rustls writes nothing of this before the handshake has shown the right certificate.
    write!(
        stream,
        "GET /storage/v1/version HTTP/1.1\r\nHost: {place}\r\nAuthorization: Tahoe-LAFS {authorization}\r\n\
         Accept: application/cbor\r\nConnection: close\r\n\r\n"
    )?;
    stream.flush()?;
    let mut status = [0; STATUS_BYTES];
    stream.read_exact(&mut status)?;
    Ok(match status.strip_prefix(b"HTTP/1.1 ") {
        Some(b"200") => Answers::StorageServer,
        Some(b"401") => Answers::PerhapsStorageServer,
        _ => Answers::Otherwise,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base32;
    use crate::peer::TlsIdentity;
    use rustls::ServerConnection;
    use std::net::TcpListener;
    use std::thread;
    use zeroize::Zeroizing;

    /// An X.509 v1 certificate with an RSA key, as Tahoe-LAFS makes them, and its key (for tests only).
    const CERTIFICATE: &[u8] = include_bytes!("testdata/tub.cert.der");
    const KEY: &[u8] = include_bytes!("testdata/tub.key.der");
    const PATIENCE: Duration = Duration::from_secs(10);
    const SWISSNUM: &str = "hbqzvb2sdpnqvuibad52ofau7by5zotp";

    /// One connection's worth of storage server: what it was asked comes out of the thread.
    fn storage_server() -> (HostPort, thread::JoinHandle<String>) {
        let key = Zeroizing::new(KEY.to_vec());
        let config = TlsIdentity::from_der(CERTIFICATE.to_vec().into(), key).unwrap().server_config(&[]);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let place = listener.local_addr().unwrap().to_string().parse().unwrap();
        let server = thread::spawn(move || {
            let (socket, _) = listener.accept().unwrap();
            let mut stream = StreamOwned::new(ServerConnection::new(Arc::new(config)).unwrap(), socket);
            let mut asked = String::new();
            let mut byte = [0];
            while !asked.ends_with("\r\n\r\n") && stream.read(&mut byte).is_ok_and(|n| n == 1) {
                asked.push(char::from(byte[0]));
            }
            let right = format!("Authorization: Tahoe-LAFS {}\r\n", BASE64.encode(SWISSNUM.as_bytes()));
            let status = if asked.contains(&right) { "200 OK" } else { "401 Unauthorized" };
            let _ = write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
            let _ = stream.flush();
            asked
        });
        (place, server)
    }

    fn furl(tub_id: [u8; 20], place: &HostPort) -> Furl {
        format!("pb://{}@tcp:{place}/{SWISSNUM}", base32::encode(&tub_id)).parse().unwrap()
    }

    fn own_tub_id() -> [u8; 20] {
        use ::aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
        digest(&SHA1_FOR_LEGACY_USE_ONLY, CERTIFICATE).as_ref().try_into().unwrap()
    }

    #[test]
    fn a_storage_server_is_known_by_its_answer() {
        let (place, server) = storage_server();
        let furl = furl(own_tub_id(), &place);
        assert_eq!(probe(&place, Secret::Of(&furl), PATIENCE).unwrap(), Answers::StorageServer);
        assert!(server.join().unwrap().contains("Accept: application/cbor\r\n"));
    }

    #[test]
    fn a_storage_server_with_another_secret_is_suspected() {
        let (place, server) = storage_server();
        assert_eq!(probe(&place, Secret::Gateway, PATIENCE).unwrap(), Answers::PerhapsStorageServer);
        server.join().unwrap();
    }

    #[test]
    fn a_secret_is_not_told_to_another_tub() {
        let (place, server) = storage_server();
        let furl = furl([1; 20], &place);
        assert!(matches!(probe(&place, Secret::Of(&furl), PATIENCE), Err(ProbeError::Stranger { .. })));
        assert_eq!(server.join().unwrap(), "");
    }

    #[test]
    fn what_does_not_listen_is_unreachable() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let place = listener.local_addr().unwrap().to_string().parse().unwrap();
        drop(listener);
        assert!(matches!(probe(&place, Secret::Gateway, PATIENCE), Err(ProbeError::Unreachable { .. })));
    }
}
