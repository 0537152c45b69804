//! Machines that were copied whole and run twice, with one key and books of their own: a home, and another grid's gateway. Nobody
//! is billed twice; what is in the other's books is told to whoever meets it; and nothing of it is booked on their word.

use crate::copies::{charge, copy};
use crate::place::eventually;
use crate::priced::{Node, Priced, Vouched, ledger, ok, vouched};
use crate::valve::Valve;
use lafs_clearinghouse::ledger::Part;
use lafs_clearinghouse::tariff::wire::LaneId;
use std::collections::BTreeMap;
use std::net::SocketAddr;

const MIB: usize = 1 << 20;
/// More than what is read before, the window of the terms, and what the wire itself takes.
const SIZE: usize = 12 * MIB;

/// Copies a node that does not run, without its grid manager's folder, so that it publishes what the other one does. The copy has a
/// wire of its own and another port. It is not started.
fn copied(priced: &Priced, of: &Node, dir: &'static str) -> Node {
    copy(priced, of.dir, dir);
    let file = format!("{dir}/clearinghouse.toml");
    let text = String::from_utf8(priced.place.read(&file)).unwrap();
    let line = |line: &str| match line.split_once(" = ") {
        Some(("listen", _)) => "listen = \"127.0.0.1:0\"\n".to_owned(),
        Some(("grid-manager", _)) => String::new(),
        _ => format!("{line}\n"),
    };
    priced.place.write(&file, text.lines().map(line).collect::<String>());
    Node { dir, grid: of.grid, wire: Valve::to(SocketAddr::from(([127, 0, 0, 1], 9))), running: None }
}

/// The best voucher of each lane between the two grids that any of these nodes has.
fn best(priced: &Priced, dirs: [&str; 2], part: Part) -> BTreeMap<LaneId, Vouched> {
    let (home, abroad) = (*priced.home.grid.key(), *priced.abroad.grid.key());
    let mut best: BTreeMap<LaneId, Vouched> = BTreeMap::new();
    for lane in dirs.iter().flat_map(|dir| vouched(&ledger(&priced.place, dir), part, home, abroad)) {
        let known = best.entry(lane.lane).or_insert(lane);
        if known.octets < lane.octets {
            *known = lane;
        }
    }
    best
}

fn sum(lanes: &BTreeMap<LaneId, Vouched>) -> i128 {
    lanes.values().map(|lane| i128::from(lane.amount.0)).sum()
}

/// What a node says when it is told to settle.
fn settled(priced: &Priced, dir: &str) -> String {
    eventually("a round", || {
        let round = priced.place.run(&format!("statement --now -d {dir}"));
        (round.status == 0).then_some(round.stderr)
    })
}

#[test]
fn a_home_that_runs_twice_pays_for_what_each_of_the_two_got_once_and_is_told_of_the_other() {
    let size = 4 * MIB;
    let mut priced = Priced::start(size, "5 USD/GiB");
    priced.agree_on_terms("10 USD", 4);
    priced.join("other");
    // So that there are lanes that both of them think are theirs.
    ok(priced.get("first"));
    assert_eq!(priced.home.running.take().unwrap().terminate(), 0);
    let mut twin = copied(&priced, &priced.home, "twin");
    priced.home.start(&priced.place);
    twin.start(&priced.place);
    let settings = String::from_utf8(priced.place.read("other/client.toml")).unwrap();
    let settings = settings.replace(&priced.wire.addr.to_string(), &twin.wire.addr.to_string());
    priced.place.write("other/client.toml", settings);
    for client in ["me", "other"] {
        let output = format!("{client}.first");
        // A node that has just been started may not know the other grid yet.
        eventually("the file", || (priced.begin_as(client, &output).ended().status == 0).then_some(()));
        priced.is_whole(&output);
    }
    let at_once = ["me", "other"].map(|client| (client, priced.begin_as(client, &format!("{client}.file"))));
    for (client, getting) in at_once {
        ok(getting.ended());
        priced.is_whole(&format!("{client}.file"));
    }
    let (ours, theirs) = eventually("the books agree", || {
        let ours = best(&priced, ["home", "twin"], Part::Payer);
        let theirs = best(&priced, ["abroad", "abroad"], Part::Payee);
        (ours == theirs).then_some((ours, theirs))
    });
    // The first, and two of each.
    let (least, most) = (charge(5 * size), charge(5 * size + MIB));
    assert!((least..most).contains(&sum(&ours)), "{} of {least}: {ours:?}", sum(&ours));
    assert_eq!(priced.owed_abroad().1, sum(&theirs));
    // The creditor bills all of it. To each of the two there are lanes in it that only the other one knows: that is told, in words
    // and in its log, and what it names is not kept.
    settled(&priced, "abroad");
    for dir in ["home", "twin"] {
        let said = settled(&priced, dir);
        let log = String::from_utf8(priced.place.read(&format!("{dir}.log"))).unwrap();
        for text in [said, log] {
            assert!(text.contains("which is not in our books"), "{dir}: {text}");
        }
        ok(priced.place.run(&format!("ledger verify -d {dir}")));
    }
}

