//! A scenario file: a network, and steps that are taken one after the other. `testnet/scenarios/README.md` explains it.

use crate::play::script::{self, ScenarioError, Script, Step, line_of};
use lafs_clearinghouse::resolver::Policy;
use lafs_clearinghouse::units::parse_span;
use serde::{Deserialize, Deserializer};
use std::fmt;
use std::time::Duration;
use toml::Spanned;

/// The longest file read: the largest of ours takes a tenth of it.
pub(crate) const MAX_SCENARIO_BYTES: usize = 64 * 1024;

/// What is to be played.
#[derive(Debug)]
pub(crate) struct Scenario {
    /// What chance begins with: the same nodes die each time.
    pub(crate) seed: u64,
    pub(crate) network: Network,
    pub(crate) script: Script<Deed>,
}

/// The network that is raised first.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Network {
    /// How many honest nodes.
    pub(crate) nodes: usize,
    /// How many of them speak for a grid: the first ones.
    pub(crate) grids: usize,
    /// How many liars there are beside them, of each kind in turn.
    #[serde(default)]
    pub(crate) liars: usize,
    /// How many nodes join later, by `join`.
    #[serde(default)]
    pub(crate) later: usize,
    /// Up to how many servers each holds every record.
    #[serde(default = "default_limit")]
    pub(crate) whole_network_limit: usize,
    /// The round-trip time between any two nodes.
    #[serde(default, deserialize_with = "span")]
    pub(crate) rtt: Duration,
    /// The grid whose record a publisher key signs, by permission of the grid key.
    #[serde(default)]
    pub(crate) delegated: Option<usize>,
    /// By how many honest nodes each record must be held before the first step.
    #[serde(default)]
    pub(crate) settled: By,
}

fn default_limit() -> usize {
    lafs_clearinghouse::config::DEFAULT_WHOLE_NETWORK_LIMIT
}

/// What a step does.
#[derive(Debug)]
pub(crate) enum Deed {
    Kill(String),
    Start(String),
    Pause(String),
    Resume(String),
    Partition(Vec<String>),
    Heal,
    Advance(Duration),
    Publish(String),
    Join(usize),
    Steal(usize),
    Revoke(usize),
    Promise(Promise),
    BreakPromise(Promise),
    Flood(Flood),
    Resolves(Resolves),
    Held(Held),
    Evidence(Proof),
    Refused(Refused),
    KeysHeld(KeysHeld),
    LiesTold(LiesTold),
    Admitted(Admitted),
}

/// What a grid promises, or asks in spite of it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Promise {
    /// Which grid.
    pub(crate) grid: usize,
    /// The price for a GiB, such as `0.02 USD`.
    pub(crate) price: String,
    /// For how long it is promised; nothing is, without it.
    #[serde(default, rename = "for", deserialize_with = "some_span")]
    pub(crate) lasting: Option<Duration>,
}

/// New keys, as many as there is time for, from one /24.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Flood {
    /// How many records of as many grids are signed and sent.
    pub(crate) keys: usize,
    /// From how many addresses of the network they are sent.
    pub(crate) peers: usize,
    /// One in so many is sent by kad's PUT, the others by our own protocol.
    #[serde(default = "default_kad_share")]
    pub(crate) one_in_so_many_by_kad: usize,
}

fn default_kad_share() -> usize {
    4
}

/// Who is asked, about whose records, and what the answers must be.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Resolves {
    /// Which grids' records: all of which a living honest node holds one, or those that these nodes speak for.
    #[serde(default = "held")]
    pub(crate) grids: String,
    /// The nodes that ask.
    #[serde(default)]
    pub(crate) nodes: Option<String>,
    /// How many clients ask that have never asked before.
    #[serde(default)]
    pub(crate) clients: usize,
    /// A client that asks and remembers what it was told the last time.
    #[serde(default)]
    pub(crate) client: Option<String>,
    #[serde(default = "fast", deserialize_with = "policy")]
    pub(crate) policy: Policy,
    /// How long each answer may take.
    #[serde(default = "ten_seconds", deserialize_with = "span")]
    pub(crate) deadline: Duration,
    /// How much of it must be answered. Wrong answers are never tolerated.
    #[serde(default, rename = "at-least")]
    pub(crate) at_least: Share,
    #[serde(default)]
    pub(crate) record: Wanted,
    /// For how long it is tried again before it is broken; not at all without it.
    #[serde(default, deserialize_with = "span")]
    pub(crate) within: Duration,
}

