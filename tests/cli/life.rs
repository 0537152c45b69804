//! A node's life: what it goes through, and that each of it ends well or in a clear word.

use crate::place::{Ended, Place, Running, can_limit_files, eventually};
use lafs_clearinghouse::clock::Clock;
use lafs_clearinghouse::config::{Home, read_key};
use lafs_clearinghouse::keys::{GridId, SecretKey};
use lafs_clearinghouse::record::{Delegation, DelegationDraft, GridRecord};
use lafs_clearinghouse::units::Seconds;
use std::collections::HashMap;
use std::fs;
use std::path::Path;

const LOCAL: &str = "--listen 127.0.0.1:0 --allow-private-addresses";

/// A node of a grid, at work. With what others join by.
fn grid_node(place: &Place, dir: &str, seed: u8, more: &str) -> (Running, GridId, String) {
    let manager = format!("gm{seed}");
    let grid = if place.path(&manager).exists() {
        GridId::new(SecretKey::from_seed(&[seed; 32]).public())
    } else {
        place.grid_manager(&manager, seed)
    };
    let made = place.run(&format!("init {dir} --grid-manager {manager} {LOCAL} {more}"));
    assert_eq!(made.status, 0, "{}", made.stderr);
    let node = place.start(dir);
    let status = ready(place, dir);
    (node, grid, status["addrs"][0].as_str().unwrap().to_owned())
}

fn ready(place: &Place, dir: &str) -> serde_json::Value {
    place.run(&format!("status -d {dir} --wait 60 --json")).json()
}

fn status(place: &Place, dir: &str) -> serde_json::Value {
    place.run(&format!("status -d {dir} --json")).json()
}

/// The names of what is wrong.
fn check(place: &Place, dir: &str) -> Vec<String> {
    let ended = place.run(&format!("status -d {dir} --check --json"));
    let report: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("{}", ended.stderr));
    let findings = report["findings"].as_array().unwrap();
    assert_eq!(ended.status, i32::from(!findings.is_empty()), "{report}");
    assert_eq!(report["ok"], findings.is_empty());
    findings.iter().map(|finding| finding["name"].as_str().unwrap().to_owned()).collect()
}

/// Gives a key of the settings another value, in the place of the one it has or of its example.
fn set(place: &Place, dir: &str, key: &str, value: &str) {
    let file = format!("{dir}/clearinghouse.toml");
    let text = String::from_utf8(place.read(&file)).unwrap();
    let line = |line: &str| match line.trim_start_matches("# ").starts_with(&format!("{key} = ")) {
        true => format!("{key} = {value}\n"),
        false => format!("{line}\n"),
    };
    place.write(&file, text.lines().map(line).collect::<String>());
}

fn own_record(place: &Place, dir: &str, grid: &GridId) -> GridRecord {
    GridRecord::from_bytes(&place.read(&format!("{dir}/own.record")), grid).unwrap()
}

