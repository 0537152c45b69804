//! The decision: the first rule that matches, and then its quotas. Every step is told, so that `policy check` can show it.

use crate::keys::{GridId, PublicKey};
use crate::policy::file::Policy;
use crate::policy::quota::{Period, Quota, QuotaAmount};
use crate::policy::rule::{Action, Call, Mismatch, Rule};
use crate::rate::Asset;
use crate::session::Group;
use crate::units::{Bytes, MinorUnits, PricePerGib};
use std::fmt;

/// Whose use is counted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Account {
    /// One client's, in the home's asset.
    Client(PublicKey),
    /// A group's, all clients of it together, in the home's asset.
    Group(Group),
    /// Of one other grid, all clients together, in what is paid there.
    Grid(GridId),
}

/// What was used in a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Used {
    /// Octets, those under way included.
    pub bytes: Bytes,
    /// Money, that of what is under way included.
    pub money: MinorUnits,
}

/// Whether the person has said yes to what a rule asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confirmed {
    /// Not asked, or not answered.
    No,
    /// Yes.
    Yes,
}

/// What comes of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is made. At most so much may be fetched before it is asked again; `None`: no quota speaks of it.
    Allowed {
        /// What is left of the quotas.
        remaining: Option<Bytes>,
    },
    /// It is made if the person says yes.
    Asked {
        /// What the person is asked.
        message: String,
    },
    /// It is not made.
    Refused {
        /// What the client is told.
        message: String,
    },
}

/// A decision, and how it was come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// What comes of it.
    pub outcome: Outcome,
    /// The rule that decided; `None`: none matched.
    pub rule: Option<String>,
    /// Each step, in order.
    pub steps: Vec<Step>,
}

/// One step of a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A rule was passed over.
    Passed(String, Mismatch),
    /// A rule matched.
    Matched(String, Action),
    /// A quota of the rule leaves so much; `None`: more than can be fetched.
    Quota {
        /// The quota.
        quota: Quota,
        /// Whose.
        of: Account,
        /// What it leaves.
        left: Option<Bytes>,
    },
    /// No rule matched.
    NoRule,
}

impl Policy {
    /// Decides on `call`; `used` says what an account has used in the period that is now.
    pub fn decide(&self, call: &Call<'_>, confirmed: Confirmed, used: impl Fn(&Account, Period) -> Used) -> Decision {
        let mut steps = Vec::new();
        let Some(rule) = self.rules.iter().find(|rule| match rule.mismatch(call) {
            Some(mismatch) => {
                steps.push(Step::Passed(rule.name.clone(), mismatch));
                false
            }
            None => true,
        }) else {
            steps.push(Step::NoRule);
            let message = "no rule of the policy allows this".to_owned();
            return Decision { outcome: Outcome::Refused { message }, rule: None, steps };
        };
        steps.push(Step::Matched(rule.name.clone(), rule.action));
        let told = |otherwise: String| rule.message.clone().unwrap_or(otherwise);
        let decided = |outcome, steps| Decision { outcome, rule: Some(rule.name.clone()), steps };
        if rule.action == Action::Deny {
            let message = told(format!("the rule `{}` refuses this", rule.name));
            return decided(Outcome::Refused { message }, steps);
        }
        let mut remaining: Option<Bytes> = None;
        for (quota, of, price) in self.limits(rule, call) {
            let left = left(&quota, price, used(&of, quota.period));
            steps.push(Step::Quota { quota, of: of.clone(), left });
            if left == Some(Bytes(0)) {
                let message = format!("{} of {} is used up", quota, Whose(&of));
                return decided(Outcome::Refused { message }, steps);
            }
            remaining = match (remaining, left) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            };
        }
        let outcome = match (rule.action, confirmed) {
            (Action::Ask, Confirmed::No) => {
                Outcome::Asked { message: told(format!("the rule `{}` asks for a yes", rule.name)) }
            }
            _ => Outcome::Allowed { remaining },
        };
        decided(outcome, steps)
    }

    /// The quotas of a rule for a call, whose each is, and what an octet counts there.
    fn limits(&self, rule: &Rule, call: &Call<'_>) -> Vec<(Quota, Account, PricePerGib)> {
        let client = rule.client_quotas.iter().map(|quota| (*quota, Account::Client(*call.client), call.retail));
        let groups = rule.groups_of(call).flat_map(|group| {
            rule.group_quotas.iter().map(move |quota| (*quota, Account::Group(group.clone()), call.retail))
        });
        let paid_in = |quota: &&Quota| match quota.amount {
            QuotaAmount::Money(limit) => limit.asset() == call.priced.asset,
            QuotaAmount::Bytes(_) => true,
        };
        let grid = rule.grid_ceilings.iter().filter(paid_in);
        let grid = grid.map(|quota| (*quota, Account::Grid(*call.grid), call.priced.price));
        client.chain(groups).chain(grid).collect()
    }
}

/// How many octets a quota leaves at a price; `None` if money is limited and nothing is charged.
fn left(quota: &Quota, price: PricePerGib, used: Used) -> Option<Bytes> {
    match quota.amount {
        QuotaAmount::Bytes(limit) => Some(Bytes(limit.0.saturating_sub(used.bytes.0))),
        QuotaAmount::Money(_) if price.0 == 0 => None,
        QuotaAmount::Money(limit) => {
            let money = u128::from(limit.amount().0.saturating_sub(used.money.0));
            // The most octets whose charge, rounded up, is no more than what is left.
            let octets = money * u128::from(Bytes::GIB.0) / u128::from(price.0);
            Some(Bytes(u64::try_from(octets).unwrap_or(u64::MAX)))
        }
    }
}

struct Whose<'a>(&'a Account);

impl fmt::Display for Whose<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Account::Client(_) => f.write_str("the client"),
            Account::Group(group) => write!(f, "the group `{group}`"),
            Account::Grid(grid) => write!(f, "the grid {grid}"),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passed(rule, mismatch) => write!(f, "rule `{rule}`: passed over, {mismatch}"),
            Self::Matched(rule, Action::Allow) => write!(f, "rule `{rule}`: matches and allows"),
            Self::Matched(rule, Action::Deny) => write!(f, "rule `{rule}`: matches and refuses"),
            Self::Matched(rule, Action::Ask) => write!(f, "rule `{rule}`: matches and asks"),
            Self::Quota { quota, of, left: Some(left) } => write!(f, "  {quota} of {}: {left} left", Whose(of)),
            Self::Quota { quota, of, left: None } => write!(f, "  {quota} of {}: nothing is charged", Whose(of)),
            Self::NoRule => f.write_str("no rule matches: refused"),
        }
    }
}

impl Policy {
    /// The asset of a quota of clients or groups, where it counts money in another one than the home's: nobody counts that.
    pub(super) fn foreign_to(home: Option<Asset>, quota: &Quota) -> Option<Asset> {
        match quota.amount {
            QuotaAmount::Money(limit) => Some(limit.asset()).filter(|asset| Some(*asset) != home),
            QuotaAmount::Bytes(_) => None,
        }
    }
}
