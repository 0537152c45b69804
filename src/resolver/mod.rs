//! From a grid id to the grid's newest signed record: floor, what is at hand, the network.
//!
//! Every answer is verified here whoever gave it, never goes below what was seen before, and says where it came from.
//! Questions for one grid that are asked together share one query; what one of them finds serves all.

mod absent;
mod at_hand;
mod offline;
mod own_nodes;
mod query;
mod question;
mod repair;
mod resolve;
mod succession;
mod table;
mod tally;
mod through_home;

pub use offline::AtHand;
pub use question::{Answer, DEFAULT_DEADLINE, Policy, PolicyError, Question, ResolveError, Source};
pub use resolve::Resolver;
pub use succession::MoveRefusal;
pub use through_home::{HomeError, ThroughHome};
