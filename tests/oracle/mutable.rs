//! Mutable files and directories of a real grid: we read what its client stored, and it reads what we made.

use crate::python;
use data_encoding::BASE64;
use lafs_clearinghouse::capability::{Capability, FileCap, MutableFormat, MutableVerifier, ShareCounts};
use lafs_clearinghouse::lafs::directory::{Child, ChildCap, Directory, DirectoryKind};
use lafs_clearinghouse::lafs::erasure::ErasureCode;
use lafs_clearinghouse::lafs::hash_tree::HashChain;
use lafs_clearinghouse::lafs::manifest::{MAX_UNITS, Manifest, MutableClaim, MutableManifest, PinnedShare};
use lafs_clearinghouse::lafs::mutable::{
    FileKey, MutableEncoding, ShareLayout, SignedPrefix, candidates, encode, verify_signature,
};
use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeMap;
use std::ops::Range;

#[derive(Deserialize)]
struct Told {
    kind: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    cap: String,
    #[serde(default)]
    read_cap: String,
    #[serde(default)]
    verify_cap: String,
    content: Option<String>,
    children: Option<BTreeMap<String, Listed>>,
    #[serde(default)]
    shares: BTreeMap<u16, String>,
}

#[derive(Deserialize)]
struct Listed {
    read_cap: String,
    metadata: serde_json::Value,
}

impl Told {
    fn content(&self) -> Vec<u8> {
        BASE64.decode(self.content.as_ref().expect("content").as_bytes()).expect("base64")
    }

    fn shares(&self) -> BTreeMap<u16, Vec<u8>> {
        let decoded = self.shares.iter().map(|(n, share)| (*n, BASE64.decode(share.as_bytes()).expect("base64")));
        decoded.collect()
    }
}

fn part(share: &[u8], range: Range<u64>) -> &[u8] {
    &share[range.start as usize..range.end as usize]
}

/// The content of a version, all of it verified to the verify cap on the way: by `pins`, out of `sources`.
fn content(shares: &BTreeMap<u16, Vec<u8>>, pins: &[u16], sources: &[u16], read: &Capability) -> Vec<u8> {
    let verify = read.verify_cap().expect("a verify cap");
    let FileCap::MutableVerifier(verifier) = verify.file() else { panic!("{verify:?}") };
    let share = &shares[&pins[0]];
    let layout = ShareLayout::from_header(&share[..ShareLayout::HEADER_BYTES]).expect("a layout");
    assert_eq!(layout.end(), share.len() as u64);
    let sent = manifest(shares, pins, verifier).encode();
    let manifest = Manifest::from_bytes(&sent, &verify, 0..MAX_UNITS).expect("a manifest");
    let decryptor = manifest.decryptor(read).expect("the file's cap");
    let code = ErasureCode::new(layout.prefix().shares());
    let mut whole = vec![];
    for unit in 0..manifest.layout().units() {
        let block = |number: &u16| {
            let layout = ShareLayout::from_header(&shares[number]).expect("a layout");
            let salt = if layout.prefix().format() == MutableFormat::Mdmf { 16 } else { 0 };
            (*number, &part(&shares[number], layout.block(unit).expect("a block"))[salt..])
        };
        let blocks: Vec<(u16, &[u8])> = sources.iter().map(block).collect();
        let mut segment = vec![0; layout.prefix().segment_len(unit).expect("a segment")];
        code.decode(&blocks, &mut segment).expect("k blocks");
        manifest.verify_unit(unit, &segment).expect("the unit");
        let last = segment.len() - 1;
        segment[last] ^= 1;
        manifest.verify_unit(unit, &segment).expect_err("another unit");
        segment[last] ^= 1;
        decryptor.decrypt(unit, &mut segment);
        whole.extend(segment);
    }
    whole
}

