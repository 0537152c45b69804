//! Caps and foreign caps: one text for one cap, and no secret in what is not the cap.
#![no_main]

use lafs_clearinghouse::capability::{Area, Capability, ForeignCap, GridOrCap, MAX_CAP_BYTES, Power};
use lafs_clearinghouse_fuzz::{grid, keeps_quiet};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match text.parse::<Capability>() {
        Ok(cap) => home(&cap, text),
        Err(error) => keeps_quiet(text, &format!("{error} {error:?}")),
    }
    match text.parse::<ForeignCap>() {
        Ok(cap) => foreign(&cap, text),
        Err(error) => keeps_quiet(text, &format!("{error} {error:?}")),
    }
    if let Ok(GridOrCap::Grid(grid)) = text.parse() {
        assert_eq!(grid.to_string(), text);
    }
});

fn home(cap: &Capability, text: &str) {
    assert_eq!(cap.to_string(), text);
    assert!(text.len() <= MAX_CAP_BYTES);
    let shown = format!("{cap:?}");
    match cap.storage_index() {
        // Public, and the only long word that may be shown.
        Some(index) => keeps_quiet(text, &shown.replace(&index.to_string(), "")),
        None => keeps_quiet(text, &shown),
    }
    for weaker in [cap.read_cap(), cap.verify_cap()].into_iter().flatten() {
        assert!(weaker.power() <= cap.power());
        assert_eq!(weaker.storage_index(), cap.storage_index());
        assert_eq!((weaker.shares(), weaker.size()), (cap.shares(), cap.size()));
        assert_eq!(weaker.is_directory(), cap.is_directory());
        assert_eq!(weaker.to_string().parse(), Ok(weaker));
    }
    if let Some(read) = cap.read_cap() {
        assert_eq!((read.power(), read.verify_cap()), (Power::Read, cap.verify_cap()));
    }
    for area in [Area::Grid(*grid()), Area::GreatTable] {
        let made = ForeignCap::from_home(area, cap).into_cap();
        assert!(made.home_cap().power() < Power::Write);
        // The area may make it longer than a cap may be.
        if made.to_string().len() + "imm.".len() <= MAX_CAP_BYTES {
            assert_eq!(made.to_string().parse().as_ref(), Ok(&made));
            assert_eq!(made.for_directory().parse().as_ref(), Ok(&made));
        }
    }
}

fn foreign(cap: &ForeignCap, text: &str) {
    assert!(cap.home_cap().power() < Power::Write, "a foreign cap never writes");
    let bare = text.strip_prefix("imm.").or(text.strip_prefix("ro.")).unwrap_or(text);
    assert_eq!(cap.to_string(), bare);
    assert!(!text.starts_with("imm.") || !cap.home_cap().is_mutable());
    assert_eq!(text.parse(), Ok(GridOrCap::Cap(cap.clone())));
    home(cap.home_cap(), &cap.home_cap().to_string());
}
