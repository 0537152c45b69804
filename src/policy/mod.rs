//! What the grid manager allows: rules for calls to other grids, tried in order before anything is fetched, and the price that
//! clients pay.
//!
//! Decides; what was used so far, the time and the file are arguments. What is unclear is refused: no price, no conversion, no
//! rule. `example.toml` beside this file is a policy with a reason at each key.

mod decide;
mod file;
mod offer;
mod price;
mod quota;
mod retail;
mod rule;
#[cfg(test)]
mod scenes;

pub use decide::{Account, Confirmed, Decision, Outcome, Step, Used};
pub use file::{MAX_POLICY_BYTES, MAX_RULES, Policy, PolicyError};
pub use offer::{MAX_ACCEPTED, NotAccepted};
pub use price::{Priced, Unpriced, priced};
pub use quota::{Period, Quota, QuotaAmount, QuotaError};
pub use retail::{Conversion, Factor, FactorError, Markup, NoRetail, Retail};
pub use rule::{Action, Call, Ceiling, ClientName, Mismatch, Rule};

/// A policy to begin with: each key with its reason.
pub const EXAMPLE: &str = include_str!("example.toml");
