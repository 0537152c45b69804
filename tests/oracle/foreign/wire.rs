//! Requests that the program never makes, to a gateway with a real grid behind it.

use crate::raw_client::RawClient;
use crate::two_grids::{TwoGrids, content};
use lafs_clearinghouse::capability::Capability;
use lafs_clearinghouse::keys::{GridId, SecretKey};
use std::fs;

pub(super) fn what_a_gateway_is_not_asked_for(grids: &mut TwoGrids) {
    grids.client.encode_in_segments(2, 3, 1 << 17);
    let file = content(300_000, 80);
    let (chk, mdmf) = (grids.client.put("", &file), grids.client.put("MDMF", &file));
    let nurl = grids.place.run("gateway url -d home").stdout;
    let key = fs::read_to_string(grids.place.path("reader/accounting.key")).expect("a key");
    let key: SecretKey = key.trim().parse().expect("a key");
    let home = GridId::new(SecretKey::from_seed(&[77; 32]).public());
    let grid = grids.nodes.described.grid_id;
    let path =
        |what: &str, cap: &Capability| format!("/v1/grids/{grid}/{what}/{}", cap.to_string().replace(':', "%3A"));
    let verify = |cap: &Capability| cap.verify_cap().expect("stored");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let mut raw = RawClient::connect(&nurl.trim().parse().expect("a NURL")).await;
        let of_chk = path("ciphertext", &verify(&chk));
        assert_eq!(raw.get(&of_chk, &[]).await.status, 401, "without a session");
        let claim = raw.claim(home, &key, 80);
        assert_eq!(raw.open(&claim).await.status, 200);

        let whole = raw.get(&of_chk, &[]).await;
        assert!(whole.status == 206 && whole.whole && whole.body.len() == file.len(), "{}", whole.problem());
        for (range, part) in [("bytes=131072-262143", 131_072..262_144), ("bytes=262144-299999", 262_144..300_000)] {
            let answer = raw.get(&of_chk, &[("range", range)]).await;
            assert!(answer.status == 206 && answer.body == whole.body[part], "{range}: {}", answer.problem());
        }
        for (range, status) in [
            ("bytes=1-131071", 416),
            ("bytes=0-131070", 416),
            ("bytes=0-262142", 416),
            ("bytes=131073-262143", 416),
            ("bytes=300000-300001", 416),
            ("bytes=393216-524287", 416),
            ("bytes=0-131071, 262144-299999", 400),
            ("bytes=5-4", 416),
            ("bytes=a-b", 400),
            ("lines=0-1", 400),
            ("bytes=0-99999999999999999999999999", 416),
        ] {
            let answer = raw.get(&of_chk, &[("range", range)]).await;
            assert_eq!(answer.status, status, "{range}: {}", answer.problem());
            assert!(!answer.problem().contains('?'), "{range}: {}", answer.problem());
        }
        // Of a mutable file one version is asked for, by the name that its manifest has.
        let of_mdmf = path("ciphertext", &verify(&mdmf));
        let manifest = raw.get(&path("manifest", &verify(&mdmf)), &[]).await;
        let tag = manifest.etag.expect("a name");
        assert_eq!(raw.get(&of_mdmf, &[("if-match", &tag)]).await.body.len(), file.len());
        let another = tag.replacen("\"1-", "\"2-", 1);
        for (tag, status) in [
            (None, 400),
            (Some("*"), 400),
            (Some("\""), 400),
            (Some("W/\"1\""), 400),
            (Some("\"1\", \"2\""), 412),
            (Some("\"x\""), 412),
            (Some(another.as_str()), 412),
        ] {
            let headers: Vec<(&str, &str)> = tag.iter().map(|tag| ("if-match", *tag)).collect();
            let answer = raw.get(&of_mdmf, &headers).await;
            assert_eq!(answer.status, status, "{tag:?}: {}", answer.problem());
        }
        for (query, status) in [
            ("?first=3", 416),
            ("?first=18446744073709551615", 416),
            ("?count=0", 400),
            ("?count=4097", 400),
            ("?first=-1", 400),
            ("?last=1", 400),
        ] {
            let answer = raw.get(&format!("{}{query}", path("manifest", &verify(&chk))), &[]).await;
            assert_eq!(answer.status, status, "{query}: {}", answer.problem());
        }
        // A cap that opens the file is not taken, and repeated nowhere.
        for (cap, told) in [(chk.to_string(), &chk), (mdmf.to_string(), &mdmf)] {
            for what in ["manifest", "ciphertext"] {
                let answer = raw.get(&path(what, told), &[]).await;
                assert_eq!(answer.status, 400, "{}", answer.problem());
                let secret = cap.split(':').nth(2).expect("a key");
                assert!(!String::from_utf8_lossy(&answer.body).contains(secret));
            }
        }
    });
    for log in ["home.log", "foreign.log"] {
        let log = fs::read_to_string(grids.place.path(log)).expect("a log");
        for cap in [&chk, &mdmf] {
            let text = cap.to_string();
            assert!(!log.contains(text.split(':').nth(2).expect("a key")), "a read cap is in a log");
        }
    }
    grids.client.encode(2, 3);
}
