//! The numbers by which questions, and their answers, are told apart.

pub(super) const RESOLVE: u64 = 0;
pub(super) const STORE: u64 = 1;
pub(super) const SERVERS: u64 = 2;
pub(super) const DIGEST: u64 = 3;
pub(super) const BUCKET: u64 = 4;
pub(super) const FETCH: u64 = 5;
pub(super) const UNSUPPORTED: u64 = 255;
