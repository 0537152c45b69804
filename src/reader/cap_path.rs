//! `CAP[/PATH]`, as it is typed and as it stands in a web address.

use crate::capability::{CapError, ForeignCap, ForeignCapError, Power, ReservedArea};
use crate::keys::GridId;
use crate::reader::target::{ForeignTargetError, OpensNothing, Target};

/// How many directories deep a path or a tree may go.
pub const MAX_DEPTH: usize = 64;

/// Where a path begins, and the names that lead from there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CapPath {
    /// Where it begins.
    pub target: Target,
    /// One name for each directory on the way; none is empty, and none is more than a name to be looked up: `..` is a child
    /// called so.
    pub names: Vec<String>,
    /// Whether the cap that was given could write. What is read by it cannot.
    pub diminished: bool,
}

impl CapPath {
    /// The path in `text`, whose bare caps live on the grid `home`. Slashes part the names; doubled ones and one at the end
    /// count for nothing.
    pub fn parse(text: &str, home: &GridId) -> Result<Self, CapPathError> {
        let (cap, path) = text.split_once('/').unwrap_or((text, ""));
        Self::new(cap, path.split('/').map(str::to_owned), home)
    }

    /// The path from `cap` by these names, the empty ones left out.
    pub fn new(cap: &str, names: impl IntoIterator<Item = String>, home: &GridId) -> Result<Self, CapPathError> {
        let (target, diminished) = target(cap, home)?;
        let names: Vec<String> = names.into_iter().filter(|name| !name.is_empty()).collect();
        if names.len() > MAX_DEPTH {
            return Err(CapPathError::TooDeep { found: names.len() });
        }
        Ok(Self { target, names, diminished })
    }
}

/// What a text opens, and whether it could have written.
fn target(text: &str, home: &GridId) -> Result<(Target, bool), CapPathError> {
    match text.parse::<ForeignCap>() {
        Ok(cap) => Ok((Target::of_foreign(&cap, home)?, false)),
        Err(error) if is_foreign(text) => Err(error.into()),
        // Of a text that is no cap at all, the error of a plain cap says more.
        Err(_) => {
            let cap = text.parse()?;
            Ok((Target::new(*home, &cap)?, cap.power() == Power::Write))
        }
    }
}

/// Whether a text means to be a foreign cap, a directory's mark before it or not.
fn is_foreign(text: &str) -> bool {
    let text = text.strip_prefix("ro.").or_else(|| text.strip_prefix("imm.")).unwrap_or(text);
    text.starts_with("URI:FOREIGN:")
}

/// Why a text is no path that can be followed. Shows no more of a cap than its kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CapPathError {
    /// No cap.
    #[error(transparent)]
    Cap(#[from] CapError),
    /// A foreign cap with something wrong.
    #[error(transparent)]
    Foreign(#[from] ForeignCapError),
    /// A foreign cap that names no grid yet.
    #[error(transparent)]
    Area(#[from] ReservedArea),
    /// A verify cap.
    #[error(transparent)]
    OpensNothing(#[from] OpensNothing),
    /// More names than are followed.
    #[error("the path has {found} names where at most {MAX_DEPTH} are followed")]
    TooDeep {
        /// How many.
        found: usize,
    },
}

impl From<ForeignTargetError> for CapPathError {
    fn from(error: ForeignTargetError) -> Self {
        match error {
            ForeignTargetError::Area(error) => error.into(),
            ForeignTargetError::Verifier(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::SecretKey;
    use proptest::prelude::*;

    const LITERAL: &str = "URI:DIR2-LIT:krugkidfnzsc4";
    const WRITE: &str = "URI:DIR2:u6etxx3ptzfylhmwwguwms5zj4:2fwidhazpw3a7elhnjvld6zylyfii7taapwykujcxkh76vohzvfa";

    fn home() -> GridId {
        GridId::new(SecretKey::from_seed(&[1; 32]).public())
    }

    fn names(text: &str) -> Vec<String> {
        CapPath::parse(text, &home()).expect(text).names
    }

    #[test]
    fn slashes_part_the_names_and_more_of_them_change_nothing() {
        for text in ["/a/b c", "//a/b c", "/a/b c/", "/a//b c//"] {
            assert_eq!(names(&format!("{LITERAL}{text}")), ["a", "b c"], "{text}");
        }
        for text in ["", "/", "//"] {
            assert!(names(&format!("{LITERAL}{text}")).is_empty(), "{text}");
        }
    }

    #[test]
    fn dots_are_names_and_lead_nowhere_else() {
        assert_eq!(names(&format!("{LITERAL}/../.")), ["..", "."]);
    }

    #[test]
    fn bare_caps_live_at_home_and_foreign_ones_where_they_say() {
        let other = GridId::new(SecretKey::from_seed(&[2; 32]).public());
        let bare = CapPath::parse(WRITE, &home()).unwrap();
        assert_eq!((*bare.target.grid(), bare.diminished), (home(), true));
        let foreign = bare.target.text(&other).replace(&home().to_string(), &other.to_string());
        for mark in ["", "ro."] {
            let path = CapPath::parse(&format!("{mark}{foreign}/x"), &home()).unwrap();
            assert_eq!((*path.target.grid(), path.diminished, path.names.len()), (other, false, 1));
        }
    }

    #[test]
    fn what_opens_nothing_is_refused_by_name() {
        let foreign_write = WRITE.replace("URI:", &format!("URI:FOREIGN:{}:", home()));
        let error = |text: &str| CapPath::parse(text, &home()).expect_err(text);
        assert!(matches!(error(&foreign_write), CapPathError::Foreign(ForeignCapError::CanWrite { kind: "DIR2" })));
        assert!(matches!(error(&WRITE.replace("DIR2", "DIR2-Verifier")), CapPathError::OpensNothing(_)));
        assert!(matches!(error("URI:FOREIGN:*:DIR2-LIT:"), CapPathError::Area(_)));
        assert!(matches!(error("photo.jpg"), CapPathError::Cap(_)));
        let deep = format!("{LITERAL}{}", "/d".repeat(MAX_DEPTH + 1));
        assert_eq!(error(&deep), CapPathError::TooDeep { found: MAX_DEPTH + 1 });
    }

    proptest! {
        #[test]
        fn names_come_back_as_they_were_written(parts in prop::collection::vec("[^/]{1,8}", 0..=MAX_DEPTH)) {
            prop_assert_eq!(names(&format!("{LITERAL}/{}", parts.join("/"))), parts);
        }

        #[test]
        fn no_text_makes_it_panic(text in ".{0,200}") {
            let _ = CapPath::parse(&text, &home());
        }
    }
}
