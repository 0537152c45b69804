//! TLS 1.3 with a server that is known by its key, and what both ends of one connection know and nobody else.
//!
//! rustls writes no byte of ours before the handshake has shown the right certificate and a signature by its key: with a
//! wrong key nothing is told to the server, a secret least of all.

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::{CertificateError, CipherSuite, ClientConfig, ConnectionCommon, DigitallySignedStruct, SignatureScheme};
use sha2::{Digest, Sha256};
use std::io;
use std::sync::{Arc, LazyLock};
use tokio::io::BufReader;
use tokio::net::TcpStream;
use x509_parser::prelude::{FromDer, X509Certificate};

/// The exporter of RFC 9266, `tls-exporter`.
const CHANNEL_BINDING_LABEL: &[u8] = b"EXPORTER-Channel-Binding";

/// What is read of a socket at once.
const SOCKET_BUFFER_BYTES: usize = 64 << 10;

/// How many octets [`channel_binding`] has.
pub const CHANNEL_BINDING_BYTES: usize = 32;

/// The one set of ciphers and signatures that both sides use. AES-128 comes first: it is what files are encrypted with, and takes
/// less time than AES-256.
pub(super) static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| {
    let mut provider = aws_lc_rs::default_provider();
    provider.cipher_suites.sort_by_key(|suite| suite.suite() != CipherSuite::TLS13_AES_128_GCM_SHA256);
    Arc::new(provider)
});

/// A socket out of which much is read over TLS.
pub type Socket = BufReader<TcpStream>;

/// The socket of a connection over which much is to come. rustls takes 4 KiB at a time: each would be a call to the system.
pub fn buffered(stream: TcpStream) -> Socket {
    BufReader::with_capacity(SOCKET_BUFFER_BYTES, stream)
}

/// Which server is the right one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pin {
    /// The one whose SubjectPublicKeyInfo in DER has this SHA-256, as a NURL and a gateway's record name it.
    Key([u8; 32]),
    /// The one whose whole certificate has this SHA-1, as a Foolscap FURL names it.
    Tub([u8; 20]),
    /// Any: where no secret is at stake and nothing that is answered is believed.
    Any,
}

/// The settings of a client that speaks with the owner of the key whose SPKI has this SHA-256, and with nobody else.
///
/// `alpn` are the protocols offered, the preferred one first; none offers nothing, as Tahoe's storage servers want it.
pub fn pinned_client_config(spki_hash: [u8; 32], alpn: &[&[u8]]) -> ClientConfig {
    client_config(Pin::Key(spki_hash), alpn)
}

/// The settings of a client that speaks with the server that `pin` names: TLS 1.3 only, no name sent, no session resumed.
pub fn client_config(pin: Pin, alpn: &[&[u8]]) -> ClientConfig {
    let mut config = ClientConfig::builder_with_provider(PROVIDER.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("the provider has the ciphers of TLS 1.3")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(PinnedKey { pin }))
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    config.enable_sni = false;
    // A session is one connection's, and the certificate is looked at each time.
    config.resumption = Resumption::disabled();
    config
}

/// The name that rustls asks for: no server is known by it, and none is told.
pub fn server_name() -> ServerName<'static> {
    ServerName::try_from("pinned.invalid").expect("a DNS name")
}

/// The SHA-256 of the SubjectPublicKeyInfo of a certificate in DER; `None` for what is no certificate.
pub fn spki_hash(certificate: &CertificateDer<'_>) -> Option<[u8; 32]> {
    spki(certificate).map(|key| Sha256::digest(&key).into())
}

/// What both ends of `connection` know and nobody between or beside them does (RFC 9266): 32 octets, another 32 on each
/// connection. Signed by the caller, it ties what is said to this one connection.
///
/// Refused until the handshake is complete.
pub fn channel_binding<Side>(
    connection: &ConnectionCommon<Side>,
) -> Result<[u8; CHANNEL_BINDING_BYTES], rustls::Error> {
    connection.export_keying_material([0; CHANNEL_BINDING_BYTES], CHANNEL_BINDING_LABEL, Some(&[]))
}

/// Whether a connection failed because the server's key was not the pinned one, as opposed to anything else.
pub fn is_wrong_key(error: &io::Error) -> bool {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    matches!(tls, Some(rustls::Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure)))
}

