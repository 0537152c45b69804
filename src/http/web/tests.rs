//! The address as a whole, over a source in memory, by plain HTTP.

use crate::http::web::file::{self, Manner};
use crate::http::web::server::WebAddress;
use crate::reader::memory::{Memory, abroad, home};
use crate::reader::{SourceError, Target, Trouble};
use axum::body::HttpBody;
use axum::http::{HeaderMap, Method};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

struct Place {
    folder: tempfile::TempDir,
    memory: Memory,
    web: WebAddress,
}

struct Answer {
    status: u16,
    head: HashMap<String, String>,
    body: Vec<u8>,
}

impl Answer {
    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

impl Place {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let memory = Memory::default();
        let web = WebAddress::start("127.0.0.1:0".parse().unwrap(), memory.reader(folder.path())).await.unwrap();
        Self { folder, memory, web }
    }

    async fn ask(&self, method: &str, path: &str, lines: &[&str]) -> Answer {
        let host = format!("Host: {}", self.web.addr());
        self.ask_as(&host, method, path, lines).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[]).await
    }

    async fn ask_as(&self, host: &str, method: &str, path: &str, lines: &[&str]) -> Answer {
        let mut stream = TcpStream::connect(self.web.addr()).await.unwrap();
        let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
        let request = format!("{method} {path} HTTP/1.1\r\n{host}\r\nConnection: close\r\n{lines}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        // A transfer that breaks off may end in a reset.
        let _ = stream.read_to_end(&mut answer).await;
        let end = answer.windows(4).position(|window| window == b"\r\n\r\n").expect("a head");
        let head = String::from_utf8(answer[..end].to_vec()).unwrap();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let head =
            lines.filter_map(|line| line.split_once(": ")).map(|(k, v)| (k.to_lowercase(), v.to_owned())).collect();
        Answer { status, head, body: answer[end + 4..].to_vec() }
    }
}

fn address(target: &Target) -> String {
    format!("/uri/{}", target.text(&home()))
}

fn content(size: usize) -> Vec<u8> {
    (0..size).map(|at| (at % 251) as u8).collect()
}

#[tokio::test]
async fn a_file_comes_whole_and_by_ranges() {
    let place = Place::new().await;
    let whole = content(5_500);
    let path = address(&place.memory.immutable(abroad(), 1, &whole, 1000));
    let answer = place.get(&path).await;
    assert_eq!((answer.status, &answer.body), (200, &whole));
    assert_eq!(answer.head["content-length"], "5500");
    assert_eq!(answer.head["accept-ranges"], "bytes");
    assert_eq!(answer.head["content-type"], "application/octet-stream");
    for (range, said, bytes) in [
        ("bytes=10-19", "bytes 10-19/5500", 10..20),
        ("bytes=5000-", "bytes 5000-5499/5500", 5_000..5_500),
        ("bytes=-7", "bytes 5493-5499/5500", 5_493..5_500),
    ] {
        let answer = place.ask("GET", &path, &[&format!("Range: {range}")]).await;
        assert_eq!((answer.status, answer.head["content-range"].as_str()), (206, said));
        assert_eq!(answer.body, &whole[bytes]);
    }
    let answer = place.ask("GET", &path, &["Range: bytes=5500-"]).await;
    assert_eq!((answer.status, answer.head["content-range"].as_str(), answer.body.len()), (416, "bytes */5500", 0));
}

#[tokio::test]
async fn a_head_and_a_version_that_is_had_cost_no_download() {
    let place = Place::new().await;
    let path = address(&place.memory.immutable(abroad(), 1, &content(5_500), 1000));
    let answer = place.ask("HEAD", &path, &["Range: bytes=0-99"]).await;
    assert_eq!((answer.status, answer.head["content-length"].as_str(), answer.body.len()), (206, "100", 0));
    let answer = place.ask("HEAD", &path, &[]).await;
    assert_eq!((answer.status, answer.head["content-length"].as_str()), (200, "5500"));
    let tag = format!("If-None-Match: {}", answer.head["etag"]);
    let answer = place.ask("GET", &path, &[&tag]).await;
    assert_eq!((answer.status, answer.body.len()), (304, 0));
    assert_eq!(place.memory.asked().1, 0);
}

/// A transfer begins with its body, and the server drops that of a HEAD unread: over the wire none is told from one that
/// was begun and given up at once.
#[tokio::test]
async fn the_answer_to_a_head_has_no_transfer_in_it() {
    let place = Place::new().await;
    let target = place.memory.immutable(abroad(), 1, &content(5_500), 1000);
    let file = place.memory.reader(place.folder.path()).open(&target).await.unwrap();
    let body_of = async |method| {
        let manner = Manner { name: None, save: false };
        let answer = file::answer(&method, &HeaderMap::new(), &file, &manner).await.unwrap();
        assert_eq!(answer.headers()["content-length"], "5500", "{method}");
        answer.into_body()
    };
    assert!(body_of(Method::HEAD).await.is_end_stream());
    assert!(!body_of(Method::GET).await.is_end_stream());
}

