//! The grid managers that a Tahoe client trusts: the section `[grid_managers]` of its `tahoe.cfg`.
//!
//! Format: Tahoe-LAFS `docs/managed-grid.rst`, in the form that Python's `configparser` reads.

use crate::keys::{KeyError, PublicKey};

/// The section's name.
const SECTION: &str = "[grid_managers]";

/// A grid manager's entry whose key is none. To go on without it would be to trust every server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, under `{SECTION}`")]
pub struct ManagerError {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong with the key.
    pub source: KeyError,
}

/// The keys under `[grid_managers]`, without their local names; none where there is no such section.
pub(super) fn grid_managers(text: &str) -> Result<Vec<PublicKey>, ManagerError> {
    let mut managers = Vec::new();
    let mut within = false;
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if line.starts_with('[') {
            within = line == SECTION;
        } else if within {
            // A line that is no entry holds no key either, and is refused as one.
            let key = line.split_once(['=', ':']).map_or(line, |(_, key)| key.trim());
            managers.push(key.parse().map_err(|source| ManagerError { line: index + 1, source })?);
        }
    }
    Ok(managers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::SecretKey;

    #[test]
    fn the_keys_of_the_section_are_found_and_no_others() {
        let [one, two, other] = [1, 2, 3].map(|n| SecretKey::from_seed(&[n; 32]).public());
        let text = format!(
            "[node]\nnickname = {other}\n\n[grid_managers]\n# a remark\n; another\nthisgrid = {one}\n  Second : {two}\n\n[storage]\nx = {other}\n"
        );
        assert_eq!(grid_managers(&text), Ok(vec![one, two]));
        assert_eq!(grid_managers(&text.replace("grid_managers", "grid_manager_certificates")), Ok(vec![]));
        assert_eq!(grid_managers(""), Ok(vec![]));
    }

    #[test]
    fn an_entry_that_is_no_key_is_not_passed_over() {
        let error = grid_managers("[grid_managers]\na = pub-v0-x\n").unwrap_err();
        assert_eq!(error.line, 2);
        assert_eq!(error.to_string(), "line 2, under `[grid_managers]`");
        assert!(grid_managers("[grid_managers]\nnonsense\n").is_err());
        let private = SecretKey::from_seed(&[1; 32]).to_private_text();
        let error = grid_managers(&format!("[grid_managers]\na = {}\n", *private)).unwrap_err();
        assert_eq!(error.source, KeyError::PrivateWherePublic);
    }
}
