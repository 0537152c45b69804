//! Claims as a grid may send them, at a clearing node of the program: again, in any order, at the last moment and after it, at a
//! price that was not promised; and a position that does not agree with somebody's books.

use crate::place::eventually;
use crate::priced::ok;
use crate::signed_lane::voucher;
use crate::trio::{CENTS, GIB, NewLane, Trio, cents, date};
use hyper::Method;
use lafs_clearinghouse::clock::Clock;
use lafs_clearinghouse::config::{Home, NodeConfig, PUBLIC_MODE, write_atomically};
use lafs_clearinghouse::keys::SecretKey;
use lafs_clearinghouse::ledger::Part;
use lafs_clearinghouse::peer::GatewayClient;
use lafs_clearinghouse::record::{GridRecord, RecordDraft, Signer};
use lafs_clearinghouse::store::{load_own_record, save_own_record};
use lafs_clearinghouse::tariff::wire::{
    Carried, Claim, ClaimBody, ClaimLine, ClaimRefusal, LaneOpen, Receipt, ReceiptLine, Signed, Terms,
};
use lafs_clearinghouse::units::{PricePerGib, Seconds};
use serde_json::{Value, json};
use std::fs;

/// A claim of the payee's for these lanes, each up to so many octets, with all that it stands on.
fn claim(trio: &Trio, terms: &Terms, lines: &[(&LaneOpen, u64)]) -> Claim {
    let carried = |bytes: &[u8]| Some(Carried(bytes.into()));
    let lines = lines.iter().map(|(lane, octets)| ClaimLine {
        voucher: Carried(voucher(lane, *octets).bytes().into()),
        lane_open: carried(lane.bytes()),
        terms: carried(terms.bytes()),
        evidence: None,
    });
    let key = trio.key("payee");
    let body = ClaimBody {
        grid: trio.grid("payee"),
        signer: key.public(),
        clearing: trio.grid("third"),
        time: trio.now(),
        lanes: lines.collect(),
    };
    Signed::sign(&body, &key).unwrap()
}

async fn send(client: &GatewayClient, claim: &Claim) -> Vec<ReceiptLine> {
    let body = claim.bytes().to_vec().into();
    let answer = client.send(Method::POST, "/v1/claims", "application/cose", body, 16 << 10).await.unwrap();
    let receipt = Receipt::from_bytes(&answer).unwrap();
    assert_eq!(receipt.body().claim, claim.identity());
    receipt.body().lanes.clone()
}

/// How far each lane is booked, in GiB and in charges of a GiB, and why no further.
fn booked(lines: &[ReceiptLine]) -> Vec<(u64, u64, Option<ClaimRefusal>)> {
    lines.iter().map(|line| (line.cum_bytes.0 / GIB, line.cum_amount.0 / CENTS, line.refused)).collect()
}

#[test]
fn a_lane_is_booked_once_up_to_its_best_voucher_until_its_dispute_period_is_over() {
    let mut trio = Trio::start();
    let terms = trio.agree("payer", "payee", &["--dispute", "1h"]);
    // Over in ten minutes; and one that nobody claims in time.
    let (lasts, new) = (Seconds(600), NewLane::between("payer", "payee", &terms, 1));
    let lane = trio.lane(&NewLane { lasts, ..new });
    let unclaimed = trio.lane(&NewLane { lasts, ..NewLane::between("payer", "payee", &terms, 2) });
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let sent = |trio: &Trio, claims: &[&Claim]| -> Vec<_> {
        runtime.block_on(async {
            let client = trio.session("payee", "third").await;
            let mut answers = Vec::new();
            for claim in claims {
                answers.push(booked(&send(&client, claim).await));
            }
            answers
        })
    };
    // The second voucher before the first, the same claim again, and both of one lane in one claim.
    let (one, two) = (claim(&trio, &terms, &[(&lane, GIB)]), claim(&trio, &terms, &[(&lane, 2 * GIB)]));
    let both = claim(&trio, &terms, &[(&lane, 3 * GIB), (&lane, GIB)]);
    let answers = sent(&trio, &[&two, &one, &two, &both, &one]);
    assert_eq!(
        answers,
        [vec![(2, 2, None)], vec![(2, 2, None)], vec![(2, 2, None)], vec![(3, 3, None)], vec![(3, 3, None)]]
    );
    assert_eq!(trio.owed("third", Part::Clearing, "payer", "payee"), i128::from(3 * CENTS));

    // In the last minutes: the programs need some of them to start.
    let end = new.opened_at.plus(lasts).plus(Seconds::hours(1));
    trio.set_ahead(end.minus(Seconds(600)).since(Clock::system().now()));
    let four = claim(&trio, &terms, &[(&lane, 4 * GIB)]);
    assert_eq!(sent(&trio, &[&four]), [vec![(4, 4, None)]]);
    // The payer has vouched for more, which its books and the payee's say; nobody has claimed that, nor the other lane.
    for (dir, part) in [("payer", Part::Payer), ("payee", Part::Payee)] {
        trio.kill(dir);
        for (lane, octets) in [(&lane, 5 * GIB), (&unclaimed, GIB)] {
            trio.write(dir, async |ledger, now| {
                ledger.keep(trio.record("payee").signed(), now).await.unwrap();
                ledger.open_lane(part, lane.clone(), now).await.unwrap();
                ledger.voucher(part, voucher(lane, octets), Vec::new(), now).await.unwrap();
            });
        }
    }

    // And a minute after it.
    trio.set_ahead(end.plus(Seconds(60)).since(Clock::system().now()));
    let late = Some(ClaimRefusal::TooLate);
    let five = claim(&trio, &terms, &[(&lane, 5 * GIB), (&unclaimed, GIB)]);
    assert_eq!(sent(&trio, &[&five, &four]), [vec![(4, 4, late), (0, 0, late)], vec![(4, 4, late)]]);
    assert_eq!(trio.owed("third", Part::Clearing, "payer", "payee"), i128::from(4 * CENTS));
    // Receipts and positions are what the programs print: to all three the same, and to the payee what it has lost.
    let bill = trio.bill_of("third", ["payer", "payee"], |bill| bill["charged"] == cents(4));
    for (dir, other) in [("payee", "payer"), ("payer", "payee")] {
        trio.bill(dir, other, |found| *found == bill);
    }
    let lines: Vec<&str> =
        bill["lines"].as_array().unwrap().iter().map(|line| line["amount"].as_str().unwrap()).collect();
    assert_eq!(lines, [2 * CENTS, CENTS, CENTS].map(|amount| amount.to_string()), "each octet once: {bill}");
    let (_, told) = trio.statements("payee");
    assert!(told.contains("2 lanes") && told.contains("0.04 USD") && told.contains("can be claimed no more"), "{told}");
    let checked = trio.run("status -d payer --check");
    assert!(!checked.stdout.contains("books:"), "{}", checked.stdout);
    trio.are_proved();
}