#[tokio::test]
async fn what_strangers_wrote_can_do_nothing() {
    let place = Place::new().await;
    let page = place.memory.immutable(abroad(), 1, b"<script>alert(1)</script>", 1000);
    let directory =
        place.memory.directory(abroad(), 2, &[("x\"><script>alert(2)</script>.html", &page.text(&abroad()))]);
    let name = "x%22%3E%3Cscript%3Ealert%282%29%3C%2Fscript%3E%2Ehtml";
    let answer = place.get(&format!("{}/{name}", address(&directory))).await;
    assert_eq!(answer.head["content-type"], "text/html; charset=utf-8");
    assert!(answer.head["content-security-policy"].starts_with("sandbox; default-src 'none'"));
    assert!(!answer.head["content-security-policy"].contains("allow-"));
    // A film keeps the origin, without which a browser would not play it, and runs nothing either.
    let film = place.get(&format!("{}?filename=x.mp4", address(&page))).await;
    assert!(
        film.head["content-security-policy"].starts_with("sandbox allow-same-origin; default-src 'none'; media-src")
    );
    assert!(!film.head["content-security-policy"].contains("script"));
    assert_eq!(answer.head["x-content-type-options"], "nosniff");
    assert_eq!(answer.head["referrer-policy"], "no-referrer");
    assert_eq!(answer.head["cross-origin-resource-policy"], "same-origin");
    let answer = place.get(&address(&directory)).await;
    assert!(!answer.text().contains("<script"), "{}", answer.text());
    assert!(answer.head["content-security-policy"].starts_with("default-src 'none'"));
}

#[tokio::test]
async fn a_directory_is_a_page_that_leads_on() {
    let place = Place::new().await;
    let file = place.memory.immutable(abroad(), 1, &content(2_048), 1000);
    let inner = place.memory.directory(abroad(), 2, &[("b c.txt", &file.text(&abroad()))]);
    let top = place.memory.mutable_directory(
        abroad(),
        3,
        1,
        &[
            ("inner", &inner.text(&abroad())),
            ("new", "URI:NEW:x"),
            ("B.txt", &file.text(&abroad())),
            ("a.txt", &file.text(&abroad())),
        ],
    );
    let answer = place.get(&address(&top)).await;
    let page = answer.text();
    let base = address(&top);
    for expected in [
        format!("<a href=\"{base}/inner\">inner/</a>"),
        format!("<a href=\"{base}/a.txt\">a.txt</a>"),
        "2.0 KiB".to_owned(),
        "2023-11-14 22:13".to_owned(),
        "a cap of a kind that this program does not know".to_owned(),
        "4 entries; may change".to_owned(),
    ] {
        assert!(page.contains(&expected), "{expected} in {page}");
    }
    let place_of = |name: &str| page.find(&format!(">{name}<")).unwrap_or_else(|| panic!("{name} in {page}"));
    assert!(place_of("inner/") < place_of("a.txt") && place_of("a.txt") < place_of("B.txt"), "{page}");
    // A link of the page leads on, and the names say what it is.
    let answer = place.get(&format!("{base}/inner/b%20c.txt")).await;
    assert_eq!((answer.status, &answer.body), (200, &content(2_048)));
    assert_eq!(answer.head["content-type"], "text/plain; charset=utf-8");
    assert_eq!(answer.head["content-disposition"], "inline; filename*=UTF-8''b%20c%2Etxt");
    let answer = place.get(&format!("{base}/a.txt?filename=z.mp4&save=true")).await;
    assert_eq!(answer.head["content-type"], "video/mp4");
    assert_eq!(answer.head["content-disposition"], "attachment; filename*=UTF-8''z%2Emp4");
}

