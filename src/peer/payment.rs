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
    /// A lane for this one request; `None` where the gateway knows no lanes.
    fn lane<'a>(
        &'a self,
        client: &'a GatewayClient,
        purchase: Purchase,
    ) -> BoxFuture<'a, Result<Option<Box<dyn PaidRequest>>, PeerError>>;
}

/// One request on a lane. When it is dropped, what came of it is acknowledged.
pub trait PaidRequest: Send {
    /// The lane, for [`LANE`].
    fn lane(&self) -> [u8; 32];

    /// Notes that these octets came and are right: they are owed for.
    fn verified(&mut self, came: Came, octets: Bytes);

    /// The gateway says that the lane is over: nothing else is asked for on it.
    fn closed(&mut self);
}

/// How a lane is named in a request.
pub(super) fn lane_header(lane: &[u8; 32]) -> (HeaderName, HeaderValue) {
    let value = HeaderValue::try_from(data_encoding::HEXLOWER.encode(lane)).expect("hexadecimal digits");
    (LANE, value)
}
