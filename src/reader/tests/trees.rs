//! Trees on the disk.

use crate::rate::Asset;
use crate::reader::memory::{abroad, home, mutable_target};
use crate::reader::tests::place::{Place, Told, content};
use crate::reader::{Target, TreeError, TreeEvent, TreeReport, Trouble, download_tree, tree_cost};
use crate::units::Bytes;
use std::fs;
use std::path::Path;

async fn fetch(place: &Place, target: &Target) -> (Result<TreeReport, TreeError>, Vec<String>) {
    let told = Told::default();
    let tell = |event: TreeEvent<'_>| match event {
        TreeEvent::Failed { path, error } => told.tell(format!("{} failed: {error}", path.display())),
        TreeEvent::Had { path, .. } => told.tell(format!("{} was there", path.display())),
        TreeEvent::Begun { path, .. } => told.tell(path.display().to_string()),
        TreeEvent::Progress { .. } | TreeEvent::Whole { .. } => {}
    };
    let report = download_tree(&place.reader, target, &place.folder.path().join("tree"), &tell).await;
    (report, told.all())
}

fn names(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_tree_comes_whole_over_grids() {
    let place = Place::new();
    let file = place.memory.immutable(abroad(), 1, &content(2_500), 1000);
    let small = "URI:LIT:krugkidfnzsc4";
    let inner = place.memory.directory(abroad(), 2, &[("b.bin", &file.text(&abroad())), ("empty", "URI:LIT:")]);
    let hollow = place.memory.directory(home(), 3, &[]);
    let top = place.memory.mutable_directory(
        home(),
        4,
        1,
        &[("a.txt", small), ("hollow", &hollow.text(&home())), ("inner", &inner.text(&home()))],
    );
    let (report, told) = fetch(&place, &top).await;
    let report = report.unwrap();
    assert_eq!(told, ["a.txt", "inner/b.bin", "inner/empty"]);
    assert_eq!((report.files, report.had, report.directories, report.size, report.failed), (3, 0, 2, 2_508, 0));
    let tree = place.folder.path().join("tree");
    assert_eq!(fs::read(tree.join("inner/b.bin")).unwrap(), content(2_500));
    assert_eq!(fs::read(tree.join("a.txt")).unwrap(), b"The end.");
    assert_eq!(names(&tree), ["a.txt", "hollow", "inner"]);
    assert_eq!(names(place.folder.path()), ["mutable-floors", "tree"]);
}

#[tokio::test]
async fn names_that_lead_out_of_the_tree_are_refused_and_the_rest_goes_on() {
    let place = Place::new();
    let small = "URI:LIT:krugkidfnzsc4";
    // Within the test's own folder: where names are not refused, nothing of the machine is to be written over.
    let absolute = place.folder.path().join("absolute").to_str().unwrap().to_owned();
    let hostile = ["..", ".", "../up", &absolute, "a/b", "nul\0", "line\n", ".a.lafs-part", ""];
    let mut children: Vec<(&str, &str)> = hostile.iter().map(|name| (*name, small)).collect();
    children.extend([("good", small), ("new", "URI:NEW:x")]);
    let top = place.memory.directory(home(), 1, &children);
    let (report, told) = fetch(&place, &top).await;
    let report = report.unwrap();
    assert_eq!((report.files, report.failed), (1, hostile.len() as u64 + 1), "{told:?}");
    // What failed first, in the order of the names.
    assert_eq!(report.first_trouble, Some(Trouble::Malformed));
    assert_eq!(names(&place.folder.path().join("tree")), ["good"]);
    assert!(names(place.folder.path()).iter().all(|name| name == "tree" || name == ".tree.lafs-part.json"));
}

#[tokio::test]
async fn a_directory_in_itself_is_followed_once() {
    let place = Place::new();
    let itself = mutable_target(home(), 1, true);
    let child = place.memory.mutable_directory(home(), 2, 1, &[("up", &itself.text(&home())), ("x", "URI:LIT:")]);
    let top = place.memory.mutable_directory(
        home(),
        1,
        1,
        &[("down", &child.text(&home())), ("here", &itself.text(&home()))],
    );
    let (report, told) = fetch(&place, &top).await;
    let report = report.unwrap();
    assert_eq!(
        (report.files, report.directories, report.failed, report.first_trouble),
        (1, 1, 2, Some(Trouble::Failed))
    );
    assert!(told[0].starts_with("down/up failed: a directory that stands in itself"), "{told:?}");
}

#[tokio::test]
async fn depth_has_an_end() {
    let place = Place::new();
    let mut inner = place.memory.directory(home(), 0, &[]);
    for seed in 1..=70 {
        inner = place.memory.directory(home(), seed, &[("d", &inner.text(&home()))]);
    }
    let (report, told) = fetch(&place, &inner).await;
    assert_eq!((report.unwrap().directories, told.len()), (64, 1));
    assert!(told[0].contains("deeper than 64"), "{told:?}");
}

#[tokio::test]
async fn what_fails_is_left_out_and_fetched_the_next_time() {
    let place = Place::new();
    let files: Vec<Target> = (1..4).map(|seed| place.memory.immutable(home(), seed, &content(3_000), 1000)).collect();
    let texts: Vec<String> = files.iter().map(|file| file.text(&home())).collect();
    let top = place.memory.directory(home(), 9, &[("a", &texts[0]), ("b", &texts[1]), ("c", &texts[2])]);
    place.memory.lose(&files[1]);
    let (report, told) = fetch(&place, &top).await;
    let report = report.unwrap();
    assert_eq!((report.files, report.failed, report.first_trouble), (2, 1, Some(Trouble::NotFound)));
    assert_eq!(told, ["a", "b failed: no shares of it", "c"]);
    place.memory.immutable(home(), 2, &content(3_000), 1000);
    let asked = place.memory.asked();
    let (report, told) = fetch(&place, &top).await;
    let report = report.unwrap();
    assert_eq!((report.files, report.had, report.failed), (3, 2, 0));
    assert_eq!(told, ["a was there", "b", "c was there"]);
    // One page and three units: of the others nothing was asked.
    assert_eq!(place.memory.asked().1 - asked.1, 3 + 1);
    assert_eq!(names(place.folder.path()), ["tree"]);
}

#[tokio::test]
async fn a_file_that_was_touched_is_fetched_anew() {
    let place = Place::new();
    let file = place.memory.immutable(home(), 1, &content(3_000), 1000);
    let top = place.memory.directory(home(), 9, &[("a", &file.text(&home())), ("b", "URI:NEW:x")]);
    let path = place.folder.path().join("tree/a");
    assert_eq!(fetch(&place, &top).await.1[0], "a");
    assert_eq!(fetch(&place, &top).await.1[0], "a was there");
    fs::write(&path, content(2_999)).unwrap();
    assert_eq!(fetch(&place, &top).await.1[0], "a");
    assert_eq!(fs::read(&path).unwrap(), content(3_000));
}

#[tokio::test]
async fn where_nobody_answers_the_tree_does_not_try_each_file() {
    let place = Place::new();
    let file = place.memory.immutable(home(), 1, &content(3_000), 1000).text(&home());
    let top = place.memory.directory(home(), 9, &[("a", &file), ("b", &file), ("c", &file)]);
    // The directory comes whole, and then nothing does.
    for units in [1, 0, 0, 0, 0] {
        place.memory.break_after(units, Trouble::Unreachable);
    }
    let (report, told) = fetch(&place, &top).await;
    assert_eq!(report.unwrap_err().trouble(), Trouble::Unreachable);
    assert_eq!(told, ["a", "a failed: made to break"]);
}

#[tokio::test]
async fn what_a_tree_costs_is_counted_before_a_file_is_fetched() {
    let place = Place::new();
    let file = place.memory.immutable(abroad(), 1, &content(300_000), 131_072);
    let mutable = place.memory.mutable(abroad(), 5, 1, &content(1_000));
    let itself = mutable_target(abroad(), 4, true);
    let inner = place.memory.directory(
        abroad(),
        2,
        &[("again", &file.text(&abroad())), ("up", &itself.text(&abroad())), ("tiny", "URI:LIT:krugkidfnzsc4")],
    );
    let children = [
        ("a", file.text(&home())),
        ("b", mutable.text(&home())),
        ("in", inner.text(&home())),
        ("x", "URI:NEW:x".to_owned()),
    ];
    let children: Vec<(&str, &str)> = children.iter().map(|(name, cap)| (*name, cap.as_str())).collect();
    let top = place.memory.mutable_directory(abroad(), 4, 1, &children);
    let cost = tree_cost(&place.reader, &top).await.unwrap();
    // The film stands there twice and is fetched twice; what leads back up, and what nobody can follow, is left out.
    assert_eq!((cost.files, cost.directories, cost.left_out), (4, 2, 2));
    assert_eq!(cost.content, Bytes(2 * 300_000 + 1_000 + 8));
    let grid = &cost.grids[&abroad()];
    assert_eq!(grid.octets, Bytes(cost.content.0 - 8 + cost.around.0));
    let usd = Asset::from_code("USD").unwrap();
    // 5 × 10^9 minor units for each GiB, rounded up, and one for each request.
    let exact = (u128::from(grid.octets.0) * 5_000_000_000).div_ceil(1 << 30);
    assert_eq!(u128::from(cost.totals[&usd].0), exact + u128::from(grid.requests));
    assert!(cost.spent[&usd] < cost.totals[&usd] && cost.spent[&usd].0 > 0);
    assert_eq!(names(place.folder.path()), ["mutable-floors"]);
}