fn manifest(shares: &BTreeMap<u16, Vec<u8>>, pins: &[u16], verifier: &MutableVerifier) -> Manifest {
    let share = &shares[&pins[0]];
    let layout = ShareLayout::from_header(share).expect("a layout");
    let pinned = pins.iter().map(|number| {
        let share = &shares[number];
        let layout = ShareLayout::from_header(share).expect("a layout");
        let chain = HashChain::from_bytes(part(share, layout.share_hash_chain())).expect("a chain");
        let tree = part(share, layout.tree_nodes(0, layout.tree_node_count()).expect("the tree"));
        PinnedShare::of_tree(layout.prefix(), *number, chain, tree, 0..MAX_UNITS).expect("its units")
    });
    let salts = (0..layout.prefix().segments())
        .filter(|_| layout.prefix().format() == MutableFormat::Mdmf)
        .map(|unit| part(share, layout.block(unit).expect("a block"))[..16].try_into().expect("a salt"));
    let (key, signature) = (part(share, layout.public_key()), part(share, layout.signature()));
    let prefix = layout.prefix().clone();
    verify_signature(key, &prefix.to_bytes(), signature).expect("the writer's signature");
    let (pinned, salts) = (pinned.collect(), salts.collect());
    let claim = MutableClaim::new(verifier, prefix, key.to_vec(), signature.to_vec(), pinned, 0, salts);
    Manifest::Mutable(MutableManifest::new(claim.expect("a claim")).expect("a signature"))
}

