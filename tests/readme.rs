//! The README speaks of the programs as they are: each command it shows has the options it is shown with.

#![cfg(feature = "node")]

use std::collections::BTreeSet;
use std::process::Command;

/// The commands of the README's console blocks, each on one line.
fn commands() -> Vec<String> {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).expect("README.md");
    let joined = readme.replace("\\\n", " ");
    let blocks = joined.split("```console\n").skip(1).map(|rest| rest.split("```").next().expect("a block"));
    blocks.flat_map(str::lines).filter_map(|line| line.strip_prefix("$ ")).map(str::to_owned).collect()
}

fn help(words: &[&str]) -> String {
    let program = match words[0] {
        "clearinghouse" => env!("CARGO_BIN_EXE_clearinghouse"),
        "testnet" => env!("CARGO_BIN_EXE_testnet"),
        other => panic!("`{other}` is no program of ours"),
    };
    let output = Command::new(program).args(&words[1..]).arg("--help").output().expect("the program runs");
    assert!(output.status.success(), "`{} --help`: {}", words.join(" "), String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// Whether `option` is one of the words of a help text, and not the beginning of a longer one.
fn has_option(help: &str, option: &str) -> bool {
    let words = help.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
    words.collect::<BTreeSet<_>>().contains(option)
}

#[test]
fn each_command_has_the_options_it_is_shown_with() {
    let mut seen = 0;
    for command in commands() {
        if command.starts_with("scripts/") {
            let script = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(&command);
            assert!(script.is_file(), "README.md: {command}");
            continue;
        }
        let words: Vec<&str> = command.split_whitespace().collect();
        // The command and perhaps its second word: `record install`. What follows is its arguments.
        let second = words.get(2).filter(|word| help(&words[..2]).contains(&format!("\n  {word} ")));
        let text = help(&words[..if second.is_some() { 3 } else { 2 }]);
        let options = words.iter().filter(|word| word.starts_with('-') && word.len() > 1);
        for option in options {
            assert!(has_option(&text, option), "README.md: {command}: no `{option}` in its help");
            seen += 1;
        }
    }
    assert!(seen > 10, "{seen} options");
}

#[test]
fn a_longer_option_is_not_taken_for_a_shorter_one() {
    assert!(has_option("  -d, --dir <DIR>\n", "-d"));
    assert!(has_option("  -d, --dir <DIR>\n", "--dir"));
    assert!(!has_option("      --grid-manager <GM>\n", "--grid"));
}
