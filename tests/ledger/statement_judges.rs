//! Two judges of signed statements, this program and `scripts/audit_statement.py`: both take and both refuse the same, of chains and
//! periods at random, and of what was changed in them before it was signed.

use crate::cli::python;
use crate::objects::{grid, public, secret, usd};
use lafs_clearinghouse::cbor::MapWriter;
use lafs_clearinghouse::netting::{bill, check_proof};
use lafs_clearinghouse::signed::Identity;
use lafs_clearinghouse::tariff::statement_proof::StatementProof;
use lafs_clearinghouse::tariff::wire::{
    Party, Position, PositionBody, PositionLine, SettledBy, Settlement, Signed, StatementBody,
};
use lafs_clearinghouse::units::{Bytes, MinorUnits, Seconds, UnixSeconds};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

const CLEARING: u8 = 99;
const BEGAN: UnixSeconds = UnixSeconds(1_800_000_000);
const LATER: UnixSeconds = UnixSeconds(1_900_000_000);

/// What is booked at once: how many days after what was booked before, for whom, how much, and how much is paid of whose debt.
type Booked = (u64, bool, u64, bool, u64);

fn party(first: bool) -> Party {
    if first { Party::First } else { Party::Second }
}

fn chain(booked: &[Booked]) -> Vec<Position> {
    let (first, second) = (grid(1).min(grid(2)), grid(1).max(grid(2)));
    let (mut chain, mut time) = (Vec::<Position>::new(), BEGAN);
    for (nth, (days, debtor, charged, payer, paid)) in (0..).zip(booked) {
        time = time.plus(Seconds::days(*days));
        let lane = Identity([nth; 32]);
        let line = PositionLine {
            lane,
            debtor: party(*debtor),
            from_bytes: Bytes(0),
            to_bytes: Bytes(1),
            from_amount: MinorUnits(0),
            to_amount: MinorUnits(*charged),
        };
        let settled =
            Settlement { by: SettledBy::Payment, proof: lane, debtor: party(*payer), amount: MinorUnits(*paid) };
        let settled = if *paid > 0 { vec![settled] } else { Vec::new() };
        let two = (first, second, usd());
        let body =
            PositionBody::next(chain.last(), grid(CLEARING), public(CLEARING), two, time, vec![line], settled).unwrap();
        chain.push(Signed::sign(&body, &secret(CLEARING)).unwrap());
    }
    chain
}

/// The file, whatever is in it.
fn file(statement: &[u8], positions: &[Position]) -> Vec<u8> {
    let item = |bytes: &[u8]| {
        let mut map = MapWriter::new();
        // Behind the head of the map and the key.
        map.bytes(0, bytes).finish()[2..].to_vec()
    };
    let mut map = MapWriter::new();
    map.uint(0, 1).bytes(1, statement);
    if !positions.is_empty() {
        map.array(2, &positions.iter().map(|position| item(position.bytes())).collect::<Vec<_>>());
    }
    map.finish()
}

/// One that holds, and what becomes of it by changes that are signed; with what was done.
fn cases_of(booked: &[Booked], from: u64, days: u64, by: u64) -> Vec<(&'static str, Vec<u8>)> {
    let chain = chain(booked);
    let from = BEGAN.plus(Seconds::days(from));
    let Some(bill) = bill(&chain, from..from.plus(Seconds::days(days))) else { return Vec::new() };
    let Some(body) = bill.statement(grid(CLEARING), public(CLEARING)) else { return Vec::new() };
    let signed = |body: &StatementBody| Some(Signed::sign(body, &secret(CLEARING)).ok()?.bytes().to_vec());
    let true_one = signed(&body).unwrap();
    let mut cases = vec![("nothing", file(&true_one, &chain)), ("alone", true_one.clone())];
    let more = |amount: MinorUnits| MinorUnits(amount.0 + by);
    let changed = [
        ("charged", StatementBody { charged: more(body.charged), carried: more(body.carried), ..body.clone() }),
        ("settled", StatementBody { settled: more(body.settled), charged: more(body.charged), ..body.clone() }),
        (
            "brought forward",
            StatementBody { brought_forward: more(body.brought_forward), set_off: more(body.set_off), ..body.clone() },
        ),
        ("turned", StatementBody { creditor: body.debtor, debtor: body.creditor, ..body.clone() }),
        ("begins later", StatementBody { from: body.from.plus(Seconds::days(by % 9)), ..body.clone() }),
        ("ends later", StatementBody { until: body.until.plus(Seconds::days(by % 9)), ..body.clone() }),
        ("another issuer", StatementBody { issuer: grid(3), ..body.clone() }),
        ("no position", StatementBody { position: None, ..body.clone() }),
    ];
    for (name, body) in &changed {
        cases.extend(signed(body).map(|bytes| (*name, file(&bytes, &chain))));
    }
    // What the positions may be shortened by, and what they may not.
    let place = usize::try_from(by).unwrap() % chain.len();
    let mut without = chain.clone();
    without.remove(place);
    let mut moved = chain.clone();
    moved.swap(place, 0);
    let as_written = StatementProof::of(Signed::from_bytes(&true_one).unwrap(), &chain).unwrap();
    cases.push(("as it is written", as_written.to_bytes()));
    for (name, positions) in [
        ("one left out", without),
        ("from there on", chain[place..].to_vec()),
        ("up to there", chain[..place].to_vec()),
        ("another order", moved),
    ] {
        cases.push((name, file(&true_one, &positions)));
    }
    // A position that the clearing node has signed otherwise, as the last one, so that all others follow each other.
    let last = chain.last().unwrap().body();
    let more_charged = MinorUnits(last.charged_first.0 + by % 3);
    let earlier = last.time.minus(Seconds::days(by % 12));
    for (name, last) in [
        ("its totals", PositionBody { charged_first: more_charged, ..last.clone() }),
        ("its time", PositionBody { time: earlier, ..last.clone() }),
        ("its number", PositionBody { number: last.number + by % 2, ..last.clone() }),
    ] {
        let Ok(last) = Signed::sign(&last, &secret(CLEARING)) else { continue };
        let positions = [&chain[..chain.len() - 1], &[last]].concat();
        let said = StatementBody { position: positions.last().map(Signed::identity), ..body.clone() };
        cases.extend(signed(&said).map(|bytes| (name, file(&bytes, &positions))));
        cases.push((name, file(&true_one, &positions)));
    }
    let place = usize::try_from(by).unwrap() * 7 % cases[0].1.len();
    let mut flipped = cases[0].1.clone();
    flipped[place] ^= 1;
    cases.push(("a bit", flipped));
    cases.push(("cut off", cases[0].1[..place].to_vec()));
    cases
}

