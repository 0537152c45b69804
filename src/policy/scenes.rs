//! Policies and calls, tried together.

use crate::keys::{GridId, PublicKey, SecretKey};
use crate::policy::decide::{Account, Confirmed, Decision, Outcome, Used};
use crate::policy::file::Policy;
use crate::policy::price::Priced;
use crate::policy::quota::Period;
use crate::policy::rule::Call;
use crate::rate::Asset;
use crate::record::Nickname;
use crate::session::Group;
use crate::signed::Identity;
use crate::units::{Bytes, MinorUnits, PricePerGib, UnixSeconds};
use proptest::prelude::*;

/// The policy to begin with.
const EXAMPLE: &str = include_str!("example.toml");

fn key(n: u8) -> PublicKey {
    SecretKey::from_seed(&[n; 32]).public()
}

fn example() -> Policy {
    EXAMPLE.parse().unwrap_or_else(|error| panic!("{error}"))
}

/// A grid that the example calls `work`.
fn work() -> GridId {
    "pub-v0-rlj3jnxqv4ee5rtpyngvzbhmhuikjfenjve7j5mzmfcxytwmyf6q".parse().unwrap()
}

fn stranger() -> GridId {
    GridId::new(key(7))
}

struct Scene {
    label: &'static str,
    groups: &'static [&'static str],
    grid: GridId,
    price: &'static str,
    confirmed: Confirmed,
}

fn scene(label: &'static str, grid: GridId, price: &'static str) -> Scene {
    Scene { label, groups: &[], grid, price, confirmed: Confirmed::No }
}

fn decided(policy: &Policy, scene: &Scene, used: impl Fn(&Account, Period) -> Used) -> Decision {
    let (amount, asset) = scene.price.split_once(' ').unwrap();
    let asset = Asset::from_code(asset).unwrap();
    let price = PricePerGib(asset.minor_units(amount).unwrap());
    let priced = Priced { asset, price, until: UnixSeconds(1_900_000_000), record: Identity([0; 32]) };
    let groups: Vec<Group> = scene.groups.iter().map(|group| group.parse().unwrap()).collect();
    let call = Call {
        client: &key(1),
        label: &Nickname::new(scene.label).unwrap(),
        groups: &groups,
        grid: &scene.grid,
        priced: &priced,
        retail: policy.retail.as_ref().map_or(PricePerGib(0), |retail| retail.price(asset, price).unwrap()),
    };
    policy.decide(&call, scene.confirmed, used)
}

fn unused(_: &Account, _: Period) -> Used {
    Used::default()
}

fn outcome(scene: &Scene) -> (Option<String>, Outcome) {
    let decision = decided(&example(), scene, unused);
    (decision.rule, decision.outcome)
}

#[test]
fn the_first_rule_that_matches_decides() {
    let gib = |n: u64| Some(Bytes(n << 30));
    let (rule, outcome_of) = outcome(&scene("Ada", work(), "0.02 USD"));
    assert_eq!((rule.as_deref(), outcome_of), (Some("friends"), Outcome::Allowed { remaining: gib(50) }));
    let student = Scene { groups: &["students"], ..scene("Bob", stranger(), "0.02 USD") };
    assert_eq!(outcome(&student), (Some("students".into()), Outcome::Allowed { remaining: gib(2) }));
    let free = scene("Bob", stranger(), "0 XXX");
    assert_eq!(outcome(&free), (Some("free for everybody".into()), Outcome::Allowed { remaining: None }));
    let ada = scene("Ada", stranger(), "0.5 USD");
    let asked = Outcome::Asked { message: "this grid is dear: are you sure?".into() };
    assert_eq!(outcome(&ada), (Some("dear".into()), asked));
    let sure = Scene { confirmed: Confirmed::Yes, ..ada };
    assert_eq!(outcome(&sure), (Some("dear".into()), Outcome::Allowed { remaining: gib(20) }));
    let dear = outcome(&scene("Bob", stranger(), "0.5 USD"));
    let message = "that is a 1-900 number: ask the office if you need it".to_owned();
    assert_eq!(dear, (Some("the rest".into()), Outcome::Refused { message }));
    let too_dear = Scene { confirmed: Confirmed::Yes, ..scene("Ada", stranger(), "1.000000001 USD") };
    assert_eq!(outcome(&too_dear).0.as_deref(), Some("the rest"));
}

#[test]
fn every_step_of_a_decision_is_told() {
    let student = Scene { groups: &["students"], ..scene("Bob", stranger(), "0.02 USD") };
    let steps: Vec<String> = decided(&example(), &student, unused).steps.iter().map(ToString::to_string).collect();
    let grid = stranger();
    assert_eq!(
        steps,
        [
            "rule `friends`: passed over, it is about other grids".to_owned(),
            "rule `students`: matches and allows".to_owned(),
            "  2 GiB/day of the client: 2.0 GiB left".to_owned(),
            "  100 EUR/month of the group `students`: 5.0 TiB left".to_owned(),
            format!("  1 TiB/month of the grid {grid}: 1.0 TiB left"),
            format!("  25 USD/month of the grid {grid}: 1.2 TiB left"),
        ]
    );
}

