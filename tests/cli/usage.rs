//! Command lines, right and wrong.

use crate::place::Place;
use std::process::Stdio;

const COMMANDS: [&str; 19] = [
    "init",
    "run",
    "status",
    "resolve",
    "record draft",
    "record sign",
    "record install",
    "record show",
    "record verify",
    "record publish",
    "delegate",
    "join",
    "client add",
    "client list",
    "client remove",
    "cap show",
    "cap foreign",
    "completions",
    "man",
];

#[test]
fn help_lists_every_exit_code() {
    let help = Place::new().run("--help");
    assert_eq!((help.status, help.stderr.as_str()), (0, ""));
    for line in ["   0  done ", "   5  expired ", "   8  unreachable ", "  12  interrupted "] {
        assert!(help.stdout.contains(line), "{line}");
    }
}

#[test]
fn every_command_shows_an_example() {
    let place = Place::new();
    for command in COMMANDS {
        let help = place.run(&format!("{command} --help"));
        assert_eq!((help.status, help.stderr.as_str()), (0, ""), "{command}");
        assert!(help.stdout.contains(&format!("Example:\n  clearinghouse {command}")), "{command}\n{}", help.stdout);
        assert!(!help.stdout.contains('\u{1b}'), "colours into a pipe");
    }
}

#[test]
fn a_client_who_asks_for_a_nodes_bill_is_told_where_its_own_is() {
    let place = Place::new();
    std::fs::create_dir(place.path("me")).unwrap();
    place.write("me/client.toml", "");
    let ended = place.run("statement -d me");
    assert_eq!(ended.status, 3, "{}", ended.stderr);
    assert!(ended.stderr.contains("`clearinghouse usage -d me` says what was read"), "{}", ended.stderr);
}

#[test]
fn a_wrong_word_ends_with_2_and_says_what_to_try() {
    let place = Place::new();
    place.run("").is(
        2,
        "",
        "clearinghouse: error: a command is missing\n\
         clearinghouse: hint: usage: clearinghouse [OPTIONS] <COMMAND>\n",
    );
    place.run("resolv").is(
        2,
        "",
        "clearinghouse: error: unrecognized subcommand `resolv`\n\
         clearinghouse: hint: some similar subcommands exist: `rates`, `resolve`\n",
    );
    place.run("resolve pub-v0-x --deadline soon").is(
        2,
        "",
        "clearinghouse: error: --deadline <SPAN>: `soon` is not a span of time: write 10s, 50ms, 15min, 2h or 7d\n\
         clearinghouse: hint: `clearinghouse resolve --help` says what it takes\n",
    );
}

#[test]
fn errors_are_json_where_json_was_asked_for() {
    let place = Place::new();
    place.run("--json resolv").is(
        2,
        r#"{"error":{"code":"malformed","hint":"some similar subcommands exist: `rates`, `resolve`","message":"unrecognized subcommand `resolv`"}}"#,
        "",
    );
    place.run("status -d nowhere --json").is(
        8,
        r#"{"error":{"code":"unreachable","hint":"start it with `clearinghouse run -d nowhere`","message":"no node is running in `nowhere`"}}"#,
        "",
    );
    place.run("cap show URI:CHK --json").is(2, r#"{"error":{"code":"malformed","hint":null,"message":"[..]"}}"#, "");
}

#[test]
fn a_secret_given_by_mistake_is_not_repeated() {
    let place = Place::new();
    let secret = "priv-v0-aebagbafaydqqcikbmga2dqpcaireeyuculbogazdinryhi6d4qa";
    for line in [format!("init node --grid-id {secret}"), format!("resolve {secret}"), format!("cap show {secret}")] {
        let ended = place.run(&line);
        assert_eq!(ended.status, 2);
        assert!(!ended.stderr.contains("aebagbafaydqqcikbmga2dqpcaireeyuculbogazdinryhi6d4qa"), "{}", ended.stderr);
    }
}

#[test]
fn a_closed_pipe_is_no_failure() {
    let place = Place::new();
    for line in ["--help", "cap show URI:LIT:krugkidfnzsc4"] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = place.command(line.split_whitespace());
        let ended = command.stdout(writer).stderr(Stdio::piped()).output().unwrap();
        assert_eq!((ended.status.code(), ended.stderr.as_slice()), (Some(0), &b""[..]), "{line}");
    }
}

#[test]
fn completions_and_manual_pages_know_every_command() {
    let place = Place::new();
    let bash = place.run("completions bash");
    assert_eq!((bash.status, bash.stderr.as_str()), (0, ""));
    place.run("man .").is(0, ".\n", "");
    for command in COMMANDS {
        assert!(bash.stdout.contains(&format!("clearinghouse,{}", command.split(' ').next().unwrap())), "{command}");
        let page = String::from_utf8(place.read(&format!("clearinghouse-{}.1", command.replace(' ', "-")))).unwrap();
        assert!(page.contains("Example:"), "{command}");
    }
    place.run("man nowhere").is(
        3,
        "",
        "clearinghouse: error: cannot write manual pages into `nowhere`: No such file or directory (os error 2)\n",
    );
}
