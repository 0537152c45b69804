//! Records in files: signed, shown, verified, installed; and each way of being wrong.

use crate::place::Place;
use lafs_clearinghouse::keys::{GridId, SecretKey};
use lafs_clearinghouse::record::{GridRecord, RecordDraft, Signer};
use lafs_clearinghouse::units::UnixSeconds;

const NOW: UnixSeconds = UnixSeconds(1_800_000_000);

fn key() -> SecretKey {
    SecretKey::from_seed(&[1; 32])
}

fn record(draft: &RecordDraft) -> GridRecord {
    draft.sign(Signer::Grid { key: &key(), serial: NOW }, None, &[], NOW).unwrap()
}

fn draft() -> RecordDraft {
    RecordDraft {
        nickname: Some("Grid".parse().unwrap()),
        rates: vec!["0.02 USD/GiB until 2027-06-01".parse().unwrap()],
        ..RecordDraft::new(GridId::new(key().public()))
    }
}

#[test]
fn a_record_is_shown_with_the_weight_of_each_field() {
    let place = Place::new();
    let record = record(&draft());
    let name = record.signed().file_name();
    place.write(&name, record.signed().bytes());
    place.run(&format!("record show {name} --now 2027-01-16")).is(
        0,
        &format!(
            "grid        {}\n\
             nickname    Grid\n\
             rate        0.02 USD/GiB, from 2027-01-15T08:00:00Z, binds until 2027-06-01T00:00:00Z\n\
             sequence    1800000000000\n\
             time        2027-01-15T08:00:00Z to 2027-01-22T08:00:00Z\n\
             signed by   the grid key, serial 1800000000\n\
             identity    {}\n\
             \n\
             {} bytes used, {} left:\n\
             \x20  75  envelope\n    2  format\n   10  sequence\n    6  issued_at\n    6  expires_at\n    2  withdrawn\n\
             \x20   6  authority\n    6  nickname\n   20  rates\n",
            record.grid(),
            record.signed().identity(),
            record.signed().bytes().len(),
            995 - record.signed().bytes().len(),
        ),
        "",
    );
    let json = place.run(&format!("record show {name} --now 2027-01-16 --json")).json();
    assert_eq!(json["rates"][0]["price_per_gib"], "20000000");
    assert_eq!(json["size_bytes"], record.signed().bytes().len());
    let weights = json["fields"].as_array().unwrap().iter().map(|field| field["size_bytes"].as_u64().unwrap());
    assert_eq!(weights.sum::<u64>(), json["size_bytes"].as_u64().unwrap());
}

#[test]
fn each_way_of_being_wrong_has_its_words_and_its_code() {
    let place = Place::new();
    let good = record(&draft());
    let grid = good.grid().to_string();
    let bytes = good.signed().bytes().to_vec();
    let withdrawn = record(&RecordDraft::withdrawal(*good.grid()));
    let other_grid = GridId::new(SecretKey::from_seed(&[2; 32]).public());
    let mut altered = bytes.clone();
    *altered.last_mut().unwrap() ^= 1;
    let mut not_canonical = bytes.clone();
    // An unprotected header that is not empty.
    not_canonical[5] = 0xa1;
    let long = [bytes.clone(), vec![0; 995]].concat();
    /// Name, bytes, grid, time of judgement, exit code, what the message has.
    type Case<'a> = (&'a str, &'a [u8], &'a str, &'a str, i32, &'a str);
    let cases: [Case<'_>; 11] = [
        ("good", &bytes, &grid, "2027-01-16", 0, ""),
        ("empty", b"", &grid, "2027-01-16", 2, "the record is empty: no bytes at all"),
        ("cut off", &bytes[..bytes.len() - 1], &grid, "2027-01-16", 2, "not a signed record: [..]byte [..]"),
        ("padded", &[&bytes[..], b"\0"].concat(), &grid, "2027-01-16", 2, "not a signed record: [..]byte [..]"),
        ("oversized", &long, &grid, "2027-01-16", 2, "[..] bytes, and a record has at most 995"),
        ("not canonical", &not_canonical, &grid, "2027-01-16", 2, "not a signed record: [..]byte [..]"),
        (
            "altered",
            &altered,
            &grid,
            "2027-01-16",
            11,
            "the signature on the record is not one of the grid key: altered, or signed by another key",
        ),
        (
            "another grid's",
            &bytes,
            &other_grid.to_string(),
            "2027-01-16",
            11,
            "the signature on the record is not one of [..]",
        ),
        ("expired", &bytes, &grid, "2027-01-23", 5, "expired on 2027-01-22T08:00:00Z, and it is 2027-01-23T00:00:00Z"),
        (
            "future",
            &bytes,
            &grid,
            "2027-01-15",
            2,
            "issued on 2027-01-15T08:00:00Z, and it is only 2027-01-15T00:00:00Z: [..]",
        ),
        ("withdrawn", withdrawn.signed().bytes(), &grid, "2027-01-16", 6, "the grid [..] has withdrawn"),
    ];
    for (name, bytes, grid, now, code, message) in cases {
        place.write("r", bytes);
        let ended = place.run(&format!("record verify r --grid {grid} --now {now} --json"));
        assert_eq!(ended.status, code, "{name}: {}", ended.stdout);
        if code == 0 {
            assert_eq!(ended.json()["identity"], good.signed().identity().to_string());
            continue;
        }
        let text = place.run(&format!("record verify r --grid {grid} --now {now}"));
        let first = text.stderr.lines().next().unwrap();
        let parts: Vec<&str> = message.split("[..]").collect();
        assert!(parts.iter().all(|part| first.contains(part)), "{name}: {first}");
    }
}