fn resolve(place: &Place, dir: &str, grid: &GridId) -> Option<serde_json::Value> {
    let found = place.run(&format!("resolve {grid} -d {dir} --json"));
    (found.status == 0).then(|| found.json())
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn a_restart_changes_nothing() {
    let place = Place::new();
    let (node, _, _) = grid_node(&place, "node", 1, "");
    let before = status(&place, "node");
    assert_eq!(check(&place, "node"), [""; 0]);
    place.run("status -d node --check").is(0, "nothing is wrong, at [..]\n", "");
    assert_eq!(node.terminate(), 0);
    assert_eq!(check(&place, "node"), ["running"]);
    place.run("status -d node --check").is(
        1,
        "running: no node is running in `node`\n    start it: `systemctl start clearinghouse`, or `clearinghouse run -d node`\n",
        "",
    );
    // The port is another one, and so the address in the record would be: it is stated here.
    let port = before["addrs"][0].as_str().unwrap().split('/').nth(4).unwrap();
    set(&place, "node", "listen", &format!("\"127.0.0.1:{port}\""));
    let _node = place.start("node");
    let after = ready(&place, "node");
    for same in ["peer_id", "sequence", "grid_id", "addrs"] {
        assert_eq!(before[same], after[same], "{same}");
    }
}

#[test]
fn a_node_that_is_killed_at_any_moment_publishes_no_sequence_twice() {
    let place = Place::new();
    let (_holder, _, addr) = grid_node(&place, "holder", 2, "");
    let (node, grid, _) = grid_node(&place, "node", 1, &format!("--bootstrap {addr}"));
    let mut seen: HashMap<u64, String> = HashMap::new();
    let mut note = |sequence: u64, identity: &str| {
        let known = seen.entry(sequence).or_insert_with(|| identity.to_owned());
        assert_eq!(known, identity, "two records with one sequence");
    };
    let on_disk = || {
        let record = own_record(&place, "node", &grid);
        (record.signed().sequence(), record.signed().identity().to_string())
    };
    let (sequence, identity) = on_disk();
    note(sequence, &identity);
    drop(node);
    for round in 0..6 {
        let before = place.read("node/own.record");
        set(&place, "node", "nickname", &format!("\"round {round}\""));
        let node = place.start("node");
        match round % 3 {
            // The moment in which the new record is on the disk.
            0 => eventually("a record", || (place.read("node/own.record") != before).then_some(())),
            // Before anything was signed.
            1 => eventually("its first word", || (!place.read("node.log").is_empty()).then_some(())),
            // As it is published.
            _ => eventually("its API", || place.path("node/api.json").exists().then_some(())),
        }
        // SIGKILL.
        drop(node);
        let (sequence, identity) = on_disk();
        note(sequence, &identity);
        if let Some(found) = resolve(&place, "holder", &grid) {
            note(found["sequence"].as_u64().unwrap(), found["identity"].as_str().unwrap());
        }
    }
    let _node = place.start("node");
    assert_eq!(ready(&place, "node")["published_to"], 1);
    assert_eq!(resolve(&place, "holder", &grid).unwrap()["nickname"], "round 5");
}

#[test]
fn a_hang_up_takes_up_what_changed_and_names_what_waits() {
    let place = Place::new();
    let (node, grid, _) = grid_node(&place, "node", 1, "--rate free");
    let first = status(&place, "node")["sequence"].as_u64().unwrap();
    set(&place, "node", "nickname", "\"New name\"");
    assert_eq!(check(&place, "node"), ["settings"], "the file is newer than the node");
    node.signal("HUP");
    eventually("the new name", || resolve(&place, "node", &grid).filter(|record| record["nickname"] == "New name"));
    assert!(status(&place, "node")["sequence"].as_u64().unwrap() > first);
    eventually("nothing wrong", || check(&place, "node").is_empty().then_some(()));
    // What a running node cannot change is named.
    set(&place, "node", "whole-network-limit", "7");
    node.signal("HUP");
    eventually("what waits", || {
        let status = status(&place, "node");
        (status["settings_at_next_start"] == serde_json::json!(["whole-network-limit"])).then_some(())
    });
    place.run("status -d node --check").is(
        1,
        "restart: `whole-network-limit` changed, and takes effect at the next start\n    stop it with SIGTERM and start it again with `clearinghouse run -d node`\n",
        "",
    );
    // A file with an error is refused with its line; the old settings stay.
    let good = place.read("node/clearinghouse.toml");
    set(&place, "node", "nickname", "5");
    node.signal("HUP");
    let refused = eventually("the refusal", || status(&place, "node")["settings_refused"].as_str().map(str::to_owned));
    assert!(refused.contains("`nickname`: invalid type: integer `5`"), "{refused}");
    assert_eq!(resolve(&place, "node", &grid).unwrap()["nickname"], "New name");
    // So is what would break a promise: `free` binds until the record that said so ends.
    place.write("node/clearinghouse.toml", &good);
    set(&place, "node", "rate", "[\"5 USD/GiB\"]");
    node.signal("HUP");
    let refused = eventually("the promise", || {
        let refused = status(&place, "node")["settings_refused"].as_str().map(str::to_owned);
        refused.filter(|refused| refused.contains("a promise binds"))
    });
    assert!(refused.contains("free"), "{refused}");
    place.write("node/clearinghouse.toml", &good);
    node.signal("HUP");
    eventually("peace", || status(&place, "node")["settings_refused"].is_null().then_some(()));
    assert_eq!(node.terminate(), 0);
}

#[test]
fn a_node_of_a_testnet_takes_a_hang_up_as_any_other_does() {
    let place = Place::new();
    place.grid_manager("gm", 1);
    place.run(&format!("init node --grid-manager gm --rate free {LOCAL}"));
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_testnet"));
    // Its standard input is what it lives by.
    command.args(["node", "-d", "node"]).current_dir(place.path("")).stdin(std::process::Stdio::piped());
    let (node, line) = Running::with_first_line(command);
    assert!(line.contains("peer_id"), "{line}");
    set(&place, "node", "nickname", "\"New name\"");
    node.signal("HUP");
    eventually("nothing wrong", || check(&place, "node").is_empty().then_some(()));
}

#[test]
fn a_hang_up_changes_where_a_node_begins() {
    let place = Place::new();
    let (_one, _, addr) = grid_node(&place, "one", 1, "");
    let (two, _, _) = grid_node(&place, "two", 2, "");
    assert_eq!(status(&place, "two")["servers_known"], 0);
    set(&place, "two", "bootstrap", &format!("[\"{addr}\"]"));
    two.signal("HUP");
    eventually("each other", || (status(&place, "two")["published_to"] == 1).then_some(()));
}

#[test]
fn a_directory_that_a_newer_program_wrote_is_refused() {
    let place = Place::new();
    let (node, _, _) = grid_node(&place, "node", 1, "");
    assert_eq!(node.terminate(), 0);
    assert_eq!(place.read("node/format"), b"lafs-clearinghouse data directory, format 1\n");
    // As an older one left it, without a stamp: it is taken over.
    fs::remove_file(place.path("node/format")).unwrap();
    let node = place.start("node");
    ready(&place, "node");
    assert_eq!(node.terminate(), 0);
    place.write("node/format", "lafs-clearinghouse data directory, format 2\n");
    for line in ["run -d node", "record publish -d node", "record draft -d node -o draft"] {
        let ended = place.run(line);
        if line == "record publish -d node" {
            assert_eq!(ended.status, 8);
            continue;
        }
        ended.is(
            1,
            "",
            "clearinghouse: error: `node/format` says format 2, and this program knows formats up to 1\n\
             clearinghouse: hint: a newer `clearinghouse` has worked in this directory: install that version again (`clearinghouse --version`)\n",
        );
    }
}

#[test]
fn what_is_installed_while_a_node_starts_waits_for_it() {
    let place = Place::new();
    let grid = place.grid_manager("gm", 1);
    let made = place.run(&format!("init node --grid-id {grid} --rate free {LOCAL} --json")).json();
    let publisher = made["publisher_key"].as_str().unwrap().to_owned();
    let until = Clock::system().now().plus(Seconds::days(300));
    place.run(&format!("delegate {publisher} --grid-manager gm --until {until} -o permission"));
    // From the moment in which the node has its directory, and before its API answers.
    let _node = place.start("node");
    eventually("its lock", || place.path("node/lock").exists().then_some(()));
    place.run("record install permission -d node").is(0, "installed the delegation, good until [..]\n", "");
    assert_eq!(ready(&place, "node")["grid_id"], grid.to_string());
}

#[test]
fn a_restored_backup_publishes_above_what_the_network_holds() {
    let place = Place::new();
    let (_holder, _, addr) = grid_node(&place, "holder", 2, "");
    let (node, grid, _) = grid_node(&place, "node", 1, &format!("--bootstrap {addr} --nickname Old"));
    assert_eq!(node.terminate(), 0);
    copy(&place.path("node"), &place.path("backup"));
    // Life goes on: another name, and a new serial, under which the old directory's records would count for nothing.
    set(&place, "node", "nickname", "\"Newer\"");
    let node = place.start("node");
    ready(&place, "node");
    place.run("record draft -d node -o draft.toml");
    // A serial is in whole seconds: the next one is the first that revokes.
    let before = own_record(&place, "node", &grid).signed().serial().0;
    eventually("the next second", || {
        let _ = fs::remove_file(place.path("newer.record"));
        let signed = place.run("record sign draft.toml --grid-manager gm1 --revoke -o newer.record");
        assert_eq!(signed.status, 0, "{}", signed.stderr);
        (own_record_serial(&place, "newer.record", &grid) > before).then_some(())
    });
    assert_eq!(place.run("record install newer.record -d node").status, 0);
    let newest = eventually("the newer record", || {
        let serial = own_record(&place, "node", &grid).signed().serial();
        resolve(&place, "holder", &grid).filter(|found| found["authority"]["serial"].as_u64() == Some(serial.0))
    });
    assert_eq!(node.terminate(), 0);
    fs::remove_dir_all(place.path("node")).unwrap();
    copy(&place.path("backup"), &place.path("node"));
    assert!(own_record(&place, "node", &grid).signed().serial().0 < newest["authority"]["serial"].as_u64().unwrap());
    let _node = place.start("node");
    let status = ready(&place, "node");
    let found =
        eventually("the old name", || resolve(&place, "holder", &grid).filter(|found| found["nickname"] == "Old"));
    assert!(found["sequence"].as_u64() > newest["sequence"].as_u64(), "{found}");
    assert_eq!(found["authority"]["serial"], newest["authority"]["serial"]);
    assert_eq!(status["yields_to"], serde_json::Value::Null);
    // Of the two rules that could have found the newer record it was the first one: it looked before it published.
    assert_eq!(takes_over(&place, "node"), [LOOKED_FIRST]);
    // What it cannot find out is said: who was removed since.
    let says =
        |log: &str| String::from_utf8(place.read(log)).unwrap().contains("for each client that was removed since");
    assert!(says("node.log") && !says("holder.log"));
}

/// What a node logs of a newer record of its grid that it found: when it started, and later.
const LOOKED_FIRST: &str = "the network holds a newer record of this grid than this directory";
const HEARD_LATER: &str = "another node of this grid has published";

/// Which of the two a node has logged.
fn takes_over(place: &Place, dir: &str) -> Vec<&'static str> {
    let log = String::from_utf8(place.read(&format!("{dir}.log"))).unwrap();
    [LOOKED_FIRST, HEARD_LATER].into_iter().filter(|line| log.contains(line)).collect()
}

