//! What ends or changes in the middle of a file because its time has come: a lane, terms, a price. The file goes on on another
//! lane, each octet is billed once, and at the price that holds.

use crate::place::{Place, eventually};
use crate::priced::{Getting, Priced, Vouched, key, ledger, ok, vouched};
use lafs_clearinghouse::clock::Clock;
use lafs_clearinghouse::keys::SecretKey;
use lafs_clearinghouse::ledger::Part;
use lafs_clearinghouse::record::{GridRecord, RecordDraft, Signer};
use lafs_clearinghouse::units::{Bytes, PricePerGib, Seconds, UnixSeconds};

const MIB: usize = 1 << 20;
const HOUR: i64 = 3_600;
/// More than what is read before, the window of the terms, and what the wire itself takes.
const SIZE: usize = 12 * MIB;
/// The most that the manifest of such a file has.
const MANIFEST: u64 = 32 << 10;
/// What a home may have verified and not handed on where its client's lane ends: units that it asks for again, at its own cost.
const AT_HAND: u64 = 2 << 20;
const PRICE: PricePerGib = PricePerGib(5_000_000_000);
const NEXT: PricePerGib = PricePerGib(8_000_000_000);

/// The two grids and the client, with clocks that can be moved.
fn start(price: &str) -> Priced {
    let priced = Priced::with(Place::new(), SIZE, price, |node, place| node.start_at(0, place));
    priced.agree_on_terms("10 USD", 2);
    priced
}

fn begin(priced: &Priced, ahead: i64, output: &str, max: &str) -> Getting {
    let words = ["get", &priced.files.cap, "-o", output, "-d", "me", "--max-price", max];
    Getting::spawn(priced.place.command_at(ahead, words))
}

/// Begins to get the file, and holds it in the middle of both hops.
fn held(priced: &Priced, output: &str, max: &str) -> Getting {
    priced.held_after(&priced.abroad.wire, 3 * MIB, || begin(priced, 0, output, max))
}

/// Sets all clocks so far ahead, first that of who pays.
fn all_are_ahead(priced: &mut Priced, getting: &mut Getting, seconds: i64) {
    getting.is_ahead(seconds);
    priced.home.is_ahead(seconds, &priced.place);
    priced.abroad.is_ahead(seconds, &priced.place);
}

/// What was vouched for on each lane of the client, and on each abroad, by the payees' books.
fn lanes(priced: &Priced) -> (Vec<Vouched>, Vec<Vouched>) {
    let (home, abroad) = (&priced.home.grid, &priced.abroad.grid);
    let me = key(&priced.place, "me").public();
    (
        vouched(&ledger(&priced.place, "home"), Part::Payee, me, *home.key()),
        vouched(&ledger(&priced.place, "abroad"), Part::Payee, *home.key(), *abroad.key()),
    )
}

fn octets(lanes: &[Vouched]) -> u64 {
    lanes.iter().map(|lane| lane.octets.0).sum()
}

/// The file was billed once: to the client just so, and to the home with what it asked for again.
#[track_caller]
fn is_billed_once(priced: &Priced) {
    let (client, home) = priced.agree();
    let (at_home, abroad) = lanes(priced);
    for (lanes, owed, more) in [(&at_home, client, 0), (&abroad, home, AT_HAND)] {
        assert!(lanes.len() >= 2, "one lane after the other: {lanes:?}");
        let (least, most) = (SIZE as u64, SIZE as u64 + MANIFEST + more);
        assert!((least..=most).contains(&octets(lanes)), "{}: {lanes:?}", octets(lanes));
        for lane in lanes {
            assert_eq!(lane.price.charge(lane.octets), Some(lane.amount), "{lane:?}");
        }
        assert_eq!(lanes.iter().map(|lane| i128::from(lane.amount.0)).sum::<i128>(), owed);
    }
}

#[test]
fn a_lane_that_ends_in_the_middle_of_a_file_is_followed_by_another_one() {
    let mut priced = start("5 USD/GiB");
    let mut getting = held(&priced, "file", "1 USD");
    all_are_ahead(&mut priced, &mut getting, 25 * HOUR);
    priced.abroad.wire.open();
    ok(getting.ended());
    priced.is_whole("file");
    is_billed_once(&priced);
}

#[test]
fn a_lane_that_would_follow_and_is_dated_a_day_from_now_is_not_agreed_to() {
    let mut priced = start("5 USD/GiB");
    let getting = held(&priced, "file", "1 USD");
    // The client's clock does not go along, and its session is open.
    priced.home.is_ahead(25 * HOUR, &priced.place);
    priced.abroad.is_ahead(25 * HOUR, &priced.place);
    priced.abroad.wire.open();
    let ended = getting.ended();
    assert_eq!(ended.status, 11, "{}", ended.stderr);
    assert!(ended.stderr.contains("compare this machine's clock with another"), "{}", ended.stderr);
    // What came before is paid for.
    let (client, _) = priced.agree();
    assert!(client > 0);
}

#[test]
fn terms_that_end_in_the_middle_of_a_file_are_followed_by_what_the_policy_accepts() {
    let mut priced = Priced::with(Place::new(), SIZE, "5 USD/GiB", |node, place| node.start_at(0, place));
    let until = Clock::with_offset(HOUR).now().to_string();
    priced.agree_on_terms_with("10 USD", 2, &["--until", &until]);
    let mut getting = held(&priced, "file", "1 USD");
    all_are_ahead(&mut priced, &mut getting, HOUR + 1);
    priced.abroad.wire.open();
    ok(getting.ended());
    priced.is_whole("file");
    priced.agree();
    let (at_home, abroad) = lanes(&priced);
    assert!(abroad.len() >= 2, "{abroad:?}");
    for lanes in [at_home, abroad] {
        assert!((SIZE as u64..=SIZE as u64 + MANIFEST).contains(&octets(&lanes)), "{lanes:?}");
    }
}

