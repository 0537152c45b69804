//! `clearinghouse ledger` over books that were filled, and an auditor who has nothing but a bundle.

use crate::objects::{MIB, NOW, PRICE, lane_at, public, secret, terms, usd, voucher};
use crate::proofs::filled;
use lafs_clearinghouse::ledger::{Ledger, Location, Part};
use lafs_clearinghouse::signed::Identity;
use lafs_clearinghouse::tariff::wire::{Deck, DeckBody, Signed};
use lafs_clearinghouse::units::{Bytes, Seconds};
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};

fn run(folder: &Path, words: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_clearinghouse"));
    command.arg("ledger").args(words.split_whitespace()).current_dir(folder).output().unwrap()
}

fn text(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn json(folder: &Path, words: &str) -> Value {
    serde_json::from_str(&text(&run(folder, &format!("{words} --json")))).unwrap()
}

fn deck() -> Deck {
    let body = DeckBody {
        seller: crate::objects::grid(2),
        signer: public(2),
        serial: NOW.0 * 1_000,
        audience: None,
        destination: None,
        asset: usd(),
        price: PRICE,
        not_before: NOW,
        not_after: NOW.plus(Seconds::days(30)),
    };
    Signed::sign(&body, &secret(2)).unwrap()
}

#[tokio::test]
async fn the_commands_show_what_the_books_hold() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let missing = run(dir, "verify -d .");
    assert_eq!(missing.status.code(), Some(3), "no ledger yet");
    let ledger = Ledger::open(Location::Sqlite(dir.join("ledger.sqlite")), NOW).await.unwrap();
    filled(&ledger).await;
    // Beside the process that writes.
    let verified = json(dir, "verify -d .");
    assert_eq!((&verified["vouchers"], &verified["lanes"]), (&12.into(), &4.into()));
    assert!(text(&run(dir, "verify -d .")).starts_with("The books agree with what was signed: 12 vouchers of 4 lanes"));

    let lanes = json(dir, "export lanes -d .");
    assert_eq!(lanes.as_array().unwrap().len(), 4);
    let amount = PRICE.charge(Bytes(14 * MIB)).unwrap().0.to_string();
    assert_eq!(
        (&lanes[0]["amount"], &lanes[0]["asset"], &lanes[0]["scale"]),
        (&amount.into(), &"USD".into(), &9.into())
    );
    let csv = text(&run(dir, "export lanes --ledger ledger.sqlite"));
    assert_eq!(csv.lines().count(), 5);
    assert!(csv.starts_with("lane,part,payer,payee,destination,asset,scale,"));
    let entries = json(dir, "export entries -d .");
    let sum: i64 =
        entries.as_array().unwrap().iter().map(|it| it["amount"].as_str().unwrap().parse::<i64>().unwrap()).sum();
    assert_eq!(sum, 0);
    assert_eq!(json(dir, "export balances -d .").as_array().unwrap().len(), 8);
    assert!(!json(dir, "export usage -d .").as_array().unwrap().is_empty());
    let inspected = json(dir, "inspect -d .");
    assert_eq!(inspected["tables"]["lane"], 4);
    let one = json(dir, &format!("inspect {} -d .", lanes[0]["lane"].as_str().unwrap()));
    assert_eq!(one["lanes"][0]["vouchered_bytes"], 14 * MIB);

    text(&run(dir, "backup copy.sqlite -d ."));
    assert_eq!(json(dir, "verify --ledger copy.sqlite")["lanes"], 4);
    assert_eq!(run(dir, "backup copy.sqlite -d .").status.code(), Some(1), "it replaces nothing");
    ledger.close().await;

    let mut hand =
        <sqlx::AnyConnection as sqlx::Connection>::connect(&format!("sqlite://{}", dir.join("copy.sqlite").display()))
            .await
            .unwrap();
    sqlx::query("UPDATE voucher SET cum_amount = cum_amount + 1").execute(&mut hand).await.unwrap();
    let found = run(dir, "verify --ledger copy.sqlite");
    assert_eq!(found.status.code(), Some(11));
    assert!(String::from_utf8_lossy(&found.stderr).contains("table voucher"), "{found:?}");
}

