//! How a grid leaves the network, and how it moves to another key: from an operator's two hands, through running nodes.

use crate::place::{Place, Running, eventually};
use lafs_clearinghouse::clock::Clock;
use lafs_clearinghouse::keys::GridId;
use lafs_clearinghouse::units::Seconds;

const LOCAL: &str = "--listen 127.0.0.1:0 --allow-private-addresses";

/// A node at work; its address and what `init` printed.
fn node(place: &Place, dir: &str, words: &str) -> (Running, String, serde_json::Value) {
    let made = place.run(&format!("init {dir} {words} {LOCAL} --json")).json();
    let node = place.start(dir);
    let status = eventually("its status", || {
        let status = place.run(&format!("status -d {dir} --json"));
        (status.status == 0 && !status.json()["addrs"].as_array().unwrap().is_empty()).then(|| status.json())
    });
    (node, status["addrs"][0].as_str().unwrap().to_owned(), made)
}

fn status_of_resolve(place: &Place, dir: &str, grid: &GridId) -> i32 {
    place.run(&format!("resolve {grid} -d {dir}")).status
}

fn days_ahead(days: u64) -> String {
    Clock::system().now().plus(Seconds::days(days)).to_string()
}

#[test]
fn a_grid_withdraws_in_one_step_where_the_key_is_at_hand() {
    let place = Place::new();
    let grid = place.grid_manager("gm", 1);
    place.grid_manager("gm2", 2);
    let (_holder, addr, _) = node(&place, "holder", "--grid-manager gm2");
    let (_node, ..) = node(&place, "node", &format!("--grid-manager gm --bootstrap {addr} --rate free"));
    eventually("it is published", || (status_of_resolve(&place, "holder", &grid) == 0).then_some(()));
    // Nobody sits at a terminal, and nobody said yes.
    place.run("record withdraw -d node").is(
        4,
        "",
        &format!(
            "clearinghouse: error: {grid} leaves the network for good; nothing can take this back: nobody is there to be asked\n\
             clearinghouse: hint: `--yes` does it without asking\n"
        ),
    );
    assert_eq!(status_of_resolve(&place, "holder", &grid), 0);
    place.run("record withdraw -d node --yes").is(
        0,
        &format!(
            "withdrawn   {grid}\nsequence    [..]\nsaid until  [..]\nheld by     1 other servers\n\n\
             Next, let the node run a while, then stop it; [..]: clearinghouse status -d node\n"
        ),
        "",
    );
    for dir in ["holder", "node"] {
        eventually("it has withdrawn", || (status_of_resolve(&place, dir, &grid) == 6).then_some(()));
    }
    assert_eq!(place.run("record withdraw -d node --yes").status, 6);
    // The node publishes nothing over it, whatever its settings say.
    assert!(place.run("status -d node --check").stdout.starts_with("withdrawn: "));
}

#[test]
fn a_grid_withdraws_with_its_key_in_a_drawer() {
    let place = Place::new();
    let grid = place.grid_manager("gm", 1);
    let (_node, _, made) = node(&place, "node", &format!("--grid-id {grid} --rate free"));
    let publisher = made["publisher_key"].as_str().unwrap();
    place.run(&format!("delegate {publisher} --grid-manager gm --until {} -o permission", days_ahead(300)));
    place.run("record install permission -d node");
    eventually("it is published", || (status_of_resolve(&place, "node", &grid) == 0).then_some(()));
    place.run("record withdraw -d node --yes").is(
        4,
        "",
        "clearinghouse: error: only the grid key may withdraw, and the settings of `node` name no `grid-manager`\n\
         clearinghouse: hint: where the grid key is: `clearinghouse record withdraw --grid-manager GM -o last.record`; then here: `clearinghouse record install last.record -d node`\n",
    );
    place.run("record withdraw --grid-manager gm -o last.record --yes").is(
        0,
        &format!(
            "withdrawn   {grid}\nsequence    [..]\nsaid until  [..]\nrecord      last.record\n\n\
             Next, at the node: clearinghouse record install last.record -d DIR\n"
        ),
        "",
    );
    assert_eq!(place.run("record install last.record -d node").status, 0);
    eventually("it has withdrawn", || (status_of_resolve(&place, "node", &grid) == 6).then_some(()));
}