#[test]
fn a_position_that_does_not_agree_with_a_sides_books_is_named_with_the_next_command_and_not_kept() {
    let mut trio = Trio::start();
    let terms = trio.agree("payer", "payee", &[]);
    let lane = trio.lane(&NewLane::between("payer", "payee", &terms, 1));
    // The payer's machine was set back: it knows of one GiB, and the payee has its signature for two.
    trio.has_vouched("payer", Part::Payer, &lane, GIB);
    trio.has_vouched("payee", Part::Payee, &lane, 2 * GIB);
    trio.find_each_other();
    trio.bill("payee", "payer", |bill| bill["charged"] == cents(2));
    let (statements, told) = trio.statements("payer");
    assert_eq!(statements, Vec::<Value>::new());
    let says =
        format!("books lane {} from 0 B to 2.0 GiB, and by our books it may go from 0 B to 1.0 GiB", lane.identity());
    assert!(told.contains(&says), "{told}");
    let checked = trio.run("status -d payer --check --json");
    assert_eq!(checked.status, 1, "{}", checked.stdout);
    let findings: Value = serde_json::from_str(&checked.stdout).unwrap();
    let finding = findings["findings"].as_array().unwrap().iter().find(|one| one["name"] == "books").unwrap().clone();
    assert!(finding["problem"].as_str().unwrap().contains(&says), "{finding}");
    // The command that it names says where the two part.
    let next = finding["next"].as_str().unwrap().split('`').nth(1).unwrap().to_owned();
    let next = next.strip_prefix("clearinghouse ").unwrap();
    assert!(next.starts_with(&format!("dispute open {}", lane.identity())), "{finding}");
    let compared = ok(trio.run(&format!("{next} --json"))).json()["lanes"][0].clone();
    assert_eq!((&compared["our_bytes"], &compared["their_bytes"]), (&json!(GIB), &json!(2 * GIB)), "{compared}");
    // Nobody else has that.
    let checked = trio.run("status -d payee --check");
    assert!(!checked.stdout.contains("books:"), "{}", checked.stdout);

    // The signature that it had forgotten is its own.
    trio.has_vouched("payer", Part::Payer, &lane, 2 * GIB);
    trio.find_each_other();
    trio.bill("payer", "payee", |bill| bill["charged"] == cents(2));
    let checked = trio.run("status -d payer --check");
    assert!(!checked.stdout.contains("books:"), "{}", checked.stdout);
    trio.are_proved();
}

