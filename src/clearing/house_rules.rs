//! The grid manager's rules as the file beside the settings says them now, asked before a client is served what lies abroad.

use crate::clearing::fresh_records::FreshRecords;
use crate::clock::Clock;
use crate::config::read_at_most;
use crate::keys::{GridId, PublicKey, SecretKey};
use crate::ledger::{Ledger, LedgerError, Part, UsageLine};
use crate::members::Members;
use crate::policy::{
    Account, Call, Confirmed, Decision, MAX_POLICY_BYTES, NoRetail, Outcome, Period, Policy, PolicyError, Priced, Step,
    Unpriced, Used, priced,
};
use crate::rate::Asset;
use crate::record::Nickname;
use crate::resolver::{Answer, ResolveError};
use crate::session::{Group, Membership};
use crate::tariff::wire::{Deck, WireError};
use crate::units::{Bytes, MinorUnits, PricePerGib, Seconds, UnixSeconds};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;
use tracing::warn;

/// The rules of a grid for its own clients. Cheap to clone.
#[derive(Debug, Clone)]
pub struct HouseRules(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    grid: GridId,
    fresh: FreshRecords,
    ledger: Ledger,
    members: Members,
    clock: Clock,
    /// What the file was read as last.
    read: Mutex<Option<AsRead>>,
}

/// A state of the file, and what stood in it.
type AsRead = (Version, Result<Arc<Policy>, PolicyFault>);

/// Which state of the file it is: none, or when it was changed and how long it is.
pub type Version = Option<(SystemTime, u64)>;

/// Why there is no policy to decide by. What cannot be read allows nothing.
#[derive(Debug, Clone, thiserror::Error)]
pub enum PolicyFault {
    /// The file cannot be read.
    #[error("the policy file cannot be read: {0}")]
    File(String),
    /// The file is no policy.
    #[error("the policy file: {0}")]
    Policy(PolicyError),
}

