//! A grid's clients, and a client's home.

use crate::home_gateway::HomeGateway;
use crate::place::Place;
use lafs_clearinghouse::clock::Clock;
use lafs_clearinghouse::keys::{GridId, SecretKey};
use lafs_clearinghouse::record::{GridRecord, KeyDigest, RecordDraft, Signer};
use lafs_clearinghouse::units::{Seconds, UnixSeconds};
use std::os::unix::fs::PermissionsExt;
use std::sync::LazyLock;

const LOCAL: &str = "--listen 127.0.0.1:0 --allow-private-addresses";
const CHK: &str = "CHK:44wphqinesnggifna54n6ccwke:gsbsu5hlwbscygephg3aqd7t47y2agatsnnt7eip37w7znx6ws3q:2:3:1000000";

fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed(&[seed; 32])
}

fn grid(seed: u8) -> GridId {
    GridId::new(key(seed).public())
}

/// When the test began: all records have one serial, so that the later one is the newer.
static BEGAN: LazyLock<UnixSeconds> = LazyLock::new(|| Clock::system().now());

/// A grid's record of so many seconds before the test began.
fn record(seed: u8, ago: u64, change: impl FnOnce(&mut RecordDraft)) -> GridRecord {
    let now = *BEGAN;
    let mut draft = RecordDraft::new(grid(seed));
    change(&mut draft);
    let signer = Signer::Grid { key: &key(seed), serial: now.minus(Seconds::days(1)) };
    draft.sign(signer, None, &[], now.minus(Seconds(ago))).unwrap()
}

fn node(place: &Place) -> GridId {
    let grid = place.grid_manager("gm", 1);
    place.run(&format!("init node --grid-manager gm {LOCAL}"));
    grid
}

#[test]
fn clients_are_added_listed_and_removed_by_name() {
    let place = Place::new();
    node(&place);
    let (ada, bob) = (key(9).public(), key(10).public());
    place.run("client list -d node").is(0, "no clients yet: `clearinghouse client add NAME KEY` adds one\n", "");
    place.run(&format!("client add Ada {ada} -d node --groups staff,night")).is(
        0,
        &format!("`Ada` is a client until it is removed: {ada}\n"),
        "",
    );
    place.run(&format!("client add Bob {bob} -d node --until 2099-01-01")).is(
        0,
        &format!("`Bob` is a client until 2099-01-01T00:00:00Z: {bob}\n"),
        "",
    );
    place.run(&format!("client add Ada {bob} -d node")).is(
        4,
        "",
        &format!(
            "clearinghouse: error: `Ada` is a client already, with the key {ada}\n\
             clearinghouse: hint: choose another name, or end that membership first with `clearinghouse client remove`\n"
        ),
    );
    let list = place.run("client list -d node --json").json();
    assert_eq!(
        list["clients"][0],
        serde_json::json!({
            "name": "Ada", "key": ada.to_string(), "groups": ["staff", "night"], "not_after_unix_seconds": null,
            "gateways": [],
        })
    );
    assert_eq!(list["clients"][1]["not_after_unix_seconds"], 4_070_908_800_u64);
    place.run("client list -d node").is(
        0,
        &format!("Ada  {ada}\n     staff, night\nBob  {bob}\n     until 2099-01-01T00:00:00Z\n"),
        "",
    );
    place.run("client remove Ada -d node").is(0, &format!("`Ada` is no client any more: {ada}\n"), "");
    place.run("client remove Ada -d node").is(
        3,
        "",
        "clearinghouse: error: no client is called `Ada`\nclearinghouse: hint: `clearinghouse client list` shows the names\n",
    );
    assert_eq!(place.run("client list -d node --json").json()["clients"].as_array().unwrap().len(), 1);
}

#[test]
fn a_private_key_is_no_clients() {
    let place = Place::new();
    node(&place);
    let private = key(9).to_private_text();
    let refused = place.run(&format!("client add Ada {} -d node", *private));
    assert_eq!(refused.status, 2, "{}", refused.stderr);
    assert!(!refused.stderr.contains(&private[8..]), "{}", refused.stderr);
    for (words, status) in [("--until 2001-01-01", 2), ("--groups a,a", 2), ("--groups a,b,c,d,e,f,g,h,i", 2)] {
        let refused = place.run(&format!("client add Ada {} -d node {words}", key(9).public()));
        assert_eq!(refused.status, status, "{words}: {}", refused.stderr);
    }
}