#[test]
fn two_nodes_of_one_grid_agree_or_one_of_them_yields() {
    let place = Place::new();
    let (one, grid, addr) = grid_node(&place, "one", 1, "--nickname Same");
    let (two, _, _) = grid_node(&place, "two", 1, &format!("--nickname Same --bootstrap {addr}"));
    let peers = [status(&place, "one"), status(&place, "two")].map(|status| status["peer_id"].clone());
    // The same settings: one record that names both nodes, and nobody signs another.
    let both = |dir: &str| {
        let found = resolve(&place, dir, &grid)?;
        let nodes: Vec<_> = found["nodes"].as_array()?.iter().map(|node| node["peer_id"].clone()).collect();
        (nodes.len() == 2 && peers.iter().all(|peer| nodes.contains(peer))).then(|| found["sequence"].clone())
    };
    eventually("agreement", || {
        let (one_says, two_says) = (both("one")?, both("two")?);
        let settled = [("one", &one_says), ("two", &two_says)]
            .iter()
            .all(|(dir, sequence)| status(&place, dir)["sequence"] == **sequence);
        (one_says == two_says && settled).then_some(())
    });
    assert_eq!((check(&place, "one"), check(&place, "two")), (vec![], vec![]));
    // Other settings in one of them: the other leaves that record to stand and says so, and nobody answers back.
    set(&place, "two", "nickname", "\"Other\"");
    two.signal("HUP");
    eventually("one yields", || (check(&place, "one") == ["second-publisher"]).then_some(()));
    let stands = status(&place, "two")["sequence"].clone();
    assert_eq!(resolve(&place, "one", &grid).unwrap()["nickname"], "Other");
    place.run("record publish -d one");
    place.run("record publish -d two");
    assert_eq!((&status(&place, "one")["sequence"], &status(&place, "two")["sequence"]), (&stands, &stands));
    assert_eq!(status(&place, "one")["yields_to"]["peer_ids"], serde_json::json!([peers[1]]));
    // The same settings again, and it is well.
    set(&place, "one", "nickname", "\"Other\"");
    one.signal("HUP");
    eventually("nothing wrong", || check(&place, "one").is_empty().then_some(()));
    assert_eq!(status(&place, "one")["sequence"], stands);
}