/// Why nothing is decided.
#[derive(Debug, thiserror::Error)]
pub enum RuleError {
    /// No rules.
    #[error(transparent)]
    Fault(#[from] PolicyFault),
    /// The grid's record is not found.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// It has no price.
    #[error(transparent)]
    Unpriced(#[from] Unpriced),
    /// There is none for clients.
    #[error(transparent)]
    NoRetail(#[from] NoRetail),
    /// What was used cannot be read.
    #[error(transparent)]
    Books(#[from] LedgerError),
    /// The price cannot be signed.
    #[error(transparent)]
    Wire(#[from] WireError),
}

/// What comes of a call, and at what price.
#[derive(Debug, Clone)]
pub struct Ruled {
    /// The decision by what the books say was used, rule by rule.
    pub decision: Decision,
    /// What comes of it with what is under way counted too.
    pub for_now: Outcome,
    /// What the grid abroad asks.
    pub abroad: Priced,
    /// What the client pays.
    pub retail: PricePerGib,
    /// The state of the file that was decided by.
    pub version: Version,
    policy: Arc<Policy>,
}

impl HouseRules {
    /// The rules in the file at `path`, for these clients.
    pub fn new(path: PathBuf, members: Members, fresh: FreshRecords, ledger: Ledger, clock: Clock) -> Self {
        let grid = *members.grid();
        Self(Arc::new(Inner { path, grid, fresh, ledger, members, clock, read: Mutex::default() }))
    }

    /// Which state the file is in.
    pub fn version(&self) -> Version {
        let metadata = fs::metadata(&self.0.path).ok()?;
        Some((metadata.modified().ok()?, metadata.len()))
    }

    /// The policy as the file says it now; where there is no file, what is free and nothing else.
    pub fn policy(&self) -> Result<Arc<Policy>, PolicyFault> {
        let version = self.version();
        let mut read = self.0.read.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, policy)) = &*read
            && *known == version
        {
            return policy.clone();
        }
        let policy = match version {
            None => Ok(Arc::new(Policy::free_only())),
            Some(_) => policy_at(&self.0.path),
        };
        if let Err(error) = &policy {
            warn!(%error, "clients are served nothing of other grids until it is mended");
        }
        *read = Some((version, policy.clone()));
        policy
    }

    /// What comes of a call of `client` to `grid`. `under_way` says what is read now and stands in no books yet.
    pub async fn decide(
        &self,
        client: &Asker,
        grid: &GridId,
        confirmed: Confirmed,
        under_way: impl FnOnce() -> Vec<UsageLine>,
    ) -> Result<Ruled, RuleError> {
        let (version, policy) = (self.version(), self.policy()?);
        let now = self.0.clock.now();
        let answer = self.0.fresh.of(grid).await?;
        // In this order: what comes into the books meanwhile is counted twice, and never not at all.
        let under_way = under_way();
        let used = self.0.ledger.usage_totals(Period::Month.began(now), now.plus(Seconds(1))).await?;
        let members = self.0.members.clients(now);
        let (home, used, under_way) = (self.0.grid, &used, &under_way);
        let case = Case { home, client, members: &members, grid, answer: &answer, used, under_way, now };
        case.ruled(policy, version, confirmed)
    }
}

/// The policy in the file at `path`; where there is none, what is free and nothing else.
pub fn read_policy(path: &Path) -> Result<Arc<Policy>, PolicyFault> {
    if path.exists() { policy_at(path) } else { Ok(Arc::new(Policy::free_only())) }
}

fn policy_at(path: &Path) -> Result<Arc<Policy>, PolicyFault> {
    let bytes = read_at_most(path, MAX_POLICY_BYTES).map_err(|error| PolicyFault::File(error.to_string()))?;
    let text = String::from_utf8(bytes).map_err(|_| PolicyFault::File("it is not UTF-8".to_owned()))?;
    Ok(Arc::new(text.parse::<Policy>().map_err(PolicyFault::Policy)?))
}

/// Who asks.
#[derive(Debug, Clone)]
pub struct Asker {
    /// Its accounting key.
    pub key: PublicKey,
    /// What the operator calls it.
    pub label: Nickname,
    /// The groups that it is in.
    pub groups: Vec<Group>,
}

impl From<&Membership> for Asker {
    fn from(membership: &Membership) -> Self {
        let draft = membership.draft();
        Self { key: *membership.key(), label: membership.label().clone(), groups: draft.groups.clone() }
    }
}

/// All that a decision is made from.
#[derive(Debug)]
pub struct Case<'c> {
    /// The grid whose rules they are.
    pub home: GridId,
    /// Who asks.
    pub client: &'c Asker,
    /// All clients, for what groups have used.
    pub members: &'c [Arc<Membership>],
    /// The grid whose file it is.
    pub grid: &'c GridId,
    /// Its record.
    pub answer: &'c Answer,
    /// What was read in the month that is now.
    pub used: &'c [UsageLine],
    /// What is being read and is not among that yet.
    pub under_way: &'c [UsageLine],
    /// When.
    pub now: UnixSeconds,
}

impl Case<'_> {
    /// What comes of it by `policy`, which is the file in state `version`.
    pub fn ruled(&self, policy: Arc<Policy>, version: Version, confirmed: Confirmed) -> Result<Ruled, RuleError> {
        let abroad = priced(&self.answer.record, &self.answer.evidence, policy.retail.as_ref(), self.now)?;
        let retail = match &policy.retail {
            Some(retail) => retail.price(abroad.asset, abroad.price)?,
            None => PricePerGib(0),
        };
        let call = Call {
            client: &self.client.key,
            label: &self.client.label,
            groups: &self.client.groups,
            grid: self.grid,
            priced: &abroad,
            retail,
        };
        let home = policy.retail.as_ref().map(|retail| retail.asset);
        let used = |lines: [&[UsageLine]; 2], account: &Account, period: Period| {
            let began = period.began(self.now);
            let counts = |line: &UsageLine| match account {
                Account::Grid(_) => line.asset == abroad.asset,
                Account::Client(_) | Account::Group(_) => Some(line.asset) == home,
            };
            let mut used = Used::default();
            for line in lines.into_iter().flatten().filter(|line| line.day >= began && self.is_of(account, line)) {
                used.bytes = Bytes(used.bytes.0.saturating_add(line.bytes.0));
                if counts(line) {
                    used.money = MinorUnits(used.money.0.saturating_add(line.amount.0));
                }
            }
            used
        };
        let of_books = |account: &Account, period| used([self.used, &[]], account, period);
        let of_all = |account: &Account, period| used([self.used, self.under_way], account, period);
        let decision = policy.decide(&call, confirmed, of_books);
        let for_now = policy.decide(&call, confirmed, of_all).outcome;
        Ok(Ruled { decision, for_now, abroad, retail, version, policy })
    }

    /// Whether a line of the books counts for an account. Of a group all that its present members read counts.
    fn is_of(&self, account: &Account, line: &UsageLine) -> bool {
        let retail = line.part == Part::Payee && line.grid != self.home;
        match account {
            Account::Client(key) => retail && line.party == *key,
            Account::Group(group) => {
                let is_in =
                    |member: &Arc<Membership>| *member.key() == line.party && member.draft().groups.contains(group);
                retail && self.members.iter().any(is_in)
            }
            Account::Grid(grid) => line.part == Part::Payer && line.party == *grid.key(),
        }
    }
}

impl Ruled {
    /// The signed price for `client`, where it pays anything.
    pub fn deck(
        &self,
        rules: &HouseRules,
        client: &PublicKey,
        grid: &GridId,
        key: &SecretKey,
    ) -> Result<Option<Deck>, RuleError> {
        let Some(retail) = self.policy.retail.as_ref().filter(|_| self.retail.0 > 0) else { return Ok(None) };
        let now = rules.0.clock.now();
        let body = retail.deck(rules.0.grid, key.public(), Some(*client), *grid, &self.abroad, now)?;
        Ok(Some(Deck::sign(&body, key)?))
    }