fn held() -> String {
    "held".to_owned()
}

fn fast() -> Policy {
    Policy::Fast
}

fn ten_seconds() -> Duration {
    Duration::from_secs(10)
}

/// Which record is a right answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Wanted {
    /// The newest that the grid has signed.
    #[default]
    Newest,
    /// Any that the grid has signed and that is current.
    Honest,
}

/// Who must hold the newest records.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Held {
    /// As for `resolves`.
    #[serde(default = "held")]
    pub(crate) grids: String,
    /// By how many living honest nodes.
    #[serde(default)]
    pub(crate) by: By,
    /// Whether these nodes must be among them.
    #[serde(default)]
    pub(crate) nodes: Option<String>,
    /// How many living honest nodes may hold an older record.
    #[serde(default)]
    pub(crate) stale_at_most: Option<usize>,
    /// How long it may take to become true.
    #[serde(default = "ten_seconds", deserialize_with = "span")]
    pub(crate) within: Duration,
}

/// Who must show the evidence of a broken promise beside the record.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Proof {
    pub(crate) grid: usize,
    #[serde(default)]
    pub(crate) nodes: Option<String>,
    #[serde(default)]
    pub(crate) clients: usize,
    #[serde(default = "fast", deserialize_with = "policy")]
    pub(crate) policy: Policy,
    #[serde(default = "ten_seconds", deserialize_with = "span")]
    pub(crate) within: Duration,
}

/// The thief's newest record is refused by every living honest node.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Refused {
    pub(crate) grid: usize,
    #[serde(default = "ten_seconds", deserialize_with = "span")]
    pub(crate) within: Duration,
}

/// How many records honest nodes may hold that are not of this network's grids.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct KeysHeld {
    /// In the fullest book, for each honest node of the network.
    pub(crate) at_most_for_each_node: usize,
    /// And no more than so many in any case.
    pub(crate) at_most: usize,
    /// How much memory the whole process may have taken since the network was raised, in MiB.
    #[serde(default)]
    pub(crate) memory_mib_at_most: Option<u64>,
}

/// Records of new grids, brought from a network that has brought none before, are stored by every living honest node.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Admitted {
    pub(crate) keys: usize,
}

/// Each kind of liar was asked and has lied at least so often.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct LiesTold {
    pub(crate) each_at_least: u64,
    #[serde(default = "ten_seconds", deserialize_with = "span")]
    pub(crate) within: Duration,
}

/// A number of holders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum By {
    /// All living honest nodes while the network is held whole, else twenty, or all if they are fewer.
    #[default]
    Everyone,
    /// So many in any case.
    Nodes(usize),
}

impl<'de> Deserialize<'de> for By {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Number(usize),
            Word(String),
        }
        match Written::deserialize(deserializer)? {
            Written::Number(nodes) => Ok(Self::Nodes(nodes)),
            Written::Word(word) if word == "everyone" => Ok(Self::Everyone),
            Written::Word(word) => Err(serde::de::Error::custom(format!("`{word}`: write `everyone` or a number"))),
        }
    }
}

/// A share in thousandths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Share(u32);

impl Default for Share {
    fn default() -> Self {
        Self(1_000)
    }
}

impl Share {
    /// Whether `part` of `whole` is at least this share.
    pub(crate) fn is_reached(self, part: usize, whole: usize) -> bool {
        part as u64 * 1_000 >= u64::from(self.0) * whole as u64
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 % 10 {
            0 => write!(f, "{} %", self.0 / 10),
            tenths => write!(f, "{}.{tenths} %", self.0 / 10),
        }
    }
}

impl<'de> Deserialize<'de> for Share {
    /// `99.5%`.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let share = text.strip_suffix('%').and_then(|number| {
            let (whole, tenths) = number.trim().split_once('.').unwrap_or((number.trim(), "0"));
            let tenths = Some(tenths).filter(|tenths| tenths.len() == 1)?.parse::<u32>().ok()?;
            whole.parse::<u32>().ok().filter(|whole| *whole <= 100).map(|whole| whole * 10 + tenths)
        });
        let share = share.filter(|share| *share <= 1_000).map(Self);
        share.ok_or_else(|| serde::de::Error::custom(format!("`{text}` is no share: write 100% or 99.5%")))
    }
}

