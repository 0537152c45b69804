//! How large messages are, and how much of a kind is in one.

use crate::record::Evidence;

/// The largest question: a record and its frame.
pub const MAX_REQUEST_BYTES: usize = 2 * 1024;
/// The largest answer to a question about one grid or about servers: a record, two more as evidence, twenty peers.
pub const MAX_RESPONSE_BYTES: usize = 8 * 1024;
/// The largest answer of all: a page of digests, or of records asked for by key.
pub const MAX_PAGE_BYTES: usize = 64 * 1024;
/// How many records of evidence come with an answer.
pub const MAX_EVIDENCE: usize = 2;
/// How many records of evidence a row of a book has: all that a holder keeps, or two books would never be the same.
pub const MAX_ROW_EVIDENCE: usize = Evidence::MAX;
/// How many nearer peers come with an answer: Kademlia's k.
pub const MAX_NEARER: usize = 20;
/// How many servers one page of the list holds: what fits in [`MAX_RESPONSE_BYTES`] with two short addresses each.
pub const SERVERS_PER_PAGE: usize = 60;

/// Into how many buckets the keys are divided for comparing two books: by their first octet.
pub const BUCKETS: usize = 256;
/// How many digests one page holds: 48 octets each.
pub const DIGESTS_PER_PAGE: usize = 1_200;
/// How many grids' records are fetched with one question: each with two records of evidence, they fit in [`MAX_PAGE_BYTES`];
/// of grids with more evidence the last ones are left out, and differ still when the books are compared again.
pub const GRIDS_PER_FETCH: usize = 16;
