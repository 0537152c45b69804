//! What a reader is told of a grid whose gateway gives nothing, through the home gateway: the kind of failure comes through.

use crate::place::{Place, Running};
use lafs_clearinghouse::furl::Nurl;
use lafs_clearinghouse::keys::GridId;
use lafs_clearinghouse::peer::TlsIdentity;
use std::net::TcpListener;

const LOCAL: &str = "--listen 127.0.0.1:0 --allow-private-addresses";
const CHK: &str = "CHK:44wphqinesnggifna54n6ccwke:gsbsu5hlwbscygephg3aqd7t47y2agatsnnt7eip37w7znx6ws3q:2:3:1000000";

/// A home whose client is `me`, and the node of another grid that these words make.
fn two_grids(place: &Place, words: &str) -> (GridId, [Running; 2]) {
    place.grid_manager("gm1", 1);
    let abroad = place.grid_manager("gm2", 2);
    let init = |line: String| {
        // Some values are two words.
        let made = place.run_words(line.split_whitespace().map(|word| word.replace("~", " ")));
        assert_eq!(made.status, 0, "{line}: {}", made.stderr);
    };
    init(format!("init home --grid-manager gm1 {LOCAL} --gateway-listen 127.0.0.1:0"));
    let home = place.start("home");
    let status = place.run("status -d home --wait 60 --json").json();
    let addr = status["addrs"][0].as_str().unwrap();
    init(format!("init abroad --grid-manager gm2 {LOCAL} --bootstrap {addr} {words}"));
    let other = place.start("abroad");
    place.run("status -d abroad --wait 60");
    let url = place.run("gateway url -d home").stdout;
    let joined = place.run(&format!("join {} -d me --json", url.trim_end())).json();
    place.run(&format!("client add Ada {} -d home", joined["key"].as_str().unwrap()));
    (abroad, [home, other])
}

#[test]
fn a_price_abroad_is_the_other_gateways_refusal() {
    let place = Place::new();
    // A Tahoe node that has not started yet: it knows no servers.
    std::fs::create_dir_all(place.path("tahoe/private")).unwrap();
    let (abroad, _nodes) = two_grids(&place, "--gateway-listen 127.0.0.1:0 --tahoe-node tahoe --rate 0.02~USD/GiB");
    // The home's own rules come first: without any, only what is free is fetched.
    let refused = place.run(&format!("get URI:FOREIGN:{abroad}:{CHK} -d me -o f"));
    assert_eq!(refused.status, 4, "{}", refused.stderr);
    place.write("home/policy.toml", "[retail]\nasset = \"USD\"\nmarkup = \"0 %\"\n[retail.conversions]\nUSD = \"1\"\n[[rule]]\nname = \"all\"\naction = \"allow\"\n");
    let cap = format!("URI:FOREIGN:{abroad}:{CHK}");
    let refused = place.run_words(["get", &cap, "-d", "me", "-o", "f", "--max-price", "1 USD"]);
    assert_eq!(refused.status, 9, "{}", refused.stderr);
    assert!(refused.stderr.contains("downloads from this grid are not free"), "{}", refused.stderr);
    assert!(!refused.stderr.contains("not whole"), "nothing came: {}", refused.stderr);
}

#[test]
fn a_gateway_abroad_that_hangs_up_is_unreachable() {
    let place = Place::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let nurl = Nurl::gateway(*TlsIdentity::generate().spki_hash(), address.ip().into(), address.port()).unwrap();
    // Whoever connects is let go of at once.
    std::thread::spawn(move || listener.incoming().for_each(drop));
    let (abroad, _nodes) = two_grids(&place, &format!("--gateway {nurl}"));
    let gone = place.run(&format!("get URI:FOREIGN:{abroad}:{CHK} -d me -o f"));
    assert_eq!(gone.status, 8, "{}", gone.stderr);
    assert!(gone.stderr.contains(&format!("the home gateway says: `{address}`")), "{}", gone.stderr);
    assert!(!gone.stderr.contains("not whole"), "nothing came: {}", gone.stderr);
}
