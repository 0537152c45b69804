//! What `resolve` and `record broken` say, and with which code they end, of grids whose keys the test holds.

use crate::place::{Place, Running};
use lafs_clearinghouse::address::PrivateAddresses;
use lafs_clearinghouse::clock::Clock;
use lafs_clearinghouse::config::Home;
use lafs_clearinghouse::dht::message::{Body, Request, WireVerdict};
use lafs_clearinghouse::dht::server::Server;
use lafs_clearinghouse::keys::{GridId, SecretKey};
use lafs_clearinghouse::node::{Client, ClientSettings};
use lafs_clearinghouse::record::{GridRecord, KeyDigest, RecordDraft, Signer};
use lafs_clearinghouse::units::{Seconds, UnixSeconds};
use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;

const LOCAL: &str = "--listen 127.0.0.1:0 --allow-private-addresses";

/// A node of no grid, and the address by which others begin.
fn node(place: &Place, name: &str) -> (Running, String) {
    place.run(&format!("init {name} --no-grid {LOCAL}"));
    let node = place.start(name);
    let status = place.run(&format!("status -d {name} --wait 60 --json")).json();
    (node, status["addrs"][0].as_str().unwrap().to_owned())
}

fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed(&[seed; 32])
}

fn grid(seed: u8) -> GridId {
    GridId::new(key(seed).public())
}

/// What the grid of that number signs, `at` seconds from `now`.
fn sign(seed: u8, now: UnixSeconds, at: u64, change: impl FnOnce(&mut RecordDraft)) -> GridRecord {
    let mut draft = RecordDraft::new(grid(seed));
    change(&mut draft);
    draft.sign(Signer::Grid { key: &key(seed), serial: now }, None, &[], now.plus(Seconds(at))).unwrap()
}

/// Stores records with the node at `addr`, as any stranger may.
fn hand_over(place: &Place, addr: &str, records: &[&GridRecord]) {
    let mut addr: Multiaddr = addr.parse().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let settings = ClientSettings {
            network: "main".parse().unwrap(),
            bootstrap: vec![addr.clone()],
            private: PrivateAddresses::Allowed,
        };
        let client = Client::start(&Home::new(place.path("hand")), settings, Clock::system()).await.unwrap();
        let Some(Protocol::P2p(peer)) = addr.pop() else { panic!("an address with a peer id") };
        for record in records {
            let request = Request::Store { grid: *record.grid(), record: record.signed().bytes().to_vec() };
            let answer = client.dht.ask(&Server { peer, addrs: vec![addr.clone()] }, request).await.unwrap();
            assert!(matches!(answer.body, Body::Verdict { verdict: WireVerdict::Stored, .. }), "{answer:?}");
        }
        client.stop().await;
    });
}

