//! A storage server as a reader of shares sees it. A trait, so that servers which stall, lie and die can be made by hand.

use crate::capability::StorageIndex;
use crate::grid::{Health, ServerError, ShareKind, StorageServer};
use futures::FutureExt;
use futures::future::BoxFuture;
use hyper::body::Bytes;
use std::fmt::Debug;
use std::sync::Arc;

/// Where shares are read.
pub trait ShareServer: Debug + Send + Sync {
    /// What it is called in logs and errors.
    fn name(&self) -> String;
    /// How it has been doing.
    fn health(&self) -> Health;
    /// Counts a failure that only the reader can see.
    fn blame(&self);
    /// The numbers of the shares that it has.
    fn shares(&self, kind: ShareKind, index: StorageIndex) -> BoxFuture<'_, Result<Vec<u16>, ServerError>>;
    /// A range of a share; shorter where the share ends before.
    fn read(
        &self,
        kind: ShareKind,
        index: StorageIndex,
        share: u16,
        offset: u64,
        length: u64,
    ) -> BoxFuture<'_, Result<Bytes, ServerError>>;
}

impl ShareServer for StorageServer {
    fn name(&self) -> String {
        let (id, nickname) = (self.id().short(), self.nickname());
        if nickname.is_empty() { id } else { format!("{id} ({nickname})") }
    }

    fn health(&self) -> Health {
        Self::health(self)
    }

    fn blame(&self) {
        Self::blame(self);
    }

    fn shares(&self, kind: ShareKind, index: StorageIndex) -> BoxFuture<'_, Result<Vec<u16>, ServerError>> {
        async move { Self::shares(self, kind, &index).await }.boxed()
    }

    fn read(
        &self,
        kind: ShareKind,
        index: StorageIndex,
        share: u16,
        offset: u64,
        length: u64,
    ) -> BoxFuture<'_, Result<Bytes, ServerError>> {
        async move { Self::read(self, kind, &index, share, offset, length).await }.boxed()
    }
}

/// Gives the servers to be asked now.
pub type Servers = Arc<dyn Fn() -> Vec<Arc<dyn ShareServer>> + Send + Sync>;
