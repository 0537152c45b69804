//! The local API of a running node, asked without the program.

use crate::place::{Place, Running};
use std::io::{Read, Write};
use std::net::TcpStream;

struct Api {
    _node: Running,
    place: Place,
    addr: String,
    grid: String,
}

fn api() -> Api {
    let place = Place::new();
    let grid = place.grid_manager("gm", 1).to_string();
    place.run("init node --grid-manager gm --listen 127.0.0.1:0 --allow-private-addresses");
    let node = place.start("node");
    place.run("status -d node --wait 60");
    let file: serde_json::Value = serde_json::from_slice(&place.read("node/api.json")).unwrap();
    let addr = file["url"].as_str().unwrap().strip_prefix("http://").unwrap().to_owned();
    Api { _node: node, place, addr, grid }
}

impl Api {
    /// The head and the body of the answer to a request line, more headers and a body.
    fn ask(&self, line: &str, headers: &str, body: &[u8]) -> (String, String) {
        let mut stream = TcpStream::connect(&self.addr).unwrap();
        let length = body.len();
        let head = format!("{line} HTTP/1.1\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n");
        stream.write_all(&[head.as_bytes(), body].concat()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.to_owned(), body.to_owned())
    }

    fn get(&self, path: &str) -> (u16, serde_json::Value) {
        self.status_and_json(&format!("GET {path}"), b"")
    }

    fn status_and_json(&self, line: &str, body: &[u8]) -> (u16, serde_json::Value) {
        let (head, body) = self.ask(line, "Host: localhost\r\n", body);
        let status: u16 = head.split(' ').nth(1).unwrap().parse().unwrap();
        if status >= 400 {
            assert!(head.to_lowercase().contains("content-type: application/problem+json"), "{head}");
        }
        (status, serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {body}")))
    }
}

#[test]
fn the_api_answers_programs_with_views_and_problems() {
    let api = api();
    assert_eq!(api.get("/health").0, 200);
    let (status, view) = api.get("/v1/status");
    assert_eq!((status, &view["grid_id"]), (200, &api.grid.clone().into()));
    let (status, found) = api.get(&format!("/v1/resolve?grid={}&policy=cached", api.grid));
    assert_eq!((status, &found["source"]), (200, &"cache".into()));

    let other = api.place.grid_manager("other", 2);
    for (path, status, code) in [
        ("/v1/nothing".to_owned(), 404, "not_found"),
        (format!("/v1/resolve?grid={other}&policy=cached"), 404, "not_found"),
        ("/v1/resolve".to_owned(), 400, "malformed"),
        (format!("/v1/resolve?grid={other}&policy=quick"), 400, "malformed"),
        (format!("/v1/resolve?grid={other}&deadline_ms=99999999"), 400, "malformed"),
        (format!("/v1/resolve?grid={other}&cap=x"), 400, "malformed"),
        // A grid id, and never a cap with its key.
        (format!("/v1/resolve?grid=URI:FOREIGN:{other}:LIT:krugkidfnzsc4"), 400, "malformed"),
    ] {
        let (found, problem) = api.get(&path);
        assert_eq!((found, &problem["code"]), (status, &code.into()), "{path}: {problem}");
    }
    assert_eq!(api.status_and_json("POST /v1/status", b"").0, 405);
}

#[test]
fn what_is_installed_is_judged_first() {
    let api = api();
    let held = api.place.read("node/own.record");
    for (body, status, code) in
        [(&b""[..], 400, "malformed"), (b"\x84nonsense", 400, "malformed"), (&[0; 2000], 413, "malformed")]
    {
        let (found, problem) = api.status_and_json("POST /v1/install", body);
        assert_eq!((found, &problem["code"]), (status, &code.into()), "{problem}");
    }
    let mut altered = held.clone();
    *altered.last_mut().unwrap() ^= 1;
    let (found, problem) = api.status_and_json("POST /v1/install", &altered);
    assert_eq!((found, &problem["code"]), (400, &"integrity".into()), "{problem}");
    assert_eq!(api.place.read("node/own.record"), held);
    assert_eq!(api.status_and_json("POST /v1/install", &held).0, 200);
}

#[test]
fn web_pages_are_refused() {
    let api = api();
    for headers in [
        "Host: evil.example\r\n",
        "",
        "Host: localhost\r\nOrigin: https://evil.example\r\n",
        "Host: localhost\r\nSec-Fetch-Site: cross-site\r\n",
    ] {
        let (head, _) = api.ask("GET /v1/status", headers, b"");
        // hyper itself refuses a request without a `Host`.
        assert!(head.starts_with("HTTP/1.1 403") || head.starts_with("HTTP/1.1 400"), "{headers}: {head}");
        assert!(api.ask("POST /v1/publish", headers, b"").0.starts_with("HTTP/1.1 40"), "{headers}");
    }
}

#[test]
fn a_cap_that_is_sent_all_the_same_is_in_no_log() {
    let place = Place::new();
    place.run("init node --no-grid --listen 127.0.0.1:0 --allow-private-addresses --resolver-listen 127.0.0.1:0");
    let log = std::fs::File::create(place.path("log")).unwrap();
    let mut command = place.command(["--json", "run", "-d", "node"]);
    // All that any part of the program would ever say.
    command.env("RUST_LOG", "trace").stderr(log).stdout(std::process::Stdio::piped());
    let (node, ready) = Running::with_first_line(command);
    let ready: serde_json::Value = serde_json::from_str(&ready).unwrap();
    let local = ready["api"].as_str().unwrap().strip_prefix("http://").unwrap().to_owned();
    let open = ready["resolver"].as_str().unwrap().to_owned();
    let key = "krugkidfnzsc4wqp3y7mvk2tai";
    for (addr, path) in [
        (&open, format!("/v1/grids/URI:CHK:{key}:n2ef:2:3:1000000")),
        (&open, format!("/v1/grids/{key}/evidence/1")),
        (&local, format!("/v1/resolve?grid=URI:CHK:{key}:n2ef:2:3:1000000")),
        (&local, format!("/v1/resolve?URI:CHK:{key}:n2ef:2:3:1000000")),
    ] {
        let mut stream = TcpStream::connect(addr).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
        assert!(!answer.contains(key), "{answer}");
    }
    assert_eq!(node.terminate(), 0);
    let log = String::from_utf8_lossy(&place.read("log")).into_owned();
    assert!(log.contains("TRACE"), "the log says all there is");
    assert!(!log.contains(key), "{}", log.lines().find(|line| line.contains(key)).unwrap_or_default());
}
