//! The pages: the form, a directory, an error. No scripts, no fonts, nothing from elsewhere.

use crate::clearing::Quote;
use crate::http::web::html::{escaped, path_part};
use crate::reader::{Entry, Listing, Target, shown_name};
use crate::units::{Bytes, UnixSeconds};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::sync::LazyLock;

const STYLE: &str = include_str!("style.css");

/// What a page of ours may do: be shown, in this style, and send its form here. The style is named by its hash, so that no
/// other passes.
static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let digest = data_encoding::BASE64.encode(&Sha256::digest(STYLE));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{digest}'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    );
    policy.parse().expect("ASCII")
});

/// A page of ours.
pub(super) struct Page {
    pub(super) status: StatusCode,
    title: String,
    body: String,
}

impl IntoResponse for Page {
    fn into_response(self) -> Response {
        let Self { status, title, body } = self;
        let html = format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n\
             <link rel=\"icon\" href=\"data:,\">\n<style>{STYLE}</style>\n</head>\n<body>\n{body}</body>\n</html>\n"
        );
        let headers = [
            (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
            (header::CONTENT_SECURITY_POLICY, POLICY.clone()),
        ];
        (status, headers, html).into_response()
    }
}

/// The page with the form.
pub(super) fn start() -> Page {
    let body = "<main>\n<h1>Open a file of any grid</h1>\n\
        <p>Put in a cap as it was sent to you, with a path behind it if you like. It is fetched through your home gateway and \
        verified on this machine.</p>\n\
        <form action=\"/uri\" method=\"get\">\n<label for=\"cap\">Cap</label>\n\
        <input id=\"cap\" name=\"uri\" required autofocus autocomplete=\"off\" spellcheck=\"false\" placeholder=\"URI:FOREIGN:pub-v0-…\">\n\
        <button type=\"submit\">Open</button>\n</form>\n\
        <p class=\"quiet\">Whoever has a cap can read what it opens: the address of an opened file is one too, and stays in your \
        browser’s history.</p>\n</main>\n";
    Page { status: StatusCode::OK, title: "Open a file of any grid".to_owned(), body: body.to_owned() }
}

/// A directory. `cap` and `names` are the path to it, as it was asked for.
pub(super) fn directory(cap: &str, names: &[String], target: &Target, listing: &Listing) -> Page {
    let title = names.last().map_or("Directory".to_owned(), |name| escaped(&shown_name(name)));
    let mut path = format!("/uri/{}", path_part(cap));
    let mut body = String::from("<nav aria-label=\"Path\">\n<ol>\n<li><a href=\"/\">start</a></li>\n");
    step(&mut body, &path, "top", names.is_empty());
    for (index, name) in names.iter().enumerate() {
        let _ = write!(path, "/{}", path_part(name));
        step(&mut body, &path, &shown_name(name), index + 1 == names.len());
    }
    let count = match listing.entries.len() {
        0 => "empty".to_owned(),
        1 => "1 entry".to_owned(),
        count => format!("{count} entries"),
    };
    let change = if target.cap().is_mutable() { "may change" } else { "never changes" };
    let _ = write!(
        body,
        "</ol>\n</nav>\n<main>\n<h1>{title}</h1>\n<p class=\"quiet\">{count}; {change}; grid <code>{}</code></p>\n",
        target.grid()
    );
    if !listing.entries.is_empty() {
        body.push_str(
            "<table>\n<thead><tr><th scope=\"col\">Name</th><th scope=\"col\" class=\"number\">Size</th>\
             <th scope=\"col\" class=\"time\">Put there</th><th scope=\"col\">Save</th></tr></thead>\n<tbody>\n",
        );
        for entry in by_name(&listing.entries) {
            row(&mut body, &path, entry);
        }
        body.push_str("</tbody>\n</table>\n");
    }
    body.push_str("</main>\n");
    Page { status: StatusCode::OK, title, body }
}

/// Directories first, and capital letters beside small ones: as people look for a name.
fn by_name(entries: &[Entry]) -> Vec<&Entry> {
    let mut entries: Vec<&Entry> = entries.iter().collect();
    entries.sort_by_cached_key(|entry| {
        let directory = entry.child.as_ref().is_ok_and(Target::is_directory);
        (!directory, entry.name.to_lowercase(), entry.name.clone())
    });
    entries
}

fn step(body: &mut String, path: &str, name: &str, here: bool) {
    let (name, here) = (escaped(name), if here { " aria-current=\"page\"" } else { "" });
    let _ = writeln!(body, "<li><a href=\"{path}\"{here}>{name}</a></li>");
}

