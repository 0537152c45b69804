//! The test vectors of `tests/vectors/`, judged by this crate; and by a second and a third implementation,
//! `scripts/verify_record.py` and `tests/interop/js/`.
//!
//! The vectors say what is right. Where this crate differs, `docs/spec/` decides who is wrong.

#[path = "vectors/class.rs"]
mod class;
#[path = "vectors/view.rs"]
mod view;

use lafs_clearinghouse::keys::{GridId, KeyError, PublicKey, SecretKey};
use lafs_clearinghouse::netting::check_proof;
use lafs_clearinghouse::rate::Asset;
use lafs_clearinghouse::record::{self, GridRecord, SignedRecord, TimeFault, Verdict};
use lafs_clearinghouse::session::{Channel, Claimant, Membership, SessionClaim, Standing};
use lafs_clearinghouse::tariff::statement_proof::StatementProof;
use lafs_clearinghouse::tariff::wire::{
    Claim, Consent, Deck, LaneOpen, LaneReport, Payment, Position, Receipt, Revoke, Statement, Terms, Voucher,
    WireError,
};
use lafs_clearinghouse::units::UnixSeconds;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors")
}

/// One vector; its place is told by whoever panics about it.
struct Vector {
    place: String,
    fields: Map<String, Value>,
}

impl Vector {
    fn text(&self, name: &str) -> &str {
        self.fields.get(name).and_then(Value::as_str).unwrap_or_else(|| panic!("{}: no `{name}`", self.place))
    }

    fn octets(&self, name: &str) -> Vec<u8> {
        octets(self.text(&format!("{name}_hex")))
    }

    fn array<const N: usize>(&self, name: &str) -> [u8; N] {
        self.octets(name).try_into().unwrap_or_else(|_| panic!("{}: `{name}` has another size", self.place))
    }

    fn grid(&self) -> GridId {
        self.text("grid_id").parse().unwrap_or_else(|error| panic!("{}: {error}", self.place))
    }

    fn now(&self) -> UnixSeconds {
        UnixSeconds(self.fields["now_unix_seconds"].as_u64().unwrap_or_else(|| panic!("{}: no time", self.place)))
    }

    fn record(&self, name: &str) -> GridRecord {
        read(&self.octets(name), &self.grid(), &self.place)
    }
}

fn octets(hex: &str) -> Vec<u8> {
    data_encoding::HEXLOWER.decode(hex.as_bytes()).expect("hexadecimal digits")
}

fn read(bytes: &[u8], grid: &GridId, place: &str) -> GridRecord {
    GridRecord::from_bytes(bytes, grid).unwrap_or_else(|error| panic!("{place}: {error}"))
}

/// The vectors of one kind, from every file; at least `least`, so that none is lost unseen.
fn vectors(kind: &str, least: usize) -> Vec<Vector> {
    let mut found = Vec::new();
    for folder in ["record", "signed", "session", "clearing"].map(|name| folder().join(name)) {
        let files = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let mut paths: Vec<PathBuf> = files.map(|file| file.expect("a file").path()).collect();
        paths.sort();
        for path in paths.iter().filter(|path| path.extension().is_some_and(|extension| extension == "json")) {
            let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let document: Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            if document["kind"] != kind {
                continue;
            }
            for vector in document["vectors"].as_array().expect("an array of vectors") {
                let fields = vector.as_object().expect("a vector").clone();
                let place = format!("{} {}", path.file_stem().expect("a name").display(), fields["name"]);
                found.push(Vector { place, fields });
            }
        }
    }
    assert!(found.len() >= least, "{} vectors of kind {kind}", found.len());
    found
}

/// Fails with all differences at once.
fn agree(differences: &[String]) {
    assert!(differences.is_empty(), "{} differences:\n{}", differences.len(), differences.join("\n"));
}

