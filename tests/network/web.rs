//! Asking a node over HTTP, from an address of one's own choice.

use super::federation::Federation;
use lafs_clearinghouse::keys::{GridId, SecretKey};
use lafs_clearinghouse::node::Node;
use lafs_clearinghouse::record::{GridRecord, RecordDraft, Signer};
use lafs_clearinghouse::units::UnixSeconds;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

/// The media type of a record's bytes.
pub(crate) const COSE: &str = "application/cose; cose-type=\"cose-sign1\"";

/// What came back.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    headers: BTreeMap<String, Vec<String>>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    /// Reads one answer; of HEAD it has no body.
    fn parse(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or_else(|| {
            panic!("no answer: {:?}", String::from_utf8_lossy(bytes));
        });
        let head = std::str::from_utf8(&bytes[..end]).unwrap();
        let mut headers: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for line in head.lines().skip(1) {
            let (name, value) = line.split_once(": ").unwrap();
            headers.entry(name.to_ascii_lowercase()).or_default().push(value.to_owned());
        }
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Self { status, headers, body: bytes[end + 4..].to_vec() }
    }

    /// The one header of that name.
    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> &str {
        match self.all(name) {
            [one] => one,
            others => panic!("`{name}` is there {} times: {self:?}", others.len()),
        }
    }

    /// All headers of that name.
    pub(crate) fn all(&self, name: &str) -> &[String] {
        self.headers.get(name).map(Vec::as_slice).unwrap_or_default()
    }

    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The code of the problem that the answer is.
    #[track_caller]
    pub(crate) fn problem(&self) -> String {
        assert_eq!(self.header("content-type"), "application/problem+json", "{}", self.text());
        let problem = self.json();
        assert_eq!(problem["status"], self.status, "{problem}");
        problem["code"].as_str().unwrap().to_owned()
    }
}

/// Someone who asks the node that listens at `addr`, from the address `from`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asker {
    pub(crate) addr: SocketAddr,
    pub(crate) from: Ipv4Addr,
}

impl Asker {
    /// Someone on this machine who asks for what anybody may ask.
    pub(crate) fn of_strangers(node: &Node) -> Self {
        Self { addr: node.resolver_addr().unwrap(), from: Ipv4Addr::LOCALHOST }
    }

    /// A program on this machine.
    pub(crate) fn local(node: &Node) -> Self {
        Self { addr: node.api_url().strip_prefix("http://").unwrap().parse().unwrap(), from: Ipv4Addr::LOCALHOST }
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::from((self.from, 0))).unwrap();
        socket.connect(self.addr).await.unwrap()
    }

    /// Sends exactly these bytes, and reads until the other side closes.
    pub(crate) async fn exchange(&self, bytes: &[u8]) -> Vec<u8> {
        let mut stream = self.connect().await;
        // Who refuses early closes before all is sent; what it said counts.
        let _ = stream.write_all(bytes).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        answer
    }

    /// Asks with a method, a path, more headers, and a body.
    pub(crate) async fn ask(&self, line: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        let mut head = format!("{line} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n", self.addr);
        if !body.is_empty() {
            head.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        Reply::parse(&self.exchange(&[head.as_bytes(), body].concat()).await)
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.ask(&format!("GET {path}"), &[], b"").await
    }

    pub(crate) async fn get_json(&self, path: &str) -> Reply {
        self.ask(&format!("GET {path}"), &[("Accept", "application/json")], b"").await
    }

    pub(crate) async fn put(&self, record: &GridRecord) -> Reply {
        self.put_bytes(record.grid(), record.signed().bytes()).await
    }

    pub(crate) async fn put_bytes(&self, grid: &GridId, bytes: &[u8]) -> Reply {
        self.ask(&format!("PUT /v1/grids/{grid}"), &[("Content-Type", "application/cose")], bytes).await
    }
}

/// The path of a grid.
pub(crate) fn path(grid: &GridId) -> String {
    format!("/v1/grids/{grid}")
}

/// A network of one node, with a grid of its own if `with_grid`, that anybody may ask.
pub(crate) async fn open_node(with_grid: bool) -> Federation {
    let mut federation = Federation::new(200);
    federation.clock = lafs_clearinghouse::clock::Clock::adjustable();
    federation.settings.resolver_listen = Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    federation.join(with_grid).await;
    federation
}

pub(crate) fn key(n: u16) -> SecretKey {
    let mut seed = [0x77; 32];
    seed[..2].copy_from_slice(&n.to_be_bytes());
    SecretKey::from_seed(&seed)
}

pub(crate) fn draft(n: u16) -> RecordDraft {
    RecordDraft::new(GridId::new(key(n).public()))
}

/// What the grid key `n` signs at `now`, after nothing.
pub(crate) fn signed(n: u16, draft: &RecordDraft, now: UnixSeconds) -> GridRecord {
    draft.sign(Signer::Grid { key: &key(n), serial: UnixSeconds(1_700_000_000) }, None, &[], now).unwrap()
}

/// A draft with one rate.
pub(crate) fn at_rate(n: u16, rate: &str) -> RecordDraft {
    RecordDraft { rates: vec![rate.parse().unwrap()], ..draft(n) }
}
