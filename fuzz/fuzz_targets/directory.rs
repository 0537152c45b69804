//! Directories: what whoever can write one makes others read.
#![no_main]

use lafs_clearinghouse::lafs::directory::{Child, ChildCap, Directory, DirectoryKind};
use lafs_clearinghouse_fuzz::keeps_quiet;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    for kind in [DirectoryKind::Mutable, DirectoryKind::Immutable] {
        match Directory::from_bytes(data, kind) {
            Ok(directory) => read(&directory),
            Err(error) => keeps_quiet(&String::from_utf8_lossy(data), &format!("{error} {error:?}")),
        }
    }
});

fn read(directory: &Directory) {
    for child in directory.children() {
        assert!(child.name().len() <= Child::MAX_NAME_BYTES);
        assert!(child.metadata().len() <= Child::MAX_METADATA_BYTES);
        // By recursion, which must not end the stack.
        let _ = serde_json::from_str::<serde_json::Value>(child.metadata());
        assert_eq!(directory.child(child.name()), Some(child));
        let refused = matches!(child.cap(), ChildCap::Refused(_));
        assert!(!refused || child.cap_text().is_empty(), "a refused cap is not handed on");
        if let ChildCap::Foreign(cap) = child.cap() {
            let text = child.cap_text();
            assert_eq!(cap.to_string(), text.trim_start_matches("imm.").trim_start_matches("ro."));
        }
    }
    // What was refused is gone, all else stands as it stood.
    let bytes = directory.to_bytes();
    let again = Directory::from_bytes(&bytes, directory.kind()).expect("own words");
    assert_eq!(again.to_bytes(), bytes);
    if directory.children().iter().all(|child| !matches!(child.cap(), ChildCap::Refused(_))) {
        assert_eq!(again, *directory);
    }
}
