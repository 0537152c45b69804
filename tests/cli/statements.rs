//! Signed statements: made by the node that keeps the books of two grids, and read again by either, and by somebody who has
//! nothing but the file.

use crate::place::{Ended, Place, eventually};
use crate::priced::ok;
use lafs_clearinghouse::config::{Home, read_key};
use lafs_clearinghouse::keys::{GridId, SecretKey};
use lafs_clearinghouse::ledger::{Ledger, Location};
use lafs_clearinghouse::rate::Asset;
use lafs_clearinghouse::record::GridRecord;
use lafs_clearinghouse::signed::Identity;
use lafs_clearinghouse::tariff::statement_proof::StatementProof;
use lafs_clearinghouse::tariff::wire::{Party, Position, PositionBody, PositionLine, SettledBy, Settlement, Signed};
use lafs_clearinghouse::units::{Bytes, MinorUnits, UnixSeconds};
use std::path::Path;
use std::process::Command;

const LOCAL: &str = "--listen 127.0.0.1:0 --allow-private-addresses --gateway-listen 127.0.0.1:0 --rate free";

/// Ends with this code and says this.
fn refused(ended: &Ended, status: i32, says: &str) {
    assert_eq!(ended.status, status, "{}{}", ended.stdout, ended.stderr);
    assert!(ended.stderr.contains(says), "{}", ended.stderr);
}

/// What the third grid has booked for two others: the date, who owes more, how much, and how much of it is paid.
fn chain(
    key: &SecretKey,
    third: GridId,
    (payer, payee): (GridId, GridId),
    booked: &[(&str, GridId, u64, u64)],
) -> Vec<Position> {
    let two = (payer.min(payee), payer.max(payee), Asset::from_code("USD").unwrap());
    let mut chain: Vec<Position> = Vec::new();
    for (nth, (date, debtor, charged, paid)) in (0..).zip(booked) {
        let debtor = if *debtor == two.0 { Party::First } else { Party::Second };
        let line = PositionLine {
            lane: Identity([nth; 32]),
            debtor,
            from_bytes: Bytes(0),
            to_bytes: Bytes(1 << 30),
            from_amount: MinorUnits(0),
            to_amount: MinorUnits(*charged),
        };
        let settled =
            Settlement { by: SettledBy::Payment, proof: Identity([nth; 32]), debtor, amount: MinorUnits(*paid) };
        let settled = if *paid > 0 { vec![settled] } else { Vec::new() };
        let time: UnixSeconds = date.parse().unwrap();
        let body = PositionBody::next(chain.last(), third, key.public(), two, time, vec![line], settled);
        chain.push(Signed::sign(&body.unwrap(), key).unwrap());
    }
    chain
}

/// Puts positions into the books of a directory.
fn keep(place: &Place, dir: &str, chain: &[Position]) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let location = Location::Sqlite(Home::new(place.path(dir)).ledger());
        let ledger = Ledger::open(location, UnixSeconds(1)).await.unwrap();
        for position in chain {
            ledger.post(position.clone(), position.body().time).await.unwrap();
        }
        ledger.close().await;
    });
}

