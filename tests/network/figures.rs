//! The figures are well-formed, and move when what they count happens.

use super::federation::{Federation, eventually};
use super::web::{Asker, at_rate, draft, key, open_node, path, signed};
use crate::gateway_node::GatewayNode;
use lafs_clearinghouse::keys::GridId;
use lafs_clearinghouse::node::Node;
use lafs_clearinghouse::resolver::{Policy, Question};
use lafs_clearinghouse::units::Seconds;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The samples of an OpenMetrics text, by name and labels as they are written.
#[derive(Debug, Default)]
struct Figures(BTreeMap<String, f64>);

impl Figures {
    /// Reads a text strictly: a family is declared once, before its samples, with a meaning; its samples have the suffixes
    /// of its kind, stand together, are there once each; and the text ends with `# EOF`.
    fn parse(text: &str) -> Result<Self, String> {
        let body = text.strip_suffix("# EOF\n").ok_or("no `# EOF` at the end")?;
        let (mut figures, mut seen) = (Self::default(), BTreeSet::new());
        let (mut family, mut kind, mut help) = ("", "", false);
        for line in body.lines() {
            let fault = |what: &str| Err(format!("{what}: {line}"));
            if let Some(rest) = line.strip_prefix("# ") {
                let mut words = rest.splitn(3, ' ');
                let (what, name, value) = (words.next(), words.next().unwrap_or(""), words.next().unwrap_or(""));
                if name != family {
                    if !seen.insert(name.to_owned()) {
                        return fault("declared twice");
                    }
                    (family, kind, help) = (name, "", false);
                }
                match what {
                    Some("HELP") if value.len() > 5 => help = true,
                    Some("TYPE") if ["counter", "gauge", "histogram", "info"].contains(&value) => kind = value,
                    Some("UNIT") if name.ends_with(&format!("_{value}")) => {}
                    _ => return fault("no such declaration"),
                }
                continue;
            }
            let (sample, value) = line.rsplit_once(' ').ok_or(format!("no value: {line}"))?;
            let (name, labels) = match sample.split_once('{') {
                Some((name, labels)) => (name, labels.strip_suffix('}').ok_or(format!("open labels: {line}"))?),
                None => (sample, ""),
            };
            let suffix =
                name.strip_prefix(family).ok_or(format!("a sample of another family than {family}: {line}"))?;
            let fits = match kind {
                "counter" => suffix == "_total",
                "gauge" => suffix.is_empty(),
                "histogram" => ["_sum", "_count", "_bucket"].contains(&suffix),
                "info" => suffix == "_info",
                _ => false,
            };
            if !fits || !help {
                return fault("not what its declaration says");
            }
            for label in labels.split("\",").filter(|label| !label.is_empty()) {
                let (label, text) = label.trim_end_matches('"').split_once("=\"").ok_or(format!("no label: {line}"))?;
                if !label.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_') || text.contains('"') {
                    return fault("a label");
                }
            }
            let value: f64 = value.parse().map_err(|_| format!("no number: {line}"))?;
            if kind == "counter" && value < 0.0 {
                return fault("a counter below 0");
            }
            if figures.0.insert(sample.to_owned(), value).is_some() {
                return fault("a sample twice");
            }
        }
        Ok(figures)
    }

    async fn of(node: &Node) -> Self {
        let reply = Asker::local(node).get("/metrics").await;
        assert_eq!(reply.status, 200);
        assert_eq!(reply.header("content-type"), "application/openmetrics-text; version=1.0.0; charset=utf-8");
        Self::parse(&reply.text()).unwrap_or_else(|fault| panic!("{fault}"))
    }

    /// A figure that was never counted is 0.
    fn get(&self, name: &str) -> f64 {
        self.0.get(name).copied().unwrap_or(0.0)
    }
}

/// How much a figure of `node` moves while `happens`.
async fn moves(node: &Node, name: &str, happens: impl Future<Output = ()>) -> f64 {
    let before = Figures::of(node).await.get(name);
    happens.await;
    Figures::of(node).await.get(name) - before
}