#[test]
fn what_no_rule_allows_is_refused() {
    let policy = Policy::free_only();
    assert!(matches!(
        decided(&policy, &scene("Ada", work(), "0.000000001 USD"), unused).outcome,
        Outcome::Refused { .. }
    ));
    assert_eq!(decided(&policy, &scene("Ada", work(), "0 XXX"), unused).outcome, Outcome::Allowed { remaining: None });
    let nothing: Policy = "".parse().unwrap();
    let refused = decided(&nothing, &scene("Ada", work(), "0 XXX"), unused);
    assert_eq!(refused.outcome, Outcome::Refused { message: "no rule of the policy allows this".into() });
}

#[test]
fn a_quota_that_is_used_up_refuses_by_its_name() {
    let used = |account: &Account, period: Period| match (account, period) {
        (Account::Client(_), Period::Day) => Used { bytes: Bytes((2 << 30) - 5), money: MinorUnits(0) },
        _ => Used::default(),
    };
    let student = Scene { groups: &["students"], ..scene("Bob", stranger(), "0.02 USD") };
    assert_eq!(decided(&example(), &student, used).outcome, Outcome::Allowed { remaining: Some(Bytes(5)) });
    let all = |account: &Account, period: Period| match (account, period) {
        (Account::Group(_), Period::Month) => Used { bytes: Bytes(0), money: MinorUnits(1_000_000_000 * 100) },
        _ => Used::default(),
    };
    let refused = Outcome::Refused { message: "100 EUR/month of the group `students` is used up".into() };
    assert_eq!(decided(&example(), &student, all).outcome, refused);
}

fn fault(text: &str) -> String {
    text.parse::<Policy>().unwrap_err().to_string()
}

#[test]
fn what_is_wrong_is_named_with_its_line_and_key() {
    let rule = "[[rule]]\nname = \"a\"\naction = \"allow\"\n";
    let with = |line: &str| fault(&format!("{rule}{line}"));
    assert_eq!(
        with("colour = \"red\""),
        "line 4: colour: unknown field `colour`, expected one of `name`, `grids`, `clients`, `groups`, `assets`, `up-to`, `action`, `message`, `client-quota`, `group-quota`, `grid-ceiling`"
    );
    assert!(with("grids = [\"work\"]").starts_with("line 4: grids: `work` is no grid id"));
    assert!(with("up-to = [\"0.05 USD/GiB until 2027-01-01\"]").starts_with("line 4: up-to: a ceiling has no dates"));
    assert!(with("client-quota = [\"5 EUR/month\"]").starts_with("line 4: client-quota: clients are not billed"));
    assert!(with("client-quota = [\"5 GiB\"]").starts_with("line 4: client-quota: `5 GiB` is not a quota"));
    assert!(with("message = \"\\u001b[31m\"").starts_with("line 4: message: a message has no control"));
    assert!(with("\n\n[retail]\nasset = \"XXX\"").starts_with("line 7: asset: clients are billed in a currency"));
    assert!(with(&rule.replace("allow", "deny")).starts_with("line 5: name: two rules are called `a`"));
    assert!(fault("[[rule]]\nname = \"a\"\naction = \"maybe\"").starts_with("line 3: action: write `allow`"));
    assert!(fault("[[rule]]\nname = \"a\"\n").contains("missing field `action`"));
    assert!(fault("[[rule]]\nname = \"a\"\naction = \"deny\"\ngrid-ceiling = [\"1 B/day\"]").contains("no quota"));
    assert!(
        fault("[retail]\nasset = \"EUR\"\n[retail.conversions]\nXAU = \"1\"")
            .starts_with("line 4: conversions: asset `XAU`")
    );
    assert!(
        fault("[retail]\nasset = \"EUR\"\n[retail.conversions]\nUSD = \"1,5\"")
            .starts_with("line 4: USD: `1,5` is not")
    );
    assert!(fault("accept-terms-up-to = [\"1 USD\",\n\"2 USD\"]").starts_with("line 2: accept-terms-up-to: USD twice"));
    assert!(fault("x").starts_with("line 1"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_text_makes_the_parser_panic(text in "\\PC{0,80}") {
        let _ = text.parse::<Policy>();
    }

    #[test]
    fn a_damaged_policy_is_read_or_refused(at in any::<prop::sample::Index>(), with in "\\PC{0,3}") {
        let mut chars: Vec<char> = EXAMPLE.chars().collect();
        let at = at.index(chars.len());
        chars.splice(at..=at, with.chars());
        let text: String = chars.into_iter().collect();
        if let Err(error) = text.parse::<Policy>() {
            prop_assert!(error.line <= text.lines().count() + 1 && !error.key.is_empty());
        }
    }

    #[test]
    fn what_is_left_never_costs_more_than_the_quota(price in 1..=1u64 << 50, used in 0..=200_000_000_000u64) {
        let policy = example();
        let scene = Scene { groups: &["students"], confirmed: Confirmed::Yes, ..scene("Ada", work(), "0.05 USD") };
        let decision = decided(&policy, &scene, |_, period| match period {
            Period::Month => Used { bytes: Bytes(0), money: MinorUnits(used) },
            Period::Day => Used::default(),
        });
        if let Outcome::Allowed { remaining: Some(remaining) } = decision.outcome {
            let retail = policy.retail.as_ref().unwrap();
            let usd = Asset::from_code("USD").unwrap();
            let charged = retail.price(usd, PricePerGib(50_000_000)).unwrap().charge(remaining).unwrap();
            prop_assert!(charged.0 + used <= 20_000_000_000 || remaining == Bytes(50 << 30));
        }
        prop_assert!(PricePerGib(price).charge(Bytes(1)).is_some());
    }
}
