//! Which names of a directory's children may become names of files on this machine.
//!
//! A directory is written by others. A name that could lead out of the folder, that a terminal would obey, or that is
//! taken for what is unfinished, is refused and said; nothing is renamed in secret.

use sha2::{Digest, Sha256};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

/// The longest name that the file systems of Linux and macOS take, in bytes.
const MAX_NAME_BYTES: usize = 255;
/// What ends the name of a file that is not whole yet. The name begins with a dot, so that it is out of sight.
const UNFINISHED: &str = ".lafs-part";
/// What follows in the name of the note beside it, which says how far it is.
const NOTE: &str = ".json";

/// Why a name is not written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameFault {
    /// No name.
    #[error("an empty name")]
    Empty,
    /// `.` or `..`.
    #[error("a name that means a folder, which leads out of the tree")]
    Dots,
    /// `/`.
    #[error("a name with `/` in it, which leads out of the folder")]
    Separator,
    /// A control character, NUL and line ends among them.
    #[error("a name with a control character in it")]
    Control,
    /// More than a file system takes.
    #[error("a name of {found} bytes where {MAX_NAME_BYTES} are possible")]
    TooLong {
        /// Its length in bytes.
        found: usize,
    },
    /// The name of an unfinished file.
    #[error("a name that this program keeps for unfinished files")]
    Reserved,
}

/// `name`, if a file may be called so.
pub fn file_name(name: &str) -> Result<&str, NameFault> {
    if name.is_empty() {
        return Err(NameFault::Empty);
    }
    if matches!(name, "." | "..") {
        return Err(NameFault::Dots);
    }
    if name.contains('/') {
        return Err(NameFault::Separator);
    }
    if name.contains(char::is_control) {
        return Err(NameFault::Control);
    }
    if name.len() > MAX_NAME_BYTES {
        return Err(NameFault::TooLong { found: name.len() });
    }
    // Also as a file system without capitals would have it.
    let lower = name.to_ascii_lowercase();
    if lower.starts_with('.') && (lower.ends_with(UNFINISHED) || lower.ends_with(&format!("{UNFINISHED}{NOTE}"))) {
        return Err(NameFault::Reserved);
    }
    Ok(name)
}

/// What `name` is called while it is not whole, and the note that says how far it is.
pub(super) fn unfinished(name: &OsStr) -> (OsString, OsString) {
    let mut part = OsString::from(".");
    if name.len() + 1 + UNFINISHED.len() + NOTE.len() <= MAX_NAME_BYTES {
        part.push(name);
    } else {
        part.push(data_encoding::HEXLOWER.encode(&Sha256::digest(name.as_bytes())[..16]));
    }
    part.push(UNFINISHED);
    let mut note = part.clone();
    note.push(NOTE);
    (part, note)
}

/// A name as it is shown: what a terminal would obey or what turns the direction of writing is written out.
pub fn shown_name(name: &str) -> String {
    let hides = |c: char| {
        c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    name.chars().flat_map(|c| if hides(c) { c.escape_default().collect::<Vec<_>>() } else { vec![c] }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::path::{Component, Path};

    #[test]
    fn ordinary_names_stay_as_they_are() {
        for name in ["photo.jpg", "Grüße 🌲.txt", ".hidden", "a\\b", "...", "C:", "con", "-rf", "x.lafs-part"] {
            assert_eq!(file_name(name), Ok(name));
        }
        assert!(file_name(&"é".repeat(127)).is_ok());
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        for (name, fault) in [
            ("", NameFault::Empty),
            (".", NameFault::Dots),
            ("..", NameFault::Dots),
            ("../x", NameFault::Separator),
            ("/etc/passwd", NameFault::Separator),
            ("a\0b", NameFault::Control),
            ("a\nb", NameFault::Control),
            ("\u{1b}[2J", NameFault::Control),
            ("a\u{85}", NameFault::Control),
            (".x.lafs-part", NameFault::Reserved),
            (".x.Lafs-Part.JSON", NameFault::Reserved),
        ] {
            assert_eq!(file_name(name), Err(fault), "{name:?}");
        }
        assert_eq!(file_name(&"x".repeat(256)), Err(NameFault::TooLong { found: 256 }));
    }

    #[test]
    fn what_a_terminal_would_obey_is_shown_written_out() {
        assert_eq!(shown_name("a\u{1b}[2Jb\u{202e}c\n"), "a\\u{1b}[2Jb\\u{202e}c\\n");
        assert_eq!(shown_name("Grüße 🌲"), "Grüße 🌲");
    }

    proptest! {
        #[test]
        fn a_name_that_passes_is_one_step_down(name in prop_oneof![".*", "[./a]{0,6}"]) {
            if let Ok(name) = file_name(&name) {
                let steps: Vec<_> = Path::new(name).components().collect();
                prop_assert_eq!(steps, [Component::Normal(OsStr::new(name))]);
            }
        }

        #[test]
        fn no_file_is_called_as_what_is_unfinished(name in "[a-z.]{1,300}") {
            let (part, note) = unfinished(OsStr::new(&name));
            for name in [&part, &note] {
                prop_assert!(name.len() <= MAX_NAME_BYTES);
                prop_assert_eq!(file_name(name.to_str().unwrap()), Err(NameFault::Reserved));
            }
        }
    }
}
