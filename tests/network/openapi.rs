//! The OpenAPI documents say what is really answered.

use super::schema::fault;
use super::web::{Asker, Reply, at_rate, draft, open_node, path, signed};
use lafs_clearinghouse::record::RecordDraft;
use lafs_clearinghouse::units::Seconds;
use serde_json::Value;
use std::collections::BTreeSet;

/// What is wrong with an answer to `method` of the documented path `template`.
fn wrong(document: &Value, method: &str, template: &str, reply: &Reply) -> Option<String> {
    let operation = &document["paths"][template][method.to_lowercase()];
    let response = operation["responses"].get(reply.status.to_string())?;
    let stated = match reply.all("content-type") {
        [] => return None,
        types => types[0].split(';').next().unwrap().to_owned(),
    };
    let Some(content) = response["content"].get(&stated) else {
        return Some(format!("{} {stated} is not in the document", reply.status));
    };
    if !stated.ends_with("json") {
        return None;
    }
    match content["schema"].as_object() {
        Some(schema) if !schema.is_empty() => fault(document, &content["schema"], &reply.json()),
        _ => None,
    }
}

#[track_caller]
fn fits(document: &Value, method: &str, template: &str, reply: &Reply) {
    let operation = &document["paths"][template][method.to_lowercase()];
    assert!(
        operation["responses"].get(reply.status.to_string()).is_some(),
        "{method} {template}: {} is not said",
        reply.status
    );
    let fault = wrong(document, method, template, reply);
    assert_eq!(fault, None, "{method} {template} {}: {}", reply.status, reply.text());
}

fn operations(document: &Value) -> BTreeSet<(String, String)> {
    let paths = document["paths"].as_object().unwrap();
    paths
        .iter()
        .flat_map(|(path, item)| item.as_object().unwrap().keys().map(|method| (method.to_uppercase(), path.clone())))
        .collect()
}