pub(crate) fn span<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    parse_span(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}

pub(crate) fn some_span<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    span(deserializer).map(Some)
}

fn policy<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Policy, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
}

/// The file as it is written: what stands in a step is sorted out afterwards.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Written {
    about: String,
    #[serde(deserialize_with = "span")]
    within: Duration,
    #[serde(default)]
    seed: u64,
    network: Spanned<Network>,
    #[serde(rename = "step")]
    steps: Vec<Spanned<WrittenStep>>,
}

/// A step: of all but `say`, exactly one stands in it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct WrittenStep {
    say: Option<String>,
    kill: Option<String>,
    start: Option<String>,
    pause: Option<String>,
    resume: Option<String>,
    partition: Option<Vec<String>>,
    heal: Option<True>,
    #[serde(default, deserialize_with = "some_span")]
    advance: Option<Duration>,
    publish: Option<String>,
    join: Option<usize>,
    steal: Option<usize>,
    revoke: Option<usize>,
    promise: Option<Promise>,
    break_promise: Option<Promise>,
    flood: Option<Flood>,
    resolves: Option<Resolves>,
    held: Option<Held>,
    evidence: Option<Proof>,
    refused: Option<Refused>,
    keys_held: Option<KeysHeld>,
    lies_told: Option<LiesTold>,
    admitted: Option<Admitted>,
}

/// `true`, and nothing else: a step that is not taken is left out.
struct True;

impl<'de> Deserialize<'de> for True {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if bool::deserialize(deserializer)? { Ok(Self) } else { Err(serde::de::Error::custom("leave the step out")) }
    }
}

impl WrittenStep {
    fn deeds(self) -> (Option<String>, Vec<Deed>) {
        let deeds = [
            self.kill.map(Deed::Kill),
            self.start.map(Deed::Start),
            self.pause.map(Deed::Pause),
            self.resume.map(Deed::Resume),
            self.partition.map(Deed::Partition),
            self.heal.map(|True| Deed::Heal),
            self.advance.map(Deed::Advance),
            self.publish.map(Deed::Publish),
            self.join.map(Deed::Join),
            self.steal.map(Deed::Steal),
            self.revoke.map(Deed::Revoke),
            self.promise.map(Deed::Promise),
            self.break_promise.map(Deed::BreakPromise),
            self.flood.map(Deed::Flood),
            self.resolves.map(Deed::Resolves),
            self.held.map(Deed::Held),
            self.evidence.map(Deed::Evidence),
            self.refused.map(Deed::Refused),
            self.keys_held.map(Deed::KeysHeld),
            self.lies_told.map(Deed::LiesTold),
            self.admitted.map(Deed::Admitted),
        ];
        (self.say, deeds.into_iter().flatten().collect())
    }
}

impl Deed {
    /// Whether something is expected, and nothing done.
    pub(crate) fn is_expectation(&self) -> bool {
        matches!(
            self,
            Self::Resolves(_)
                | Self::Held(_)
                | Self::Evidence(_)
                | Self::Refused(_)
                | Self::KeysHeld(_)
                | Self::LiesTold(_)
                | Self::Admitted(_)
        )
    }

    /// The grid that it names by number.
    fn grid(&self) -> Option<usize> {
        match self {
            Self::Steal(grid) | Self::Revoke(grid) => Some(*grid),
            Self::Promise(promise) | Self::BreakPromise(promise) => Some(promise.grid),
            Self::Evidence(proof) => Some(proof.grid),
            Self::Refused(refused) => Some(refused.grid),
            _ => None,
        }
    }
}

impl std::str::FromStr for Scenario {
    type Err = ScenarioError;

