//! Debts in a circle, set off by commands at three nodes, one of which keeps the books and owes something itself: in force when all have
//! consented and their consents hold, and not before; and whatever the clearing node does when it is killed.

use crate::copies::restore;
use crate::hand_lane::post;
use crate::place::eventually;
use crate::priced::ok;
use crate::signed_lane::voucher;
use crate::trio::{ALL, CENTS, GIB, NewLane, Trio};
use data_encoding::HEXLOWER;
use lafs_clearinghouse::clearing::NettingFolder;
use lafs_clearinghouse::config::Home;
use lafs_clearinghouse::ledger::{Pair, Part};
use lafs_clearinghouse::rate::Asset;
use lafs_clearinghouse::signed::ObjectType;
use lafs_clearinghouse::tariff::wire::{Consent, Terms};
use lafs_clearinghouse::units::Seconds;
use serde_json::{Value, json};

const CENT: i128 = CENTS as i128;

/// Who owes whom by how many lanes' worth: in a circle.
const DEBTS: [(&str, &str, u64); 3] = [("payer", "payee", 3), ("payee", "third", 2), ("third", "payer", 1)];

/// The debts are in the books of all three.
pub(crate) fn in_debt() -> Trio {
    in_debt_under().0
}

/// The same, with the terms that they are under.
fn in_debt_under() -> (Trio, Vec<Terms>) {
    let mut trio = Trio::start();
    let terms: Vec<Terms> = DEBTS.iter().map(|(payer, payee, _)| trio.agree(payer, payee, &[])).collect();
    borrow(&mut trio, &terms, 1);
    (trio, terms)
}

/// So much more is owed, for what was read on three lanes, of which the first is the `nth`.
fn borrow(trio: &mut Trio, terms: &[Terms], nth: u8) {
    let lanes: Vec<_> = DEBTS
        .iter()
        .zip(terms)
        .zip(nth..)
        .map(|(((payer, payee, _), terms), nth)| trio.lane(&NewLane::between(payer, payee, terms, nth)))
        .collect();
    let records: Vec<_> = DEBTS.iter().map(|(_, payee, _)| trio.record(payee)).collect();
    ALL.iter().for_each(|dir| trio.kill(dir));
    for ((((payer, payee, gibs), terms), lane), record) in DEBTS.iter().zip(terms).zip(&lanes).zip(&records) {
        for (dir, part) in [(payer, Part::Payer), (payee, Part::Payee)] {
            trio.write(dir, async |ledger, now| {
                ledger.keep(record.signed(), now).await.unwrap();
                ledger.keep(terms, now).await.unwrap();
                ledger.open_lane(part, lane.clone(), now).await.unwrap();
                ledger.voucher(part, voucher(lane, gibs * GIB), Vec::new(), now).await.unwrap();
            });
        }
    }
    ALL.iter().for_each(|dir| trio.revive(dir));
    trio.find_each_other();
    for ((payer, payee, _), lane) in DEBTS.into_iter().zip(&lanes) {
        let lane = lane.identity().to_string();
        for (dir, other) in [(payee, payer), (payer, payee)] {
            trio.bill(dir, other, |bill| bill["lines"].to_string().contains(&lane));
        }
    }
}

/// What each owes each, in cents of two, by the books of the clearing node and by its own and the other's.
#[track_caller]
pub(crate) fn owe(trio: &Trio, expected: [(&str, &str, i128); 4]) {
    for (debtor, creditor, cents) in expected {
        let by = [
            trio.owed("third", Part::Clearing, debtor, creditor),
            trio.owed(debtor, Part::Payer, debtor, creditor),
            trio.owed(creditor, Part::Payee, debtor, creditor),
        ];
        assert_eq!(by, [cents * CENT; 3], "{debtor} owes {creditor}");
    }
}

/// The nettings that `dir` lists.
fn all_listed(trio: &Trio, dir: &str) -> Vec<Value> {
    ok(trio.run(&format!("netting list -d {dir} --json"))).json()["nettings"].as_array().unwrap().clone()
}

/// The one netting that `dir` lists.
#[track_caller]
pub(crate) fn listed(trio: &Trio, dir: &str) -> Value {
    let all = all_listed(trio, dir);
    assert_eq!(all.len(), 1, "{all:?}");
    all[0].clone()
}

/// The netting with this hash as `dir` lists it, once it was told of it.
#[track_caller]
fn told(trio: &Trio, dir: &str, netting: &str) -> Value {
    eventually("it is told", || {
        trio.statements(dir);
        all_listed(trio, dir).into_iter().find(|one| one["netting"] == netting)
    })
}

