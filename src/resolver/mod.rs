//! From a grid id to the grid's newest signed record: floor, what is at hand, the network.
//!
//! Every answer is verified here whoever gave it, never goes below what was seen before, and says where it came from.

mod question;
mod resolve;
mod tally;

pub use question::{Answer, DEFAULT_DEADLINE, Policy, PolicyError, Question, ResolveError, Source};
pub use resolve::Resolver;