#[test]
fn a_file_not_named_after_its_grid_needs_the_grid() {
    let place = Place::new();
    place.write("r", record(&draft()).signed().bytes());
    place.run("record show r").is(
        2,
        "",
        "clearinghouse: error: `r` is not named after its grid\n\
         clearinghouse: hint: name the grid with `--grid ID`: a record does not say whose it is, its signature proves it\n",
    );
}

#[test]
fn a_record_goes_from_the_node_to_the_key_and_back() {
    let place = Place::new();
    let grid = place.grid_manager("gm", 1);
    place.run_words([
        "init",
        "node",
        "--grid-id",
        &grid.to_string(),
        "--external",
        "n.example.org",
        "--rate",
        "0.02 USD/GiB until 2027-06-01",
    ]);
    place.run("record draft -d node -o draft.toml").is(0, "draft.toml\n", "");
    let signed = place.run("record sign draft.toml --grid-manager gm -o first");
    signed.is(
        0,
        &format!(
            "record    first\ngrid      {grid}\nsequence  [..]\nexpires   [..]\nsize      [..] bytes, [..] left\n"
        ),
        "",
    );
    let note = "clearinghouse: note: no node is running here: it is published once `clearinghouse run` is\n";
    place.run("record install first -d node").is(0, "installed the record with sequence [..], good until [..]\n", note);
    assert_eq!(place.read("node/own.record"), place.read("first"));
    let json = place.run(&format!("record show first --grid {grid} --json")).json();
    assert_eq!(json["nodes"][0]["addrs"][0], "/dns/n.example.org/udp/25519/quic-v1");
    // Signing again from the same draft promises the same and is newer; the file is not overwritten.
    place.run("record sign draft.toml --grid-manager gm -o first").is(
        1,
        "",
        "clearinghouse: error: cannot create `first`: File exists (os error 17)\n",
    );
}

#[test]
fn a_promise_is_not_broken_far_from_the_node_either() {
    let place = Place::new();
    let grid = place.grid_manager("gm", 1);
    place.run_words([
        "init",
        "node",
        "--grid-id",
        &grid.to_string(),
        "--external",
        "n.example.org",
        "--rate",
        "0.02 USD/GiB until 2027-06-01",
    ]);
    place.run("record draft -d node -o draft.toml");
    place.run("record sign draft.toml --grid-manager gm -o first");
    place.run("record install first -d node");
    place.run("record draft -d node -o draft.toml");
    let dearer = String::from_utf8(place.read("draft.toml")).unwrap().replace("0.02 USD", "0.03 USD");
    place.write("draft.toml", dearer);
    place.run("record sign draft.toml --grid-manager gm -o second").is(
        4,
        "",
        "clearinghouse: error: a promise binds: 0.02 USD/GiB is promised until 2027-06-01T00:00:00Z, and this record asks 0.03 USD/GiB\n\
         clearinghouse: hint: keep the promised price until its date; a lower price, a later date or another asset may be added\n",
    );
    assert!(!place.path("second").exists());
}

#[test]
fn a_draft_that_is_too_heavy_says_what_weighs() {
    let place = Place::new();
    let grid = place.grid_manager("gm", 1);
    let contacts: Vec<String> = (0..4).map(|n| format!("\"https://example.org/{}{n}\"", "x".repeat(100))).collect();
    let gateways: Vec<String> =
        (0..4).map(|n| format!("[[gateways]]\naddress = \"pb://CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk@{}.example.org:410{n}/gateway#v=1\"\n", "a".repeat(60))).collect();
    place.write("draft.toml", format!("grid = \"{grid}\"\ncontact = [{}]\n{}", contacts.join(", "), gateways.concat()));
    let ended = place.run("record sign draft.toml --grid-manager gm");
    assert_eq!(ended.status, 2);
    assert!(ended.stderr.starts_with("clearinghouse: error: the record is too big: envelope 76, "), "{}", ended.stderr);
    assert!(ended.stderr.contains(" contact ") && ended.stderr.contains(" of 995 bytes used, "), "{}", ended.stderr);
}

#[test]
fn a_delegation_has_its_bounds() {
    let place = Place::new();
    let grid = place.grid_manager("gm", 1);
    let publisher = SecretKey::from_seed(&[5; 32]).public();
    place.run(&format!("delegate {publisher} --grid-manager gm --until 2001-01-01")).is(
        2,
        "",
        "clearinghouse: error: --until: 2001-01-01T00:00:00Z has passed\n",
    );
    place.run(&format!("delegate {publisher} --grid-manager gm --until 9000-01-01")).is(
        2,
        "",
        "clearinghouse: error: --until: 9000-01-01T00:00:00Z is more than 400 d away\n\
         clearinghouse: hint: the latest is [..]\n",
    );
    assert_eq!(place.run(&format!("delegate {grid} --grid-manager gm --until 9000-01-01")).status, 2);
}

#[test]
fn the_grid_key_may_come_through_standard_input() {
    let place = Place::new();
    place.grid_manager("gm", 1);
    let json = String::from_utf8(place.read("gm/config.json")).unwrap();
    place.write("draft.toml", format!("grid = \"{}\"\n", GridId::new(key().public())));
    let signed = place.run_with_stdin("record sign draft.toml --grid-manager - -o r --json", &json);
    assert_eq!(signed.json()["file"], "r");
    // A record good for a week from now on is good now.
    assert_eq!(place.run(&format!("record verify r --grid {}", GridId::new(key().public()))).status, 0);
}