/// A grid that has announced a price, and when it begins.
fn with_a_next_price() -> (Priced, UnixSeconds) {
    let rises = Clock::with_offset(HOUR).now();
    (start(&format!("5 USD/GiB until {rises} then 8 from {rises}")), rises)
}

/// A next price that had begun was sold by nobody until the record was signed anew, for days: what a record publishes and does not
/// promise was taken for what is over. And the record that was signed then was signed again every half minute.
#[test]
fn a_price_that_rises_in_the_middle_of_a_file_is_charged_from_then_on_and_never_more_than_may_be_paid() {
    let (mut priced, rises) = with_a_next_price();
    let size = Bytes(SIZE as u64 + MANIFEST);
    // Enough at the first price, and not at the next one.
    let enough = PRICE.charge(size).unwrap();
    let max = format!("0.{:09} USD", enough.0);
    let mut getting = held(&priced, "file", &max);
    all_are_ahead(&mut priced, &mut getting, HOUR + 5);
    priced.abroad.wire.open();
    let ended = getting.ended();
    assert_eq!(ended.status, 4, "{}", ended.stderr);
    assert!(ended.stderr.contains("may be paid in all"), "{}", ended.stderr);
    let (paid, _) = priced.agree();
    assert!(paid > 0 && paid <= i128::from(enough.0), "{paid} of {enough:?}");

    // The rest costs what it costs now.
    ok(begin(&priced, HOUR + 5, "file", "1 USD").ended());
    priced.is_whole("file");
    is_billed_once(&priced);
    let (at_home, abroad) = lanes(&priced);
    for lanes in [at_home, abroad] {
        for lane in &lanes {
            let price = if lane.opened_at < rises { PRICE } else { NEXT };
            assert_eq!(lane.price, price, "{lanes:?}");
        }
        for price in [PRICE, NEXT] {
            assert!(lanes.iter().any(|lane| lane.price == price), "{lanes:?}");
        }
    }
}

/// Within half a minute of a price's end no lane was opened: it would have ended too soon to be worth while.
#[test]
fn a_file_that_is_begun_in_the_last_seconds_of_a_price_is_read_to_its_end() {
    let (mut priced, rises) = with_a_next_price();
    // So that clocks are read in time on a slow machine too.
    let soon = HOUR - 15;
    priced.home.is_ahead(soon, &priced.place);
    priced.abroad.is_ahead(soon, &priced.place);
    let mut getting = priced.held_after(&priced.abroad.wire, 3 * MIB, || begin(&priced, soon, "file", "1 USD"));
    all_are_ahead(&mut priced, &mut getting, HOUR + 5);
    priced.abroad.wire.open();
    ok(getting.ended());
    priced.is_whole("file");
    priced.agree();
    let (at_home, abroad) = lanes(&priced);
    for lanes in [at_home, abroad] {
        assert!(lanes.iter().all(|lane| lane.price == if lane.opened_at < rises { PRICE } else { NEXT }), "{lanes:?}");
    }
}

/// The gateway asked for the price of its newest record, whatever the grid had promised before: nobody paid it, and nobody read.
#[test]
fn a_price_that_is_raised_within_its_promise_is_charged_as_it_was_promised() {
    let mut priced = start("5 USD/GiB");
    let held = priced.begin_until(&priced.abroad.wire, "file", 3 * MIB);
    // Signed without the tool, which refuses to.
    assert_eq!(priced.abroad.running.take().unwrap().terminate(), 0);
    let record = GridRecord::from_bytes(&priced.place.read("abroad/own.record"), &priced.abroad.grid).unwrap();
    let draft = RecordDraft { rates: vec!["8 USD/GiB".parse().unwrap()], ..RecordDraft::from_record(&record) };
    let (key, serial) = (SecretKey::from_seed(&[62; 32]), record.signed().serial());
    let later = record.signed().issued_at().max(Clock::system().now()).plus(Seconds(1));
    let raised = draft.sign(Signer::Grid { key: &key, serial }, None, &[], later).unwrap();
    priced.place.write("abroad/own.record", raised.signed().bytes());
    let settings = String::from_utf8(priced.place.read("abroad/clearinghouse.toml")).unwrap();
    priced.place.write("abroad/clearinghouse.toml", settings.replace("5 USD/GiB", "8 USD/GiB"));
    priced.abroad.wire.cut();
    priced.abroad.start(&priced.place);
    let rates = eventually("what it says now", || {
        let rates = priced.place.run(&format!("rates {} -d me --json", priced.abroad.grid));
        (rates.status == 0 && rates.stdout.contains("8000000000")).then(|| rates.json())
    });
    assert_eq!(
        (&rates["now"][0]["price_per_gib"]["amount"], &rates["now"][0]["from_evidence"]),
        (&"5000000000".into(), &true.into()),
        "{rates}"
    );
    priced.abroad.wire.open();
    let mut ended = Some(held.ended());
    eventually("the file", || {
        let this = ended.take().unwrap_or_else(|| priced.get("file"));
        // A node that has just been started may not know the other one yet.
        assert!(matches!(this.status, 0 | 3 | 8), "{}: {}", this.status, this.stderr);
        (this.status == 0).then_some(())
    });
    priced.is_whole("file");
    priced.agree();
    let (at_home, abroad) = lanes(&priced);
    assert!(abroad.len() >= 2, "one before and one after: {abroad:?}");
    for lanes in [at_home, abroad] {
        assert!(lanes.iter().all(|lane| lane.price == PRICE), "{lanes:?}");
    }
}
