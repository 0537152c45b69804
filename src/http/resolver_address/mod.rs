//! The address that an operator may open to others: grid records over plain HTTP, for readers without libp2p.
//!
//! It answers from this node's own book and asks nobody: a stranger's question must not make this node walk the network
//! for them. In a network that is held whole the book is everything there is. What is PUT here is judged like what any node
//! is offered. Specified in `docs/spec/resolver-http.md`; apart from the local API, of which nothing can be reached here.
//!
//! ```text
//! GET, HEAD /v1/grids/<grid id>                      the signed record, as bytes or JSON
//! PUT       /v1/grids/<grid id>                      offers a record: the true verdict as status
//! GET, HEAD /v1/grids/<grid id>/evidence/<sequence>  an earlier record whose commitment the current one does not keep
//! GET       /v1/openapi.json                         all this as OpenAPI
//! ```

mod accept;
mod client;
mod document;
mod grids;
mod offers;
mod quota;
mod representation;
mod routes;
mod server;

pub use server::{ResolverAddress, ResolverAddressError, ResolverSettings};
