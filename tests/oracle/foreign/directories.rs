//! Directories of each kind, with what may stand in them.

use crate::real_client::Kept;
use crate::two_grids::{TwoGrids, content};
use serde_json::{Value, json};
use std::fs;

const LITERAL: &str = "URI:LIT:krugkidfnzsc4";
const THE_END: &[u8] = b"The end.";
/// As Tahoe-LAFS composes them.
const NAMES: [&str; 4] = ["gr\u{fc}n.txt", "日本語", "a:b,c", "\u{1f600} & <b>"];

pub(super) fn of_every_kind(grids: &mut TwoGrids) {
    let leaf = content(2_000, 7);
    let leaf_cap = grids.client.put("", &leaf).to_string();
    for (kept, prefix) in [
        (Kept::Sdmf, "URI:DIR2:"),
        (Kept::Mdmf, "URI:DIR2-MDMF:"),
        (Kept::Immutable, "URI:DIR2-CHK:"),
        (Kept::Immutable, "URI:DIR2-LIT:"),
    ] {
        let mut children = vec![("leaf", leaf_cap.as_str())];
        if prefix.ends_with("LIT:") {
            children = vec![("t", "URI:LIT:krugkidfnzsc4")];
        } else {
            children.extend(NAMES.map(|name| (name, LITERAL)));
        }
        let directory = grids.client.directory(kept, &children);
        assert!(directory.to_string().starts_with(prefix), "{directory}");
        let foreign = grids.foreign(&directory);
        let listed = grids.reader(&["ls", &foreign, "--json"]).json();
        let mut names: Vec<&str> = children.iter().map(|(name, _)| *name).collect();
        names.sort_unstable();
        let mut found: Vec<&str> = listed["entries"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|entry| entry["name"].as_str().unwrap_or_default())
            .collect();
        found.sort_unstable();
        assert_eq!(found, names, "{prefix}");
        for (name, cap) in &children {
            let expected = if *cap == LITERAL { THE_END } else { &leaf };
            assert_eq!(grids.get(&format!("{foreign}/{name}")), expected, "{prefix} {name}");
        }
        let missing = grids.get_fails(&format!("{foreign}/missing"), 3);
        assert!(missing.contains("missing"), "{missing}");
    }
    // A name that was typed in parts is the one that was composed.
    let directory = grids.client.directory(Kept::Sdmf, &[(NAMES[0], LITERAL)]);
    assert_eq!(grids.get(&format!("{}/gru\u{308}n.txt", grids.foreign(&directory))), THE_END);
}

/// A tree with everything in it: what can be read comes, and what cannot is named, each for its reason.
pub(super) fn trees_and_what_is_left_out_of_them(grids: &mut TwoGrids) {
    let grid = grids.nodes.described.grid_id;
    let file = content(200_000, 8);
    let chk = grids.client.put("", &file);
    let mdmf = grids.client.put("MDMF", &file);
    let foreign = |cap: &str| cap.replacen("URI:", &format!("URI:FOREIGN:{grid}:"), 1);
    let immutable = grids.client.directory(
        Kept::Immutable,
        &[("chk", &chk.to_string()), ("foreign", &format!("imm.{}", foreign(&chk.to_string())))],
    );
    let inner = grids.client.directory(Kept::Mdmf, &[("immutable", &immutable.to_string()), ("leaf", LITERAL)]);
    let read = |cap: &lafs_clearinghouse::capability::Capability| cap.read_cap().expect("a read cap").to_string();
    let nowhere = "pub-v0-rkeohxlubhyzl7ks3mwtzos5olfgocn7dwkbeg7toseadnapn5oa";
    let root = grids.client.directory(
        Kept::Sdmf,
        &[
            ("inner", &read(&inner)),
            ("mdmf", &read(&mdmf)),
            ("ünder", LITERAL),
            ("foreign.bin", &format!("ro.{}", foreign(&read(&mdmf)))),
            ("disclosed", &format!("ro.{}", foreign(&mdmf.to_string()))),
            ("elsewhere", &format!("imm.{}", chk.to_string().replacen("URI:", &format!("URI:FOREIGN:{nowhere}:"), 1))),
            ("future", "ro.x-tahoe-future-read:2"),
            ("..", LITERAL),
            (".", LITERAL),
            ("../outside", LITERAL),
            ("/etc/outside", LITERAL),
            ("inner/../../outside", LITERAL),
        ],
    );
    // Round and round.
    grids.client.link(&inner, "up", &read(&root));
    let fetched = grids.reader(&["get", "-r", &grids.foreign(&root), "-o", "got/tree", "--json"]);
    let view: Value =
        serde_json::from_str(&fetched.stdout).unwrap_or_else(|error| panic!("{error}: {}", fetched.stdout));
    let reasons: Vec<(String, String, String)> = view["failed"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|failed| ["path", "code", "message"].map(|key| failed[key].as_str().unwrap_or_default().to_owned()).into())
        .collect();
    let reason = |path: &str| {
        let found = reasons.iter().find(|(found, ..)| found == path);
        found.map(|(_, code, message)| format!("{code}: {message}")).unwrap_or_else(|| panic!("{path}: {reasons:#?}"))
    };
    for (path, words) in [
        ("disclosed", "write"),
        ("elsewhere", "not_found"),
        ("future", "does not know"),
        ("..", "malformed"),
        (".", "malformed"),
        ("../outside", "malformed"),
        ("/etc/outside", "malformed"),
        ("inner/../../outside", "malformed"),
        ("inner/up", "stands in itself"),
    ] {
        assert!(reason(path).contains(words), "{path}: {}", reason(path));
    }
    assert_eq!(reasons.len(), 9, "{reasons:#?}");
    assert_ne!(fetched.status, 0);
    let tree = grids.place.path("got/tree");
    for (path, expected) in [
        ("inner/immutable/chk", &file[..]),
        ("inner/immutable/foreign", &file),
        ("inner/leaf", THE_END),
        ("mdmf", &file),
        ("foreign.bin", &file),
        ("ünder", THE_END),
    ] {
        assert!(fs::read(tree.join(path)).expect(path) == expected, "{path}");
    }
    assert_eq!(view["files"], json!(6), "{view}");
    assert!(!grids.place.path("outside").exists() && !grids.place.path("got/outside").exists());
    // Once more nothing that is there is fetched again.
    let again = grids.reader(&["get", "-r", &grids.foreign(&root), "-o", "got/tree", "--json"]);
    let view: Value = serde_json::from_str(&again.stdout).expect("JSON");
    assert_eq!(view["files_there_before"], json!(6), "{view}");
    fs::remove_dir_all(tree).expect("the tree");
    // It is not whole, and what came of it is noted beside it.
    fs::remove_file(grids.place.path("got/.tree.lafs-part.json")).expect("the note");
}
