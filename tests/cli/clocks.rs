//! Clocks that differ: by less than is allowed nobody notices, and by a day nothing is delivered, nothing is billed, and what is
//! said names the clock.

use crate::place::{Ended, Place, eventually};
use crate::priced::{Node, Priced, ok};

const DAY: i64 = 86_400;
/// Within the 120 s that a claim to a session may be off.
const TOLERATED: i64 = 100;

fn get_at(priced: &Priced, ahead: i64, output: &str) -> Ended {
    Ended::of(priced.place.command_at(ahead, priced.words("me", output)).output().unwrap())
}

/// Nothing was written, and nothing booked by anybody.
#[track_caller]
fn nothing_came(priced: &Priced, output: &str) {
    assert!(!priced.place.path(output).exists());
    assert_eq!((priced.owed_at_home("me"), priced.owed_abroad()), ((0, 0), (0, 0)));
}

/// It is refused, and says that it is for a clock: as soon as a node that was just started has found the other one.
#[track_caller]
fn names_the_clock(get: impl Fn() -> Ended) {
    eventually("a word about a clock", || {
        let refused = get();
        assert!(matches!(refused.status, 3 | 4 | 8 | 9), "{} {}", refused.status, refused.stderr);
        println!("{}", refused.stderr);
        refused.stderr.contains("clock").then_some(())
    });
}

#[test]
fn a_client_whose_clock_is_a_day_off_is_told_both_times_and_gets_nothing() {
    let priced = Priced::start(300_000, "5 USD/GiB");
    for ahead in [DAY, -DAY] {
        let refused = get_at(&priced, ahead, "file");
        assert_eq!(refused.status, 4, "{ahead}: {}", refused.stderr);
        assert!(refused.stderr.contains("clocks may differ by 2 min"), "{ahead}: {}", refused.stderr);
        nothing_came(&priced, "file");
    }
    ok(priced.get("file"));
    priced.is_whole("file");
}

#[test]
fn a_home_whose_clock_is_a_day_off_is_refused_abroad_and_its_clients_are_told_why() {
    let mut priced = Priced::start(300_000, "5 USD/GiB");
    for ahead in [DAY, -DAY] {
        priced.home.kill();
        priced.home.start_at(ahead, &priced.place);
        names_the_clock(|| get_at(&priced, ahead, "file"));
        nothing_came(&priced, "file");
    }
    priced.home.dies_and_comes_back(&priced.place);
    eventually("the file", || (priced.get("file").status == 0).then_some(()));
    priced.is_whole("file");
    priced.agree();
}

#[test]
fn a_foreign_grid_whose_clock_is_a_day_off_sells_nothing_and_the_client_is_told_why() {
    let mut priced = Priced::start(300_000, "5 USD/GiB");
    for ahead in [DAY, -DAY] {
        priced.abroad.kill();
        priced.abroad.start_at(ahead, &priced.place);
        names_the_clock(|| priced.get("file"));
        nothing_came(&priced, "file");
    }
    priced.abroad.dies_and_comes_back(&priced.place);
    eventually("the file", || (priced.get("file").status == 0).then_some(()));
    priced.is_whole("file");
    priced.agree();
}

/// A client a second behind its home took the home's price for one that had not begun, and a home behind the other grid the terms
/// that this one offered: nothing that costs could be read, and no clock was named.
#[test]
fn clocks_that_are_less_than_two_minutes_apart_hinder_nobody() {
    for ahead in [TOLERATED, -TOLERATED] {
        let start = |node: &mut Node, place: &Place| match node.dir {
            "home" => node.start_at(ahead, place),
            _ => node.start(place),
        };
        let priced = Priced::with(Place::new(), 300_000, "5 USD/GiB", start);
        let got = priced.get("file");
        assert_eq!(got.status, 0, "{ahead}: {}", got.stderr);
        priced.is_whole("file");
        let (client, home) = priced.agree();
        assert!(client > 0 && home > 0);
    }
}
