//! What a gateway is known by: the key that it acts with, and the TLS key that its NURL names.

use crate::config::{
    FileError, GatewayEntry, Home, KeyFileError, NodeConfig, SECRET_MODE, create_new, create_private_dir,
    read_or_create_key, read_secret,
};
use crate::furl::Nurl;
use crate::keys::SecretKey;
use crate::peer::{IdentityError, TlsIdentity};
use crate::record::{Gateway, GatewayAddress, GatewayError, Roles};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

/// A key, a certificate and what other tools add to such files.
const MAX_PEM_BYTES: u64 = 64 << 10;

/// The keys of the gateway of a data directory.
#[derive(Debug, Clone)]
pub struct GatewayIdentity {
    /// Signs in the grid's name what a gateway may sign.
    pub key: SecretKey,
    /// The server's TLS key and certificate.
    pub tls: TlsIdentity,
    /// What whoever works in the data directory reads with: a client of this gateway without a membership, since that directory
    /// holds the gateway itself.
    pub operator: SecretKey,
}

/// Why a gateway has no keys.
#[derive(Debug, thiserror::Error)]
pub enum GatewayIdentityError {
    /// A key file could not be read or made.
    #[error(transparent)]
    Key(#[from] KeyFileError),
    /// The file of the TLS key holds something else.
    #[error("`{}`", path.display())]
    Tls {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: IdentityError,
    },
}

impl From<FileError> for GatewayIdentityError {
    fn from(error: FileError) -> Self {
        Self::Key(error.into())
    }
}

/// Why a gateway has no entry in the record.
#[derive(Debug, thiserror::Error)]
pub enum OwnEntryError {
    /// The settings open none here, or say no place for it.
    #[error("the settings open no gateway here: set `gateway-listen`")]
    NoGateway,
    /// What the settings say makes no entry.
    #[error(transparent)]
    Entry(#[from] GatewayError),
}

impl GatewayIdentity {
    /// The keys in `home`, made now where there are none.
    pub fn open(home: &Home) -> Result<Self, GatewayIdentityError> {
        create_private_dir(home.path())?;
        let (key, operator) = (read_or_create_key(&home.gateway_key())?, read_or_create_key(&home.accounting_key())?);
        Ok(Self { key, tls: tls(home)?, operator })
    }

    /// The NURL of the gateway that listens at `addr`, for programs on this machine.
    pub fn local_nurl(&self, addr: SocketAddr) -> Option<Nurl> {
        let ip = match addr.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        };
        Nurl::gateway(*self.tls.spki_hash(), ip.into(), addr.port()).ok()
    }

    /// The NURL of the gateway that `config` opens, which listens on `port`.
    pub fn nurl(&self, config: &NodeConfig, port: u16) -> Option<Nurl> {
        config.gateway_nurl(*self.tls.spki_hash(), port)
    }

    /// What the record says of the gateway: it spends for the grid's own clients, and serves where there are storage servers
    /// to serve from.
    pub fn entry(&self, config: &NodeConfig, port: u16) -> Result<GatewayEntry, OwnEntryError> {
        let nurl = self.nurl(config, port).ok_or(OwnEntryError::NoGateway)?;
        let roles = if config.tahoe_node.is_some() { Roles::SERVE.and(Roles::SPEND) } else { Roles::SPEND };
        let roles = if config.credit_limit.is_some() { roles.and(Roles::TERMS) } else { roles };
        let key = Some(self.key.public());
        Ok(Gateway::new(Some(GatewayAddress::Nurl(nurl)), key, roles, config.credit_limit)?.into())
    }
}

fn tls(home: &Home) -> Result<TlsIdentity, GatewayIdentityError> {
    let path = home.gateway_tls();
    let made = TlsIdentity::generate();
    match create_new(&path, made.to_pem().as_bytes(), SECRET_MODE) {
        Ok(()) => Ok(made),
        Err(error) if error.source.kind() == io::ErrorKind::AlreadyExists => {
            let text = read_secret(&path, MAX_PEM_BYTES)?;
            TlsIdentity::from_pem(&text).map_err(|source| GatewayIdentityError::Tls { path, source })
        }
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::GridId;
    use std::os::unix::fs::PermissionsExt;

    fn config() -> NodeConfig {
        NodeConfig {
            grid_id: Some(GridId::new(SecretKey::from_seed(&[1; 32]).public())),
            gateway_listen: Some("127.0.0.1:0".parse().unwrap()),
            ..NodeConfig::default()
        }
    }

    #[test]
    fn the_keys_are_made_once_and_are_for_nobody_elses_eyes() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::new(dir.path().join("node"));
        let made = GatewayIdentity::open(&home).unwrap();
        let again = GatewayIdentity::open(&home).unwrap();
        assert_eq!((made.key.public(), made.tls.spki_hash()), (again.key.public(), again.tls.spki_hash()));
        for path in [home.gateway_key(), home.gateway_tls()] {
            assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        std::fs::write(home.gateway_tls(), "nothing").unwrap();
        assert!(matches!(GatewayIdentity::open(&home), Err(GatewayIdentityError::Tls { .. })));
    }

    #[test]
    fn the_entry_names_the_place_the_key_and_what_it_can_do() {
        let dir = tempfile::tempdir().unwrap();
        let identity = GatewayIdentity::open(&Home::new(dir.path())).unwrap();
        let entry = identity.entry(&config(), 4101).unwrap();
        let nurl = identity.nurl(&config(), 4101).unwrap();
        assert_eq!(entry.to_string(), format!("{nurl},key={},roles=spend", identity.key.public()));
        let with_servers = NodeConfig { tahoe_node: Some("/tahoe".into()), ..config() };
        let entry = identity.entry(&with_servers, 4101).unwrap();
        assert_eq!(entry.gateway().roles(), Roles::SERVE.and(Roles::SPEND));
        assert!(matches!(identity.entry(&NodeConfig::default(), 4101), Err(OwnEntryError::NoGateway)));
    }
}
