//! Foreign caps: a cap with the grid it lives on, as a telephone number with its area code.
//!
//! Form and reasons: `docs/spec/foreign-cap.md`.

use crate::capability::area::{Area, ReservedArea};
use crate::capability::cap::{Capability, FOREIGN, FileCap, Power};
use crate::capability::text::{CapError, CapFault, Field, Fields, one_piece};
use crate::keys::{GridId, KeyError};
use std::fmt;
use std::str::FromStr;

/// `URI:FOREIGN:` area `:` and what follows `URI:` in the home cap. Never a write cap.
///
/// It is made to be mailed to strangers, so write authority is taken away where one is made and refused where one
/// arrives. A literal file carries its content and needs no grid: its foreign form is harmless and accepted. A
/// literal *directory* does need one, for its children.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignCap {
    area: Area,
    cap: Capability,
}

/// A foreign cap just made, and whether that took anything away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MadeForeign {
    /// It opens as much as the home cap.
    AsGiven(ForeignCap),
    /// The home cap could write; this one reads.
    Diminished(ForeignCap),
}

impl MadeForeign {
    /// The foreign cap.
    pub fn into_cap(self) -> ForeignCap {
        match self {
            Self::AsGiven(cap) | Self::Diminished(cap) => cap,
        }
    }
}

impl ForeignCap {
    /// The foreign form of `home_cap`, which lives on the grid that `area` names. A write cap is diminished first.
    pub fn from_home(area: Area, home_cap: &Capability) -> MadeForeign {
        match home_cap.read_cap() {
            Some(cap) if home_cap.power() == Power::Write => MadeForeign::Diminished(Self { area, cap }),
            _ => MadeForeign::AsGiven(Self { area, cap: home_cap.clone() }),
        }
    }

    /// What names the grid.
    pub fn area(&self) -> &Area {
        &self.area
    }

    /// The grid id, where the area is one.
    pub fn grid_id(&self) -> Option<GridId> {
        self.grid().ok()
    }

    /// All of the cap that a question for its grid needs: the grid id, and no key. The reserved areas name none yet.
    pub fn grid(&self) -> Result<GridId, ReservedArea> {
        self.area.grid()
    }

    /// The cap as it is on its own grid.
    pub fn home_cap(&self) -> &Capability {
        &self.cap
    }

    /// Whether the grid must be asked at all. Only a literal file is complete in itself.
    pub fn needs_grid(&self) -> bool {
        !matches!(self.cap, Capability::File(FileCap::Literal(_)))
    }

    /// The text under which an unmodified Tahoe-LAFS directory keeps it: with `imm.` if the content cannot change, with
    /// `ro.` if it can. **The whole cap.**
    pub fn for_directory(&self) -> String {
        format!("{}{self}", if self.cap.is_mutable() { READ_ONLY } else { IMMUTABLE })
    }
}

/// How Tahoe-LAFS directories mark a cap they do not know.
const READ_ONLY: &str = "ro.";
/// The same, of content that never changes.
const IMMUTABLE: &str = "imm.";

impl fmt::Display for ForeignCap {
    /// The whole cap, **its key included**.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "URI:{FOREIGN}:{}:", self.area)?;
        self.cap.write_rest(f)
    }
}

impl FromStr for ForeignCap {
    type Err = ForeignCapError;

    /// Accepts a leading `ro.` or `imm.`, as a directory hands the cap out, and drops it.
    fn from_str(text: &str) -> Result<Self, ForeignCapError> {
        one_piece(text)?;
        let (body, immutable) = match (text.strip_prefix(IMMUTABLE), text.strip_prefix(READ_ONLY)) {
            (Some(body), _) => (body, true),
            (_, Some(body)) => (body, false),
            _ => (text, false),
        };
        let mut fields = Fields::after_uri(body, text.len() - body.len())?;
        let whole = fields;
        let (word, position) = fields.next(Field::Kind)?;
        if word != FOREIGN {
            return Err(match Capability::parse(whole) {
                Ok(_) => ForeignCapError::NoGrid,
                Err(_) => CapError { field: Field::Kind, position, fault: CapFault::NotForeign }.into(),
            });
        }
        let (area, position) = fields.next(Field::Area)?;
        let area = Area::parse(area, position)?;
        let cap = Capability::parse(fields)?;
        if cap.power() == Power::Write {
            return Err(ForeignCapError::CanWrite { kind: cap.kind() });
        }
        if immutable && cap.is_mutable() {
            return Err(ForeignCapError::NotImmutable { kind: cap.kind() });
        }
        Ok(Self { area, cap })
    }
}

