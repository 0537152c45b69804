//! What a server shows and proves in TLS: a private key and a self-signed certificate around its public half.

use crate::peer::tls::{PROVIDER, spki};
use data_encoding::BASE64;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::NoServerSessionStorage;
use rustls::sign::{CertifiedKey, SigningKey, SingleCertAndKey};
use sha2::{Digest, Sha256};
use std::fmt;
use std::sync::Arc;
use zeroize::Zeroizing;

/// The name in a certificate of ours, which nobody looks at.
const COMMON_NAME: &str = "lafs-clearinghouse";
/// The octets of base64 in a line of PEM, encoded (RFC 7468, 2).
const PEM_LINE_BYTES: usize = 64;

/// A server's TLS key with its certificate. `Debug` shows the hash that names it.
#[derive(Clone)]
pub struct TlsIdentity {
    certificate: CertificateDer<'static>,
    /// PKCS #8.
    key_der: Zeroizing<Vec<u8>>,
    key: Arc<dyn SigningKey>,
    spki_hash: [u8; 32],
}

/// Why a text holds no TLS identity. Never repeats a part of it.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// No private key in PKCS #8 (`BEGIN PRIVATE KEY`).
    #[error("no private key in it (`BEGIN PRIVATE KEY`)")]
    NoKey,
    /// No certificate (`BEGIN CERTIFICATE`), or none in X.509.
    #[error("no certificate in it (`BEGIN CERTIFICATE`)")]
    NoCertificate,
    /// A private key of a kind that TLS 1.3 does not know.
    #[error("the private key is none that TLS 1.3 can use")]
    Key(#[source] rustls::Error),
    /// A certificate around another key.
    #[error("the certificate is around another key than the private one beside it")]
    OtherKey,
}

impl TlsIdentity {
    /// A new key (ECDSA on P-256, which every TLS library knows) and a certificate around it.
    ///
    /// # Panics
    /// If the operating system has no randomness to give.
    pub fn generate() -> Self {
        let pair = rcgen::KeyPair::generate().expect("the operating system gives randomness");
        let mut parameters = rcgen::CertificateParams::default();
        parameters.distinguished_name = rcgen::DistinguishedName::new();
        parameters.distinguished_name.push(rcgen::DnType::CommonName, COMMON_NAME);
        let certificate = parameters.self_signed(&pair).expect("a key just made signs");
        let key = Zeroizing::new(pair.serialize_der());
        Self::from_der(certificate.der().clone(), key).expect("a key and its own certificate")
    }

    /// An identity of any kind of key that TLS 1.3 knows: a certificate of any version in DER, and its key in PKCS #8.
    pub fn from_der(certificate: CertificateDer<'static>, key_der: Zeroizing<Vec<u8>>) -> Result<Self, IdentityError> {
        let public = spki(&certificate).ok_or(IdentityError::NoCertificate)?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key_der.to_vec()));
        let key = PROVIDER.key_provider.load_private_key(key).map_err(IdentityError::Key)?;
        if key.public_key().as_ref() != Some(&public) {
            return Err(IdentityError::OtherKey);
        }
        Ok(Self { certificate, key_der, key, spki_hash: Sha256::digest(&public).into() })
    }

    /// Reads a private key and a certificate in PEM, in any order; whatever else the text holds is passed over.
    pub fn from_pem(text: &str) -> Result<Self, IdentityError> {
        let key = PrivatePkcs8KeyDer::from_pem_slice(text.as_bytes()).map_err(|_| IdentityError::NoKey)?;
        let key = Zeroizing::new(key.secret_pkcs8_der().to_vec());
        let certificate = CertificateDer::from_pem_slice(text.as_bytes()).map_err(|_| IdentityError::NoCertificate)?;
        Self::from_der(certificate, key)
    }

    /// The key and the certificate in PEM, **the private key included**: for a file that only its owner may read.
    pub fn to_pem(&self) -> Zeroizing<String> {
        // Room for all of it at once: growing would leave copies of the secret behind.
        let mut text = Zeroizing::new(String::with_capacity(2 * (self.key_der.len() + self.certificate.len()) + 256));
        push_pem(&mut text, "PRIVATE KEY", &self.key_der);
        push_pem(&mut text, "CERTIFICATE", &self.certificate);
        text
    }

    /// The SHA-256 of the SubjectPublicKeyInfo in DER: what NURLs and records name this server by.
    pub fn spki_hash(&self) -> &[u8; 32] {
        &self.spki_hash
    }

    /// The certificate.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// The settings of a server that is this one: TLS 1.3 only, no client certificates, no session resumed.
    ///
    /// `alpn` are the protocols served, the preferred one first. A client that offers others only is refused; one that
    /// offers none is served.
    pub fn server_config(&self, alpn: &[&[u8]]) -> ServerConfig {
        let mut config = self.server_config_showing(self.certificate.clone());
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        config
    }

    /// The same with another certificate: what a thief of certificates would do.
    pub(super) fn server_config_showing(&self, certificate: CertificateDer<'static>) -> ServerConfig {
        let certified = CertifiedKey::new(vec![certificate], self.key.clone());
        let mut config = ServerConfig::builder_with_provider(PROVIDER.clone())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("the provider has the ciphers of TLS 1.3")
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
        // Who is at the other end is settled once for each connection.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        config
    }
}

