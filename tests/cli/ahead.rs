//! Units that a home asks for before its client does.

use crate::called_gateways::{File, SEGMENT, SIZE, a_home, grid, offer, record};
use crate::lying_gateway::LyingGateway;
use crate::place::Place;
use crate::raw_client::RawClient;
use lafs_clearinghouse::address::PrivateAddresses;
use lafs_clearinghouse::keys::SecretKey;
use std::fs;
use std::time::Duration;

/// As long as anything may take on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn a_home_asks_for_what_its_client_will_ask_for_next_while_the_manifest_travels_and_once() {
    let place = Place::new();
    let (_home, resolver, nurl) = a_home(&place, PrivateAddresses::Allowed);
    let me = fs::read_to_string(place.path("me/accounting.key")).unwrap().trim().parse::<SecretKey>().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let of_last = SEGMENT.0 as usize;
    let rest = format!("bytes={of_last}-{}", SIZE - 1);
    for (seed, said) in [(120, Some("bytes=20000-")), (121, None), (122, Some("anything"))] {
        let file = File::immutable(seed);
        let abroad = LyingGateway::start(grid(seed), "grid", &file.served);
        assert_eq!(offer(&resolver, &record(seed, [&abroad.nurl])), 201);
        let verify = file.cap.verify_cap().unwrap().to_string().replace(':', "%3A");
        let path = |what: &str| format!("/v1/grids/{}/{what}/{verify}", grid(seed));
        let said: Vec<_> = said.map(|said| ("then-range", said)).into_iter().collect();
        runtime.block_on(async {
            let mut client = RawClient::connect(&nurl).await;
            let claim = client.claim(grid(1), &me, seed);
            assert_eq!(client.open(&claim).await.status, 200);
            let manifest = client.get(&path("manifest"), &said).await;
            assert!(manifest.status == 200 && manifest.body == file.served.manifest, "{}", manifest.problem());
            if seed == 120 {
                // The client has asked for nothing yet. What it named lies in the second unit and those behind it.
                let asked = async {
                    while abroad.ranges().is_empty() {
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                };
                tokio::time::timeout(PATIENCE, asked).await.expect("the home asks by itself");
            } else {
                assert!(abroad.ranges().is_empty(), "nothing was said of what comes next");
            }
            let got = client.get(&path("ciphertext"), &[("range", &rest)]).await;
            assert!(got.whole && got.body == file.served.ciphertext[of_last..], "{}", got.status);
        });
        assert_eq!(abroad.ranges(), std::slice::from_ref(&rest), "it is fetched once");
    }
}
