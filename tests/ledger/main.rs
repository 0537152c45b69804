//! The books over real databases: the same tests with SQLite and with PostgreSQL.
//!
//! A PostgreSQL server of Debian's package `postgresql` is raised for a test in a temporary folder, reached by a Unix socket.
//! Without that package those tests are skipped, or fail under `REQUIRE_INTEROP=1`.

#![cfg(feature = "node")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod books;
mod both;
mod child;
mod cli;
mod crash;
mod desk;
mod disputes;
mod full_disk;
mod judges;
mod node;
mod objects;
#[path = "../cli/place.rs"]
#[expect(dead_code, reason = "the tests of the program use more of it")]
mod place;
mod postgres;
mod proofs;
mod statement_judges;
mod versions;