async fn ask(node: &Node, grid: GridId, policy: Policy) {
    let question = Question { grid, policy, deadline: Duration::from_secs(20) };
    let _ = node.resolver.resolve(question).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_figures_of_a_federation_say_how_it_stands() {
    let federation = Federation::of(4, 2, 200).await;
    federation.published().await;
    let (node, grid) = (&federation.nodes[0].node, federation.nodes[1].grid.unwrap());
    let figures = eventually(async || {
        let figures = Figures::of(node).await;
        (figures.get("lafs_own_record_holders") == 3.0 && figures.get("lafs_records_held") == 2.0).then_some(figures)
    })
    .await;
    assert_eq!(figures.get("lafs_servers_known"), 3.0);
    assert_eq!(figures.get("lafs_server_networks"), 3.0);
    assert_eq!(figures.get("lafs_network_size_servers"), 4.0);
    assert_eq!(figures.get("lafs_own_record_networks"), 3.0);
    assert_eq!(figures.get("lafs_serving"), 1.0);
    assert_eq!(figures.get(&format!("lafs_build_info{{version=\"{}\"}}", env!("CARGO_PKG_VERSION"))), 1.0);
    assert!(figures.get("lafs_connected_peers") >= 3.0);
    let record = node.dht.row(&federation.nodes[0].grid.unwrap()).await.unwrap().record;
    let other = node.dht.row(&grid).await.unwrap().record;
    assert_eq!(figures.get("lafs_records_held_bytes"), (record.bytes().len() + other.bytes().len()) as f64);
    assert_eq!(figures.get("lafs_own_record_expiry_timestamp_seconds"), record.expires_at().0 as f64);
    assert!(figures.get("lafs_clock_median_offset_seconds").abs() < 60.0);
    assert!(figures.0.contains_key("lafs_clock_median_offset_seconds"), "three others have told their time");
    assert!(figures.get("lafs_store_disk_bytes") > 0.0);
    assert!(figures.get("process_resident_memory_bytes") > 1e6);
    assert!(figures.get("process_open_fds") > 5.0);
    assert!(figures.get("lafs_record_verification_seconds_count") >= 2.0);
    assert!(figures.get("lafs_records_offered_total{origin=\"own\",verdict=\"stored\"}") >= 1.0);
    let brought = ["peer", "fetched"]
        .map(|origin| figures.get(&format!("lafs_records_offered_total{{origin=\"{origin}\",verdict=\"stored\"}}")));
    assert_eq!(brought.iter().sum::<f64>(), 1.0, "the other grid's record came once: {brought:?}");
    let of_libp2p = |prefix: &str| figures.0.keys().any(|name| name.starts_with(prefix));
    for prefix in ["libp2p_swarm_connections_established_total{", "libp2p_identify_received_total", "libp2p_kad_"] {
        assert!(of_libp2p(prefix), "{prefix}");
    }

    let servers = "lafs_questions_answered_total{kind=\"resolve\"}";
    let asked = moves(node, servers, ask(&federation.nodes[3].node, grid, Policy::Fresh)).await;
    assert_eq!(asked, 1.0);
    let cached = "lafs_resolve_seconds_count{source=\"cache\"}";
    assert_eq!(moves(node, cached, ask(node, grid, Policy::Cached)).await, 1.0);
    let walked = moves(node, "lafs_resolve_seconds_count{source=\"direct\"}", ask(node, grid, Policy::Fresh)).await;
    assert_eq!(walked, 1.0);
    let nobody = GridId::new(key(9).public());
    let failed = "lafs_resolve_failures_total{reason=\"not_found\"}";
    assert_eq!(moves(node, failed, ask(node, nobody, Policy::Cached)).await, 1.0);
    let publishes = moves(node, "lafs_publish_seconds_count", async {
        node.publisher.as_ref().unwrap().publish().await.unwrap();
    });
    assert!(publishes.await >= 1.0);
    eventually(async || {
        let compared = Figures::of(node).await.get("lafs_book_comparisons_total{result=\"done\"}");
        (compared >= 1.0).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_offered_is_counted_by_its_verdict() {
    let federation = open_node(false).await;
    let node = &federation.nodes[0].node;
    let asker = Asker::of_strangers(node);
    let now = federation.clock.now();
    let day = lafs_clearinghouse::units::UnixSeconds(now.0 + 90 * 86_400).to_string();
    let promise = signed(1, &at_rate(1, &format!("0.02 USD/GiB until {}", &day[..10])), now.minus(Seconds(60)));
    let dearer = signed(1, &at_rate(1, "0.03 USD/GiB"), now);
    let expired = signed(2, &draft(2), now.minus(Seconds::days(9)));
    let offered = |verdict: &str| format!("lafs_records_offered_total{{origin=\"http\",verdict=\"{verdict}\"}}");
    for (bytes, grid, verdict, verified) in [
        (promise.signed().bytes(), promise.grid(), "stored", 1.0),
        (promise.signed().bytes(), promise.grid(), "held", 0.0),
        (dearer.signed().bytes(), promise.grid(), "stored", 1.0),
        (promise.signed().bytes(), promise.grid(), "stale", 1.0),
        (expired.signed().bytes(), expired.grid(), "expired", 1.0),
        (expired.signed().bytes(), promise.grid(), "bad", 1.0),
        (&[0; 996], promise.grid(), "too_big", 0.0),
    ] {
        let before = Figures::of(node).await;
        asker.put_bytes(grid, bytes).await;
        let after = Figures::of(node).await;
        let moved = |name: &str| after.get(name) - before.get(name);
        assert_eq!(moved(&offered(verdict)), 1.0, "{verdict}");
        assert_eq!(moved("lafs_record_verification_seconds_count"), verified, "{verdict}");
    }
    let figures = Figures::of(node).await;
    assert_eq!(figures.get("lafs_evidence_records"), 1.0);
    assert_eq!(figures.get("lafs_records_held_bytes"), dearer.signed().bytes().len() as f64);
    assert!(!figures.0.contains_key("lafs_own_record_expiry_timestamp_seconds"), "it has none");
    assert!(!figures.0.contains_key("lafs_clock_median_offset_seconds"), "nobody told the time");
    let requests = "lafs_http_requests_total{listener=\"resolver\",status=\"404\"}";
    let asked = moves(node, requests, async { drop(asker.get(&path(&draft(9).grid)).await) });
    assert_eq!(asked.await, 1.0);
    let local = "lafs_http_requests_total{listener=\"local\",status=\"200\"}";
    assert_eq!(moves(node, local, async {}).await, 1.0, "the scrape itself");
    assert!(!figures.0.keys().any(|name| name.contains("pub-v0-")), "nobody learns which grids were asked for");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_figures_of_a_gateway_name_its_servers_and_count_whom_it_let_go() {
    use std::io::{Read, Write};
    // A list of two servers, one of which can be asked.
    let tahoe = tempfile::tempdir().unwrap();
    std::fs::create_dir(tahoe.path().join("private")).unwrap();
    let nurl = format!("pb://{}@127.0.0.1:9/hbqzvb2sdpnqvuibad52ofau7by5zotp#v=1", "A".repeat(43));
    let server = |seed: u8| key(seed.into()).public().to_string()["pub-".len()..].to_owned();
    let (asked, old) = (server(1), server(2));
    let list = format!(
        "storage: {{{asked}: {{ann: {{nickname: one, anonymous-storage-NURLs: [\"{nurl}\"]}}}}, {old}: {{ann: {{nickname: two}}}}}}\n"
    );
    std::fs::write(tahoe.path().join("private/servers.yaml"), list).unwrap();
    let gateway = GatewayNode::start(7, Some(tahoe.path()), "free", &[]).await;
    let of = |figure: &str, server: &str| format!("lafs_storage_server_{figure}{{server=\"{}\"}}", &server[3..11]);
    let figures = Figures::of(&gateway.node).await;
    assert_eq!((figures.get(&of("used", &asked)), figures.0[&of("used", &old)]), (1.0, 0.0));
    assert!(figures.0.contains_key(&of("corrupt_shares_total", &asked)));
    assert!(!figures.0.contains_key(&of("latency_seconds", &asked)), "it was not asked yet");
    // Somebody who speaks no TLS.
    let nurl: lafs_clearinghouse::furl::Nurl = gateway.node.gateway_nurl().unwrap().parse().unwrap();
    let refused = "lafs_gateway_refused_connections_total{reason=\"handshake\"}";
    assert_eq!(figures.get(refused), 0.0);
    let place = nurl.place().to_string();
    tokio::task::spawn_blocking(move || {
        let mut stranger = std::net::TcpStream::connect(place).unwrap();
        stranger.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        // Until it is let go of.
        let _ = stranger.read_to_end(&mut Vec::new());
    })
    .await
    .unwrap();
    eventually(async || (Figures::of(&gateway.node).await.get(refused) == 1.0).then_some(())).await;
    gateway.node.stop().await;
}

#[test]
fn the_reader_of_these_figures_is_strict() {
    let good = "# HELP a What it counts.\n# TYPE a counter\na_total{b=\"c\",d=\"e\"} 1\n# EOF\n";
    assert_eq!(Figures::parse(good).unwrap().get("a_total{b=\"c\",d=\"e\"}"), 1.0);
    for (from, to) in [
        ("# EOF\n", ""),
        ("# HELP a What it counts.\n", ""),
        ("# TYPE a counter\n", ""),
        ("counter", "count"),
        ("a_total", "a"),
        ("a_total", "b_total"),
        ("} 1\n", "} x\n"),
        ("} 1\n", "} -1\n"),
        ("# EOF", "a_total{b=\"c\",d=\"e\"} 2\n# EOF"),
        ("# EOF", "# HELP b Something else.\n# TYPE b gauge\nb 1\n# HELP a Again.\n# EOF"),
    ] {
        assert!(Figures::parse(&good.replace(from, to)).is_err(), "{from} → {to}");
    }
}
