//! A real browser.

use super::web::Web;
use crate::python;
use crate::two_grids::TwoGrids;
use serde_json::Value;
use std::fs;

const SECONDS: u32 = 60;

/// Chromium plays a film that lies on another grid, and goes on in the middle of it when it is told to.
pub(super) fn plays_a_film_and_seeks_in_it(grids: &mut TwoGrids) {
    let Some(chromium) = std::env::var("LAFS_TEST_CHROMIUM").ok().filter(|path| !path.is_empty()) else {
        let required = std::env::var_os("REQUIRE_INTEROP").is_some_and(|value| value == "1");
        assert!(!required, "REQUIRE_INTEROP=1, and LAFS_TEST_CHROMIUM names no Chromium");
        println!("SKIPPED: browser.py: LAFS_TEST_CHROMIUM names no Chromium");
        return;
    };
    let path = grids.place.path("film.mp4");
    python::run("film.py", &[path.to_str().expect("UTF-8"), &SECONDS.to_string()], "").expect("it runs the grid");
    let film = fs::read(path).expect("a film");
    let cap = grids.foreign(&grids.client.put("", &film));
    let web = Web::start(&grids.place);
    let url = format!("{}uri/{cap}?filename=film.mp4", web.url);
    let seen = python::run("browser.py", &[&chromium, &url, "40"], "").expect("it runs the grid");
    let seen: Value = serde_json::from_str(&seen).expect("JSON");
    assert_eq!(seen["duration"], SECONDS, "{seen}");
    assert!(seen["played_at"].as_f64().is_some_and(|place| (40.2..50.0).contains(&place)), "{seen}");
    // What it skipped it did not ask for.
    let statuses = seen["statuses"].as_array().expect("a list");
    assert!(statuses.contains(&206.into()), "{seen}");
}
