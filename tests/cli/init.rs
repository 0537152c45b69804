//! `init`, and what is said of settings and keys that cannot be used.

use crate::place::{Place, mode};
use std::fs;
use std::os::unix::fs::PermissionsExt;

const HASH: &str = "CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk";
const FREE: &str =
    "clearinghouse: note: no `--rate` was given: downloads are free for everybody, and the settings say so\n";
const ALONE: &str = "clearinghouse: note: no `--bootstrap` was given: this node starts the network `main` by itself, and \
    others join it with the address that `clearinghouse status` prints\n";

#[test]
fn a_node_is_made_for_a_grid_manager() {
    let place = Place::new();
    let grid = place.grid_manager("gm", 1);
    place.run("init node --grid-manager gm").is(
        0,
        &format!(
            "directory  node\n\
             grid       {grid}\n\
             node       12D3KooW[..]\n\
             network    main\n\
             \n\
             Start the node:\n  clearinghouse run -d node\n"
        ),
        &format!("{FREE}{ALONE}"),
    );
    assert_eq!(mode(&place.path("node")), 0o700);
    assert_eq!(mode(&place.path("node/node.key")), 0o600);
    let settings = String::from_utf8(place.read("node/clearinghouse.toml")).unwrap();
    assert!(settings.contains("\nrate = [\"free\"]\n"));
    assert!(settings.contains(&format!("\ngrid-id = \"{grid}\"\n")));
    assert!(
        settings.contains(&format!("\ngrid-manager = \"{}\"\n", place.path("gm").canonicalize().unwrap().display()))
    );
}

#[test]
fn a_node_without_the_grid_key_gets_a_publisher_key_and_the_line_for_the_operator() {
    let place = Place::new();
    let grid = place.grid_manager("gm", 1);
    let made = place.run(&format!("init node --grid-id {grid} --rate free --bootstrap /dns4/n.example.org/tcp/1"));
    made.is(
        0,
        &format!(
            "directory      node\n\
             grid           {grid}\n\
             node           12D3KooW[..]\n\
             network        main\n\
             publisher key  pub-v0-[..]\n\
             \n\
             Where the grid key is (GM is the grid manager's folder):\n\
             \x20 clearinghouse delegate pub-v0-[..] --grid-manager GM --until 2[..]-[..]-[..]\n\
             Back here, with the file that this writes:\n\
             \x20 clearinghouse record install FILE -d node\n\
             \n\
             Start the node:\n  clearinghouse run -d node\n"
        ),
        "",
    );
    assert_eq!(mode(&place.path("node/publisher.key")), 0o600);
    // The line works as it is printed.
    let line = made.stdout.lines().find_map(|line| line.trim().strip_prefix("clearinghouse delegate ")).unwrap();
    let delegated = place.run(&format!("delegate {} -o permission", line.replace("GM", "gm")));
    assert_eq!(delegated.status, 0, "{}", delegated.stderr);
    place.run("record install permission -d node").is(
        0,
        "installed the delegation, good until [..]\n",
        "clearinghouse: note: no node is running here: it is published once `clearinghouse run` is\n",
    );
}

#[test]
fn every_option_becomes_the_key_of_its_name() {
    let place = Place::new();
    let grid = place.grid_manager("gm", 1);
    let options = [
        ("grid-id", grid.to_string()),
        ("nickname", "Grid".to_owned()),
        ("contact", "mailto:o@example.org".to_owned()),
        ("gateway", format!("key={grid}")),
        ("rate", "0.02 USD/GiB until 2027-06-01".to_owned()),
        ("next", place.grid_manager("gm2", 2).to_string()),
        ("listen", "127.0.0.1:4100".to_owned()),
        ("external", "n.example.org:4200".to_owned()),
        ("bootstrap", "/ip4/10.0.0.7/tcp/1".to_owned()),
        ("network", "house".to_owned()),
        ("resolver-listen", "127.0.0.1:8519".to_owned()),
        ("resolver-proxy", "127.0.0.1".to_owned()),
    ];
    let mut words = vec!["init".to_owned(), "node".to_owned(), "--allow-private-addresses".to_owned()];
    words.extend(options.iter().flat_map(|(name, value)| [format!("--{name}"), value.clone()]));
    let made = place.run_words(&words);
    assert_eq!((made.status, made.stderr.as_str()), (0, ""));
    let settings: toml::Table = String::from_utf8(place.read("node/clearinghouse.toml")).unwrap().parse().unwrap();
    assert_eq!(settings["allow-private-addresses"].as_bool(), Some(true));
    for (name, value) in options {
        let found = match &settings[name] {
            toml::Value::Array(values) => values[0].as_str(),
            found => found.as_str(),
        };
        assert_eq!(found, Some(value.as_str()), "{name}");
    }
}

