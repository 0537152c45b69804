//! What people write: settings, drafts, and the values in them, each by itself.
#![no_main]

use lafs_clearinghouse::address::{Host, HostPort};
use lafs_clearinghouse::config::{External, GatewayEntry, NetworkName, NodeConfig};
use lafs_clearinghouse::keys::{GridId, PublicKey};
use lafs_clearinghouse::rate::{Asset, RateLine};
use lafs_clearinghouse::record::{ContactUri, DraftFile, Floor, KeyDigest, Limit, Nickname, Roles, Signer};
use lafs_clearinghouse::units::{Seconds, UnixSeconds, parse_span};
use lafs_clearinghouse_fuzz::{NOW, grid, grid_key};
use libfuzzer_sys::fuzz_target;
use std::fmt::{Debug, Display};
use std::path::Path;
use std::str::FromStr;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    settings(text);
    draft(text);
    if !text.contains('\n') {
        values(text);
    }
});

fn settings(text: &str) {
    let origin = Path::new("clearinghouse.toml");
    match NodeConfig::from_toml(text, origin) {
        Ok(config) => {
            let printed = config.to_commented_toml();
            let read = NodeConfig::from_toml(&printed, origin).unwrap_or_else(|error| panic!("{error} in {printed}"));
            assert_eq!(read, config);
            let _ = (config.external_addrs(), config.draft(*grid(), Vec::new()));
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

fn draft(text: &str) {
    match text.parse::<DraftFile>() {
        Ok(file) => {
            assert_eq!(file.to_string().parse::<DraftFile>().as_ref(), Ok(&file));
            let signer = Signer::Grid { key: grid_key(), serial: NOW };
            if let Ok(record) = file.draft.sign(signer, file.previous.as_ref(), &file.evidence, NOW) {
                assert_eq!(record.grid(), grid());
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

fn values(text: &str) {
    // One text for one value.
    exact::<GridId>(text);
    exact::<PublicKey>(text);
    exact::<KeyDigest>(text);
    exact::<NetworkName>(text);
    exact::<Nickname>(text);
    exact::<ContactUri>(text);
    // Several texts for one value, of which it prints one.
    printed::<Floor>(text);
    printed::<RateLine>(text);
    printed::<Limit>(text);
    printed::<Roles>(text);
    printed::<UnixSeconds>(text);
    printed::<External>(text);
    printed::<GatewayEntry>(text);
    printed::<Host>(text);
    printed::<HostPort>(text);

    if let Ok(span) = text.parse::<Seconds>() {
        assert_eq!(parse_span(text), Ok(std::time::Duration::from_secs(span.0)));
        let shown: Seconds = span.to_string().parse().expect("a span prints as one");
        assert!(shown <= span, "only the two largest units are shown");
    }
    for code in ["USD", "JPY", "BTC", "XXX"] {
        let asset = Asset::from_code(code).expect("known");
        if let Ok(units) = asset.minor_units(text) {
            assert_eq!(asset.minor_units(&asset.decimal(units)), Ok(units));
        }
    }
}

/// What is read prints as it was written.
fn exact<T: FromStr + Display>(text: &str) {
    if let Ok(value) = text.parse::<T>() {
        assert_eq!(value.to_string(), text);
    }
}

/// What is read reads back from its print.
fn printed<T: FromStr<Err: Debug> + Display + PartialEq + Debug>(text: &str) {
    if let Ok(value) = text.parse::<T>() {
        let printed = value.to_string();
        let read = printed.parse::<T>().unwrap_or_else(|error| panic!("`{printed}` of `{text}`: {error:?}"));
        assert_eq!(read, value, "`{printed}` of `{text}`");
    }
}
