//! Scenarios of calls: grids with prices, each a process of its own, and clients of theirs who read from the others, also
//! processes. What the scenario wants dead is killed by SIGKILL; all clocks are set ahead together. In the end everybody's
//! books are laid beside each other. `testnet/scenarios/README.md` explains the files.

mod audit;
mod books;
mod claims;
mod crash;
mod credit;
mod dearer;
mod grids;
mod readers;
mod reading;
mod scenario;
mod settle;
mod stage;
mod taker;
mod typed;

pub(crate) use scenario::Calls;
pub(crate) use stage::CallStage;