#[test]
fn a_grid_moves_to_another_key_and_is_followed() {
    let place = Place::new();
    let (old, new) = (place.grid_manager("gm-old", 1), place.grid_manager("gm-new", 2));
    place.grid_manager("gm3", 3);
    let (_holder, addr, _) = node(&place, "holder", "--grid-manager gm3");
    let (_old, ..) = node(&place, "old", &format!("--grid-manager gm-old --bootstrap {addr} --rate free"));
    eventually("it is published", || (status_of_resolve(&place, "holder", &old) == 0).then_some(()));
    let rotate = format!("record rotate --to {new} -d old --yes");
    let announced = place.run(&rotate);
    assert!(announced.stdout.starts_with("announced: "), "{}{}", announced.stdout, announced.stderr);
    assert!(
        announced.stdout.ends_with(&format!("clearinghouse record rotate --to {new} -d old\n")),
        "{}",
        announced.stdout
    );
    // Readers see the announcement before the move.
    eventually("the announcement", || {
        let found = place.run(&format!("resolve {old} -d holder --json"));
        (found.status == 0 && found.json()["next_key_digest"].is_string()).then_some(())
    });
    let waiting = place.run(&rotate);
    assert!(waiting.stdout.starts_with("to acknowledge: "), "{}{}", waiting.stdout, waiting.stderr);
    assert!(waiting.stdout.contains(&format!("--predecessor {old} --bootstrap /")), "{}", waiting.stdout);
    let (_new, ..) = node(
        &place,
        "new",
        &format!("--grid-manager gm-new --predecessor {old} --bootstrap {addr} --rate free --nickname Heir"),
    );
    let moved = eventually("the move", || {
        let ended = place.run(&rotate);
        assert_eq!(ended.status, 0, "{}", ended.stderr);
        ended.stdout.starts_with("moved: ").then_some(ended.stdout)
    });
    assert!(moved.contains(&format!("{old} leads to {new}, until 2")), "{moved}");
    for dir in ["holder", "new", "old"] {
        eventually("it is followed", || {
            let found = place.run(&format!("resolve {old} -d {dir} --json"));
            let found = (found.status == 0).then(|| found.json())?;
            (found["moved_from"] == old.to_string()).then(|| assert_eq!(found["nickname"], "Heir"))
        });
    }
    // Asked once more, it only tells how things stand; and to somewhere else it does not go.
    assert!(place.run(&rotate).stdout.starts_with("moved: "));
    assert_eq!(place.run(&format!("record rotate --to {} -d old --yes", place.grid_manager("gm4", 4))).status, 4);
}

#[test]
fn a_grid_moves_with_its_key_in_a_drawer() {
    let place = Place::new();
    let (old, new) = (place.grid_manager("gm-old", 1), place.grid_manager("gm-new", 2));
    let (_old, addr, made) = node(&place, "old", &format!("--grid-id {old} --rate free"));
    let publisher = made["publisher_key"].as_str().unwrap();
    let until = days_ahead(300);
    place.run(&format!("delegate {publisher} --grid-manager gm-old --until {until} -o first"));
    place.run("record install first -d old");
    eventually("it is published", || (status_of_resolve(&place, "old", &old) == 0).then_some(()));
    let rotate = format!("record rotate --to {new} -d old");
    let steps = place.run(&rotate).stdout;
    assert!(steps.contains(&format!("clearinghouse delegate {publisher} --grid-manager GM --until ")), "{steps}");
    assert!(steps.contains(&format!(" --next {new}\n")), "{steps}");
    // A serial is in whole seconds, and the second delegation must not be older than the first.
    place.run(&format!("delegate {publisher} --grid-manager gm-old --until {until} --next {new} -o second"));
    assert_eq!(place.run("record install second -d old").status, 0);
    let announced = || place.run(&format!("resolve {old} -d old --json")).json()["next_key_digest"].is_string();
    eventually("the announcement", || announced().then_some(()));
    let (_new, ..) =
        node(&place, "new", &format!("--grid-manager gm-new --predecessor {old} --bootstrap {addr} --rate free"));
    eventually("the draft", || place.run(&rotate).stdout.starts_with("to move: ").then_some(()));
    let signed = place.run("record sign move.toml --grid-manager gm-old -o last.record");
    assert_eq!(signed.status, 0, "{}", signed.stderr);
    let installed = place.run("record install last.record -d old");
    assert_eq!(installed.status, 0, "{}", installed.stderr);
    eventually("the move", || place.run(&rotate).stdout.starts_with("moved: ").then_some(()));
    assert_eq!(place.run(&format!("resolve {old} -d new --json")).json()["moved_from"], old.to_string());
}

#[test]
fn a_grid_that_announced_nothing_moves_nowhere() {
    let place = Place::new();
    let (old, new) = (place.grid_manager("gm-old", 1), place.grid_manager("gm-new", 2));
    place.run(&format!("init node --grid-manager gm-old {LOCAL}"));
    place.run(&format!("record rotate --to {new} -d node")).is(
        3,
        "",
        &format!(
            "clearinghouse: error: there is no record of {old} in `node` yet\n\
             clearinghouse: hint: publish one first: `clearinghouse status -d node` says what is missing\n"
        ),
    );
    assert_eq!(place.run(&format!("record rotate --to {old} -d node")).status, 2);
}
