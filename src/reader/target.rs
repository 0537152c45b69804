//! What is read: a cap that opens something, and the grid on which it lives.

use crate::capability::{Area, Capability, ForeignCap, ReservedArea};
use crate::keys::GridId;
use sha2::{Digest, Sha256};

/// A read cap with the grid it lives on. Never a write cap and never one that only verifies.
///
/// `Debug` shows the kind and the storage index; there is no `Display`, because the text is the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    grid: GridId,
    cap: Capability,
}

/// A cap that checks shares and opens nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("`{kind}` checks the shares of a file and opens nothing: ask for the read cap")]
pub struct OpensNothing {
    /// The kind of cap.
    pub kind: &'static str,
}

impl Target {
    /// What `cap` opens on `grid`. A write cap is diminished.
    pub fn new(grid: GridId, cap: &Capability) -> Result<Self, OpensNothing> {
        let cap = cap.read_cap().ok_or(OpensNothing { kind: cap.kind() })?;
        Ok(Self { grid, cap })
    }

    /// What a foreign cap opens. A literal file names its grid in vain: where its area is one that names none yet, `home`
    /// stands in for it.
    pub fn of_foreign(cap: &ForeignCap, home: &GridId) -> Result<Self, ForeignTargetError> {
        let grid = match cap.grid() {
            Err(_) if !cap.needs_grid() => *home,
            grid => grid?,
        };
        Ok(Self::new(grid, cap.home_cap())?)
    }

    /// The grid that the content is read from.
    pub fn grid(&self) -> &GridId {
        &self.grid
    }

    /// The read cap.
    pub fn cap(&self) -> &Capability {
        &self.cap
    }

    /// Whether the content is a directory's.
    pub fn is_directory(&self) -> bool {
        self.cap.is_directory()
    }

    /// The cap as somebody on the grid `home` writes it: bare if it lives there, foreign if not. **The whole cap.**
    pub fn text(&self, home: &GridId) -> String {
        Self::written(&self.grid, &self.cap, home)
    }

    /// The verify cap, written in the same way; `None` for a literal.
    pub fn verify_text(&self, home: &GridId) -> Option<String> {
        self.cap.verify_cap().map(|cap| Self::written(&self.grid, &cap, home))
    }

    /// Names the content in files of our own, so that they do not say what was read: 32 hexadecimal digits.
    pub fn digest(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(b"lafs-clearinghouse/read/1\0");
        // A literal has no verify cap; hashed, its text is as little a secret as the file beside it.
        let cap = self.cap.verify_cap().unwrap_or_else(|| self.cap.clone());
        hash.update(format!("{} {cap}", self.grid));
        data_encoding::HEXLOWER.encode(&hash.finalize()[..16])
    }

    fn written(grid: &GridId, cap: &Capability, home: &GridId) -> String {
        if grid == home {
            return cap.to_string();
        }
        ForeignCap::from_home(Area::Grid(*grid), cap).into_cap().to_string()
    }
}

/// Why a foreign cap opens nothing here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ForeignTargetError {
    /// Its area names no grid yet.
    #[error(transparent)]
    Area(#[from] ReservedArea),
    /// It is a verify cap.
    #[error(transparent)]
    Verifier(#[from] OpensNothing),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::SecretKey;

    const SDMF_WRITE: &str = "URI:SSK:u6etxx3ptzfylhmwwguwms5zj4:2fwidhazpw3a7elhnjvld6zylyfii7taapwykujcxkh76vohzvfa";
    const VERIFIER: &str =
        "URI:SSK-Verifier:atnxn235qwowi2kosbbayke46m:2fwidhazpw3a7elhnjvld6zylyfii7taapwykujcxkh76vohzvfa";

    fn grid(seed: u8) -> GridId {
        GridId::new(SecretKey::from_seed(&[seed; 32]).public())
    }

    fn cap(text: &str) -> Capability {
        text.parse().expect(text)
    }

    #[test]
    fn a_write_cap_is_diminished_and_a_verify_cap_opens_nothing() {
        let target = Target::new(grid(1), &cap(SDMF_WRITE)).unwrap();
        assert_eq!(target.cap().kind(), "SSK-RO");
        assert_eq!(Target::new(grid(1), &cap(VERIFIER)), Err(OpensNothing { kind: "SSK-Verifier" }));
    }

    #[test]
    fn a_cap_is_written_bare_on_its_own_grid_and_foreign_elsewhere() {
        let target = Target::new(grid(1), &cap(SDMF_WRITE)).unwrap();
        let bare = cap(SDMF_WRITE).read_cap().unwrap().to_string();
        assert_eq!(target.text(&grid(1)), bare);
        assert_eq!(target.text(&grid(2)), bare.replace("URI:", &format!("URI:FOREIGN:{}:", grid(1))));
        let foreign: ForeignCap = target.text(&grid(2)).parse().unwrap();
        assert_eq!(Target::of_foreign(&foreign, &grid(2)), Ok(target));
    }

    #[test]
    fn a_literal_file_needs_no_grid_and_a_literal_directory_does() {
        let file: ForeignCap = "URI:FOREIGN:*:LIT:krugkidfnzsc4".parse().unwrap();
        assert_eq!(*Target::of_foreign(&file, &grid(3)).unwrap().grid(), grid(3));
        let directory: ForeignCap = "URI:FOREIGN:*:DIR2-LIT:".parse().unwrap();
        assert!(matches!(Target::of_foreign(&directory, &grid(3)), Err(ForeignTargetError::Area(_))));
    }

    #[test]
    fn one_file_on_two_grids_has_two_digests() {
        let target = |seed| Target::new(grid(seed), &cap(SDMF_WRITE)).unwrap().digest();
        assert_eq!(target(1), target(1));
        assert_ne!(target(1), target(2));
        assert_eq!(target(1).len(), 32);
    }
}
