//! What is lent: it is settled from the half of it on without anybody's asking, refused where it is used up, and lent again once it is
//! paid.

use crate::hand_lane::{HandLane, called};
use crate::place::eventually;
use crate::priced::{Priced, ok};
use lafs_clearinghouse::capability::Capability;
use lafs_clearinghouse::config::{Home, read_key};

const MIB: usize = 1 << 20;

/// The statement that is in the books of `dir`, if there is one: nobody claims for it.
fn statement(priced: &Priced, dir: &str) -> Option<serde_json::Value> {
    let printed = ok(priced.place.run(&format!("statement -d {dir} --json"))).json();
    printed["statements"].as_array().unwrap().first().cloned()
}

#[test]
fn half_a_credit_is_claimed_by_itself_all_of_it_is_refused_with_402_and_what_is_paid_is_lent_again() {
    let priced = Priced::start(4 * MIB, "5 USD/GiB");
    // A file comes to 0.0195 USD: three go into it, and no fourth one.
    priced.agree_on_terms("0.06 USD", 4);
    ok(priced.get("first"));
    priced.agree();
    assert_eq!(statement(&priced, "abroad"), None, "a third of the credit, and nothing is due yet");
    ok(priced.get("second"));
    let (_, owed) = priced.agree();
    let claimed = eventually("it is claimed", || statement(&priced, "abroad"));
    // By itself then, and not by the round of each minute, which would do so too.
    let log = String::from_utf8(priced.place.read("abroad.log")).unwrap();
    assert!(log.contains("a grid owes half of what it may: what is due is claimed now"), "{log}");
    let charged: i128 = claimed["charged"].as_str().unwrap().parse().unwrap();
    assert!(charged >= 30_000_000 && charged <= owed, "{claimed}");

    ok(priced.get("third"));
    let refused = priced.get("fourth");
    assert_eq!(refused.status, 9, "{}", refused.stderr);
    for says in [
        "the home gateway says: ",
        " of 0.06 USD are owed and not settled, and more with what is under way is not lent",
    ] {
        assert!(refused.stderr.contains(says), "{says}: {}", refused.stderr);
    }
    let (_, owed) = priced.agree();
    assert!((55_000_000..=60_000_000).contains(&owed), "{owed}");
    // Whoever asks by hand is told with 402.
    let key = read_key(&Home::new(priced.place.path("home")).gateway_key()).unwrap();
    let cap = priced.files.cap.replacen(&format!("URI:FOREIGN:{}:", priced.abroad.grid), "URI:", 1);
    let cap = cap.parse::<Capability>().unwrap().verify_cap().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let error = runtime.block_on(async {
        let client = called(&priced, &key).await;
        let lane = HandLane::open(&client, priced.abroad.grid, &cap, &key, 1).await;
        let manifest = client.manifest(&priced.abroad.grid, &cap, 0, 4_096, Some(&lane)).await;
        let manifest = match manifest {
            Ok(manifest) => std::sync::Arc::new(manifest),
            Err(error) => return error,
        };
        let payer = std::sync::Arc::new(lane);
        let all = 0..manifest.layout().units();
        let mut units = client.units(&priced.abroad.grid, &cap, manifest, all, Some(payer)).unwrap();
        loop {
            match futures::StreamExt::next(&mut units).await {
                Some(Ok(_)) => {}
                Some(Err(error)) => return error,
                None => panic!("all of it came"),
            }
        }
    });
    let refusal = error.refusal().unwrap_or_else(|| panic!("{error}"));
    assert_eq!(refusal.status, 402, "{}", refusal.detail);
    assert!(refusal.detail.contains("are owed and not settled"), "{}", refusal.detail);

    // Money has arrived, and the same command goes on.
    let words = ["statement", "paid", &priced.home.grid.to_string(), "0.05 USD", "--reference", "RF18", "-d", "abroad"];
    ok(priced.place.run_words(words));
    ok(priced.get("fourth"));
    priced.is_whole("fourth");
    // It hears of the payment within a minute, or now.
    ok(priced.place.run("statement --now -d home"));
    priced.agree();
}
