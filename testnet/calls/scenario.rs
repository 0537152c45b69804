//! A scenario file of calls: who there is, and steps.

use crate::play::script::{self, ScenarioError, Script, Step, line_of};
use crate::play::{some_span, span};
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::fmt;
use std::time::Duration;
use toml::Spanned;

/// What is to be played.
#[derive(Debug)]
pub(crate) struct Calls {
    /// What chance begins with: the same clients read the same files each time.
    pub(crate) seed: u64,
    pub(crate) cast: CallCast,
    pub(crate) script: Script<CallDeed>,
}

/// Who there is.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct CallCast {
    /// How many grids, each with a node, a gateway and files. The first one's node clears for all.
    pub(crate) grids: usize,
    /// How many clients; grid by grid, one after the other.
    pub(crate) clients: usize,
    /// What a GiB costs at each grid, in turn.
    pub(crate) prices: Vec<String>,
    /// For how long those are promised.
    #[serde(deserialize_with = "span")]
    pub(crate) promised: Duration,
    /// Pairs of a reading grid and another one that its clients read from only where a step says so.
    #[serde(default)]
    pub(crate) apart: Vec<(usize, usize)>,
}

/// What a step does.
#[derive(Debug, Clone)]
pub(crate) enum CallDeed {
    Read(Reads),
    Advance(Duration),
    Settle(Settle),
    Terms(HandTerms),
    Pay(Debt),
    RaisePrice(RaisePrice),
    KeepPromise(usize),
    Dearer(Dearer),
    OverClaimed(OverClaimed),
    Reconnected(Reconnected),
    CreditRefused(CreditRefused),
    Overdue(Debt),
    Books(Books),
}

/// Clients read from other grids, files by chance.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Reads {
    /// How often in all.
    pub(crate) reads: usize,
    /// Clients of this grid alone.
    #[serde(default)]
    pub(crate) home: Option<usize>,
    /// From this grid alone.
    #[serde(default)]
    pub(crate) at: Option<usize>,
    /// What is killed meanwhile, in the middle of a transfer, and started again.
    #[serde(default)]
    pub(crate) crash: Vec<Part>,
}

/// Who may be killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Part {
    /// The process of a reader.
    Client,
    /// The gateway of its grid.
    Home,
    /// The gateway of the file's grid.
    Foreign,
    /// The node that clears, while claims come in.
    Clearing,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Client => "a client",
            Self::Home => "its home",
            Self::Foreign => "a foreign gateway",
            Self::Clearing => "the clearing node",
        })
    }
}

/// All claim what they are owed, and all that is payable is paid.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Settle {
    /// Pairs of a debtor and a creditor that has to wait.
    #[serde(default)]
    pub(crate) unpaid: Vec<(usize, usize)>,
}

/// Two grids agree on terms by hand.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct HandTerms {
    pub(crate) payer: usize,
    pub(crate) payee: usize,
    /// Such as `0.05 USD`.
    pub(crate) credit: String,
    /// What may be delivered and not vouched for, in MiB.
    #[serde(default = "usual_window")]
    pub(crate) window_mib: u64,
    /// How often is settled: in days, hours.
    #[serde(default = "a_week")]
    pub(crate) settle: String,
}

fn usual_window() -> u64 {
    64
}

fn a_week() -> String {
    "7d".to_owned()
}

/// What one grid owes another.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Debt {
    pub(crate) debtor: usize,
    pub(crate) creditor: usize,
}

/// A grid publishes and asks for another price than the one that it has promised.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct RaisePrice {
    pub(crate) grid: usize,
    /// For a GiB, such as `20 USD`.
    pub(crate) price: String,
}

/// Everybody is shown the proof, and nobody pays.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Dearer {
    pub(crate) grid: usize,
}

/// A grid claims more than was vouched for, in several ways, and each is refused by its number.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct OverClaimed {
    pub(crate) grid: usize,
}