#[test]
fn both_judges_take_and_refuse_the_same_statements() {
    let Some(python) = python() else { return };
    let amount = prop_oneof![0..5_u64, 0..200_000_000_u64, Just(40_000_000_u64)];
    let booked = prop::collection::vec((0..12_u64, any::<bool>(), amount.clone(), any::<bool>(), amount), 1..7);
    let all = (booked, 0..30_u64, 1..30_u64, 1..1_000_u64);
    let mut runner = TestRunner::deterministic();
    let mut cases = Vec::new();
    while cases.len() < 800 {
        let (booked, from, days, by) = all.new_tree(&mut runner).unwrap().current();
        cases.extend(cases_of(&booked, from, days, by));
    }
    let folder = tempfile::tempdir().unwrap();
    let files: Vec<PathBuf> = (0..cases.len()).map(|number| folder.path().join(number.to_string())).collect();
    cases.iter().zip(&files).for_each(|((_, bytes), file)| std::fs::write(file, bytes).unwrap());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/audit_statement.py");
    let mut command = Command::new(&python);
    let output = command.arg("-B").arg(script).args(["--now", &LATER.0.to_string()]).args(&files).output().unwrap();
    let (taken, said) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!(output.status.code(), Some(1), "{said}");
    let taken: BTreeMap<PathBuf, Value> = taken
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .map(|line| (line["file"].as_str().unwrap().into(), line))
        .collect();
    assert_eq!(said.lines().count() + taken.len(), cases.len(), "every one was judged: {said}");
    let mut outcomes: BTreeMap<&str, [u32; 2]> = BTreeMap::new();
    for ((name, bytes), file) in cases.iter().zip(&files) {
        let proof = StatementProof::from_bytes(bytes);
        let ours = proof.as_ref().map_err(ToString::to_string);
        let ours = ours.and_then(|proof| check_proof(proof, LATER).map(|()| proof).map_err(|fault| fault.to_string()));
        let theirs = taken.get(file);
        assert_eq!(ours.is_ok(), theirs.is_some(), "{name}: {ours:?}, and they say {theirs:?}\n{said}");
        outcomes.entry(name).or_default()[usize::from(ours.is_ok())] += 1;
        let (Ok(proof), Some(theirs)) = (ours, theirs) else { continue };
        let body = proof.statement().body();
        assert_eq!(theirs["statement"], proof.statement().identity().to_string(), "{name}");
        assert_eq!(theirs["positions"], proof.positions().len(), "{name}");
        assert_eq!(theirs["signer_known_by"], "grid_key", "{name}");
        assert_eq!([&theirs["debtor"], &theirs["creditor"]], [&body.debtor.to_string(), &body.creditor.to_string()]);
        for (figure, amount) in [("payable", body.payable), ("carried", body.carried), ("set_off", body.set_off)] {
            assert_eq!(theirs[figure], amount.0.to_string(), "{name}: {figure}");
        }
    }
    // Each was done often enough, and none of what must hold or must not came out otherwise.
    for name in ["nothing", "alone", "as it is written"] {
        assert!(outcomes[name][0] == 0 && outcomes[name][1] > 20, "{name}: {outcomes:?}");
    }
    for name in ["charged", "settled", "brought forward", "turned", "another issuer", "no position", "a bit"] {
        assert!(outcomes[name][1] == 0 && outcomes[name][0] > 20, "{name}: {outcomes:?}");
    }
    for name in ["begins later", "one left out", "from there on", "up to there", "its time"] {
        assert!(outcomes[name].iter().all(|count| *count > 0), "{name}: {outcomes:?}");
    }
}
