//! One rule of a policy: whom and what it is about, how much it allows, and what comes of a call that it matches.

use crate::keys::{GridId, PublicKey};
use crate::policy::price::Priced;
use crate::policy::quota::Quota;
use crate::rate::Asset;
use crate::record::Nickname;
use crate::session::Group;
use crate::units::PricePerGib;

/// A rule. A list that is empty asks for nothing: the rule matches whatever stands there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// What the operator calls it.
    pub name: String,
    /// The grids whose files it is about.
    pub grids: Vec<GridId>,
    /// The clients.
    pub clients: Vec<ClientName>,
    /// The groups of clients.
    pub groups: Vec<Group>,
    /// The assets that are paid in.
    pub assets: Vec<Asset>,
    /// Prices up to which it matches, one for each asset; free is below each of them.
    pub up_to: Vec<Ceiling>,
    /// What comes of it.
    pub action: Action,
    /// What the client is told when it is refused or asked.
    pub message: Option<String>,
    /// How much one client may have under this rule.
    pub client_quotas: Vec<Quota>,
    /// How much a group may have, all its clients together, under this rule.
    pub group_quotas: Vec<Quota>,
    /// How much all clients together may have of one grid; money in what is paid there.
    pub grid_ceilings: Vec<Quota>,
}

/// A client in a rule: by its label, or by its accounting key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientName {
    /// What the operator calls it.
    Label(Nickname),
    /// Its key.
    Key(PublicKey),
}

/// A price in one asset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ceiling {
    /// The asset.
    pub asset: Asset,
    /// Minor units per 2^30 octets.
    pub price: PricePerGib,
}

/// What comes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// It is made.
    Allow,
    /// It is refused.
    Deny,
    /// It is made if the person says so.
    Ask,
}

/// Who asks for what, at which price.
#[derive(Debug, Clone)]
pub struct Call<'c> {
    /// The client's accounting key.
    pub client: &'c PublicKey,
    /// What the operator calls the client.
    pub label: &'c Nickname,
    /// The groups that it is in.
    pub groups: &'c [Group],
    /// The grid whose file it is.
    pub grid: &'c GridId,
    /// What the grid charges.
    pub priced: &'c Priced,
    /// What the client pays for it, in the home's asset.
    pub retail: PricePerGib,
}

/// Why a rule is not about a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mismatch {
    /// Another grid.
    Grid,
    /// Another client.
    Client,
    /// No group of the client's.
    Group,
    /// Another asset.
    Asset(Asset),
    /// Dearer; with the ceiling, if there is one in that asset.
    Price(Option<Ceiling>),
}

impl Rule {
    /// Whether it is about this call: the first thing that differs.
    pub fn mismatch(&self, call: &Call<'_>) -> Option<Mismatch> {
        let named = |name: &ClientName| match name {
            ClientName::Label(label) => label == call.label,
            ClientName::Key(key) => key == call.client,
        };
        let priced = call.priced;
        if !self.grids.is_empty() && !self.grids.contains(call.grid) {
            return Some(Mismatch::Grid);
        }
        if !self.clients.is_empty() && !self.clients.iter().any(named) {
            return Some(Mismatch::Client);
        }
        if !self.groups.is_empty() && self.groups_of(call).next().is_none() {
            return Some(Mismatch::Group);
        }
        if !self.assets.is_empty() && !self.assets.contains(&priced.asset) {
            return Some(Mismatch::Asset(priced.asset));
        }
        if !self.up_to.is_empty() && priced.price.0 != 0 {
            let ceiling = self.up_to.iter().find(|ceiling| ceiling.asset == priced.asset).copied();
            if ceiling.is_none_or(|ceiling| priced.price > ceiling.price) {
                return Some(Mismatch::Price(ceiling));
            }
        }
        None
    }

    /// The groups that the rule and the client share; all of the client's if the rule names none.
    pub fn groups_of<'a>(&'a self, call: &'a Call<'_>) -> impl Iterator<Item = &'a Group> {
        call.groups.iter().filter(|group| self.groups.is_empty() || self.groups.contains(group))
    }
}

impl std::fmt::Display for Mismatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Grid => f.write_str("it is about other grids"),
            Self::Client => f.write_str("it is about other clients"),
            Self::Group => f.write_str("it is about other groups"),
            Self::Asset(asset) => write!(f, "it is about other assets than {asset}"),
            Self::Price(Some(Ceiling { asset, price })) => {
                write!(f, "the price is above its {} {asset}/GiB", asset.decimal(price.0))
            }
            Self::Price(None) => f.write_str("it names no price in that asset"),
        }
    }
}
