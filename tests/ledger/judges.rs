//! Two judges of evidence bundles, this program and `scripts/audit_bundle.py`: both take and both refuse the same.

use crate::cli::python;
use crate::objects::{MIB, NOW, PRICE, grid, lane_at, public, secret, terms, usd, voucher};
use lafs_clearinghouse::cbor::{MapWriter, Reader};
use lafs_clearinghouse::keys::SecretKey;
use lafs_clearinghouse::signed::{Envelope, ObjectType, seal, sign};
use lafs_clearinghouse::tariff::bundle::{Bundle, BundlePaper, check_bundle};
use lafs_clearinghouse::tariff::wire::{Deck, DeckBody, LaneOpen, Signed};
use lafs_clearinghouse::units::{Bytes, MinorUnits, Seconds};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The entries of a map, each value as its bytes.
type Entries = BTreeMap<u64, Vec<u8>>;

fn entries(map: &[u8]) -> Entries {
    let (mut entries, mut reader) = (Entries::new(), Reader::new(map));
    let read = reader.map(|key, reader| {
        let start = reader.offset();
        reader.skip()?;
        entries.insert(key, reader.since(start).to_vec());
        Ok::<(), lafs_clearinghouse::cbor::CborError>(())
    });
    read.unwrap();
    entries
}

fn map(entries: &Entries) -> Vec<u8> {
    let mut map = MapWriter::new();
    for (key, value) in entries {
        map.encoded(*key, value);
    }
    map.finish()
}

/// The value that stands under a key of a map with one entry.
fn value(write: impl FnOnce(&mut MapWriter) -> &mut MapWriter) -> Vec<u8> {
    let mut map = MapWriter::new();
    entries(&write(&mut map).finish()).remove(&0).unwrap()
}

fn uint(number: u64) -> Vec<u8> {
    value(|map| map.uint(0, number))
}

fn octets(octets: &[u8]) -> Vec<u8> {
    value(|map| map.bytes(0, octets))
}

fn text(text: &str) -> Vec<u8> {
    value(|map| map.text(0, text))
}

fn deck() -> Deck {
    let body = DeckBody {
        seller: grid(2),
        signer: public(2),
        serial: 1,
        audience: None,
        destination: None,
        asset: usd(),
        price: PRICE,
        not_before: NOW.minus(Seconds(5)),
        not_after: NOW.plus(Seconds::days(30)),
    };
    Signed::sign(&body, &secret(2)).unwrap()
}

fn paper(kind: ObjectType, owner: u8, bytes: &[u8]) -> BundlePaper {
    BundlePaper { kind, grid: *grid(owner).as_bytes(), bytes: bytes.to_vec() }
}

/// One that holds: a lane under terms, at the price of a deck.
fn whole() -> Bundle {
    let opened = lane_at(1, 2, 0, Some(deck().identity()));
    Bundle {
        papers: vec![paper(ObjectType::Terms, 1, terms(1, 2).bytes()), paper(ObjectType::Deck, 2, deck().bytes())],
        lanes: vec![(opened.bytes().to_vec(), voucher(&opened, 3 * MIB).bytes().to_vec())],
    }
}

fn payload(signed: &[u8]) -> Entries {
    entries(Envelope::from_bytes(signed).unwrap().payload())
}

fn by_both(object: ObjectType, payload: &[u8], keys: [&SecretKey; 2]) -> Vec<u8> {
    [&seal(object, payload, keys[0])[..], &sign(object, payload, keys[1])].concat()
}

/// The whole bundle with a lane that was changed before both signed it, whatever comes of that; the voucher follows it as far as
/// it can.
fn with_lane(change: impl FnOnce(&mut Entries)) -> Bundle {
    let mut bundle = whole();
    let open = &bundle.lanes[0].0;
    let mut fields = payload(&open[..open.len() - 64]);
    change(&mut fields);
    let open = by_both(ObjectType::LaneOpen, &map(&fields), [&secret(1), &secret(2)]);
    let mut fields = payload(&bundle.lanes[0].1);
    if let Ok(lane) = LaneOpen::from_bytes(&open) {
        let amount = lane.body().charge(Bytes(3 * MIB)).unwrap_or(MinorUnits(0));
        fields.extend([(0, octets(&lane.identity().0)), (2, uint(amount.0))]);
    }
    let voucher = seal(ObjectType::Voucher, &map(&fields), &secret(201));
    bundle.lanes[0] = (open, voucher);
    bundle
}

