//! A disk that takes nothing more.

use crate::child::{LANES, Writer};
use crate::objects::{MIB, NOW, lane};
use lafs_clearinghouse::ledger::{Ledger, Location, Part};
use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};

/// `prlimit --fsize=0` makes every write to a file fail as a full disk does, and takes no root.
#[tokio::test]
async fn a_full_disk_is_said_and_loses_nothing() {
    if !Command::new("prlimit").arg("--version").stdout(Stdio::null()).status().is_ok_and(|status| status.success()) {
        assert!(
            std::env::var("REQUIRE_INTEROP").map_or(true, |value| value != "1"),
            "REQUIRE_INTEROP=1 and no prlimit"
        );
        println!("SKIPPED: no `prlimit`, which belongs to util-linux");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let location = Location::Sqlite(folder.path().join("ledger.sqlite"));
    let mut writer = Writer::start(&location);
    let pid = writer.process.id().to_string();
    let limit = |fsize: &str| {
        let done =
            Command::new("prlimit").args(["--pid", &pid, &format!("--fsize={fsize}:unlimited")]).status().unwrap();
        assert!(done.success());
    };
    let mut acked: BTreeMap<u32, u64> = BTreeMap::new();
    let mut note = |line: &str| {
        let (nth, mib) = line.split_once(' ').unwrap();
        acked.insert(nth.parse().unwrap(), mib.parse().unwrap());
    };
    for _ in 0..100 {
        note(&writer.next("acked ").expect("it runs"));
    }
    limit("0");
    // Every lane comes to a stop, and says why.
    let mut full = 0;
    while full < LANES {
        let line = writer.next("").expect("it runs on");
        match line.strip_prefix("acked ") {
            Some(line) => note(line),
            None => full += u32::from(line.starts_with("full 2")),
        }
    }
    limit("unlimited");
    writer.stdin.write_all(b"\n").unwrap();
    for _ in 0..100 {
        note(&writer.next("acked ").expect("it goes on"));
    }
    drop(writer);

    let ledger = Ledger::open(location, NOW).await.unwrap();
    for nth in 0..LANES {
        let stood = ledger.lane(Part::Payee, lane(1, 2, nth).identity()).await.unwrap();
        let mib = stood.and_then(|lane| lane.voucher).map_or(0, |voucher| voucher.body().cum_bytes.0 / MIB);
        assert!(mib >= acked.get(&nth).copied().unwrap_or(0), "lane {nth}");
    }
    ledger.close().await;
}