/// The SubjectPublicKeyInfo of `certificate`, of whatever version: Tahoe's are X.509 v1, which webpki does not read.
pub(super) fn spki(certificate: &CertificateDer<'_>) -> Option<SubjectPublicKeyInfoDer<'static>> {
    let (rest, parsed) = X509Certificate::from_der(certificate).ok()?;
    rest.is_empty().then(|| SubjectPublicKeyInfoDer::from(parsed.tbs_certificate.subject_pki.raw.to_vec()))
}

/// Accepts what the pin names and a signature by the key in it.
#[derive(Debug)]
struct PinnedKey {
    pin: Pin,
}

impl PinnedKey {
    fn is_right(&self, certificate: &CertificateDer<'_>) -> bool {
        use ::aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
        match self.pin {
            Pin::Key(hash) => spki_hash(certificate) == Some(hash),
            Pin::Tub(id) => digest(&SHA1_FOR_LEGACY_USE_ONLY, certificate).as_ref() == id,
            Pin::Any => true,
        }
    }
}

impl ServerCertVerifier for PinnedKey {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if self.is_right(certificate) {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(CertificateError::ApplicationVerificationFailure.into())
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
        let key = spki(certificate).ok_or(CertificateError::BadEncoding)?;
        verify_tls13_signature_with_raw_key(message, &key, signature, &PROVIDER.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        PROVIDER.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer::identity::TlsIdentity;
    use rustls::{ClientConnection, ServerConnection};

    /// Both ends of a connection in memory, driven until neither has more to say; `Err` is what the client said.
    fn connect(
        client: ClientConfig,
        server: rustls::ServerConfig,
        greeting: &[u8],
    ) -> (ClientConnection, ServerConnection, Result<(), rustls::Error>) {
        use std::io::Write;
        let mut client = ClientConnection::new(Arc::new(client), server_name()).unwrap();
        let mut server = ServerConnection::new(Arc::new(server)).unwrap();
        client.writer().write_all(greeting).unwrap();
        let mut outcome = Ok(());
        while client.wants_write() || server.wants_write() {
            let mut wire = Vec::new();
            while client.wants_write() {
                client.write_tls(&mut wire).unwrap();
            }
            server.read_tls(&mut wire.as_slice()).unwrap();
            let _ = server.process_new_packets();
            let mut wire = Vec::new();
            while server.wants_write() {
                server.write_tls(&mut wire).unwrap();
            }
            if !wire.is_empty() && outcome.is_ok() {
                client.read_tls(&mut wire.as_slice()).unwrap();
                outcome = client.process_new_packets().map(drop);
            }
        }
        (client, server, outcome)
    }

    fn heard(server: &mut ServerConnection) -> Vec<u8> {
        use std::io::Read;
        let mut bytes = vec![0; 64];
        let count = server.reader().read(&mut bytes).unwrap_or(0);
        bytes.truncate(count);
        bytes
    }

    #[test]
    fn the_pinned_key_is_spoken_with_and_both_ends_know_the_same_thing() {
        let identity = TlsIdentity::generate();
        let client = pinned_client_config(*identity.spki_hash(), &[b"h2", b"http/1.1"]);
        let server = identity.server_config(&[b"http/1.1"]);
        let (client, mut server_side, outcome) = connect(client, server, b"secret");
        outcome.unwrap();
        assert_eq!(heard(&mut server_side), b"secret");
        assert_eq!(client.alpn_protocol(), Some(&b"http/1.1"[..]));
        assert_eq!(server_side.server_name(), None);
        let binding = channel_binding(&client).unwrap();
        assert_eq!(channel_binding(&server_side).unwrap(), binding);

        let client = pinned_client_config(*identity.spki_hash(), &[]);
        let (other, _, outcome) = connect(client, identity.server_config(&[]), b"");
        outcome.unwrap();
        assert_ne!(channel_binding(&other).unwrap(), binding);
    }

    #[test]
    fn another_key_is_told_nothing() {
        let (right, wrong) = (TlsIdentity::generate(), TlsIdentity::generate());
        let client = pinned_client_config(*right.spki_hash(), &[]);
        let (client, mut server, outcome) = connect(client, wrong.server_config(&[]), b"secret");
        assert!(is_wrong_key(&io::Error::other(outcome.unwrap_err())));
        assert_eq!(heard(&mut server), b"");
        assert!(channel_binding(&client).is_err());
    }

    #[test]
    fn a_certificate_without_the_key_in_it_proves_nothing() {
        let (right, thief) = (TlsIdentity::generate(), TlsIdentity::generate());
        let client = pinned_client_config(*right.spki_hash(), &[]);
        let server = thief.server_config_showing(right.certificate().clone());
        let (_, mut server, outcome) = connect(client, server, b"secret");
        let error = outcome.unwrap_err();
        assert_eq!(error, CertificateError::BadSignature.into());
        assert!(!is_wrong_key(&io::Error::other(error)));
        assert_eq!(heard(&mut server), b"");
    }

    #[test]
    fn what_is_no_certificate_has_no_key() {
        assert_eq!(spki_hash(&CertificateDer::from(&b""[..])), None);
        let mut twice = TlsIdentity::generate().certificate().to_vec();
        twice.push(0);
        assert_eq!(spki_hash(&CertificateDer::from(twice)), None);
    }
}