#[tokio::test]
async fn json_is_in_tahoes_shape_and_its_caps_lead_to_the_same() {
    let place = Place::new().await;
    let file = place.memory.immutable(abroad(), 1, &content(2_048), 1000);
    let mutable = place.memory.mutable(abroad(), 4, 1, b"12345");
    let children = [("a.txt", file.text(&abroad())), ("m", mutable.text(&abroad())), ("n", "URI:NEW:x".to_owned())];
    let children: Vec<(&str, &str)> = children.iter().map(|(name, cap)| (*name, cap.as_str())).collect();
    let top = place.memory.mutable_directory(abroad(), 3, 1, &children);
    let answer = place.get(&format!("{}?t=json", address(&top))).await.json();
    assert_eq!((&answer[0], &answer[1]["mutable"]), (&json!("dirnode"), &json!(true)));
    assert_eq!(answer[1]["ro_uri"], json!(top.text(&home())));
    let child = &answer[1]["children"]["a.txt"];
    assert_eq!((&child[0], &child[1]["size"], &child[1]["format"]), (&json!("filenode"), &json!(2048), &json!("CHK")));
    assert_eq!(child[1]["ro_uri"], json!(file.text(&home())));
    assert_eq!(child[1]["metadata"]["tahoe"]["linkmotime"], json!(1_700_000_000.5));
    assert_eq!(answer[1]["children"]["n"][0], json!("unknown"));
    assert_eq!(answer[1]["children"]["n"][1]["ro_uri"], json!("ro.URI:NEW:x"));
    // By its path or by its cap, and of a mutable file with its size.
    let cap = answer[1]["children"]["m"][1]["ro_uri"].as_str().unwrap().to_owned();
    let answer = place.get(&format!("/uri/{cap}?t=json")).await.json();
    assert_eq!((&answer[0], &answer[1]["size"], &answer[1]["format"]), (&json!("filenode"), &json!(5), &json!("SDMF")));
}

#[tokio::test]
async fn the_form_leads_to_what_was_put_in() {
    let place = Place::new().await;
    let answer = place.get("/").await;
    assert!(answer.status == 200 && answer.text().contains("name=\"uri\""));
    for (text, location) in [
        ("URI%3ALIT%3Akrugkidfnzsc4", "/uri/URI:LIT:krugkidfnzsc4"),
        ("+URI%3ADIR2-LIT%3A%2Fa+b+", "/uri/URI:DIR2-LIT:/a%20b"),
        ("http%3A%2F%2F127.0.0.1%3A3456%2Furi%2FURI%253ALIT%253A%3Ft%3Djson", "/uri/URI%3ALIT%3A"),
    ] {
        let answer = place.get(&format!("/uri?uri={text}")).await;
        assert_eq!((answer.status, answer.head["location"].as_str()), (303, location));
    }
    let answer = place.get("/uri/URI:LIT:krugkidfnzsc4").await;
    assert_eq!((answer.status, answer.text()), (200, "The end."));
}

#[tokio::test]
async fn an_error_is_a_page_for_browsers_and_a_problem_for_programs() {
    let place = Place::new().await;
    let answer = place.ask("GET", "/uri/URI:CHK:x", &["Accept: text/html,*/*;q=0.8"]).await;
    assert_eq!((answer.status, answer.head["content-type"].as_str()), (400, "text/html; charset=utf-8"));
    let answer = place.get("/uri/URI:CHK:x").await;
    assert_eq!((answer.status, answer.head["content-type"].as_str()), (400, "application/problem+json"));
    assert_eq!(answer.json()["code"], json!("malformed"));
    let file = address(&place.memory.immutable(abroad(), 1, b"", 1000));
    for (trouble, status, code) in [
        (Trouble::Price, 402, "refused"),
        (Trouble::ForeignPrice, 402, "foreign_refused"),
        (Trouble::Refused, 403, "refused"),
        (Trouble::ForeignRefused, 403, "foreign_refused"),
        (Trouble::NotFound, 404, "not_found"),
        (Trouble::TooFewShares, 502, "too_few_shares"),
        (Trouble::Integrity, 502, "integrity"),
        (Trouble::Unreachable, 503, "unreachable"),
        (Trouble::Withdrawn, 410, "withdrawn"),
    ] {
        let offers = Some(json!([{"kind": "terms"}]));
        place.memory.refuse(SourceError { trouble, detail: "for a reason".to_owned(), hint: None, offers });
        let answer = place.get(&file).await;
        assert_eq!((answer.status, &answer.json()["code"]), (status, &json!(code)));
        assert_eq!(answer.json()["offers"][0]["kind"], json!("terms"));
    }
    for (method, path, status) in
        [("POST", "/uri/URI:LIT:", 405), ("GET", "/nowhere", 404), ("GET", "/uri/URI:LIT:?t=info", 400)]
    {
        assert_eq!(place.ask(method, path, &[]).await.status, status);
    }
}

#[tokio::test]
async fn a_transfer_that_fails_is_not_taken_for_whole() {
    let place = Place::new().await;
    let path = address(&place.memory.immutable(abroad(), 1, &content(5_500), 1000));
    place.memory.break_after(2, Trouble::Integrity);
    let answer = place.get(&path).await;
    assert_eq!((answer.status, answer.head["content-length"].as_str()), (200, "5500"));
    // What was on its way when it failed may be lost with the connection; nothing comes in its place.
    assert!(answer.body.len() <= 2_000 && content(5_500).starts_with(&answer.body));
}