/// The clearing node judged lanes by what bound the seller when they were claimed: a price that was raised in breach of a promise was
/// booked once the seller had gone back to what it had promised, for nobody shows the proof any more then.
#[test]
fn a_lane_at_a_raised_price_is_not_booked_after_its_seller_has_gone_back_to_its_promise() {
    let mut trio = Trio::start();
    let terms = trio.agree("payer", "payee", &[]);
    trio.deliver(&NewLane::between("payer", "payee", &terms, 1), GIB);
    trio.bill("payee", "payer", |bill| bill["charged"] == cents(1));

    // The payee asks for more than it has promised, past all rules of our own publisher, and the payer signs that.
    let promised = trio.record("payee");
    asks_for(&mut trio, "0.05 USD/GiB".to_owned(), Some(&promised));
    let dear = NewLane { price: PricePerGib(50_000_000), ..NewLane::between("payer", "payee", &terms, 2) };
    let dear = trio.lane(&dear);
    assert_ne!(dear.body().evidence, Some(promised.signed().identity()));
    for (dir, part) in [("payer", Part::Payer), ("payee", Part::Payee)] {
        trio.has_vouched(dir, part, &dear, GIB);
    }
    // And goes back to it.
    let until = date(promised.rates()[0].until());
    asks_for(&mut trio, format!("0.02 USD/GiB until {until}"), None);
    // What it has read of records within the hour it reads again.
    trio.crash("third");
    let refused =
        format!("does not book lane {}: its price is not the one that this grid was bound to", dear.identity());
    eventually("the refusal", || trio.statements("payee").1.contains(&refused).then_some(()));
    let honest = trio.deliver(&NewLane::between("payer", "payee", &terms, 3), GIB);
    let bill = trio.bill("payee", "payer", |bill| bill["charged"] == cents(2));
    assert!(bill.to_string().contains(&honest.identity().to_string()), "{bill}");
    assert_eq!(trio.owed("third", Part::Clearing, "payer", "payee"), i128::from(2 * CENTS));
    let checked = trio.run("status -d payee --check");
    assert!(checked.stdout.contains(&format!("books: {} {refused}", trio.grid("third"))), "{}", checked.stdout);
}

/// The payee's node is stopped, given another rate, and started again; where its last record forbids that, with another record.
fn asks_for(trio: &mut Trio, rate: String, breach: Option<&GridRecord>) {
    trio.kill("payee");
    let home = Home::new(trio.place.path("payee"));
    let line = rate.parse().unwrap();
    if breach.is_some() {
        let newest = load_own_record(&home, &trio.grid("payee")).unwrap().unwrap();
        let draft = RecordDraft { rates: vec![line], ..RecordDraft::from_record(&newest) };
        let key = SecretKey::from_seed(&[72; 32]);
        let signer = Signer::Grid { key: &key, serial: newest.signed().serial() };
        save_own_record(&home, &draft.sign(signer, None, &[], trio.now()).unwrap()).unwrap();
        let _ = fs::remove_dir_all(home.evidence_of(&trio.grid("payee")));
    }
    let config = NodeConfig { rate: vec![line], ..NodeConfig::read(&home.config()).unwrap() };
    write_atomically(&home.config(), config.to_commented_toml().as_bytes(), PUBLIC_MODE).unwrap();
    trio.revive("payee");
    let price = line.price().0.to_string();
    for dir in ["third", "payer"] {
        eventually("the new record", || {
            let found = trio.run(&format!("resolve {} -d {dir} --policy fresh --json", trio.grid("payee")));
            let rate = (found.status == 0).then(|| found.json())?["rates"][0].clone();
            // What binds, and beside it what is published where that is something else.
            let rate = rate.get("published_price_per_gib").unwrap_or(&rate["price_per_gib"]);
            (*rate == price).then_some(())
        });
    }
}

#[test]
fn terms_that_end_before_anything_was_claimed_under_them_are_over_for_the_clearing_node_too() {
    let mut trio = Trio::start();
    let terms = trio.agree("payer", "payee", &[]);
    let before = trio.lane(&NewLane::between("payer", "payee", &terms, 1));
    trio.type_ahead(Seconds(30));
    let id = terms.identity().to_string();
    let ended = ok(trio.types(&["terms", "end", &id[..16], "--reason", "enough", "-d", "payer"]));
    for dir in ["payee", "third"] {
        assert!(ended.stdout.contains(&format!("Told {}", trio.grid(dir))), "{}", ended.stdout);
    }
    let opened_at = trio.now().plus(Seconds(1));
    let after = trio.lane(&NewLane { opened_at, ..NewLane::between("payer", "payee", &terms, 2) });
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let client = trio.session("payee", "third").await;
        let lines = send(&client, &claim(&trio, &terms, &[(&before, GIB), (&after, GIB)])).await;
        assert_eq!(booked(&lines), [(1, 1, None), (0, 0, Some(ClaimRefusal::NoTerms))]);
    });
    // Said again, by the other side: both know it by now.
    let again = ok(trio.types(&["terms", "end", &id[..16], "-d", "payee"]));
    for dir in ["payer", "third"] {
        assert!(again.stdout.contains(&format!("Told {}", trio.grid(dir))), "{}", again.stdout);
    }
}