#[test]
fn a_publisher_signs_them_under_its_delegation() {
    let place = Place::new();
    let grid = place.grid_manager("gm", 1);
    place.run(&format!("init node --grid-id {grid} {LOCAL}"));
    let refused = place.run(&format!("client add Ada {} -d node", key(9).public()));
    assert_eq!(refused.status, 4);
    assert!(refused.stderr.contains("hint: the operator of the grid key delegates"), "{}", refused.stderr);
    let publisher = String::from_utf8(place.read("node/publisher.key")).unwrap();
    let publisher = publisher.trim_end().parse::<SecretKey>().unwrap().public();
    let until = Clock::system().now().plus(Seconds::days(300)).to_string();
    place.run(&format!("delegate {publisher} --grid-manager gm --until {} -o d", &until[..10])).is(
        0,
        "[..]\n[..]\n[..]\n[..]\n",
        "",
    );
    assert_eq!(place.run("record install d -d node").status, 0);
    assert_eq!(place.run(&format!("client add Ada {} -d node", key(9).public())).status, 0);
    assert_eq!(place.run("client list -d node --json").json()["clients"][0]["name"], "Ada");
}

#[test]
fn a_running_node_knows_at_once() {
    let place = Place::new();
    node(&place);
    let _node = place.start("node");
    let count = || place.run("status -d node --json --wait 60").json()["clients"].clone();
    assert_eq!(count(), 0);
    place.run(&format!("client add Ada {} -d node", key(9).public()));
    assert_eq!(count(), 1);
    assert!(place.run("status -d node").stdout.contains("\nclients    1\n"));
    place.run("client remove Ada -d node");
    assert_eq!(count(), 0);
}

