//! Nodes at work on loopback, and the commands that ask them.

use crate::place::{Place, Running};
use std::net::TcpListener;

const CAP: &str = "CHK:44wphqinesnggifna54n6ccwke:gsbsu5hlwbscygephg3aqd7t47y2agatsnnt7eip37w7znx6ws3q:2:3:1000000";
const LOCAL: &str = "--listen 127.0.0.1:0 --allow-private-addresses";

/// A node with a grid of its own, alone, ready. With the address that others join by.
fn first(place: &Place) -> (Running, String) {
    place.grid_manager("gm1", 1);
    place.run(&format!("init one --grid-manager gm1 {LOCAL}"));
    let node = place.start("one");
    let status = place.run("status -d one --wait 60 --json").json();
    (node, status["addrs"][0].as_str().unwrap().to_owned())
}

#[test]
fn a_lone_node_is_ready_and_says_how_others_join() {
    let place = Place::new();
    let (node, addr) = first(&place);
    let status = place.run("status -d one --json").json();
    assert_eq!(status["mode"], "server");
    assert_eq!(status["published_to"], 0);
    assert!(addr.ends_with(&format!("/p2p/{}", status["peer_id"].as_str().unwrap())), "{addr}");
    let text = place.run("status -d one");
    assert!(text.stdout.ends_with(&format!("\nOthers join with:\n  --bootstrap {addr}\n")), "{}", text.stdout);
    place.run("record publish -d one").is(0, "sequence [..] is held by nobody yet but this node\n", "");
    assert_eq!(node.terminate(), 0);
    assert!(!place.path("one/api.json").exists());
    place.run("record publish -d one").is(
        8,
        "",
        "clearinghouse: error: no node is running in `one`\n\
         clearinghouse: hint: start it with `clearinghouse run -d one`\n",
    );
}

#[test]
fn a_stranger_with_one_address_resolves_what_two_nodes_publish() {
    let place = Place::new();
    let (_one, addr) = first(&place);
    let grid = place.grid_manager("gm2", 2);
    place.run_words(
        format!("init two --grid-manager gm2 --bootstrap {addr} {LOCAL} --nickname Second --rate")
            .split(' ')
            .chain(["0.02 USD/GiB until 2027-06-01"]),
    );
    let _two = place.start("two");
    let status = place.run("status -d two --wait 60 --json").json();
    assert_eq!((&status["published_to"], &status["published_widely"]), (&1.into(), &true.into()));
    let cap = format!("URI:FOREIGN:{grid}:{CAP}");
    let found =
        place.run(&format!("resolve {cap} -d stranger --bootstrap {addr} --allow-private-addresses --json")).json();
    assert_eq!(found["grid_id"], grid.to_string());
    assert_eq!(found["home_cap"], format!("URI:{CAP}"));
    assert_eq!(found["nickname"], "Second");
    assert_eq!(found["sequence"], status["sequence"]);
    assert_eq!(found["rates"][0]["price_per_gib"], "20000000");
    assert_eq!(found["authority"]["publisher"], serde_json::Value::Null);
    assert!(found["agreeing_holders"].as_u64().unwrap() >= 1, "{found}");
    assert_eq!(found["source"], "direct");
    for field in [
        "issued_at_unix_seconds",
        "expires_at_unix_seconds",
        "contact",
        "gateways",
        "nodes",
        "clearing",
        "evidence",
        "moved_from",
        "size_bytes",
        "identity",
        "age_seconds",
        "elapsed_ms",
    ] {
        assert!(found.get(field).is_some(), "{field}");
    }
    // A running node answers from its own book, by itself once it has compared it with the others'; what the stranger saw
    // before, it has at hand.
    assert_eq!(place.run(&format!("resolve {grid} -d one --policy cached --json")).json()["source"], "cache");
    assert_eq!(place.run(&format!("resolve {grid} -d stranger --policy cached --json")).json()["source"], "cache");
    let other = place.grid_manager("gm3", 3);
    place.run(&format!("resolve {other} -d one")).is(
        3,
        "",
        &format!(
            "clearinghouse: error: no record of {other} was found; [..]\n\
             clearinghouse: hint: does its operator publish on the network [..]\n"
        ),
    );
}

#[test]
fn a_delegation_makes_a_running_node_publish() {
    let place = Place::new();
    let grid = place.grid_manager("gm", 1);
    let made = place.run(&format!("init node --grid-id {grid} --rate free {LOCAL} --json")).json();
    let _node = place.start("node");
    place.run("status -d node --wait 0 --json");
    let publisher = made["publisher_key"].as_str().unwrap();
    // 300 days ahead, whatever today is.
    let until = lafs_clearinghouse::clock::Clock::system().now().plus(lafs_clearinghouse::units::Seconds::days(300));
    place.run(&format!("delegate {publisher} --grid-manager gm --until {until} -o permission"));
    let waited = place.run("status -d node --wait 1");
    assert_eq!(waited.status, 8, "{}", waited.stdout);
    place.run("record install permission -d node").is(0, "installed the delegation, good until [..]\n", "");
    let status = place.run("status -d node --wait 60 --json").json();
    assert_eq!(status["grid_id"], grid.to_string());
    let found = place.run(&format!("resolve {grid} -d node --json")).json();
    assert_eq!(found["authority"]["publisher"], publisher);
    assert_eq!(found["rates"][0]["asset"], "XXX");
}

#[test]
fn no_network_known_says_what_to_do() {
    let place = Place::new();
    let grid = place.grid_manager("gm", 1);
    place.run(&format!("resolve {grid}")).is(
        8,
        "",
        "clearinghouse: error: no network is known: this program has no address built in\n\
         clearinghouse: hint: name a node with `--bootstrap ADDR`, or a home gateway once with `clearinghouse join`, or raise a network on this machine with `testnet up`\n",
    );
    assert!(place.path(".local/state/lafs-clearinghouse").is_dir(), "state under the user's folders");
}

#[test]
fn a_port_in_use_is_named() {
    let place = Place::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap();
    place.run(&format!("init node --no-grid --listen {addr}"));
    place.run("run -d node").is(
        1,
        "",
        &format!(
            "clearinghouse: error: cannot listen on {addr}: Address already in use (os error 98)\n\
             clearinghouse: hint: set another `listen` in clearinghouse.toml, or end the process that listens there\n"
        ),
    );
}

#[test]
fn a_second_node_on_one_directory_is_refused() {
    let place = Place::new();
    let (_node, _) = first(&place);
    place.run("run -d one").is(
        1,
        "",
        "clearinghouse: error: another process is using `one`\n\
         clearinghouse: hint: [..]\n",
    );
}

#[test]
fn a_node_that_was_killed_is_not_taken_for_a_running_one() {
    let place = Place::new();
    let (node, _) = first(&place);
    drop(node);
    assert!(place.path("one/api.json").exists());
    assert_eq!(place.run("status -d one").status, 8);
    // Another node that came to listen on the same port is not this one.
    place.run(&format!("init other --no-grid {LOCAL}"));
    let _other = place.start("other");
    place.run("status -d other --wait 60");
    let file: serde_json::Value = serde_json::from_slice(&place.read("other/api.json")).unwrap();
    let mut stale: serde_json::Value = serde_json::from_slice(&place.read("one/api.json")).unwrap();
    stale["url"] = file["url"].clone();
    place.write("one/api.json", stale.to_string());
    assert_eq!(place.run("status -d one").status, 8);
}
