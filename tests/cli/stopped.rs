//! What is ended in the middle of a transfer ends it: within one window, whatever is under way, and with the reason.

use crate::place::Ended;
use crate::priced::{POLICY, Priced, ok};
use crate::valve::Valve;
use std::fs;

const MIB: usize = 1 << 20;
/// What the other grid asks for a GiB, in minor units of USD.
const PRICE: i128 = 5_000_000_000;
/// What a client may be sent and not have acknowledged.
const WINDOW: usize = 16 * MIB;
/// What records of TLS and frames of HTTP add to the octets of a file, at most.
const FRAMES: usize = MIB / 4;

/// Begins to read, does something when 3 MiB have come to the client, and lets the rest through; how it ended, and how many octets
/// came over one of the wires after that.
fn read_and(priced: &Priced, over: &Valve, output: &str, act: impl FnOnce()) -> (Ended, usize) {
    let getting = priced.begin_until(&priced.wire, output, 3 * MIB);
    act();
    let before = over.passed();
    priced.wire.open();
    let ended = getting.ended();
    (ended, (over.passed() - before) as usize)
}

#[test]
fn a_rule_or_a_removed_client_stops_a_file_within_one_window_and_says_so() {
    // More than what is read before, the window, and what is under way beside it.
    let priced = Priced::start(24 * MIB, "5 USD/GiB");
    let rules = |text: &str| fs::write(priced.place.path("home/policy.toml"), text).unwrap();
    let (ended, octets) = read_and(&priced, &priced.wire, "refused", || {
        rules(&POLICY.replace("action = \"allow\"", "action = \"deny\"\nmessage = \"not on Mondays\""));
    });
    assert_eq!(ended.status, 4, "{}", ended.stderr);
    assert!(ended.stderr.contains("the home gateway says: not on Mondays"), "{}", ended.stderr);
    assert!(octets <= WINDOW + FRAMES, "{octets}");
    // What came is paid for.
    assert!(priced.agree().0 > 0);

    // One grid that is not called from now on, whoever it is that asks.
    let grid = &priced.abroad.grid;
    let rule =
        format!("[[rule]]\nname = \"one grid\"\ngrids = [\"{grid}\"]\naction = \"deny\"\nmessage = \"not that one\"\n");
    rules(POLICY);
    let (ended, octets) = read_and(&priced, &priced.wire, "not-called", || {
        rules(&POLICY.replace("[[rule]]", &format!("{rule}[[rule]]")));
    });
    assert_eq!(ended.status, 4, "{}", ended.stderr);
    assert!(ended.stderr.contains("the home gateway says: not that one"), "{}", ended.stderr);
    assert!(octets <= WINDOW + FRAMES, "{octets}");
    // A quota that leaves so many MiB from here on, and less than one more: what was read so far depends on what was on its way, and
    // the home has paid for what its client did not take.
    let leaves = |quota: &str, mib: i128| {
        let (by_client, abroad) = priced.agree();
        let paid = if quota == "client-quota" { by_client } else { abroad };
        format!("{POLICY}{quota} = [\"{} MiB/day\"]\n", paid * 1_024 / PRICE + mib)
    };

    // A quota of which less is left than what is to come: of the client, and of all that is read of that grid.
    for quota in ["client-quota", "grid-ceiling"] {
        let less = leaves(quota, 8);
        rules(POLICY);
        let (ended, octets) = read_and(&priced, &priced.wire, quota, || rules(&less));
        assert_eq!(ended.status, 4, "{quota}: {}", ended.stderr);
        // By what was read, or by what was on its way when it was broken off.
        let says = |words: &str| ended.stderr.contains(words);
        let used = says("is used up") || says("left, and what comes next is");
        assert!(used || says("what your quota leaves"), "{quota}: {}", ended.stderr);
        assert!(octets <= WINDOW + FRAMES, "{quota}: {octets}");
        priced.agree();
    }
    // One that leaves less than the file, and is raised before that shows.
    rules(&leaves("client-quota", 20));
    let (ended, _) = read_and(&priced, &priced.wire, "raised", || {
        rules(&format!("{POLICY}client-quota = [\"600 MiB/day\"]\n"));
    });
    ok(ended);
    priced.is_whole("raised");

    rules(POLICY);
    let (ended, octets) = read_and(&priced, &priced.wire, "removed", || {
        ok(priced.place.run("client remove me -d home"));
    });
    assert_eq!(ended.status, 4, "{}", ended.stderr);
    assert!(ended.stderr.contains("removed"), "{}", ended.stderr);
    assert!(octets <= WINDOW + FRAMES, "{octets}");
    priced.agree();
}

/// A first lane of a payer was held to no window at all: its account was forgotten as an idle one in the moment in which it was
/// made, and a gateway went on until the wire was full.
#[test]
fn terms_that_either_side_ends_stop_a_file_within_their_window_and_say_so() {
    let priced = Priced::start(32 * MIB, "5 USD/GiB");
    for ends in ["abroad", "home"] {
        let id = priced.agree_on_terms("10 USD", 2);
        let (ended, octets) = read_and(&priced, &priced.abroad.wire, &format!("{ends}.bin"), || {
            ok(priced.place.run_words(["terms", "end", &id, "--reason", "enough", "-d", ends]));
        });
        assert_eq!(ended.status, 9, "{ends}: {}", ended.stderr);
        assert!(ended.stderr.contains("terms"), "{ends}: {}", ended.stderr);
        assert!(octets <= 2 * MIB + FRAMES, "{ends}: {octets}");
        priced.agree();
    }
}