#[test]
fn a_node_without_a_network_becomes_well_when_it_comes_back() {
    let place = Place::new();
    let (one, _, addr) = grid_node(&place, "one", 1, "");
    let port = addr.split('/').nth(4).unwrap();
    set(&place, "one", "listen", &format!("\"127.0.0.1:{port}\""));
    assert_eq!(one.terminate(), 0);
    // By an address that names the peer, and by one that does not: the first is remembered and dialled as any peer is.
    let bare = addr.rsplit_once("/p2p/").unwrap().0;
    let alone = [("two", 2, &*addr), ("three", 3, bare)].map(|(name, seed, addr)| {
        let grid = place.grid_manager(&format!("gm-{name}"), seed);
        place.run(&format!("init {name} --grid-manager gm-{name} --bootstrap {addr} {LOCAL}"));
        let node = place.start(name);
        eventually("its own record", || place.path(&format!("{name}/own.record")).exists().then_some(()));
        assert_eq!(check(&place, name), ["alone"]);
        (name, grid, node)
    });
    let _one = place.start("one");
    for (name, grid, _) in &alone {
        eventually("the network", || (status(&place, name)["published_to"] == 2).then_some(()));
        assert!(resolve(&place, "one", grid).is_some());
        assert_eq!(check(&place, name), [""; 0]);
    }
}