#[test]
fn a_signed_statement_is_read_again_and_held_against_what_is_at_hand() {
    let place = Place::new();
    let (payer, payee) = (place.grid_manager("gm1", 61), place.grid_manager("gm2", 62));
    let third = place.grid_manager("gm3", 63);
    for (dir, manager) in [("third", "gm3"), ("payer", "gm1"), ("payee", "gm2"), ("behind", "gm1"), ("other", "gm1")] {
        ok(place.run(&format!("init {dir} --grid-manager {manager} {LOCAL}")));
    }
    // Once, so that its record lists its gateway's key.
    let running = place.start("third");
    eventually("a record with a gateway", || {
        let bytes = std::fs::read(place.path("third/own.record")).ok()?;
        let record = GridRecord::from_bytes(&bytes, &third).ok()?;
        (!record.gateways().is_empty()).then_some(())
    });
    assert_eq!(running.terminate(), 0);
    let key = read_key(&Home::new(place.path("third")).gateway_key()).unwrap();

    let booked = [
        ("2026-01-10", payer, 30_000_000, 0),
        ("2026-02-03", payer, 40_000_000, 0),
        ("2026-02-20", payer, 1, 20_000_000),
        ("2026-03-02", payee, 5_000_000, 0),
    ];
    let positions = chain(&key, third, (payer, payee), &booked);
    for dir in ["third", "payer", "payee"] {
        keep(&place, dir, &positions);
    }
    keep(&place, "behind", &positions[..1]);
    keep(&place, "other", &chain(&key, third, (payer, payee), &[booked[0], ("2026-02-03", payer, 41_000_000, 0)]));

    // A third one has its own with the payer, of another amount: which two is to be said.
    let fourth = place.grid_manager("gm4", 64);
    keep(&place, "third", &chain(&key, third, (payer, fourth), &[("2026-02-03", payer, 90_000_000, 0)]));
    let several = place.run(&format!("statement {payer} --period 2026-02 --sign wrong -d third"));
    refused(&several, 4, "keeps 2 chains");
    assert!(several.stderr.contains("--with GRID_ID"), "{}", several.stderr);
    let one =
        ok(place.run(&format!("statement {payer} --with {fourth} --period 2026-02 --sign theirs --json -d third")));
    assert_eq!(one.json()["statements"].as_array().unwrap().len(), 1, "{}", one.stdout);
    assert_eq!(one.json()["statements"][0]["payable"], "90000000");
    ok(place.run("statement check theirs -d third"));
    let none =
        ok(place.run(&format!("statement {payer} --with {fourth} --asset EUR --period 2026-02 --json -d third")));
    assert_eq!(none.json()["statements"], serde_json::json!([]));

    // Only whoever keeps the chain signs, and only once its period is over.
    let sign = |dir: &str, grid: GridId, period: &str, file: &str| {
        place.run(&format!("statement {grid} --period {period} --sign {file} -d {dir}"))
    };
    refused(&sign("payer", payee, "2026-02", "wrong"), 4, "keeps 0 chains");
    refused(&sign("third", payee, "2026-02-01..2999-01-01", "wrong"), 4, "is not over");
    assert!(!place.path("wrong").exists());
    ok(sign("third", payee, "2026-02", "february"));
    assert_eq!(sign("third", payee, "2026-02", "february").status, 1, "it replaces nothing");

    let expected = serde_json::json!({
        "issuer": third.to_string(), "signer": key.public().to_string(), "signer_known_by": "record",
        "creditor": payee.to_string(), "debtor": payer.to_string(),
        "from_unix_seconds": 1_769_904_000, "until_unix_seconds": 1_772_323_200, "asset": "USD", "scale": 9,
        "brought_forward": "30000000", "charged": "40000001", "set_off": "0", "settled": "20000000",
        "payable": "50000000", "carried": "1", "position": positions[2].identity().to_string(), "positions": 3,
    });
    let check = |words: &str| place.run(&format!("statement check {words}"));
    let is_expected = |ended: &Ended, positions: u64, books: &str| {
        let mut found = ended.json();
        assert!(found.as_object_mut().unwrap().remove("statement").unwrap().is_string());
        let mut expected = expected.clone();
        (expected["positions"], expected["books"]) = (positions.into(), books.into());
        assert_eq!(found, expected);
    };
    is_expected(&check("february -d third --json"), 3, "agree");
    for dir in ["payer", "payee"] {
        is_expected(&check(&format!("february -d {dir} --record third/own.record --json")), 3, "agree");
    }
    is_expected(&check("february -d nowhere --record third/own.record --json"), 3, "none");
    let text = ok(check("february -d payer --record third/own.record")).stdout;
    for line in [
        "payable          0.05 USD",
        "that key         is listed in a record of that grid",
        "books here       come to the same",
    ] {
        assert!(text.contains(line), "{text}");
    }

    // By somebody who has the file, the record and the specification, and none of these programs.
    let auditor = |words: &[&str]| {
        let python = std::env::var_os("LAFS_TEST_PYTHON").filter(|python| !python.is_empty());
        if python.is_none() {
            assert!(std::env::var("REQUIRE_INTEROP").map_or(true, |value| value != "1"), "LAFS_TEST_PYTHON is not set");
            println!("SKIPPED: audit_statement.py: LAFS_TEST_PYTHON names no Python that has cbor2 and cryptography");
        }
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/audit_statement.py");
        let mut command = Command::new(python?);
        Some(Ended::of(command.arg("-B").arg(script).args(words).current_dir(place.path(".")).output().unwrap()))
    };
    if let Some(audited) = auditor(&["february", "--record", "third/own.record"]) {
        let audited = ok(audited).json();
        let mut ours = ok(check("february -d nowhere --record third/own.record --json")).json();
        ours.as_object_mut().unwrap().remove("books");
        assert_eq!(audited, ours);
    }
    if let Some(audited) = auditor(&["february"]) {
        assert_eq!(audited.status, 3, "{}", audited.stderr);
        assert!(audited.stdout.contains("\"signer_known_by\": \"unknown\""), "{}", audited.stdout);
    }

    // Whose key it is nobody here knows: the figures are shown, and it is no success.
    let unknown = check("february -d nowhere");
    refused(&unknown, 3, "is not known here");
    assert!(unknown.stdout.contains("is not known here"), "{}", unknown.stdout);
    // Books that have another history of the two, and books that have not come so far.
    refused(
        &check("february -d other --record third/own.record"),
        11,
        "against the books here: position: the statement says",
    );
    refused(&check("february -d behind --record third/own.record"), 11, "statement --now");

    // Alone, as a gateway gives it.
    let proof = StatementProof::from_bytes(&place.read("february")).unwrap();
    place.write("alone", proof.statement().bytes());
    is_expected(&check("alone -d payer --record third/own.record --json"), 0, "agree");
    let alone = check("alone -d nowhere --record third/own.record --json");
    is_expected(&alone, 0, "none");
    assert!(alone.stderr.contains("were not computed again"), "{}", alone.stderr);

    // One that the same key has signed, which adds up and is not true.
    let body = proof.statement().body();
    let mut false_body = body.clone();
    (false_body.charged, false_body.payable) = (MinorUnits(50_000_001), MinorUnits(60_000_000));
    let forged = StatementProof::of(Signed::sign(&false_body, &key).unwrap(), &positions).unwrap();
    place.write("forged", forged.to_bytes());
    let says = "charged: the statement says 50000001, and the positions come to 40000001";
    refused(&check("forged -d nowhere --record third/own.record"), 11, says);
    place.write("forged-alone", forged.statement().bytes());
    refused(&check("forged-alone -d payer --record third/own.record"), 11, says);
    let mut broken = place.read("february");
    let last = broken.len() - 1;
    broken[last] ^= 1;
    place.write("broken", &broken);
    refused(&check("broken -d payer"), 11, "position 2: ");
    place.write("broken", "no statement");
    refused(&check("broken -d payer"), 2, "`broken`: ");
    assert_eq!(check("missing -d payer").status, 3);
}

