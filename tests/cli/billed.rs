//! What gateways have delivered to each other is claimed and billed, and the bill is paid: by the programs alone.

use crate::copies::charge;
use crate::place::eventually;
use crate::priced::{Priced, ledger, ok, vouched};
use lafs_clearinghouse::ledger::Part;
use serde_json::Value;

const MIB: usize = 1 << 20;
/// At 5 USD for a GiB, 3.9 cents.
const SIZE: usize = 8 * MIB;
/// More than the manifest of such a file has.
const MANIFEST: usize = 32 << 10;
/// A cent, in minor units of USD.
const CENT: i128 = 10_000_000;

/// The one statement of `dir`, after a round.
#[track_caller]
fn bill(priced: &Priced, dir: &str) -> Value {
    eventually("a statement", || {
        let statement = priced.place.run(&format!("statement --now -d {dir} --json"));
        (statement.status == 0).then(|| statement.json()["statements"][0].clone()).filter(|bill| bill.is_object())
    })
}

fn amount(of: &Value, name: &str) -> i128 {
    of[name].as_str().unwrap().parse().unwrap()
}

#[test]
fn a_file_that_was_read_is_on_the_bill_of_both_grids_and_paid() {
    let priced = Priced::start(SIZE, "5 USD/GiB");
    priced.agree_on_terms("10 USD", 4);
    ok(priced.get("file"));
    let (_, owed) = priced.agree();
    assert!((charge(SIZE)..charge(SIZE + MANIFEST)).contains(&owed), "{owed}");
    let ours = bill(&priced, "abroad");
    assert_eq!(ours, bill(&priced, "home"));
    // Whole cents are payable, and the rest is carried forward.
    let (payable, carried) = (owed / CENT * CENT, owed % CENT);
    let amounts = (amount(&ours, "charged"), amount(&ours, "payable"), amount(&ours, "carried"));
    assert_eq!(amounts, (owed, payable, carried), "{ours}");
    assert!(payable > 0);

    let words = ["statement", "paid", &priced.home.grid.to_string(), "-d", "abroad", "--reference", "RF18-5390"];
    let cents = format!("0.{:02} USD", payable / CENT);
    ok(priced.place.run_words(words.iter().copied().chain([cents.as_str()])));
    for dir in ["abroad", "home"] {
        eventually("it is settled", || {
            let bill = bill(&priced, dir);
            (bill["settled"] == payable.to_string() && bill["payable"] == "0").then_some(())
        });
        ok(priced.place.run(&format!("ledger verify -d {dir}")));
    }
    assert_eq!(priced.owed_abroad(), (carried, carried));
}

/// The file is there after one of the nodes was killed, as somebody gets it who types the same again.
#[track_caller]
fn get(priced: &Priced, output: &str) {
    eventually("the file", || {
        let got = priced.get(output);
        // A node that has just been started may not know the other one yet.
        assert!(matches!(got.status, 0 | 3 | 8), "{}: {}", got.status, got.stderr);
        (got.status == 0).then_some(())
    });
    priced.is_whole(output);
}

#[test]
fn several_lanes_and_claims_make_one_bill_that_is_rounded_once_and_loses_no_charge_when_either_side_is_killed() {
    let mut priced = Priced::start(SIZE, "5 USD/GiB");
    priced.agree_on_terms("10 USD", 4);
    // One is claimed at once, and goes on; one by another process of who pays; and one that another process of who is paid claims
    // before anybody has read anything from it.
    get(&priced, "first");
    priced.agree();
    bill(&priced, "abroad");
    get(&priced, "again");
    priced.agree();
    priced.home.dies_and_comes_back(&priced.place);
    get(&priced, "second");
    priced.agree();
    priced.abroad.dies_and_comes_back(&priced.place);
    bill(&priced, "abroad");
    get(&priced, "third");
    let (_, owed) = priced.agree();
    let (least, most) = (charge(4 * SIZE), charge(4 * (SIZE + MANIFEST)));
    assert!((least..most).contains(&owed), "{owed}: {least} to {most}");

    let ours = bill(&priced, "abroad");
    assert_eq!(ours, bill(&priced, "home"));
    assert_eq!(amount(&ours, "charged"), owed, "{ours}");
    assert_eq!((amount(&ours, "payable"), amount(&ours, "carried")), (owed / CENT * CENT, owed % CENT), "{ours}");
    // Neither lanes nor claims are rounded to cents each: that would be less.
    let lines: Vec<i128> = ours["lines"].as_array().unwrap().iter().map(|line| amount(line, "amount")).collect();
    assert!(lines.len() >= 4 && lines.iter().sum::<i128>() == owed, "{ours}");
    assert!(lines.iter().map(|line| line / CENT).sum::<i128>() < owed / CENT, "{ours}");
    // Nor vouchers to minor units: of a lane all octets together are charged.
    let books = ledger(&priced.place, "abroad");
    let lanes = vouched(&books, Part::Payee, *priced.home.grid.key(), *priced.abroad.grid.key());
    assert!(lanes.len() >= 3, "{lanes:?}");
    for lane in &lanes {
        assert_eq!(lane.price.charge(lane.octets), Some(lane.amount), "{lane:?}");
    }
    assert_eq!(lanes.iter().map(|lane| i128::from(lane.amount.0)).sum::<i128>(), owed);
}
