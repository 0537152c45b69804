//! Policies as a grid manager types them: read or refused with a line and a key, and what is read decides without a panic.
#![no_main]

use lafs_clearinghouse::policy::{Account, Call, Confirmed, Outcome, Period, Policy, Priced, Used};
use lafs_clearinghouse::rate::Asset;
use lafs_clearinghouse::record::Nickname;
use lafs_clearinghouse::session::Group;
use lafs_clearinghouse::signed::Identity;
use lafs_clearinghouse::units::{Bytes, MinorUnits, PricePerGib, UnixSeconds};
use lafs_clearinghouse_fuzz::{grid, grid_key};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match text.parse::<Policy>() {
        Ok(policy) => decides(&policy),
        Err(error) => assert!(error.line >= 1 && !error.key.is_empty() && !error.message.is_empty()),
    }
});

fn decides(policy: &Policy) {
    let (label, client) = (Nickname::new("Ada").expect("a name"), grid_key().public());
    let groups: [Group; 1] = ["students".parse().expect("a group")];
    for (code, price) in [("XXX", 0), ("USD", 20_000_000), ("BTC", i64::MAX as u64)] {
        let asset = Asset::from_code(code).expect("an asset");
        let (price, until) = (PricePerGib(price), UnixSeconds(1_900_000_000));
        let priced = Priced { asset, price, until, record: Identity([0; 32]) };
        let retail = policy.retail.as_ref().and_then(|retail| retail.price(asset, price).ok()).unwrap_or_default();
        let call = Call { client: &client, label: &label, groups: &groups, grid: grid(), priced: &priced, retail };
        let little = policy.decide(&call, Confirmed::Yes, used(0, 0));
        let much = policy.decide(&call, Confirmed::Yes, used(u64::MAX, u64::MAX));
        assert_eq!(little.rule, much.rule, "what was used chooses no rule");
        assert!(matches!(little.outcome, Outcome::Refused { .. }) <= matches!(much.outcome, Outcome::Refused { .. }));
        for step in little.steps.iter().chain(&much.steps) {
            assert!(!step.to_string().is_empty());
        }
    }
}

/// As if every account had used so much.
fn used(bytes: u64, money: u64) -> impl Fn(&Account, Period) -> Used {
    move |_, _| Used { bytes: Bytes(bytes), money: MinorUnits(money) }
}
