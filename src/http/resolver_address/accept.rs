//! Which form of a record a reader wants.

use axum::http::{HeaderMap, header};

/// The forms there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// The signed bytes: `application/cose`.
    Cose,
    /// What they say, with the bytes beside it: `application/json`.
    Json,
}

impl Form {
    /// The form that `Accept` prefers, the bytes where it does not care; `None` if it takes neither.
    pub(super) fn preferred(headers: &HeaderMap) -> Option<Self> {
        let mut ranges = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).peekable();
        if ranges.peek().is_none() {
            return Some(Self::Cose);
        }
        let (mut cose, mut json) = (Weight::default(), Weight::default());
        for range in ranges.flat_map(|value| value.split(',')) {
            let mut parts = range.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default().to_ascii_lowercase();
            let quality = parts.find_map(|part| part.strip_prefix("q=").or(part.strip_prefix("Q=")));
            let quality = quality.map_or(1000, thousandths);
            match name.as_str() {
                "*/*" => {
                    cose.note(0, quality);
                    json.note(0, quality);
                }
                "application/*" => {
                    cose.note(1, quality);
                    json.note(1, quality);
                }
                "application/cose" => cose.note(2, quality),
                "application/json" => json.note(2, quality),
                _ => {}
            }
        }
        match (cose.quality, json.quality) {
            (0, 0) => None,
            (cose, json) if json > cose => Some(Self::Json),
            _ => Some(Self::Cose),
        }
    }
}

/// The quality of the most specific range that fits.
#[derive(Default)]
struct Weight {
    specificity: u8,
    quality: u16,
}

impl Weight {
    fn note(&mut self, specificity: u8, quality: u16) {
        if specificity >= self.specificity {
            *self = Self { specificity, quality };
        }
    }
}

/// `0.5` as 500; what is no quality is none.
fn thousandths(text: &str) -> u16 {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = fraction.len() <= 3 && fraction.bytes().all(|byte| byte.is_ascii_digit());
    match (whole, digits) {
        ("1", true) => 1000,
        ("0", true) => format!("{fraction:0<3}").parse().unwrap_or(0),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn preferred(accept: &[&str]) -> Option<Form> {
        let mut headers = HeaderMap::new();
        for value in accept {
            headers.append(header::ACCEPT, value.parse().unwrap());
        }
        Form::preferred(&headers)
    }

    #[test]
    fn the_bytes_are_what_is_given_unless_json_is_preferred() {
        for accept in
            [&[][..], &["*/*"], &["application/*"], &["application/cose"], &["application/json, application/cose"]]
        {
            assert_eq!(preferred(accept), Some(Form::Cose), "{accept:?}");
        }
        for accept in [
            &["application/json"][..],
            &["Application/JSON;charset=utf-8"],
            &["application/cose;q=0.4, application/json;q=0.5"],
            &["application/cose;q=0", "*/*"],
            &["text/html, application/json;q=0.9, */*;q=0.8"],
        ] {
            assert_eq!(preferred(accept), Some(Form::Json), "{accept:?}");
        }
    }

    #[test]
    fn who_takes_neither_gets_neither() {
        for accept in ["text/html", "application/json;q=0", "application/json;q=2", "", "application/json;q=0.0001"] {
            assert_eq!(preferred(&[accept]), None, "{accept:?}");
        }
    }
}
