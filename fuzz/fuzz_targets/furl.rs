//! FURLs, NURLs and gateways: they print as they were written, and keep their secrets.
#![no_main]

use lafs_clearinghouse::config::GatewayEntry;
use lafs_clearinghouse::furl::{Furl, MAX_FURL_BYTES, Nurl};
use lafs_clearinghouse::record::GatewayAddress;
use lafs_clearinghouse_fuzz::keeps_quiet;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (furl, nurl) = (text.parse::<Furl>(), text.parse::<Nurl>());
    assert!(furl.is_err() || nurl.is_err(), "one or the other");
    match furl {
        Ok(furl) => {
            assert_eq!(furl.to_string(), text);
            assert!(text.len() <= MAX_FURL_BYTES);
            assert_eq!(format!("{furl:?}"), format!("{}…", before(text, furl.swissnum())));
        }
        Err(error) => keeps_quiet(text, &format!("{error} {error:?}")),
    }
    match nurl {
        Ok(nurl) => {
            assert_eq!(nurl.to_string(), text);
            assert!(text.len() <= MAX_FURL_BYTES);
            let hidden = format!("{}…#v=1", before(text, &format!("{}#v=1", nurl.swissnum())));
            assert_eq!(format!("{nurl:?}"), if nurl.is_gateway() { text.to_owned() } else { hidden });
            if nurl.is_gateway() {
                let made = Nurl::gateway(*nurl.spki_hash(), nurl.host().clone(), nurl.port());
                assert_eq!(made.as_ref(), Ok(&nurl));
            }
        }
        Err(error) => keeps_quiet(text, &format!("{error} {error:?}")),
    }
    match text.parse::<GatewayAddress>() {
        Ok(address) => assert_eq!(address.to_string(), text),
        Err(error) => keeps_quiet(text, &format!("{error} {error:?}")),
    }
    if let Ok(entry) = text.parse::<GatewayEntry>() {
        assert_eq!(entry.to_string().parse(), Ok(entry));
    }
});

fn before<'t>(text: &'t str, end: &str) -> &'t str {
    text.strip_suffix(end).expect("the secret stands at the end")
}
