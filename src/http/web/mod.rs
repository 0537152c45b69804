//! The web address: files and directories of any grid for the browser of the user of this machine, and for programs that
//! speak Tahoe-LAFS's web API.
//!
//! ```text
//! GET /                          a form to put a cap in
//! GET /uri?uri=CAP[/PATH]        leads to the next
//! GET /uri/CAP[/PATH]            a file's content, by `Range` if wanted, or a directory as a page
//!     ?t=json                    what it is, in the shape that Tahoe-LAFS's web API has
//!     ?filename=NAME&save=true   what a browser is to call it, and that it is to be saved
//! ```
//!
//! It listens on loopback, apart from the local API. A request names it by a loopback name and comes from no page of another
//! site; what it serves was written by strangers, and is served so that it can do nothing: without scripts, and without a
//! way to tell where it was. No cap is ever logged.

mod failure;
mod file;
mod guard;
mod html;
mod pages;
mod query;
mod range;
mod routes;
mod server;
mod tahoe_json;
#[cfg(test)]
mod tests;

pub use server::{WebAddress, WebAddressError};