#[test]
fn each_outcome_has_its_code_and_its_name_in_json() {
    let place = Place::new();
    let (_node, addr) = node(&place, "node");
    let now = Clock::system().now();
    let (good, newer) = (sign(1, now, 0, |_| {}), sign(1, now, 1, |_| {}));
    let withdrawn = sign(2, now, 0, |draft| draft.withdrawn = true);
    let moved = sign(3, now, 0, |draft| draft.successor = Some(grid(1)));
    let heir = sign(5, now, 0, |draft| draft.predecessor = Some(grid(4)));
    let moved_well = sign(4, now, 0, |draft| {
        draft.successor = Some(grid(5));
        draft.next = Some(KeyDigest(grid(5).digest()));
    });
    let short = sign(6, now, 0, |draft| draft.lifetime = Some(Seconds(20)));
    hand_over(&place, &addr, &[&good, &withdrawn, &moved, &moved_well, &heir, &short]);
    let client = format!("-d client --bootstrap {addr} --allow-private-addresses");
    let fails = |line: &str, status: i32, code: &str| {
        let ended = place.run(&format!("{line} --json"));
        let error: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
        assert_eq!((ended.status, &error["error"]["code"]), (status, &code.into()), "{line}: {}", ended.stdout);
        assert!(ended.stderr.is_empty(), "{}", ended.stderr);
        error["error"]["message"].as_str().unwrap().to_owned()
    };
    for policy in ["fast", "fresh"] {
        let found = place.run(&format!("resolve {} {client} --policy {policy} --json", grid(1))).json();
        assert_eq!(found["identity"], good.signed().identity().to_string());
        fails(&format!("resolve {} {client} --policy {policy}", grid(2)), 6, "withdrawn");
        let message = fails(&format!("resolve {} {client} --policy {policy}", grid(3)), 7, "moved");
        assert!(message.contains("had not announced any key to follow"), "{message}");
        let followed = place.run(&format!("resolve {} {client} --policy {policy} --json", grid(4))).json();
        assert_eq!(followed["grid_id"], grid(5).to_string());
        assert_eq!(followed["moved_from"], grid(4).to_string());
        fails(&format!("resolve {} {client} --policy {policy}", grid(9)), 3, "not_found");
    }
    // What was found is at hand, without a network, as the network said it.
    let at_hand = "-d client --policy cached";
    assert_eq!(place.run(&format!("resolve {} {at_hand} --json", grid(1))).json()["source"], "cache");
    assert_eq!(place.run(&format!("resolve {} {at_hand} --json", grid(4))).json()["moved_from"], grid(4).to_string());
    fails(&format!("resolve {} {at_hand}", grid(2)), 6, "withdrawn");
    fails(&format!("resolve {} {at_hand}", grid(3)), 7, "moved");
    let message = fails(&format!("resolve {} {at_hand}", grid(9)), 3, "not_found");
    assert!(message.ends_with("nothing is at hand"), "{message}");
    place.run(&format!("resolve {} {at_hand}", grid(2))).is(
        6,
        "",
        &format!("clearinghouse: error: the grid {} has withdrawn its record\n", grid(2)),
    );

    // Somebody who has seen the newer one, and meets only a holder of the older.
    hand_over(&place, &addr, &[&newer]);
    let reader = "-d reader --allow-private-addresses --bootstrap";
    place.run(&format!("resolve {} {reader} {addr} --json", grid(1))).json();
    std::fs::remove_dir_all(place.path("reader/store")).unwrap();
    let (_other, other_addr) = node(&place, "other");
    hand_over(&place, &other_addr, &[&good]);
    let message = fails(&format!("resolve {} {reader} {other_addr}", grid(1)), 11, "integrity");
    assert!(message.contains("older than one seen before"), "{message}");
    // Nobody listens on port 1.
    let nobody = format!("/ip4/127.0.0.1/tcp/1/p2p/{}", libp2p::PeerId::random());
    fails(
        &format!("resolve {} -d lost --allow-private-addresses --bootstrap {nobody} --deadline 1s", grid(1)),
        8,
        "unreachable",
    );
    fails("resolve pub-v0-nonsense", 2, "malformed");

    // A running node keeps an expired record for a day, to say so.
    let until = short.signed().expires_at();
    let expired = std::iter::repeat_with(|| place.run(&format!("resolve {} -d node --policy cached --json", grid(6))))
        .find(|ended| ended.status != 0)
        .unwrap();
    assert!(Clock::system().now() >= until);
    assert_eq!(expired.status, 5, "{}", expired.stdout);
}

