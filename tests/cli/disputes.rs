//! Two nodes whose books of some lanes part: found over their gateways, kept, shown, and closed by a person.

use crate::place::{Place, eventually};
use crate::priced::ok;
use crate::signed_lane;
use lafs_clearinghouse::config::Home;
use lafs_clearinghouse::keys::{GridId, SecretKey};
use lafs_clearinghouse::ledger::{Ledger, Location, Part};
use lafs_clearinghouse::rate::Asset;
use lafs_clearinghouse::signed::Identity;
use lafs_clearinghouse::tariff::wire::{
    LaneOpen, LaneOpenBody, Party, PositionBody, PositionLine, Signed, Voucher, VoucherBody,
};
use lafs_clearinghouse::units::{Bytes, MinorUnits, PricePerGib, Seconds, UnixSeconds};

const LOCAL: &str = "--listen 127.0.0.1:0 --allow-private-addresses --gateway-listen 127.0.0.1:0 --rate free";
const PRICE: PricePerGib = PricePerGib(20_000_000);
const GIB: u64 = 1 << 30;
/// The beginning of an hour.
const THEN: UnixSeconds = UnixSeconds(1_769_904_000);

fn key(n: u8) -> SecretKey {
    SecretKey::from_seed(&[n; 32])
}

fn lane(payer: GridId, payee: GridId, nth: u8) -> LaneOpen {
    let (payer_key, payee_key) = (key(203), key(204));
    let body = LaneOpenBody {
        evidence: Some(Identity([5; 32])),
        ..signed_lane::body((payer, &payer_key), (payee, &payee_key), PRICE, nth, THEN)
    };
    signed_lane::signed(&body, &payer_key, &payee_key)
}

/// A lane in the books of a directory, with a voucher of each hour for one more GiB and these deliveries.
fn keep(place: &Place, dir: &str, part: Part, lane: &LaneOpen, transcripts: &[u8]) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let ledger = Ledger::open(Location::Sqlite(Home::new(place.path(dir)).ledger()), THEN).await.unwrap();
        ledger.open_lane(part, lane.clone(), THEN).await.unwrap();
        for (hour, transcript) in (0..).zip(transcripts) {
            let cum_bytes = Bytes((hour + 1) * GIB);
            let cum_amount = PRICE.charge(cum_bytes).unwrap();
            let (lane_id, transcript) = (lane.identity(), [*transcript; 32]);
            let body = VoucherBody { lane: lane_id, cum_bytes, cum_amount, time: THEN, transcript };
            let voucher = Voucher::issue(&body, lane, &signed_lane::session()).unwrap();
            ledger.voucher(part, voucher, Vec::new(), THEN.plus(Seconds::hours(hour))).await.unwrap();
        }
        ledger.close().await;
    });
}

/// A statement is from positions: one of the two has booked something.
fn book(place: &Place, dir: &str, payer: GridId, payee: GridId) {
    let two = (payer.min(payee), payer.max(payee), Asset::from_code("USD").unwrap());
    let line = PositionLine {
        lane: Identity([7; 32]),
        debtor: if payer == two.0 { Party::First } else { Party::Second },
        from_bytes: Bytes(0),
        to_bytes: Bytes(GIB),
        from_amount: MinorUnits(0),
        to_amount: MinorUnits(20_000_000),
    };
    let body = PositionBody::next(None, payee, key(62).public(), two, THEN, vec![line], vec![]).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let ledger = Ledger::open(Location::Sqlite(Home::new(place.path(dir)).ledger()), THEN).await.unwrap();
        ledger.post(Signed::sign(&body, &key(62)).unwrap(), THEN).await.unwrap();
        ledger.close().await;
    });
}

