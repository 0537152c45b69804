//! A file's content: which bytes, under which name, and what the browser may do with it.

use crate::causes::chain;
use crate::http::web::range::{Part, is_had, part};
use crate::reader::{OpenFile, ReadError, Target};
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::{StreamExt, TryStreamExt, stream};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use std::ops::Range;
use tracing::warn;

/// What a file may do in a browser: be shown. It runs nothing, asks for nothing, and is of an origin of its own, so that
/// nothing in it can tell what else is read here.
const SANDBOX: &str = "sandbox; default-src 'none'; img-src data:; style-src 'unsafe-inline'; frame-ancestors 'none'";
/// The same of a film or a recording, which a browser puts in a page that it makes itself and fetches from there, by ranges:
/// with an origin of its own that page would be another site's, and got nothing. No markup of a stranger's is in it, and no
/// script runs.
const PLAYED: &str = "sandbox allow-same-origin; default-src 'none'; media-src 'self'; style-src 'unsafe-inline'; frame-ancestors 'none'";

/// How a browser is to take a file.
pub(super) struct Manner<'m> {
    /// What it is called, where that is known.
    pub(super) name: Option<&'m str>,
    /// Whether it is to be saved and not shown.
    pub(super) save: bool,
}

/// What such a request reads first, as far as that is known before the file is: nothing where the version decides.
pub(super) fn first(method: &Method, headers: &HeaderMap, target: &Target) -> Range<u64> {
    let conditional = [header::IF_NONE_MATCH, header::IF_RANGE].iter().any(|name| headers.contains_key(name));
    match target.cap().size() {
        Some(size) if *method == Method::GET && !conditional => match part(headers, "", size.0) {
            Part::Whole => 0..size.0,
            Part::Bytes(bytes) => bytes,
            Part::Nowhere => 0..0,
        },
        _ => 0..0,
    }
}

/// The answer with the part of `file` that is asked for. Of a HEAD, nothing is fetched. What fails before the first of it is
/// there is told with a status: that it costs more than may be paid, above all.
pub(super) async fn answer(
    method: &Method,
    headers: &HeaderMap,
    file: &OpenFile,
    manner: &Manner<'_>,
) -> Result<Response, ReadError> {
    if is_had(headers, file.etag()) {
        return Ok(with_version(StatusCode::NOT_MODIFIED.into_response(), file.etag()));
    }
    let size = file.size();
    let (status, bytes) = match part(headers, file.etag(), size) {
        Part::Whole => (StatusCode::OK, 0..size),
        Part::Bytes(bytes) => (StatusCode::PARTIAL_CONTENT, bytes),
        Part::Nowhere => {
            let head = [(header::CONTENT_RANGE, format!("bytes */{size}"))];
            return Ok(with_version((StatusCode::RANGE_NOT_SATISFIABLE, head).into_response(), file.etag()));
        }
    };
    let length = bytes.end - bytes.start;
    let range =
        (status == StatusCode::PARTIAL_CONTENT).then(|| format!("bytes {}-{}/{size}", bytes.start, bytes.end - 1));
    let body = if *method == Method::HEAD {
        Body::empty()
    } else {
        // Told before anything is promised: a browser that is sent half of a film takes it for a bad connection.
        file.affords(bytes.clone()).await?;
        let mut pieces = file.read(bytes);
        let first = pieces.next().await.transpose()?;
        // A pause, in which the head goes out: whatever comes next, it was begun.
        let pause = stream::once(tokio::task::yield_now()).filter_map(|()| std::future::ready(None));
        // What fails from here on is told by a connection that ends too early, and to the operator.
        let rest = pieces.inspect_err(|error| warn!(error = chain(error), "an answer is broken off before its end"));
        Body::from_stream(stream::iter(first.map(Ok)).chain(pause).chain(rest))
    };
    let mut response = (status, body).into_response();
    let head = response.headers_mut();
    head.insert(header::CONTENT_LENGTH, length.into());
    let kind = kind(manner.name);
    let is_played = [&b"video/"[..], b"audio/"].iter().any(|played| kind.as_bytes().starts_with(played));
    let policy = HeaderValue::from_static(if is_played { PLAYED } else { SANDBOX });
    head.insert(header::CONTENT_TYPE, kind);
    head.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    head.insert(header::CONTENT_SECURITY_POLICY, policy);
    if let Some(range) = range {
        head.insert(header::CONTENT_RANGE, range.parse().expect("digits"));
    }
    if let Some(disposition) = disposition(manner) {
        head.insert(header::CONTENT_DISPOSITION, disposition);
    }
    Ok(with_version(response, file.etag()))
}

/// A version is kept by the browser, and asked about each time: that it is still the same costs no download.
pub(super) fn with_version(mut response: Response, etag: &str) -> Response {
    let head = response.headers_mut();
    if let Ok(etag) = etag.parse() {
        head.insert(header::ETAG, etag);
    }
    head.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    response
}

/// By the name alone: what is in a file is nobody's guess.
fn kind(name: Option<&str>) -> HeaderValue {
    let mut kind =
        name.and_then(|name| mime_guess::from_path(name).first_raw()).unwrap_or("application/octet-stream").to_owned();
    if kind.starts_with("text/") {
        kind.push_str("; charset=utf-8");
    }
    kind.parse().unwrap_or_else(|_| HeaderValue::from_static("application/octet-stream"))
}

/// RFC 6266, with the name as RFC 8187 writes it, so that any name passes.
fn disposition(manner: &Manner<'_>) -> Option<HeaderValue> {
    let manner_of = if manner.save { "attachment" } else { "inline" };
    let text = match manner.name {
        Some(name) => {
            // The last of its parts, should it have slashes in it: a browser does not make folders.
            let name = name.rsplit('/').next().unwrap_or_default();
            format!("{manner_of}; filename*=UTF-8''{}", utf8_percent_encode(name, NON_ALPHANUMERIC))
        }
        None if manner.save => manner_of.to_owned(),
        None => return None,
    };
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_says_what_it_is() {
        for (name, expected) in [
            (Some("film.mp4"), "video/mp4"),
            (Some("page.HTML"), "text/html; charset=utf-8"),
            (Some("notes.txt"), "text/plain; charset=utf-8"),
            (Some("noend"), "application/octet-stream"),
            (None, "application/octet-stream"),
        ] {
            assert_eq!(kind(name), expected);
        }
    }

    #[test]
    fn any_name_passes_and_none_adds_a_line() {
        let of = |name, save| disposition(&Manner { name, save });
        assert_eq!(of(None, false), None);
        assert_eq!(of(None, true).unwrap(), "attachment");
        let odd = of(Some("a\r\nX: y\"; é.txt"), true).unwrap();
        assert_eq!(odd, "attachment; filename*=UTF-8''a%0D%0AX%3A%20y%22%3B%20%C3%A9%2Etxt");
        assert_eq!(of(Some("../../b.txt"), false).unwrap(), "inline; filename*=UTF-8''b%2Etxt");
    }
}
