//! The highest price that there is, and debts that together are more than 64 bits hold: what fits is charged to the last unit, and what
//! does not is said in words.

use crate::hand_lane::{HandLane, called};
use crate::place::{Place, eventually};
use crate::priced::{Node, POLICY, Priced, ledger, ok};
use crate::signed_lane;
use lafs_clearinghouse::capability::Capability;
use lafs_clearinghouse::clock::Clock;
use lafs_clearinghouse::config::{Home, read_key};
use lafs_clearinghouse::ledger::{Ledger, Location, Part};
use lafs_clearinghouse::record::GridRecord;
use lafs_clearinghouse::tariff::wire::{LaneOpen, LaneOpenBody, Terms, Voucher};
use lafs_clearinghouse::units::{Bytes, PricePerGib};

/// 2^63 - 1 minor units.
const ALL: &str = "9223372036.854775807 USD";
const HIGHEST: PricePerGib = PricePerGib(i64::MAX as u64);

fn start() -> Priced {
    let price = format!("{ALL}/GiB");
    let priced = Priced::with(Place::new(), 300_000, &price, Node::start);
    priced.agree_on_terms(ALL, 2);
    priced
}

#[test]
fn the_highest_price_is_charged_to_the_unit_and_a_higher_one_is_refused_in_words() {
    let priced = start();
    let get =
        |output: &str| priced.place.run_words(["get", &priced.files.cap, "-o", output, "-d", "me", "--max-price", ALL]);
    ok(get("file"));
    priced.is_whole("file");
    let (client, home) = priced.agree();
    let least = i128::from(HIGHEST.charge(Bytes(300_000)).unwrap().0);
    assert!(client >= least && home >= least, "{client}, {home} of {least}");

    // Twice of it is no price.
    priced.place.write("home/policy.toml", POLICY.replace("USD = \"1\"", "USD = \"2\""));
    let refused = get("twice");
    assert_eq!(refused.status, 4, "{}", refused.stderr);
    assert!(refused.stderr.contains("more than 2^63 - 1 minor units"), "{}", refused.stderr);
    let refused = priced.place.run_words(["quote", &priced.files.cap, "-d", "me"]);
    assert!(refused.status == 4 && refused.stderr.contains("more than 2^63 - 1"), "{}", refused.stderr);
    assert_eq!(priced.agree(), (client, home));

    // Nor is there a voucher for more than all money, whatever it says.
    let key = read_key(&Home::new(priced.place.path("home")).gateway_key()).unwrap();
    let file: Capability =
        priced.files.cap.replacen(&format!("URI:FOREIGN:{}:", priced.abroad.grid), "URI:", 1).parse().unwrap();
    let (grid, cap) = (priced.abroad.grid, file.verify_cap().unwrap());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let client = called(&priced, &key).await;
        let lane = HandLane::open(&client, grid, &cap, &key, 1).await;
        client.manifest(&grid, &cap, 0, 4_096, Some(&lane)).await.unwrap();
        let (_, transcript) = lane.delivered(&cap);
        for (octets, amount) in [(1 << 31, HIGHEST.0), (1 << 31, 0), (u64::MAX >> 1, 1), (1 << 62, (1 << 62) - 1)] {
            let refused = lane.voucher(&client, lane.id(), (octets, amount), transcript, &lane.session).await;
            let (status, detail) = refused.unwrap_err();
            assert!(status == 400 && detail.contains("not the charge"), "{octets}: {status} {detail}");
        }
    });
    assert_eq!(priced.agree(), (client, home));
}

/// A gibibyte that was acknowledged on the `nth` lane, for all the money that there is.
fn lane_for_all(priced: &Priced, record: &GridRecord, nth: u8) -> (LaneOpen, Voucher) {
    let terms = Terms::from_bytes(&priced.place.read("agreed.terms")).unwrap();
    let key = |dir: &str| read_key(&Home::new(priced.place.path(dir)).gateway_key()).unwrap();
    let (home, abroad, now) = (key("home"), key("abroad"), Clock::system().now());
    let body = LaneOpenBody {
        evidence: Some(record.signed().identity()),
        terms: Some(terms.identity()),
        ..signed_lane::body((priced.home.grid, &home), (priced.abroad.grid, &abroad), HIGHEST, nth, now)
    };
    let lane = signed_lane::signed(&body, &home, &abroad);
    let voucher = signed_lane::voucher(&lane, 1 << 30);
    (lane, voucher)
}

#[test]
fn who_owes_all_the_money_that_there_is_gets_nothing_more_and_the_books_say_what_is_owed() {
    let mut priced = start();
    for node in [&mut priced.home, &mut priced.abroad] {
        assert_eq!(node.running.take().unwrap().terminate(), 0);
    }
    let record = GridRecord::from_bytes(&priced.place.read("abroad/own.record"), &priced.abroad.grid).unwrap();
    let (once, again) = (lane_for_all(&priced, &record, 1), lane_for_all(&priced, &record, 2));
    let (now, runtime) = (Clock::system().now(), tokio::runtime::Runtime::new().unwrap());
    for (dir, part) in [("home", Part::Payer), ("abroad", Part::Payee)] {
        runtime.block_on(async {
            let ledger = Ledger::open(Location::Sqlite(ledger(&priced.place, dir)), now).await.unwrap();
            ledger.keep(record.signed(), now).await.unwrap();
            ledger.open_lane(part, once.0.clone(), now).await.unwrap();
            ledger.voucher(part, once.1.clone(), Vec::new(), now).await.unwrap();
            // More is not booked in part, nor as something else.
            ledger.open_lane(part, again.0.clone(), now).await.unwrap();
            let refused = ledger.voucher(part, again.1.clone(), Vec::new(), now).await.unwrap_err().to_string();
            let lane = format!("a voucher of lane {} would bring a sum", again.0.identity());
            for says in [lane.as_str(), dir, "beyond 2^63 - 1 minor units", "`clearinghouse statement paid`"] {
                assert!(refused.contains(says), "{says}: {refused}");
            }
            ledger.close().await;
        });
    }
    let all = i128::from(HIGHEST.0);
    assert_eq!(priced.owed_abroad(), (all, all));
    priced.home.start(&priced.place);
    priced.abroad.start(&priced.place);
    let refused = eventually("a refusal", || {
        let words = ["get", &priced.files.cap, "-o", "file", "-d", "me", "--max-price", ALL];
        let refused = priced.place.run_words(words);
        (!matches!(refused.status, 3 | 8)).then_some(refused)
    });
    assert_eq!(refused.status, 9, "{}", refused.stderr);
    let limit = ALL.trim_end_matches(" USD");
    assert!(refused.stderr.contains(&format!("{limit} of {limit} USD are owed")), "{}", refused.stderr);
    assert_eq!(priced.owed_abroad(), (all, all));
    for dir in ["home", "abroad"] {
        ok(priced.place.run(&format!("ledger verify -d {dir}")));
        let usage = ok(priced.place.run(&format!("usage -d {dir}"))).stdout;
        assert!(usage.contains(limit), "{dir}: {usage}");
    }
    // The creditor's books first. Whole cents are payable, and the rest is carried forward.
    for dir in ["abroad", "home"] {
        eventually("a statement", || {
            let shown = priced.place.run(&format!("statement --now -d {dir}"));
            (shown.status == 0 && shown.stdout.contains("9223372036.85 USD")).then_some(())
        });
    }
}
