//! Who may ask: the user of this machine and programs on it, and no page of another site.
//!
//! What is asked for here may cost money, and its sizes and times tell what somebody reads. A page of another site may not
//! have it loaded, not even as a picture; a name that resolves to this machine for the moment (rebinding) is not its name.

use crate::http::guard::is_loopback;
use axum::http::{HeaderMap, header};

/// Why a request is not answered, or `None`.
pub(super) fn refusal(headers: &HeaderMap) -> Option<&'static str> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (Some(host), None) => host.to_str().ok().filter(|host| is_loopback(host)),
        _ => None,
    };
    let Some(host) = host else {
        return Some("this address is for this machine alone: call it 127.0.0.1 or localhost");
    };
    let own = format!("http://{host}");
    if headers.get_all(header::ORIGIN).iter().any(|origin| origin.as_bytes() != own.as_bytes()) {
        return Some("a page of another site asked for this");
    }
    let other = |site: &axum::http::HeaderValue| !matches!(site.as_bytes(), b"none" | b"same-origin");
    if headers.get_all("sec-fetch-site").iter().any(other) {
        return Some("a link or a page of another site led here: to follow it, copy it into the address bar yourself");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(lines: &[(&'static str, &str)]) -> bool {
        let mut map = HeaderMap::new();
        for (name, value) in lines {
            map.append(*name, value.parse().unwrap());
        }
        refusal(&map).is_some()
    }

    #[test]
    fn the_address_bar_programs_and_own_pages_may_ask() {
        let host = ("host", "127.0.0.1:8123");
        for more in [
            &[][..],
            &[("sec-fetch-site", "none")],
            &[("sec-fetch-site", "same-origin")],
            &[("origin", "http://127.0.0.1:8123")],
        ] {
            assert!(!refused(&[&[host], more].concat()), "{more:?}");
        }
    }

    #[test]
    fn other_sites_and_other_names_may_not() {
        for lines in [
            &[][..],
            &[("host", "files.example")],
            &[("host", "localhost.files.example")],
            &[("host", "localhost"), ("host", "files.example")],
            &[("host", "localhost"), ("sec-fetch-site", "cross-site")],
            &[("host", "localhost"), ("sec-fetch-site", "same-site")],
            &[("host", "localhost:1"), ("origin", "http://localhost:2")],
            &[("host", "localhost"), ("origin", "null")],
            &[("host", "localhost"), ("origin", "https://localhost")],
        ] {
            assert!(refused(lines), "{lines:?}");
        }
    }
}
