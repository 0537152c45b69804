//! `get` as people and scripts use it.

use crate::place::eventually;
use crate::two_grids::{TwoGrids, content};
use std::fs;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

pub(super) fn to_standard_output_and_by_ranges(grids: &mut TwoGrids) {
    let file = content(400_000, 60);
    let foreign = grids.foreign(&grids.client.put("", &file));
    let output = |words: &[&str]| -> Output {
        let words = [&["get", &foreign], words, &["-d", "reader"]].concat();
        grids.place.command(words).output().expect("it runs")
    };
    // Nobody's terminal: without `-o` it is the same.
    for words in [&["-o", "-"][..], &[]] {
        let whole = output(words);
        assert!(whole.status.success() && whole.stdout == file, "{}", String::from_utf8_lossy(&whole.stderr));
        assert!(whole.stderr.is_empty(), "{}", String::from_utf8_lossy(&whole.stderr));
    }
    for (range, part) in [
        ("0-0", 0..1),
        ("10-19", 10..20),
        ("131071-131072", 131_071..131_073),
        ("399999-", 399_999..400_000),
        ("-7", 399_993..400_000),
        ("100-9999999", 100..400_000),
    ] {
        let ranged = output(&["-o", "-", "--range", range]);
        assert!(ranged.status.success() && ranged.stdout == file[part], "{range}: {} bytes", ranged.stdout.len());
    }
    for (range, status) in [("400000-", 2), ("5-4", 2), ("x", 2)] {
        let refused = output(&["-o", "-", "--range", range]);
        assert_eq!((refused.status.code(), refused.stdout.len()), (Some(status), 0), "{range}");
    }
    let view = grids.reader(&["get", &foreign, "-o", "got/part", "--range", "10-19", "--json"]).json();
    assert_eq!((&view["size_bytes"], &view["resumed_from_bytes"]), (&10.into(), &0.into()), "{view}");
    assert_eq!(view["grid_id"], grids.nodes.described.grid_id.to_string());
    assert_eq!(fs::read(grids.place.path("got/part")).expect("the part"), file[10..20]);
    // `-o` replaces, and a reader that has enough ends it without a word.
    assert!(grids.reader(&["get", &foreign, "-o", "got/part"]).stdout.ends_with("got/part: 390.6 KiB, verified\n"));
    assert!(fs::read(grids.place.path("got/part")).expect("the file") == file);
    fs::remove_file(grids.place.path("got/part")).expect("the file");
    let mut command = grids.place.command(["get", &foreign, "-d", "reader"]);
    let mut piped = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    drop(piped.stdout.take());
    let ended = piped.wait_with_output().expect("it ends");
    assert_eq!((ended.status.code(), ended.stderr.len()), (Some(0), 0));
}

/// A terminal sees how far it is, and a pipe nothing of it.
pub(super) fn a_bar_on_a_terminal(grids: &mut TwoGrids) {
    let foreign = grids.foreign(&grids.client.put("", &content(5_000_000, 61)));
    let python = std::env::var_os("LAFS_TEST_PYTHON").expect("it runs the grid");
    let get = grids.place.command(["get", &foreign, "-o", "got/film", "-d", "reader"]);
    let mut command = Command::new(python);
    command.args(["-c", "import pty, sys; sys.exit(pty.spawn(sys.argv[1:]) >> 8)"]);
    command.arg(get.get_program()).args(get.get_args()).current_dir(grids.place.path(".")).stdin(Stdio::null());
    let shown = command.env_clear().env("TERM", "xterm").env("HOME", grids.place.path(".")).output().expect("it runs");
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(!shown.contains("of 0 B"), "its size is known from the first: {shown:?}");
    for expected in ["got/film ", "% ", " of 4.77 MiB, ", "/s, ", " left", "got/film: 4.7 MiB, verified"] {
        assert!(shown.contains(expected), "{expected:?} in {shown:?}");
    }
    let piped = grids.reader(&["get", &foreign, "-o", "got/film"]);
    assert_eq!((piped.status, piped.stderr.as_str()), (0, ""));
    fs::remove_file(grids.place.path("got/film")).expect("the film");
}

/// Broken off, by a person or by the machine, the same command goes on with what was verified.
pub(super) fn what_was_broken_off_goes_on(grids: &mut TwoGrids) {
    const SIZE: usize = 20_000_000;
    let file = content(SIZE, 62);
    let foreign = grids.foreign(&grids.client.put("", &file));
    let (part, note) = (grids.place.path("got/.film.lafs-part"), grids.place.path("got/.film.lafs-part.json"));
    for name in ["INT", "KILL"] {
        let mut command = grids.place.command(["get", &foreign, "-o", "got/film", "-d", "reader"]);
        let mut get = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it runs");
        eventually("a part of it", || fs::metadata(&part).ok().filter(|part| part.len() > 1 << 20));
        // Its home holds its breath, so that it is nowhere near the end.
        grids.home.signal("STOP");
        if name == "KILL" {
            // A crash may undo the work of the last seconds: the next octets are noted as verified.
            let since = Instant::now();
            eventually("the time of a note", || (since.elapsed() > Duration::from_secs(5)).then_some(()));
            grids.home.signal("CONT");
            eventually("a note", || note.exists().then_some(()));
            grids.home.signal("STOP");
        }
        let sent = Command::new("kill").args([&format!("-{name}"), &get.id().to_string()]).status().expect("kill");
        assert!(sent.success());
        let ended = get.wait().expect("it ends");
        grids.home.signal("CONT");
        assert_eq!(ended.code(), (name == "INT").then_some(12), "{name}");
        assert!(!grids.place.path("got/film").exists() && note.exists(), "{name}");
        let view = grids.reader(&["get", &foreign, "-o", "got/film", "--json"]).json();
        let resumed = view["resumed_from_bytes"].as_u64().expect("a number");
        assert!(resumed >= 1 << 20 && resumed < SIZE as u64, "{name}: {resumed}");
        assert!(grids.place.read("got/film") == file, "{name}");
        fs::remove_file(grids.place.path("got/film")).expect("the film");
        assert!(!part.exists() && !note.exists(), "{name}");
    }
}