/// What we made for the real client to read: the content, or the directory, and the shares.
fn made() -> Vec<(Vec<u8>, bool, serde_json::Value)> {
    let foreign =
        "URI:FOREIGN:*:SSK-RO:u6etxx3ptzfylhmwwguwms5zj4:2fwidhazpw3a7elhnjvld6zylyfii7taapwykujcxkh76vohzvfa";
    let child = |name: &str, cap: &str| Child::new(DirectoryKind::Mutable, name, cap, r#"{"a": 1}"#).expect("a child");
    let children = vec![child("grün", "URI:LIT:krugkidfnzsc4"), child("fremd", foreign)];
    let directory = Directory::new(DirectoryKind::Mutable, children).expect("a directory").to_bytes();
    let mut files = vec![];
    for format in [MutableFormat::Sdmf, MutableFormat::Mdmf] {
        for (needed, total) in [(2, 3), (3, 10)] {
            for size in [0, 1, 5_000, 300_001] {
                let content: Vec<u8> = (0..size).map(|i: u32| (i % 251) as u8).collect();
                files.push((content, false, format, ShareCounts::new(needed, total).expect("counts")));
            }
        }
        files.push((directory.clone(), true, format, ShareCounts::new(2, 3).expect("counts")));
    }
    let make = |(content, is_directory, format, shares): (Vec<u8>, bool, MutableFormat, ShareCounts)| {
        let encoding = MutableEncoding { format, shares, sequence: 3, segment: SignedPrefix::MDMF_SEGMENT };
        let made = encode(&content, &FileKey::generate(), encoding).expect("a version");
        let file = FileCap::MutableRead(made.cap.read_cap());
        let cap = if is_directory { Capability::Directory(file) } else { Capability::File(file) };
        let numbered = made.shares.iter().enumerate();
        let shares: BTreeMap<String, String> =
            numbered.map(|(n, share)| (n.to_string(), BASE64.encode(share))).collect();
        let index = cap.storage_index().expect("a stored file").to_string();
        (content, is_directory, json!({"cap": cap.to_string(), "storage_index": index, "shares": shares}))
    };
    files.into_iter().map(make).collect()
}

#[test]
fn a_real_grid_and_we_read_each_others_mutable_files_and_directories() {
    let temp = tempfile::tempdir().expect("a folder");
    let grid = temp.path().join("grid");
    let made = made();
    let placed: Vec<_> = made.iter().map(|(_, _, file)| file).collect();
    let input = serde_json::to_string(&placed).expect("JSON");
    let Some(output) = python::run("mutable.py", &[grid.to_str().expect("UTF-8")], &input) else { return };
    let told: Vec<Told> = output.lines().map(|line| serde_json::from_str(line).expect(line)).collect();

    let read: Vec<_> = told.iter().filter(|told| told.kind == "placed").collect();
    assert_eq!(read.len(), made.len());
    for (told, (content, is_directory, _)) in read.iter().zip(&made) {
        if *is_directory {
            let children = told.children.as_ref().expect("children");
            assert_eq!(children["grün"].read_cap, "URI:LIT:krugkidfnzsc4");
            assert!(children["fremd"].read_cap.starts_with("ro.URI:FOREIGN:*:SSK-RO:"));
        } else {
            assert_eq!(told.content(), *content, "{}", told.cap);
        }
    }

    let stored: Vec<_> = told.iter().filter(|told| told.kind == "stored").collect();
    assert!(stored.len() > 30, "{}", stored.len());
    for told in stored {
        let cap: Capability = told.cap.parse().expect("a cap");
        let read = cap.read_cap().expect("a read cap");
        assert_eq!(read.to_string(), told.read_cap);
        assert_eq!(read.verify_cap().expect("a verify cap").to_string(), told.verify_cap);
        let shares = told.shares();
        let needed = usize::from(SignedPrefix::from_share(&shares[&0]).expect("a prefix").shares().needed());
        let numbers: Vec<u16> = shares.keys().copied().collect();
        let (first, last) = (&numbers[..needed], &numbers[numbers.len() - needed..]);
        assert_eq!(content(&shares, first, last, &read), told.content(), "{}", told.name);
        assert_eq!(content(&shares, last, first, &read), told.content(), "{}", told.name);
        listed(told, &read);
        if let Some(older) = told_older(&output, &told.name) {
            newest(&shares, &older);
        }
    }
    for told in told.iter().filter(|told| told.kind == "immutable") {
        listed(told, &told.cap.parse().expect("a cap"));
    }
}

fn told_older(output: &str, name: &str) -> Option<BTreeMap<u16, Vec<u8>>> {
    let told = output.lines().map(|line| serde_json::from_str::<Told>(line).expect(line));
    told.into_iter().find(|told| told.kind == "older" && told.name == name).map(|told| told.shares())
}

fn newest(shares: &BTreeMap<u16, Vec<u8>>, older: &BTreeMap<u16, Vec<u8>>) {
    let all: Vec<(SignedPrefix, u16)> = older
        .iter()
        .chain(shares)
        .map(|(number, share)| (SignedPrefix::from_share(share).expect("a prefix"), *number))
        .collect();
    let found = candidates(all.iter().map(|(prefix, number)| (prefix, *number, ())));
    let sequences: Vec<u64> = found.iter().map(|found| found.prefix.version().sequence).collect();
    assert_eq!(sequences, [2, 1]);
}

/// The directory that a real client lists is the one that we read.
fn listed(told: &Told, cap: &Capability) {
    let Some(children) = &told.children else { return };
    let kind = DirectoryKind::of(cap);
    let directory = Directory::from_bytes(&told.content(), kind).expect("a directory");
    let names: Vec<&str> = directory.children().iter().map(Child::name).collect();
    assert_eq!(names, children.keys().map(String::as_str).collect::<Vec<_>>(), "{}", told.name);
    for child in directory.children() {
        let real = &children[child.name()];
        let mark = if kind == DirectoryKind::Mutable { "ro." } else { "imm." };
        let text = child.cap_text();
        assert!(real.read_cap == text || real.read_cap == format!("{mark}{text}"), "{} {text}", real.read_cap);
        let metadata: serde_json::Value = serde_json::from_str(child.metadata()).expect("JSON");
        assert_eq!(metadata, real.metadata);
        match child.cap() {
            ChildCap::Home(cap) => assert_eq!(cap.to_string(), real.read_cap),
            ChildCap::Foreign(cap) => assert_eq!(cap.for_directory(), real.read_cap),
            ChildCap::Unknown => assert!(child.name().starts_with("future"), "{text}"),
            ChildCap::Refused(refused) => panic!("{}: {refused}", child.name()),
        }
    }
}
