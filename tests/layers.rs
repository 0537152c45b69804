//! The house keeps its floors: the order of the rooms is read from the table in ARCHITECTURE.md, and an import that goes
//! up, around or through the crate root is a fault. Reads source text line by line; it knows no more Rust than that.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The rooms of the table, from the ground up and left to right.
struct Plan {
    standing: Vec<String>,
    to_come: Vec<String>,
    order: Vec<String>,
}

impl Plan {
    fn read(architecture: &str) -> Plan {
        let mut plan = Plan { standing: vec![], to_come: vec![], order: vec![] };
        let rows = architecture.lines().skip_while(|line| !line.starts_with("| floor")).skip(2);
        for row in rows.take_while(|line| line.starts_with('|')) {
            let rooms = row.split('|').nth(2).expect("a second column");
            // Every second piece between backticks is a name; the text before it opens or closes the brackets.
            let mut brackets = 0;
            for (i, piece) in rooms.split('`').enumerate() {
                if i % 2 == 0 {
                    brackets += piece.matches('(').count();
                    brackets -= piece.matches(')').count();
                    continue;
                }
                let name = piece.trim_end_matches('/').to_owned();
                plan.order.push(name.clone());
                if brackets > 0 { &mut plan.to_come } else { &mut plan.standing }.push(name);
            }
        }
        plan
    }

    fn height(&self, room: &str) -> Option<usize> {
        self.order.iter().position(|name| name == room)
    }

    /// What is wrong with one file of the crate. `path` is relative to `src`; `files` are all such paths.
    fn faults(&self, path: &str, text: &str, files: &BTreeSet<String>) -> Vec<String> {
        let room = path.split('/').next().expect("a first part").trim_end_matches(".rs");
        let face = path.ends_with("/mod.rs");
        let folder = path.rsplit_once('/').map(|(folder, _)| folder);
        let is_module = |folder: &str, name: &str| {
            files.contains(&format!("{folder}/{name}.rs")) || files.contains(&format!("{folder}/{name}/mod.rs"))
        };
        let mut faults = vec![];
        let mut in_tests = false;
        for (number, line) in text.lines().enumerate() {
            in_tests |= line == "mod tests {";
            let code = line.split("//").next().unwrap_or_default();
            let mut fault = |what: String| faults.push(format!("src/{path}:{}: {what}", number + 1));

            let import = code.trim_start().trim_start_matches("pub ").trim_start_matches("pub(crate) ");
            let is_import = import.starts_with("use ");
            // proptest is a dev-dependency, so its prelude is only ever in tests.
            let usual =
                import.starts_with("use proptest::prelude::*") || in_tests && import.starts_with("use super::*");
            if is_import && import.contains("::*") && !usual {
                fault("a glob hides where names come from: name them".into());
            }
            if room == "lib" && is_import {
                fault("lib.rs only lists the rooms: names are imported from the room that defines them".into());
            }
            for (at, _) in code.match_indices("crate::") {
                let rest = &code[at + "crate::".len()..];
                let mut names =
                    rest.split("::").map(|part| part.split(|c: char| !is_name(c)).next().unwrap_or_default());
                let (target, inner) = (names.next().unwrap_or_default(), names.next().unwrap_or_default());
                if rest.starts_with('{') {
                    fault("`crate::{` gathers rooms in one line: one `use` for each room".into());
                } else if target == room && !face && !in_tests && folder == Some(room) && !is_module(room, inner) {
                    fault(format!(
                        "`crate::{room}::{inner}` comes from the room's own mod.rs: import from the sibling"
                    ));
                } else if target != room {
                    match (self.height(target), self.height(room)) {
                        (None, _) => fault(format!("`crate::{target}` is no room of ARCHITECTURE.md's table")),
                        (Some(theirs), Some(ours)) if theirs > ours => {
                            fault(format!("`{room}` imports upwards, from `{target}`"));
                        }
                        _ => {}
                    }
                }
            }
            if let Some(at) = code.find("super::").filter(|_| !in_tests && !face) {
                let name = code[at + "super::".len()..].split(|c: char| !is_name(c)).next().unwrap_or_default();
                match folder {
                    None => fault("`super::` is the crate root here: import from a room".into()),
                    Some(folder) if !is_module(folder, name) => {
                        fault(format!("`super::{name}` comes from the folder's mod.rs: import from the sibling"));
                    }
                    Some(_) => {}
                }
            }
        }
        faults
    }
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a readable folder") {
        let path = entry.expect("a readable entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
}

fn plan() -> Plan {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    Plan::read(&fs::read_to_string(root.join("ARCHITECTURE.md")).expect("ARCHITECTURE.md"))
}

#[test]
fn no_room_imports_upwards_or_around_the_table() {
    let plan = plan();
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = vec![];
    sources(&src, &mut paths);
    let relative = |path: &PathBuf| path.strip_prefix(&src).expect("inside src").to_str().expect("UTF-8").to_owned();
    let files: BTreeSet<String> = paths.iter().map(relative).collect();
    let faults: Vec<String> = paths
        .iter()
        .flat_map(|path| plan.faults(&relative(path), &fs::read_to_string(path).expect("a readable file"), &files))
        .collect();
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));

    let rooms: BTreeSet<&str> =
        files.iter().map(|f| f.split('/').next().expect("a part").trim_end_matches(".rs")).collect();
    for room in rooms.iter().filter(|room| !["lib", "main"].contains(room)) {
        assert!(plan.height(room).is_some(), "room `{room}` is missing from ARCHITECTURE.md's table");
        assert!(
            !plan.to_come.iter().any(|name| name == room),
            "room `{room}` stands: take it out of the brackets in ARCHITECTURE.md's table"
        );
    }
    for room in plan.standing.iter().filter(|room| *room != "testnet") {
        assert!(
            rooms.contains(room.as_str()),
            "room `{room}` does not stand: put it in brackets in ARCHITECTURE.md's table"
        );
    }
}