fn with_voucher(key: &SecretKey, change: impl FnOnce(&mut Entries)) -> Bundle {
    let mut bundle = whole();
    let mut fields = payload(&bundle.lanes[0].1);
    change(&mut fields);
    bundle.lanes[0].1 = seal(ObjectType::Voucher, &map(&fields), key);
    bundle
}

fn with_papers(change: impl FnOnce(&mut Vec<BundlePaper>)) -> Bundle {
    let mut bundle = whole();
    change(&mut bundle.papers);
    bundle
}

/// The whole bundle with its outermost map changed.
fn in_form(change: impl FnOnce(&mut Entries)) -> Vec<u8> {
    let mut fields = entries(&whole().to_bytes());
    change(&mut fields);
    map(&fields)
}

/// Bundles that do not hold, and some that do, by what was done to them.
fn cases() -> Vec<(String, Vec<u8>)> {
    let mut cases: Vec<(String, Vec<u8>)> = Vec::new();
    let mut add = |name: &str, bundle: Bundle| cases.push((name.to_owned(), bundle.to_bytes()));
    add("whole", whole());
    add("empty", Bundle::default());
    add("no lanes", Bundle { lanes: vec![], ..whole() });
    add("no papers", Bundle { papers: vec![], ..whole() });
    add("twice", Bundle { lanes: [whole().lanes, whole().lanes].concat(), ..whole() });
    add("papers twice", with_papers(|papers| papers.extend(whole().papers)));
    add("no terms", with_papers(|papers| drop(papers.remove(0))));
    add("no deck", with_papers(|papers| drop(papers.remove(1))));
    add("other terms", with_papers(|papers| papers[0].bytes = terms(3, 2).bytes().to_vec()));
    add("terms of nobody", with_papers(|papers| papers[0].grid = [0; 32]));
    add("a deck as a record", with_papers(|papers| papers[1].kind = ObjectType::Record));
    add("a voucher as a paper", with_papers(|papers| papers[1].kind = ObjectType::Voucher));
    // Of a lane: what contradicts itself, and what only differs.
    add("lane as it was", with_lane(|_| {}));
    add("of a day and a second", with_lane(|lane| drop(lane.insert(19, uint(NOW.0 + 86_401)))));
    add("ends at once", with_lane(|lane| drop(lane.insert(19, uint(NOW.0)))));
    add(
        "before the terms and the deck",
        with_lane(|lane| {
            lane.extend([(18, uint(NOW.0 - 2 * 86_400)), (19, uint(NOW.0 - 86_400))]);
        }),
    );
    add("before the deck", with_lane(|lane| drop(lane.insert(18, uint(NOW.0 - 6)))));
    add("when the deck began", with_lane(|lane| lane.extend([(18, uint(NOW.0 - 5)), (19, uint(NOW.0))])));
    add("another price", with_lane(|lane| drop(lane.insert(6, uint(PRICE.0 + 1)))));
    add("no price and evidence of one", with_lane(|lane| drop(lane.insert(6, uint(0)))));
    add("a price without evidence", with_lane(|lane| drop(lane.remove(&7))));
    add("no terms named", with_lane(|lane| drop(lane.remove(&8))));
    add(
        "free",
        with_lane(|lane| {
            lane.extend([(5, text("XXX")), (6, uint(0))]);
            lane.remove(&7);
            lane.remove(&8);
        }),
    );
    add(
        "free under the terms of another asset",
        with_lane(|lane| {
            lane.extend([(5, text("XXX")), (6, uint(0))]);
            lane.remove(&7);
        }),
    );
    add("free at a price", with_lane(|lane| drop(lane.insert(5, text("XXX")))));
    add("an asset that is none", with_lane(|lane| drop(lane.insert(5, text("QQQ")))));
    add("in lower case", with_lane(|lane| drop(lane.insert(5, text("usd")))));
    add("for another grid's files", with_lane(|lane| drop(lane.insert(4, octets(grid(7).as_bytes())))));
    add("the payee as destination", with_lane(|lane| drop(lane.insert(4, octets(grid(2).as_bytes())))));
    add("pays himself", with_lane(|lane| drop(lane.insert(0, octets(grid(2).as_bytes())))));
    add("another payer", with_lane(|lane| drop(lane.insert(0, octets(grid(3).as_bytes())))));
    add("one key for both counters", with_lane(|lane| drop(lane.insert(14, octets(public(201).as_bytes())))));
    add("a counter of small order", with_lane(|lane| drop(lane.insert(14, octets(&[0; 32])))));
    add("a short nonce", with_lane(|lane| drop(lane.insert(15, octets(&[0; 15])))));
    add("a later word", with_lane(|lane| drop(lane.insert(64, uint(1)))));
    add("an unknown word", with_lane(|lane| drop(lane.insert(20, uint(1)))));
    add("an empty later word", with_lane(|lane| drop(lane.insert(64, vec![0x80]))));
    add("a later word too deep", with_lane(|lane| drop(lane.insert(64, vec![0x81, 0x81, 0x81, 0x81, 0x01]))));
    add("a price of 64 bits", with_lane(|lane| drop(lane.insert(6, uint(u64::MAX)))));
    for key in [0, 1, 2, 3, 5, 6, 11, 13, 17, 18, 19] {
        add(&format!("lane without {key}"), with_lane(|lane| drop(lane.remove(&key))));
    }
    // Of a voucher.
    let good = secret(201);
    add("a voucher by another key", with_voucher(&secret(202), |_| {}));
    add(
        "an amount too high",
        with_voucher(&good, |it| drop(it.insert(2, uint(PRICE.charge(Bytes(3 * MIB)).unwrap().0 + 1)))),
    );
    add("for nothing", with_voucher(&good, |it| it.extend([(1, uint(0)), (2, uint(0))])));
    add("of another lane", with_voucher(&good, |it| drop(it.insert(0, octets(&[9; 32])))));
    add("a voucher with a later word", with_voucher(&good, |it| drop(it.insert(99, text("new")))));
    add("a voucher with an unknown word", with_voucher(&good, |it| drop(it.insert(5, text("new")))));
    add("before time began", with_voucher(&good, |it| drop(it.insert(3, uint(0)))));
    add("after time ends", with_voucher(&good, |it| drop(it.insert(3, uint(253_402_207_201)))));
    // Of the form.
    let lane_and = |key: u64, item: Vec<u8>| {
        let lane = &whole().lanes[0];
        let mut fields = Entries::from([(0, octets(&lane.0)), (1, octets(&lane.1))]);
        fields.insert(key, item);
        in_form(|it| drop(it.insert(2, [vec![0x81], map(&fields)].concat())))
    };
    let paper_and = |key: u64, item: Option<Vec<u8>>| {
        let deck = &whole().papers[1];
        let mut fields = Entries::from([(0, text("deck/1")), (1, octets(&deck.grid)), (2, octets(&deck.bytes))]);
        fields.remove(&key);
        fields.extend(item.map(|item| (key, item)));
        let terms =
            map(&Entries::from([(0, text("terms/1")), (1, octets(&[1; 32])), (2, octets(terms(1, 2).bytes()))]));
        in_form(|it| drop(it.insert(1, [vec![0x82], terms, map(&fields)].concat())))
    };
    let mut form = |name: &str, bytes: Vec<u8>| cases.push((name.to_owned(), bytes));
    form("nothing", vec![]);
    form("a map of nothing", vec![0xa0]);
    form("another format", in_form(|it| drop(it.insert(0, uint(2)))));
    form("a true format", in_form(|it| drop(it.insert(0, vec![0xf5]))));
    form("without format", in_form(|it| drop(it.remove(&0))));
    form("an empty list of papers", in_form(|it| drop(it.insert(1, vec![0x80]))));
    form("an empty list of lanes", in_form(|it| drop(it.insert(2, vec![0x80]))));
    form("no list of lanes", in_form(|it| drop(it.insert(2, vec![0xa0]))));
    form("a key of later", in_form(|it| drop(it.insert(64, uint(1)))));
    form("a key that is unknown", in_form(|it| drop(it.insert(3, uint(1)))));
    form("an octet too many", [in_form(|_| {}), vec![0]].concat());
    form("a long number", [vec![0xa3, 0x00, 0x18, 0x01], in_form(|_| {})[3..].to_vec()].concat());
    form("a lane with a later key", lane_and(64, uint(1)));
    form("a lane with an unknown key", lane_and(2, uint(1)));
    form("a lane with a number for its voucher", lane_and(1, uint(1)));
    form("a paper with a later key", paper_and(64, Some(uint(1))));
    form("a paper with an unknown key", paper_and(3, Some(uint(1))));
    form("a paper without kind", paper_and(0, None));
    form("a paper without grid", paper_and(1, None));
    form("a paper without bytes", paper_and(2, None));
    form("a paper of half a grid", paper_and(1, Some(octets(&[1; 31]))));
    let all = in_form(|_| {});
    for at in (0..all.len()).step_by(all.len() / 40) {
        let mut flipped = all.clone();
        flipped[at] ^= 1;
        form(&format!("flipped at {at}"), flipped);
        form(&format!("cut at {at}"), all[..at].to_vec());
    }
    cases
}