#[test]
fn every_record_is_judged_as_the_vectors_say() {
    let mut differences = Vec::new();
    for vector in vectors("record", 600) {
        let (bytes, grid, now) = (vector.octets("bytes"), vector.grid(), vector.now());
        let holder = SignedRecord::from_bytes(&bytes, &grid);
        let reader = GridRecord::from_bytes(&bytes, &grid);
        let timed = |signed: &SignedRecord| signed.time_fault(now).map_or("ok", class::of_time);
        let outcomes = [
            ("holder", holder.as_ref().map_or_else(|error| class::of(error, &bytes), timed)),
            ("reader", reader.as_ref().map_or_else(|error| class::of(error, &bytes), |r| timed(r.signed()))),
        ];
        for (role, found) in outcomes {
            let expected = vector.text(role);
            if found != expected {
                let error = reader.as_ref().err().or(holder.as_ref().err());
                let error = error.map_or(String::new(), |error| format!(": {error}"));
                differences.push(format!("{}: {role} {found}, expected {expected}{error}", vector.place));
            }
        }
        let views = [
            ("holder_view", holder.as_ref().ok().map(view::of_holder)),
            ("reader_view", reader.as_ref().ok().map(view::of_reader)),
        ];
        for (name, found) in views {
            let Some(expected) = vector.fields.get(name) else { continue };
            let expected = view::with_defaults(expected);
            if found.as_ref() != Some(&expected) {
                differences.push(format!("{}: {name} {found:?}, expected {expected}", vector.place));
            }
        }
    }
    agree(&differences);
}

#[test]
fn a_holder_of_nothing_answers_every_offer_as_the_vectors_say() {
    let mut differences = Vec::new();
    for vector in vectors("record", 600) {
        let (bytes, grid) = (vector.octets("bytes"), vector.grid());
        let judgement = record::judge(None, &bytes, &grid, vector.now());
        let right = match (vector.text("holder"), &judgement.verdict) {
            ("ok", Verdict::Stored) => judgement.store.is_some_and(|stored| stored.bytes() == bytes),
            ("too-big", Verdict::TooBig) | ("time-expired", Verdict::Expired) => judgement.store.is_none(),
            ("ok" | "too-big" | "time-expired", _) => false,
            (_, Verdict::Bad(_)) => judgement.store.is_none(),
            _ => false,
        };
        if !right {
            differences.push(format!("{}: {:?}", vector.place, judgement.verdict));
        }
    }
    agree(&differences);
}

#[test]
fn the_newer_of_two_is_the_one_that_the_vectors_name() {
    let mut differences = Vec::new();
    for vector in vectors("supersede", 20) {
        let [a, b] = ["a", "b"].map(|name| {
            SignedRecord::from_bytes(&vector.octets(name), &vector.grid())
                .unwrap_or_else(|error| panic!("{}: {error}", vector.place))
        });
        let found = match (a.supersedes(&b), b.supersedes(&a), a.identity() == b.identity()) {
            (true, false, false) => "a",
            (false, true, false) => "b",
            (false, false, true) => "same",
            _ => "no order at all",
        };
        if found != vector.text("newer") {
            differences.push(format!("{}: {found}", vector.place));
        }
    }
    agree(&differences);
}

#[test]
fn broken_commitments_are_those_that_the_vectors_name() {
    let mut differences = Vec::new();
    for vector in vectors("commitment", 25) {
        let breaches = record::breaches(&vector.record("older"), &vector.record("newer"));
        let found: Vec<&str> = breaches.iter().map(|breach| breach.promised.asset.code()).collect();
        if json!(found) != vector.fields["broken"] {
            differences.push(format!("{}: {found:?}", vector.place));
        }
    }
    agree(&differences);
}

#[test]
fn binding_prices_are_those_of_the_vectors() {
    let mut differences = Vec::new();
    for vector in vectors("binding", 15) {
        let now = vector.now();
        let hexes = vector.fields["records_hex"].as_array().expect("records");
        let records: Vec<GridRecord> = hexes
            .iter()
            .map(|hex| read(&octets(hex.as_str().expect("digits")), &vector.grid(), &vector.place))
            .collect();
        let current = records.first().filter(|record| record.signed().time_fault(now).is_none());
        for (code, expected) in vector.fields["prices"].as_object().expect("prices") {
            let asset = Asset::from_code(code).expect("known");
            let found = record::binding_price(asset, current, &records, now);
            if json!(found.map(|price| price.to_string())) != *expected {
                differences.push(format!("{}: {code} {found:?}, expected {expected}", vector.place));
            }
        }
    }
    agree(&differences);
}