/// Proposes a netting of all debts, and has the others told of it; its hash.
fn proposed(trio: &Trio) -> String {
    let netting = ok(trio.run("netting propose USD -d third --json")).json();
    let netting = netting["netting"].as_str().unwrap().to_owned();
    ["payer", "payee"].iter().for_each(|dir| drop(told(trio, dir, &netting)));
    netting
}

#[track_caller]
fn consent(trio: &Trio, dir: &str, netting: &str, more: &[&str]) {
    ok(trio.types(&[&["netting", "consent", netting, "-d", dir], more].concat()));
}

/// All three say that it is in force.
#[track_caller]
fn is_in_force(trio: &Trio, netting: &str) {
    for dir in ALL {
        eventually("it is in force", || (told(trio, dir, netting)["standing"] == "in_force").then_some(()));
    }
}

/// The consents of `dir` to a netting that it has signed, in the order in which they end.
fn consents(trio: &Trio, dir: &str, netting: &str) -> Vec<Consent> {
    let papers = trio.read(dir, async |ledger| ledger.papers_of(ObjectType::Consent, None, None).await.unwrap());
    let all = papers.iter().map(|(_, _, bytes)| Consent::from_bytes(bytes).unwrap());
    let of = |consent: &Consent| {
        let body = consent.body();
        (body.grid, HEXLOWER.encode(&body.netting)) == (trio.grid(dir), netting.to_owned())
    };
    let mut ours: Vec<Consent> = all.filter(of).collect();
    ours.sort_by_key(|consent| consent.body().not_after);
    ours
}

/// What the clearing node answers to a consent of `dir` that is sent by hand.
fn sent(trio: &Trio, dir: &str, consent: &Consent) -> Result<Vec<u8>, (u16, String)> {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let client = trio.session(dir, "third").await;
        post(&client, "/v1/consents", "application/cose", consent.bytes().to_vec()).await
    })
}

/// How many positions the clearing node has signed between each two.
fn positions(trio: &Trio) -> Vec<usize> {
    let pairs = DEBTS.map(|(payer, payee, _)| Pair::of(trio.grid(payer), trio.grid(payee), usd()));
    trio.read("third", async |ledger| {
        let mut numbers = Vec::new();
        for pair in &pairs {
            let chain = ledger.positions_after(&trio.grid("third"), pair, 0, u32::MAX).await.unwrap();
            for (position, number) in chain.iter().zip(1..) {
                assert_eq!(position.body().number, number);
            }
            numbers.push(chain.len());
        }
        numbers
    })
}

fn usd() -> Asset {
    Asset::from_code("USD").unwrap()
}

