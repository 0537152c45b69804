//! A payer made by hand, against a gateway of the program over TLS: vouchers that are forged, replayed, rewound, too large or at
//! another price, of another lane and another payer's; terms that one side alone has signed; and a price beyond all money.

use crate::hand_lane::{HandLane, called, post};
use crate::place::Place;
use crate::priced::{Node, Priced, ok};
use lafs_clearinghouse::capability::Capability;
use lafs_clearinghouse::clock::Clock;
use lafs_clearinghouse::config::{Home, read_key};
use lafs_clearinghouse::keys::SecretKey;
use lafs_clearinghouse::tariff::wire::LaneId;

const MANY: u64 = i64::MAX as u64;

#[test]
fn vouchers_that_are_not_just_what_was_delivered_are_refused_by_name_and_book_nothing() {
    let priced = Priced::start(300_000, "5 USD/GiB");
    priced.agree_on_terms("10 USD", 2);
    let key = read_key(&Home::new(priced.place.path("home")).gateway_key()).unwrap();
    let file: Capability =
        priced.files.cap.replacen(&format!("URI:FOREIGN:{}:", priced.abroad.grid), "URI:", 1).parse().unwrap();
    let (abroad, cap) = (priced.abroad.grid, file.verify_cap().unwrap());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (lane, client) = runtime.block_on(async {
        let client = called(&priced, &key).await;
        let lane = HandLane::open(&client, abroad, &cap, &key, 1).await;
        client.manifest(&abroad, &cap, 0, 4_096, Some(&lane)).await.unwrap();
        (lane, client)
    });
    let (octets, transcript) = lane.delivered(&cap);
    let right = (octets, lane.charge(octets));
    let (id, session) = (lane.id(), &lane.session);
    let other = SecretKey::from_seed(&[9; 32]);
    let half = (octets / 2, lane.charge(octets / 2));
    let more = (octets + 1, lane.charge(octets + 1));
    let billion = (1_u64 << 40, lane.charge(1 << 40));
    // Forged, at another price, beyond what was sent, for a part of a delivery, with another transcript, too large for the wire, for
    // nothing, and of another lane.
    type Wrong<'a> = (&'a str, LaneId, (u64, u64), [u8; 32], &'a SecretKey, u16, &'a str);
    let wrong: [Wrong<'_>; 12] = [
        ("another key", id, right, transcript, &other, 400, "the signature on the voucher/1"),
        ("the gateway's key", id, right, transcript, &key, 400, "the signature on the voucher/1"),
        ("dearer", id, (right.0, right.1 + 1), transcript, session, 400, "not the charge for these octets"),
        ("cheaper", id, (right.0, right.1 - 1), transcript, session, 400, "not the charge for these octets"),
        ("one octet more", id, more, transcript, session, 409, "were sent"),
        ("a tebibyte", id, billion, transcript, session, 409, "were sent"),
        ("a part", id, half, transcript, session, 409, "it does not follow the voucher before it"),
        ("another history", id, right, [7; 32], session, 409, "something else than was delivered"),
        ("most octets", id, (MANY, MANY), transcript, session, 400, "not the charge for these octets"),
        ("too many octets", id, (u64::MAX, right.1), transcript, session, 400, "cum_bytes"),
        ("nothing", id, (0, 0), transcript, session, 400, "a voucher for nothing"),
        (
            "another lane",
            lafs_clearinghouse::signed::Identity([0; 32]),
            right,
            transcript,
            session,
            400,
            "it belongs to another lane",
        ),
    ];
    runtime.block_on(async {
        for (what, lane_id, amounts, transcript, key, status, says) in wrong {
            let (found, detail) = lane.voucher(&client, lane_id, amounts, transcript, key).await.unwrap_err();
            assert!(found == status && detail.contains(says), "{what}: {found} {detail}");
        }
    });
    assert_eq!(priced.owed_abroad().1, 0, "nothing was booked");
    runtime.block_on(async {
        // Of vouchers it counts how far they go, and never when they say that they were made.
        for time in [Clock::with_offset(86_400), Clock::with_offset(-86_400)].map(|clock| clock.now()) {
            lane.voucher_of(&client, id, right, transcript, session, time).await.unwrap();
        }
        // The right one counts once, however often it comes; and an older one after it is answered with it.
        for _ in 0..3 {
            lane.voucher(&client, id, right, transcript, session).await.unwrap();
        }
        lane.voucher(&client, id, half, transcript, session).await.unwrap();
    });
    assert_eq!(priced.owed_abroad().1, i128::from(right.1));
    ok(priced.place.run("ledger verify -d abroad"));
}

#[test]
fn terms_that_one_side_alone_has_signed_are_none() {
    let priced = Priced::start(1_000, "5 USD/GiB");
    let words = format!("terms propose {} --pays we -o one-sided -d home --credit", priced.abroad.grid);
    ok(priced.place.run_words(words.split(' ').chain(["10 USD"])));
    let key = read_key(&Home::new(priced.place.path("home")).gateway_key()).unwrap();
    let proposal = priced.place.read("one-sided");
    // A signature of the payer's in the place of the payee's.
    let twice = [&proposal[..], &proposal[proposal.len() - 64..]].concat();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let client = called(&priced, &key).await;
        for terms in [proposal, twice] {
            let (status, detail) = post(&client, "/v1/terms", "application/cose", terms).await.unwrap_err();
            assert!(status == 400 && detail.contains("terms/1"), "{status} {detail}");
        }
    });
    assert_eq!(ok(priced.place.run("terms list -d abroad --json")).json()["terms"], serde_json::json!([]));
}

#[test]
fn a_price_beyond_all_money_is_told_and_nothing_is_paid() {
    let priced = Priced::with(Place::new(), 100_000, "9223372036.854775807 USD/GiB", Node::start);
    let get =
        |max: &str| priced.place.run_words(["get", &priced.files.cap, "-o", "file", "-d", "me", "--max-price", max]);
    for max in ["100 USD", "9223372036 USD"] {
        let refused = get(max);
        assert!(matches!(refused.status, 4 | 9), "{max}: {} {}", refused.status, refused.stderr);
        assert!(refused.stderr.contains("USD"), "{max}: {}", refused.stderr);
    }
    assert_eq!(priced.owed_abroad(), (0, 0));
}
