//! The local API of a running node, asked without the program.

use crate::place::{Ended, Place, Running};
use lafs_clearinghouse::clock::Clock;
use lafs_clearinghouse::keys::{GridId, SecretKey};
use lafs_clearinghouse::record::{GridRecord, KeyDigest, RecordDraft, Signer};
use lafs_clearinghouse::units::{Seconds, UnixSeconds};
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

/// A node without a grid that anybody may ask, and where.
fn open_node(place: &Place, name: &str) -> (Running, String) {
    place.run(&format!(
        "init {name} --no-grid --listen 127.0.0.1:0 --allow-private-addresses --resolver-listen 127.0.0.1:0"
    ));
    let mut command = place.command(["--json", "run", "-d", name]);
    command.stderr(std::process::Stdio::null());
    let (node, ready) = Running::with_first_line(command);
    let ready: serde_json::Value = serde_json::from_str(&ready).unwrap();
    (node, format!("http://{}", ready["resolver"].as_str().unwrap()))
}

/// Offers a record to a resolver address.
fn offer(url: &str, record: &GridRecord) {
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let answer = agent.put(format!("{url}/v1/grids/{}", record.signed().grid())).send(record.signed().bytes()).unwrap();
    assert!(answer.status().is_success(), "{}", answer.status());
}

#[test]
fn a_record_is_read_from_a_resolver_address_and_verified() {
    let place = Place::new();
    let ((_first, first), (_second, second)) = (open_node(&place, "first"), open_node(&place, "second"));
    let key = SecretKey::from_seed(&[9; 32]);
    let grid = GridId::new(key.public());
    let now = Clock::system().now();
    let sign = |draft: RecordDraft, at| draft.sign(Signer::Grid { key: &key, serial: now }, None, &[], at).unwrap();
    let named = |name: &str| RecordDraft { nickname: Some(name.parse().unwrap()), ..RecordDraft::new(grid) };
    let (old, new) = (sign(named("old"), now.minus(Seconds(60))), sign(named("new"), now));
    offer(&first, &new);
    offer(&second, &old);

    let found = place.run(&format!("--json resolve {grid} --from {first}/ -d reader")).json();
    assert_eq!((&found["nickname"], &found["source"]), (&"new".into(), &"direct".into()));
    let rolled_back = place.run(&format!("--json resolve {grid} --from {second} -d reader"));
    assert_eq!(rolled_back.status, 11, "{}", rolled_back.stdout);
    let other = place.run(&format!("--json resolve {grid} --from {second} -d other-reader")).json();
    assert_eq!(other["nickname"], "old", "who has seen nothing newer cannot tell");

    let gone = sign(RecordDraft { withdrawn: true, ..RecordDraft::new(grid) }, now);
    offer(&first, &gone);
    assert_eq!(place.run(&format!("resolve {grid} --from {first} -d reader")).status, 6);
    assert_eq!(place.run(&format!("resolve {grid} --from {second} -d reader")).status, 11, "withdrawn is final");
    let nobody = GridId::new(SecretKey::from_seed(&[8; 32]).public());
    place.run(&format!("resolve {nobody} --from {first} -d reader")).is(
        3,
        "",
        "clearinghouse: error: --from http://[..]: this node holds no record of that grid, and asks nobody else; another may\n\
         clearinghouse: hint: this server holds no record of it: ask another, or the network with `--bootstrap ADDR`\n",
    );
    assert_eq!(place.run(&format!("resolve {grid} --from http://127.0.0.1:1 -d reader")).status, 8);
    place.run(&format!("resolve {grid} --from gopher://127.0.0.1:1 -d reader")).is(
        2,
        "",
        "clearinghouse: error: --from gopher://127.0.0.1:1: neither an `http://` nor an `https://` address\n\
         clearinghouse: hint: ask the operator for the address: records are signed and verified here, so that either will do\n",
    );
}

