//! Text that others wrote, as it may stand in a page and in an address.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// What may stand in a path as it is: RFC 3986's unreserved characters and the colons of caps.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b':');

/// `text` between tags or in quotes.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// `text` as one part of a path.
pub(super) fn path_part(text: &str) -> String {
    // These two would be taken for steps by the browser, encoded or not: nothing can be done for a child called so.
    utf8_percent_encode(text, PATH).to_string()
}

/// Undoes percent-encoding; `None` if no UTF-8 comes out.
pub(super) fn percent_decoded(text: &str) -> Option<String> {
    percent_decode_str(text).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn markup_is_text() {
        assert_eq!(escaped(r#"<a href="x" id='y'>&"#), "&lt;a href=&quot;x&quot; id=&#39;y&#39;&gt;&amp;");
    }

    proptest! {
        #[test]
        fn a_part_of_a_path_comes_back(text in ".{0,40}") {
            let part = path_part(&text);
            prop_assert!(part.bytes().all(|b| b.is_ascii_graphic() && !b"/?#\"<>&'".contains(&b)));
            prop_assert_eq!(percent_decoded(&part), Some(text));
        }

        #[test]
        fn escaped_text_opens_no_tag_and_ends_no_quote(text in ".{0,80}") {
            prop_assert!(!escaped(&text).contains(['<', '>', '"', '\'']));
        }
    }
}