#[test]
fn a_client_joins_and_is_known_once_the_operator_has_added_it() {
    let place = Place::new();
    let home_grid = node(&place);
    let gateway = HomeGateway::start(&place.path("node"), home_grid);
    let joined = place.run(&format!("join {} -d me --json", gateway.nurl)).json();
    assert_eq!((&joined["home_grid_id"], &joined["network"]), (&home_grid.to_string().into(), &"a-house".into()));
    assert_eq!((&joined["known"], &joined["label"]), (&false.into(), &serde_json::Value::Null));
    let key = joined["key"].as_str().unwrap();
    let command = format!("clearinghouse client add NAME {key}");
    assert_eq!(joined["client_add_command"], command.as_str());
    let mode = std::fs::metadata(place.path("me/accounting.key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // Before that nothing is given, and what to do is said.
    let early = place.run(&format!("resolve {} -d me", grid(7)));
    assert_eq!(early.status, 4);
    assert!(early.stderr.contains(&format!("`{command}`")), "{}", early.stderr);
    // The very words, with a name.
    let words = command.replace("clearinghouse ", "").replace("NAME", "Ada");
    assert_eq!(place.run(&format!("{words} -d node")).status, 0);
    let again = place.run(&format!("join {} -d me --json", gateway.nurl)).json();
    assert_eq!((&again["key"], &again["known"], &again["label"]), (&joined["key"], &true.into(), &"Ada".into()));
    place.run(&format!("join {} -d me", gateway.nurl)).is(
        0,
        &format!(
            "directory  me\nhome       {}\nhome grid  {home_grid}\nnetwork    a-house\nkey        {key}\nknown as   Ada\n",
            gateway.nurl
        ),
        "",
    );
    // The grid of a bare cap is known now.
    place.run(&format!("cap foreign URI:{CHK} -d me")).is(0, &format!("URI:FOREIGN:{home_grid}:{CHK}\n"), "");
}

#[test]
fn a_client_resolves_through_its_home_and_believes_what_is_signed() {
    let place = Place::new();
    let home_grid = node(&place);
    let gateway = HomeGateway::start(&place.path("node"), home_grid);
    let key_text = place.run(&format!("join {} -d me --json", gateway.nurl)).json()["key"].clone();
    place.run(&format!("client add Ada {} -d node", key_text.as_str().unwrap()));
    let resolve = |seed: u8| place.run(&format!("resolve {} -d me --json", grid(seed)));

    let missing = resolve(7);
    assert_eq!(missing.status, 3, "{}{}", missing.stdout, missing.stderr);
    let newest = record(7, 5, |draft| draft.nickname = Some("Seven".parse().unwrap()));
    gateway.holds(&grid(7), &newest);
    let found = resolve(7).json();
    assert_eq!((&found["nickname"], &found["source"]), (&"Seven".into(), &"home".into()));
    assert_eq!(found["grid_id"], grid(7).to_string());
    // An older one is not believed any more, nor another grid's.
    gateway.holds(&grid(7), &record(7, 500, |_| {}));
    assert_eq!(resolve(7).status, 11);
    gateway.holds(&grid(7), &record(8, 5, |_| {}));
    assert_eq!(resolve(7).status, 11);
    // A move is followed if it was announced, and the heir owns up to it.
    let announced = |draft: &mut RecordDraft| draft.next = Some(KeyDigest(grid(12).digest()));
    gateway.holds(&grid(11), &record(11, 50, announced));
    resolve(11).json();
    gateway.holds(
        &grid(11),
        &record(11, 5, |draft| {
            announced(draft);
            draft.successor = Some(grid(12));
        }),
    );
    gateway.holds(&grid(12), &record(12, 5, |draft| draft.predecessor = Some(grid(11))));
    let moved = resolve(11).json();
    assert_eq!((&moved["grid_id"], &moved["moved_from"]), (&grid(12).to_string().into(), &grid(11).to_string().into()));
    gateway.holds(&grid(12), &record(12, 1, |_| {}));
    assert_eq!(resolve(11).status, 7);
    // Who was removed is refused from then on.
    place.run("client remove Ada -d node");
    assert_eq!(resolve(7).status, 4);
    // Another way that is named wins.
    let elsewhere = place.run(&format!("resolve {} -d me --network other", grid(7)));
    assert_eq!(elsewhere.status, 8, "{}", elsewhere.stderr);
    assert!(elsewhere.stderr.contains("no network is known"), "{}", elsewhere.stderr);
}

#[test]
fn what_is_no_home_is_not_joined() {
    let place = Place::new();
    let home_grid = node(&place);
    let gateway = HomeGateway::start(&place.path("node"), home_grid);
    let url = gateway.nurl.to_string();
    let secret = url.replace("/gateway#", "/hbqzvb2sdpnqvuibad52ofau7by5zotp#");
    let refused = place.run(&format!("join {secret} -d me"));
    assert_eq!(refused.status, 2);
    assert!(
        refused.stderr.contains("secret address of a storage server") && !refused.stderr.contains("hbqzvb"),
        "{}",
        refused.stderr
    );
    let other_key = url.replace(&url[5..48], &data_encoding::BASE64URL_NOPAD.encode(&[7; 32]));
    let refused = place.run(&format!("join {other_key} -d me"));
    assert_eq!(refused.status, 11, "{}", refused.stderr);
    assert!(!place.path("me").exists(), "nothing is made for a stranger");
    assert_eq!(place.run("join nonsense -d me").status, 2);
    assert_eq!(place.run(&format!("join {url} -d me")).status, 0);
    let other = HomeGateway::start(&place.path("node"), home_grid);
    let refused = place.run(&format!("join {} -d me", other.nurl));
    assert_eq!(refused.status, 4);
    assert!(refused.stderr.contains("has joined another home gateway"), "{}", refused.stderr);
    drop(gateway);
    let gone = place.run(&format!("join {url} -d new"));
    assert_eq!(gone.status, 8, "{}", gone.stderr);
}

#[test]
fn a_running_node_is_the_home_of_its_clients() {
    let place = Place::new();
    let home_grid = place.grid_manager("gm", 1);
    let made = place.run(&format!("init node --grid-manager gm {LOCAL} --gateway-listen 127.0.0.1:0"));
    assert_eq!(made.status, 0, "{}", made.stderr);
    let _node = place.start("node");
    let network = place.run("status -d node --json --wait 60").json()["network"].clone();
    let url = place.run("gateway url -d node").stdout;
    let joined = place.run(&format!("join {} -d me --json", url.trim_end())).json();
    assert_eq!((&joined["home_grid_id"], &joined["network"]), (&home_grid.to_string().into(), &network));
    assert_eq!(joined["known"], false);
    let resolve = |grid: &GridId| place.run(&format!("resolve {grid} -d me --json"));
    assert_eq!(resolve(&home_grid).status, 4);
    place.run(&format!("client add Ada {} -d node", joined["key"].as_str().unwrap()));
    assert_eq!(place.run(&format!("join {} -d me --json", url.trim_end())).json()["label"], "Ada");
    let found = resolve(&home_grid).json();
    assert_eq!((&found["grid_id"], &found["source"]), (&home_grid.to_string().into(), &"home".into()));
    // Nothing is wrong with a gateway that answers where the record says that it is.
    assert!(!place.run("status -d node --check").stdout.contains("gateway:"));
    place.run("client remove Ada -d node");
    let removed = place.run(&format!("resolve {home_grid} -d me"));
    assert_eq!(removed.status, 4);
    assert!(removed.stderr.contains("has removed this client\n"), "{}", removed.stderr);
    assert!(removed.stderr.contains("hint: ask its operator why"), "{}", removed.stderr);
    let again = place.run(&format!("join {} -d me", url.trim_end()));
    assert!(again.stdout.contains("known as   nobody any more: it was removed\n"), "{}", again.stdout);
}

#[test]
fn a_gateway_that_is_not_where_its_record_says_is_a_finding() {
    let place = Place::new();
    place.grid_manager("gm", 1);
    // A port that was free a moment ago.
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = nobody.local_addr().unwrap();
    drop(nobody);
    place
        .run(&format!("init node --grid-manager gm {LOCAL} --gateway-listen 127.0.0.1:0 --gateway-external {address}"));
    let _node = place.start("node");
    place.run("status -d node --json --wait 60");
    let found = place.run("status -d node --check").stdout;
    assert!(found.contains(&format!("gateway: this node's own gateway does not answer where its record says that it is: `{address}` cannot be reached")), "{found}");
    assert!(found.contains("`gateway-external`"), "{found}");
}

#[test]
fn a_client_may_be_confined_to_gateways_of_its_grid() {
    let place = Place::new();
    let home_grid = place.grid_manager("gm", 1);
    place.run(&format!("init node --grid-manager gm {LOCAL} --gateway-listen 127.0.0.1:0"));
    let _node = place.start("node");
    place.run("status -d node --json --wait 60");
    let url = place.run("gateway url -d node").stdout.trim_end().to_owned();
    let key = place.run(&format!("join {url} -d me --json")).json()["key"].as_str().unwrap().to_owned();
    let other = url.replace(&url[5..48], &data_encoding::BASE64URL_NOPAD.encode(&[7; 32]));
    place.run(&format!("client add Ada {key} -d node --gateway {other}"));
    let list = place.run("client list -d node").stdout;
    assert_eq!(list, format!("Ada  {key}\n     only at {}\n", &other[5..48]));
    let elsewhere = place.run(&format!("resolve {home_grid} -d me"));
    assert_eq!(elsewhere.status, 4);
    assert!(elsewhere.stderr.contains("leaves this client to other gateways of the grid"), "{}", elsewhere.stderr);
    place.run(&format!("client add Ada {key} -d node --gateway {other} --gateway {url}"));
    assert_eq!(place.run("client list -d node --json").json()["clients"][0]["gateways"][1], url[5..48]);
    assert_eq!(place.run(&format!("resolve {home_grid} -d me")).status, 0);
    let secret = url.replace("/gateway#", "/hbqzvb2sdpnqvuibad52ofau7by5zotp#");
    let refused = place.run(&format!("client add Ada {key} -d node --gateway {secret}"));
    assert!(refused.status == 2 && !refused.stderr.contains("hbqzvb"), "{}", refused.stderr);
}