#[test]
fn a_broken_promise_is_shown_with_its_proof() {
    let place = Place::new();
    let (_node, addr) = node(&place, "node");
    let now = Clock::system().now();
    let until = now.plus(Seconds::days(60));
    let rate = |text: &str| vec![text.parse().unwrap()];
    let promised = sign(1, now, 0, |draft| draft.rates = rate(&format!("0.02 USD/GiB until {until}")));
    let breaking = sign(1, now, 1, |draft| draft.rates = rate("0.05 USD/GiB"));
    let honest = sign(2, now, 0, |draft| draft.rates = rate(&format!("0.02 USD/GiB until {until}")));
    let gone = sign(3, now, 0, |draft| draft.withdrawn = true);
    hand_over(&place, &addr, &[&promised, &breaking, &honest, &gone]);

    let client = format!("-d client --bootstrap {addr} --allow-private-addresses");
    // A client that asks the network, the node that runs there, and what the client has at hand afterwards.
    for asked in [client.as_str(), "-d node", "-d client --policy cached"] {
        let shown = place.run(&format!("record broken {} {asked} --json", grid(1))).json();
        let [breach] = &shown["broken"].as_array().unwrap()[..] else { panic!("{shown}") };
        assert_eq!(
            (&breach["asset"], &breach["scale"], &breach["broken"]),
            (&"USD".into(), &9.into(), &"raised".into())
        );
        assert_eq!(breach["promised"]["price_per_gib"], "20000000");
        assert_eq!(breach["promised"]["committed_until_unix_seconds"], until.0);
        assert_eq!(breach["current"]["price_per_gib"], "50000000");
        assert_eq!(breach["binding_price_per_gib"], "20000000");
        assert_eq!(breach["earlier"]["identity"], promised.signed().identity().to_string());
        assert_eq!(breach["earlier"]["authority"]["publisher"], serde_json::Value::Null);
        assert_eq!(shown["current"]["identity"], breaking.signed().identity().to_string());
        let none = place.run(&format!("record broken {} {asked} --json", grid(2))).json();
        assert_eq!(none["broken"], serde_json::json!([]), "{asked}");
        assert_eq!(place.run(&format!("record broken {} {asked}", grid(3))).status, 6);
    }
    let shown = place.run(&format!("record broken {} -d node -o proof", grid(1)));
    let [older, newer] = [&promised, &breaking].map(|record| record.signed().file_name());
    let (from, sequence) = (now, |record: &GridRecord| record.signed().sequence());
    shown.is(
        0,
        &format!(
            "grid        {grid}\n\
             current     sequence {}, issued {}\n            signed by the grid key, serial {now_seconds}\n            identity {}\n\
             \n\
             promised    0.02 USD/GiB, from {from} until {until}\n\
             \x20 by        sequence {}, issued {now}\n            signed by the grid key, serial {now_seconds}\n            identity {}\n\
             now         raised: 0.05 USD/GiB, from [..] until [..]\n\
             charged     0.02 USD/GiB, whatever the current record says\n\
             \n\
             one promise is broken; one earlier record was compared\n\
             \n\
             Anybody checks this without a network: each record verifies as of the moment it was signed, and its\n\
             rates are compared.\n\
             \x20 python3 scripts/verify_record.py --grid {grid} --now {now_seconds} proof/{older}\n\
             \x20 python3 scripts/verify_record.py --grid {grid} --now {} proof/{newer}\n",
            sequence(&breaking),
            now.plus(Seconds(1)),
            breaking.signed().identity(),
            sequence(&promised),
            promised.signed().identity(),
            now.0 + 1,
            grid = grid(1),
            now_seconds = now.0,
        ),
        "",
    );
    assert_eq!(place.read(&format!("proof/{older}")), promised.signed().bytes());
    assert_eq!(place.read(&format!("proof/{newer}")), breaking.signed().bytes());
    assert_eq!(place.run(&format!("record verify proof/{older} --now {now}")).status, 0);
    // Once more into the same folder is no failure; another file of that name is not overwritten.
    assert_eq!(place.run(&format!("record broken {} -d node -o proof", grid(1))).status, 0);
    place.write(&format!("proof/{older}"), b"something else");
    assert_eq!(place.run(&format!("record broken {} -d node -o proof", grid(1))).status, 1);
    assert_eq!(place.read(&format!("proof/{older}")), b"something else");
    place.run(&format!("record broken {} -d node", grid(2))).is(
        0,
        &format!(
            "grid        {}\ncurrent     sequence [..]\n            signed by [..]\n            identity [..]\n\n\
             nothing is broken: [..]\n",
            grid(2)
        ),
        "",
    );
}