/// Operators put a proxy that speaks TLS before what they open to others.
#[test]
fn a_resolver_address_behind_tls_is_asked_if_the_machine_trusts_its_certificate() {
    let place = Place::new();
    let (_node, plain) = open_node(&place, "node");
    let record = signed(7, |_| {});
    let grid = *record.signed().grid();
    offer(&plain, &record);
    let proxy = TlsProxy::before(plain.strip_prefix("http://").unwrap());
    place.write("authority.pem", &proxy.authority);
    let resolve = |trusted: &str, url: &str| {
        let mut command = place.command(["resolve", &grid.to_string(), "--json", "--from", url, "-d", "reader"]);
        Ended::of(command.env("SSL_CERT_FILE", place.path(trusted)).output().unwrap())
    };
    let found = resolve("authority.pem", &proxy.url).json();
    assert_eq!(found["grid_id"], grid.to_string());
    // Another authority, as good as any, that has not signed this one.
    place.write("other.pem", TlsProxy::before("127.0.0.1:1").authority);
    for (trusted, url) in [("other.pem", proxy.url.clone()), ("authority.pem", plain.replace("http:", "https:"))] {
        let refused = resolve(trusted, &url);
        assert_eq!(refused.status, 8, "{}", refused.stdout);
        let error = &serde_json::from_str::<serde_json::Value>(&refused.stdout).unwrap()["error"];
        assert!(error["hint"].as_str().unwrap().contains("SSL_CERT_FILE"), "{error}");
    }
}

/// A proxy that ends TLS for `localhost`; it goes on until the test's process ends.
struct TlsProxy {
    url: String,
    /// The certificate that signed its own, in PEM.
    authority: String,
}

impl TlsProxy {
    fn before(plain: &str) -> Self {
        let (authority_key, key) = (rcgen::KeyPair::generate().unwrap(), rcgen::KeyPair::generate().unwrap());
        let mut parameters = rcgen::CertificateParams::default();
        parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let authority = parameters.self_signed(&authority_key).unwrap();
        let parameters = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let certificate = parameters.signed_by(&key, &authority, &authority_key).unwrap();
        let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key.serialize_der().try_into().unwrap())
            .unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(std::sync::Arc::new(config));
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
        let plain = plain.to_owned();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                while let Ok((stream, _)) = listener.accept().await {
                    // Whoever does not trust it hangs up.
                    let Ok(mut outside) = acceptor.accept(stream).await else { continue };
                    let mut inside = tokio::net::TcpStream::connect(&plain).await.unwrap();
                    let _ = tokio::io::copy_bidirectional(&mut outside, &mut inside).await;
                }
            });
        });
        let der = data_encoding::BASE64.encode(authority.der());
        let lines: Vec<&str> = der.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
        let authority = format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"));
        Self { url, authority }
    }
}

/// A grid of these tests, its record's changes made by `change`.
fn signed(seed: u8, change: impl FnOnce(&mut RecordDraft)) -> GridRecord {
    let key = SecretKey::from_seed(&[seed; 32]);
    let mut draft = RecordDraft::new(GridId::new(key.public()));
    change(&mut draft);
    draft
        .sign(Signer::Grid { key: &key, serial: UnixSeconds(1_700_000_000) }, None, &[], Clock::system().now())
        .unwrap()
}

fn id(seed: u8) -> GridId {
    GridId::new(SecretKey::from_seed(&[seed; 32]).public())
}