#[test]
fn every_lane_that_two_books_part_on_is_found_kept_shown_and_closed() {
    let place = Place::new();
    let (payer, payee) = (place.grid_manager("gm1", 61), place.grid_manager("gm2", 62));
    ok(place.run(&format!("init payee --grid-manager gm2 {LOCAL}")));
    let [fine, later, back, unknown] =
        [lane(payer, payee, 1), lane(payer, payee, 2), lane(payee, payer, 3), lane(payer, payee, 4)];
    keep(&place, "payee", Part::Payee, &fine, &[1, 2, 3]);
    keep(&place, "payee", Part::Payee, &later, &[1, 8, 9]);
    keep(&place, "payee", Part::Payer, &back, &[1, 2]);
    let at_payee = place.start("payee");
    let address = eventually("an address", || {
        let status = place.run("status -d payee --json");
        let found = (status.status == 0).then(|| status.json())?["addrs"][0].as_str()?.to_owned();
        Some(found)
    });
    ok(place.run(&format!("init payer --grid-manager gm1 --bootstrap {address} {LOCAL}")));
    keep(&place, "payer", Part::Payer, &fine, &[1, 2, 3]);
    keep(&place, "payer", Part::Payer, &later, &[1, 2, 3, 4]);
    keep(&place, "payer", Part::Payee, &back, &[6, 7]);
    keep(&place, "payer", Part::Payer, &unknown, &[1]);
    book(&place, "payer", payer, payee);

    // Without a node nobody can be asked, and what is kept can be read.
    assert_eq!(place.run(&format!("dispute open {payee} -d payer")).status, 8);
    assert_eq!(ok(place.run("dispute list -d payer")).stdout, "Nothing is in dispute.\n");
    let at_payer = place.start("payer");
    let found = eventually("the other side answers", || {
        let found = place.run(&format!("dispute open {payee} -d payer --json"));
        (found.status == 0).then(|| found.json())
    });
    assert_eq!(found["compared"], 3, "{found}");
    let mut differing = [(later.identity(), 1, 2), (back.identity(), 0, 1)];
    differing.sort_unstable();
    let told: Vec<_> = found["lanes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| {
            (
                it["lane"].as_str().unwrap().to_owned(),
                it["agree_to_bytes"].as_u64().unwrap() / GIB,
                it["differ_at_bytes"].as_u64().unwrap() / GIB,
            )
        })
        .collect();
    assert_eq!(told, differing.map(|(lane, agree, differ)| (lane.to_string(), agree, differ)));
    assert_eq!(found["not_shown"][0]["lane"], unknown.identity().to_string(), "{found}");
    // One that is named, of which both agree; and a period in which nothing was opened.
    let one = ok(place.run(&format!("dispute open {} -d payer --json", fine.identity()))).json();
    assert_eq!((&one["compared"], &one["lanes"][0]["differ_at_bytes"]), (&1.into(), &serde_json::Value::Null));
    let none = ok(place.run(&format!("dispute open {payee} --period 2027-01 -d payer --json"))).json();
    assert_eq!(none["compared"], 0);

    let list = |words: &str| ok(place.run(&format!("dispute list {words} -d payer --json"))).json()["disputes"].clone();
    assert_eq!(list("").as_array().unwrap().len(), 2, "found again it is the same");
    assert_eq!((list(&payee.to_string()), list(&payer.to_string())), (list(""), serde_json::json!([])));
    let statement = || ok(place.run("statement --period 2026-02 -d payer --json")).json()["statements"][0].clone();
    // Of the first three GiB behind the one that is agreed, of the second both.
    assert_eq!((&statement()["in_dispute"], &statement()["charged"]), (&"100000000".into(), &"20000000".into()));
    let text = ok(place.run("statement --period 2026-02 -d payer")).stdout;
    assert!(text.contains("in dispute       0.1 USD on 2 of the lanes"), "{text}");

    let prefix = &later.identity().to_string()[..12];
    let shown = ok(place.run(&format!("dispute show {prefix} -d payer"))).stdout;
    assert!(shown.contains("beyond, for us  0.06 USD") && shown.contains("who delivers"), "{shown}");
    let closed =
        place.run_words(["dispute", "close", prefix, "--by", "Ada & Grace", "--reason", "theirs holds", "-d", "payer"]);
    assert!(ok(closed).stdout.starts_with(&format!("Nothing of lane {}", later.identity())));
    assert_eq!(
        place.run_words(["dispute", "close", prefix, "--by", "Ada", "--reason", "again", "-d", "payer"]).status,
        3
    );
    ok(place.run(&format!("dispute open {payee} -d payer")));
    assert_eq!(list("").as_array().unwrap().len(), 1, "what is closed stays closed");
    assert_eq!(list("--all").as_array().unwrap().len(), 2);
    let shown = ok(place.run(&format!("dispute show {prefix} -d payer --json"))).json();
    let closed = &shown["disputes"][0]["closed"];
    assert_eq!((&closed["by"], &closed["reason"]), (&"Ada & Grace".into(), &"theirs holds".into()));
    assert_eq!(statement()["in_dispute"], "40000000");
    assert_eq!(statement()["disputed_lanes"], serde_json::json!([back.identity().to_string()]));
    // The other side sees its own side of it.
    let theirs = eventually("the other side asks", || {
        let found = place.run(&format!("dispute open {payer} -d payee --json"));
        (found.status == 0).then(|| found.json())
    });
    assert_eq!((theirs["compared"].as_u64(), theirs["lanes"].as_array().unwrap().len()), (Some(3), 2));
    assert_eq!(place.run("dispute show ffff -d payer").status, 3);
    assert_eq!(place.run("dispute open ffff -d payer").status, 2);
    assert_eq!((at_payer.terminate(), at_payee.terminate()), (0, 0));
}