fn push_pem(text: &mut String, label: &str, der: &[u8]) {
    let encoded = Zeroizing::new(BASE64.encode(der));
    text.push_str(&format!("-----BEGIN {label}-----\n"));
    let mut rest = encoded.as_str();
    while !rest.is_empty() {
        let (line, more) = rest.split_at(rest.len().min(PEM_LINE_BYTES));
        text.push_str(line);
        text.push('\n');
        rest = more;
    }
    text.push_str(&format!("-----END {label}-----\n"));
}

impl fmt::Debug for TlsIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TlsIdentity({})", data_encoding::BASE64URL_NOPAD.encode(&self.spki_hash))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_is_read_back_from_its_file() {
        let identity = TlsIdentity::generate();
        let text = identity.to_pem();
        assert!(text.lines().all(|line| line.len() <= PEM_LINE_BYTES), "{} lines", text.lines().count());
        let read = TlsIdentity::from_pem(&text).unwrap();
        assert_eq!(read.spki_hash(), identity.spki_hash());
        assert_eq!(read.certificate(), identity.certificate());
        assert_eq!(read.to_pem(), text);
        // In the other order, as other tools write it, with a remark between.
        let at = text.find("-----BEGIN CERTIFICATE").unwrap();
        let turned = format!("{}a remark\n{}", &text[at..], &text[..at]);
        assert_eq!(TlsIdentity::from_pem(&turned).unwrap().spki_hash(), identity.spki_hash());
    }

    #[test]
    fn an_x509_v1_certificate_of_tahoe_is_an_identity_too() {
        let certificate = include_bytes!("../grid/testdata/tub.cert.der").to_vec().into();
        let key = Zeroizing::new(include_bytes!("../grid/testdata/tub.key.der").to_vec());
        assert!(TlsIdentity::from_der(certificate, key).is_ok());
    }

    #[test]
    fn what_is_no_identity_is_refused_for_its_reason() {
        let (one, other) = (TlsIdentity::generate(), TlsIdentity::generate());
        let text = one.to_pem();
        let at = text.find("-----BEGIN CERTIFICATE").unwrap();
        assert!(matches!(TlsIdentity::from_pem(&text[..at]), Err(IdentityError::NoCertificate)));
        assert!(matches!(TlsIdentity::from_pem(&text[at..]), Err(IdentityError::NoKey)));
        let mixed = TlsIdentity::from_der(other.certificate.clone(), one.key_der.clone());
        assert!(matches!(mixed, Err(IdentityError::OtherKey)));
        let cut = Zeroizing::new(one.key_der[..one.key_der.len() - 1].to_vec());
        assert!(matches!(TlsIdentity::from_der(one.certificate.clone(), cut), Err(IdentityError::Key(_))));
        let none = TlsIdentity::from_der(vec![0x30, 0].into(), one.key_der.clone());
        assert!(matches!(none, Err(IdentityError::NoCertificate)));
    }

    #[test]
    fn debug_shows_the_hash_and_no_key() {
        let identity = TlsIdentity::generate();
        let shown = format!("{identity:?}");
        assert_eq!(shown.len(), "TlsIdentity()".len() + 43);
        assert!(!identity.to_pem().contains(&shown[12..54]));
    }
}