    fn from_str(text: &str) -> Result<Self, ScenarioError> {
        let written: Written = script::read(text)?;
        let network_line = line_of(text, written.network.span().start);
        let network = written.network.into_inner();
        let wrong = |line, message: String| Err(ScenarioError::at(line, message));
        if network.nodes == 0 || network.grids == 0 || network.grids > network.nodes {
            let message = "`network`: at least one grid, and a node for each".to_owned();
            return wrong(network_line, message);
        }
        if network.delegated.is_some_and(|grid| grid >= network.grids) {
            return wrong(network_line, format!("`delegated`: the last grid is {}", network.grids - 1));
        }
        let mut steps = Vec::new();
        let mut joining = 0;
        for step in written.steps {
            let line = line_of(text, step.span().start);
            let (say, deeds) = step.into_inner().deeds();
            let deed = script::only(deeds, line)?;
            if let Some(grid) = deed.grid().filter(|grid| *grid >= network.grids) {
                return wrong(line, format!("there is no grid {grid}: the last one is {}", network.grids - 1));
            }
            if let Deed::Steal(grid) | Deed::Revoke(grid) = &deed
                && network.delegated != Some(*grid)
            {
                return wrong(line, format!("grid {grid} has no publisher key to steal: `delegated` in `network`"));
            }
            if let Deed::Join(nodes) = &deed {
                joining += nodes;
            }
            steps.push(Step { line, say, deed });
        }
        if joining > network.later {
            return wrong(
                network_line,
                format!("{joining} nodes join, and `later` in `network` has {}", network.later),
            );
        }
        let script = Script { about: written.about, within: written.within, steps };
        let script = script.expecting(Deed::is_expectation)?;
        Ok(Self { seed: written.seed, network, script })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "about = \"x\"\nwithin = \"1min\"\n[network]\nnodes = 4\ngrids = 2\n";

    fn parse(steps: &str) -> Result<Scenario, String> {
        format!("{HEAD}{steps}").parse::<Scenario>().map_err(|error| error.to_string())
    }

    #[test]
    fn a_step_is_an_act_or_an_expectation() {
        let scenario = parse(
            "[[step]]\nkill = \"50%\"\n[[step]]\nsay = \"s\"\nresolves = { nodes = \"alive\", at-least = \"99.5%\" }\n",
        );
        let scenario = scenario.unwrap();
        assert!(matches!(&scenario.script.steps[0].deed, Deed::Kill(nodes) if nodes == "50%"));
        let Deed::Resolves(resolves) = &scenario.script.steps[1].deed else { panic!("{:?}", scenario.script.steps) };
        assert_eq!((resolves.clients, resolves.policy, resolves.record), (0, Policy::Fast, Wanted::Newest));
        assert_eq!(resolves.at_least.to_string(), "99.5 %");
        assert!(resolves.at_least.is_reached(995, 1_000) && !resolves.at_least.is_reached(994, 1_000));
        assert_eq!((scenario.script.steps[0].line, scenario.script.steps[1].line), (6, 8));
    }

    #[test]
    fn what_is_not_known_is_refused_with_its_line() {
        let error = parse("[[step]]\nkil = \"50%\"\n").unwrap_err();
        assert!(error.starts_with("line 7: unknown field `kil`"), "{error}");
        let error = parse("[[step]]\nresolves = { node = \"all\" }\n").unwrap_err();
        assert!(error.starts_with("line 7: unknown field `node`"), "{error}");
        let error = format!("x = 1\n{HEAD}").parse::<Scenario>().unwrap_err().to_string();
        assert!(error.starts_with("line 1: unknown field `x`"), "{error}");
    }

    #[test]
    fn a_scenario_that_makes_no_sense_is_refused_with_its_line() {
        let expectation = "[[step]]\nheld = {}\n";
        for (steps, said) in [
            ("[[step]]\nsay = \"s\"\n", "line 6: a step that does and expects nothing"),
            ("[[step]]\nkill = \"1\"\npause = \"1\"\n", "line 6: more than one thing in a step"),
            ("[[step]]\nkill = \"1\"\n", "line 1: nothing is expected"),
            ("[[step]]\nsteal = 0\n", "line 6: grid 0 has no publisher key to steal"),
            ("[[step]]\nrefused = { grid = 2 }\n", "line 6: there is no grid 2: the last one is 1"),
            ("[[step]]\njoin = 1\n", "line 3: 1 nodes join, and `later` in `network` has 0"),
            ("[[step]]\nadvance = \"3 parsecs\"\n", "line 7: `3 parsecs` is not a span of time"),
            ("[[step]]\nheal = false\n", "line 7: leave the step out"),
            ("[[step]]\nheld = { by = \"most\" }\n", "line 7: `most`: write `everyone` or a number"),
            ("[[step]]\nresolves = { at-least = \"101%\" }\n", "line 7: `101%` is no share"),
        ] {
            let error = parse(&format!("{steps}{expectation}")).err().unwrap_or_else(|| parse(steps).unwrap_err());
            assert!(error.starts_with(said), "{error}");
        }
    }
}