#[test]
fn the_second_program_reaches_rooms_by_their_names() {
    let plan = plan();
    let mut paths = vec![];
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("testnet"), &mut paths);
    for path in paths {
        for line in fs::read_to_string(&path).expect("a readable file").lines() {
            for (at, krate) in line.match_indices("lafs_clearinghouse::") {
                let room = line[at + krate.len()..].split(|c: char| !is_name(c)).next().unwrap_or_default();
                assert!(plan.height(room).is_some(), "{}: `{room}` is no room: {line}", path.display());
            }
            let glob = line.trim_start().starts_with("use ") && line.contains("::*") && !line.contains("super::*");
            assert!(!glob, "{}: a glob: {line}", path.display());
        }
    }
}

#[test]
fn each_kind_of_fault_is_seen() {
    let plan =
        Plan::read("| floor | rooms | |\n| --- | --- | --- |\n| a | `low` (`late/`) `mid/` | |\n| b | `high` | |\n");
    assert_eq!(plan.order, ["low", "late", "mid", "high"]);
    assert_eq!(plan.to_come, ["late"]);
    assert_eq!(plan.standing, ["low", "mid", "high"]);
    let files = ["low.rs", "mid/mod.rs", "mid/one.rs", "mid/two.rs", "high.rs"].map(str::to_owned).into();
    for (path, line) in [
        ("low.rs", "use crate::mid::Name;"),
        ("low.rs", "    let x = crate::high::name();"),
        ("low.rs", "use crate::Name;"),
        ("low.rs", "use super::mid::Name;"),
        ("high.rs", "use crate::{low, mid};"),
        ("high.rs", "use crate::mid::*;"),
        ("high.rs", "pub use serde::*;"),
        ("mid/one.rs", "use crate::mid::Name;"),
        ("mid/one.rs", "use super::Name;"),
        ("lib.rs", "pub use crate::low::Name;"),
    ] {
        assert_eq!(plan.faults(path, line, &files).len(), 1, "{path}: {line}");
    }
    for (path, line) in [
        ("high.rs", "use crate::mid::{Name, Other};"),
        ("mid/one.rs", "use crate::mid::two::Name;"),
        ("mid/one.rs", "use super::two::Name;"),
        ("mid/mod.rs", "pub use crate::mid::two::Name;"),
        ("mid/one.rs", "mod tests {\n    use super::*;"),
        ("low.rs", "//! See [`crate::high`]."),
        ("lib.rs", "pub mod low;"),
    ] {
        assert_eq!(plan.faults(path, line, &files), Vec::<String>::new(), "{path}: {line}");
    }
}
