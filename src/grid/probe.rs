//! Whether a storage server answers at an address: one question of the grid's HTTPS protocol.
//!
//! Protocol: Tahoe-LAFS `docs/specifications/http-storage-node-protocol.rst`; certificate and pin: `docs/specifications/url.rst`.

use crate::address::HostPort;
use crate::furl::{Furl, GATEWAY_SWISSNUM};
use data_encoding::BASE64;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::{CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, StreamOwned};
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;
use x509_parser::prelude::{FromDer, X509Certificate};

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
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = Arc::new(Tub { provider: provider.clone(), tub_id: secret.tub_id() });
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("the provider has the ciphers of TLS 1.3")
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    // The name is not looked at: tubs are known by their keys.
    let name = ServerName::try_from("tub.invalid").expect("a DNS name");
    let connection = ClientConnection::new(Arc::new(config), name).expect("a complete configuration");
    let mut stream = StreamOwned::new(connection, socket);
    ask(&mut stream, place, secret).map_err(|source| ProbeError::Stranger { place: place.clone(), source })
}

impl Secret<'_> {
    fn tub_id(&self) -> Option<[u8; 20]> {
        match self {
            Self::Gateway => None,
            Self::Of(furl) => Some(*furl.tub_id()),
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

/// Accepts the one certificate whose SHA-1 is the tub id, or any where no secret is at stake.
#[derive(Debug)]
struct Tub {
    provider: Arc<CryptoProvider>,
    tub_id: Option<[u8; 20]>,
}

impl ServerCertVerifier for Tub {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        use ::aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
        match self.tub_id {
            Some(tub_id) if digest(&SHA1_FOR_LEGACY_USE_ONLY, certificate).as_ref() != tub_id => {
                Err(CertificateError::ApplicationVerificationFailure.into())
            }
            _ => Ok(ServerCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::PeerIncompatible::Tls12NotOffered.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        // Tubs have X.509 v1 certificates, which webpki refuses; the key in them is all that is needed.
        let (_, certificate) = X509Certificate::from_der(certificate).map_err(|_| CertificateError::BadEncoding)?;
        let key = SubjectPublicKeyInfoDer::from(certificate.tbs_certificate.subject_pki.raw);
        verify_tls13_signature_with_raw_key(message, &key, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base32;
    use rustls::pki_types::PrivateKeyDer;
    use rustls::{ServerConfig, ServerConnection};
    use std::net::TcpListener;
    use std::thread;

    /// An X.509 v1 certificate with an RSA key, as Tahoe-LAFS makes them, and its key (for tests only).
    const CERTIFICATE: &[u8] = include_bytes!("testdata/tub.cert.der");
    const KEY: &[u8] = include_bytes!("testdata/tub.key.der");
    const PATIENCE: Duration = Duration::from_secs(10);
    const SWISSNUM: &str = "hbqzvb2sdpnqvuibad52ofau7by5zotp";

    /// One connection's worth of storage server: what it was asked comes out of the thread.
    fn storage_server() -> (HostPort, thread::JoinHandle<String>) {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let key = PrivateKeyDer::Pkcs8(KEY.to_vec().into());
        let key = provider.key_provider.load_private_key(key).unwrap();
        let certified = rustls::sign::CertifiedKey::new(vec![CERTIFICATE.to_vec().into()], key);
        let config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(certified)));
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
