//! The questions and answers of `/lafs-clearinghouse/<network>/record/1`, and their bytes.
//!
//! Each is one map of deterministic CBOR on a stream of its own. Layout: `docs/spec/record-exchange.md`. Records travel
//! as bytes: this room says what was sent, [`crate::record`] says what it is worth.

mod error;
mod kind;
mod limits;
mod request;
mod response;
mod row;
mod verdict;

pub use error::MessageError;
pub use limits::{
    BUCKETS, DIGESTS_PER_PAGE, GRIDS_PER_FETCH, MAX_EVIDENCE, MAX_NEARER, MAX_PAGE_BYTES, MAX_REQUEST_BYTES,
    MAX_RESPONSE_BYTES, MAX_ROW_EVIDENCE, SERVERS_PER_PAGE,
};
pub use request::Request;
pub use response::{Body, Response};
pub use row::{BucketDigest, FetchedRow, RowDigest};
pub use verdict::WireVerdict;