#[test]
fn assets_are_those_of_the_vectors_and_of_the_specification() {
    let mut known = BTreeMap::new();
    for vector in vectors("asset", 200) {
        let found = Asset::from_code(vector.text("name"));
        let outcome = found.as_ref().map_or_else(class::of_asset, |_| "ok");
        assert_eq!(outcome, vector.text("outcome"), "{}", vector.place);
        if let Ok(asset) = found {
            assert_eq!(json!(asset.scale()), vector.fields["scale"], "{}", vector.place);
            known.insert(asset.code(), asset.scale());
        }
    }
    let table = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/spec/assets.csv");
    let table = std::fs::read_to_string(table).expect("the table of assets");
    let rows: Vec<String> = known.iter().map(|(code, scale)| format!("{code},{scale}")).collect();
    assert_eq!(table.lines().skip(1).collect::<Vec<_>>(), rows);
    let letters = || 'A'..='Z';
    let codes = letters().flat_map(|a| letters().flat_map(move |b| letters().map(move |c| format!("{a}{b}{c}"))));
    for code in codes {
        assert_eq!(Asset::from_code(&code).is_ok(), known.contains_key(code.as_str()), "{code}");
    }
}

#[test]
fn signatures_verify_as_strictly_as_the_vectors_say() {
    for vector in vectors("ed25519", 30) {
        let verified = PublicKey::from_bytes(&vector.array("public_key")).map(|key| {
            key.verify(&vector.octets("message"), &vector.array("signature")).map_or("signature", |()| "ok")
        });
        let outcome = verified.unwrap_or_else(|error| {
            assert!(matches!(error, KeyError::NotAPoint | KeyError::SmallOrder), "{}: {error}", vector.place);
            "key"
        });
        assert_eq!(outcome, vector.text("outcome"), "{}", vector.place);
    }
}

#[test]
fn test_keys_grow_from_their_seeds() {
    for vector in vectors("key", 5) {
        let public = SecretKey::from_seed(&vector.array("seed")).public();
        assert_eq!(public.as_bytes(), &vector.array("public_key"), "{}", vector.place);
        assert_eq!(GridId::new(public), vector.grid(), "{}", vector.place);
    }
}

#[test]
fn every_claim_to_a_session_is_judged_as_the_vectors_say() {
    let mut differences = Vec::new();
    for vector in vectors("session", 35) {
        let channel =
            Channel { grid: vector.grid(), spki_hash: vector.array("spki_hash"), exporter: vector.array("exporter") };
        let claim = SessionClaim::from_bytes(&vector.octets("bytes"), &channel, vector.now());
        let found = claim.as_ref().map_or_else(class::of_claim, |_| "ok");
        if found != vector.text("outcome") {
            let error = claim.as_ref().err();
            differences.push(format!("{}: {found}, expected {}: {error:?}", vector.place, vector.text("outcome")));
        }
        if let Ok(claim) = claim {
            let caller = if matches!(claim.claimant(), Claimant::Grid(_)) { "grid" } else { "client" };
            let said = (caller, claim.key().to_string(), claim.nonce());
            let expected = (vector.text("caller"), vector.text("key").to_owned(), vector.array("nonce"));
            if said != expected {
                differences.push(format!("{}: {said:?}, expected {expected:?}", vector.place));
            }
        }
    }
    agree(&differences);
}

#[test]
fn every_membership_is_judged_as_the_vectors_say() {
    let mut differences = Vec::new();
    for vector in vectors("membership", 30) {
        let publisher: PublicKey = vector.text("publisher").parse().expect("a key");
        let membership = Membership::from_bytes(&vector.octets("bytes"), &vector.grid(), Some(&publisher));
        let found = membership.as_ref().map_or_else(class::of_membership, |_| "ok");
        if found != vector.text("outcome") {
            let error = membership.as_ref().err();
            differences.push(format!("{}: {found}, expected {}: {error:?}", vector.place, vector.text("outcome")));
        }
        if let Ok(membership) = membership {
            let draft = membership.draft();
            let hex = |hash: &[u8; 32]| data_encoding::HEXLOWER.encode(hash);
            let view = json!({
                "key": draft.key.to_string(),
                "serial": draft.serial.to_string(),
                "label": draft.label.as_str(),
                "groups": draft.groups.iter().map(ToString::to_string).collect::<Vec<_>>(),
                "not_after": draft.not_after.0.to_string(),
                "servers_hex": draft.servers.iter().map(hex).collect::<Vec<_>>(),
                "removed": draft.standing == Standing::Removed,
            });
            for (name, said) in view.as_object().expect("an object") {
                if vector.fields.get(name) != Some(said) {
                    differences.push(format!("{}: {name} {said}", vector.place));
                }
            }
        }
    }
    agree(&differences);
}

