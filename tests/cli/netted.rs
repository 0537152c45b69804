//! Debts in a circle, set off by commands at three nodes, one of which keeps the books and owes something itself: in force when all have
//! consented and their consents hold, and not before; and whatever the clearing node does when it is killed.

use crate::place::eventually;
use crate::priced::ok;
use crate::signed_lane::voucher;
use crate::trio::{ALL, CENTS, GIB, NewLane, Trio};
use lafs_clearinghouse::clearing::NettingFolder;
use lafs_clearinghouse::config::Home;
use lafs_clearinghouse::ledger::Part;
use lafs_clearinghouse::signed::ObjectType;
use lafs_clearinghouse::tariff::wire::{Consent, Terms};
use lafs_clearinghouse::units::Seconds;
use serde_json::{Value, json};

const CENT: i128 = CENTS as i128;

/// Who owes whom by how many lanes' worth: in a circle.
const DEBTS: [(&str, &str, u64); 3] = [("payer", "payee", 3), ("payee", "third", 2), ("third", "payer", 1)];

/// The debts are in the books of all three.
pub(crate) fn in_debt() -> Trio {
    let mut trio = Trio::start();
    let terms: Vec<Terms> = DEBTS.iter().map(|(payer, payee, _)| trio.agree(payer, payee, &[])).collect();
    let lanes: Vec<_> = DEBTS
        .iter()
        .zip(&terms)
        .zip(1..)
        .map(|(((payer, payee, _), terms), nth)| trio.lane(&NewLane::between(payer, payee, terms, nth)))
        .collect();
    let records: Vec<_> = DEBTS.iter().map(|(_, payee, _)| trio.record(payee)).collect();
    ALL.iter().for_each(|dir| trio.kill(dir));
    for ((((payer, payee, gibs), terms), lane), record) in DEBTS.iter().zip(&terms).zip(&lanes).zip(&records) {
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
    for (payer, payee, gibs) in DEBTS {
        let charged = (gibs * CENTS).to_string();
        trio.bill(payee, payer, |bill| bill["charged"] == charged);
        trio.bill(payer, payee, |bill| bill["charged"] == charged);
    }
    trio
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

/// The one netting that `dir` lists.
#[track_caller]
pub(crate) fn listed(trio: &Trio, dir: &str) -> Value {
    let listed = ok(trio.run(&format!("netting list -d {dir} --json"))).json();
    assert_eq!(listed["nettings"].as_array().unwrap().len(), 1, "{listed}");
    listed["nettings"][0].clone()
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