#[test]
fn lines_for_a_spreadsheet_end_with_the_totals_of_each_statement() {
    let place = Place::new();
    let (payer, payee, third) =
        (place.grid_manager("gm1", 61), place.grid_manager("gm2", 62), place.grid_manager("gm3", 63));
    ok(place.run(&format!("init payer --grid-manager gm1 {LOCAL}")));
    let key = SecretKey::from_seed(&[63; 32]);
    let booked = [("2026-01-10", payer, 30_000_000, 0), ("2026-02-03", payer, 40_000_001, 20_000_000)];
    let positions = chain(&key, third, (payer, payee), &booked);
    keep(&place, "payer", &positions);
    let csv = ok(place.run("statement --period 2026-02 --csv -d payer")).stdout;
    let (lane, last) = (Identity([1; 32]), positions[1].identity());
    let mut expected = "booked_at,creditor,debtor,clearing,kind,identity,bytes,asset,scale,amount\n".to_owned();
    for (time, kind, identity, bytes, amount) in [
        ("2026-02-03T00:00:00Z", "lane", lane, "1073741824", "40000001"),
        ("2026-02-03T00:00:00Z", "payment", lane, "0", "20000000"),
        ("", "brought_forward", last, "", "30000000"),
        ("", "charged", last, "", "40000001"),
        ("", "set_off", last, "", "0"),
        ("", "settled", last, "", "20000000"),
        ("", "payable", last, "", "50000000"),
        ("", "carried", last, "", "1"),
    ] {
        expected += &format!("{time},{payee},{payer},{third},{kind},{identity},{bytes},USD,9,{amount}\n");
    }
    assert_eq!(csv, expected);
}
