//! Whoever reads: a client of a home gateway, an operator in the node's own directory, and a browser at a node's web address.
//! The files lie on a testnet's grids.

use crate::place::{Place, Running};
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Stdio};

const LARGE_BYTES: usize = 3_000_000;

/// A testnet of two grids with files, and what it said when it was ready.
struct Net {
    ready: Value,
    _running: Running,
}

impl Net {
    fn up(place: &Place, words: &str) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_testnet"));
        command.args("up --nodes 2 --grids 2 --json".split(' ').chain(words.split(' ')));
        let log = std::fs::File::create(place.path("testnet.err")).unwrap();
        command.arg("--dir").arg(place.path("net")).stdin(Stdio::null()).stderr(log);
        let (running, line) = Running::with_first_line(command);
        let ready = serde_json::from_str(&line).unwrap_or_else(|error| {
            panic!("{error}: {line}{}", String::from_utf8_lossy(&place.read("testnet.err")));
        });
        Self { ready, _running: running }
    }

    fn node(&self, number: usize) -> &str {
        self.ready["nodes"][number]["dir"].as_str().unwrap()
    }

    /// The foreign cap of a grid's file of this name.
    fn cap(&self, grid: usize, name: &str) -> &str {
        let files = self.ready["files"].as_array().unwrap();
        let found = files.iter().filter(|file| file["name"] == name).nth(grid).unwrap();
        found["foreign_cap"].as_str().unwrap()
    }

    fn grid(&self, number: usize) -> &str {
        self.ready["grids"][number]["grid_id"].as_str().unwrap()
    }
}

fn large() -> Vec<u8> {
    (0..LARGE_BYTES).map(|at| (at / 3 % 251) as u8).collect()
}

fn letter(grid: &str) -> String {
    format!("This letter lies on the grid {grid}.\nWhoever has its foreign cap reads it from any grid.\n")
}

/// The body that is at a web address, by plain HTTP.
fn fetched(url: &str) -> Vec<u8> {
    ureq::get(url).call().unwrap_or_else(|error| panic!("{url}: {error}")).body_mut().read_to_vec().unwrap()
}

/// What the program of a directory gives of both grids' files, by `get`, `ls` and `web`.
fn reads_all(place: &Place, net: &Net, dir: &str) {
    for grid in [0, 1] {
        let cap = net.cap(grid, "letter.txt");
        let got = place.run(&format!("get {cap} -d {dir} -o -"));
        assert_eq!((got.status, got.stdout), (0, letter(net.grid(grid))), "{}", got.stderr);
        let directory = net.cap(grid, "directory");
        let list = place.run(&format!("ls {directory} -d {dir} --json")).json();
        let names: Vec<_> = list["entries"].as_array().unwrap().iter().map(|entry| &entry["name"]).collect();
        assert_eq!(names, ["large.bin", "letter.txt"], "{list}");
        let got = place.run(&format!("get {directory}/large.bin -d {dir} -o large"));
        assert_eq!(got.status, 0, "{}", got.stderr);
        assert!(place.read("large") == large());
    }
    let mut command = place.command(["web", "-d", dir, "--listen", "127.0.0.1:0"]);
    command.stderr(Stdio::null());
    let (web, url) = Running::with_first_line(command);
    let directory = net.cap(1, "directory");
    assert!(fetched(&format!("{}uri/{directory}/large.bin", url.trim_end())) == large());
    assert_eq!(web.terminate(), 0);
}

/// A node that others' files are read through, with a web address; it has none of its own.
fn home_with_web(place: &Place, net: &Net) -> (Running, String) {
    place.grid_manager("gm", 7);
    let (network, bootstrap) = (&net.ready["network"], &net.ready["bootstrap"][0]);
    let made = place.run(&format!(
        "init home --grid-manager gm --listen 127.0.0.1:0 --allow-private-addresses --network {} --bootstrap {} \
         --gateway-listen 127.0.0.1:0 --web-listen 127.0.0.1:0",
        network.as_str().unwrap(),
        bootstrap.as_str().unwrap()
    ));
    assert_eq!(made.status, 0, "{}", made.stderr);
    let node = place.start("home");
    let status = place.run("status -d home --wait 60 --json").json();
    (node, status["web_url"].as_str().unwrap().to_owned())
}

mod network {
    use super::*;

    #[test]
    fn clients_operators_and_browsers_read_the_files_of_both_grids() {
        let place = Place::new();
        let net = Net::up(&place, "--files");
        // The operator, in the directory of a node whose grid has files.
        reads_all(&place, &net, net.node(0));
        let (_home, web) = home_with_web(&place, &net);
        assert!(place.run("status -d home").stdout.contains(&format!("\nweb        {web}\n")));
        // Nobody has to be added for it, and nobody was.
        assert_eq!(place.run("client list -d home --json").json()["clients"], serde_json::json!([]));
        reads_all(&place, &net, "home");
        assert_eq!(fetched(&format!("{web}uri/{}", net.cap(0, "letter.txt"))), letter(net.grid(0)).as_bytes());
        let page = String::from_utf8(fetched(&format!("{web}uri/{}", net.cap(0, "directory")))).unwrap();
        assert!(page.contains("large.bin"), "{page}");
        // A client of that home.
        let url = place.run("gateway url -d home").stdout;
        let joined = place.run(&format!("join {} -d me --json", url.trim_end())).json();
        assert_eq!(place.run(&format!("get {} -d me -o -", net.cap(0, "letter.txt"))).status, 4);
        place.run(&format!("client add Ada {} -d home", joined["key"].as_str().unwrap()));
        reads_all(&place, &net, "me");
    }

    #[test]
    fn grids_of_the_real_tahoe_read_as_ours_do_and_end_with_their_testnet() {
        let python = std::env::var_os("LAFS_TEST_PYTHON").filter(|path| !path.is_empty());
        if python.is_none() {
            let required = std::env::var_os("REQUIRE_INTEROP").is_some_and(|value| value == "1");
            assert!(!required, "REQUIRE_INTEROP=1, and LAFS_TEST_PYTHON names no Python that has tahoe-lafs");
            println!("SKIPPED: testnet up --tahoe: LAFS_TEST_PYTHON names no Python that has tahoe-lafs");
            return;
        }
        let place = Place::new();
        let net = Net::up(&place, "--tahoe");
        reads_all(&place, &net, net.node(0));
        let grid: Value = serde_json::from_slice(&place.read("net/node-00/tahoe/grid.json")).unwrap();
        assert_eq!(grid["grid_id"], net.grid(0));
        let mut pids = vec![&grid["introducer"]["pid"], &grid["client"]["pid"]];
        pids.extend(grid["servers"].as_array().unwrap().iter().map(|server| &server["pid"]));
        assert_eq!(pids.len(), 5);
        let alive = || pids.iter().any(|pid| Path::new(&format!("/proc/{pid}/exe")).exists());
        assert!(alive() || !cfg!(target_os = "linux"));
        // By SIGKILL.
        drop(net);
        crate::place::eventually("the end of all of Tahoe's processes", || (!alive()).then_some(()));
    }

    #[test]
    fn a_testnet_without_a_python_for_tahoe_says_what_to_do() {
        let place = Place::new();
        let mut command = Command::new(env!("CARGO_BIN_EXE_testnet"));
        command.args(["up", "--tahoe"]).env("LAFS_TEST_PYTHON", place.path("python"));
        let output = command.stdin(Stdio::null()).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(stderr.starts_with("testnet: error: no Python that has tahoe-lafs was found; tried `/"), "{stderr}");
        assert!(stderr.contains("hint: `scripts/setup` prepares one"), "{stderr}");
    }
}