#[tokio::test]
async fn other_names_and_other_sites_get_nothing() {
    let place = Place::new().await;
    let path = address(&place.memory.immutable(abroad(), 1, b"x", 1000));
    for (host, line) in [
        ("Host: files.example", "Accept: */*"),
        ("Host: localhost", "Sec-Fetch-Site: cross-site"),
        ("Host: localhost", "Origin: https://files.example"),
    ] {
        for path in [path.as_str(), "/"] {
            assert_eq!(place.ask_as(host, "GET", path, &[line]).await.status, 403, "{host} {line}");
        }
    }
    assert_eq!(place.memory.asked(), (0, 0));
    let beyond = WebAddress::start("0.0.0.0:0".parse().unwrap(), place.memory.reader(place.folder.path())).await;
    assert!(beyond.unwrap_err().to_string().contains("this machine alone"));
}

#[tokio::test]
async fn what_has_a_price_is_told_with_its_total_and_how_to_go_on() {
    let place = Place::new().await;
    let film = place.memory.immutable(abroad(), 1, &content(300_000), 131_072);
    let refusal = || SourceError {
        trouble: Trouble::Price,
        detail: "reading costs 5 USD per GiB, and nothing may be paid".to_owned(),
        hint: None,
        offers: None,
    };
    place.memory.refuse(refusal());
    let path = address(&film);
    let answer = place.get(&path).await;
    assert_eq!(answer.status, 402);
    let problem = answer.json();
    // 300,000 octets and 2,324 of proof: 302,324 × 5 / 2^30, and a rounding for each of two requests.
    assert_eq!(problem["quote"]["total"], json!({"asset": "USD", "scale": 9, "amount": "1407808"}), "{problem}");
    let command = format!("clearinghouse get {} -o FILE --max-price \"0.001407808 USD\"", film.text(&home()));
    assert_eq!(problem["hint"], format!("`{command}` pays up to so much"));
    place.memory.refuse(refusal());
    let page = place.ask("GET", &path, &["Accept: text/html"]).await;
    assert_eq!(page.status, 402);
    assert!(page.text().contains("<h1>This costs 0.001407808 USD</h1>"), "{}", page.text());
    assert!(page.text().contains("--max-price &quot;0.001407808 USD&quot;"), "{}", page.text());
    assert!(page.text().contains("reading costs 5 USD per GiB, and nothing may be paid"), "{}", page.text());
    // The price of what stands in a directory that is read.
    let folder = place.memory.directory(abroad(), 2, &[("a film.mp4", &film.text(&home()))]);
    assert_eq!(place.get(&address(&folder)).await.status, 200);
    place.memory.refuse(refusal());
    let page = place.ask("GET", &format!("{}/a%20film.mp4", address(&folder)), &["Accept: text/html"]).await;
    assert_eq!(page.status, 402);
    let shown = "/a film.mp4&#39; --max-price &quot;0.001407808 USD&quot;";
    assert!(page.text().contains(shown) && !page.text().contains("-o FILE"), "{}", page.text());
}

/// What was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, octets: &[u8]) -> std::io::Result<usize> {
        std::io::Write::write(&mut *self.0.lock().unwrap(), octets)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn what_cannot_be_paid_to_its_end_is_not_begun() {
    let place = Place::new().await;
    let film = place.memory.immutable(abroad(), 1, &content(5_500), 1000);
    let path = address(&film);
    place.memory.pays_for(3_000);
    let refused = place.get(&path).await;
    assert_eq!((refused.status, place.memory.asked().1), (402, 0), "nothing was begun");
    let problem = refused.json();
    assert!(problem["detail"].as_str().unwrap().contains("is left"), "{problem}");
    assert_eq!(problem["quote"]["total"]["asset"], "USD", "{problem}");
    // Of a part, what that part costs counts, and nothing does where nothing is sent.
    for (method, line, status) in
        [("GET", "Range: bytes=2000-4999", 206), ("GET", "Range: bytes=1999-4999", 402), ("HEAD", "Accept: */*", 200)]
    {
        assert_eq!(place.ask(method, &path, &[line]).await.status, status, "{line}");
    }
}

#[tokio::test]
async fn what_breaks_off_before_its_end_says_why_in_the_log() {
    let place = Place::new().await;
    let path = address(&place.memory.immutable(abroad(), 1, &content(5_500), 1000));
    let log = Log::default();
    let written = log.clone();
    let subscriber = tracing_subscriber::fmt().with_writer(move || written.clone()).with_ansi(false).finish();
    let guard = tracing::subscriber::set_default(subscriber);
    place.memory.break_after(2, Trouble::Price);
    let answer = place.get(&path).await;
    drop(guard);
    assert_eq!((answer.status, answer.head["content-length"].as_str()), (200, "5500"));
    assert!(answer.body.len() <= 2_000, "incomplete, and the connection says so: {}", answer.body.len());
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("broken off before its end") && log.contains("made to break"), "{log}");
    assert!(!log.contains("URI:"), "no cap in a log: {log}");
}
