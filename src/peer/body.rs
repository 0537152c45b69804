//! An answer that is being read: in pieces, with a bound and a patience for each.

use crate::peer::client::{GatewayClient, Lease};
use crate::peer::error::PeerError;
use crate::peer::refusal::{MAX_PROBLEM_BYTES, Refusal};
use http_body_util::BodyExt;
use hyper::body::{Bytes, Incoming};
use hyper::http::response::Parts;
use hyper::{HeaderMap, Response, StatusCode};
use tokio::time::timeout;

/// An answer whose head has come. Dropped before its end, it tells the gateway to stop.
pub(super) struct Answer {
    head: Parts,
    body: Incoming,
    lease: Lease,
}

impl Answer {
    pub(super) fn new(response: Response<Incoming>, lease: Lease) -> Self {
        let (head, body) = response.into_parts();
        Self { head, body, lease }
    }

    pub(super) fn status(&self) -> StatusCode {
        self.head.status
    }

    pub(super) fn headers(&self) -> &HeaderMap {
        &self.head.headers
    }

    /// The next piece; `None` at the end.
    pub(super) async fn piece(&mut self, client: &GatewayClient) -> Result<Option<Bytes>, PeerError> {
        loop {
            match timeout(client.patience(), self.body.frame()).await {
                Err(_) => return Err(client.timed_out()),
                Ok(None) => return Ok(None),
                Ok(Some(Err(error))) => return Err(client.lost(error)),
                // Trailers say nothing that is asked for.
                Ok(Some(Ok(frame))) => {
                    if let Ok(bytes) = frame.into_data()
                        && !bytes.is_empty()
                    {
                        return Ok(Some(bytes));
                    }
                }
            }
        }
    }

    /// All of the body, of at most `limit` octets.
    pub(super) async fn whole(mut self, client: &GatewayClient, limit: usize) -> Result<Vec<u8>, PeerError> {
        let mut whole = Vec::new();
        while let Some(piece) = self.piece(client).await? {
            if whole.len() + piece.len() > limit {
                return Err(client.malformed("too long an answer"));
            }
            whole.extend_from_slice(&piece);
        }
        self.end();
        Ok(whole)
    }

    /// The refusal that this answer is.
    pub(super) async fn refusal(self, client: &GatewayClient) -> PeerError {
        let (status, headers) = (self.status(), self.headers().clone());
        match self.whole(client, MAX_PROBLEM_BYTES).await {
            Ok(body) => {
                let refusal = Box::new(Refusal::new(status, &headers, &body));
                PeerError::Refused { place: client.place().nurl.place().clone(), refusal }
            }
            Err(error) => error,
        }
    }

    /// Says that the body was read to its end: the connection is free for another request.
    pub(super) fn end(self) {
        self.lease.give_back();
    }
}

/// All of a body; `None` if it has more than `limit` octets.
pub(super) async fn read_whole(mut body: Incoming, limit: usize) -> hyper::Result<Option<Vec<u8>>> {
    let mut whole = Vec::new();
    while let Some(frame) = body.frame().await {
        if let Ok(bytes) = frame?.into_data() {
            if whole.len() + bytes.len() > limit {
                return Ok(None);
            }
            whole.extend_from_slice(&bytes);
        }
    }
    Ok(Some(whole))
}
