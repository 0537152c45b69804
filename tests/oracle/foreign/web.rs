//! The web address of the program, before a real grid's files.

use crate::place::{Place, Running};
use crate::real_client::Kept;
use crate::two_grids::{TwoGrids, content};
use lafs_clearinghouse::capability::Capability;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;

const LITERAL: &str = "URI:LIT:krugkidfnzsc4";

/// `clearinghouse web`, at work.
pub(super) struct Web {
    /// `http://127.0.0.1:PORT/`.
    pub(super) url: String,
    host: String,
    _program: Running,
}

struct Answer {
    status: u16,
    head: BTreeMap<String, String>,
    body: Vec<u8>,
}

impl Web {
    pub(super) fn start(place: &Place) -> Self {
        let command = place.command(["web", "-d", "reader", "--listen", "127.0.0.1:0"]);
        let (program, line) = Running::with_first_line(command);
        let url = line.trim().to_owned();
        let host = url.trim_start_matches("http://").trim_end_matches('/').to_owned();
        Self { url, host, _program: program }
    }

    fn ask(&self, method: &str, path: &str, lines: &[&str]) -> Answer {
        self.ask_as(&self.host, method, path, lines)
    }

    fn ask_as(&self, host: &str, method: &str, path: &str, lines: &[&str]) -> Answer {
        let mut stream = TcpStream::connect(&self.host).expect("it listens");
        let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
        write!(stream, "{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{lines}\r\n")
            .expect("a request");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("an answer");
        let end = answer.windows(4).position(|window| window == b"\r\n\r\n").expect("a head");
        let head = String::from_utf8_lossy(&answer[..end]).into_owned();
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).expect("a status").parse().expect("a number");
        let head = lines.filter_map(|line| line.split_once(": "));
        let head = head.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
        Answer { status, head, body: answer[end + 4..].to_vec() }
    }
}

pub(super) fn as_a_real_client_answers(grids: &mut TwoGrids) {
    let web = Web::start(&grids.place);
    let file = content(400_000, 70);
    let cap = grids.client.put("", &file);
    let path = format!("/uri/{}", grids.foreign(&cap));
    let whole = web.ask("GET", &path, &[]);
    assert_eq!((whole.status, whole.head["content-length"].as_str()), (200, "400000"));
    assert!(whole.body == file);
    for (range, said, part) in [
        ("bytes=0-0", "bytes 0-0/400000", 0..1),
        ("bytes=131071-131072", "bytes 131071-131072/400000", 131_071..131_073),
        ("bytes=399999-", "bytes 399999-399999/400000", 399_999..400_000),
        ("bytes=-7", "bytes 399993-399999/400000", 399_993..400_000),
    ] {
        let answer = web.ask("GET", &path, &[&format!("Range: {range}")]);
        assert_eq!((answer.status, answer.head["content-range"].as_str()), (206, said), "{range}");
        assert!(answer.body == file[part], "{range}");
    }
    let beyond = web.ask("GET", &path, &["Range: bytes=400000-"]);
    assert_eq!((beyond.status, beyond.head["content-range"].as_str(), beyond.body.len()), (416, "bytes */400000", 0));
    let head = web.ask("HEAD", &format!("{path}?filename=a.webm"), &[]);
    assert_eq!((head.status, head.head["content-length"].as_str(), head.body.len()), (200, "400000", 0));
    assert_eq!(head.head["content-type"], "video/webm");
    let had = web.ask("GET", &path, &[&format!("If-None-Match: {}", head.head["etag"])]);
    assert_eq!((had.status, had.body.len()), (304, 0));
    let old = web.ask("GET", &path, &["Range: bytes=0-9", "If-Range: \"another\""]);
    assert_eq!((old.status, old.body.len()), (200, 400_000));
    // Nobody but this machine, by one of its names.
    for (host, line) in [
        ("files.example", "Accept: */*"),
        (web.host.as_str(), "Sec-Fetch-Site: cross-site"),
        (web.host.as_str(), "Origin: https://files.example"),
    ] {
        let refused = web.ask_as(host, "GET", &path, &[line]);
        assert_eq!(refused.status, 403, "{host} {line}");
        assert!(!refused.body.windows(16).any(|window| window == &file[..16]));
    }
    assert_eq!(web.ask("PUT", &path, &["Content-Length: 0"]).status, 405);
    assert_eq!(web.ask("GET", "/uri/URI:CHK:x", &[]).status, 400);
    json_key_for_key(grids, &web, &cap);
}

/// What is said of each kind of cap, held against what the real client says of it.
fn json_key_for_key(grids: &TwoGrids, web: &Web, chk: &Capability) {
    let client = &grids.client;
    let (sdmf, mdmf) = (client.put("SDMF", b"12345"), client.put("MDMF", &content(200_000, 71)));
    let read = |cap: &Capability| cap.read_cap().expect("a read cap").to_string();
    let grid = grids.nodes.described.grid_id;
    let elsewhere =
        read(chk).replacen("URI:", "imm.URI:FOREIGN:pub-v0-rkeohxlubhyzl7ks3mwtzos5olfgocn7dwkbeg7toseadnapn5oa:", 1);
    let immutable = [("chk", read(chk)), ("small", LITERAL.to_owned()), ("elsewhere", elsewhere.clone())];
    let mut children = immutable.to_vec();
    children.extend([("sdmf", read(&sdmf)), ("mdmf", read(&mdmf)), ("future", "ro.x-tahoe-future-read:2".to_owned())]);
    let list = |children: &[(&'static str, String)], kept| {
        let children: Vec<(&str, &str)> = children.iter().map(|(name, cap)| (*name, cap.as_str())).collect();
        client.directory(kept, &children)
    };
    let inner = list(&immutable, Kept::Immutable);
    children.push(("inner", read(&inner)));
    let directories = [list(&children, Kept::Sdmf), list(&children, Kept::Mdmf), inner];
    let literal = [LITERAL.parse().expect("a cap"), client.directory(Kept::Immutable, &[("small", LITERAL)])];
    let foreign = format!("URI:FOREIGN:{grid}:");
    for cap in [chk.clone(), sdmf, mdmf].iter().chain(&directories).chain(&literal) {
        let answer = web.ask("GET", &format!("/uri/{}?t=json", grids.foreign(cap)), &[]);
        assert_eq!((answer.status, answer.head["content-type"].as_str()), (200, "application/json"), "{cap}");
        // Ours says of each cap on which grid it lives; but for that the two are the same.
        let text = String::from_utf8(answer.body).expect("UTF-8").replace(&foreign, "URI:");
        let mut ours: Value = serde_json::from_str(&text).expect("JSON");
        let mut theirs = client.json(&read(cap));
        // What is foreign the real client cannot open, and we can.
        let foreign = |json: &mut Value| {
            json[1]
                .get_mut("children")
                .and_then(|children| children.as_object_mut())
                .and_then(|c| c.remove("elsewhere"))
        };
        if let (Some(ours), Some(theirs)) = (foreign(&mut ours), foreign(&mut theirs)) {
            assert_eq!((&theirs[0], &theirs[1]["ro_uri"]), (&"unknown".into(), &elsewhere.clone().into()));
            assert_eq!((&ours[0], &ours[1]["size"]), (&"filenode".into(), &400_000.into()));
            assert_eq!(ours[1]["ro_uri"], elsewhere["imm.".len()..]);
            assert_eq!(ours[1]["metadata"], theirs[1]["metadata"]);
        }
        assert_eq!(ours, theirs, "{cap}");
    }
}
