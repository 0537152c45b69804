//! What each request is answered with.

use crate::http::web::failure::WebFailure;
use crate::http::web::file::{self, Manner};
use crate::http::web::guard::refusal;
use crate::http::web::html::path_part;
use crate::http::web::pages;
use crate::http::web::query::{Asked, Wanted};
use crate::http::web::tahoe_json;
use crate::reader::{CapPath, Found, Reader};
use axum::Json;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};

/// All paths. They are told apart here and not by the router, which would decode them before they are parted.
pub(super) fn router(reader: Reader) -> Router {
    Router::new().fallback(answer).with_state(reader)
}

async fn answer(State(reader): State<Reader>, request: Request) -> Response {
    let (method, uri, headers) = (request.method(), request.uri(), request.headers());
    let outcome = match refusal(headers) {
        Some(reason) => Err(WebFailure::refused(reason)),
        None if !matches!(*method, Method::GET | Method::HEAD) => Err(WebFailure::method()),
        None => match Asked::of(uri.path(), uri.query()) {
            None => Err(WebFailure::malformed("something in the address is no UTF-8")),
            Some(Asked::Start) => Ok(pages::start().into_response()),
            Some(Asked::Form(text)) => Ok(lead_on(&text)),
            Some(Asked::Content(wanted)) => match content(&reader, method, headers, &wanted).await {
                Err(failure) if failure.is_price() => Err(priced(&reader, &wanted, failure).await),
                outcome => outcome,
            },
            Some(Asked::Unknown) => Err(WebFailure::unknown()),
        },
    };
    let mut response = outcome.unwrap_or_else(|failure| failure.answer(headers));
    let head = response.headers_mut();
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // An address here holds a cap.
        (header::REFERRER_POLICY, "no-referrer"),
        (header::HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (header::HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ] {
        head.insert(name, HeaderValue::from_static(value));
    }
    head.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    head.insert(header::VARY, HeaderValue::from_static("Accept"));
    response
}

/// From the form to the address of what was put in: a cap and a path, or a whole address of a web gateway with one in it.
fn lead_on(text: &str) -> Response {
    let text = text.trim();
    let address = match text.split_once("/uri/") {
        Some((_, rest)) if text.starts_with("http") => rest.split(['?', '#']).next().unwrap_or_default().to_owned(),
        _ => text.split('/').map(path_part).collect::<Vec<_>>().join("/"),
    };
    let location = format!("/uri/{address}");
    match location.parse::<HeaderValue>() {
        Ok(location) => (StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response(),
        Err(_) => pages::start().into_response(),
    }
}

async fn content(
    reader: &Reader,
    method: &Method,
    headers: &HeaderMap,
    wanted: &Wanted,
) -> Result<Response, WebFailure> {
    let path = CapPath::new(&wanted.cap, wanted.names.iter().cloned(), reader.home_grid())?;
    match wanted.form.as_deref() {
        None | Some("") => {}
        Some("json") => return json(reader, &reader.walk(&path).await?).await,
        Some(other) => return Err(WebFailure::malformed(format!("`t={other}` is not answered here: `t=json` is"))),
    }
    let Found { target, entry } = reader.walk(&path).await?;
    if target.is_directory() {
        let listing = reader.list(&target).await?;
        let mut response = pages::directory(&wanted.cap, &path.names, &target, &listing).into_response();
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
        return Ok(response);
    }
    let file = reader.open_before(&target, file::first(method, headers, &target)).await?;
    let name = wanted.file_name.as_deref().or(entry.as_ref().map(|entry| entry.name.as_str()));
    Ok(file::answer(method, headers, &file, &Manner { name, save: wanted.save }).await?)
}

/// The failure with what it costs in all, and the command that pays for it.
async fn priced(reader: &Reader, wanted: &Wanted, failure: WebFailure) -> WebFailure {
    let Ok(path) = CapPath::new(&wanted.cap, wanted.names.iter().cloned(), reader.home_grid()) else { return failure };
    // A directory on the way that is not read leaves what is behind it untold.
    let found = match reader.walk(&path).await {
        Ok(found) => Found { target: found.target, ..found },
        Err(_) => Found { target: path.target.clone(), entry: None },
    };
    let Ok(quote) = reader.quote(&found.target).await else { return failure };
    let words = std::iter::once(wanted.cap.as_str()).chain(path.names.iter().map(String::as_str));
    let subject = shell_word(&words.collect::<Vec<_>>().join("/"));
    let most = &quote.total;
    let command = match path.names.last() {
        _ if found.target.is_directory() => format!("clearinghouse ls {subject} --max-price \"{most}\""),
        Some(_) => format!("clearinghouse get {subject} --max-price \"{most}\""),
        None => format!("clearinghouse get {subject} -o FILE --max-price \"{most}\""),
    };
    failure.costing(quote, command)
}

/// `text` as one word of a shell.
fn shell_word(text: &str) -> String {
    let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b":/-_.".contains(&byte));
    if plain { text.to_owned() } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

async fn json(reader: &Reader, found: &Found) -> Result<Response, WebFailure> {
    let home = reader.home_grid();
    let value = match (&found.entry, found.target.is_directory()) {
        (_, true) => tahoe_json::node(&found.target, None, Some(&reader.list(&found.target).await?), home),
        // A child's size and what its directory says of it need no further question.
        (Some(entry), false) => tahoe_json::child(entry, &found.target, home),
        (None, false) => {
            // Only a mutable file's size is not in its cap.
            let size = match found.target.cap().size() {
                Some(size) => size.0,
                None => reader.open(&found.target).await?.size(),
            };
            tahoe_json::node(&found.target, Some(size), None, home)
        }
    };
    Ok(Json(value).into_response())
}