/// Each part of a document that people read says something.
fn described(document: &Value) {
    assert_eq!(document["openapi"], "3.1.0");
    assert!(document["info"]["description"].as_str().unwrap().len() > 100);
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            assert!(operation["summary"].as_str().is_some_and(|text| !text.is_empty()), "{method} {path}");
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                assert!(parameter["description"].as_str().is_some_and(|text| !text.is_empty()), "{path} {parameter}");
            }
        }
    }
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        for (member, part) in schema["properties"].as_object().into_iter().flatten() {
            let said = part.get("description").or_else(|| part.get("$ref")).or_else(|| part.get("oneOf"));
            assert!(said.is_some(), "{name}.{member} has no description");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_local_document_is_what_is_answered() {
    let mut federation = open_node(true).await;
    federation.join(false).await;
    federation.published().await;
    let (member, without_grid) = (&federation.nodes[0], &federation.nodes[1]);
    let (asker, other) = (Asker::local(&member.node), Asker::local(&without_grid.node));
    let document = asker.get("/v1/openapi.json").await.json();
    described(&document);
    let grid = member.grid.unwrap();
    let nobody = draft(9).grid;
    let own = member.node.dht.row(&grid).await.unwrap().record;
    let mut asked = BTreeSet::new();
    for (asker, method, template, query, body) in [
        (asker, "GET", "/health", String::new(), &b""[..]),
        (asker, "GET", "/v1/status", String::new(), b""),
        (asker, "GET", "/v1/status", "?wait_ms=1".to_owned(), b""),
        (other, "GET", "/v1/status", String::new(), b""),
        (asker, "GET", "/v1/status", "?wait_ms=x".to_owned(), b""),
        (asker, "GET", "/v1/resolve", format!("?grid={grid}"), b""),
        (other, "GET", "/v1/resolve", format!("?grid={grid}&policy=fresh"), b""),
        (asker, "GET", "/v1/resolve", format!("?grid={nobody}"), b""),
        (asker, "GET", "/v1/resolve", "?grid=x".to_owned(), b""),
        (asker, "POST", "/v1/publish", String::new(), b""),
        (other, "POST", "/v1/publish", String::new(), b""),
        (asker, "POST", "/v1/reload", String::new(), b""),
        (asker, "POST", "/v1/install", String::new(), own.bytes()),
        (asker, "POST", "/v1/install", String::new(), b"nonsense"),
        (asker, "POST", "/v1/install", String::new(), &[0; 3_000]),
        // Without a gateway there are no books; what they answer is the test of three operators.
        (asker, "POST", "/v1/settle", String::new(), b""),
        (asker, "POST", "/v1/signed", String::new(), b"nonsense"),
        (asker, "POST", "/v1/signed", String::new(), &[0; 3_000]),
        (asker, "POST", "/v1/disputes", "?lane=x".to_owned(), b""),
        (asker, "POST", "/v1/disputes", format!("?lane={}", "0".repeat(64)), b""),
        (asker, "POST", "/v1/disputes/close", "?lane=x&by=Ada&reason=none".to_owned(), b""),
        (asker, "GET", "/v1/openapi.json", String::new(), b""),
        (asker, "GET", "/metrics", String::new(), b""),
    ] {
        // Settings are read again by the program around the node, which is not here: what it answers is the CLI's test.
        if template != "/v1/reload" {
            let reply = asker.ask(&format!("{method} {template}{query}"), &[], body).await;
            fits(&document, method, template, &reply);
        }
        asked.insert((method.to_owned(), template.to_owned()));
        let page = asker.ask(&format!("{method} {template}"), &[("Origin", "https://page.example")], b"").await;
        assert_eq!(page.status, 403);
        fits(&document, method, template, &page);
        let wrong = asker.ask(&format!("DELETE {template}"), &[], b"").await;
        assert_eq!((wrong.status, wrong.all("allow").len()), (405, 1));
        fits(&document, method, template, &wrong);
    }
    assert_eq!(asked, operations(&document), "every path of the document was asked, and no other");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_document_of_the_resolver_address_is_what_is_answered() {
    let federation = open_node(true).await;
    federation.published().await;
    let asker = Asker::of_strangers(&federation.nodes[0].node);
    let document = asker.get("/v1/openapi.json").await.json();
    described(&document);
    let now = federation.clock.now();
    let grids = "/v1/grids/{grid}";
    let year = lafs_clearinghouse::units::UnixSeconds(now.0 + 90 * 86_400).to_string();
    let promise = signed(1, &at_rate(1, &format!("0.02 USD/GiB until {}", &year[..10])), now.minus(Seconds(60)));
    let dearer = signed(1, &at_rate(1, "0.03 USD/GiB"), now);
    let end = signed(2, &RecordDraft { withdrawn: true, ..draft(2) }, now);
    for record in [
        &promise,
        &dearer,
        &promise,
        &end,
        &signed(2, &draft(2), now),
        &signed(3, &draft(3), now.minus(Seconds::days(9))),
    ] {
        fits(&document, "PUT", grids, &asker.put(record).await);
    }
    for bytes in [&b"nonsense"[..], &[0; 996]] {
        fits(&document, "PUT", grids, &asker.put_bytes(promise.grid(), bytes).await);
    }
    fits(
        &document,
        "PUT",
        grids,
        &asker.ask(&format!("PUT {}", path(promise.grid())), &[("Content-Type", "text/plain")], b"x").await,
    );
    let own = federation.nodes[0].grid.unwrap();
    for grid in [own, *promise.grid(), *end.grid(), draft(8).grid] {
        for accept in ["application/cose", "application/json", "text/html"] {
            for method in ["GET", "HEAD"] {
                let reply = asker.ask(&format!("{method} {}", path(&grid)), &[("Accept", accept)], b"").await;
                if method == "GET" {
                    fits(&document, method, grids, &reply);
                }
            }
        }
    }
    let reply = asker.ask(&format!("GET {}", path(&own)), &[("If-None-Match", "*")], b"").await;
    assert_eq!(reply.status, 304);
    fits(&document, "GET", grids, &reply);
    fits(&document, "GET", grids, &asker.get("/v1/grids/x").await);
    fits(&document, "GET", grids, &asker.ask(&format!("POST {}", path(&own)), &[], b"").await);
    let evidence = format!("{}/evidence/{}", path(promise.grid()), promise.signed().sequence());
    let evidence_template = "/v1/grids/{grid}/evidence/{sequence}";
    for (path, status) in
        [(evidence.clone(), 200), (format!("{}/evidence/1", path(&own)), 404), (format!("{evidence}x"), 400)]
    {
        let reply = asker.get(&path).await;
        assert_eq!(reply.status, status);
        fits(&document, "GET", evidence_template, &reply);
    }
    fits(&document, "GET", "/v1/openapi.json", &asker.get("/v1/openapi.json").await);
    let expected = [
        ("GET", grids),
        ("HEAD", grids),
        ("PUT", grids),
        ("GET", evidence_template),
        ("HEAD", evidence_template),
        ("GET", "/v1/openapi.json"),
    ];
    assert_eq!(
        operations(&document),
        expected.into_iter().map(|(method, path)| (method.to_owned(), path.to_owned())).collect()
    );
}
