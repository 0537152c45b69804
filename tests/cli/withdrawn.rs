//! A consent to a netting is taken back by whoever gave it, by commands at three nodes: before the netting has taken effect and not after,
//! whoever is killed meanwhile, and whatever is told twice or late.

use crate::netted::{in_debt, listed, owe};
use crate::place::{Ended, eventually};
use crate::priced::ok;
use crate::trio::Trio;
use hyper::Method;
use lafs_clearinghouse::signed::ObjectType;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Whose consent is missing, by the books of the clearing node.
fn missing(trio: &Trio) -> BTreeSet<String> {
    let listed = listed(trio, "third");
    listed["missing"]
        .as_array()
        .map_or(BTreeSet::new(), |all| all.iter().map(|it| it.as_str().unwrap().into()).collect())
}

#[track_caller]
fn are_missing(trio: &Trio, dirs: &[&str]) {
    let expected: BTreeSet<String> = dirs.iter().map(|dir| trio.grid(dir).to_string()).collect();
    eventually("those are missing", || {
        trio.statements("payer");
        (missing(trio) == expected).then_some(())
    });
}

fn standing(trio: &Trio, dir: &str) -> Value {
    listed(trio, dir)["standing"].clone()
}

#[track_caller]
fn refused(ended: &Ended, says: &str) {
    assert!(ended.status == 4 && ended.stderr.contains(says), "{} {}", ended.status, ended.stderr);
}

#[test]
fn a_consent_is_taken_back_until_the_netting_has_taken_effect_whoever_is_killed_meanwhile() {
    let mut trio = in_debt();
    let owed = [("payer", "payee", 3), ("payee", "third", 2), ("third", "payer", 1), ("payer", "third", 0)];
    ok(trio.run("netting propose USD -d third"));
    for dir in ["payer", "payee"] {
        eventually("it is told", || {
            trio.statements(dir);
            (ok(trio.run(&format!("netting list -d {dir} --json"))).json()["nettings"] != json!([])).then_some(())
        });
    }
    let hash = listed(&trio, "third")["netting"].as_str().unwrap().to_owned();
    let netting = |trio: &Trio, word: &str, dir: &str| trio.types(&["netting", word, &hash[..12], "-d", dir]);
    refused(&netting(&trio, "withdraw", "payer"), "has given no consent to that netting");
    assert_eq!(standing(&trio, "payer"), "proposed");

    ok(netting(&trio, "consent", "payer"));
    are_missing(&trio, &["payee", "third"]);
    let told = ok(netting(&trio, "withdraw", "payer"));
    assert!(told.stdout.contains(&format!("Told {}", trio.grid("third"))), "{}", told.stdout);
    assert_eq!(standing(&trio, "payer"), "withdrawn");
    are_missing(&trio, &["payer", "payee", "third"]);
    let words = ["netting", "withdraw", &hash[..12], "--reason", "once more", "-d", "payer"];
    refused(&trio.types(&words), "has given no consent to that netting");
    // Whoever keeps the chain takes its own word back as well.
    ok(netting(&trio, "consent", "third"));
    ok(netting(&trio, "withdraw", "third"));
    assert_eq!(standing(&trio, "third"), "withdrawn");
    ok(netting(&trio, "consent", "third"));
    ok(netting(&trio, "consent", "payee"));

    // The old word comes late, and both come twice: all but one have consented, and it takes no effect.
    let papers =
        |trio: &Trio, kind| trio.read("payer", async |ledger| ledger.papers_of(kind, None, None).await.unwrap());
    let (consents, revokes) = (papers(&trio, ObjectType::Consent), papers(&trio, ObjectType::Revoke));
    assert_eq!((consents.len(), revokes.len()), (1, 1));
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let client = trio.session("payer", "third").await;
        for (path, paper) in [("consents", &consents), ("revocations", &revokes), ("consents", &consents)] {
            let body = paper[0].2.clone().into();
            client.send(Method::POST, &format!("/v1/{path}"), "application/cose", body, 1 << 16).await.unwrap();
        }
    });
    trio.crash("third");
    trio.crash("payer");
    are_missing(&trio, &["payer"]);
    assert_eq!(standing(&trio, "payer"), "withdrawn");
    owe(&trio, owed);

    // Taken back while nobody is there to be told, and a consent that nobody was told of: only the withdrawal is told later.
    trio.kill("third");
    ok(netting(&trio, "consent", "payer"));
    assert_eq!(standing(&trio, "payer"), "consented");
    let untold = ok(netting(&trio, "withdraw", "payer"));
    assert!(
        untold.stdout.contains("To be told: withdrawal") && untold.stdout.contains("Could not tell"),
        "{}",
        untold.stdout
    );
    assert_eq!(standing(&trio, "payer"), "withdrawing");
    trio.kill("payer");
    trio.revive("payer");
    assert_eq!(standing(&trio, "payer"), "withdrawing");
    trio.revive("third");
    trio.find_each_other();
    eventually("it is told", || {
        trio.statements("payer");
        (standing(&trio, "payer") == "withdrawn").then_some(())
    });
    are_missing(&trio, &["payer"]);
    owe(&trio, owed);

    // Its last word; and then it is too late, whether its own books know that yet or not.
    ok(netting(&trio, "consent", "payer"));
    for dir in ["payee", "payer", "third"] {
        refused(&netting(&trio, "withdraw", dir), "a consent to it cannot be taken back any more");
    }
    eventually("in force everywhere", || {
        ["payer", "payee"].into_iter().for_each(|dir| drop(trio.statements(dir)));
        ["payer", "payee", "third"].iter().all(|dir| standing(&trio, dir) == "in_force").then_some(())
    });
    refused(&netting(&trio, "withdraw", "payer"), "a consent to it cannot be taken back any more");
    owe(&trio, [("payer", "payee", 1), ("payee", "third", 0), ("third", "payer", 0), ("payer", "third", 1)]);
    trio.are_proved();
}
