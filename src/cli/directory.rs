//! A data directory to change something in: through the node that runs there, or by ourselves where none does.

use crate::cli::api::Api;
use crate::cli::failure::Outcome;
use crate::cli::wait::until;
use crate::config::Home;
use crate::store::{DirectoryLock, LockError};
use std::time::Duration;

/// How long a node that has just been started may take until its API answers; one that stops, until it lets go.
const PATIENCE: Duration = Duration::from_secs(30);

/// Who works in a data directory.
pub(super) enum Directory {
    /// A node, which can be asked.
    Running(Api),
    /// We alone, as long as this is held.
    Ours(DirectoryLock),
}

impl Directory {
    /// The node that runs in `home`, or the directory itself.
    ///
    /// A node takes its directory some moments before its API answers, and lets go of it some moments after: neither is
    /// a reason to fail.
    pub(super) fn open(home: &Home) -> Outcome<Self> {
        let found = until(PATIENCE, || match Api::of_running_node(home) {
            Err(failure) => Some(Err(failure)),
            Ok(Some(api)) => Some(Ok(Self::Running(api))),
            Ok(None) => match DirectoryLock::acquire(home) {
                Ok(lock) => Some(Ok(Self::Ours(lock))),
                Err(LockError::InUse { .. }) => None,
                Err(error) => Some(Err(error.into())),
            },
        });
        found.unwrap_or_else(|| Err(LockError::InUse { directory: home.path().to_owned() }.into()))
    }
}