/// A grid takes what it can get from another one and vouches for nothing, on one connection after the other, until it gets nothing
/// more: no more than its window and what is written off in a day.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Reconnected {
    pub(crate) payer: usize,
    pub(crate) payee: usize,
    /// The window of their terms, in MiB.
    pub(crate) window_mib: u64,
}

/// Clients of a grid that does not pay read from another one until its credit there is used up.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct CreditRefused {
    pub(crate) payer: usize,
    pub(crate) payee: usize,
    /// The credit of their terms.
    pub(crate) credit: String,
}

/// The books of all who took part agree, and every octet is billed once.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Books {}

/// The file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Written {
    about: String,
    #[serde(deserialize_with = "span")]
    within: Duration,
    #[serde(default)]
    seed: u64,
    calls: Spanned<CallCast>,
    #[serde(rename = "step")]
    steps: Vec<Spanned<WrittenStep>>,
}

/// A step: of all but `say`, exactly one stands in it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct WrittenStep {
    say: Option<String>,
    read: Option<Reads>,
    #[serde(default, deserialize_with = "some_span")]
    advance: Option<Duration>,
    settle: Option<Settle>,
    terms: Option<HandTerms>,
    pay: Option<Debt>,
    raise_price: Option<RaisePrice>,
    keep_promise: Option<usize>,
    dearer: Option<Dearer>,
    over_claimed: Option<OverClaimed>,
    reconnected: Option<Reconnected>,
    credit_refused: Option<CreditRefused>,
    overdue: Option<Debt>,
    books: Option<Books>,
}

impl WrittenStep {
    fn deeds(self) -> (Option<String>, Vec<CallDeed>) {
        let deeds = [
            self.read.map(CallDeed::Read),
            self.advance.map(CallDeed::Advance),
            self.settle.map(CallDeed::Settle),
            self.terms.map(CallDeed::Terms),
            self.pay.map(CallDeed::Pay),
            self.raise_price.map(CallDeed::RaisePrice),
            self.keep_promise.map(CallDeed::KeepPromise),
            self.dearer.map(CallDeed::Dearer),
            self.over_claimed.map(CallDeed::OverClaimed),
            self.reconnected.map(CallDeed::Reconnected),
            self.credit_refused.map(CallDeed::CreditRefused),
            self.overdue.map(CallDeed::Overdue),
            self.books.map(CallDeed::Books),
        ];
        (self.say, deeds.into_iter().flatten().collect())
    }
}

#[derive(Deserialize)]
struct Peek {
    calls: Option<IgnoredAny>,
}

impl Calls {
    /// Whether a file is of this kind: the other one has `network` where this has `calls`.
    pub(crate) fn is_one(text: &str) -> bool {
        toml::from_str(text).is_ok_and(|peek: Peek| peek.calls.is_some())
    }

    /// Has every step that reads read so often, and those that read something certain no more often than they say.
    pub(crate) fn read_so_often(&mut self, reads: usize) {
        for step in &mut self.script.steps {
            if let CallDeed::Read(deed) = &mut step.deed {
                deed.reads = if deed.at.is_some() { deed.reads.min(reads) } else { reads };
            }
        }
    }
}

impl CallDeed {
    /// Whether something is expected, and nothing done.
    pub(crate) fn is_expectation(&self) -> bool {
        matches!(
            self,
            Self::Dearer(_)
                | Self::OverClaimed(_)
                | Self::Reconnected(_)
                | Self::CreditRefused(_)
                | Self::Overdue(_)
                | Self::Books(_)
        )
    }

