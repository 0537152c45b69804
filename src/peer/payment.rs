//! Who pays for what a gateway delivers: the seam between fetching and paying. What is paid, and how, is for `clearing`.

use crate::capability::Capability;
use crate::keys::GridId;
use crate::peer::client::GatewayClient;
use crate::peer::error::PeerError;
use crate::units::Bytes;
use futures::future::BoxFuture;
use hyper::header::{HeaderName, HeaderValue};
use std::fmt;

/// The header that names the lane on which a request is served: its id in 64 lower-case hexadecimal digits.
pub const LANE: HeaderName = HeaderName::from_static("lane");

/// A request that is to be paid for.
#[derive(Debug, Clone)]
pub struct Purchase {
    /// The grid whose file it is.
    pub grid: GridId,
    /// The file's verify cap.
    pub file: Capability,
    /// How many octets it is, where that is known.
    pub octets: Option<Bytes>,
}

/// What came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Came {
    /// A manifest, of units from this one on.
    Manifest {
        /// Its first unit.
        first: u64,
    },
    /// A unit of ciphertext.
    Ciphertext {
        /// Where in the ciphertext it begins.
        offset: u64,
    },
}

/// Finds lanes for requests.
pub trait Payer: fmt::Debug + Send + Sync {
    /// A lane that serves this one request until it is dropped; `None` where the gateway knows no lanes.
    fn lane<'a>(
        &'a self,
        client: &'a GatewayClient,
        purchase: Purchase,
    ) -> BoxFuture<'a, Result<Option<Box<dyn PaidRequest>>, PeerError>>;
}

/// One request on a lane. Dropped before it is finished, it leaves a lane that is used no more.
pub trait PaidRequest: Send {
    /// The lane, for [`LANE`].
    fn lane(&self) -> [u8; 32];

    /// Notes that these octets came and are right: they are owed for.
    fn verified(&mut self, came: Came, octets: Bytes);

    /// All that was asked for came, and nothing beside it: the lane is free for the next request.
    fn finished(self: Box<Self>);
}

/// How a lane is named in a request.
pub(super) fn lane_header(lane: &[u8; 32]) -> (HeaderName, HeaderValue) {
    let value = HeaderValue::try_from(data_encoding::HEXLOWER.encode(lane)).expect("hexadecimal digits");
    (LANE, value)
}
