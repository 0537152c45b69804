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
            facts.insert("size".to_owned(), size.into());
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
    if !facts.is_directory() {
        node[1]["size"] = facts.size().map(|size| size.0).into();
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
    facts.insert("format".to_owned(), format(target.cap()).into());
    facts
}

fn format(cap: &Capability) -> &'static str {
    match cap.file() {
        FileCap::Literal(_) => "LIT",
        FileCap::ChkRead(_) | FileCap::ChkVerifier(_) => "CHK",
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
