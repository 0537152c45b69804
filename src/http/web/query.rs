//! What a request asks for: the parts of its path, and what follows the `?`.

use crate::http::web::html::percent_decoded;

/// The path and the query of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Asked {
    /// The page with the form.
    Start,
    /// The form, filled in.
    Form(String),
    /// What a cap opens.
    Content(Wanted),
    /// Nothing that there is.
    Unknown,
}

/// What is wanted of what a cap opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    /// The cap, as text.
    pub(super) cap: String,
    /// The names behind it; empty ones may be among them.
    pub(super) names: Vec<String>,
    /// `t`.
    pub(super) form: Option<String>,
    /// `filename`.
    pub(super) file_name: Option<String>,
    /// `save`, unless it says no.
    pub(super) save: bool,
}

impl Asked {
    /// What `path`, as it stands in the request, and `query` ask for; `None` where something in them is no UTF-8.
    pub(super) fn of(path: &str, query: Option<&str>) -> Option<Self> {
        let parameter = |name: &str| -> Option<Option<String>> {
            let pairs = query.unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
            // The last one counts, as in Tahoe-LAFS.
            let found = pairs.rev().find(|(key, _)| *key == name);
            found
                .map(|(_, value)| percent_decoded(&value.replace('+', " ")))
                .map_or(Some(None), |value| value.map(Some))
        };
        if path == "/" {
            return Some(Self::Start);
        }
        if matches!(path, "/uri" | "/uri/") {
            return Some(parameter("uri")?.map_or(Self::Unknown, Self::Form));
        }
        let Some(rest) = path.strip_prefix("/uri/") else { return Some(Self::Unknown) };
        // Parted before it is decoded: a name may have a slash in it, written `%2F`.
        let mut parts = rest.split('/').map(percent_decoded);
        let cap = parts.next()??;
        let names = parts.collect::<Option<Vec<_>>>()?;
        let save = parameter("save")?
            .is_some_and(|value| !matches!(value.to_lowercase().as_str(), "0" | "f" | "false" | "no" | "off"));
        Some(Self::Content(Wanted { cap, names, form: parameter("t")?, file_name: parameter("filename")?, save }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn wanted(path: &str, query: &str) -> Wanted {
        match Asked::of(path, Some(query)) {
            Some(Asked::Content(wanted)) => wanted,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_path_is_parted_before_it_is_decoded() {
        let wanted = wanted("/uri/URI%3ALIT%3Aaa/a%2Fb/c%20d/", "");
        assert_eq!(wanted.cap, "URI:LIT:aa");
        assert_eq!(wanted.names, ["a/b", "c d", ""]);
    }

    #[test]
    fn the_query_says_what_and_how() {
        let asked = wanted("/uri/URI:LIT:", "t=json&filename=a+b%2B.txt&save=true");
        assert_eq!(asked.form.as_deref(), Some("json"));
        assert_eq!(asked.file_name.as_deref(), Some("a b+.txt"));
        assert!(asked.save);
        assert!(!wanted("/uri/URI:LIT:", "save=false").save);
        assert!(!wanted("/uri/URI:LIT:", "").save);
    }

    #[test]
    fn the_form_leads_on_and_all_else_is_not_there() {
        assert_eq!(Asked::of("/", None), Some(Asked::Start));
        assert_eq!(Asked::of("/uri", Some("uri=URI%3ALIT%3A")), Some(Asked::Form("URI:LIT:".to_owned())));
        for path in ["/uri", "/urix/URI:LIT:", "/v1/status", "/favicon.ico", ""] {
            assert_eq!(Asked::of(path, None), Some(Asked::Unknown), "{path}");
        }
    }

    #[test]
    fn what_is_no_text_is_refused() {
        assert_eq!(Asked::of("/uri/%FF", None), None);
        assert_eq!(Asked::of("/uri/URI:LIT:", Some("filename=%FF")), None);
    }

    proptest! {
        #[test]
        fn no_request_makes_it_panic(path in "/uri/[ -~]{0,40}", query in "[ -~]{0,40}") {
            let _ = Asked::of(&path, Some(&query));
        }
    }
}
