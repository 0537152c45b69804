//! A Tahoe-LAFS node's lists of storage servers: what servers announce, as an introducer's cache or an operator's list has it.
#![no_main]

use lafs_clearinghouse::grid::fuzzing::{ListForm, servers};
use lafs_clearinghouse_fuzz::keeps_quiet;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    for form in [ListForm::Cache, ListForm::Static] {
        match servers(text, form) {
            Ok((found, unreadable)) => {
                assert!(found.len() <= 4_096 && unreadable <= 200_000);
                assert!(found.is_sorted_by(|one, next| one.id < next.id), "each server once");
                for server in found {
                    assert!(server.nurls.len() <= 8 && server.certificates.len() <= 16);
                    assert!(server.nickname.chars().count() <= 64 && !server.nickname.contains(char::is_control));
                    assert!(server.nurls.iter().all(|nurl| nurl.to_string().parse().as_ref() == Ok(nurl)));
                    assert_eq!(server.id.to_string().parse(), Ok(server.id));
                }
            }
            Err(error) => keeps_quiet(text, &format!("{error} {error:?}")),
        }
    }
});