#[test]
fn a_gateway_abroad_that_runs_twice_is_paid_by_each_lane_once_and_shows_two_histories() {
    let mut priced = Priced::start(SIZE, "5 USD/GiB");
    priced.agree_on_terms("10 USD", 2);
    ok(priced.get("first"));
    assert_eq!(priced.abroad.running.take().unwrap().terminate(), 0);
    let mut twin = copied(&priced, &priced.abroad, "twin");
    priced.abroad.start(&priced.place);
    twin.start(&priced.place);
    // In the middle of a file the home meets the other one, which knows nothing of the lane.
    let getting = priced.begin_until(&priced.abroad.wire, "file", 3 * MIB);
    priced.abroad.wire.leads_to(twin.wire.addr);
    priced.abroad.wire.cut();
    priced.abroad.wire.open();
    ok(getting.ended());
    priced.is_whole("file");
    let (ours, theirs) = eventually("what was delivered last is vouched for", || {
        let ours = best(&priced, ["home", "home"], Part::Payer);
        let theirs = best(&priced, ["abroad", "twin"], Part::Payee);
        let last = *ours.values().max_by_key(|lane| (lane.opened_at, lane.octets.0))?;
        let is_whole = sum(&ours) >= charge(2 * SIZE);
        (is_whole && theirs.get(&last.lane) == Some(&last)).then_some((ours, theirs))
    });
    for (id, lane) in &theirs {
        assert!(ours[id].octets >= lane.octets, "{ours:?}, {theirs:?}");
    }
    // What was under way when it lost the first one is the home's to show, and not more than what is vouched for at once.
    assert!(sum(&ours) - sum(&theirs) <= charge(4 * MIB), "{ours:?}, {theirs:?}");
    assert!((charge(2 * SIZE)..charge(2 * SIZE + 3 * MIB)).contains(&sum(&ours)), "{ours:?}");

    // The first one is met again: it is shown what the other one did not know the lane of, by a home that was never started again.
    priced.abroad.is_wired(&priced.place);
    priced.abroad.wire.cut();
    ok(priced.get("again"));
    let (ours, theirs) = eventually("nothing is missing any more", || {
        let ours = best(&priced, ["home", "home"], Part::Payer);
        let theirs = best(&priced, ["abroad", "twin"], Part::Payee);
        (ours == theirs).then_some((ours, theirs))
    });
    assert_eq!(sum(&ours), sum(&theirs));
    priced.abroad.wire.leads_to(twin.wire.addr);
    priced.abroad.wire.cut();

    // Each of the two bills the lanes that it has, those of before too. The home takes the first history, and is told of the other.
    settled(&priced, "twin");
    assert_eq!(settled(&priced, "home"), "", "what is on the bill is in its books");
    priced.abroad.dies_and_comes_back(&priced.place);
    settled(&priced, "abroad");
    let said = settled(&priced, "home");
    let log = String::from_utf8(priced.place.read("home.log")).unwrap();
    for text in [said, log] {
        assert!(text.contains("is not in the history that is shown now"), "{text}");
    }
    ok(priced.place.run("ledger verify -d home"));
}