/// A Python that has `cbor2` and `cryptography`; without one the auditor's part is skipped, or fails under `REQUIRE_INTEROP=1`.
pub(crate) fn python() -> Option<String> {
    let python = std::env::var("LAFS_TEST_PYTHON").ok();
    if python.is_none() {
        assert!(std::env::var("REQUIRE_INTEROP").map_or(true, |value| value != "1"), "LAFS_TEST_PYTHON is not set");
        println!(
            "SKIPPED: a second implementation in scripts/: LAFS_TEST_PYTHON names no Python that has cbor2 and cryptography"
        );
    }
    python
}

#[tokio::test]
async fn an_auditor_with_a_second_implementation_computes_the_same_bill() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let ledger = Ledger::open(Location::Sqlite(dir.join("ledger.sqlite")), NOW).await.unwrap();
    ledger.keep(&terms(1, 2), NOW).await.unwrap();
    ledger.keep(&terms(3, 2), NOW).await.unwrap();
    ledger.keep(&deck(), NOW).await.unwrap();
    for (payer, nth, bytes) in [(1, 0, 1), (1, 1, 3 * MIB + 1), (1, 2, 5 << 30), (3, 0, 77 * MIB)] {
        let opened = lane_at(payer, 2, nth, Some(deck().identity()));
        ledger.open_lane(Part::Payee, opened.clone(), NOW).await.unwrap();
        ledger.voucher(Part::Payee, voucher(&opened, bytes), vec![], NOW).await.unwrap();
    }
    ledger.close().await;
    let written = json(dir, "export bundle --output all.bundle -d .");
    let checked = json(dir, "check-bundle all.bundle");
    assert_eq!(written, checked);
    let bills = checked["bills"].as_array().unwrap();
    let expected: u64 = [1, 3 * MIB + 1, 5 << 30].map(|bytes| PRICE.charge(Bytes(bytes)).unwrap().0).iter().sum();
    let of_one = bills.iter().find(|bill| bill["payer"] == public(1).to_string()).unwrap();
    assert_eq!(of_one["amount"], expected.to_string());
    let only = json(dir, &format!("export bundle --output one.bundle --payer {} -d .", public(3)));
    assert_eq!(only["bills"].as_array().unwrap().len(), 1);
    // A changed octet of a signature.
    let mut bytes = std::fs::read(dir.join("all.bundle")).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(dir.join("bad.bundle"), bytes).unwrap();
    assert_eq!(run(dir, "check-bundle bad.bundle").status.code(), Some(11));

    let Some(python) = python() else { return };
    let audit = |bundle: &str| {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/audit_bundle.py");
        Command::new(&python).arg(script).arg(bundle).current_dir(dir).output().unwrap()
    };
    for bundle in ["all.bundle", "one.bundle"] {
        let theirs: Value = serde_json::from_str(&text(&audit(bundle))).unwrap();
        let ours = json(dir, &format!("check-bundle {bundle}"));
        let plain =
            |bill: &Value| ["payer", "payee", "asset", "lanes", "bytes", "amount"].map(|name| bill[name].to_string());
        let sorted = |value: &Value| {
            let mut bills: Vec<_> = value["bills"].as_array().unwrap().iter().map(plain).collect();
            bills.sort();
            bills
        };
        assert_eq!(sorted(&theirs), sorted(&ours));
    }
    assert_eq!(audit("bad.bundle").status.code(), Some(1));
}

#[test]
fn evidence_that_is_missing_is_named() {
    // Made without a runtime: what the command says of a bundle that lacks its terms.
    let folder = tempfile::tempdir().unwrap();
    let opened = lane_at(1, 2, 0, Some(Identity([5; 32])));
    let bundle = lafs_clearinghouse::tariff::bundle::Bundle {
        papers: vec![],
        lanes: vec![(opened.bytes().to_vec(), voucher(&opened, MIB).bytes().to_vec())],
    };
    std::fs::write(folder.path().join("bundle"), bundle.to_bytes()).unwrap();
    let found = run(folder.path(), "check-bundle bundle");
    assert_eq!(found.status.code(), Some(11));
    let said = String::from_utf8_lossy(&found.stderr).into_owned();
    assert!(said.contains(&terms(1, 2).identity().to_string()) && said.contains("not in the bundle"), "{said}");
}
