//! Who may ask: programs on this machine, and no page of another site in the user's browser.
//!
//! A page can have its visitor's browser send requests to loopback, and by a DNS name that it lets resolve to 127.0.0.1
//! (rebinding) even read the answers. Such a request carries the page's own `Host`, or an `Origin`.

use crate::http::problem::{Code, Problem};
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

/// What this machine is called by those who mean it.
const LOOPBACK_NAMES: [&str; 3] = ["127.0.0.1", "[::1]", "localhost"];

/// Lets a request through that a program on this machine sent.
pub(super) async fn guard(request: Request, next: Next) -> Response {
    match refusal(request.headers()) {
        Some(reason) => Problem::new(StatusCode::FORBIDDEN, Code::Refused, reason).into_response(),
        None => next.run(request).await,
    }
}

fn refusal(headers: &HeaderMap) -> Option<&'static str> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return Some("one `Host` is needed") };
    if !host.to_str().is_ok_and(is_loopback) {
        return Some("the `Host` is not a loopback name: this API is for programs on this machine");
    }
    if headers.contains_key(header::ORIGIN) {
        return Some("a web page may not ask: the request has an `Origin`");
    }
    let site = headers.get("sec-fetch-site");
    site.filter(|site| *site != "none").map(|_| "a web page may not ask: the request has a `Sec-Fetch-Site`")
}

/// Whether a `Host` is what this machine is called by those who mean it.
pub(super) fn is_loopback(host: &str) -> bool {
    LOOPBACK_NAMES.iter().any(|name| match host.strip_prefix(name) {
        Some("") => true,
        Some(port) => port.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok()),
        None => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(headers: &[(&'static str, &str)]) -> bool {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        refusal(&map).is_some()
    }

    #[test]
    fn programs_on_this_machine_may_ask() {
        for host in ["127.0.0.1:4300", "localhost", "[::1]:80"] {
            assert!(!refused(&[("host", host)]), "{host}");
        }
    }

    #[test]
    fn other_names_of_this_machine_are_refused() {
        for host in
            ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80", "127.0.0.1:x", "127.0.0.2", ""]
        {
            assert!(refused(&[("host", host)]), "{host}");
        }
        assert!(refused(&[]));
        assert!(
            refused(&[("host", "localhost"), ("host", "localhost")]) || {
                // A map collected from pairs keeps the last; what hyper hands over keeps both.
                let mut headers = HeaderMap::new();
                headers.append(header::HOST, "localhost".parse().unwrap());
                headers.append(header::HOST, "evil.example".parse().unwrap());
                refusal(&headers).is_some()
            }
        );
    }

    #[test]
    fn pages_of_any_site_are_refused() {
        assert!(refused(&[("host", "localhost"), ("origin", "https://evil.example")]));
        assert!(refused(&[("host", "localhost"), ("origin", "null")]));
        assert!(refused(&[("host", "localhost"), ("sec-fetch-site", "cross-site")]));
        assert!(!refused(&[("host", "localhost"), ("sec-fetch-site", "none")]));
    }
}