    /// The grids that it names by number.
    fn grids(&self) -> Vec<usize> {
        match self {
            Self::Read(reads) => reads.home.into_iter().chain(reads.at).collect(),
            Self::Settle(settle) => settle.unpaid.iter().flat_map(|(debtor, creditor)| [*debtor, *creditor]).collect(),
            Self::Terms(HandTerms { payer, payee, .. })
            | Self::Reconnected(Reconnected { payer, payee, .. })
            | Self::CreditRefused(CreditRefused { payer, payee, .. }) => vec![*payer, *payee],
            Self::Pay(debt) | Self::Overdue(debt) => vec![debt.debtor, debt.creditor],
            Self::RaisePrice(RaisePrice { grid, .. })
            | Self::KeepPromise(grid)
            | Self::Dearer(Dearer { grid })
            | Self::OverClaimed(OverClaimed { grid }) => vec![*grid],
            Self::Advance(_) | Self::Books(_) => Vec::new(),
        }
    }
}

impl std::str::FromStr for Calls {
    type Err = ScenarioError;

    fn from_str(text: &str) -> Result<Self, ScenarioError> {
        let written: Written = script::read(text)?;
        let wrong = |line, message: String| Err(ScenarioError::at(line, message));
        let cast_line = line_of(text, written.calls.span().start);
        let cast = written.calls.into_inner();
        if cast.grids < 2 || cast.clients == 0 || cast.prices.is_empty() {
            return wrong(cast_line, "`calls`: at least two grids, one client and one price".to_owned());
        }
        let mut steps = Vec::new();
        for step in written.steps {
            let line = line_of(text, step.span().start);
            let (say, deeds) = step.into_inner().deeds();
            let deed = script::only(deeds, line)?;
            if let Some(grid) = deed.grids().into_iter().find(|grid| *grid >= cast.grids) {
                return wrong(line, format!("there is no grid {grid}: the last one is {}", cast.grids - 1));
            }
            steps.push(Step { line, say, deed });
        }
        let script = Script { about: written.about, within: written.within, steps };
        let script = script.expecting(CallDeed::is_expectation)?;
        Ok(Self { seed: written.seed, cast, script })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str =
        "about = \"x\"\nwithin = \"1min\"\n[calls]\ngrids = 3\nclients = 2\nprices = [\"5 USD\"]\npromised = \"9d\"\n";

    fn parse(steps: &str) -> Result<Calls, String> {
        format!("{HEAD}{steps}").parse::<Calls>().map_err(|error| error.to_string())
    }

    #[test]
    fn steps_read_settle_and_expect() {
        let text = "[[step]]\nread = { reads = 9, crash = [\"home\", \"clearing\"] }\n[[step]]\nread = { reads = 3, at = 1 }\n\
                    [[step]]\nbooks = {}\n";
        let mut calls = parse(text).unwrap();
        assert!(Calls::is_one(HEAD) && !Calls::is_one("[network]\nnodes = 2\n"));
        calls.read_so_often(5);
        let reads = |step: usize| match &calls.script.steps[step].deed {
            CallDeed::Read(reads) => (reads.reads, reads.crash.clone()),
            other => panic!("{other:?}"),
        };
        assert_eq!(reads(0), (5, vec![Part::Home, Part::Clearing]));
        assert_eq!(reads(1), (3, vec![]), "as few as it says");
        assert!(calls.script.steps[2].deed.is_expectation() && !calls.script.steps[0].deed.is_expectation());
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_its_line() {
        let expectation = "[[step]]\nbooks = {}\n";
        for (steps, said) in [
            ("[[step]]\nsay = \"s\"\n", "line 8: a step that does and expects nothing"),
            ("[[step]]\nadvance = \"1d\"\nkeep-promise = 1\n", "line 8: more than one thing in a step"),
            ("[[step]]\nread = { reads = 1, at = 3 }\n", "line 8: there is no grid 3: the last one is 2"),
            ("[[step]]\nread = { reads = 1, crash = [\"cat\"] }\n", "line 9: unknown variant `cat`"),
            ("[[step]]\nrede = { reads = 1 }\n", "line 9: unknown field `rede`"),
        ] {
            let error = parse(&format!("{steps}{expectation}")).unwrap_err();
            assert!(error.starts_with(said), "{error}");
        }
        assert!(parse("[[step]]\nadvance = \"1d\"\n").unwrap_err().starts_with("line 1: nothing is expected"));
    }
}
