//! The scenarios of `testnet/scenarios/`, played by the real program: each of a network in one that is held whole, and in one
//! that stores each record in its region only; each of calls between processes. Smaller than they are written, so that all of
//! them take minutes.

#![cfg(feature = "node")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The file of a scenario.
fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testnet/scenarios").join(format!("{name}.toml"))
}

fn play(file: &Path, options: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_testnet"));
    command.arg("play").arg(file).args(options.split_whitespace());
    command.output().unwrap()
}

/// Plays a scenario and fails with all that it told unless its last line is that everything held.
fn holds(name: &str, options: &str) {
    let played = play(&file(name), options);
    let told = String::from_utf8_lossy(&played.stdout).into_owned();
    let held = told.lines().last().is_some_and(|verdict| verdict.starts_with("held: "));
    let errors = String::from_utf8_lossy(&played.stderr);
    assert!(held && played.status.success(), "{:?}\n{told}{errors}", played.status);
}

mod network {
    use super::*;

    /// A test of a scenario in each kind of network.
    macro_rules! scenarios {
        ($($test:ident: $name:literal $options:literal;)*) => {
            mod held_whole {
                $(#[test]
                fn $test() {
                    super::holds($name, concat!($options, " --whole-network-limit 200"));
                })*
            }
            mod held_in_regions {
                $(#[test]
                fn $test() {
                    super::holds($name, concat!($options, " --whole-network-limit 0"));
                })*
            }
        };
    }

    scenarios! {
        churn: "churn" "--nodes 24";
        partition_and_merge: "partition-and-merge" "";
        liars: "liars" "";
        returning_node: "returning-node" "";
        broken_commitment: "broken-commitment" "";
        stolen_publisher: "stolen-publisher" "";
        flood: "flood" "--nodes 12 --keys 20000";
    }

    mod held_by_processes {
        #[test]
        fn month_of_calls() {
            super::holds("month-of-calls", "--clients 10 --reads 6");
        }
    }

    #[test]
    fn an_expectation_that_does_not_hold_is_told_and_the_program_fails() {
        let dir = tempfile::tempdir().unwrap();
        let scenario = dir.path().join("wrong.toml");
        let text = "about = \"nobody can hold what nobody has brought\"\nwithin = \"2min\"\n[network]\nnodes = 2\ngrids = 1\n\
                    [[step]]\nheld = {}\n[[step]]\nheld = { by = 3, within = \"1s\" }\n";
        std::fs::write(&scenario, text).unwrap();
        let played = play(&scenario, "");
        let told = String::from_utf8_lossy(&played.stdout).into_owned();
        let verdict = told.lines().last().unwrap();
        assert!(verdict.starts_with("BROKEN: 1 of 2 expectations: line 8: the newest record of pub-v0-"), "{told}");
        assert!(verdict.ends_with(" is held by 2 and not 3"), "{told}");
        assert_eq!(played.status.code(), Some(1));
        let played = play(&scenario, "--json");
        let report: serde_json::Value = serde_json::from_slice(&played.stdout).unwrap();
        assert_eq!((&report["verdict"], &report["held"]), (&"broken".into(), &1.into()), "{report}");
        assert_eq!(report["steps"][1]["outcome"], "broken", "{report}");
    }
}

#[test]
fn every_scenario_at_hand_is_played() {
    let own = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/scenarios.rs")).unwrap();
    let readme = std::fs::read_to_string(file("x").with_file_name("README.md")).unwrap();
    let mut seen = 0;
    for entry in file("x").parent().unwrap().read_dir().unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            let played = [format!(": \"{name}\" "), format!("holds(\"{name}\", ")];
            assert!(played.iter().any(|call| own.contains(call)), "{name} is not played here");
            assert!(readme.contains(&format!("`{name}.toml`")), "{name} is not in the README");
            seen += 1;
        }
    }
    assert!(seen >= 8, "{seen}");
}

#[test]
fn a_file_that_is_no_scenario_is_refused_with_its_line() {
    let dir = tempfile::tempdir().unwrap();
    let scenario = dir.path().join("wrong.toml");
    std::fs::write(&scenario, "about = \"x\"\nwithin = \"1min\"\nnetworc = {}\n").unwrap();
    let played = play(&scenario, "");
    assert_eq!(played.status.code(), Some(2));
    let errors = String::from_utf8_lossy(&played.stderr).into_owned();
    assert!(errors.contains("wrong.toml`: line 3: unknown field `networc`"), "{errors}");
    let missing = play(&dir.path().join("missing.toml"), "--json");
    assert_eq!(missing.status.code(), Some(2));
    let error: serde_json::Value = serde_json::from_slice(&missing.stdout).unwrap();
    assert_eq!(error["error"]["code"], "malformed");
}