/// A bundle of each vector of a record, of terms and of a deck, as its one paper; and of each voucher with the lane it is of.
fn vectors() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let files = ["record", "clearing"].into_iter().flat_map(|name| std::fs::read_dir(folder.join(name)).unwrap());
    let mut cases = Vec::new();
    for file in files {
        let path = file.unwrap().path();
        let document: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        for vector in document["vectors"].as_array().unwrap() {
            let hex =
                |name: &str| vector[name].as_str().map(|text| data_encoding::HEXLOWER.decode(text.as_bytes()).unwrap());
            let Some(bytes) = hex("bytes_hex") else { continue };
            let of =
                |kind, grid| Bundle { papers: vec![BundlePaper { kind, grid, bytes: bytes.clone() }], lanes: vec![] };
            let bundle = match (document["kind"].as_str().unwrap(), vector["type"].as_str()) {
                ("record", _) => {
                    let grid: lafs_clearinghouse::keys::GridId = vector["grid_id"].as_str().unwrap().parse().unwrap();
                    of(ObjectType::Record, *grid.as_bytes())
                }
                ("money", Some("terms/1")) => of(ObjectType::Terms, [1; 32]),
                ("money", Some("deck/1")) => of(ObjectType::Deck, [1; 32]),
                _ => continue,
            };
            cases.push((format!("{} {}", path.display(), vector["name"]), bundle.to_bytes()));
        }
    }
    assert!(cases.len() > 500, "{}", cases.len());
    cases
}

