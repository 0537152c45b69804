//! `?t=json` in the shape of Tahoe-LAFS's web API: `["filenode", {…}]`, `["dirnode", {…, "children": {…}}]`.
//!
//! Caps of other grids than the home grid are foreign caps, so that each leads to the same content when it is asked for here.

use crate::capability::{Capability, FileCap, MutableFormat};
use crate::keys::GridId;
use crate::reader::{Entry, Listing, Target};
use serde_json::{Map, Value, json};

/// A file, or a directory with its children where `listing` has them. `size` is that of an opened file.
pub(super) fn node(target: &Target, size: Option<u64>, listing: Option<&Listing>, home: &GridId) -> Value {
    let mut facts = facts(target, home);
    match listing {
        Some(listing) => {
            let children = listing.entries.iter().map(|entry| (entry.name.clone(), child(entry, target, home)));
            facts.insert("children".to_owned(), Value::Object(children.collect()));
        }
        None => {
            facts.extend(size.map(|size| ("size".to_owned(), size.into())));
        }
    }
    named(target, facts)
}

/// A child as it stands in `directory`.
pub(super) fn child(entry: &Entry, directory: &Target, home: &GridId) -> Value {
    let (mut node, facts) = match &entry.child {
        Ok(target) => (named(target, facts(target, home)), target.cap()),
        Err(_) => {
            return json!(["unknown", {"ro_uri": marked(entry, directory), "metadata": entry.metadata}]);
        }
    };
    // A mutable file's is not known without asking for the file.
    if let Some(size) = facts.size().filter(|_| !facts.is_directory()) {
        node[1]["size"] = size.0.into();
    }
    node[1]["metadata"] = entry.metadata.clone();
    node
}

/// A cap that is not known, with the mark that follows from its directory and is left out there. Nothing of one that is refused.
fn marked(entry: &Entry, directory: &Target) -> Option<String> {
    let cap = entry.cap.as_str();
    let has_mark = cap.starts_with("ro.") || cap.starts_with("imm.");
    let mark = if directory.cap().is_mutable() { "ro." } else { "imm." };
    match cap {
        "" => None,
        cap if has_mark => Some(cap.to_owned()),
        cap => Some(format!("{mark}{cap}")),
    }
}

fn named(target: &Target, facts: Map<String, Value>) -> Value {
    json!([if target.is_directory() { "dirnode" } else { "filenode" }, facts])
}

fn facts(target: &Target, home: &GridId) -> Map<String, Value> {
    let mut facts = Map::new();
    facts.insert("mutable".to_owned(), target.cap().is_mutable().into());
    facts.insert("ro_uri".to_owned(), target.text(home).into());
    if let Some(verify) = target.verify_text(home) {
        facts.insert("verify_uri".to_owned(), verify.into());
    }
    if !target.is_directory() {
        facts.insert("format".to_owned(), format(target.cap()).into());
    }
    facts
}

fn format(cap: &Capability) -> &'static str {
    match cap.file() {
        // A literal's too: whoever asks wants to know how to store the next version.
        FileCap::Literal(_) | FileCap::ChkRead(_) | FileCap::ChkVerifier(_) => "CHK",
        FileCap::MutableWrite(cap) => mutable(cap.format()),
        FileCap::MutableRead(cap) => mutable(cap.format()),
        FileCap::MutableVerifier(cap) => mutable(cap.format()),
    }
}

fn mutable(format: MutableFormat) -> &'static str {
    match format {
        MutableFormat::Sdmf => "SDMF",
        MutableFormat::Mdmf => "MDMF",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::SecretKey;

    fn home() -> GridId {
        GridId::new(SecretKey::from_seed(&[1; 32]).public())
    }

    fn target(cap: &str) -> Target {
        Target::new(home(), &cap.parse().unwrap()).unwrap()
    }

    /// What a real client answers about its own files.
    #[test]
    fn files_are_told_of_as_a_real_client_tells_of_them() {
        for (size, real) in [
            (
                1000,
                json!(["filenode", {
                    "mutable": false, "format": "CHK", "size": 1000,
                    "ro_uri": "URI:CHK:3wy22stiqxdg3diwgkbe3vjemq:c5oul77ipstiw5nqjgfxsogunmrjvwzcvnlzbisxrxuf3ghj2izq:2:3:1000",
                    "verify_uri": "URI:CHK-Verifier:hen57umgbq2hcbrpk2dnoksnhe:c5oul77ipstiw5nqjgfxsogunmrjvwzcvnlzbisxrxuf3ghj2izq:2:3:1000",
                }]),
            ),
            (5, json!(["filenode", {"mutable": false, "format": "CHK", "size": 5, "ro_uri": "URI:LIT:nbswy3dp"}])),
            (
                300,
                json!(["filenode", {
                    "mutable": true, "format": "SDMF", "size": 300,
                    "ro_uri": "URI:SSK-RO:rtl4ptow5vmt2gzuiodfwvfrse:atux23f4k7iikkvjktwjlrby33mc5bo53cibg22xrzuhhxkdrgtq",
                    "verify_uri": "URI:SSK-Verifier:otkv5m652bmbnbevx4unkltx3u:atux23f4k7iikkvjktwjlrby33mc5bo53cibg22xrzuhhxkdrgtq",
                }]),
            ),
        ] {
            let cap = real[1]["ro_uri"].as_str().unwrap();
            assert_eq!(node(&target(cap), Some(size), None, &home()), real);
        }
    }

    #[test]
    fn a_directory_is_told_of_as_a_real_client_tells_of_it() {
        let metadata = json!({"tahoe": {"linkcrtime": 1795636364.5, "linkmotime": 1795636364.5}});
        let read = "URI:SSK-RO:rtl4ptow5vmt2gzuiodfwvfrse:atux23f4k7iikkvjktwjlrby33mc5bo53cibg22xrzuhhxkdrgtq";
        let verify = "URI:SSK-Verifier:otkv5m652bmbnbevx4unkltx3u:atux23f4k7iikkvjktwjlrby33mc5bo53cibg22xrzuhhxkdrgtq";
        let entry = |name: &str, child, cap: &str| Entry {
            name: name.to_owned(),
            child,
            cap: cap.to_owned().into(),
            metadata: metadata.clone(),
        };
        let unknown = Err(crate::reader::ChildFault::Unknown);
        let entries = vec![entry("new", unknown, "imm.URI:NEW:x"), entry("sdmf", Ok(target(read)), read)];
        let real = json!(["dirnode", {
            "children": {
                "new": ["unknown", {"metadata": metadata, "ro_uri": "imm.URI:NEW:x"}],
                "sdmf": ["filenode", {
                    "mutable": true, "format": "SDMF", "metadata": metadata, "ro_uri": read, "verify_uri": verify,
                }],
            },
            "ro_uri": "URI:DIR2-RO:23r4w4iq3zibpflnyl6ue57rn4:siawde6qoejpdcwga4bn3baays4jfagf2elvondqqiscrnxj4yqq",
            "verify_uri": "URI:DIR2-Verifier:wxzpyaabdeuggsz4sp72e5u2gu:siawde6qoejpdcwga4bn3baays4jfagf2elvondqqiscrnxj4yqq",
            "mutable": true,
        }]);
        let directory = target(real[1]["ro_uri"].as_str().unwrap());
        assert_eq!(node(&directory, None, Some(&Listing { entries }), &home()), real);
    }
}