#[test]
fn nothing_is_overwritten() {
    let place = Place::new();
    place.run("init node --no-grid");
    let key = place.read("node/node.key");
    place.run("init node --no-grid").is(
        1,
        "",
        "clearinghouse: error: `node/clearinghouse.toml` is there already\n\
         clearinghouse: hint: edit that file, or choose another directory: `init` overwrites nothing\n",
    );
    assert_eq!(place.read("node/node.key"), key);
}

#[test]
fn nothing_is_written_before_all_is_known_to_be_right() {
    let place = Place::new();
    place.grid_manager("gm", 1);
    for options in [
        "--grid-manager nowhere",
        "--grid-manager gm --tahoe-node gm --gateway key=pub-v0-x",
        "--grid-manager gm --external a..b",
    ] {
        assert_ne!(place.run(&format!("init node {options}")).status, 0, "{options}");
        assert!(!place.path("node").exists(), "{options}");
    }
}

#[test]
fn a_key_that_others_can_read_is_refused() {
    let place = Place::new();
    place.grid_manager("gm", 1);
    // Everybody may enter a folder of 0755 under one of 0755.
    for folder in [place.path("gm"), place.path(".")] {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
    }
    place.run("init node --grid-manager gm").is(
        4,
        "",
        "clearinghouse: error: other users can reach the secret in `gm/config.json`: its mode is 644, and they may enter `[..]/gm`\n\
         clearinghouse: hint: `chmod 600 gm/config.json` keeps other users out, as a folder of mode 700 around it does\n",
    );
    fs::set_permissions(place.path("gm/config.json"), fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(place.run("init node --grid-manager gm").status, 0);
}

#[test]
fn a_storage_servers_address_is_no_gateways() {
    let place = Place::new();
    place.grid_manager("gm", 1);
    let secret = "hbqzvb2sdpnqvuibad52ofau7by5zotp";
    let refused = place.run(&format!("init node --grid-manager gm --gateway pb://{HASH}@127.0.0.1:1/{secret}#v=1"));
    refused.is(
        2,
        "",
        "clearinghouse: error: --gateway <[..]>: the NURL does not end in `/gateway#v=1`: its last part is a secret and must never be published\n\
         clearinghouse: hint: `clearinghouse init --help` says what it takes\n",
    );
    fs::create_dir_all(place.path("tahoe/private")).unwrap();
    let furl = format!("pb://pm5tsfpfa4l5cpsxl5xdexn5ufyyczmt@tcp:127.0.0.1:1/{secret}");
    place.write("tahoe/private/storage.furl", format!("{furl}\n"));
    for gateway in [furl, format!("pb://{HASH}@127.0.0.1:1/gateway#v=1")] {
        place.run(&format!("init node --grid-manager gm --tahoe-node tahoe --gateway {gateway}")).is(
            2,
            "",
            "clearinghouse: error: gateway number 1: this is an address of that Tahoe-LAFS node's own services\n\
             clearinghouse: hint: whoever knows a storage server's address may write there: publish the gateway's own, which ends in `/gateway#v=1`\n",
        );
    }
    assert!(!place.path("node").exists());
}

#[test]
fn a_gateway_that_cannot_be_reached_is_accepted_with_a_warning() {
    let place = Place::new();
    place.grid_manager("gm", 1);
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let gateway = format!("pb://{HASH}@127.0.0.1:{port}/gateway#v=1");
    let made = place.run(&format!("init node --grid-manager gm --rate free --gateway {gateway}"));
    assert_eq!(made.status, 0, "{}", made.stderr);
    let warning = format!("clearinghouse: warning: `127.0.0.1:{port}` cannot be reached: ");
    assert!(made.stderr.starts_with(&warning), "{}", made.stderr);
}

#[test]
fn an_address_that_would_never_be_dialled_is_refused_by_name() {
    Place::new().run("init node --no-grid --bootstrap /ip4/127.0.0.1/tcp/1").is(
        2,
        "",
        "clearinghouse: error: --bootstrap /ip4/127.0.0.1/tcp/1: the address is [..]: private addresses are refused unless `--allow-private-addresses` is given\n",
    );
}

#[test]
fn settings_with_an_unknown_key_are_refused_by_line() {
    let place = Place::new();
    place.run("init node --no-grid");
    let mut settings = String::from_utf8(place.read("node/clearinghouse.toml")).unwrap();
    let line = settings.lines().count() + 1;
    settings.push_str("listens = \"0.0.0.0:1\"\n");
    place.write("node/clearinghouse.toml", settings);
    place.run("run -d node").is(
        2,
        "",
        &format!("clearinghouse: error: `node/clearinghouse.toml`, line {line}: unknown field `listens`, expected one of [..]\n"),
    );
}
