//! A node's own gateway: opened by its settings, named by its record.

use crate::place::{Place, eventually, mode};

const LOCAL: &str = "--listen 127.0.0.1:0 --allow-private-addresses --gateway-listen 127.0.0.1:0";

#[test]
fn a_gateway_goes_into_the_record_by_itself_and_keeps_its_name() {
    let place = Place::new();
    let grid = place.grid_manager("gm", 1);
    let made = place.run(&format!("init node --grid-manager gm --rate free {LOCAL}"));
    assert_eq!(made.status, 0, "{}", made.stderr);
    assert!(made.stderr.contains("no `--tahoe-node` was given"), "{}", made.stderr);
    assert!(made.stdout.contains("clearinghouse gateway url -d "), "{}", made.stdout);
    // The port is not known before somebody listens; with a port that is stated, the name is.
    let unknown = place.run("gateway url -d node");
    assert_eq!(unknown.status, 8, "{}", unknown.stderr);
    let config = String::from_utf8(place.read("node/clearinghouse.toml")).unwrap();
    place.write("node/clearinghouse.toml", format!("{config}\ngateway-external = \"127.0.0.1:4101\"\n"));
    let before = place.run("gateway url -d node");
    assert_eq!((before.status, before.stderr.as_str()), (0, ""));
    assert!(before.stdout.ends_with("@127.0.0.1:4101/gateway#v=1\n"), "{}", before.stdout);
    for name in ["node/gateway.key", "node/gateway-tls.pem"] {
        assert_eq!(mode(&place.path(name)), 0o600, "{name}");
    }

    let running = place.start("node");
    let record = eventually("a record with the gateway", || {
        let shown = place.run(&format!("record show node/own.record --grid {grid} --json"));
        (shown.status == 0).then(|| shown.json()).filter(|record| record["gateways"][0].is_object())
    });
    let nurl = before.stdout.trim_end();
    assert_eq!(record["gateways"][0]["furl"], nurl, "{record}");
    // Nothing to serve from: it spends for its own clients, and says no more.
    assert_eq!(record["gateways"][0]["roles"], serde_json::json!(["spend"]), "{record}");
    assert_eq!(place.run("gateway url -d node").stdout, before.stdout);
    // Its record is there before it can be asked.
    let status = eventually("a status", || {
        let status = place.run("status -d node --json");
        (status.status == 0).then(|| status.json())
    });
    assert_eq!(status["gateway_nurl"], nurl);
    assert_eq!(running.terminate(), 0);
}

#[test]
fn a_node_without_a_gateway_says_what_to_set() {
    let place = Place::new();
    place.grid_manager("gm", 1);
    place.run("init node --grid-manager gm --rate free");
    let none = place.run("gateway url -d node");
    assert_eq!(none.status, 3, "{}", none.stderr);
    assert!(none.stderr.contains("hint: set `gateway-listen` in that file"), "{}", none.stderr);
    for words in ["--no-grid --gateway-listen 127.0.0.1:0", "--grid-manager gm --gateway-listen 0.0.0.0:4101"] {
        let refused = place.run(&format!("init other {words}"));
        assert_eq!(refused.status, 2, "{words}: {}", refused.stderr);
        assert!(!place.path("other").exists());
    }
}
