//! Caps taken apart and made foreign.

use crate::place::Place;

const GRID: &str = "pub-v0-rkeohxlubhyzl7ks3mwtzos5olfgocn7dwkbeg7toseadnapn5oa";
const CHK: &str = "URI:CHK:44wphqinesnggifna54n6ccwke:gsbsu5hlwbscygephg3aqd7t47y2agatsnnt7eip37w7znx6ws3q:2:3:1000000";
const WRITE: &str = "URI:SSK:u6etxx3ptzfylhmwwguwms5zj4:2fwidhazpw3a7elhnjvld6zylyfii7taapwykujcxkh76vohzvfa";
const READ: &str = "URI:SSK-RO:q7eegxxpxbzis5tlcraa3bot4y:2fwidhazpw3a7elhnjvld6zylyfii7taapwykujcxkh76vohzvfa";

fn foreign(cap: &str) -> String {
    format!("URI:FOREIGN:{GRID}:{}", cap.strip_prefix("URI:").unwrap())
}

#[test]
fn a_cap_is_taken_apart() {
    Place::new().run(&format!("cap show {CHK}")).is(
        0,
        &format!(
            "kind           CHK, immutable file\n\
             allows         read\n\
             grid           not named\n\
             home cap       {CHK}\n\
             read cap       {CHK}\n\
             verify cap     URI:CHK-Verifier:fmcjxaq4gq662fpakc3pegobjq:gsbsu5hlwbscygephg3aqd7t47y2agatsnnt7eip37w7znx6ws3q:2:3:1000000\n\
             storage index  fmcjxaq4gq662fpakc3pegobjq\n\
             size           1000000 bytes\n\
             shares         any 2 of 3\n"
        ),
        "",
    );
}

#[test]
fn a_foreign_cap_is_shown_with_its_grid() {
    let json = Place::new().run(&format!("cap show ro.{} --json", foreign(READ))).json();
    assert_eq!(json["grid_id"], GRID);
    assert_eq!(json["home_cap"], READ);
    assert_eq!((&json["allows"], &json["mutable"]), (&"read".into(), &true.into()));
}

#[test]
fn only_the_foreign_cap_is_printed() {
    let place = Place::new();
    place.run(&format!("cap foreign {CHK} --grid {GRID}")).is(0, &foreign(CHK), "");
    place.run(&format!("cap foreign {CHK} --grid {GRID} --for-directory")).is(0, &format!("imm.{}", foreign(CHK)), "");
    // Again and again is the same.
    place.run(&format!("cap foreign {} --for-directory", foreign(READ))).is(0, &format!("ro.{}", foreign(READ)), "");
}

#[test]
fn a_write_cap_is_diminished_and_that_is_said() {
    Place::new().run(&format!("cap foreign {WRITE} --grid {GRID}")).is(
        0,
        &foreign(READ),
        "clearinghouse: note: the cap could write; its foreign form only reads\n",
    );
}

#[test]
fn a_cap_comes_through_standard_input_too() {
    Place::new().run_with_stdin(&format!("cap foreign - --grid {GRID}"), &format!("{CHK}\n")).is(0, &foreign(CHK), "");
}

#[test]
fn the_grid_of_the_data_directory_is_the_default() {
    let place = Place::new();
    place.run(&format!("init node --grid-id {GRID} --rate free"));
    place.run(&format!("cap foreign {CHK} -d node")).is(0, &foreign(CHK), "");
    place.run("init other --no-grid");
    place.run(&format!("cap foreign {CHK} -d other")).is(
        2,
        "",
        "clearinghouse: error: `other/clearinghouse.toml` names no grid\n\
         clearinghouse: hint: name the grid with `--grid ID`, or set `grid-id` in that file\n",
    );
    place.run(&format!("cap foreign {CHK}")).is(
        3,
        "",
        "clearinghouse: error: cannot read `[..]/.local/state/lafs-clearinghouse/clearinghouse.toml`: No such file or directory (os error 2)\n\
         clearinghouse: hint: make the data directory with `clearinghouse init [..]/.local/state/lafs-clearinghouse …`\n",
    );
}

#[test]
fn what_is_wrong_with_a_cap_is_named_and_placed() {
    let place = Place::new();
    let error = |cap: &str, message: &str| {
        place.run(&format!("cap show {cap}")).is(2, "", &format!("clearinghouse: error: {message}\n"));
    };
    error(&CHK.replace("4wph", "4Wph"), "the key (at character 10) contains 'W', which is not one of a-z, 2-7");
    error(&CHK.replace(":2:3:", ":4:3:"), "[..] (at character [..]) [..]");
    error(&foreign(WRITE), "a foreign cap never carries a write key, [..]");
    error("hello", "the beginning (at character 0) differs from `URI:`, [..]");
    place.run(&format!("cap foreign {} --grid {}", foreign(CHK), GRID.replace("rkeo", "rkea"))).is(
        2,
        "",
        "clearinghouse: error: [..]\n\
         clearinghouse: hint: [..]\n",
    );
}
