//! Where verified content comes from: the seam between reading and the way there.
//!
//! The one source in use is the home gateway (`gateway_source`); tests have one in memory, which breaks off and changes
//! under the reader's hands as they like.

use crate::clearing::Quote;
use crate::reader::target::Target;
use crate::reader::trouble::Trouble;
use crate::units::Bytes as Octets;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use hyper::body::Bytes;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// A place to read from.
pub(super) trait Source: fmt::Debug + Send + Sync {
    /// What checks `units` of the newest version of `target`, itself checked against the cap. Fewer are given where the file
    /// ends earlier. Never asked for a literal. `then` are the bytes that are read next, if that is known: the source may begin with
    /// them.
    fn page<'a>(
        &'a self,
        target: &'a Target,
        units: Range<u64>,
        then: Option<Range<u64>>,
    ) -> BoxFuture<'a, Result<Arc<dyn Page>, SourceError>>;

    /// Whether what may be paid reaches for so many octets of `target`, in so many requests, as far as its price is known.
    fn affords<'a>(
        &'a self,
        target: &'a Target,
        octets: Octets,
        requests: u64,
    ) -> BoxFuture<'a, Result<(), SourceError>>;

    /// What it will cost to read `target` whole. Never asked for a literal.
    fn quote<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, Result<Quote, SourceError>>;
}

/// A part of the manifest of one version of a file.
pub(super) trait Page: fmt::Debug + Send + Sync {
    /// The size of the content in bytes.
    fn size(&self) -> u64;
    /// How many bytes each unit has, but for the last, which may have fewer. Not 0 unless the file is empty.
    fn unit(&self) -> u64;
    /// Names the version, in quotes as HTTP has it.
    fn etag(&self) -> &str;
    /// Of a mutable file: which version it is.
    fn sequence(&self) -> Option<u64>;
    /// The content of `units`, which the page covers: one item for each, in order, verified and decrypted.
    fn units(self: Arc<Self>, units: Range<u64>) -> BoxStream<'static, Result<Bytes, SourceError>>;
}

/// Why a source gave nothing, as the gateway said it or as it was met on the way.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{detail}")]
pub struct SourceError {
    /// What kind of failure.
    pub trouble: Trouble,
    /// What happened, the chain of causes included.
    pub detail: String,
    /// The next thing to try.
    pub hint: Option<String>,
    /// Of a price beyond what may be paid: what the gateway offers instead.
    pub offers: Option<serde_json::Value>,
}

impl SourceError {
    /// A failure with nothing more to say.
    pub(super) fn new(trouble: Trouble, detail: impl Into<String>) -> Self {
        Self { trouble, detail: detail.into(), hint: None, offers: None }
    }
}
