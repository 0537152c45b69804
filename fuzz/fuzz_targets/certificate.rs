//! Grid Manager certificates: the text as it is, and signed by the grid manager that is trusted.
#![no_main]

use lafs_clearinghouse::base32;
use lafs_clearinghouse::grid::fuzzing::certified_until;
use lafs_clearinghouse::grid::{NotBlessed, ServerId};
use lafs_clearinghouse_fuzz::{grid_key, publisher_key};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let server = ServerId::new([7; 32]);
    let manager = grid_key().public();
    let signature = base32::encode(&grid_key().sign(text.as_bytes()));
    // As it is found: a text and, behind its last line end, a signature.
    let (found, with) = text.rsplit_once('\n').unwrap_or((text, ""));
    let genuine = with == base32::encode(&grid_key().sign(found.as_bytes()));
    assert!(genuine || certified_until(found, with, &server, &[manager]).is_err(), "somebody else signed it");
    match certified_until(text, &signature, &server, &[manager]) {
        Ok(_) => {
            let json: serde_json::Value = serde_json::from_str(text).expect("it was read");
            assert_eq!(json["public_key"], format!("pub-{server}"));
            assert_eq!(json["version"], 1);
            // Neither for another server nor to who trusts another manager.
            assert_eq!(certified_until(text, &signature, &ServerId::new([8; 32]), &[manager]), Err(NotBlessed::OtherServer));
            let stranger = publisher_key().public();
            assert_eq!(certified_until(text, &signature, &server, &[stranger]), Err(NotBlessed::OtherManager));
            assert!(certified_until(&format!("{text} "), &signature, &server, &[manager]).is_err());
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