/// Why a text is no foreign cap.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ForeignCapError {
    /// A field is wrong.
    #[error(transparent)]
    Field(#[from] CapError),
    /// A cap that is right and names no grid.
    #[error(
        "this cap names no grid: ask its sender which grid it is from, or make it foreign with \
         `cap foreign CAP --grid ID`"
    )]
    NoGrid,
    /// A write cap. It was sent, and so it is known to others.
    #[error(
        "a foreign cap never carries a write key, and this one (`{kind}`) does: treat the key as disclosed, tell the \
         owner to move the content to a new cap, and do not pass it on"
    )]
    CanWrite {
        /// The kind of cap it holds.
        kind: &'static str,
    },
    /// `imm.` before a cap whose content can change.
    #[error(
        "`imm.` promises content that never changes, and `{kind}` is mutable: whoever wrote it is mistaken or lying"
    )]
    NotImmutable {
        /// The kind of cap it holds.
        kind: &'static str,
    },
}

/// What a question for a grid may be asked by: its grid id, or a foreign cap from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GridOrCap {
    /// A grid id.
    Grid(GridId),
    /// A foreign cap.
    Cap(ForeignCap),
}

impl GridOrCap {
    /// All that the question needs: the grid id, and no key.
    pub fn grid(&self) -> Result<GridId, ReservedArea> {
        match self {
            Self::Grid(grid) => Ok(*grid),
            Self::Cap(cap) => cap.grid(),
        }
    }

    /// The cap as it is on its own grid, where a foreign cap was given.
    pub fn home_cap(&self) -> Option<&Capability> {
        match self {
            Self::Grid(_) => None,
            Self::Cap(cap) => Some(cap.home_cap()),
        }
    }
}

impl FromStr for GridOrCap {
    type Err = GridOrCapError;

    fn from_str(text: &str) -> Result<Self, GridOrCapError> {
        match text.parse() {
            Ok(grid) => Ok(Self::Grid(grid)),
            Err(KeyError::NotPublic) => Ok(Self::Cap(text.parse()?)),
            Err(error) => Err(GridOrCapError::Grid(error)),
        }
    }
}