    /// What the books will say of so many octets that `client` reads of `grid`: what the client pays, and what is paid abroad.
    pub fn lines(&self, client: &PublicKey, grid: &GridId, bytes: Bytes, now: UnixSeconds) -> [UsageLine; 2] {
        let day = Period::Day.began(now);
        let line = |part, party, asset, price: PricePerGib| {
            let amount = price.charge(bytes).unwrap_or(MinorUnits::MAX);
            UsageLine { day, part, party, grid: *grid, client: None, file: None, asset, bytes, amount }
        };
        let asset =
            self.policy.retail.as_ref().filter(|_| self.retail.0 > 0).map_or(Asset::FREE, |retail| retail.asset);
        let abroad = line(Part::Payer, *grid.key(), self.abroad.asset, self.abroad.price);
        [line(Part::Payee, *client, asset, self.retail), abroad]
    }

    /// The steps, for a person.
    pub fn steps(&self) -> Vec<String> {
        self.decision.steps.iter().map(Step::to_string).collect()
    }
}

#[cfg(test)]
impl Ruled {
    /// Allowed, at one minor unit of US dollars for each octet, to the client and abroad.
    pub(crate) fn at_a_unit_for_each_octet() -> Self {
        let asset = Asset::from_code("USD").expect("an asset");
        let price = PricePerGib(Bytes::GIB.0);
        let outcome = Outcome::Allowed { remaining: None };
        let retail = crate::policy::Retail { asset, conversions: Vec::new(), markup: crate::policy::Markup(0) };
        Self {
            decision: Decision { outcome: outcome.clone(), rule: None, steps: Vec::new() },
            for_now: outcome,
            abroad: Priced { asset, price, until: UnixSeconds::MAX, record: crate::signed::Identity([0; 32]) },
            retail: price,
            version: None,
            policy: Arc::new(Policy { retail: Some(retail), ..Policy::free_only() }),
        }
    }
}
