//! Figures about a running node, in the OpenMetrics text format that Prometheus reads.
//!
//! Whoever does something counts it here through a cheap handle; how things stand is asked for when somebody looks. Serves
//! nothing itself (`http` does), and no figure has a label that a stranger could fill: each label is one of a fixed set of
//! words, or a storage server of the own grid, so that the figures cannot grow without end and tell nobody which grids were asked
//! for.

mod counts;
mod network;
mod process;
mod standing;

pub use counts::{Metrics, Origin};
pub use process::Process;
pub use standing::{OwnStanding, Standing, StorageStanding};