#[test]
fn a_damaged_store_is_set_aside_and_rebuilt_from_the_network() {
    let place = Place::new();
    let (_one, grid, addr) = grid_node(&place, "one", 1, "");
    let (two, _, _) = grid_node(&place, "two", 2, &format!("--bootstrap {addr}"));
    eventually("the other's record", || resolve(&place, "two", &grid));
    assert_eq!(two.terminate(), 0);
    place.write("two/store/conf", "no sled configuration");
    let _two = place.start("two");
    ready(&place, "two");
    eventually("the other's record again", || (status(&place, "two")["records_held"] == 2).then_some(()));
    let said = status(&place, "two")["store_set_aside"].as_str().unwrap().to_owned();
    assert_eq!(fs::read(place.path(&said).join("conf")).unwrap(), b"no sled configuration");
    assert_eq!(check(&place, "two"), ["store"]);
}

#[test]
fn a_damaged_record_or_floor_is_refused_with_what_to_do() {
    let place = Place::new();
    let (_holder, other, addr) = grid_node(&place, "holder", 2, "");
    let (node, grid, _) = grid_node(&place, "node", 1, &format!("--bootstrap {addr}"));
    assert!(eventually("the other's record", || resolve(&place, "node", &other)).is_object());
    let before = own_record(&place, "node", &grid);
    place.write(&format!("node/floors/{other}"), "grid=");
    assert_eq!(check(&place, "node"), ["floor"]);
    assert_eq!(node.terminate(), 0);
    place.write("node/own.record", "no record");
    place.run("run -d node").is(
        11,
        "",
        "clearinghouse: error: `node/own.record` is no record of this grid: [..]\n\
         clearinghouse: hint: move `node/own.record` away and start the node again: it goes on from what the network holds of the grid\n",
    );
    // What the hint says: the network's record comes back, or one above it.
    fs::rename(place.path("node/own.record"), place.path("away")).unwrap();
    fs::remove_file(place.path(&format!("node/floors/{other}"))).unwrap();
    let _node = place.start("node");
    ready(&place, "node");
    let after = own_record(&place, "node", &grid);
    assert!(after == before || after.signed().supersedes(before.signed()));
    assert_eq!(after.signed().serial(), before.signed().serial(), "no delegation was revoked");
}

