//! A data directory: where a node or a client keeps its files. Paths only; nothing here opens one.

use crate::keys::GridId;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The folder of this program under the user's XDG folders.
const XDG_NAME: &str = "lafs-clearinghouse";

/// A data directory. What each file holds is said at its path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home(PathBuf);

impl Home {
    /// The directory at `path`, whether it exists or not.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// The user's own: `$XDG_STATE_HOME/lafs-clearinghouse`, or `~/.local/state/lafs-clearinghouse`.
    ///
    /// `variable` reads the environment. A relative path in it is ignored, as the XDG Base Directory Specification asks.
    /// `None` if neither variable names a folder.
    pub fn of_user(variable: impl Fn(&str) -> Option<OsString>) -> Option<Self> {
        let folder = |name| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let state = folder("XDG_STATE_HOME").or_else(|| Some(folder("HOME")?.join(".local/state")))?;
        Some(Self(state.join(XDG_NAME)))
    }

    /// The directory itself.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The settings, written by `init` and edited by the operator.
    pub fn config(&self) -> PathBuf {
        self.0.join("clearinghouse.toml")
    }

    /// The node's private key: its identity among peers, worth nothing to a grid.
    pub fn node_key(&self) -> PathBuf {
        self.0.join("node.key")
    }

    /// The private key that signs records under a delegation of the grid key.
    pub fn publisher_key(&self) -> PathBuf {
        self.0.join("publisher.key")
    }

    /// The grid key's delegation to the publisher key.
    pub fn delegation(&self) -> PathBuf {
        self.0.join("delegation")
    }

    /// The private key that the gateway acts with in the grid's name.
    pub fn gateway_key(&self) -> PathBuf {
        self.0.join("gateway.key")
    }

    /// The gateway's TLS key and the certificate around it: what its NURL names.
    pub fn gateway_tls(&self) -> PathBuf {
        self.0.join("gateway-tls.pem")
    }

    /// Octets to and from each counterparty of the gateway, one file a day.
    pub fn traffic(&self) -> PathBuf {
        self.0.join("traffic")
    }

    /// Proposals of nettings, one file each.
    pub fn nettings(&self) -> PathBuf {
        self.0.join("nettings")
    }

    /// The books, where they are in no PostgreSQL database. Must not be lost.
    pub fn ledger(&self) -> PathBuf {
        self.0.join("ledger.sqlite")
    }

    /// The password for the database that keeps the books, where it asks for one: one line, for nobody else to read.
    pub fn ledger_password(&self) -> PathBuf {
        self.0.join("ledger.password")
    }

    /// What the grid's clients may fetch of other grids; read again when it changes.
    pub fn policy(&self) -> PathBuf {
        self.0.join("policy.toml")
    }

    /// The books of a client: a folder, with a file for each process that reads at once.
    pub fn client_ledgers(&self) -> PathBuf {
        self.0.join("ledgers")
    }

    /// The grid's newest record: written before it is published, so that no sequence is ever used twice.
    pub fn own_record(&self) -> PathBuf {
        self.0.join("own.record")
    }

    /// Below which versions this reader will not go. Must not be lost.
    pub fn floors(&self) -> PathBuf {
        self.0.join("floors")
    }

    /// The highest sequence number seen of each mutable file that was read. Must not be lost.
    pub fn mutable_floors(&self) -> PathBuf {
        self.0.join("mutable-floors")
    }

    /// Records with live commitments: `evidence/<grid id>/<sequence>.<identity>.record`. Must not be lost.
    pub fn evidence(&self) -> PathBuf {
        self.0.join("evidence")
    }

    /// The evidence about one grid.
    pub fn evidence_of(&self, grid: &GridId) -> PathBuf {
        self.evidence().join(grid.to_string())
    }

    /// The store of others' records: a cache, which may be deleted while no node runs.
    pub fn store(&self) -> PathBuf {
        self.0.join("store")
    }

    /// Peers seen at work, to begin with at the next start.
    pub fn peers(&self) -> PathBuf {
        self.0.join("peers")
    }

    /// Who is a client of this grid: one signed membership for each accounting key. Must not be lost.
    pub fn members(&self) -> PathBuf {
        self.0.join("members")
    }

    /// The words by which clients of this grid were removed, kept apart: a copy of `members` from before must not undo them.
    pub fn removed_members(&self) -> PathBuf {
        self.0.join("removed-members")
    }

    /// A client's settings: which home gateway it has joined.
    pub fn client(&self) -> PathBuf {
        self.0.join("client.toml")
    }

    /// A client's private key: what its home knows it by, and what it signs its acknowledgements with.
    pub fn accounting_key(&self) -> PathBuf {
        self.0.join("accounting.key")
    }

    /// The format of this directory: what wrote it last.
    pub fn format(&self) -> PathBuf {
        self.0.join("format")
    }

    /// Held by the process that works in this directory.
    pub fn lock(&self) -> PathBuf {
        self.0.join("lock")
    }

    /// Where the running node serves its local API; absent while none runs.
    pub fn api(&self) -> PathBuf {
        self.0.join("api.json")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(variables: &'static [(&str, &str)]) -> Option<Home> {
        Home::of_user(|name| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into()))
    }

    #[test]
    fn the_users_state_folder_is_found_as_xdg_says() {
        assert_eq!(of(&[("XDG_STATE_HOME", "/s"), ("HOME", "/h")]), Some(Home::new("/s/lafs-clearinghouse")));
        assert_eq!(of(&[("HOME", "/h")]), Some(Home::new("/h/.local/state/lafs-clearinghouse")));
        assert_eq!(of(&[("XDG_STATE_HOME", "s"), ("HOME", "/h")]), of(&[("HOME", "/h")]));
        assert_eq!(of(&[("XDG_STATE_HOME", "")]), None);
    }
}
