//! A node whose books are in PostgreSQL: reached over TLS, with a password that is shown nowhere.

use crate::objects::{MIB, lane, voucher};
use crate::place::{Place, eventually};
use crate::postgres::{Postgres, give};
use data_encoding::BASE64;
use lafs_clearinghouse::ledger::{Ledger, Location, Part, Reading};
use lafs_clearinghouse::units::{Bytes, UnixSeconds};
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use sqlx::{Connection, Row};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;

const PASSWORD: &str = "a passw0rd that/is shown@nowhere";

fn pem(kind: &str, der: &[u8]) -> String {
    let text = BASE64.encode(der);
    let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {kind}-----\n{}\n-----END {kind}-----\n", lines.join("\n"))
}

/// An authority's certificate, one by it for 127.0.0.1, and the key of that one.
fn certificates() -> [String; 3] {
    let (authority_key, key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = params.self_signed(&authority_key).unwrap();
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &authority, &authority_key).unwrap();
    [
        pem("CERTIFICATE", authority.der()),
        pem("CERTIFICATE", certificate.der()),
        pem("PRIVATE KEY", &key.serialize_der()),
    ]
}

async fn sql(location: &Location) -> sqlx::AnyConnection {
    let Location::Postgres(url) = location else { panic!("a database") };
    sqlx::any::install_default_drivers();
    sqlx::AnyConnection::connect(url).await.unwrap()
}

/// Usage of a file, long ago.
async fn filled(location: &Location) {
    let ledger = Ledger::open(location.clone(), UnixSeconds(1)).await.unwrap();
    let opened = lane(1, 2, 0);
    ledger.open_lane(Part::Payee, opened.clone(), opened.body().opened_at).await.unwrap();
    let read = vec![Reading { client: None, file: Some([7; 32]), bytes: Bytes(MIB) }];
    // By the clock of the books, which is not that of the lane.
    ledger.voucher(Part::Payee, voucher(&opened, MIB), read, UnixSeconds(86_400)).await.unwrap();
    ledger.close().await;
}

#[tokio::test]
async fn a_node_keeps_its_books_in_postgresql_over_tls() {
    let [authority, certificate, key] = certificates();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let server = Postgres::start_as(port, |folder| {
        let hba = "local all all trust\nhostssl all all 127.0.0.1/32 scram-sha-256\n";
        let files = [("server.crt", certificate.as_str()), ("server.key", &key), ("hba.conf", hba)];
        for (name, content) in files {
            std::fs::write(folder.join(name), content).unwrap();
            give(&folder.join(name));
        }
        let at = |name| folder.join(name).display().to_string();
        vec![
            "listen_addresses=127.0.0.1".to_owned(),
            "ssl=on".to_owned(),
            format!("ssl_cert_file={}", at("server.crt")),
            format!("ssl_key_file={}", at("server.key")),
            format!("hba_file={}", at("hba.conf")),
        ]
    });
    let Some(server) = server else { return };
    let socket = server.database("books");
    let mut admin = sql(&socket).await;
    let set = sqlx::AssertSqlSafe(format!("ALTER ROLE clear PASSWORD '{PASSWORD}'"));
    sqlx::query(set).execute(&mut admin).await.unwrap();
    filled(&socket).await;

    let place = Place::new();
    place.write("ca.pem", &authority);
    place.write("other.pem", &certificates()[0]);
    place.grid_manager("gm", 1);
    let ca = |name: &str| place.path(name).display().to_string();
    let url = |mode: &str| format!("postgres://clear@127.0.0.1:{port}/books?sslmode={mode}");
    let local = "--listen 127.0.0.1:0 --gateway-listen 127.0.0.1:0 --allow-private-addresses";
    let with_password = format!("postgres://clear:{PASSWORD}@127.0.0.1/books").replace(' ', "%20");
    let refused = place.run(&format!("init no --grid-manager gm {local} --ledger {with_password}"));
    assert_eq!(refused.status, 2, "{}", refused.stderr);
    assert!(refused.stderr.contains("ledger.password") && !refused.stderr.contains("passw0rd"), "{}", refused.stderr);
    let verified = format!("{}&sslrootcert={}", url("verify-full"), ca("ca.pem"));
    let made = place.run(&format!("init node --grid-manager gm {local} --ledger {verified}"));
    assert_eq!(made.status, 0, "{}", made.stderr);

    // Without its password it does not start, and says what it is that does not let it in.
    let alone = place.run("run -d node");
    assert_ne!(alone.status, 0);
    assert!(alone.stderr.contains("postgres://127.0.0.1"), "{}", alone.stderr);
    place.write("node/ledger.password", format!("{PASSWORD}\n"));
    std::fs::set_permissions(place.path("node/ledger.password"), std::fs::Permissions::from_mode(0o600)).unwrap();
    let node = place.start("node");
    let status = place.run("status -d node --wait 90");
    assert_eq!(status.status, 0, "{}{}", status.stdout, status.stderr);

    let rows =
        sqlx::query("SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE client_addr IS NOT NULL");
    let rows = rows.fetch_all(&mut admin).await.unwrap();
    assert!(!rows.is_empty() && rows.iter().all(|row| row.get::<bool, _>(0)), "everybody encrypts");
    let verify = place.run("ledger verify -d node --json");
    assert_eq!(verify.json()["vouchers"], 1);
    // What a running node forgets.
    let usage = eventually("the file is forgotten", || {
        let usage = place.run("ledger export usage -d node --json").json();
        usage[0]["file"].is_null().then_some(usage)
    });
    assert_eq!(usage[0]["bytes"], MIB);

    // A server that is not the one: not by the authority that is named, or nobody asks and nobody answers in the clear.
    let password = place.path("node/ledger.password");
    for (url, said) in [
        (format!("{}&sslrootcert={}", url("verify-full"), ca("other.pem")), "certificate"),
        (url("disable"), "no encryption"),
    ] {
        let config = std::fs::read_to_string(place.path("node/clearinghouse.toml")).unwrap();
        std::fs::create_dir_all(place.path("other")).unwrap();
        std::fs::copy(place.path("node/format"), place.path("other/format")).unwrap();
        std::fs::copy(&password, place.path("other/ledger.password")).unwrap();
        place.write("other/clearinghouse.toml", config.replace(&verified, &url));
        let found = place.run("ledger verify -d other");
        assert_eq!(found.status, 8, "{}{}", found.stdout, found.stderr);
        assert!(found.stderr.contains(said), "{}", found.stderr);
        shows_no_password(&[found.stdout, found.stderr]);
    }

    let help = [
        place.run("init --help"),
        place.run("status -d node --json"),
        place.run("ledger inspect -d node"),
        status,
        alone,
    ];
    shows_no_password(&help.map(|it| it.stdout + &it.stderr));
    assert_eq!(node.terminate(), 0);
    let read = |name| String::from_utf8(place.read(name)).unwrap();
    shows_no_password(&[read("node.log"), read("node/clearinghouse.toml")]);
    assert!(!place.path("node/ledger.sqlite").exists());
}

/// Neither as it is written nor as a URL holds it.
#[track_caller]
fn shows_no_password(texts: &[String]) {
    for text in texts {
        assert!(!text.contains("passw0rd") && !text.contains("a%20passw"), "{text}");
    }
}
