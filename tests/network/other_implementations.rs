//! Peers that share no code with us: js-libp2p and py-libp2p, with validators written from `docs/spec/` alone.

use super::federation::{Federation, addrs, eventually};
use lafs_clearinghouse::keys::GridId;
use lafs_clearinghouse::resolver::{Policy, Question};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;

/// How long a peer may take, from its first import to its last answer.
const PATIENCE: Duration = Duration::from_secs(120);

/// What an environment variable names, as `scripts/setup-peers` prints it; `None`, and counted as skipped, where it does not.
fn prepared(variable: &str) -> Option<PathBuf> {
    let path = std::env::var_os(variable).filter(|path| !path.is_empty());
    if path.is_none() {
        let required = std::env::var_os("REQUIRE_INTEROP").is_some_and(|value| value == "1");
        assert!(!required, "REQUIRE_INTEROP=1, and {variable} is not set: scripts/setup-peers says what it lacks");
        println!("SKIPPED: {variable} is not set: scripts/setup-peers says what it lacks");
    }
    path.map(PathBuf::from)
}

fn octets(said: &Value, name: &str) -> Vec<u8> {
    data_encoding::HEXLOWER.decode(said[name].as_str().unwrap_or_default().as_bytes()).unwrap()
}

/// Raises a network and lets the stranger's program loose in it: it joins by one address, gets our record by the key form of
/// `record.md`, judges it itself, and puts two records of a grid of its own and then the first of them again.
async fn a_stranger_gets_and_puts(mut program: Command, nickname: &str, transport: &str) {
    let federation = Federation::of(3, 1, 200).await;
    federation.published().await;
    let grid = federation.nodes[0].grid.unwrap();
    // Not the publisher: what it gives away it has from others.
    let door = &federation.nodes[1].node;
    let held = eventually(async || door.dht.row(&grid).await).await.record;
    let addrs = addrs(door).await;
    let addr = addrs.iter().find(|addr| addr.protocol_stack().any(|protocol| protocol == transport)).unwrap();

    let key = data_encoding::HEXLOWER.encode(grid.as_bytes());
    program.args(["test", &addr.to_string(), &key]);
    program.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let output = tokio::time::timeout(PATIENCE, program.output()).await.expect("the stranger ends").unwrap();
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "over {transport}: {complaints}");
    let said: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {complaints}"));

    assert_eq!(octets(&said, "got"), held.bytes(), "{complaints}");
    assert_eq!(said["nickname"], "grid 0");
    let put = octets(&said, "put");
    assert_eq!(octets(&said, "read_back"), put, "the older one that it put last is not taken: {complaints}");
    let theirs: GridId = said["grid_id"].as_str().unwrap().parse().unwrap();
    let client = federation.client("client", federation.bootstrap()).await;
    let question = Question { grid: theirs, policy: Policy::Fresh, deadline: Duration::from_secs(20) };
    let answer = client.resolver.resolve(question).await.unwrap();
    assert_eq!(answer.record.signed().bytes(), put);
    assert_eq!(answer.record.nickname().unwrap().as_str(), nickname);
    client.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn js_libp2p_gets_our_record_and_puts_one_that_resolves() {
    let Some(packages) = prepared("LAFS_TEST_JS_PEER") else { return };
    let mut node = Command::new("node");
    // The sources stand beside their packages by a link, which Node must not follow to look for them.
    node.args(["--preserve-symlinks", "--preserve-symlinks-main"]).arg(packages.join("src/peer.js"));
    a_stranger_gets_and_puts(node, "js grid", "tcp").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn py_libp2p_gets_our_record_and_puts_one_that_resolves() {
    let Some(python) = prepared("LAFS_TEST_PY_PEER") else { return };
    for transport in ["tcp", "quic-v1"] {
        let mut python = Command::new(&python);
        python.arg("-B").arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop/py/peer.py"));
        a_stranger_gets_and_puts(python, "py grid", transport).await;
    }
}
