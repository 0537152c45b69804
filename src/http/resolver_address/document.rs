//! What the resolver address says about itself in OpenAPI.

use crate::http::problem::Problem;
use utoipa::{IntoResponses, OpenApi};

/// What the document says beside its paths.
#[derive(OpenApi)]
#[openapi(info(
    title = "clearinghouse: the resolver address of a node",
    description = "Signed grid records over plain HTTP. A reader verifies the bytes and believes nothing else, so that neither this \
        server nor a proxy before it needs to be trusted; what a server can do is withhold. It answers from its own book and asks \
        nobody: 404 says only that this one holds no record. It takes grid ids and never caps.\n\nTimes are whole seconds since \
        1970 (`…_unix_seconds`), prices and amounts are strings of digits in minor units of their asset (10^−`scale` of it). Errors \
        are RFC 9457 problems.",
))]
pub(super) struct AddressDocument;

/// What any path of the resolver address may answer.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "says what the middleware and the parsing of paths answer; never made")]
pub(super) enum AddressProblems {
    /// No grid id stands where one should, or the body is no record.
    #[response(status = 400, content_type = "application/problem+json")]
    Malformed(#[to_schema] Problem),
    /// This path takes the methods in `Allow`.
    #[response(status = 405, content_type = "application/problem+json")]
    Method(#[to_schema] Problem),
    /// Too much from one network: again after `Retry-After`, in seconds.
    #[response(status = 429, content_type = "application/problem+json", headers(("Retry-After" = u64, description = "seconds")))]
    TooSoon(#[to_schema] Problem),
    /// The node takes in no more, or is stopping.
    #[response(status = 503, content_type = "application/problem+json")]
    Unavailable(#[to_schema] Problem),
    /// The node does not come to look into its book.
    #[response(status = 504, content_type = "application/problem+json")]
    Timeout(#[to_schema] Problem),
}
