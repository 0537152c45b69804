//! The real client of a real grid, by its web API.

use crate::python;
use lafs_clearinghouse::capability::Capability;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout};

/// How large the segments of immutable files are unless a client is told otherwise.
pub(crate) const DEFAULT_SEGMENT: u32 = 1 << 20;

/// A client whose uploads are encoded as it is told. It ends with this.
pub(crate) struct RealClient {
    api: String,
    child: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

/// What a directory is kept in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    Sdmf,
    Mdmf,
    Immutable,
}

impl RealClient {
    /// A client in `dir`, of the grid whose introducer keeps its folder at `introducer`, connected to all of its `servers`.
    pub(crate) fn start(dir: &Path, introducer: &Path, servers: usize) -> Self {
        let furl = std::fs::read_to_string(introducer.join("private/introducer.furl")).expect("an introducer");
        let dir = dir.to_str().expect("UTF-8");
        let mut child =
            python::spawn("encodings.py", &[dir, furl.trim(), &servers.to_string()]).expect("a grid that runs");
        let orders = child.stdin.take();
        let mut answers = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut api = String::new();
        answers.read_line(&mut api).expect("a line");
        assert!(api.starts_with("http://"), "encodings.py: {api}");
        Self { api: api.trim().to_owned(), child, orders, answers }
    }

    /// From here on `total` shares are made of what is stored, any `needed` of which give it back.
    pub(crate) fn encode(&mut self, needed: u16, total: u16) {
        self.encode_in_segments(needed, total, DEFAULT_SEGMENT);
    }

    /// The same, and immutable files are cut into segments of so many octets.
    pub(crate) fn encode_in_segments(&mut self, needed: u16, total: u16, segment: u32) {
        let orders = self.orders.as_mut().expect("open until it ends");
        writeln!(orders, "{needed} {total} {segment}").expect("an order");
        let mut answer = String::new();
        self.answers.read_line(&mut answer).expect("an answer");
        assert_eq!(answer, "ok\n");
    }

    /// Stores a file: `format` is empty, `SDMF` or `MDMF`. Its cap can all that there is to be done with it.
    pub(crate) fn put(&self, format: &str, content: &[u8]) -> Capability {
        let path = if format.is_empty() { "uri".to_owned() } else { format!("uri?format={format}") };
        cap(&self.send("PUT", &path, content))
    }

    /// Writes a mutable file anew.
    pub(crate) fn overwrite(&self, file: &Capability, content: &[u8]) {
        self.send("PUT", &format!("uri/{file}"), content);
    }

    /// Makes a directory of these names and what stands under them: the text of a cap that reads.
    pub(crate) fn directory(&self, kept: Kept, children: &[(&str, &str)]) -> Capability {
        let list: serde_json::Map<String, Value> =
            children.iter().map(|(name, cap)| ((*name).to_owned(), child(cap))).collect();
        let list = Value::from(list).to_string();
        match kept {
            Kept::Immutable => cap(&self.send("POST", "uri?t=mkdir-immutable", list.as_bytes())),
            Kept::Sdmf | Kept::Mdmf => {
                let format = if kept == Kept::Sdmf { "sdmf" } else { "mdmf" };
                let made = cap(&self.send("POST", &format!("uri?t=mkdir&format={format}"), b""));
                self.send("POST", &format!("uri/{made}?t=set_children"), list.as_bytes());
                made
            }
        }
    }

    /// Puts one more child into a directory.
    pub(crate) fn link(&self, directory: &Capability, name: &str, to: &str) {
        self.send("POST", &format!("uri/{directory}?t=set_children"), json!({name: child(to)}).to_string().as_bytes());
    }

    /// What it says of what a cap opens.
    pub(crate) fn json(&self, cap: &str) -> Value {
        serde_json::from_str(&self.send("GET", &format!("uri/{cap}?t=json"), b"")).expect("JSON")
    }

    fn send(&self, method: &str, path: &str, body: &[u8]) -> String {
        let url = format!("{}{path}", self.api);
        let answer = match method {
            "GET" => ureq::get(&url).call(),
            "POST" => ureq::post(&url).send(body),
            _ => ureq::put(&url).send(body),
        };
        let mut answer = answer.unwrap_or_else(|error| panic!("{method} {path}: {error}"));
        answer.body_mut().read_to_string().expect("text")
    }
}

fn cap(text: &str) -> Capability {
    text.trim().parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// One entry of what `t=set_children` takes. The client tells by the cap which kind it is.
fn child(cap: &str) -> Value {
    json!(["filenode", {"ro_uri": cap}])
}

impl Drop for RealClient {
    fn drop(&mut self) {
        self.orders.take();
        let _ = self.child.wait();
    }
}
