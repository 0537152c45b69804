//! The resolver address gives what the node holds, as it is signed, and no longer than it is good.

use super::federation::eventually;
use super::web::{Asker, COSE, at_rate, draft, key, open_node, path, signed};
use data_encoding::BASE64URL_NOPAD;
use lafs_clearinghouse::keys::GridId;
use lafs_clearinghouse::record::{GridRecord, KeyDigest, RecordDraft};
use lafs_clearinghouse::units::{Seconds, UnixSeconds};

#[tokio::test(flavor = "multi_thread")]
async fn a_record_is_read_as_bytes_or_as_json_and_verified() {
    let federation = open_node(true).await;
    federation.published().await;
    let (node, grid) = (&federation.nodes[0].node, federation.nodes[0].grid.unwrap());
    let asker = Asker::of_strangers(node);

    let bytes = asker.get(&path(&grid)).await;
    assert_eq!((bytes.status, bytes.header("content-type")), (200, COSE));
    let record = GridRecord::from_bytes(&bytes.body, &grid).unwrap();
    assert_eq!(bytes.header("etag"), format!("\"{}\"", record.signed().identity()));
    assert_eq!(bytes.header("vary"), "Accept");
    assert_eq!(bytes.header("access-control-allow-origin"), "*");
    assert_eq!(bytes.header("x-content-type-options"), "nosniff");
    assert!(bytes.all("link").is_empty());

    let json = asker.get_json(&path(&grid)).await;
    assert_eq!((json.status, json.header("content-type")), (200, "application/json"));
    let view = json.json();
    assert_eq!(view["nickname"], "grid 0");
    let inside = BASE64URL_NOPAD.decode(view["record_base64url"].as_str().unwrap().as_bytes()).unwrap();
    assert_eq!(inside, bytes.body);
    assert_ne!(json.header("etag"), bytes.header("etag"), "what is kept of one form is not taken for the other");

    let head = asker.ask(&format!("HEAD {}", path(&grid)), &[], b"").await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    for name in ["etag", "content-type", "content-length"] {
        assert_eq!(head.header(name), bytes.header(name));
    }
    let neither = asker.ask(&format!("GET {}", path(&grid)), &[("Accept", "text/html")], b"").await;
    assert_eq!((neither.status, neither.problem().as_str()), (406, "malformed"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_asker_has_is_not_sent_again() {
    let federation = open_node(true).await;
    federation.published().await;
    let grid = federation.nodes[0].grid.unwrap();
    let asker = Asker::of_strangers(&federation.nodes[0].node);
    for accept in ["application/cose", "application/json"] {
        let given = asker.ask(&format!("GET {}", path(&grid)), &[("Accept", accept)], b"").await;
        let tag = given.header("etag").to_owned();
        for (tags, status) in [
            (tag.clone(), 304),
            (format!("\"other\", {tag}"), 304),
            (format!("W/{}", tag.trim_start_matches("W/")), 304),
            ("*".to_owned(), 304),
            ("\"other\"".to_owned(), 200),
        ] {
            let headers = [("Accept", accept), ("If-None-Match", tags.as_str())];
            let again = asker.ask(&format!("GET {}", path(&grid)), &headers, b"").await;
            assert_eq!(again.status, status, "{accept} {tags}");
            assert_eq!(again.header("etag"), tag);
            assert!(again.header("cache-control").starts_with("public, max-age="));
            assert_eq!(again.body.is_empty(), status == 304);
        }
    }
}

/// For how many seconds an answer is fresh when it arrives.
fn fresh(reply: &super::web::Reply) -> i64 {
    let max_age = reply.header("cache-control").strip_prefix("public, max-age=").unwrap();
    max_age.parse::<i64>().unwrap() - reply.header("age").parse::<i64>().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_fresh_beyond_its_expiry_nor_given_after_it() {
    let federation = open_node(false).await;
    let asker = Asker::of_strangers(&federation.nodes[0].node);
    let draft = RecordDraft { lifetime: Some(Seconds::hours(1)), ..draft(1) };
    let record = signed(1, &draft, federation.clock.now());
    assert_eq!(asker.put(&record).await.status, 201);
    assert_eq!(fresh(&asker.get(&path(record.grid())).await), 60);
    federation.clock.advance(3_600 - 30);
    let late = asker.get(&path(record.grid())).await;
    assert_eq!(late.status, 200);
    assert!((1..=30).contains(&fresh(&late)), "{}", fresh(&late));
    assert!(late.header("age").parse::<u64>().unwrap() >= 3_570);
    federation.clock.advance(30);
    for _ in ["bytes", "json"] {
        let gone = asker.get(&path(record.grid())).await;
        assert_eq!((gone.status, gone.problem().as_str()), (410, "expired"));
        assert_eq!(gone.header("cache-control"), "no-store");
        assert!(gone.json().get("record_base64url").is_none());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawn_grid_answers_with_its_withdrawal() {
    let federation = open_node(false).await;
    let asker = Asker::of_strangers(&federation.nodes[0].node);
    let withdrawn = RecordDraft { withdrawn: true, ..draft(1) };
    let record = signed(1, &withdrawn, federation.clock.now());
    assert_eq!(asker.put(&record).await.status, 201);
    let gone = asker.get(&path(record.grid())).await;
    assert_eq!((gone.status, gone.header("content-type")), (410, COSE));
    assert!(GridRecord::from_bytes(&gone.body, record.grid()).unwrap().signed().withdrawn());
    let json = asker.get_json(&path(record.grid())).await;
    assert_eq!((json.status, &json.json()["withdrawn"]), (410, &true.into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grid_that_moved_is_answered_itself_and_names_where_to() {
    let federation = open_node(false).await;
    let asker = Asker::of_strangers(&federation.nodes[0].node);
    let successor = GridId::new(key(2).public());
    let moved = RecordDraft { successor: Some(successor), next: Some(KeyDigest(successor.digest())), ..draft(1) };
    let record = signed(1, &moved, federation.clock.now());
    assert_eq!(asker.put(&record).await.status, 201);
    let found = asker.get(&path(record.grid())).await;
    assert_eq!(found.status, 200);
    assert_eq!(found.header("link"), format!("</v1/grids/{successor}>; rel=\"related\"; title=\"successor\""));
    assert_eq!(GridRecord::from_bytes(&found.body, record.grid()).unwrap().successor(), Some(&successor));
}

#[tokio::test(flavor = "multi_thread")]
async fn evidence_of_a_broken_commitment_comes_with_the_record_and_outlives_it() {
    let federation = open_node(false).await;
    let asker = Asker::of_strangers(&federation.nodes[0].node);
    let now = federation.clock.now();
    let until = UnixSeconds(now.0 + 90 * 86_400).to_string();
    let promise = signed(1, &at_rate(1, &format!("0.02 USD/GiB until {}", &until[..10])), now.minus(Seconds(60)));
    let dearer = signed(1, &at_rate(1, "0.03 USD/GiB"), now);
    assert_eq!(asker.put(&promise).await.status, 201);
    assert!(asker.get(&path(promise.grid())).await.all("link").is_empty(), "nothing is broken yet");
    assert_eq!(asker.put(&dearer).await.status, 200);

    let json = asker.get_json(&path(promise.grid())).await.json();
    assert_eq!(json["evidence"], serde_json::json!([promise.signed().identity().to_string()]));
    let proof = BASE64URL_NOPAD.decode(json["evidence_base64url"][0].as_str().unwrap().as_bytes()).unwrap();
    assert_eq!(proof, promise.signed().bytes());
    assert_eq!(json["rates"][0]["price_per_gib"], "20000000");

    let proof_path = format!("{}/evidence/{}", path(promise.grid()), promise.signed().sequence());
    let found = asker.get(&path(promise.grid())).await;
    assert_eq!(found.header("link"), format!("<{proof_path}>; rel=\"related\"; title=\"evidence\""));
    let proof = asker.get(&proof_path).await;
    assert_eq!((proof.status, proof.header("content-type")), (200, COSE));
    assert_eq!(proof.body, promise.signed().bytes());
    let tag = proof.header("etag").to_owned();
    assert_eq!(asker.ask(&format!("GET {proof_path}"), &[("If-None-Match", &tag)], b"").await.status, 304);

    federation.clock.advance(8 * 86_400);
    let gone = asker.get(&path(promise.grid())).await;
    assert_eq!(gone.status, 410);
    let links = gone.all("link").join(" ");
    assert!(links.contains(&proof_path), "what was promised binds on: {links}");
    assert_eq!(asker.get(&proof_path).await.body, promise.signed().bytes());
    for (path, status) in [(format!("{}/evidence/7", path(promise.grid())), 404), (format!("{proof_path}x"), 400)] {
        assert_eq!(asker.get(&path).await.status, status, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_held_is_not_found_and_nobody_is_asked() {
    let mut federation = open_node(true).await;
    federation.join(false).await;
    federation.published().await;
    let asker = Asker::of_strangers(&federation.nodes[1].node);
    let before = asker_questions(&federation.nodes[0].node).await;
    let nobody = asker.get(&path(&GridId::new(key(9).public()))).await;
    assert_eq!((nobody.status, nobody.problem().as_str()), (404, "not_found"));
    assert_eq!(asker_questions(&federation.nodes[0].node).await, before);
    let unknown = asker.get("/v1/status").await;
    assert_eq!((unknown.status, unknown.problem().as_str()), (404, "not_found"), "nothing of the local API is there");
}

/// How many questions for a record a node was asked by others.
async fn asker_questions(node: &lafs_clearinghouse::node::Node) -> String {
    let figures = Asker::local(node).get("/metrics").await.text();
    let line = figures.lines().find(|line| line.starts_with("lafs_questions_answered_total{kind=\"resolve\"}"));
    line.unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_has_stopped_does_not_say_that_nothing_is_held() {
    let federation = open_node(true).await;
    federation.published().await;
    let (node, grid) = (&federation.nodes[0].node, federation.nodes[0].grid.unwrap());
    let asker = Asker::of_strangers(node);
    node.dht.stop().await;
    let gone = eventually(async || Some(asker.get(&path(&grid)).await).filter(|reply| reply.status != 200)).await;
    assert_eq!((gone.status, gone.problem().as_str()), (503, "unreachable"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_of_a_later_format_is_given_as_bytes_alone() {
    let federation = open_node(false).await;
    let asker = Asker::of_strangers(&federation.nodes[0].node);
    // A payload that this version reads in part: a holder's six keys, and one below 64 that it does not know.
    let grid = draft(1).grid;
    let plain = signed(1, &draft(1), federation.clock.now());
    let bytes = later_format(plain.signed().bytes(), &grid);
    assert_eq!(asker.put_bytes(&grid, &bytes).await.status, 201);
    assert_eq!(asker.get(&path(&grid)).await.body, bytes);
    let json = asker.get_json(&path(&grid)).await;
    assert_eq!((json.status, json.problem().as_str()), (406, "failed"));
}

/// The record in `bytes` with one more key, signed anew: what a later version of this program might say.
fn later_format(bytes: &[u8], grid: &GridId) -> Vec<u8> {
    use coset::{CborSerializable, CoseSign1};
    let mut object = CoseSign1::from_slice(bytes).unwrap();
    let mut payload = object.payload.take().unwrap();
    assert_eq!(payload[0] & 0xe0, 0xa0, "a map of few keys");
    payload[0] += 1;
    payload.extend([0x18, 0x3f, 0x01]); // 63: 1
    let aad = [&b"lafs-clearinghouse/record/1\0"[..], grid.as_bytes()].concat();
    object.payload = Some(payload);
    object.signature = key(1).sign(&object.tbs_data(&aad)).to_vec();
    object.to_vec().unwrap()
}
