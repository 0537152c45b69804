//! The local API of a running node, on loopback, and the JSON views that the CLI prints too.
//!
//! ```text
//! GET  /health                                        200 once the node answers at all
//! GET  /v1/status[?wait_ms=…]                         how the node stands; waits until it is ready, at most so long
//! GET  /v1/resolve?grid=…[&policy=…][&deadline_ms=…]  a grid's record, verified, and how it was come by;
//!                     [&follow=false]                that very grid's, wherever it has moved
//! POST /v1/publish                                    brings the own record to its holders: the receipt
//! POST /v1/install                                    body: a record or a delegation that the grid key signed
//! GET  /v1/openapi.json                               all this as OpenAPI, made from the types that are answered with
//! GET  /metrics                                       figures for Prometheus
//! POST /v1/settle                                     claims what is owed, and fetches what others have booked
//! POST /v1/signed                                     body: terms, a payment or a revocation that the operator has signed
//! POST /v1/disputes?lane=…|grid=…[&from=…][&until=…]   where the other side's vouchers of lanes part from ours, which is kept
//! POST /v1/disputes/close?lane=…&by=…&reason=…         ends that
//! POST /v1/reload                                     reads the settings again, as SIGHUP does
//! ```
//!
//! It is asked for grid ids and never for caps. A web page in the user's browser cannot reach it: the `Host` must be a
//! loopback name, and requests from other sites are refused. Errors are RFC 9457 problems.

mod answer;
mod api;
mod api_file;
mod broken_text;
mod compared_views;
mod disputes;
mod findings;
mod guard;
mod openapi;
mod problem;
mod record_text;
mod resolver_address;
mod routes;
mod settling;
mod standing;
mod status;
mod views;
mod web;

pub use answer::{AnswerBodyError, AnswerView, answer_from_body};
pub use api::{Api, ApiError};
pub use api_file::ApiFile;
pub use broken_text::BrokenText;
pub use compared_views::{ClosedView, ComparedLanesView, ComparedView, NotShownView};
pub use findings::{Finding, findings};
pub use problem::{Code, Problem};
pub use record_text::RecordText;
pub use resolver_address::{ResolverAddress, ResolverAddressError, ResolverSettings};
pub use routes::{ApiParts, RELOADS, ReloadRequest, SettingsStanding};
pub use status::{DelegationView, FinalRecord, Mode, OtherNodeView, StatusView};
pub use views::{HealthView, InstalledView, ReceiptView, ReloadedView, SettledView, TakenView, UntoldView};
pub use web::{WebAddress, WebAddressError};