#[test]
fn a_circle_of_debts_is_set_off_when_all_three_consent_and_their_consents_hold_whoever_is_killed_meanwhile() {
    let mut trio = in_debt();
    let owed = [("payer", "payee", 3), ("payee", "third", 2), ("third", "payer", 1), ("payer", "third", 0)];
    owe(&trio, owed);
    // Who keeps no books for others proposes nothing.
    let nothing = trio.run("netting propose USD -d payer");
    assert!(nothing.status == 4 && nothing.stderr.contains("nobody owes anything in USD"), "{}", nothing.stderr);
    let proposed = ok(trio.run("netting propose USD -d third"));
    for line in [
        "grids             3",
        "owed before       0.12 USD",
        "paid instead      0.04 USD",
        "saved             0.08 USD",
        "we owe            0.02 USD",
        "we are owed       0.04 USD",
        "we would pay      0 USD",
        "we would receive  0.02 USD",
        "standing          proposed: this grid has not consented",
    ] {
        assert!(proposed.stdout.contains(line), "{line}\n{}", proposed.stdout);
    }
    // With whom, and with whom instead.
    for line in [
        format!("before            0.04 USD from {}", trio.grid("payee")),
        format!("before            0.02 USD to {}", trio.grid("payer")),
        format!("instead           0.02 USD from {}", trio.grid("payer")),
    ] {
        assert!(proposed.stdout.contains(&line), "{line}\n{}", proposed.stdout);
    }
    trio.crash("third");
    let netting = listed(&trio, "third");
    let debt = |debtor, creditor, cents: i128| json!({"debtor": trio.grid(debtor), "creditor": trio.grid(creditor), "amount": (cents * CENT).to_string()});
    assert_eq!(netting["ours"]["transfers"], json!([debt("payer", "third", 1)]));
    assert_eq!(netting["ours"]["replaced"].as_array().unwrap().len(), 2);
    assert!(netting["ours"]["replaced"].as_array().unwrap().contains(&debt("payee", "third", 2)), "{netting}");
    let hash = netting["netting"].as_str().unwrap().to_owned();
    assert_eq!(
        (&netting["gross"], &netting["net"], &netting["saved"]),
        (&json!("120000000"), &json!("40000000"), &json!("80000000"))
    );
    assert_eq!(netting["missing"].as_array().unwrap().len(), 3, "{netting}");
    // The others are told of it when they ask the next time.
    for dir in ["payer", "payee"] {
        eventually("it is told", || {
            trio.statements(dir);
            (ok(trio.run(&format!("netting list -d {dir} --json"))).json()["nettings"] != json!([])).then_some(())
        });
        assert_eq!(listed(&trio, dir)["standing"], "proposed");
    }
    let consent = |trio: &Trio, dir: &str, more: &[&str]| {
        ok(trio.types(&[&["netting", "consent", &hash[..12], "-d", dir], more].concat()))
    };

    // The first consents for an hour, while nobody is there to be told; it is told later.
    trio.kill("third");
    let told = consent(&trio, "payer", &["--good-for", "1h"]);
    assert!(told.stdout.contains("Could not tell"), "{}", told.stdout);
    trio.revive("third");
    trio.find_each_other();
    eventually("the consent is there", || {
        trio.statements("payer");
        let missing = listed(&trio, "third")["missing"].clone();
        (missing == json!([trio.grid("payee"), trio.grid("third")])
            || missing == json!([trio.grid("third"), trio.grid("payee")]))
        .then_some(())
    });
    assert_eq!(listed(&trio, "payer")["standing"], "consented");
    consent(&trio, "third", &[]);
    trio.crash("third");
    owe(&trio, owed);

    // One does not consent until that hour is over: then the first is missing again.
    trio.set_ahead(Seconds::hours(2));
    consent(&trio, "payee", &[]);
    trio.crash("third");
    trio.statements("third");
    assert_eq!(listed(&trio, "third")["missing"], json!([trio.grid("payer")]));
    assert_eq!(listed(&trio, "payer")["standing"], "consent_ended");
    owe(&trio, owed);

    // The last word; and the clearing node dies after it has booked, and before anybody was told.
    trio.kill("third");
    consent(&trio, "payer", &[]);
    let consents = trio.read("payer", async |ledger| ledger.papers_of(ObjectType::Consent, None, None).await.unwrap());
    let consents: Vec<Consent> = consents.iter().map(|(_, _, bytes)| Consent::from_bytes(bytes).unwrap()).collect();
    let folder = NettingFolder::new(Home::new(trio.place.path("third")).nettings());
    let booked = folder.all().remove(0);
    trio.write("third", async |ledger, now| {
        for consent in &consents {
            ledger.keep(consent, now).await.unwrap();
        }
        ledger.net(None, booked, now).await.unwrap();
    });
    trio.revive("third");
    trio.find_each_other();
    let instead = [("payer", "payee", 1), ("payee", "third", 0), ("third", "payer", 0), ("payer", "third", 1)];
    // Of two grids there is one statement, whoever owes.
    for (debtor, creditor, cents) in [instead[0], instead[1], instead[3]] {
        let due = (cents * CENT).to_string();
        let is_due = |bill: &Value| {
            let (debtor, payable) = (trio.grid(debtor).to_string(), &bill["payable"]);
            *payable == due && (due == "0" || bill["debtor"] == debtor)
        };
        let bills = [debtor, creditor, "third"].map(|dir| trio.bill_of(dir, [debtor, creditor], is_due));
        assert!(bills.iter().all(|bill| *bill == bills[0]), "{bills:#?}");
    }
    owe(&trio, instead);
    ALL.iter().for_each(|dir| assert_eq!(listed(&trio, dir)["standing"], "in_force", "{dir}"));

    // What it has come to owe without any terms is paid as everything else.
    let words =
        ["statement", "paid", &trio.grid("payer").to_string(), "0.02 USD", "--reference", "RF18", "-d", "third"];
    ok(trio.types(&words));
    trio.bill("payer", "third", |bill| bill["payable"] == "0");
    owe(&trio, [("payer", "payee", 1), ("payee", "third", 0), ("third", "payer", 0), ("payer", "third", 0)]);
    // In the other direction, where the creditor is not who keeps the books.
    let words =
        ["statement", "paid", &trio.grid("payer").to_string(), "0.02 USD", "--reference", "RF18", "-d", "payee"];
    ok(trio.types(&words));
    trio.bill("payer", "payee", |bill| bill["payable"] == "0");
    owe(&trio, [("payer", "payee", 0), ("payee", "third", 0), ("third", "payer", 0), ("payer", "third", 0)]);
    trio.are_proved();
}

