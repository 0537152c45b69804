//! What strangers can take from a node through the resolver address: little.

use super::federation::Federation;
use super::web::{Asker, draft, open_node, path};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_asks_too_much_is_told_when_to_come_again() {
    let federation = open_node(true).await;
    federation.published().await;
    let grid = federation.nodes[0].grid.unwrap();
    let asker = Asker { from: [127, 7, 7, 1].into(), ..Asker::of_strangers(&federation.nodes[0].node) };
    let one = format!("GET {} HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 198.51.100.NN\r\n\r\n", path(&grid));
    let mut requests: String = (0..1_000).map(|n| one.replace("NN", &(n % 250).to_string())).collect();
    requests.push_str(&format!("GET {} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", path(&grid)));
    let answers = String::from_utf8_lossy(&asker.exchange(requests.as_bytes()).await).into_owned();
    let given = answers.matches("HTTP/1.1 200 ").count();
    let refused = answers.matches("HTTP/1.1 429 ").count();
    assert_eq!(given + refused, 1_001);
    assert!(given >= 400 && refused > 0, "{given}: whatever `X-Forwarded-For` says");
    assert_eq!(answers.to_lowercase().matches("retry-after: 1\r\n").count(), refused);
    let other = Asker { from: [127, 7, 8, 1].into(), ..asker };
    assert_eq!(other.get(&path(&grid)).await.status, 200, "another network is not held up");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trusted_proxy_says_who_asks() {
    let mut federation = Federation::new(200);
    federation.settings.resolver_listen = Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    federation.settings.resolver_proxy = vec![IpAddr::from([127, 7, 9, 1])];
    federation.join(true).await;
    federation.published().await;
    let grid = federation.nodes[0].grid.unwrap();
    let proxy = Asker { from: [127, 7, 9, 1].into(), ..Asker::of_strangers(&federation.nodes[0].node) };
    let one = format!("GET {} HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 10.0.0.1, 198.51.NN.7\r\n\r\n", path(&grid));
    let mut requests: String = (0..1_000).map(|n| one.replace("NN", &(n % 250).to_string())).collect();
    requests.push_str(&format!("GET {} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", path(&grid)));
    let answers = String::from_utf8_lossy(&proxy.exchange(requests.as_bytes()).await).into_owned();
    assert_eq!(answers.matches("HTTP/1.1 200 ").count(), 1_001, "250 networks ask four times each");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_network_holds_only_so_many_connections_and_none_for_long_without_asking() {
    let federation = open_node(true).await;
    federation.published().await;
    let grid = federation.nodes[0].grid.unwrap();
    let asker = Asker { from: [127, 7, 10, 1].into(), ..Asker::of_strangers(&federation.nodes[0].node) };
    let mut held = Vec::new();
    for _ in 0..32 {
        let mut stream = asker.connect().await;
        stream.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
        held.push(stream);
    }
    let one_more = asker.exchange(format!("GET {} HTTP/1.1\r\nHost: x\r\n\r\n", path(&grid)).as_bytes()).await;
    assert!(one_more.is_empty(), "{}", String::from_utf8_lossy(&one_more));
    let other = Asker { from: [127, 7, 11, 1].into(), ..asker };
    assert_eq!(other.get(&path(&grid)).await.status, 200);
    // Heads that never end are not waited for: this read ends when the node closes.
    let mut rest = Vec::new();
    let _ = held[31].read_to_end(&mut rest).await;
    drop(held);
    let again = super::federation::eventually(async || {
        let answer = asker
            .exchange(format!("GET {} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", path(&grid)).as_bytes())
            .await;
        (!answer.is_empty()).then_some(answer)
    })
    .await;
    assert!(again.starts_with(b"HTTP/1.1 200 "));
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_that_are_no_requests_are_refused() {
    let federation = open_node(false).await;
    let asker = Asker::of_strangers(&federation.nodes[0].node);
    let lines: String = (0..65).map(|n| format!("X-{n}: y\r\n")).collect();
    let long = "y".repeat(20_000);
    for (request, status) in [
        (format!("GET / HTTP/1.1\r\nHost: x\r\n{lines}\r\n"), "431"),
        (format!("GET / HTTP/1.1\r\nHost: x\r\nX: {long}\r\n\r\n"), "431"),
        (format!("GET /{long}{long}{long}{long} HTTP/1.1\r\nHost: x\r\n\r\n"), "4"),
        ("\u{1}\u{2}\r\n\r\n".to_owned(), "400"),
    ] {
        let answer = String::from_utf8_lossy(&asker.exchange(request.as_bytes()).await).into_owned();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{status}: {answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_any_site_may_read_and_none_may_write() {
    let federation = open_node(true).await;
    federation.published().await;
    let grid = federation.nodes[0].grid.unwrap();
    let asker = Asker::of_strangers(&federation.nodes[0].node);
    let page = [("Origin", "https://page.example"), ("Access-Control-Request-Method", "PUT")];
    let preflight = asker.ask(&format!("OPTIONS {}", path(&grid)), &page, b"").await;
    assert_eq!(preflight.status, 204);
    assert_eq!(preflight.header("access-control-allow-methods"), "GET, HEAD");
    assert_eq!(preflight.header("access-control-allow-origin"), "*");
    let read = asker.ask(&format!("GET {}", path(&grid)), &page[..1], b"").await;
    assert_eq!((read.status, read.header("access-control-allow-origin")), (200, "*"));
    for exposed in ["ETag", "Age", "Link", "Retry-After"] {
        assert!(read.header("access-control-expose-headers").contains(exposed));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cap_in_the_place_of_a_grid_is_refused_and_not_repeated() {
    let federation = open_node(false).await;
    let node = &federation.nodes[0].node;
    let key = "krugkidfnzsc4wqp3y7mvk2tai";
    let cap = format!("URI:CHK:{key}:n2efigh4qjmykvhj65lxmx2omtun7txlq76lfyrqdg7quok3koqa:2:3:1000000");
    let (open, local) = (Asker::of_strangers(node), Asker::local(node));
    for (asker, line) in [
        (open, format!("GET /v1/grids/{cap}")),
        (open, format!("PUT /v1/grids/{cap}")),
        (open, format!("GET /v1/grids/{cap}/evidence/1")),
        (open, format!("GET /v1/grids/pub-v0-{key}")),
        (open, format!("GET /v1/grids/{cap}%ff")),
        (open, format!("GET /{cap}")),
        (local, format!("GET /v1/resolve?grid={cap}")),
        (local, format!("GET /v1/resolve?{cap}")),
        (local, format!("GET /v1/resolve?{cap}=1&grid=x")),
        (local, format!("GET /v1/resolve?grid={}&policy={cap}", draft(1).grid)),
        (local, format!("GET /v1/resolve?grid=x&deadline_ms={cap}")),
        (local, format!("GET /v1/status?wait_ms={cap}")),
        (local, format!("GET /v1/status?{cap}")),
        (local, format!("GET /{cap}")),
    ] {
        let refused = asker.ask(&line, &[], b"").await;
        assert!(matches!(refused.status, 400 | 404), "{line}: {}", refused.status);
        assert!(!format!("{refused:?}{}", refused.text()).contains(key), "{line}: {}", refused.text());
    }
}
