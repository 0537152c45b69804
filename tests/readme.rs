//! The README and the pages for operators and readers speak of the programs as they are: each command they show has the
//! options it is shown with.

#![cfg(feature = "node")]

use std::collections::BTreeSet;
use std::process::Command;

/// The commands of a page's console blocks that are ours, each on one line: of those typed as another user too.
fn commands(page: &str) -> Vec<String> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(page);
    let text = std::fs::read_to_string(path).expect(page);
    let joined = text.replace("\\\n", " ");
    let blocks = joined.split("```console\n").skip(1).map(|rest| rest.split("```").next().expect("a block"));
    let typed =
        blocks.flat_map(str::lines).filter_map(|line| line.strip_prefix("$ ").or_else(|| line.strip_prefix("# ")));
    let as_self = typed.map(|line| line.strip_prefix("sudo -u clearinghouse ").unwrap_or(line).to_owned());
    let ours = |line: &String| ["clearinghouse ", "testnet ", "scripts/"].iter().any(|word| line.starts_with(word));
    as_self.filter(ours).collect()
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

/// How many options the commands of `page` are shown with; each is one of the command's.
fn options_of(page: &str) -> usize {
    let mut seen = 0;
    for command in commands(page) {
        if command.starts_with("scripts/") {
            let script = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(&command);
            assert!(script.is_file(), "{page}: {command}");
            continue;
        }
        let words: Vec<&str> = command.split_whitespace().collect();
        // The command and perhaps its second word: `record install`. What follows is its arguments.
        let second = words.get(2).filter(|word| help(&words[..2]).contains(&format!("\n  {word} ")));
        let text = help(&words[..if second.is_some() { 3 } else { 2 }]);
        let options = words.iter().filter(|word| word.starts_with('-') && word.len() > 1);
        for option in options {
            assert!(has_option(&text, option), "{page}: {command}: no `{option}` in its help");
            seen += 1;
        }
    }
    seen
}

#[test]
fn each_command_has_the_options_it_is_shown_with() {
    let pages = [
        ("README.md", 15),
        ("docs/operate.md", 30),
        ("docs/share.md", 2),
        ("docs/gateway.md", 12),
        ("docs/ledger.md", 10),
        ("docs/money.md", 15),
    ];
    for (page, at_least) in pages {
        let seen = options_of(page);
        assert!(seen > at_least, "{page}: {seen} options");
    }
}

/// The page names what `status --check` may say, and nothing else as such.
#[test]
fn each_finding_has_its_line_on_the_operators_page() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(path.join("docs/operate.md")).expect("docs/operate.md");
    let rows: BTreeSet<&str> = page.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    let mut named = BTreeSet::new();
    let sources = [("src/http/findings.rs", "say("), ("src/cli/check.rs", "Finding::new(")].map(|(file, call)| {
        let text = std::fs::read_to_string(path.join(file)).expect(file);
        let text = text.split("#[cfg(test)]").next().unwrap_or_default().to_owned();
        text.split(call)
            .skip(1)
            .filter_map(|rest| {
                Some(
                    rest.trim_start()
                        .strip_prefix('"')
                        .or_else(|| rest.split_once("0,")?.1.trim_start().strip_prefix('"'))?
                        .split('"')
                        .next()?
                        .to_owned(),
                )
            })
            .collect::<Vec<_>>()
    });
    named.extend(sources.iter().flatten().map(String::as_str));
    assert!(named.len() > 15, "{named:?}");
    let missing: Vec<_> = named.iter().filter(|name| !rows.contains(**name)).collect();
    assert!(missing.is_empty(), "docs/operate.md has no line for {missing:?}");
}

#[test]
fn a_longer_option_is_not_taken_for_a_shorter_one() {
    assert!(has_option("  -d, --dir <DIR>\n", "-d"));
    assert!(has_option("  -d, --dir <DIR>\n", "--dir"));
    assert!(!has_option("      --grid-manager <GM>\n", "--grid"));
}