/// The identity of an object of money, or the class of what is wrong with it.
fn money(vector: &Vector) -> Result<String, WireError> {
    let bytes = vector.octets("bytes");
    let lane = vector.fields.get("lane_hex").map(|_| LaneOpen::from_bytes(&vector.octets("lane")).expect("a lane"));
    let lane = || lane.as_ref().expect("a lane");
    let identity = match vector.text("type") {
        "deck/1" => Deck::from_bytes(&bytes)?.identity(),
        "terms/1" => Terms::from_bytes(&bytes)?.identity(),
        "lane-open/1" => LaneOpen::from_bytes(&bytes)?.identity(),
        "voucher/1" => Voucher::of_lane(&bytes, lane())?.identity(),
        "lane-report/1" => LaneReport::of_lane(&bytes, lane())?.identity(),
        "claim/1" => Claim::from_bytes(&bytes)?.identity(),
        "receipt/1" => Receipt::from_bytes(&bytes)?.identity(),
        "position/1" => Position::from_bytes(&bytes)?.identity(),
        "consent/1" => Consent::from_bytes(&bytes)?.identity(),
        "statement/1" => Statement::from_bytes(&bytes)?.identity(),
        "payment/1" => Payment::from_bytes(&bytes)?.identity(),
        "revoke/1" => Revoke::from_bytes(&bytes)?.identity(),
        other => panic!("{}: type {other}", vector.place),
    };
    Ok(identity.to_string())
}

#[test]
fn every_object_of_money_is_judged_as_the_vectors_say() {
    let mut differences = Vec::new();
    for vector in vectors("money", 200) {
        let judged = money(&vector);
        let found = judged.as_ref().map_or_else(WireError::class, |_| "ok");
        let expected = vector.fields.get("identity").and_then(Value::as_str);
        if found != vector.text("outcome") || judged.as_deref().ok() != expected {
            differences.push(format!("{}: {judged:?}, expected {}", vector.place, vector.text("outcome")));
        }
    }
    agree(&differences);
}

#[test]
fn every_statement_with_its_positions_is_judged_as_the_vectors_say() {
    let mut differences = Vec::new();
    for vector in vectors("statement", 60) {
        let proof = StatementProof::from_bytes(&vector.octets("bytes"));
        let found = match &proof {
            Ok(proof) => check_proof(proof, vector.now()).as_ref().map_or_else(class::of_statement, |()| "ok"),
            Err(fault) => class::of_proof(fault),
        };
        if found != vector.text("outcome") {
            differences.push(format!("{}: {found}, expected {}", vector.place, vector.text("outcome")));
        }
        if found == "ok" {
            let proof = proof.expect("what holds has a form");
            let said = (json!(proof.statement().identity().to_string()), json!(proof.positions().len()));
            if (&said.0, &said.1) != (&vector.fields["identity"], &vector.fields["positions"]) {
                differences.push(format!("{}: {said:?}", vector.place));
            }
        }
    }
    agree(&differences);
}

#[test]
fn every_class_of_refusal_has_a_vector() {
    let mut found: Vec<String> =
        vectors("record", 600).iter().flat_map(|vector| ["holder", "reader"].map(|r| vector.text(r).into())).collect();
    found.sort();
    found.dedup();
    let mut classes = class::ALL.to_vec();
    classes.sort_unstable();
    assert_eq!(found, classes);
}

#[test]
fn a_record_that_expires_and_lies_in_the_future_is_not_for_now() {
    // The vectors have one fault each; with two it does not matter which is named.
    let vector = &vectors("record", 600).into_iter().find(|vector| vector.text("name") == "minimal").expect("minimal");
    let signed = SignedRecord::from_bytes(&vector.octets("bytes"), &vector.grid()).expect("right");
    assert!(matches!(signed.time_fault(UnixSeconds(0)), Some(TimeFault::IssuedInFuture { .. })));
}