#[test]
fn a_second_netting_goes_on_in_the_chains_of_the_first_and_each_grid_is_asked_for_one_consent_that_holds() {
    let (mut trio, terms) = in_debt_under();
    let first = proposed(&trio);
    ALL.iter().for_each(|dir| consent(&trio, dir, &first, &[]));
    is_in_force(&trio, &first);
    owe(&trio, [("payer", "payee", 1), ("payee", "third", 0), ("third", "payer", 0), ("payer", "third", 1)]);
    let of_first = positions(&trio);
    ok(trio.run("ledger backup first.sqlite -d third"));

    borrow(&mut trio, &terms, 11);
    let owed = [("payer", "payee", 4), ("payee", "third", 2), ("third", "payer", 1), ("payer", "third", 1)];
    owe(&trio, owed);
    let second = proposed(&trio);
    assert_ne!(first, second);
    // Three words of two grids are not three grids' words.
    consent(&trio, "payer", &second, &["--good-for", "1h"]);
    consent(&trio, "payer", &second, &["--good-for", "3d"]);
    consent(&trio, "third", &second, &[]);
    // The third grid's is told nobody as long as it holds.
    trio.kill("third");
    consent(&trio, "payee", &second, &["--good-for", "1h"]);
    trio.set_ahead(Seconds::hours(2));
    assert!(!trio.statements("payee").1.contains("consent"), "it is not sent any more");
    let late = consents(&trio, "payee", &second).remove(0);
    let (status, words) = sent(&trio, "payee", &late).unwrap_err();
    assert!(status == 409 && words.contains("the time of the consent is over"), "{status} {words}");
    assert_eq!(told(&trio, "third", &second)["missing"], json!([trio.grid("payee")]));
    owe(&trio, owed);
    consent(&trio, "payee", &second, &[]);
    is_in_force(&trio, &second);
    let instead = [("payer", "payee", 2), ("payee", "third", 0), ("third", "payer", 1), ("payer", "third", 3)];
    owe(&trio, instead);
    let numbers = positions(&trio);
    assert!(numbers.iter().zip(&of_first).all(|(now, before)| now > before), "{of_first:?}, {numbers:?}");

    // Told again, by whoever has consented, of both nettings: nothing is set off twice.
    for (dir, netting) in [("payer", &first), ("payee", &first), ("payer", &second), ("payee", &second)] {
        let last = consents(&trio, dir, netting).pop().unwrap();
        sent(&trio, dir, &last).unwrap();
        consent(&trio, dir, netting, &[]);
    }
    ALL.iter().for_each(|dir| drop(trio.statements(dir)));
    owe(&trio, instead);
    assert_eq!(positions(&trio), numbers);
    for (one, other) in [("payer", "payee"), ("payee", "third"), ("payer", "third")] {
        let bill = trio.bill_of("third", [one, other], |_| true);
        for dir in [one, other] {
            trio.bill_of(dir, [one, other], |found| *found == bill);
        }
    }
    trio.are_proved();

    // Books from before the second, and so chains without it: both others are told, and keep what they have.
    ok(trio.run("ledger backup second.sqlite -d third"));
    trio.kill("third");
    restore(&trio.place, "third", "first.sqlite");
    trio.revive("third");
    trio.find_each_other();
    for dir in ["payer", "payee"] {
        let (_, told) = trio.statements(dir);
        assert!(told.contains("which we were given, is not in the history that is shown now"), "{dir}: {told}");
        let checked = trio.run(&format!("status -d {dir} --check"));
        assert!(checked.stdout.contains("books: ") && checked.stdout.contains("is not in the history"), "{dir}");
    }
    for (debtor, creditor, cents) in [instead[0], instead[3]] {
        assert_eq!(trio.owed(debtor, Part::Payer, debtor, creditor), cents * CENT);
    }
    // And when that other history is as long as the one that they have: here of payments, which are told again in the right one.
    let payer = trio.grid("payer").to_string();
    for reference in ["RF1", "RF2"] {
        ok(trio.types(&["statement", "paid", &payer, "0.01 USD", "--reference", reference, "-d", "payee"]));
        trio.statements("payee");
    }
    assert_eq!(positions(&trio)[0], numbers[0], "as many");
    let (_, told) = trio.statements("payer");
    let (payee, third) = (trio.grid("payee"), trio.grid("third"));
    let says =
        format!("positions with {payee}: position {} of {third}, which we were given, is not in the", numbers[0]);
    assert!(told.contains(&says), "{says}: {told}");
    trio.kill("third");
    restore(&trio.place, "third", "second.sqlite");
    trio.revive("third");
    trio.find_each_other();
    for dir in ["payee", "payer"] {
        assert_eq!(trio.statements(dir).1, "", "{dir}");
    }
    owe(&trio, [("payer", "payee", 1), ("payee", "third", 0), ("third", "payer", 1), ("payer", "third", 3)]);
    trio.are_proved();
}