fn row(body: &mut String, path: &str, entry: &Entry) {
    let name = escaped(&shown_name(&entry.name));
    let href = format!("{path}/{}", path_part(&entry.name));
    let time = entry.linked_at().map_or(String::new(), |time| {
        let time = time.to_string();
        format!("<time datetime=\"{time}\">{}</time>", time.get(..16).unwrap_or_default().replace('T', " "))
    });
    let (name, size, save) = match &entry.child {
        // A browser takes such a name for a step of the path.
        _ if matches!(entry.name.as_str(), "" | "." | "..") => {
            (format!("<span class=\"bad\">{name}</span>"), String::new(), String::new())
        }
        Ok(target) if target.is_directory() => {
            (format!("<a href=\"{href}\">{name}/</a>"), String::new(), String::new())
        }
        Ok(target) => {
            let size = target.cap().size().map_or(String::new(), |size| Bytes(size.0).to_string());
            let save = format!("<a href=\"{href}?save=true\" aria-label=\"Save {name}\">save</a>");
            (format!("<a href=\"{href}\">{name}</a>"), size, save)
        }
        Err(fault) => {
            let fault = phrase(&fault.to_string());
            (format!("{name}<br><span class=\"quiet bad\">{fault}</span>"), String::new(), String::new())
        }
    };
    let _ = writeln!(
        body,
        "<tr><td>{name}</td><td class=\"number\">{size}</td><td class=\"time\">{time}</td><td>{save}</td></tr>"
    );
}

/// What went wrong, for a person.
pub(super) fn error(status: StatusCode, title: &str, detail: &str, hint: Option<&str>) -> Page {
    let hint = hint.map_or(String::new(), |hint| format!("<p>{}</p>\n", sentence(hint)));
    let body = format!(
        "<main>\n<h1>{}</h1>\n<p class=\"bad\">{}</p>\n{hint}<p><a href=\"/\">Open another cap</a></p>\n</main>\n",
        escaped(title),
        sentence(detail)
    );
    Page { status, title: escaped(title), body }
}

/// What something costs, and how to have it all the same.
///
/// There is no button that pays: this address is open to every user of this machine, and whoever could press it would spend
/// another's money. Who starts the address says once what may be spent at it.
pub(super) fn price(status: StatusCode, why: &str, quote: &Quote, command: &str) -> Page {
    let title = format!("This costs {}", escaped(&quote.total.to_string()));
    let mut body =
        format!("<main>\n<h1>{title}</h1>\n<p>Nobody has said that so much may be paid: {}</p>\n", phrase(why));
    body.push_str("<table class=\"facts\">\n<tbody>\n");
    let mut row = |name: &str, value: String| {
        let _ = writeln!(body, "<tr><th scope=\"row\">{name}</th><td>{}</td></tr>", escaped(&value));
    };
    row("Price", format!("{} per GiB", quote.price));
    row("Size", Bytes(quote.content_bytes).to_string());
    row("Proof that it is whole", format!("at most {}, charged too", Bytes(quote.manifest_bytes)));
    row("Total", format!("at most {}, each time that it is read", quote.total));
    let message = quote.message.as_ref().map(|message| format!(": {message}")).unwrap_or_default();
    row("Your home grid’s rules", format!("{}{message}", quote.decision));
    row("Price holds until", UnixSeconds(quote.until_unix_seconds).to_string());
    let _ = write!(
        body,
        "</tbody>\n</table>\n<h2>To have it</h2>\n<p>Type this, which pays no more than that:</p>\n<pre><code>{}</code></pre>\n\
         <p>Or let this browser pay up to a sum for all that it reads: start <code>clearinghouse web --max-price \"1 {}\"</code>; \
         where a node serves this address, its operator sets <code>web-max-price</code>.</p>\n\
         <p><a href=\"/\">Open another cap</a></p>\n</main>\n",
        escaped(command),
        escaped(&quote.price.asset)
    );
    Page { status, title, body }
}

/// An error's text with a capital and a full stop, and what stands in backticks as code.
fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let capital: String = chars.next().into_iter().flat_map(char::to_uppercase).collect();
    let out = phrase(&format!("{capital}{}", chars.as_str()));
    if out.ends_with(['.', '?', '!']) { out } else { out + "." }
}

/// An error's text with what stands in backticks as code.
fn phrase(text: &str) -> String {
    let text = escaped(text);
    let mut out = String::new();
    for (index, piece) in text.split('`').enumerate() {
        let _ = if index % 2 == 1 { write!(out, "<code>{piece}</code>") } else { write!(out, "{piece}") };
    }
    out
}