/// What an environment variable of `scripts/setup` or `scripts/setup-peers` names; `None`, and counted as skipped, without it.
///
/// # Panics
/// If it is not set and `REQUIRE_INTEROP=1` asks for it.
fn prepared(variable: &str) -> Option<OsString> {
    let value = std::env::var_os(variable).filter(|value| !value.is_empty());
    if value.is_none() {
        let required = std::env::var_os("REQUIRE_INTEROP").is_some_and(|value| value == "1");
        assert!(!required, "REQUIRE_INTEROP=1, and {variable} is not set");
        println!("SKIPPED: another implementation's look at the vectors: {variable} is not set");
    }
    value
}

/// What a program said on standard output about all vectors, with its complaints if it did not agree.
fn agreed(program: &mut Command) -> String {
    let output = program.output().unwrap_or_else(|error| panic!("{program:?}: {error}"));
    let (said, complained) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.ends_with(": 0 disagree\n"), "{said}{complained}");
    said.into_owned()
}

#[test]
fn the_second_implementation_agrees_with_every_vector() {
    // Two sets of `cbor2` and `cryptography`, years apart: neither is as strict as we are, and they differ in how.
    for variable in ["LAFS_TEST_PYTHON", "LAFS_TEST_PY_PEER"] {
        let Some(python) = prepared(variable) else { continue };
        let said = agreed(Command::new(&python).arg("-B").arg(folder().join("check.py")));
        for (kind, least) in [("record", 600), ("money", 200), ("statement", 60)] {
            let count = vectors(kind, least).len();
            assert!(said.contains(&format!("{count} {kind},")), "{said}");
        }
    }
}

#[test]
fn the_third_implementation_agrees_with_every_vector_about_records_and_signatures() {
    let Some(_) = prepared("LAFS_TEST_JS_PEER") else { return };
    let said = agreed(Command::new("node").arg(folder().join("../interop/js/vectors.js")));
    let kinds = [("record", 600), ("supersede", 20), ("asset", 200), ("ed25519", 30), ("key", 5)];
    let count: usize = kinds.into_iter().map(|(kind, least)| vectors(kind, least).len()).sum();
    assert!(said.starts_with(&format!("{count} judged")), "{said}");
}

#[test]
fn the_second_verifier_is_a_command() {
    let Some(python) = prepared("LAFS_TEST_PYTHON") else { return };
    let vector = &vectors("record", 600).into_iter().find(|vector| vector.text("name") == "minimal").expect("minimal");
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), vector.octets("bytes")).expect("the record is written");
    let now = vector.now().0;
    for (now, status, words) in [(now, 0, "ok: sequence "), (now + 86_400 * 400, 1, "error: time-expired: ")] {
        let mut script = Command::new(&python);
        script.arg("-B").arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/verify_record.py")).arg(file.path());
        script.args(["--grid", vector.text("grid_id"), "--now", &now.to_string()]);
        let output = script.output().expect("Python runs");
        let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(status) && said.contains(words), "{said}");
    }
}

#[test]
fn the_vectors_are_those_that_their_script_makes() {
    let Some(python) = prepared("LAFS_TEST_PYTHON") else { return };
    let made = tempfile::tempdir().expect("a folder");
    let output = Command::new(&python).arg("-B").arg(folder().join("make.py")).arg(made.path()).output();
    let output = output.unwrap_or_else(|error| panic!("{}: {error}", python.display()));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut files = 0;
    for name in ["record", "signed", "session", "clearing"] {
        let names = |folder: &Path| {
            let files = std::fs::read_dir(folder.join(name)).expect("a folder");
            let mut names: Vec<_> = files.map(|file| file.expect("a file").file_name()).collect();
            names.sort();
            names
        };
        assert_eq!(names(&folder()), names(made.path()));
        for file in names(made.path()) {
            let bytes = |folder: &Path| std::fs::read(folder.join(name).join(&file)).expect("a file");
            assert!(bytes(&folder()) == bytes(made.path()), "{name}/{}: run make.py", file.display());
            files += 1;
        }
    }
    assert!(files >= 16, "{files} files");
}