#[test]
fn a_delegation_that_ends_soon_or_is_revoked_is_said() {
    let place = Place::new();
    let grid = place.grid_manager("gm", 1);
    place.run(&format!("init node --grid-id {grid} --rate free {LOCAL}"));
    let publisher = read_key(&Home::new(place.path("node")).publisher_key()).unwrap().public();
    let now = Clock::system().now();
    let delegate = |serial, not_after| {
        let draft =
            DelegationDraft { serial, publisher, not_after, next: None, max_limit: None, committed_until: None };
        Delegation::issue(&SecretKey::from_seed(&[1; 32]), &draft).unwrap()
    };
    // 100 of 149 days are over: less than a third is left.
    let soon = delegate(now.minus(Seconds::days(100)), now.plus(Seconds::days(49)));
    place.write("node/delegation", soon.bytes());
    let node = place.start("node");
    ready(&place, "node");
    assert_eq!(check(&place, "node"), ["delegation"]);
    let text = place.run("status -d node --check").stdout;
    assert!(text.contains("less than a third of its life is left"), "{text}");
    assert!(text.contains(&format!("`clearinghouse delegate {publisher} --grid-manager GM --until ")), "{text}");
    let log = String::from_utf8(place.read("node.log")).unwrap();
    assert!(log.contains("the delegation ends soon"), "{log}");
    // A new one, installed: it is well again.
    let good = delegate(now, now.plus(Seconds::days(300)));
    place.write("permission", good.bytes());
    assert_eq!(place.run("record install permission -d node").status, 0);
    eventually("nothing wrong", || check(&place, "node").is_empty().then_some(()));
    // Revoked by what the grid key signed since: nothing is signed any more, and that is said.
    place.run("record draft -d node -o draft.toml");
    let sign = || -> Option<Ended> {
        let _ = fs::remove_file(place.path("newer.record"));
        let ended = place.run("record sign draft.toml --grid-manager gm --revoke -o newer.record");
        (own_record_serial(&place, "newer.record", &grid) > now.0).then_some(ended)
    };
    // A serial is in whole seconds: the next one is the first that revokes.
    assert_eq!(eventually("the next second", sign).status, 0);
    assert_eq!(place.run("record install newer.record -d node").status, 0);
    eventually("it is revoked", || (check(&place, "node") == ["delegation"]).then_some(()));
    assert!(place.run("status -d node --check").stdout.contains("revoked"));
    drop(node);
}

fn own_record_serial(place: &Place, file: &str, grid: &GridId) -> u64 {
    GridRecord::from_bytes(&place.read(file), grid).unwrap().signed().serial().0
}

/// Story: a full disk broke the store for good, and every answer with it, since a floor could not be written. Now what is
/// held is held in memory, is said, and is on the disk once that takes something again.
///
/// `prlimit --fsize=0` makes every write to a file fail as a full disk does, and takes no root.
#[test]
fn a_node_outlives_a_full_disk() {
    let place = Place::new();
    if !can_limit_files() {
        return;
    }
    let (_one, first, addr) = grid_node(&place, "one", 1, "");
    // The limit is told by a signal, which ends whoever does not ignore it.
    place.grid_manager("gm2", 2);
    place.run(&format!("init two --grid-manager gm2 --bootstrap {addr} {LOCAL}"));
    let two = place.start_ignoring_file_limits("two");
    ready(&place, "two");
    let before = place.read("two/own.record");
    two.limit_files("0");
    // A grid that it has never heard of: kept, answered, and its floor raised, in memory.
    let (_three, third, _) = grid_node(&place, "three", 3, &format!("--bootstrap {addr}"));
    eventually("the third record", || resolve(&place, "two", &third));
    assert!(resolve(&place, "two", &first).is_some());
    eventually("it says so", || check(&place, "two").contains(&"disk".to_owned()).then_some(()));
    // Its own record cannot be replaced: what was signed stands, whole.
    set(&place, "two", "nickname", "\"Full\"");
    two.signal("HUP");
    eventually("it says so of the record", || status(&place, "two")["problem"].as_str().map(str::to_owned));
    assert_eq!(place.read("two/own.record"), before);
    assert!(!place.path(&format!("two/floors/{third}")).exists());
    two.limit_files("unlimited");
    eventually("it recovers", || check(&place, "two").is_empty().then_some(()));
    let second = GridId::new(SecretKey::from_seed(&[2; 32]).public());
    eventually("the new name", || resolve(&place, "one", &second).filter(|found| found["nickname"] == "Full"));
    assert!(place.path(&format!("two/floors/{third}")).exists());
    // What was held in memory only is on the disk now.
    assert_eq!(two.terminate(), 0);
    set(&place, "two", "bootstrap", "[]");
    let _two = place.start("two");
    ready(&place, "two");
    assert!(place.run(&format!("resolve {third} -d two --policy cached")).status == 0);
}
