//! Caps: Tahoe's code and ours make the same of the same text.

use crate::python;
use lafs_clearinghouse::capability::{Area, CapFault, Capability, ForeignCap, Power};
use lafs_clearinghouse::keys::{GridId, SecretKey};
use serde::Deserialize;
use std::collections::BTreeSet;

/// How many caps of each kind are asked for.
const COUNT: &str = "40";
const SEED: &str = "20261123";

#[derive(Deserialize)]
struct Made {
    cap: String,
    verifier: bool,
    readonly: bool,
    mutable: Option<bool>,
    read_cap: Option<String>,
    verify_cap: Option<String>,
    storage_index: Option<String>,
}

fn lines<T: for<'de> Deserialize<'de>>(output: &str) -> Vec<T> {
    output.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

#[test]
fn tahoe_derives_the_same_from_every_kind_of_cap() {
    let Some(output) = python::run("caps.py", &["made", COUNT, SEED], "") else { return };
    let mut kinds = BTreeSet::new();
    for made in lines::<Made>(&output) {
        let text = &made.cap;
        let cap: Capability = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
        kinds.insert(cap.kind());
        assert_eq!(cap.to_string(), *text);
        assert_eq!(cap.power() == Power::Verify, made.verifier, "{text}");
        assert_eq!(cap.power() < Power::Write, made.readonly, "{text}");
        assert!(made.mutable.is_none_or(|mutable| mutable == cap.is_mutable()), "{text}");
        assert_eq!(cap.read_cap().map(|cap| cap.to_string()), made.read_cap, "{text}");
        assert_eq!(cap.verify_cap().map(|cap| cap.to_string()), made.verify_cap, "{text}");
        assert_eq!(cap.storage_index().map(|index| index.to_string()), made.storage_index, "{text}");
    }
    assert_eq!(kinds.len(), 18, "{kinds:?}");
}

#[derive(Deserialize)]
struct Altered {
    text: String,
    read: Option<String>,
}

#[test]
fn tahoe_reads_an_altered_cap_where_we_do_and_nowhere_else() {
    let Some(output) = python::run("caps.py", &["altered", COUNT, SEED], "") else { return };
    let (mut accepted, mut refused) = (0, 0);
    for Altered { text, read } in lines(&output) {
        match (text.parse::<Capability>(), read) {
            (Ok(cap), Some(read)) => {
                // Tahoe forgets the hints of an early MDMF cap.
                let forgotten = text.strip_prefix(&read).is_some_and(|hints| hints.starts_with(':'));
                assert!(read == text || (forgotten && text.contains("MDMF")), "{text:?}: Tahoe reads {read:?}");
                assert_eq!(cap.to_string(), text);
                accepted += 1;
            }
            (Ok(_), None) => panic!("{text:?}: Tahoe refuses it"),
            (Err(_), None) => refused += 1,
            // What Tahoe reads and prints in other words is refused here, and so are numbers that no file has.
            (Err(error), Some(read)) => {
                let impossible =
                    matches!(error.fault, CapFault::ShareCount | CapFault::FewerThanNeeded | CapFault::NumberTooLarge);
                assert!(read != text || impossible, "{text:?}: {error}");
                refused += 1;
            }
        }
    }
    assert!(accepted > 50 && refused > 50, "{accepted} accepted, {refused} refused");
}

#[derive(Deserialize)]
struct Kept {
    unknown: bool,
    kept: String,
    in_immutable_directory: serde_json::Value,
}

#[test]
fn an_unmodified_directory_keeps_a_foreign_cap_word_for_word() {
    let Some(output) = python::run("caps.py", &["made", "3", SEED], "") else { return };
    let area = Area::Grid(GridId::new(SecretKey::from_seed(&[1; 32]).public()));
    let foreign: Vec<ForeignCap> = lines::<Made>(&output)
        .iter()
        .map(|made| ForeignCap::from_home(area.clone(), &made.cap.parse().expect("a cap")).into_cap())
        .collect();
    let input: String = foreign.iter().map(|cap| format!("{}\n", cap.for_directory())).collect();
    let Some(output) = python::run("caps.py", &["kept"], &input) else { return };
    let answers = lines::<Kept>(&output);
    assert_eq!(answers.len(), foreign.len());
    for (cap, Kept { unknown, kept, in_immutable_directory }) in foreign.iter().zip(answers) {
        assert!(unknown, "Tahoe takes {cap} for one of its own");
        assert_eq!(kept, cap.for_directory());
        assert_eq!(kept.parse(), Ok(cap.clone()));
        if !cap.home_cap().is_mutable() {
            assert_eq!(in_immutable_directory, serde_json::Value::from(kept));
        }
    }
}