#[test]
fn a_resolver_address_is_asked_for_successors_as_far_as_they_are_vouched_for() {
    let place = Place::new();
    let (_node, url) = open_node(&place, "node");
    /// Each grid of the row moves to the next one, announced and acknowledged.
    fn link(draft: &mut RecordDraft, before: Option<u8>, after: Option<u8>) {
        draft.predecessor = before.map(id);
        draft.successor = after.map(id);
        draft.next = after.map(|after| KeyDigest(id(after).digest()));
    }
    let row: Vec<u8> = (10..16).collect();
    for (n, seed) in row.iter().enumerate() {
        let before = n.checked_sub(1).map(|n| row[n]);
        offer(&url, &signed(*seed, |draft| link(draft, before, row.get(n + 1).copied())));
    }
    let ask = |seed: u8| place.run(&format!("--json resolve {} --from {url} -d reader", id(seed)));
    let four_moves = ask(11).json();
    assert_eq!(four_moves["grid_id"], id(15).to_string());
    assert_eq!(four_moves["moved_from"], id(11).to_string());

    // Five moves; a circle; not announced; announced otherwise before; not acknowledged; not to be had.
    offer(&url, &signed(20, |draft| link(draft, Some(21), Some(21))));
    offer(&url, &signed(21, |draft| link(draft, Some(20), Some(20))));
    offer(&url, &signed(30, |draft| draft.successor = Some(id(15))));
    offer(&url, &signed(31, |draft| draft.next = Some(KeyDigest(id(32).digest()))));
    assert_eq!(ask(31).status, 0);
    let moved = |draft: &mut RecordDraft| {
        draft.successor = Some(id(33));
        draft.next = Some(KeyDigest(id(33).digest()));
    };
    offer(&url, &signed(31, moved));
    offer(&url, &signed(40, |draft| link(draft, None, Some(41))));
    offer(&url, &signed(41, |_| {}));
    offer(&url, &signed(50, |draft| link(draft, None, Some(51))));
    for (seed, reason) in [
        (10, "moves in a row"),
        (20, "in a circle"),
        (30, "had not announced any key"),
        (31, "two different keys were announced"),
        (40, "does not name"),
        (50, "its own record cannot be had"),
    ] {
        let answer = ask(seed);
        assert_eq!(answer.status, 7, "{seed}: {}", answer.stdout);
        assert!(answer.stdout.contains(reason), "{seed}: {}", answer.stdout);
    }
}

#[test]
fn what_a_server_says_is_not_believed_over_what_was_signed() {
    let place = Place::new();
    let key = SecretKey::from_seed(&[9; 32]);
    let grid = GridId::new(key.public());
    let signer = Signer::Grid { key: &key, serial: UnixSeconds(1_700_000_000) };
    let record = RecordDraft::new(grid).sign(signer, None, &[], Clock::system().now()).unwrap();
    let other = GridId::new(SecretKey::from_seed(&[8; 32]).public());
    let bytes = data_encoding::BASE64URL_NOPAD.encode(record.signed().bytes());
    let mut altered = record.signed().bytes().to_vec();
    *altered.last_mut().unwrap() ^= 1;
    let altered = data_encoding::BASE64URL_NOPAD.encode(&altered);
    for (asked, body, status) in [
        (grid, format!("{{\"nickname\": \"x\", \"record_base64url\": \"{bytes}\", \"evidence_base64url\": []}}"), 0),
        (other, format!("{{\"record_base64url\": \"{bytes}\", \"evidence_base64url\": []}}"), 11),
        (grid, format!("{{\"record_base64url\": \"{altered}\", \"evidence_base64url\": []}}"), 11),
        (grid, format!("{{\"record_base64url\": \"{bytes}\", \"evidence_base64url\": [\"{altered}\"]}}"), 11),
        (grid, "{\"record_base64url\": \"!\", \"evidence_base64url\": []}".to_owned(), 11),
        (grid, "{}".to_owned(), 1),
        (grid, "x".repeat(1 << 17), 8),
    ] {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let liar = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 4096]).unwrap();
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            // Who has read enough hangs up.
            let _ = stream.write_all(&[head.as_bytes(), body.as_bytes()].concat());
        });
        let answer = place.run(&format!("--json resolve {asked} --from {url} -d reader"));
        liar.join().unwrap();
        assert_eq!(answer.status, status, "{}", answer.stdout);
        assert!(!answer.stdout.contains("\"x\""), "{}", answer.stdout);
    }
}