/// Why a text is neither.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GridOrCapError {
    /// It begins as a key and is no grid id.
    #[error("no grid id: {0}")]
    Grid(KeyError),
    /// It is no foreign cap.
    #[error("neither a grid id (`pub-v0-…`) nor a foreign cap: {0}")]
    Cap(#[from] ForeignCapError),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capability::samples::{CHK_READ, CHK_VERIFIER, LITERAL, REAL, SDMF_READ, SDMF_VERIFIER, any_capability};
    use crate::keys::SecretKey;
    use proptest::prelude::*;

    const SDMF_WRITE: &str = "URI:SSK:u6etxx3ptzfylhmwwguwms5zj4:2fwidhazpw3a7elhnjvld6zylyfii7taapwykujcxkh76vohzvfa";

    fn grid() -> GridId {
        GridId::new(SecretKey::from_seed(&[1; 32]).public())
    }

    fn home(text: &str) -> Capability {
        text.parse().expect(text)
    }

    fn made(text: &str) -> ForeignCap {
        ForeignCap::from_home(Area::Grid(grid()), &home(text)).into_cap()
    }

    #[test]
    fn a_foreign_cap_is_the_home_cap_behind_its_area() {
        for text in REAL {
            let foreign = made(text).to_string();
            assert_eq!(foreign, text.replace("URI:", &format!("URI:FOREIGN:{}:", grid())));
            let read: ForeignCap = foreign.parse().expect(&foreign);
            assert_eq!((read.home_cap(), read.grid_id(), read.grid()), (&home(text), Some(grid()), Ok(grid())));
        }
    }

    #[test]
    fn the_example_of_the_specification_is_true() {
        let specification = include_str!("../../docs/spec/foreign-cap.md");
        let cap = made(CHK_READ);
        let index = cap.home_cap().storage_index().expect("a file with shares");
        for text in [cap.to_string(), CHK_READ.to_owned(), index.to_string()] {
            assert!(specification.contains(&text), "{text}");
        }
    }

    #[test]
    fn a_write_cap_is_diminished_and_says_so() {
        let MadeForeign::Diminished(cap) = ForeignCap::from_home(Area::Grid(grid()), &home(SDMF_WRITE)) else {
            panic!("not diminished")
        };
        assert_eq!(Some(cap.home_cap()), home(SDMF_WRITE).read_cap().as_ref());
        for text in REAL {
            let unchanged = ForeignCap::from_home(Area::Grid(grid()), &home(text));
            assert!(matches!(unchanged, MadeForeign::AsGiven(_)), "{text}");
        }
    }

    #[test]
    fn a_foreign_write_cap_is_refused_as_disclosed() {
        for kind in ["SSK", "MDMF", "DIR2", "DIR2-MDMF"] {
            let text = made(SDMF_READ).to_string().replace("SSK-RO", kind);
            let error = text.parse::<ForeignCap>().expect_err(&text);
            assert_eq!(error, ForeignCapError::CanWrite { kind });
            assert!(error.to_string().contains("disclosed"));
        }
    }

    #[test]
    fn the_marks_of_a_directory_are_put_on_and_dropped() {
        for (text, mark) in
            [(CHK_READ, "imm."), (CHK_VERIFIER, "imm."), (LITERAL, "imm."), (SDMF_READ, "ro."), (SDMF_VERIFIER, "ro.")]
        {
            let cap = made(text);
            assert_eq!(cap.for_directory(), format!("{mark}{cap}"));
            assert_eq!(cap.for_directory().parse(), Ok(cap.clone()));
            assert_eq!(format!("ro.{cap}").parse(), Ok(cap.clone()));
            let twice = format!("ro.{}", cap.for_directory()).parse::<ForeignCap>();
            assert!(matches!(twice, Err(ForeignCapError::Field(CapError { position: 3, .. }))), "{twice:?}");
        }
    }

    #[test]
    fn a_mutable_cap_is_never_immutable() {
        for (text, kind) in [(SDMF_READ, "SSK-RO"), (SDMF_VERIFIER, "SSK-Verifier")] {
            let text = format!("imm.{}", made(text));
            assert_eq!(text.parse::<ForeignCap>(), Err(ForeignCapError::NotImmutable { kind }));
        }
    }

    #[test]
    fn only_a_literal_file_needs_no_grid() {
        assert!(!made(LITERAL).needs_grid());
        assert!(made(&LITERAL.replace("LIT", "DIR2-LIT")).needs_grid());
        assert!(made(CHK_READ).needs_grid());
    }

    #[test]
    fn reserved_areas_are_read_and_lead_nowhere() {
        for (area, reserved) in [("+49-mzxw6ytb", ReservedArea::ShortCode), ("*", ReservedArea::GreatTable)] {
            let text = CHK_READ.replace("URI:", &format!("URI:FOREIGN:{area}:"));
            let cap: ForeignCap = text.parse().expect("a reserved form");
            assert_eq!((cap.to_string(), cap.grid_id(), cap.grid()), (text, None, Err(reserved)));
        }
    }

    #[test]
    fn what_is_no_foreign_cap_is_refused_at_its_place() {
        use CapFault as Fault;
        let chk = made(CHK_READ).to_string();
        // `URI:FOREIGN:` takes 12 characters, a grid id 59 and its `:` one.
        for (text, field, position, fault) in [
            (format!("{chk} "), Field::Text, chk.len(), Fault::WhiteSpace),
            (chk.replace(':', "%3A"), Field::Text, 3, Fault::PercentEncoded),
            (chk.replace("FOREIGN", "FOREIGm"), Field::Kind, 4, Fault::NotForeign),
            (chk.replace("URI:FOREIGN", "imm.uri:FOREIGN"), Field::Prefix, 4, Fault::NotUri),
            (format!("im.{chk}"), Field::Prefix, 0, Fault::NotUri),
            ("URI:FOREIGN".to_owned(), Field::Area, 11, Fault::Missing),
            (chk.replace("pub-v0-", "pub_v0-"), Field::Area, 15, Fault::NotAnArea),
            (chk[..71].to_owned(), Field::Kind, 71, Fault::Missing),
            (chk.replace(":CHK:", ":CHX:"), Field::Kind, 72, Fault::UnknownKind),
            (chk.replace(":CHK:", ":FOREIGN:*:CHK:"), Field::Kind, 72, Fault::Foreign),
            (chk.replace("44wp", "44w1"), Field::Key, 79, Fault::Base32('1')),
            (format!("ro.{}", chk.replace("44wp", "44w1")), Field::Key, 82, Fault::Base32('1')),
            (format!("{chk}x"), Field::Size, chk.len(), Fault::NotANumber),
        ] {
            let expected = ForeignCapError::Field(CapError { field, position, fault });
            assert_eq!(text.parse::<ForeignCap>(), Err(expected), "{text}");
        }
        assert_eq!(CHK_READ.parse::<ForeignCap>(), Err(ForeignCapError::NoGrid));
    }

    #[test]
    fn a_question_carries_no_key() {
        let text = made(CHK_READ).to_string();
        let asked: GridOrCap = text.parse().expect("a foreign cap");
        assert_eq!((asked.grid(), asked.home_cap()), (Ok(grid()), Some(&home(CHK_READ))));
        assert_eq!(grid().to_string().parse(), Ok(GridOrCap::Grid(grid())));
        assert_eq!("pub-v0-".parse::<GridOrCap>().map_err(|error| matches!(error, GridOrCapError::Grid(_))), Err(true));
        assert_eq!("x".parse::<GridOrCap>().map_err(|error| matches!(error, GridOrCapError::Cap(_))), Err(true));
    }

    #[test]
    fn debug_and_errors_show_no_key() {
        let text = made(CHK_READ).to_string();
        let (key, hash) = ("44wphqinesnggifna54n6ccwke", "gsbsu5hlwbscygephg3aqd7t47y2agatsnnt7eip37w7znx6ws3q");
        let shown = format!("{:?}", made(CHK_READ));
        assert!(!shown.contains(key) && !shown.contains(hash), "{shown}");
        for position in 0..text.len() {
            for other in ["#", " ", "%", ":", "A", ""] {
                let mut mutated = text.clone();
                mutated.replace_range(position..=position, other);
                if let Err(error) = mutated.parse::<ForeignCap>() {
                    let shown = format!("{error} {error:?}");
                    assert!(!shown.contains(&key[..4]) && !shown.contains(&key[20..]), "{shown}");
                    assert!(!shown.contains(&hash[..4]) && !shown.contains(&hash[46..]), "{shown}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn every_foreign_cap_parses_from_its_print_and_from_a_directory(cap in any_capability(), seed: [u8; 32]) {
            let grid = GridId::new(SecretKey::from_seed(&seed).public());
            let made = ForeignCap::from_home(Area::Grid(grid), &cap).into_cap();
            prop_assert!(made.home_cap().power() < Power::Write);
            prop_assert_eq!(made.to_string().parse(), Ok(made.clone()));
            prop_assert_eq!(made.for_directory().parse(), Ok(made));
        }

        #[test]
        fn one_other_character_is_refused_or_makes_another_cap(
            cap in any_capability(), place: prop::sample::Index, other in "[ -~]|ü",
        ) {
            let made = ForeignCap::from_home(Area::Grid(grid()), &cap).into_cap();
            let text = made.to_string();
            let position = place.index(text.len());
            let mut mutated = text.clone();
            mutated.replace_range(position..=position, &other);
            match mutated.parse::<ForeignCap>() {
                Ok(read) => {
                    prop_assert_eq!(read.to_string(), mutated.clone());
                    prop_assert_eq!(read == made, mutated == text);
                }
                Err(ForeignCapError::Field(error)) => {
                    // Shares are judged together, a colon makes two fields of one, and a plus is another kind of area:
                    // the fault may lie behind these.
                    let told = error.position <= position || other.bytes().all(|c| b":+0123456789".contains(&c));
                    prop_assert!(told, "{} for {}", error, position);
                }
                Err(_) => {}
            }
        }

        #[test]
        fn arbitrary_text_never_panics(
            text in "\\PC{0,60}|(imm.|ro.)?URI:FOREIGN:([*]|[+][0-9]{0,3}(-[a-z]{0,3})?|[!-~]{0,9}):\
                     [A-Z2-]{0,9}(:[a-z2-7]{0,52}){0,4}",
        ) {
            if let Ok(cap) = text.parse::<ForeignCap>() {
                prop_assert!(text.ends_with(&cap.to_string()));
            }
            let _ = text.parse::<GridOrCap>();
        }
    }
}
