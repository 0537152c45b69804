//! A disk under a running node's books that takes nothing more: what has a price is not served, which is said; nothing that was
//! acknowledged is lost; and it goes on where there is room again, without a restart.

use crate::place::{Place, can_limit_files, eventually};
use crate::priced::{Node, Priced, ok};
use crate::valve::Valve;

const MIB: usize = 1 << 20;

fn start() -> Priced {
    let start = |node: &mut Node, place: &Place| {
        // The limit is told by a signal, which ends whoever does not ignore it.
        let running = place.start_ignoring_file_limits(node.dir);
        node.is_started(place, running);
    };
    // More than what is read before, a client's window, and what the wire itself takes.
    Priced::with(Place::new(), 24 * MIB, "5 USD/GiB", start)
}

/// Fills the disk of one of the nodes in the middle of a file, which `wire` leads from, and makes room again.
fn fill_and_make_room(priced: &Priced, node: &Node, wire: &Valve) {
    let getting = priced.begin_until(wire, "file", 3 * MIB);
    let before = priced.owed_at_home("me").1;
    let running = node.running.as_ref().unwrap();
    running.limit_files("0");
    wire.open();
    let ended = getting.ended();
    assert!(ended.status != 0, "all of it came");
    assert!(ended.stderr.contains("is full"), "{}", ended.stderr);
    // Nothing more, and nothing new.
    let refused = priced.get("other");
    assert!(refused.status != 0 && refused.stderr.contains("is full"), "{}: {}", refused.status, refused.stderr);
    let checked = priced.place.run(&format!("status -d {} --check --json", node.dir));
    assert!(checked.stdout.contains("\"disk\""), "{}{}", checked.stdout, checked.stderr);
    assert!(priced.owed_at_home("me").1 >= before);
    running.limit_files("unlimited");
    eventually("it goes on", || (priced.get("file").status == 0).then_some(()));
    priced.is_whole("file");
    priced.agree();
    let checked = ok(priced.place.run(&format!("status -d {} --check --json", node.dir)));
    assert!(!checked.stdout.contains("\"disk\""), "{}", checked.stdout);
}

#[test]
fn a_home_whose_disk_is_full_serves_nothing_that_is_paid_for_says_so_and_goes_on_after_it() {
    if can_limit_files() {
        let priced = start();
        fill_and_make_room(&priced, &priced.home, &priced.wire);
    }
}

#[test]
fn another_grids_gateway_whose_disk_is_full_serves_nothing_says_so_and_goes_on_after_it() {
    if can_limit_files() {
        let priced = start();
        priced.agree_on_terms("10 USD", 4);
        fill_and_make_room(&priced, &priced.abroad, &priced.abroad.wire);
    }
}