#[test]
fn both_judges_take_and_refuse_the_same_bundles() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let cases: Vec<_> = cases().into_iter().chain(vectors()).collect();
    let mut files: Vec<PathBuf> = Vec::new();
    for (number, (_, bytes)) in cases.iter().enumerate() {
        let file = folder.path().join(number.to_string());
        std::fs::write(&file, bytes).unwrap();
        files.push(file);
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/audit_bundle.py");
    let output = Command::new(&python).arg("-B").arg(script).args(&files).output().unwrap();
    let (taken, said) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    let taken: BTreeMap<PathBuf, Value> = taken
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .map(|line| (line["file"].as_str().unwrap().into(), line["bills"].clone()))
        .collect();
    let mut held = BTreeSet::new();
    for ((name, bytes), file) in cases.iter().zip(&files) {
        let ours = check_bundle(bytes);
        let theirs = taken.get(file);
        assert_eq!(ours.is_ok(), theirs.is_some(), "{name}: {ours:?}, and they say {theirs:?}\n{said}");
        let Ok(report) = ours else { continue };
        held.insert(name.clone());
        let bills = theirs.unwrap().as_array().unwrap();
        assert_eq!(bills.len(), report.bills.len(), "{name}");
        for bill in bills {
            let ours = report.bills.iter().find(|((payer, payee, asset), _)| {
                [payer.to_string(), payee.to_string(), asset.code().to_owned()]
                    == ["payer", "payee", "asset"].map(|key| bill[key].as_str().unwrap())
            });
            let (_, ours) = ours.unwrap_or_else(|| panic!("{name}: {bill}"));
            assert_eq!(ours.amount.to_string(), bill["amount"].as_str().unwrap(), "{name}");
            assert_eq!(ours.bytes.to_string(), bill["bytes"].as_str().unwrap(), "{name}");
        }
    }
    assert!(said.lines().count() + taken.len() >= cases.len(), "every one was judged: {said}");
    for name in
        ["whole", "papers twice", "lane as it was", "when the deck began", "free", "a later word", "a key of later"]
    {
        assert!(
            held.contains(name),
            "{name}: {:?}",
            check_bundle(&cases.iter().find(|case| case.0 == name).unwrap().1)
        );
    }
}
